"""Commit signatures: is a commit signed (SSH or GPG), and by somebody whom the fleet trusts?

Comes in: a signature and what it signs, as pygit2 has them, the committer's time, and a `Trust`: the contents of an
allowed_signers file and of a keyring. Goes out: a `Signature`. The real programs judge, in the steps of git's own
gpg-interface.c: ssh-keygen finds the principals, then verifies for one of them; gpg speaks its status lines
(GnuPG's doc/DETAILS). Neither sees a key, a keyring or a trust setting of the user's: what counts is `Trust` alone.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal
from urllib.parse import unquote_to_bytes

from offhook.texts import one_line

Kind = Literal["none", "ssh", "gpg", "x509", "unknown"]
State = Literal["unsigned", "good", "bad", "untrusted", "unchecked"]

# the first bytes that tell what made a signature, as in git's gpg-interface.c
_HEADERS: tuple[tuple[bytes, Kind], ...] = (
    (b"-----BEGIN SSH SIGNATURE-----", "ssh"),
    (b"-----BEGIN PGP SIGNATURE-----", "gpg"),
    (b"-----BEGIN PGP MESSAGE-----", "gpg"),
    (b"-----BEGIN SIGNED MESSAGE-----", "x509"),
)
_NAMES: dict[Kind, str] = {"ssh": "SSH", "gpg": "GPG", "x509": "X.509", "unknown": "unknown kind"}
_INSTALL = {"ssh-keygen": "install OpenSSH (openssh-client) 8.8 or later", "gpg": "install GnuPG (gnupg) 2.2 or later"}

_LONGEST = 65_536  # bytes; an RSA-16384 signature with its certificate has fewer
_LONGEST_NAME = 120
_PRINCIPALS = 8  # one line of allowed_signers may list thousands, and each costs a process
_SECONDS = 20

# ssh-keygen takes four digits for the year, and refuses 0
_FIRST, _LAST = 1, 253_402_300_799
_TOO_OLD = re.compile(rb'usage:|Invalid .*"?verify-time')
_SSH_GOOD = re.compile(r'Good "git" signature .*with (\S+) key (SHA256:[A-Za-z0-9+/]+)\s*')

# no gpg.conf; no questions; no agent and no keyboxd; no network; no trust database: being in the keyring is enough
_GPG = (
    *("--no-options", "--batch", "--no-tty", "--no-autostart"),
    *("--disable-dirmngr", "--no-auto-key-retrieve", "--no-auto-key-locate"),
    *("--trust-model=always", "--no-auto-check-trustdb", "--status-fd=1"),
)
_NO_PUBLIC_KEY = "9"  # the reason in an ERRSIG line: GPG_ERR_NO_PUBKEY
_OVER_A_DOCUMENT = ("00", "01")  # signature classes, RFC 9580 section 5.2.1: binary document, text document
_VERDICTS: dict[str, tuple[State, str]] = {
    "GOODSIG": ("good", ""),
    "BADSIG": ("bad", "the commit is not what was signed"),
    "EXPSIG": ("untrusted", "the signature has expired"),
    "EXPKEYSIG": ("untrusted", "the key has expired"),
    "REVKEYSIG": ("untrusted", "the key is revoked"),
    "ERRSIG": ("unchecked", "gpg cannot check it"),
}


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose signatures count: contents, not paths; None where the fleet names no such file.

    `allowed_signers` is in the format of ssh-keygen(1), ALLOWED SIGNERS; `keyring` has OpenPGP public keys, one or
    several, armored or binary, as `gpg --export` writes them.
    """

    allowed_signers: bytes | None
    keyring: bytes | None


@dataclass(frozen=True, slots=True)
class Signature:
    """What is known of a commit's signature. All texts are safe to show: one line, no control characters.

    `state` is unsigned; good: it fits the commit, and its key is trusted; bad: it does not fit; untrusted: its key is
    not in `Trust`, is not allowed to sign this then, has expired or is revoked; unchecked: nobody could tell. `signer`
    is the principal (SSH) or the user id (GPG), the key's fingerprint where no name is trusted, None where nothing is
    known; only where `state` is good is it proven. `detail` says why, in one plain line.
    """

    kind: Kind
    state: State
    signer: str | None
    detail: str


class _CannotCheckError(Exception):
    """Nobody can tell whether the signature is good; the message says why, and what helps."""


class _Folder:
    """A folder of our own: removed with this object, at the latest when the process ends."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="offhook-"))
        weakref.finalize(self, _remove, self.path, os.getpid())


@dataclass(frozen=True, slots=True)
class _Home:
    """A GnuPG home with nothing but a fleet's keyring: the fingerprints in it, or why there are none."""

    folder: _Folder
    keys: frozenset[str]
    fault: str


def verify(signature: bytes | None, payload: bytes, when: int, trust: Trust, *, now: int | None = None) -> Signature:
    """Return what a commit's signature is worth. `signature` is None where the commit has none.

    `payload` is what was signed: the commit without its signature. `when` is the committer's time in seconds since
    1970: keys in allowed_signers may be valid for a time (valid-after, valid-before; read as UTC). GPG keys are judged
    as of `now`, in seconds since 1970, by the clock where that is None. Never raises for what a commit, a file of
    `trust` or a missing program may bring. Costs two processes for SSH, one for GPG, more only where the answer is not
    "good"; what is made of `trust` is kept for the next call.
    """
    if signature is None:
        return Signature("none", "unsigned", None, "the commit has no signature")
    unknown: Kind = "unknown"
    kind = next((kind for header, kind in _HEADERS if signature.startswith(header)), unknown)
    try:
        if len(signature) > _LONGEST:
            raise _CannotCheckError(f"the signature has {len(signature)} bytes, at most {_LONGEST} are expected")
        if kind == "ssh":
            return _verify_ssh(signature, payload, when, trust.allowed_signers)
        if kind == "gpg":
            return _verify_gpg(signature, payload, trust.keyring, now)
        raise _CannotCheckError("only SSH and GPG signatures are checked")
    except _CannotCheckError as reason:
        return Signature(kind, "unchecked", None, str(reason))
    except OSError as error:
        return Signature(kind, "unchecked", None, f"cannot write temporary files: {error.strerror}")


def spoken(signature: Signature) -> str:
    """Return a signature in a few words: "signed by alice@example.com (SSH)", "not signed"."""
    if signature.state == "unsigned":
        return "not signed"
    words = {
        "good": f"signed by {signature.signer}",
        "bad": "signed, signature is bad",
        "untrusted": "signed, key not trusted",
        "unchecked": "signed, not checked",
    }
    return f"{words[signature.state]} ({_NAMES[signature.kind]})"


# SSH: ssh-keygen(1), -Y.


def _verify_ssh(signature: bytes, payload: bytes, when: int, allowed: bytes | None) -> Signature:
    """Judge an SSH signature as git does: who might have signed, whether one of them did, and else what is wrong."""
    if allowed is None:
        raise _CannotCheckError("there is no allowed_signers: name the file under signing in fleet.yaml")
    folder = _signers(allowed)
    with tempfile.NamedTemporaryFile(dir=folder.path) as file:
        file.write(signature)
        file.flush()
        signers = ("-f", str(folder.path / "allowed_signers"))
        about = ("-s", file.name, f"-Overify-time={_verify_time(when)}")
        found = _ssh_keygen("find-principals", *signers, *about)
        said = found.stderr
        for name in _principals(found.stdout):
            made = _ssh_keygen("verify", "-n", "git", *signers, "-I", name, *about, payload=payload)
            if match := _ssh_good(made):
                return Signature("ssh", "good", _shown(name) or match[2], f"{match[1]} key {match[2]}")
            said += made.stderr
        made = _ssh_keygen("check-novalidate", "-n", "git", *about, payload=payload)
    if match := _ssh_good(made):
        return Signature("ssh", "untrusted", match[2], _why_untrusted(said))
    return Signature("ssh", "bad", None, _why_bad(made.stderr))


def _principals(answer: bytes) -> list[str]:
    """The names that find-principals prints, one a line: an option-like one is a name all the same.

    They are the patterns of a line of allowed_signers; one that excludes (!bob@example.com) names nobody.
    """
    names = (line.strip() for line in os.fsdecode(answer).split("\n"))
    return [name for name in names if name and not name.startswith("!")][:_PRINCIPALS]


def _ssh_keygen(action: str, *arguments: str, payload: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    made = _run("ssh-keygen", "-Y", action, *arguments, stdin=payload)
    if made.returncode and _TOO_OLD.search(made.stderr):
        raise _CannotCheckError(f"ssh-keygen is too old: {_INSTALL['ssh-keygen']}")
    return made


def _ssh_good(made: subprocess.CompletedProcess[bytes]) -> re.Match[str] | None:
    """The key's type and fingerprint where ssh-keygen is content, by its exit code and by its words."""
    return _SSH_GOOD.fullmatch(os.fsdecode(made.stdout)) if made.returncode == 0 else None


def _why_untrusted(said: bytes) -> str:
    for words, why in (
        (b"has expired", "the key was no longer valid then, by valid-before in allowed_signers"),
        (b"not yet valid", "the key was not valid yet then, by valid-after in allowed_signers"),
        (b"signature namespace", "the key may not sign for git, by namespaces in allowed_signers"),
        (b"no valid principals", "allowed_signers allows no name of the certificate, or it was not valid then"),
    ):
        if words in said:
            return why
    return "the key is not in allowed_signers"


def _why_bad(said: bytes) -> str:
    for words, why in (
        (b"incorrect signature", "the commit is not what was signed"),
        (b"namespace does not match", "it was made for something else than git"),
    ):
        if words in said:
            return why
    return "it is no SSH signature that ssh-keygen can read"


def _verify_time(when: int) -> str:
    return datetime.fromtimestamp(min(max(when, _FIRST), _LAST), UTC).strftime("%Y%m%d%H%M%S")


@lru_cache(maxsize=2)
def _signers(allowed: bytes) -> _Folder:
    """A folder with this allowed_signers in it."""
    folder = _Folder()
    (folder.path / "allowed_signers").write_bytes(allowed)
    return folder


# GPG: gpg(1) and its status lines.


def _verify_gpg(signature: bytes, payload: bytes, keyring: bytes | None, now: int | None) -> Signature:
    if keyring is None:
        raise _CannotCheckError("there is no keyring: name the file under signing in fleet.yaml")
    home = _home(keyring)
    if home.fault:
        raise _CannotCheckError(home.fault)
    with tempfile.NamedTemporaryFile(dir=home.folder.path) as file:
        file.write(signature)
        file.flush()
        clock = () if now is None else (f"--faked-system-time={now}!",)
        status, code = _gpg(home.folder, *clock, "--verify", file.name, "-", stdin=payload)
    return _judged(status, code, home.keys)


def _judged(status: Sequence[list[str]], code: int, keys: frozenset[str]) -> Signature:
    """What gpg's status lines say of one signature. Several in one are refused, as git does: which one counts?"""
    verdicts = [fields for fields in status if fields[0] in _VERDICTS]
    if not verdicts:
        return Signature("gpg", "bad", None, "gpg finds no detached signature in it")
    if len(verdicts) > 1:
        return Signature("gpg", "bad", None, f"it holds {len(verdicts)} signatures, one is expected")
    word, *fields = verdicts[0]
    state, why = _VERDICTS[word]
    if word == "ERRSIG":  # key id, two algorithms, class, time, reason, fingerprint ("-" where it is not said)
        key = fields[6] if len(fields) > 6 and fields[6] != "-" else fields[0]
        if fields[5] == _NO_PUBLIC_KEY:
            return Signature("gpg", "untrusted", _shown(key), "the key is not in the keyring")
        return Signature("gpg", state, None, f"{why} (error {_shown(fields[5])})")
    if state == "bad":
        return Signature("gpg", state, None, why)
    # fingerprint, date, time, expiry, version, -, two algorithms, class, fingerprint of the primary key
    valid = [fields[1:] for fields in status if fields[0] == "VALIDSIG"]
    is_whole = len(valid) == 1 and len(valid[0]) >= 10 and valid[0][8] in _OVER_A_DOCUMENT
    # a gpg.conf of the whole machine may import the key that a signature brings along
    if is_whole and valid[0][9] not in keys:
        return Signature("gpg", "untrusted", _shown(valid[0][9]), "the key is not in the keyring")
    if not is_whole or (state == "good" and code != 0):
        return Signature("gpg", "bad", None, "it is no signature of a commit")
    name = unquote_to_bytes(os.fsencode(" ".join(fields[1:]))).decode("utf-8", "replace")
    return Signature("gpg", state, _shown(name) or valid[0][9], why or f"key {valid[0][9]}")


@lru_cache(maxsize=2)
def _home(keyring: bytes) -> _Home:
    """A throw-away GnuPG home into which these public keys are imported."""
    folder = _Folder()
    try:
        status, _ = _gpg(folder, "--import", stdin=keyring)
    except _CannotCheckError as reason:  # kept: fifty commits shall not wait for fifty timeouts
        return _Home(folder, frozenset(), str(reason))
    keys = frozenset(fields[2] for fields in status if fields[0] == "IMPORT_OK" and len(fields) > 2)
    fault = ""
    if not any(fields[0] == "IMPORT_RES" for fields in status):
        fault = f"gpg cannot import the keyring: {_INSTALL['gpg']}"
    elif not keys:
        fault = "the keyring holds no public key: gpg --export --armor NAME writes one"
    return _Home(folder, keys, fault)


def _gpg(folder: _Folder, *arguments: str, stdin: bytes) -> tuple[list[list[str]], int]:
    """The words of each status line, and the exit code. gpg escapes line breaks in what others wrote."""
    made = _run("gpg", "--homedir", str(folder.path), *_GPG, *arguments, stdin=stdin)
    if made.returncode < 0:
        raise _CannotCheckError(f"gpg was ended by signal {-made.returncode}")
    prefix = b"[GNUPG:] "
    lines = (line.removeprefix(prefix) for line in made.stdout.split(b"\n") if line.startswith(prefix))
    return [os.fsdecode(line).split(" ") for line in lines], made.returncode


# What both need.


def _run(program: str, *arguments: str, stdin: bytes) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end; in English, in UTC, without a shell. Raises _CannotCheckError where it does not."""
    environment = os.environ | {"LC_ALL": "C", "TZ": "UTC0"}
    try:
        return subprocess.run(
            [program, *arguments], input=stdin, capture_output=True, check=False, timeout=_SECONDS, env=environment
        )
    except FileNotFoundError as error:
        raise _CannotCheckError(f"{program} is not there: {_INSTALL[program]}") from error
    except OSError as error:
        raise _CannotCheckError(f"cannot run {program}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise _CannotCheckError(f"{program} did not answer within {_SECONDS} s") from error


def _remove(path: Path, process: int) -> None:
    # a forked child shares the folder, and must not take it away
    if os.getpid() == process:
        shutil.rmtree(path, ignore_errors=True)


def _shown(text: str) -> str:
    """A name from elsewhere on one line without control characters, and not longer than a line."""
    return one_line(text[: _LONGEST_NAME * 2])[:_LONGEST_NAME].rstrip()
