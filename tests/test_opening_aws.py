"""Secrets opened from AWS: Parameter Store and Secrets Manager by moto, and every refusal by a scripted endpoint."""

from __future__ import annotations

import json
import logging
import os
import secrets
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from moto import mock_aws

import peers
from offhook.problem import Mark
from offhook.secrets.answers import Hidden
from offhook.secrets.opening import Opened, SecretsError, open_secrets
from offhook.secrets.providers import aws

SSM = {"provider": "aws-ssm", "prefix": "/phones/", "region": "eu-central-1"}
MANAGER = {"provider": "aws-secretsmanager", "prefix": "phones/", "region": "eu-central-1"}
PLACE = Mark("inventory/accounts/all.yaml", 3, 5)
WHO = "aws sts get-caller-identity tells who you are"
PUT_SSM = "aws ssm put-parameter --type SecureString --overwrite --name"
PUT_MANAGER = "aws secretsmanager put-secret-value --secret-id"


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Credentials of nobody, no region, and nothing of the developer's."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


def by_aws(names: list[str], provider: dict[str, str], *places: str) -> Opened:
    at = dict.fromkeys(places, PLACE)
    return open_secrets(names, provider=provider, environment=os.environ, places=at)


def opened(names: list[str], provider: dict[str, str]) -> dict[str, str]:
    made = by_aws(names, provider)
    return {name: made.value(name) for name in made.names}


def refused(call: Callable[[], object]) -> list[tuple[str, str]]:
    with pytest.raises(SecretsError) as caught:
        call()
    assert caught.value.__context__ is None
    return [(str(fault), fault.hint) for fault in caught.value.faults]


def put(name: str, value: str, kind: str = "SecureString", region: str = "eu-central-1") -> None:
    boto3.client("ssm", region_name=region).put_parameter(Name=name, Value=value, Type=kind)


def create(name: str, **value: Any) -> None:
    boto3.client("secretsmanager", region_name="eu-central-1").create_secret(Name=name, **value)


# what the stores have


@mock_aws
def test_more_parameters_than_one_request_takes() -> None:
    known = {f"site{number}/user": f"value {number}" for number in range(23)}
    for name, value in known.items():
        put(f"/phones/{name}", value)
    assert opened(list(known), SSM) == known


@mock_aws
@pytest.mark.parametrize("kind", ["String", "SecureString", "StringList"])
def test_parameters_of_every_type(kind: str) -> None:
    put("/phones/a", "x,y", kind)
    assert opened(["a"], SSM) == {"a": "x,y"}


@mock_aws
@pytest.mark.parametrize(
    ("prefix", "name", "stored"),
    [
        ("", "a", "a"),
        ("", "berlin/alice", "/berlin/alice"),
        ("phones/", "a", "/phones/a"),
        ("phones-", "a", "phones-a"),
        ("/phones/", "berlin/alice", "/phones/berlin/alice"),
    ],
)
def test_the_names_of_parameters(prefix: str, name: str, stored: str) -> None:
    put(stored, "x")
    assert opened([name], SSM | {"prefix": prefix}) == {name: "x"}


@mock_aws
@pytest.mark.parametrize(
    ("variables", "region"),
    [
        ({}, "eu-central-1"),
        ({"AWS_DEFAULT_REGION": "us-east-1"}, "us-east-1"),
        ({"AWS_REGION": "us-west-2", "AWS_DEFAULT_REGION": "us-east-1"}, "us-west-2"),
    ],
)
def test_the_region(variables: dict[str, str], region: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for one in ("eu-central-1", "us-east-1", "us-west-2"):
        put("/phones/a", one, region=one)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert opened(["a"], SSM) == {"a": region}


@mock_aws
def test_every_parameter_that_is_missing_or_unfit_is_said_at_once() -> None:
    put("/phones/good", "x")
    put("/phones/unfit", "x\n")
    put("/phones/elsewhere", "x", region="us-east-1")
    made = refused(lambda: by_aws(["good", "unfit", "elsewhere", "gone"], SSM, "gone"))
    more = "or another region or prefix in secrets:"
    assert made == [
        (
            'secret "elsewhere": eu-central-1 has no parameter /phones/elsewhere',
            f"{PUT_SSM} /phones/elsewhere, {more}",
        ),
        ('secret "unfit" holds a line break or control character', f"{PUT_SSM} /phones/unfit"),
        (f'{PLACE}: secret "gone": eu-central-1 has no parameter /phones/gone', f"{PUT_SSM} /phones/gone, {more}"),
    ]


@mock_aws
def test_more_secrets_than_one_request_takes() -> None:
    known = {f"site{number}/user": f"value {number}" for number in range(43)}
    for name, value in known.items():
        create(f"phones/{name}", SecretString=value)
    assert opened(list(known), MANAGER) == known


@mock_aws
def test_every_secret_that_is_missing_or_unfit_is_said_at_once() -> None:
    create("phones/good", SecretString="{x}")
    create("phones/blank", SecretString=" x")
    create("phones/keys", SecretString='{"username": "a", "password": "hunter2"}')
    create("phones/bytes", SecretBinary=b"hunter2")
    made = refused(lambda: by_aws(["good", "blank", "keys", "bytes", "gone"], MANAGER))
    assert made == [
        ('secret "blank" holds a blank at its edge', f"{PUT_MANAGER} phones/blank"),
        ('secret "bytes": phones/bytes: it is binary: store the password as text', f"{PUT_MANAGER} phones/bytes"),
        (
            'secret "gone": eu-central-1 has no secret phones/gone',
            f"{PUT_MANAGER} phones/gone, or another region or prefix in secrets:",
        ),
        (
            'secret "keys": phones/keys: it is JSON with keys: '
            "store the password alone, as plain text, one secret for each",
            f"{PUT_MANAGER} phones/keys",
        ),
    ]


@mock_aws
@pytest.mark.parametrize("provider", [SSM, MANAGER], ids=["ssm", "manager"])
@pytest.mark.parametrize("loggers", [["root"], ["root", "botocore.parsers", "botocore.endpoint", "botocore.hooks"]])
def test_nothing_shows_a_value(
    provider: dict[str, str], loggers: list[str], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    canary = secrets.token_hex(12)
    for name, value in {"a": canary, "b": f"{canary} "}.items():
        put(f"/phones/{name}", value)
        create(f"phones/{name}", SecretString=value)
    for name in loggers:
        caplog.set_level(logging.DEBUG, None if name == "root" else name)
    caplog.clear()
    shown = [repr(by_aws(["a"], provider))]
    with pytest.raises(SecretsError) as caught:
        by_aws(["a", "b", "gone"], provider)
    error = caught.value
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [repr(frame.locals) for frame in report.stack if "/secrets/" in frame.filename]
    assert frames
    shown += [caplog.text, *capfd.readouterr(), str(error), repr(error.args), error.hint, repr(error.faults), *frames]
    assert not [text for text in shown if canary in text]
    assert logging.getLogger("botocore.parsers").level in (logging.DEBUG, logging.NOTSET)


# what AWS refuses: an endpoint on the loopback that answers as a script says


Script = Callable[[str, dict[str, Any]], tuple[int, dict[str, Any]]]


@contextmanager
def endpoint(script: Script) -> Iterator[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    """An endpoint of AWS's JSON protocol: gives its URL, and the requests that came (action, arguments)."""
    seen: list[tuple[str, dict[str, Any]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            action = self.headers["X-Amz-Target"].rpartition(".")[2]
            seen.append((action, asked))
            status, said = script(action, asked)
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
            thread.join()


def error(code: str, message: str = "hunter2", status: int = 400) -> Script:
    return lambda action, asked: (status, {"__type": code, "message": message})


FINAL = [
    ("ExpiredTokenException", "the AWS session has expired", f"log in anew; {WHO}"),
    ("ExpiredToken", "the AWS session has expired", f"log in anew; {WHO}"),
    (
        "UnrecognizedClientException",
        "AWS does not know these credentials",
        f"{WHO}; the clock of this machine counts too",
    ),
    (
        "InvalidSignatureException",
        "AWS does not know these credentials",
        f"{WHO}; the clock of this machine counts too",
    ),
    (
        "ThrottlingException",
        "AWS throttles, also after several attempts",
        "run it again later, or ask for a quota",
    ),
    ("InternalServerError", "AWS has a fault of its own", "run it again; https://health.aws.amazon.com"),
]


@pytest.mark.parametrize("provider", [SSM, MANAGER], ids=["ssm", "manager"])
@pytest.mark.parametrize(("code", "line", "hint"), FINAL)
def test_what_every_request_would_meet_is_said_once(
    provider: dict[str, str], code: str, line: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"n{number:02}" for number in range(45)]
    with endpoint(error(f"com.amazonaws.x#{code}")) as (url, seen):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        made = refused(lambda: by_aws(names, provider))
    assert made == [(f'{line}: 45 secrets ("n00", "n01", "n02" and 42 more) not asked for', hint)]
    assert len(seen) == 1


def test_a_throttled_request_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "3")
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    replies = iter([(400, {"__type": "ThrottlingException"}), (503, {"__type": "ServiceUnavailable"})])

    def script(_: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return next(replies, (200, {"Parameters": [{"Name": "/phones/a", "Value": "x"}], "InvalidParameters": []}))

    monkeypatch.setenv("AWS_RETRY_MODE", "standard")
    with endpoint(script) as (url, seen):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        assert opened(["a"], SSM) == {"a": "x"}
    assert len(seen) == 3


def test_attempts_and_waiting_have_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_MAX_ATTEMPTS")
    request = aws.Request(("a",), SSM, (), os.environ, {})
    config = aws.client("ssm", request).meta.config
    assert (config.retries["mode"], config.retries["total_max_attempts"]) == ("standard", aws.ATTEMPTS)
    assert (config.connect_timeout, config.read_timeout) == (aws.CONNECT_S, aws.READ_S)


def of_names(denied: dict[str, tuple[str, str]]) -> Script:
    """Refuses a request for any of some names, as IAM does; has all others."""

    def script(action: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        names = asked.get("Names") or asked.get("SecretIdList") or [asked["SecretId"]]
        for name in names:
            if name in denied:
                code, message = denied[name]
                return 400, {"__type": code, "message": message}
        if action == "GetParameters":
            return 200, {"Parameters": [{"Name": name, "Value": "x"} for name in names], "InvalidParameters": []}
        if action == "GetSecretValue":
            return 200, {"Name": names[0], "SecretString": "x"}
        return 200, {"SecretValues": [{"Name": name, "SecretString": "x"} for name in names], "Errors": []}

    return script


DENIED = ("AccessDeniedException", "User: hunter2 is not authorized to perform: ssm:GetParameters")
BY_KMS = ("AccessDeniedException", "The ciphertext refers to a customer master key that does not exist")
KMS_HINT = "allow kms:Decrypt on that key, and see that it is enabled"


@pytest.mark.parametrize(
    ("provider", "prefix", "action"),
    [(SSM, "/phones/", "ssm:GetParameters"), (MANAGER, "phones/", "secretsmanager:GetSecretValue")],
    ids=["ssm", "manager"],
)
def test_the_names_that_are_refused_are_found(
    provider: dict[str, str], prefix: str, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"n{number:02}" for number in range(25)]
    script = of_names({f"{prefix}n03": DENIED, f"{prefix}n04": BY_KMS, f"{prefix}n21": ("InvalidKeyId", "hunter2")})
    with endpoint(script) as (url, _):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        made = refused(lambda: by_aws(names, provider, "n21"))
    assert made == [
        (
            f'secret "n03": AWS denies {action} on {prefix}n03 in eu-central-1',
            f"allow {action} to who runs this; {WHO}",
        ),
        (f'secret "n04": the KMS key of {prefix}n04 does not open it', KMS_HINT),
        (f'{PLACE}: secret "n21": the KMS key of {prefix}n21 does not open it', KMS_HINT),
    ]


@pytest.mark.parametrize("provider", [SSM, MANAGER], ids=["ssm", "manager"])
def test_who_may_nothing_is_not_made_to_wait(provider: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"n{number:02}" for number in range(45)]
    with endpoint(error(*DENIED)) as (url, seen):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        made = refused(lambda: by_aws(names, provider))
    assert len(made) == 11
    assert made[0][0].startswith('secret "n00": AWS denies ')
    assert made[10][0] == 'AWS denies it: 35 secrets ("n10", "n11", "n12" and 32 more) not asked for'
    assert len(seen) == 11


@pytest.mark.parametrize(("provider", "most"), [(SSM, 10), (MANAGER, 20)], ids=["ssm", "manager"])
def test_a_request_has_no_more_names_than_it_may(
    provider: dict[str, str], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with endpoint(of_names({})) as (url, seen):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        by_aws([f"n{number}" for number in range(2 * most + 1)], provider)
    assert [len(asked.get("Names") or asked["SecretIdList"]) for _, asked in seen] == [most, most, 1]


def test_parameters_are_asked_for_decrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    with endpoint(of_names({})) as (url, seen):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        by_aws(["a"], SSM)
    assert seen == [("GetParameters", {"Names": ["/phones/a"], "WithDecryption": True})]


def test_who_may_not_ask_for_many_asks_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    def script(action: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if action == "BatchGetSecretValue":
            return 400, {"__type": "AccessDeniedException", "message": "secretsmanager:BatchGetSecretValue"}
        return 200, {"Name": asked["SecretId"], "SecretString": f"of {asked['SecretId']}"}

    with endpoint(script) as (url, _):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        made = opened(["a", "b"], MANAGER)
    assert made == {"a": "of phones/a", "b": "of phones/b"}


def test_a_batch_comes_in_pages_and_with_errors_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reply of BatchGetSecretValue, after its API reference: pages, and an error for each name that has one."""
    codes = {"b": "ResourceNotFoundException", "c": "AccessDeniedException", "d": "DecryptionFailure"}
    codes["e"] = "InvalidRequestException"

    def script(_: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if "NextToken" not in asked:
            return 200, {"SecretValues": [{"Name": "phones/a", "SecretString": "x"}], "Errors": [], "NextToken": "2"}
        errors = [
            {"SecretId": f"phones/{name}", "ErrorCode": code, "Message": "hunter2"} for name, code in codes.items()
        ]
        return 200, {"SecretValues": [{"Name": "phones/f", "SecretString": "y"}], "Errors": errors}

    with endpoint(script) as (url, seen):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        made = refused(lambda: by_aws([*"abcdef"], MANAGER))
    action = "secretsmanager:GetSecretValue"
    assert made == [
        (
            'secret "b": eu-central-1 has no secret phones/b',
            f"{PUT_MANAGER} phones/b, or another region or prefix in secrets:",
        ),
        (f'secret "c": AWS denies {action} on phones/c in eu-central-1', f"allow {action} to who runs this; {WHO}"),
        ('secret "d": the KMS key of phones/d does not open it', KMS_HINT),
        ('secret "e": phones/e: it is to be deleted', "aws secretsmanager restore-secret --secret-id phones/e"),
    ]
    assert len(seen) == 2


@pytest.mark.parametrize("code", ["ValidationException", "Line\nbreak \x1b[31m"])
def test_a_code_that_nobody_knows(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with endpoint(error(code)) as (url, _):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        made = refused(lambda: by_aws(["a"], SSM))
    shown = code if code.isalpha() else "an error"
    assert made == [(f'secret "a": /phones/a: AWS answers {shown}', WHO)]


# the way to AWS


NET = "look at the network, a proxy, and the region: secrets: {region: eu-central-1}, or AWS_REGION"
LOGIN = "aws configure, AWS_PROFILE, or a role for the CI job"


@pytest.mark.parametrize("provider", [SSM, MANAGER], ids=["ssm", "manager"])
def test_an_endpoint_where_nobody_listens(provider: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{peers.free_port()}")
    made = refused(lambda: by_aws(["a", "b"], provider))
    assert made == [('AWS cannot be reached: 2 secrets ("a", "b") not asked for', NET)]


def test_an_endpoint_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "READ_S", 1)
    done = threading.Event()

    def script(_: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        done.wait(30)
        return 200, {}

    with endpoint(script) as (url, _):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        made = refused(lambda: by_aws(["a"], SSM))
        done.set()
    assert made == [('AWS cannot be reached: secret "a" not asked for', NET)]


def test_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    made = refused(lambda: by_aws(["a"], SSM))
    assert made == [('there are no AWS credentials: secret "a" not asked for', LOGIN)]


def test_half_of_the_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    made = refused(lambda: by_aws(["a"], SSM))
    assert [hint for _, hint in made] == [LOGIN]
    assert made[0][0].startswith("the AWS credentials are not complete: ")


def test_a_profile_that_nobody_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    made = refused(lambda: by_aws(["a"], SSM))
    assert made == [('AWS_PROFILE names no profile: secret "a" not opened', "aws configure list-profiles")]


@pytest.mark.parametrize(
    ("region", "line"),
    [("", "no AWS region is said"), ("eu central", "the AWS region is none")],
)
def test_no_region_and_none_that_can_be(region: str, line: str) -> None:
    made = refused(lambda: by_aws(["a"], SSM | {"region": region}))
    assert made == [(f'{line}: secret "a" not opened', NET)]


def test_an_endpoint_that_is_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "not an address")
    made = refused(lambda: by_aws(["a"], SSM))
    assert made == [('the AWS region or AWS_ENDPOINT_URL makes no address: secret "a" not opened', NET)]


@pytest.mark.parametrize("provider", [SSM, MANAGER], ids=["ssm", "manager"])
def test_boto3_is_asked_for_where_it_is_missing(provider: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    made = refused(lambda: by_aws(["a"], provider))
    assert made == [('AWS needs boto3, which is not installed: secret "a" not opened', 'pip install "offhook[aws]"')]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("SSOTokenLoadError", "the AWS login has expired"),
        ("UnauthorizedSSOTokenError", "the AWS login has expired"),
        ("TokenRetrievalError", "the AWS login has expired"),
        ("CredentialRetrievalError", "the AWS credentials cannot be had"),
        ("SSLError", "the certificate of AWS is not trusted here"),
        ("ConnectionClosedError", "AWS cannot be reached"),
        ("ProxyConnectionError", "AWS cannot be reached"),
        ("ConnectTimeoutError", "AWS cannot be reached"),
        ("ReadTimeoutError", "AWS cannot be reached"),
        ("ParamValidationError", "AWS cannot be asked: ParamValidationError"),
    ],
)
def test_every_exception_of_botocore_has_a_line(name: str, line: str) -> None:
    from botocore import exceptions

    fields = dict.fromkeys(("provider", "error_msg", "error", "endpoint_url", "proxy_url", "report"), "hunter2")

    def operation() -> dict[str, Any]:
        raise getattr(exceptions, name)(**fields)

    made = aws.ask(operation)
    assert isinstance(made, aws.Trouble)
    assert (made.message, made.final) == (line, True)


def test_the_reply_of_a_store_has_no_text() -> None:
    assert repr(aws.Reply({"a": Hidden("hunter2")})) == "Reply(values={'a': <secret>}, troubles={})"
