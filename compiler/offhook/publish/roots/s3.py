"""S3 as a root and a state location, by boto3 alone: Amazon's and whatever speaks like it. `s3_quick` goes before it.

An object is whole or not there, by S3's own promise. Content-Type, Cache-Control and the commit (x-amz-meta-commit)
are kept. Credentials are found as every AWS tool finds them: environment, profile, role. Throttling and 5xx are tried
again by botocore's standard mode, with backoff and jitter. A client serves all threads.
"""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError, ResponseStreamingError

from offhook.problem import OffhookError
from offhook.publish.roots.address import Address
from offhook.publish.roots.root import NOTHING, About, RootOptions, Stored, check_path, forget, is_path
from offhook.publish.roots.s3_direct import Access, has_proxy
from offhook.publish.roots.s3_refusals import code_of, refusal, refused_code, status_of
from offhook.publish.roots.s3_signature import Keys
from offhook.publish.roots.swapping import NoSwap, can_swap, look_and_write

Result = TypeVar("Result")

_BATCH = 1_000
"""Objects that one DeleteObjects takes (S3 API Reference)."""

_CONNECTIONS = 32
_STALE = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})
_PASSING = frozenset({"InternalError", "SlowDown", "ServiceUnavailable"})
_TALKATIVE = ("botocore.auth", "botocore.endpoint", "botocore.parsers")
"""Loggers that at DEBUG write requests, SHA-256 of what is sent, and answers, in which a server may repeat it."""

_BROKEN_OFF = (HTTPClientError, IncompleteReadError, ResponseStreamingError)


def open_s3(address: Address, options: RootOptions) -> S3:
    """Return the bucket and prefix of an address. Raises OffhookError where no client can be made."""
    if address.username or address.port:
        raise OffhookError("an s3:// address is s3://bucket/prefix", hint="name the server as the endpoint")
    for name in _TALKATIVE:
        logging.getLogger(name).addFilter(_is_no_detail)
    config = Config(
        retries={"mode": "standard", "total_max_attempts": max(1, options.attempts)},
        connect_timeout=min(10.0, options.timeout_s),
        read_timeout=options.timeout_s,
        max_pool_connections=_CONNECTIONS,
        s3={"addressing_style": options.addressing},
        # Content-MD5 is sent instead: servers of every age check it
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        session = botocore.session.get_session()
        client = boto3.session.Session(botocore_session=session).client(
            "s3",
            endpoint_url=options.endpoint or None,
            region_name=options.region or None,
            verify=str(options.ca_file) if options.ca_file else None,
            config=config,
        )
    except (BotoCoreError, ValueError) as error:
        raise refusal(error, address.name) from error
    client.meta.events.register("before-call.s3.DeleteObjects", _add_md5)
    client.meta.events.register("before-call.s3.HeadBucket", _ask_region_once)
    return S3(client, address, session=session, options=options)


class S3:
    """A prefix of a bucket. A version is the object's ETag."""

    def __init__(self, client: Any, address: Address, *, session: Any, options: RootOptions) -> None:
        self._client = client
        self._session = session
        self._options = options
        self._bucket = address.host
        # with its slash: phones must not find phones2
        self._prefix = f"{address.path}/" if address.path else ""
        self._attempts = max(1, options.attempts)
        self._sent = ("", "")
        client.meta.events.register("before-send.s3.PutObject", self._note)
        self._probed: bool | None = None
        self.name = address.name

    def list(self) -> Iterator[Stored]:
        """Return every object below the prefix, in the order of keys, page after page."""
        with self._refusals(""):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
            for page in pages:
                for found in page.get("Contents", ()):
                    key = str(found["Key"])
                    path = key.removeprefix(self._prefix)
                    if key.startswith(self._prefix) and is_path(path):
                        yield Stored(path, int(found["Size"]))

    def read(self, path: str) -> bytes | None:
        """Return the content, or None."""
        found = self.read_version(path)
        return found[0] if found else None

    def write(self, path: str, content: bytes, about: About = NOTHING) -> None:
        """Put the object."""
        key = self._key(path)
        with self._refusals(path):
            self._put(key, content, **_headers(about))

    def delete(self, paths: Sequence[str]) -> None:
        """Delete the objects, a thousand at a time; one at a time where the server has no DeleteObjects."""
        keys = [self._key(path) for path in paths]
        with self._refusals(""):
            for start in range(0, len(keys), _BATCH):
                batch = keys[start : start + _BATCH]
                try:
                    self._delete_batch(batch)
                except ClientError as error:
                    if status_of(error) not in (405, 501):
                        raise
                    for key in batch:
                        self._client.delete_object(Bucket=self._bucket, Key=key)

    def close(self) -> None:
        """Close the client's connections."""
        self._client.close()

    def read_version(self, path: str) -> tuple[bytes, str] | None:
        """Return content and ETag."""
        key = self._key(path)
        with self._refusals(path):
            try:
                return self._unbroken(lambda: self._get(key))
            except ClientError as error:
                if code_of(error) in ("NoSuchKey", "404"):
                    return None
                raise

    def write_version(self, path: str, content: bytes, version: str | None) -> bool:
        """Put with If-Match or If-None-Match; where that was tried in vain, look and put."""
        if self._probed is False:
            return look_and_write(self, path, content=content, version=version)
        key = self._key(path)
        condition = {"IfNoneMatch": "*"} if version is None else {"IfMatch": version}
        with self._refusals(path):
            try:
                self._put(key, content, ContentType="application/json", **condition)
            except ClientError as error:
                if status_of(error) == 501 or code_of(error) == "NotImplemented":
                    raise NoSwap(f"{self.name}: the server has no conditional writes", hint="use a lock") from error
                if code_of(error) in _STALE or status_of(error) == 412 or code_of(error) == "NoSuchKey":
                    return self._was_ours(error, path, content)
                raise
        return True

    def swaps(self) -> bool:
        """Try it: four of six servers that were tried took the conditions and overwrote."""
        if self._probed is None:
            try:
                self._probed = can_swap(self, rounds=3)
            except NoSwap:
                self._probed = False
        return self._probed

    def access(self, path: str) -> tuple[Access, RootOptions] | None:
        """Return how this object was put last, for `s3_direct` to do the same; None where it could not."""
        url, authorization = self._sent
        base = url.removesuffix(f"/{quote(self._key(path), safe='/')}")
        algorithm, _, rest = authorization.partition(" Credential=")
        scope = rest.partition(",")[0].split("/")[-4:]
        credentials = self._session.get_credentials()
        if base == url or algorithm != "AWS4-HMAC-SHA256" or scope[2:] != ["s3", "aws4_request"] or not credentials:
            return None
        if has_proxy() or self._client.meta.config.proxies:
            return None
        named = self._session.get_config_variable("ca_bundle")
        options = replace(self._options, ca_file=self._options.ca_file or (Path(named) if named else None))
        return Access(base, scope[1], lambda: Keys(*credentials.get_frozen_credentials()[:3])), options

    def _note(self, request: Any, **_: Any) -> None:
        """Remember where an object is put, and how that was signed."""
        authorization = request.headers.get("Authorization", "")
        text = authorization.decode() if isinstance(authorization, bytes) else str(authorization)
        # a directory bucket's session signs otherwise
        self._sent = (str(request.url), "" if "x-amz-s3session-token" in request.headers else text)

    def _was_ours(self, error: ClientError, path: str, content: bytes) -> bool:
        """Tell whether the first of several attempts did write, and only its answer was lost."""
        repeated = int(error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0)) > 0
        return repeated and self.read(path) == content

    def _key(self, path: str) -> str:
        return self._prefix + check_path(path)

    def _put(self, key: str, content: bytes, **more: Any) -> None:
        self._client.put_object(Bucket=self._bucket, Key=key, Body=content, ContentMD5=_md5(content), **more)

    def _get(self, key: str) -> tuple[bytes, str]:
        answer = self._client.get_object(Bucket=self._bucket, Key=key)
        with answer["Body"] as body:
            return body.read(), str(answer["ETag"])

    def _delete_batch(self, keys: Sequence[str]) -> None:
        for attempt in range(1, self._attempts + 1):
            objects = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
            errors = self._client.delete_objects(Bucket=self._bucket, Delete=objects).get("Errors", ())
            errors = [error for error in errors if error.get("Code") != "NoSuchKey"]
            keys = [str(error["Key"]) for error in errors if error.get("Code") in _PASSING]
            if errors and (len(keys) < len(errors) or attempt == self._attempts):
                where = f"{self.name}: cannot delete {len(errors)} objects"
                raise refused_code(str(errors[0].get("Code", "")), 200, where)
            if not keys:
                return

    def _unbroken(self, get: Callable[[], Result]) -> Result:
        """Get again where a body broke off: botocore tries again only until a body begins."""
        for _ in range(self._attempts - 1):
            try:
                return get()
            except _BROKEN_OFF:
                continue
        return get()

    @contextmanager
    def _refusals(self, path: str) -> Iterator[None]:
        where = f"{self.name.rstrip('/')}/{path}" if path else self.name
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            forget(error)
            raise refusal(error, where) from error


def _headers(about: About) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if about.content_type:
        headers["ContentType"] = about.content_type
    if about.cache_control:
        headers["CacheControl"] = about.cache_control
    if about.commit:
        headers["Metadata"] = {"commit": about.commit}
    return headers


def _is_no_detail(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


def _md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def _add_md5(params: dict[str, Any], **_: Any) -> None:
    """Add the Content-MD5 that DeleteObjects must have on servers of before 2025; boto3 sends a CRC instead."""
    params["headers"]["Content-MD5"] = _md5(params["body"])


def _ask_region_once(params: dict[str, Any], **_: Any) -> None:
    """Keep botocore from asking again and again: a 301 without a region makes it HEAD the bucket, also after a HEAD."""
    params.setdefault("context", {}).setdefault("s3_redirect", {})["redirected"] = True
