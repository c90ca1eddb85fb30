"""Keyed digests: what a manifest knows files and settings by, telling nothing of them to who lacks the key.

A plain digest of a file that holds a password lets anybody who reads it try passwords; these are HMAC-SHA-256 (RFC
2104) under a random key of the environment, which stays in its state. 128 bits of them are kept.
"""

from __future__ import annotations

import hmac
import secrets
from typing import final

from offhook.problem import OffhookError
from offhook.publish.roots.root import State
from offhook.secrets.opened_text import OpenedBytes

KEY = "key"
"""The key's path in the state: 64 hex digits."""

_HEX = 32


@final
class Key:
    """A key. It shows itself to nobody: no repr, no pickle."""

    __slots__ = ("__bytes",)

    def __init__(self, content: bytes) -> None:
        self.__bytes = content

    def __repr__(self) -> str:
        return "<key>"

    def __reduce__(self) -> str:
        raise TypeError("a key is not copied")

    def of_file(self, content: bytes) -> str:
        """Return the digest of a file's content: 32 hex digits."""
        return hmac.digest(self.__bytes, b"file\0" + content, "sha256").hex()[:_HEX]

    def keep(self, state: State) -> None:
        """Put the key into the state where it holds another one. Only for whoever has the hold, before a release."""
        found = read_key(state)
        if found is None or not hmac.compare_digest(self.__bytes, found.__bytes):
            state.write(KEY, f"{self.__bytes.hex()}\n".encode())

    def of_text(self, kind: str, text: str) -> str:
        """Return the digest of something else, which is never mistaken for a file's."""
        return hmac.digest(self.__bytes, f"{kind}\0{text}".encode(), "sha256").hex()[:_HEX]


def new_key() -> Key:
    """Return a key for one run: that of a plan for where nothing was ever published."""
    return Key(secrets.token_bytes(32))


def read_key(state: State) -> Key | None:
    """Return the environment's key, None where there is none yet. Raises OffhookError where it is damaged."""
    found = state.read(KEY)
    if found is None:
        return None
    content, found = OpenedBytes(found), None
    try:
        key = bytes.fromhex(content.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != 32:
        raise OffhookError(f"{state.name}/{KEY} is damaged: no key of 64 hex digits", hint="restore it from a backup")
    return Key(key)


def make_key(state: State) -> Key:
    """Return the environment's key, made where there is none; of several runs that make one, all take the same.

    Where the state cannot compare and swap, they may not: whoever gets the hold keeps its own, by `Key.keep`.
    """
    found = read_key(state)
    if found is None:
        state.swaps()  # from here on it knows whether it can compare
        state.write_version(KEY, OpenedBytes(f"{secrets.token_hex(32)}\n".encode()), None)
        found = read_key(state)
    if found is None:
        raise OffhookError(f"{state.name} does not keep what is written to it", hint="is it the right place?")
    return found
