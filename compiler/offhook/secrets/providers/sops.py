"""Secrets in SOPS files under inventory/secrets/, opened by the real `sops` program: one process a file.

The sealed bytes of the commit that is published go in on standard input, the opened ones come back on standard output:
nothing is written to disk, and nothing but names of options stands in arguments, which other users of a machine can
read. What sops says on standard error may quote a value ("Input string ... does not match"): only reasons that are
known are shown. Its exit codes are those of cmd/sops/codes/codes.go.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from offhook.problem import Mark, Problem
from offhook.secrets.answers import Answer, Fault, Found, Hidden, Request, quoted
from offhook.secrets.names import SecretFile, link_names, read_file
from offhook.secrets.opened_text import OpenedBytes
from offhook.source import InventoryFile

TIMEOUT_S = 60.0
AT_ONCE = 4

_VARIABLES = {"PATH", "HOME", "GNUPGHOME", "GPG_TTY", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "TMPDIR"}
_VARIABLES |= {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"}
_VARIABLES |= {"SSL_CERT_FILE", "SSL_CERT_DIR", "CLOUDSDK_CONFIG", "IDENTITY_ENDPOINT", "IDENTITY_HEADER"}
_PREFIXES = ("SOPS_", "AWS_", "GOOGLE_", "AZURE_", "VAULT_")

_MAC_MISMATCH = (51, 52)
_TREE = (24, 25)
_NO_KEY = 128
_LOGIN = "log in where its key is (AWS, Google, Azure, Vault), or let the CI job take the role that may decrypt"
_AGE = "age-keygen makes one"
_NET = "look at the network, a proxy and the region"
_KEY_REASONS = (
    ("failed to open SOPS_AGE_KEY_FILE", "SOPS_AGE_KEY_FILE names no file that can be read", "set it to a key file"),
    ("failed to parse 'SOPS_AGE_KEY", "what SOPS_AGE_KEY or SOPS_AGE_KEY_FILE has is no age key", _AGE),
    ("any of the recipients", "the age key is none of those it is sealed for", ""),
    ("parsing age header", "its sealed data key is damaged", "git log -p -- FILE: take a good one, then sops edit"),
    ("ExpiredToken", "the login to its key service has expired", _LOGIN),
    ("invalid_grant", "the login to its key service has expired", _LOGIN),
    ("AccessDenied", "its key service denies this login", "allow it kms:Decrypt on the key"),
    ("PermissionDenied", "its key service denies this login", "allow it to decrypt with the key"),
    ("permission denied", "its key service denies this login", "allow it to decrypt with the key"),
    ("get credentials", "there is no login to its key service", _LOGIN),
    ("find default credentials", "there is no login to its key service", _LOGIN),
    ("DefaultAzureCredential", "there is no login to its key service", _LOGIN),
    ("request send failed", "its key service cannot be reached", _NET),
    ("connection refused", "its key service cannot be reached", _NET),
    ("no such host", "its key service cannot be reached", _NET),
    ("i/o timeout", "its key service cannot be reached", _NET),
    ("failed to load age identities", "there is no age key here", ""),
)
"""What sops says where no key opens a file, what that means, and the next step: the first that fits."""


class _Made(NamedTuple):
    """What a process came to: its exit code (None: it was stopped), what it wrote, or why it did not start."""

    code: int | None
    output: bytes
    said: bytes
    refused: str = ""


class _Job(NamedTuple):
    file: InventoryFile
    names: tuple[str, ...]
    content: SecretFile

    def mark(self, name: str) -> Mark:
        line, column, _ = self.content.rows[name]
        return Mark(self.file.path, line, column)


def fetch(request: Request) -> Answer:
    """Return the values of the wanted names, from those files only that have one."""
    read = [(file, *read_file(file)) for file in request.files if file.kind == "secret"]
    _, twice = link_names((file.path, content) for file, content, _ in read if not content.broken)
    jobs = _jobs(request, [(file, content) for file, content, _ in read if not content.broken])
    faults = [_fault(one) for _, content, problems in read if content.broken for one in problems]
    duplicates = [*twice, *(one for _, _, problems in read for one in problems if one.id == "duplicate-secret")]
    faults += [_fault(one) for one in duplicates if one.path in request.names]
    faults += _missing(request, jobs, is_complete=not any(content.broken for _, content, _ in read))
    values: dict[str, Found] = {}
    program = _program(request.environment)
    if program is None:
        names = tuple(name for job in jobs for name in job.names)
        hint = 'pip install "offhook[sops]", or https://getsops.io; then it must be in PATH'
        return Answer({}, [*faults, Fault(f"there is no program sops to open {quoted(names)}", hint, names=names)])
    for job, made in zip(jobs, _run(program, jobs, request.environment), strict=True):
        found, more = _values(job, made)
        values |= found
        faults += more
    return Answer(values, faults)


def _jobs(request: Request, read: list[tuple[InventoryFile, SecretFile]]) -> list[_Job]:
    """The files that have a wanted name, each with those names that no file before it has."""
    left = set(request.names)
    jobs = []
    for file, content in read:
        names = tuple(sorted(left & content.rows.keys()))
        left -= set(names)
        if names:
            jobs.append(_Job(file, names, content))
    return jobs


def _missing(request: Request, jobs: list[_Job], *, is_complete: bool) -> Iterator[Fault]:
    had = {name for job in jobs for name in job.names}
    names = tuple(name for name in request.names if name not in had)
    if names and not is_complete:
        yield Fault(f"{quoted(names)}: in no secrets file that can be read", names=names)
        return
    for name in names:
        message = f'no file of inventory/secrets/ has "{name}"'
        yield Fault(message, "sops edit inventory/secrets/FILE.yaml", request.places.get(name), (name,))


def _fault(problem: Problem) -> Fault:
    return Fault(problem.message, problem.hint, problem.mark, (problem.path,) if problem.path else ())


def _program(environment: Mapping[str, str]) -> str | None:
    """The path of sops: in PATH, or beside the Python that runs offhook, where pip puts it."""
    beside = str(Path(sys.executable).parent)
    return shutil.which("sops", path=os.pathsep.join([environment.get("PATH", os.defpath), beside]))


def _run(program: str, jobs: list[_Job], environment: Mapping[str, str]) -> list[_Made]:
    """Open the files, some at a time. Where that is interrupted the processes are ended first."""
    given = {name: value for name, value in environment.items() if name in _VARIABLES or name.startswith(_PREFIXES)}
    # what CI makes of a secret that is not there: sops would take "" for a file's name
    given = {name: value for name, value in given.items() if value}
    # which keys seal a file stands in the file; a configuration of the work tree has no say in a commit
    given.pop("SOPS_CONFIG", None)
    running: set[subprocess.Popen[bytes]] = set()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = [pool.submit(_decrypt, program, job.file, given, running) for job in jobs]
        try:
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            for process in list(running):
                _end(process)
            raise


def _decrypt(
    program: str, file: InventoryFile, environment: dict[str, str], running: set[subprocess.Popen[bytes]]
) -> _Made:
    kind = "json" if file.path.endswith(".json") else "yaml"
    options = ["--config", os.devnull, "decrypt", "--input-type", kind, "--output-type", "json", "/dev/stdin"]
    sealed = file.content
    try:
        # a session of its own: a question for a passphrase fails at once rather than wait for nobody
        process = subprocess.Popen(
            [program, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        return _Made(None, b"", b"", error.strerror or "the system refuses")
    running.add(process)
    try:
        output, said = process.communicate(sealed, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        _end(process)
        return _Made(None, b"", b"")
    finally:
        running.discard(process)
    return _Made(process.returncode, OpenedBytes(output), OpenedBytes(said))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and its children, and take what its pipes still hold."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(ValueError, OSError):
        process.communicate()


def _values(job: _Job, made: _Made) -> tuple[dict[str, Found], list[Fault]]:
    """The wanted values of a file that sops opened, or why it did not."""
    if made.code != 0:
        reason, hint = _reason(job, made)
        whole = Mark(job.file.path, 1, 1)
        return {}, [Fault(f"sops cannot open it: {reason}", hint, whole, job.names)]
    opened = _opened(made.output)
    if opened is None:
        message = "sops answers with what is no JSON"
        return {}, [Fault(message, "sops --version: 3.9 or later is needed", Mark(job.file.path, 1, 1), job.names)]
    values: dict[str, Found] = {}
    faults: list[Fault] = []
    hint = f"sops edit {job.file.path}"
    for name in job.names:
        value = opened.get(name)
        if isinstance(value, str) and (job.content.rows[name][2] is not None or not value):
            values[name] = Found(Hidden(value), job.mark(name), hint)
        else:
            faults.append(Fault(_not_a_text(name, name in opened, value), hint, job.mark(name), (name,)))
    return values, faults


def _opened(output: bytes) -> dict[str, Any] | None:
    """Every value by its name: the path of keys, as in `offhook.secrets.names`. None for what is no JSON mapping."""
    try:
        content = json.loads(output)
    except ValueError:
        return None
    return dict(_leaves(content, ())) if isinstance(content, dict) else None


def _leaves(value: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield from _leaves(inner, (*path, key))
        else:
            yield "/".join((*path, key)), inner


def _not_a_text(name: str, is_there: bool, value: Any) -> str:
    """What a value is that cannot be used; never the value itself."""
    if not is_there:
        return f'sops gives no value for secret "{name}": put its keys in quotes'
    if value is None:
        return f'secret "{name}" holds nothing'
    if isinstance(value, str):
        return f'secret "{name}" is not encrypted: rotate it, git keeps what was committed'
    if isinstance(value, list):
        return f'secret "{name}" is a list'
    return f'secret "{name}" is a number or a switch, and may have lost what was typed (a zero before it): quote it'


def _reason(job: _Job, made: _Made) -> tuple[str, str]:
    """Why sops did not open a file, and the next step; what it says itself is searched, never shown."""
    path = job.file.path
    if made.refused:
        return f"the program does not start: {made.refused.lower()}", "sops --version must work"
    if made.code is None:
        return f"no answer within {TIMEOUT_S:g} seconds", f"sops decrypt {path} > /dev/null: what does it wait for?"
    if made.code == _NO_KEY:
        reason, hint = _key_reason(" ".join(made.said.decode("utf-8", "replace").replace("|", " ").split()))
        return reason, hint.replace(" FILE", f" {path}")
    clear = [name for name, (_, _, sealed) in job.content.rows.items() if sealed is None]
    good = f"git log -p -- {path}: take a good one, then sops edit"
    if made.code in _MAC_MISMATCH:
        return "its MAC does not fit: it was edited without sops", good
    if made.code in _TREE:
        return f"{quoted(clear)} not encrypted" if clear else "a value was edited without sops", good
    if b"sops metadata not found" in made.said:
        return "it is not encrypted", f"sops encrypt -i {path} (and rotate what is in it: git keeps what was committed)"
    if made.code < 0:
        return f"it was ended by signal {-made.code}", "run it again"
    return f"exit code {made.code}", f"sops decrypt {path} > /dev/null says why; sops 3.9 or later is needed"


def _key_reason(said: str) -> tuple[str, str]:
    for phrase, reason, hint in _KEY_REASONS:
        if phrase in said:
            return reason, hint or "set SOPS_AGE_KEY_FILE to a key that it is sealed for (its `sops:` names them)"
    return "no key here opens it", "its `sops:` names the keys that do; sops decrypt FILE > /dev/null says more"
