"""The direct way to S3: it signs as botocore signs, goes where boto3 goes, and steps aside where it does not know."""

from __future__ import annotations

import configparser
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import botocore.auth
import botocore.session
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

import peers
from offhook.publish.roots.opening import open_state
from offhook.publish.roots.root import About, RootOptions, State
from offhook.publish.roots.s3_direct import plain_access
from offhook.publish.roots.s3_quick import QuickS3
from offhook.publish.roots.s3_signature import Keys, sign
from places import ACCESS_KEY, BUCKET, ONCE, SECRET_KEY, environment, refusal, s3_client, writing

ENVIRONMENT = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
IN_BERLIN = RootOptions(region="eu-central-1")
SERVER = RootOptions(region="us-east-1", endpoint="http://127.0.0.1:8333")
PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)


@pytest.fixture(autouse=True)
def credentials() -> Iterator[None]:
    with environment():
        yield


class Asked(list[tuple[str, str]]):
    """Notes who asks for what: (method, boto3 or offhook)."""

    def __call__(self, environ: dict[str, Any]) -> None:
        if environ["PATH_INFO"].endswith(".cfg"):
            self.append((environ["REQUEST_METHOD"], environ["HTTP_USER_AGENT"].partition("/")[0].lower()))


def s3(endpoint: str, bucket: str = BUCKET, **more: Any) -> State:
    options = replace(replace(ONCE, endpoint=endpoint, region="us-east-1"), **more)
    return open_state(f"s3://{bucket}/site", options=options)


@given(
    method=st.sampled_from(["PUT", "GET", "DELETE"]),
    path=st.text(st.sampled_from("aZ09-_.~/"), max_size=20),
    said=st.dictionaries(st.sampled_from(["content-type", "cache-control", "x-amz-meta-commit"]), PRINTABLE),
    body=st.binary(max_size=20),
    token=st.sampled_from(["", "a/token+of=theirs"]),
)
def test_it_signs_as_botocore_does(method: str, path: str, said: dict[str, str], body: bytes, token: str) -> None:
    now = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)
    said = {name: text.strip() for name, text in said.items()}
    request = AWSRequest(method, f"http://127.0.0.1:8333/{path}", {"host": "127.0.0.1:8333", **said}, body)
    request.context["payload_signing_enabled"] = True
    keys = Keys(ACCESS_KEY, SECRET_KEY, token)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", lambda: now.replace(tzinfo=None))
        S3SigV4Auth(Credentials(*keys[:2], token or None), "s3", "eu-central-1").add_auth(request)
    signed = sign(
        method,
        f"/{path}",
        headers={"host": "127.0.0.1:8333", **said},
        body=body,
        region="eu-central-1",
        keys=keys,
        at="20260131T235959Z",
    )
    assert signed["authorization"] == request.headers["Authorization"]
    assert signed.get("x-amz-security-token") == request.headers.get("X-Amz-Security-Token")


def where_boto3_goes(bucket: str, options: RootOptions) -> str:
    """The URL of a bucket in a request of boto3's, which is not sent."""
    client = botocore.session.get_session().create_client(
        "s3", region_name=options.region, endpoint_url=options.endpoint or None
    )
    sent: list[str] = []

    def instead(request: Any, **_: Any) -> AWSResponse:
        sent.append(request.url)
        return AWSResponse(request.url, 200, {}, SimpleNamespace(stream=list))

    client.meta.events.register("before-send.s3.PutObject", instead)
    client.put_object(Bucket=bucket, Key="k", Body=b"")
    return sent[0].removesuffix("/k")


def test_it_goes_where_boto3_goes() -> None:
    regions = botocore.session.get_session().get_available_regions("s3")
    found = {region: plain_access("acme-phones", RootOptions(region=region), ENVIRONMENT) for region in regions}
    known = {region: access.base for region, access in found.items() if access}
    assert len(known) > 20
    theirs = {region: where_boto3_goes("acme-phones", RootOptions(region=region)) for region in known}
    assert theirs.pop("us-east-1") == "https://acme-phones.s3.amazonaws.com"  # the same place by its old name
    assert known.pop("us-east-1") == "https://acme-phones.s3.us-east-1.amazonaws.com"
    assert known == theirs
    for endpoint in ("http://127.0.0.1:8333", "https://10.0.0.1", "https://10.0.0.1:9000/"):
        options = RootOptions(region="us-east-1", endpoint=endpoint)
        access = plain_access("acme-phones", options, ENVIRONMENT)
        assert access
        assert access.base == where_boto3_goes("acme-phones", options)


@pytest.mark.parametrize(
    ("bucket", "options", "more"),
    [
        ("acme.phones", IN_BERLIN, {}),
        ("acme--x-s3", IN_BERLIN, {}),
        ("acme-phones", RootOptions(), {}),
        ("acme-phones", RootOptions(region="cn-north-1"), {}),
        ("acme-phones", RootOptions(region="us-gov-west-1"), {}),
        ("acme-phones", RootOptions(region="eu-central-1", addressing="path"), {}),
        ("acme-phones", RootOptions(region="eu-central-1", endpoint="https://s3.example.com"), {}),
        ("acme-phones", RootOptions(region="eu-central-1", endpoint="http://127.0.0.1/below"), {}),
        ("acme-phones", RootOptions(region="eu-central-1", endpoint="http://127.0.0.1:port"), {}),
        ("acme-phones", RootOptions(region="eu-central-1", endpoint="http://me@127.0.0.1"), {}),
        ("acme-phones", RootOptions(region="eu-central-1", endpoint="ftp://127.0.0.1"), {}),
        ("acme-phones", IN_BERLIN, {"AWS_PROFILE": "phones"}),
        ("acme-phones", IN_BERLIN, {"AWS_ENDPOINT_URL": "http://127.0.0.1"}),
        ("acme-phones", IN_BERLIN, {"AWS_USE_FIPS_ENDPOINT": "true"}),
        ("acme-phones", IN_BERLIN, {"AWS_CREDENTIAL_EXPIRATION": "2026-01-31T00:00:00Z"}),
        ("acme-phones", IN_BERLIN, {"AWS_SECRET_ACCESS_KEY": ""}),
        ("acme-phones", IN_BERLIN, {"https_proxy": "http://127.0.0.1:3128"}),
        ("acme-phones", SERVER, {"HTTP_PROXY": "http://127.0.0.1:3128"}),
    ],
)
def test_it_leaves_to_boto3_what_is_not_written_down(bucket: str, options: RootOptions, more: dict[str, str]) -> None:
    assert plain_access("acme-phones", IN_BERLIN, ENVIRONMENT)
    assert plain_access(bucket, options, {**ENVIRONMENT, **more}) is None


def test_it_leaves_to_boto3_what_a_configuration_file_may_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_text("[default]\ns3 =\n  use_accelerate_endpoint = true\n")
    assert plain_access("acme-phones", IN_BERLIN, ENVIRONMENT) is None


def test_a_session_s_token_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-token")
    tokens: list[str] = []
    with peers.moto(lambda environ: tokens.append(environ.get("HTTP_X_AMZ_SECURITY_TOKEN", ""))) as endpoint:
        s3_client(endpoint).create_bucket(Bucket=BUCKET)
        tokens.clear()
        s3(endpoint).write("a.cfg", b"1")
    assert tokens == ["a-token"]


def test_it_does_as_boto3_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    keys = configparser.ConfigParser()
    keys["phones"] = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY}
    (tmp_path / ".aws").mkdir()
    with (tmp_path / ".aws/credentials").open("w") as file:
        keys.write(file)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_PROFILE", "phones")
    with peers.seaweedfs(tmp_path, ACCESS_KEY, SECRET_KEY) as endpoint:
        s3_client(endpoint).create_bucket(Bucket=BUCKET)
        root = s3(endpoint)
        assert isinstance(root, QuickS3)
        assert not root.is_direct
        root.write("sites/berlin 1.cfg", b"1")
        assert root.is_direct
        root.write("sites/berlin 1.cfg", b"2", About("text/plain", "no-cache", "abc"))
        assert root.read("sites/berlin 1.cfg") == b"2"
        root.close()


def test_only_the_first_object_is_boto3_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_RETRY_MODE", "standard")  # which the direct way knows nothing of
    asked = Asked()
    with peers.moto(asked) as endpoint:
        s3_client(endpoint).create_bucket(Bucket=BUCKET)
        root = s3(endpoint)
        for content in (b"1", b"2", b"3"):
            root.write("a.cfg", content)
        assert root.read("a.cfg") == b"3"
    assert asked == [("PUT", "boto3"), ("PUT", "offhook"), ("PUT", "offhook"), ("GET", "offhook")]


def test_what_is_refused_is_asked_of_boto3_from_then_on() -> None:
    asked = Asked()

    def refuse(environ: dict[str, Any]) -> tuple[str, bytes] | None:
        asked(environ)
        return ("400 No", b"<Error><Code>ExpiredToken</Code></Error>") if len(asked) in (1, 2) else None

    with peers.moto(refuse) as endpoint:
        s3_client(endpoint).create_bucket(Bucket=BUCKET)
        asked.clear()
        root = s3(endpoint)
        assert refusal(writing(root)).endswith("the credentials have expired")
        root.write("a.cfg", b"2")
    assert asked == [("PUT", "offhook"), ("PUT", "boto3"), ("PUT", "boto3")]


@pytest.mark.parametrize("status", ["404 No", "412 No"])
def test_an_object_that_is_not_taken_is_not_believed_to_be_there(status: str) -> None:
    body = b"<Error><Code>NoSuchKey</Code></Error>"
    with peers.moto(lambda environ: (status, body) if environ["REQUEST_METHOD"] == "PUT" else None) as endpoint:
        refusal(writing(s3(endpoint)))


@pytest.mark.parametrize("lost", ["500 No", "reset"])
def test_a_conditional_write_whose_answer_was_lost_has_won(lost: str) -> None:
    asked = Asked()

    def lose(environ: dict[str, Any]) -> tuple[str, bytes] | None:
        asked(environ)
        if asked != [("PUT", "offhook")]:
            return None
        s3_client(endpoint).put_object(Bucket=BUCKET, Key="site/lock.cfg", Body=b"mine")
        if lost == "reset":
            environ["werkzeug.socket"].shutdown(2)
        return lost if lost != "reset" else "500 No", b""

    with peers.moto(lose) as endpoint:
        s3_client(endpoint).create_bucket(Bucket=BUCKET)
        state = s3(endpoint)
        assert state.write_version("lock.cfg", b"mine", None) is True
        assert state.write_version("lock.cfg", b"theirs", None) is False


def test_a_bucket_that_is_not_there_is_no_empty_one(tmp_path: Path) -> None:
    with peers.seaweedfs(tmp_path, ACCESS_KEY, SECRET_KEY) as endpoint:
        assert refusal(lambda: s3(endpoint, "nobodys").read("a.cfg")).endswith("there is no such bucket")


def test_a_key_with_objects_below_it_is_not_emptied(tmp_path: Path) -> None:
    with peers.seaweedfs(tmp_path, ACCESS_KEY, SECRET_KEY) as endpoint:
        s3_client(endpoint).create_bucket(Bucket=BUCKET)
        root = s3(endpoint)
        root.write("sites/berlin.cfg", b"1")
        root.delete(["sites"])
        root.delete(["nothing.cfg"])
        assert root.read("sites/berlin.cfg") == b"1"
        root.delete(["sites/berlin.cfg"])
        assert root.read("sites/berlin.cfg") is None
