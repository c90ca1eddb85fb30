"""S3 as a root, where only a server that says what it is told can show it: codes, retries, thousands, odd servers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

import peers
from offhook.publish.roots.opening import open_state
from offhook.publish.roots.root import About, State
from places import ACCESS_KEY, BUCKET, ONCE, SECRET_KEY, environment, every_call, refusal, s3_client, writing

pytestmark = pytest.mark.peer


@pytest.fixture(autouse=True)
def credentials() -> Iterator[None]:
    with environment():
        yield


def s3(endpoint: str, bucket: str = BUCKET, **more: Any) -> State:
    options = replace(replace(ONCE, endpoint=endpoint, region="us-east-1"), **more)
    return open_state(f"s3://{bucket}/site", options=options)


XML = "<?xml version='1.0'?><Error><Code>{}</Code><Message>key {} and {}</Message></Error>"


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (403, "AccessDenied", "access is denied"),
        (403, "InvalidAccessKeyId", "the server does not know the access key"),
        (403, "SignatureDoesNotMatch", "the secret key is wrong"),
        (400, "ExpiredToken", "the credentials have expired"),
        (403, "RequestTimeTooSkewed", "this machine's clock and the server's are too far apart"),
        (301, "PermanentRedirect", "the bucket is in another region"),
        (400, "AuthorizationHeaderMalformed", "the bucket is in another region"),
        (503, "SlowDown", "the server asks to slow down, time and again"),
        (500, "InternalError", "the server has an error of its own"),
        (507, "XMinioStorageFull", "the server's disk is full"),
        (404, "NoSuchBucket", "there is no such bucket"),
        (418, "IAmATeapot", "the server refuses: IAmATeapot (status 418)"),
    ],
)
def test_s3_codes(status: int, code: str, says: str) -> None:
    body = XML.format(code, ACCESS_KEY, SECRET_KEY).encode()
    with peers.moto(lambda _: (f"{status} No", body)) as endpoint:
        root = s3(endpoint)
        found = [refusal(call) for call in every_call(root)]
    name = f"s3://{BUCKET}/site"
    assert found == [f"{name}: {says}", f"{name}/a.cfg: {says}", f"{name}/a.cfg: {says}", f"{name}: {says}"]


def test_s3_is_asked_again_when_it_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = ["503 Slow Down", "500 Error"] * 2
    body = XML.format("SlowDown", "", "").encode()
    asked: list[str] = []
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)

    def busy(environ: dict[str, Any]) -> tuple[str, bytes] | None:
        if not environ["PATH_INFO"].endswith(".cfg"):
            return None
        asked.append(environ["REQUEST_METHOD"])
        return (answers.pop(), body) if answers else None

    with peers.moto(busy) as endpoint:
        s3_client(endpoint).create_bucket(Bucket=BUCKET)
        root = s3(endpoint, attempts=5)
        root.write("a.cfg", b"1")
        assert asked == ["PUT"] * 5
        assert root.read("a.cfg") == b"1"


def test_s3_keeps_what_is_said_of_an_object() -> None:
    with peers.moto() as endpoint:
        client = s3_client(endpoint)
        client.create_bucket(Bucket=BUCKET)
        s3(endpoint).write("a.cfg", b"1", About("text/plain", "no-cache", "abc"))
        found = client.head_object(Bucket=BUCKET, Key="site/a.cfg")
    assert (found["ContentType"], found["CacheControl"], found["Metadata"]) == (
        "text/plain",
        "no-cache",
        {"commit": "abc"},
    )


def test_s3_lists_and_deletes_thousands() -> None:
    asked: list[tuple[str, str]] = []

    def note(environ: dict[str, Any]) -> None:
        asked.append((environ["REQUEST_METHOD"], environ.get("HTTP_CONTENT_MD5", "")))

    with peers.moto(note) as endpoint:
        client = s3_client(endpoint)
        client.create_bucket(Bucket=BUCKET)
        paths = [f"{number:04}.cfg" for number in range(1003)]
        inside = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]  # a thousand PUTs take seconds
        for path in (*(f"site/{path}" for path in paths), "site2/a.cfg", "site", "site/"):
            inside.put_object(BUCKET, path, b"")
        root = s3(endpoint)
        assert [stored.path for stored in root.list()] == paths
        asked.clear()
        root.delete(paths)
        assert [method for method, _ in asked] == ["POST", "POST"]
        assert all(md5 for _, md5 in asked)
        left = [found["Key"] for found in client.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert left == ["site", "site/", "site2/a.cfg"]


def test_s3_without_multi_delete() -> None:
    def refuse(environ: dict[str, Any]) -> tuple[str, bytes] | None:
        return (
            ("501 No", XML.format("NotImplemented", "", "").encode()) if environ["REQUEST_METHOD"] == "POST" else None
        )

    with peers.moto(refuse) as endpoint:
        s3_client(endpoint).create_bucket(Bucket=BUCKET)
        root = s3(endpoint)
        root.write("a.cfg", b"1")
        root.delete(["a.cfg", "b.cfg"])
        assert root.read("a.cfg") is None


@pytest.mark.parametrize("answer", ["overwrites", "501"])
def test_s3_that_does_not_compare_is_found_out(answer: str) -> None:
    def forget(environ: dict[str, Any]) -> tuple[str, bytes] | None:
        conditions = [environ.pop(name, None) for name in ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH")]
        if answer == "501" and any(conditions):
            return "501 No", XML.format("NotImplemented", "", "").encode()
        return None

    with peers.moto(forget) as endpoint:
        s3_client(endpoint).create_bucket(Bucket=BUCKET)
        state = s3(endpoint)
        assert state.swaps() is False
        assert state.write_version("lock", b"1", None) is True
        assert state.write_version("lock", b"2", None) is False
        assert [stored.path for stored in state.list()] == ["lock"]


def test_s3_credentials_and_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with peers.nginx_put(tmp_path, tls=peers.make_certificate(tmp_path)) as url:
        says = refusal(writing(s3(url.replace("127.0.0.1", "localhost"))))
        assert says == f"s3://{BUCKET}/site/a.cfg: the server's certificate is not trusted"
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert refusal(lambda: s3("http://127.0.0.1:1")).endswith("the credentials are not complete")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert refusal(writing(s3("http://127.0.0.1:1"))).endswith("there are no credentials")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert refusal(lambda: s3("http://127.0.0.1:1")).endswith("there is no such AWS profile")
    monkeypatch.delenv("AWS_PROFILE")
    assert refusal(lambda: s3("no address")).endswith("the endpoint is no address")
