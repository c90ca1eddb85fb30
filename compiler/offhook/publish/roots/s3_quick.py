"""S3 as a root and a state location: `s3_direct` where a request has nothing to decide, boto3 for all else.

boto3 (`s3.S3`) is what finds credentials, regions and endpoints, follows redirects, waits, tries again and knows what
went wrong. It is asked first, unless all is written down (`plain_access`), and how it put an object is how the others
are put. Whatever is then not plainly fine is asked of it again: every request here may be repeated. An answer that
says no (3xx, 4xx) ends the direct way for good; trouble that passes (429, 5xx, a lost connection) does not.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import random
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING

from offhook.publish.roots.address import Address
from offhook.publish.roots.root import NOTHING, About, RootOptions, Stored, check_path
from offhook.publish.roots.s3_direct import Answer, Direct, Unclear, plain_access
from offhook.publish.roots.swapping import NoSwap, can_swap, look_and_write

if TYPE_CHECKING:
    from offhook.publish.roots.s3 import S3

_NOTHING: Mapping[str, str] = MappingProxyType({})
_FIRST_PAUSE_S = {429: 1.0, 503: 1.0}
_SHORT_PAUSE_S = 0.05
"""The most that is waited before boto3 tries again, by status: what botocore's standard mode waits the first time."""


def open_quick_s3(address: Address, options: RootOptions) -> QuickS3:
    """Return the bucket and prefix of an address. Raises OffhookError where no client can be made."""
    quick = QuickS3(address, options)
    # what boto3 refuses, or that there is none, is said at once where it is needed at once
    if not quick.is_direct or importlib.util.find_spec("boto3") is None:
        quick.careful()
    return quick


class QuickS3:
    """A prefix of a bucket. A version is the object's ETag."""

    def __init__(self, address: Address, options: RootOptions) -> None:
        plain = not address.username and not address.port
        access = plain_access(address.host, options) if plain else None
        self._address = address
        # the direct attempt is one of them
        self._options = replace(options, attempts=max(1, options.attempts - 1)) if access else options
        self._direct = Direct(access, options) if access else None
        self._may_learn = access is None
        self._boto: S3 | None = None
        self._opening = Lock()
        self._prefix = f"{address.path}/" if address.path else ""
        self._probed: bool | None = None
        self.name = address.name

    @property
    def is_direct(self) -> bool:
        """Tell whether requests go without boto3 at the moment."""
        return self._direct is not None

    def careful(self) -> S3:
        """Return the same place by boto3, which is imported now. Raises OffhookError where no client can be made."""
        with self._opening:
            if self._boto is None:
                from offhook.publish.roots.s3 import open_s3

                self._boto = open_s3(self._address, self._options)
            return self._boto

    def list(self) -> Iterator[Stored]:
        """Return every object below the prefix, in the order of keys, page after page."""
        return self.careful().list()

    def read(self, path: str) -> bytes | None:
        """Return the content, or None."""
        found = self.read_version(path)
        return found[0] if found else None

    def write(self, path: str, content: bytes, about: About = NOTHING) -> None:
        """Put the object."""
        try:
            self._ask("PUT", path, content, _headers(about))
        except Unclear:
            self.careful().write(path, content, about)
            self._learn(path)

    def delete(self, paths: Sequence[str]) -> None:
        """Delete the objects, a thousand at a time."""
        if len(paths) == 1:
            try:
                self._ask("DELETE", paths[0])
            except Unclear:
                pass
            else:
                return
        if paths:
            self.careful().delete(paths)

    def close(self) -> None:
        """Close all connections."""
        if self._direct:
            self._direct.close()
        if self._boto:
            self._boto.close()

    def read_version(self, path: str) -> tuple[bytes, str] | None:
        """Return content and ETag."""
        try:
            answer = self._ask("GET", path, expected=(404,))
        except Unclear:
            return self.careful().read_version(path)
        return None if answer.status == 404 else (answer.body, answer.etag)

    def write_version(self, path: str, content: bytes, version: str | None) -> bool:
        """Put with If-Match or If-None-Match; where that was tried in vain, look and put."""
        if self._probed is False:
            return look_and_write(self, path, content=content, version=version)
        condition = {"if-none-match": "*"} if version is None else {"if-match": version}
        try:
            answer = self._ask(
                "PUT", path, content, {"content-type": "application/json", **condition}, expected=(404, 412)
            )
        except Unclear as unclear:
            written = self.careful().write_version(path, content, version)
            self._learn(path)
            # it may have been the first request that wrote, and only its answer was lost
            return written or (unclear.may_have_acted and self.read(path) == content)
        return answer.status // 100 == 2

    def swaps(self) -> bool:
        """Try it: four of six servers that were tried took the conditions and overwrote."""
        if self._probed is None:
            try:
                self._probed = can_swap(self, rounds=3)
            except NoSwap:
                self._probed = False
        return self._probed

    def _ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] = _NOTHING,
        *,
        expected: Collection[int] = (),
    ) -> Answer:
        """Ask directly. Raises Unclear where that cannot be, or did not do."""
        key, direct = self._prefix + check_path(path), self._direct
        if direct is None:
            raise Unclear
        if method == "PUT":
            headers = {**headers, "content-md5": _md5(body)}
        try:
            return direct.ask(method, key, body=body, headers=headers, expected=expected)
        except Unclear as unclear:
            if unclear.status == 429 or unclear.status >= 500:
                time.sleep(random.uniform(0, _FIRST_PAUSE_S.get(unclear.status, _SHORT_PAUSE_S)))
            elif unclear.status:
                self._direct, self._may_learn = None, False
            raise

    def _learn(self, path: str) -> None:
        """Do as boto3 did from now on, if it can be done."""
        if not self._may_learn or self._direct is not None:
            return
        found = self.careful().access(path)
        with self._opening:
            if found and self._may_learn and self._direct is None:
                self._direct = Direct(*found)


def _headers(about: About) -> dict[str, str]:
    said = {"content-type": about.content_type, "cache-control": about.cache_control, "x-amz-meta-commit": about.commit}
    return {name: text for name, text in said.items() if text}


def _md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
