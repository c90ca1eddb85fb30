"""No secret leaves the published root: random markers as passwords, and a search of all that offhook shows or leaves.

Every verb runs as a real process, in every format and in failures. Looked through are its output, all files of its
home, cache, temporary folder, state, plan and repository, the arguments of every process it starts, and what
debuggers show of its variables; for each marker as it is, in hex, in Base64 and by plain digests.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pkgutil
import pprint
import re
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
import pytest
import yaml
from rich.pretty import pretty_repr
from rich.traceback import Traceback

import inventories
import peers
import repositories
from offhook.cli.run import VERBS
from offhook.compile import read_fleet
from offhook.flyingvoice.catalogue import parameters
from offhook.phone.boot import FetchOptions, boot
from offhook.phone.trace import shown_settings
from offhook.problem import OffhookError
from offhook.publish.carry.carrying import begin, carry, hold_of
from offhook.publish.plan.prepared import Prepared, prepare
from offhook.publish.state.hold import Patience
from offhook.publish.status import drift

KEY = inventories.ROOT / "docs" / "PUBLIC-demo-age-key.txt"
RECIPIENT = KEY.read_text().partition("public key: ")[2].splitlines()[0]
OFFHOOK = Path(sys.executable).parent / "offhook"
MAC = "0021f2000001"
NAMES = (
    *("berlin/alice", "berlin/bob", "berlin/desk", "berlin/lobby", "lyon/chloe", "lyon/desk", "lyon/room1"),
    *("porto/duarte", "porto/desk", "web/admin", "provisioning/password"),
)
BUCKET = "canary-phones"

SITE = """
import errno, logging, os, sys, time
WRITE, SLEEP = os.write, time.sleep
LOG = os.open(os.environ.pop("TEST_AUDIT"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
FLAG, FAULTS = os.environ.pop("TEST_FLAG"), os.environ.pop("TEST_FAULTS").split()

def audit(event, args):
    if event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        WRITE(LOG, f"open {args[0]}\\n".encode())
    elif event == "subprocess.Popen":
        WRITE(LOG, f"process {args[0]!r} {args[1]!r}\\n".encode())

sys.addaudithook(audit)
if "debug" in FAULTS:
    logging.basicConfig(level=logging.DEBUG)
if "quick" in FAULTS:
    time.sleep = lambda seconds: SLEEP(min(seconds, 0.01))
if {"full", "readonly", "pause", "bug-carry"} & set(FAULTS):
    from offhook.publish.roots.directory import Directory
    REAL = Directory.write

    def write(self, path, content, *about):
        if type(self) is not Directory or b"password" not in content:
            return REAL(self, path, content, *about)
        if "bug-carry" in FAULTS:
            raise ValueError(content.decode())
        REAL(self, path, content, *about)
        open(FLAG, "w").close()
        SLEEP(1.5)

    def no_room(descriptor, data):
        if b"password" in bytes(data):
            WRITE(descriptor, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return WRITE(descriptor, data)

    def no_files(self, *_):
        raise OSError(errno.EROFS, "Read-only file system")

    if "full" in FAULTS:
        os.write = no_room
    elif "readonly" in FAULTS:
        from offhook.publish.roots.directory import DirectoryState
        DirectoryState._write_new = Directory._write_new
        Directory._write_new = no_files
    else:
        Directory.write = write
if "bug" in FAULTS:
    from offhook.publish.tree import opened
    def render(values, render_cfg=opened.render_cfg):
        if "secret:" in "".join(values.values()):
            return render_cfg(values)
        raise ValueError("cannot render " + "".join(values.values()))
    opened.render_cfg = render
"""
"""What each process runs first: it notes which files are opened for writing and what is started, and makes faults."""


def marker() -> str:
    """A password that no text has by chance, with characters that formats escape."""
    return f"m{secrets.token_hex(8)}\"%&<\\'ü"


def core(value: str) -> str:
    """The part of a marker that JSON, URLs, HTML and a shell leave as it is."""
    return value[1:17]


@cache
def spellings(value: str) -> dict[bytes, str]:
    """How a marker could be found in bytes -> what that is called."""
    word = core(value).encode()
    found = {word: "as it is", word.upper(): "in capitals", word[::-1]: "reversed", word.hex().encode(): "hex"}
    found[word.hex().upper().encode()] = "hex"
    for shift in range(3):
        encoded = base64.b64encode(b"x" * shift + word)
        # what stands before and after the word changes the first and last digits
        found[encoded[4 if shift else 0 : -4]] = "Base64"
    for kind in ("md5", "sha1", "sha256"):
        found |= digests(value.encode(), kind)
    return found


def digests(content: bytes, kind: str) -> dict[bytes, str]:
    """A plain digest in the spellings that are usual."""
    digest = hashlib.new(kind, content, usedforsecurity=False).digest()
    return {digest.hex().encode(): kind, base64.b64encode(digest).rstrip(b"="): kind, digest: kind}


@dataclass
class Ended:
    """A process that ended: its code and output."""

    code: int
    output: str
    errors: str


@dataclass(repr=False)
class Lab:
    """A fleet in a repository, and every place that offhook may write to, below one folder."""

    base: Path
    values: dict[str, str] = field(default_factory=lambda: {name: marker() for name in NAMES})
    variables: dict[str, str] = field(default_factory=dict)
    more: dict[str, str] = field(default_factory=lambda: {"the root's password": marker(), "the AWS key": marker()})

    def __post_init__(self) -> None:
        for name in ("home", "cache", "temporary", "served", "audit", "site", "plans"):
            (self.base / name).mkdir()
        (self.base / "site" / "sitecustomize.py").write_text(SITE)

    @property
    def fleet(self) -> Path:
        """The repository."""
        return self.base / "fleet"

    def served(self, environment: str = "production") -> Path:
        """The root of an environment."""
        return self.base / "served" / environment

    def state(self, environment: str = "production") -> Path:
        """The state of an environment."""
        return self.base / f"{environment}.state"

    def environment(self) -> dict[str, str]:
        """The variables of a process; nothing of the developer's."""
        places = {"HOME": "home", "OFFHOOK_CACHE": "cache", "TMPDIR": "temporary", "PYTHONPATH": "site"}
        return {
            "PATH": f"{OFFHOOK.parent}:{os.environ['PATH']}",
            "SOPS_AGE_KEY_FILE": str(KEY),
            "OFFHOOK_ROOT_USERNAME": "publisher",
            "OFFHOOK_ROOT_PASSWORD": self.more["the root's password"],
            "AWS_ACCESS_KEY_ID": "AKIDCANARY",
            "AWS_SECRET_ACCESS_KEY": self.more["the AWS key"],
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_REGION": "eu-central-1",
            **{name: str(self.base / folder) for name, folder in places.items()},
            **self.variables,
        }

    def run(self, *arguments: str, faults: str = "", python: tuple[str, ...] = (), code: int | None = 0) -> Ended:
        """Run offhook, look at what it shows meanwhile and in the end, and demand its exit code."""
        with self.started(*arguments, faults=faults, python=python) as process:
            output, errors = process.communicate(timeout=60)
        ended = Ended(process.returncode, output.decode(), errors.decode())
        assert code is None or ended.code == code, f"{arguments}: {ended}"
        self.clean({f"stdout of {arguments}": output, f"stderr of {arguments}": errors})
        return ended

    @contextmanager
    def started(
        self, *arguments: str, faults: str = "", python: tuple[str, ...] = ()
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Start offhook, with its descendants' arguments and its temporary files watched until the block ends."""
        audit, flag = (self.base / "audit" / f"{secrets.token_hex(4)}.{kind}" for kind in ("log", "flag"))
        given = {"TEST_AUDIT": str(audit), "TEST_FLAG": str(flag), "TEST_FAULTS": faults}
        command = [sys.executable, *python, "-m", "offhook"] if python else [str(OFFHOOK)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            [*command, *arguments], cwd=self.fleet, env=self.environment() | given, stdout=pipe, stderr=pipe
        )
        process.flag = flag  # type: ignore[attr-defined]
        seen: dict[str, bytes] = {}
        ending = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(process.pid, seen, ending))
        watcher.start()
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            ending.set()
            watcher.join()
        self.clean(seen)
        log = audit.read_bytes()
        self.clean({"arguments of processes, names of files": log})
        forbidden = (str(self.base / "temporary").encode(), str(self.base / "home").encode())
        assert not [line for line in log.splitlines() if line.startswith(b"open ") and line[5:].startswith(forbidden)]

    def _watch(self, process: int, seen: dict[str, bytes], ending: threading.Event) -> None:
        while not ending.wait(0.01):
            for one in descendants(process):
                try:
                    arguments, variables = (Path(f"/proc/{one}/{what}").read_bytes() for what in ("cmdline", "environ"))
                except OSError:
                    continue
                seen[f"arguments {arguments!r}"] = arguments
                if b"decrypt" in arguments:
                    # sops is given AWS's credentials, as a key of KMS may seal
                    seen["variables of sops"] = variables.replace(self.more["the AWS key"].encode(), b"")
            for path in (self.base / "temporary").rglob("*"):
                try:
                    seen[str(path)] = path.read_bytes()
                except OSError:
                    continue

    def clean(self, found: Mapping[str, bytes]) -> None:
        """Demand that no marker is in any of these."""
        wanted = {**self.values, **self.more}
        for place, content in found.items():
            for name, value in wanted.items():
                for text, how in spellings(value).items():
                    assert text not in content, f"{name} stands {how} in {place}"

    def sweep(self, *, without: tuple[str, ...] = ()) -> None:
        """Demand that no marker, and no plain digest of a published file with one, is anywhere but on the roots."""
        published = [path.read_bytes() for path in (self.base / "served").rglob("*") if path.is_file()]
        secret = [one for one in published if any(value.encode() in one for value in self.values.values())]
        plain = {text for one in secret for kind in ("md5", "sha1", "sha256") for text in digests(one, kind)}
        found = {
            str(path.relative_to(self.base)): path.read_bytes()
            for path in self.base.rglob("*")
            if path.is_file() and not path.is_relative_to(self.base / "served") and path.name not in without
        }
        found["git objects"] = self.git_objects()
        names = "\n".join(str(path.relative_to(self.base)) for path in self.base.rglob("*"))
        found["names of files"] = names.encode()
        assert len(found) > 20
        self.clean(found)
        for place, content in found.items():
            assert not [text for text in plain if text in content], f"a plain digest stands in {place}"
        short = {text[:8].decode() for text in plain if re.fullmatch(rb"[0-9a-f]+", text)}
        assert not [one for one in re.findall(r"\.([0-9a-f]{8})\.cfg", names) if one in short]
        self.owners_only()

    def owners_only(self) -> None:
        """Demand that nobody else can read what may help to find a secret."""
        for folder in [*self.base.glob("*.state"), self.base / "cache"]:
            for path in [folder, *folder.rglob("*")]:
                mode = stat.S_IMODE(path.stat().st_mode)
                assert not mode & 0o077 or path == self.base / "cache", f"{path} has mode {mode:o}"

    def git_objects(self) -> bytes:
        """Return all objects, unpacked."""
        command = ["git", "cat-file", "--batch-all-objects", "--batch", "--unordered"]
        return subprocess.run(command, cwd=self.fleet, capture_output=True, check=True).stdout

    def served_markers(self, environment: str = "production") -> set[str]:
        """Return the names of the secrets that stand in files of a root."""
        files = [path.read_text() for path in self.served(environment).rglob("*.cfg")]
        return {name for name, value in self.values.items() if any(value in text for text in files)}

    def commit(self, **environments: Mapping[str, Any]) -> None:
        """Commit the example fleet with these environments; sops seals the values where no other provider is said."""
        shutil.rmtree(self.fleet / "inventory", ignore_errors=True)
        shutil.copytree(inventories.ROOT / "inventory", self.fleet / "inventory")
        shutil.rmtree(self.fleet / "inventory" / "secrets")
        fleet = yaml.safe_load((self.fleet / "inventory/fleet.yaml").read_text())
        # nobody listens there
        fleet["notify"] = {"via": "sip:127.0.0.1:9;transport=tcp", "username": "u", "password": "secret:web/admin"}
        pinned = {"url": "https://prov.nordwind.example/9f2c/", "pin": True, "username": "phone"}
        pinned |= {"password": "secret:provisioning/password"}
        fleet["environments"] = {
            name: {
                word: value
                for word, value in (
                    pinned | {"publish": str(self.served(name)), "state": str(self.state(name)), **said}
                ).items()
                if value is not None
            }
            for name, said in environments.items()
        }
        fleet |= {"default_environment": next(iter(environments)), "limits": {"changed": "100%"}, "utc_offset": "+0"}
        inventories.write_inventory(self.fleet, {"fleet.yaml": fleet})
        for name in environments:
            self.served(name).mkdir(exist_ok=True)
            self.state(name).mkdir(mode=0o700, exist_ok=True)
        if not all("secrets" in said for said in environments.values()):
            self.seal()
        if not (self.fleet / ".git").exists():
            repositories.start(self.fleet)
        repositories.commit(self.fleet)

    def seal(self) -> None:
        """Write the secrets file, sealed by the real sops."""
        nested: dict[str, Any] = {}
        for name, value in self.values.items():
            group, _, key = name.partition("/")
            nested.setdefault(group, {})[key] = value
        path = self.fleet / "inventory" / "secrets" / "all.yaml"
        path.parent.mkdir(exist_ok=True)
        command = [peers.program("sops"), "--config", os.devnull, "encrypt", "--age", RECIPIENT]
        command += ["--input-type", "json", "--output-type", "yaml", "/dev/stdin"]
        done = subprocess.run(command, input=json.dumps(nested).encode(), capture_output=True, check=True)
        path.write_bytes(done.stdout)

    def edit(self, name: str) -> None:
        """Give one secret in the secrets file its value, as `sops edit` does."""
        group, _, key = name.partition("/")
        command = [peers.program("sops"), "set", str(self.fleet / "inventory" / "secrets" / "all.yaml")]
        command += [f'["{group}"]["{key}"]', json.dumps(self.values[name])]
        subprocess.run(command, env=self.environment(), capture_output=True, check=True)

    def rotate(self, name: str) -> str:
        """Give a secret another value of the same length, and return the former one."""
        former = self.values[name]
        self.values[name] = marker()
        self.more[f"the former {name}"] = former
        return former

    def set_variables(self) -> None:
        """Give the secrets by variables."""
        for name, value in self.values.items():
            self.variables[f"OFFHOOK_SECRET_{name.upper().replace('/', '_')}"] = value


def descendants(process: int) -> list[int]:
    """A process and all that it started, as far as they run."""
    found = [process]
    for one in found:
        try:
            for task in Path(f"/proc/{one}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        except OSError:
            continue
    return found


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the developer's AWS settings away."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A lab whose fleet is sealed by sops."""
    made = Lab(tmp_path)
    staged = {"rollout": {"verify": "false", "gate": {"wait": "0 s"}, "failures": 1}}
    made.commit(production={}, layered={"layout": "layered"}, staged=staged)
    return made


# the search itself


@pytest.mark.peer
def test_the_search_finds_what_is_there(lab: Lab) -> None:
    value = lab.values["berlin/alice"]
    shown: list[bytes] = [
        value.encode(),
        json.dumps(value).encode(),
        repr(value).encode(),
        value.encode().hex().encode(),
    ]
    shown += [base64.b64encode(b"x" * shift + value.encode() + b"y") for shift in range(3)]
    shown += [base64.b64encode(f"password = {value}\n".encode()), hashlib.sha256(value.encode()).hexdigest().encode()]
    for one in shown:
        with pytest.raises(AssertionError, match="berlin/alice stands"):
            lab.clean({"a place": b"... " + one + b" ..."})
    repositories.commit(lab.fleet)
    (lab.fleet / "note").write_text(value)
    repositories.commit(lab.fleet)
    (lab.fleet / "note").unlink()
    with pytest.raises(AssertionError, match="berlin/alice stands as it is in git objects"):
        lab.sweep()


# every verb

STYLES = ("text", "json", "junit")
CALLS: dict[str, list[tuple[str, int | None]]] = {
    "check": [(f"check --format {style}", 0) for style in ("text", "github", "json", "sarif", "junit")]
    + [("-v check --env production", 0), ("--no-cache check --rev HEAD --against HEAD~1", 0)],
    "compile": [
        ("-v compile", 0),
        ("compile --check --format json", 0),
        ("compile --env layered --out site2 --timings", 0),
    ],
    "show": [(f"show {MAC} --format {style}", 0) for style in ("text", "json", "svg")]
    + [(f"-v show {MAC} --rev HEAD", 0)],
    "labels": [("-v labels berlin --out labels.html", 0), ("labels berlin --rev HEAD --env layered", 0)],
    "diff": [
        ("diff HEAD~1 HEAD", 0),
        ("-v diff HEAD~1 --format json --out diff.json", 0),
        ("--no-cache diff HEAD~1", 0),
        ("diff HEAD~1 HEAD --format markdown", 0),
        ("diff HEAD~1 HEAD --format html --out diff.html", 0),
        ("-v diff HEAD~1 HEAD --only sites/porto", None),
    ],
    "why": [(f"why {MAC} account.1.password --format {style}", 0) for style in ("text", "json")]
    + [(f"-v why {MAC} static.security.user_password", None)],
    "blame": [(f"-v blame {MAC}", 0), (f"blame {MAC} --format json", 0)],
    "log": [(f"-v log {MAC}", 0), (f"log {MAC} --format json", 0), (f"log {MAC} account.1.password", 0)],
    "publish": [
        ("-v publish production --dry-run", 0),
        ("publish production --dry-run --plan ../plans/plan.json --format json", 0),
        ("-v publish production --apply ../plans/plan.json", 0),
        ("publish production --format json", 0),
        ("publish production --dry-run --exit-code", 0),
        ("-v --color always publish layered", 0),
        ("publish layered --dry-run --plan ../plans/layered.json", 0),
        ("publish nowhere", 1),
    ],
    "status": [
        ("-v status production", 0),
        ("status production --format json", 0),
        ("status layered --quick --exit-code", 0),
        ("--no-cache status layered --rev HEAD~1", 0),
    ],
    "releases": [("-v releases production", 0), ("releases production --format json --no-fetch -n 1", 0)],
    "clock": [("-v clock --within 400", 0), ("clock --at 2026-03-25 --exit-code --format json", 4)],
    "report": [
        *((f"-v report production --from 1 --format {style}", 0) for style in ("text", "json", "csv", "html")),
        ("report production --no-fetch --out ../plans/report.html --format html", 0),
    ],
    "rollback": [
        ("-v rollback production --dry-run", None),
        ("rollback production 1 --dry-run --format json", 0),
        ("-v rollback production 1 --reason again", 0),
    ],
    "boot": [
        (f"-v boot {MAC} --from file://BASE/served/production/", 0),
        (f"boot {MAC} --from file://BASE/served/layered/ --format json", 0),
        (f"boot {MAC} --from file://BASE/served/production/ --memory ../plans/phone.json", 0),
    ],
    "verify": [
        *((f"-v verify production --via file://BASE/served/production/ --format {style}", 0) for style in STYLES),
        (f"verify layered {MAC} --via file://BASE/served/layered/ --rev HEAD --jobs 1", 0),
        ("-v verify file://BASE/served/production/ --env layered", 0),
    ],
    "notify": [
        ("-v notify production --all --dry-run", 0),
        *((f"-v notify production --all --rate 10000/s --format {style}", 1) for style in (*STYLES, "csv")),
    ],
    "deploy": [
        ("-v deploy staged --dry-run", 0),
        ("deploy staged --dry-run --plan ../plans/staged.json --format json", 0),
        ("-v deploy staged --now --metrics ../plans/staged.prom", 1),  # nobody answers
        ("deploy staged --now", 1),
    ],
    "rollout": [
        *((f"-v rollout status staged --format {style}", 1) for style in (*STYLES, "csv", "prometheus")),
        ("rollout pause staged", 0),
        ("-v rollout resume staged --format json", 1),
        ("rollout revert staged", 1),  # nothing was there before
    ],
    "dhcp": [(f"-v dhcp production --format {server}", 0) for server in ("dnsmasq", "kea", "isc")],
    "provision-page": [(f"-v provision-page production --format {style}", 0) for style in ("text", "json")],
    "serve": [("serve --http off --tftp off", 2)],  # one that serves has a test of its own
}
"""Verb -> calls with all options that matter, and how each ends, in an order in which they can be made."""


def call(lab: Lab, words: str, code: int | None) -> None:
    lab.run(*words.replace("BASE", str(lab.base)).split(), code=code)


@pytest.mark.peer
def test_every_verb_in_every_format(lab: Lab) -> None:
    assert CALLS.keys() == VERBS.keys()
    repositories.commit(lab.fleet, message="nothing")
    in_turn = ("publish", "status", "releases", "report", "rollback", "boot", "verify", "notify", "deploy", "rollout")
    with ThreadPoolExecutor(2) as pool:
        reading = [calls for verb, calls in CALLS.items() if verb not in in_turn]
        list(pool.map(lambda calls: [call(lab, *one) for one in calls], reading))
    for verb in in_turn:
        for one in CALLS[verb]:
            call(lab, *one)
    repositories.commit(lab.fleet, message="site")
    assert lab.served_markers() == lab.served_markers("layered") == set(NAMES)
    lab.sweep(without=("phone.json",))
    # what a phone remembers is what it was told: the one file with passwords, and it is asked for
    memory = lab.base / "plans" / "phone.json"
    assert stat.S_IMODE(memory.stat().st_mode) == 0o600


@pytest.mark.peer
@pytest.mark.parametrize("style", ["text", "json"])
def test_a_lab_server_shows_no_password(lab: Lab, style: str) -> None:
    """Phones log in and get theirs, others fail to; the inventory breaks and is mended; secrets go and come back."""
    words = f"-v serve --env production --format {style} --http 0 --tftp 0 --ftp 0 --no-pnp".split()
    with lab.started(*words) as process:
        assert process.stdout is not None
        shown = [process.stdout.readline() for _ in range(4 if style == "text" else 1)]
        ports = dict(re.findall(r"(http|tftp|ftp)://[0-9.]+:([0-9]+)/", b"".join(shown).decode()))
        known = FetchOptions(username="phone", password=lab.values["provisioning/password"])
        for protocol, port in ports.items():
            url = f"{protocol}://127.0.0.1:{port}/"
            for options in (known, FetchOptions(username="phone", password=lab.values["berlin/bob"]), FetchOptions()):
                result = boot(MAC, url, options=options)
                assert result.complete or options is not known or protocol == "tftp"
        path = lab.fleet / "inventory/fleet.yaml"
        former = path.read_text()
        for text in (
            "sip: {{{",
            former,
            former.replace("secret:web/admin", "secret:web/nothing"),
            former + "vars: {}\n",
        ):
            path.write_text(text)
            time.sleep(1)
        process.send_signal(signal.SIGUSR1)
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert len(ports) == 3
    assert b"current" in output
    lab.clean({"the log": b"".join(shown) + output, "errors": errors})
    lab.sweep()


@pytest.mark.parametrize("closed", [False, True])
def test_a_root_that_was_changed_is_verified_without_secrets(tmp_path: Path, closed: bool) -> None:
    lab = Lab(tmp_path)
    lab.commit(production={"secrets": {"provider": "env"}})
    lab.set_variables()
    lab.run("publish", "production")
    alice, bob = (lab.values[name] for name in ("berlin/alice", "berlin/bob"))
    for path in lab.served().glob("*.cfg"):
        # another phone's password, one under a name that is none's, one in the open, and one inside of a text
        text = path.read_text().replace(alice, bob)
        text += f"linekey.9.label={alice}\nnobody.password={alice}\naccount.1.label=x {alice} y\n"
        # who cannot open it knows it only where a phone is told that it is a password
        path.write_text(text + ("" if closed else f"lang.gui=x{bob}y\n"))
    if closed:
        lab.variables.clear()
    for where in ("production --via", "--rev HEAD production --via", "--env production"):
        for style in STYLES:
            call(lab, f"-v verify {where} file://BASE/served/production/ --format {style}", 1)


def test_every_secret_parameter_is_hidden_in_a_boot() -> None:
    names = [spelled for one in parameters().values() if one.secret for spelled in (one.guide, one.static) if spelled]
    shown = shown_settings({re.sub(r"\{\w\}", "1", name): "canary" for name in names})
    assert len(shown) > 10
    assert "canary" not in shown.values()


# every provider; rotated passwords

SSM = {"provider": "aws-ssm", "prefix": "/phones/"}
MANAGER = {"provider": "aws-secretsmanager", "prefix": "phones/"}


def put(lab: Lab, provider: Mapping[str, str], endpoint: str) -> None:
    """Put the values where a provider looks for them."""
    if provider["provider"] == "sops":
        if (lab.fleet / "inventory" / "secrets").exists():
            lab.edit("berlin/alice")
        else:
            lab.seal()
        repositories.commit(lab.fleet)
    elif provider["provider"] == "env":
        lab.set_variables()
    else:
        keys = {"aws_access_key_id": "x", "aws_secret_access_key": "y", "region_name": "eu-central-1"}
        session = boto3.session.Session(**keys)
        for name, value in lab.values.items():
            if provider is SSM:
                client = session.client("ssm", endpoint_url=endpoint)
                client.put_parameter(Name=f"/phones/{name}", Value=value, Type="SecureString", Overwrite=True)
            else:
                client = session.client("secretsmanager", endpoint_url=endpoint)
                try:
                    client.create_secret(Name=f"phones/{name}", SecretString=value)
                except client.exceptions.ResourceExistsException:
                    client.put_secret_value(SecretId=f"phones/{name}", SecretString=value)


@pytest.mark.peer
@pytest.mark.parametrize(
    ("provider", "layout"),
    [
        ({"provider": "sops"}, "layered"),
        ({"provider": "env"}, "flat"),
        ({"provider": "env"}, "layered"),
        (SSM, "flat"),
        (MANAGER, "layered"),
    ],
    ids=str,
)
def test_a_rotated_password_of_equal_length_is_sent(tmp_path: Path, provider: dict[str, str], layout: str) -> None:
    lab = Lab(tmp_path)
    with ExitStack() as stack:
        if provider in (SSM, MANAGER):
            lab.variables["AWS_ENDPOINT_URL"] = endpoint = stack.enter_context(peers.moto())
        else:
            endpoint = ""
        lab.commit(production={"layout": layout, "secrets": provider})
        put(lab, provider, endpoint)
        lab.run("-v", "publish", "production", faults="debug")
        assert lab.served_markers() == set(NAMES)
        boots = {path.name: path.read_bytes() for path in lab.served().glob("*.boot")}
        sizes = sorted(path.stat().st_size for path in lab.served().rglob("*.cfg"))
        former = lab.rotate("berlin/alice")
        put(lab, provider, endpoint)
        assert lab.run("status", "production").output.count("the root holds what was published") == 1
        allow = ("--allow", f"cutoff:{MAC}")
        planned = json.loads(lab.run("publish", "production", "--dry-run", "--format", "json", *allow).output)
        assert planned["phones"] == {"added": [], "removed": [], "changed": [MAC]}
        assert len(planned["writes"]) == (1 if layout == "flat" else 2)
        shown = lab.run("publish", "production", "--dry-run", *allow).output
        assert ("1 phone with nothing but other secrets" in shown) is (provider["provider"] != "sops"), shown
        done = json.loads(lab.run("publish", "production", "--format", "json", *allow).output)
        assert (done["done"]["release"], done["phones"]["changed"]) == (2, [MAC])
        own = lab.served() / f"{MAC}.cfg"
        if layout == "layered":
            changed = [path for path in lab.served().glob("*.boot") if path.read_bytes() != boots[path.name]]
            assert [path.name for path in changed] == [f"{MAC}.boot"]
            [own] = [lab.served() / one for one in planned["writes"] if one.startswith("phones/")]
        else:
            assert sorted(path.stat().st_size for path in lab.served().rglob("*.cfg")) == sizes
        assert lab.values["berlin/alice"] in own.read_text()
        assert former not in own.read_text()
        lab.sweep()


FORBIDDEN = ["a{}\nb", "a\t{}", "{}\x7f", " {}", "{} "]


@pytest.mark.parametrize("form", FORBIDDEN)
def test_a_value_that_no_phone_can_read_stops_the_publish(tmp_path: Path, form: str) -> None:
    lab = Lab(tmp_path)
    lab.commit(production={"secrets": {"provider": "env"}})
    good = lab.values["porto/desk"]
    lab.values["porto/desk"] = form.format(good)
    lab.set_variables()
    lab.values["porto/desk"] = good  # whose core is looked for
    for options in ((), ("--dry-run",)):
        ended = lab.run("-v", "publish", "production", *options, faults="debug", code=1)
        assert 'secret "porto/desk" holds a ' in ended.errors
    assert not [*lab.served().iterdir(), *lab.state().iterdir()]
    lab.sweep()


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640)])
def test_what_only_the_owner_may_read(tmp_path: Path, mask: int, mode: int) -> None:
    lab = Lab(tmp_path)
    lab.commit(production={"secrets": {"provider": "env"}, "state": None})
    lab.set_variables()
    shutil.rmtree(lab.state())
    former = os.umask(mask)
    try:
        lab.run("publish", "production")
    finally:
        os.umask(former)
    state = lab.base / "served" / "production.offhook-state"
    assert {stat.S_IMODE(path.stat().st_mode) for path in [state, *state.rglob("*")]} == {0o700, 0o600}
    # what a TFTP server hands out must be readable by its own user
    assert {stat.S_IMODE(path.stat().st_mode) for path in lab.served().glob("*.cfg")} == {mode}
    lab.clean({str(path): path.read_bytes() for path in state.rglob("*") if path.is_file()})
    lab.clean({str(path): path.read_bytes() for path in (lab.base / "cache").rglob("*") if path.is_file()})


# failures


@contextmanager
def echoing(status: int) -> Iterator[str]:
    """A web server that refuses every PUT with what was sent, in its headers and its body; gives its host and port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(status, str(self.headers).encode() + content)

        def do_GET(self) -> None:
            self._answer(404, b"")

        do_MKCOL = do_DELETE = do_PROPFIND = do_GET

        def _answer(self, code: int, content: bytes) -> None:
            self.send_response(code, content.decode("utf-8", "replace").replace("\n", " ").replace("\r", " ")[:9000])
            self.send_header("WWW-Authenticate", 'Basic realm="phones"')
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_web_server_that_answers_with_what_it_was_sent(tmp_path: Path, status: int) -> None:
    lab = Lab(tmp_path)
    with echoing(status) as host:
        lab.commit(production={"secrets": {"provider": "env"}, "publish": f"http://{host}/phones"})
        lab.set_variables()
        ended = lab.run("-v", "publish", "production", faults="debug quick", python=("-X", "dev"), code=1)
        assert ended.errors.count("error: ") == 1
        lab.run("publish", "production", "--format", "json", faults="quick", code=1)
    lab.sweep()


def s3_echoing(status: str) -> Callable[[dict[str, Any]], tuple[str, bytes] | None]:
    """What makes moto refuse phones' files with what was sent."""

    def answer(environ: dict[str, Any]) -> tuple[str, bytes] | None:
        if environ["REQUEST_METHOD"] != "PUT" or not environ["PATH_INFO"].endswith(".cfg"):
            return None
        sent = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        environ["CONTENT_LENGTH"] = "0"
        text = sent.decode().replace("&", "&amp;").replace("<", "&lt;")
        return status, f"<Error><Code>InternalError</Code><Message>{text}</Message></Error>".encode()

    return answer


def s3(endpoint: str) -> dict[str, Any]:
    """An environment in a new bucket, with its state in another."""
    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "y", "region_name": "us-east-1"}
    client = boto3.session.Session(**keys).client("s3", endpoint_url=endpoint)
    for bucket in (BUCKET, f"{BUCKET}-state"):
        client.create_bucket(Bucket=bucket)
    connection = {"endpoint": endpoint, "region": "us-east-1"}
    addresses = {"publish": f"s3://{BUCKET}/9f2c", "state": f"s3://{BUCKET}-state/phones"}
    return {"secrets": {"provider": "env"}, "connection": connection, **addresses}


@pytest.mark.parametrize("status", ["403 Forbidden", "500 Internal Server Error"])
def test_a_store_that_answers_with_what_it_was_sent(tmp_path: Path, status: str) -> None:
    lab = Lab(tmp_path)
    with peers.moto(s3_echoing(status)) as endpoint:
        lab.commit(production=s3(endpoint))
        lab.set_variables()
        ended = lab.run("-v", "publish", "production", faults="debug quick", python=("-X", "dev"), code=1)
        assert "error: s3://canary-phones/9f2c/" in ended.errors
        lab.run("status", "production", code=1)
    lab.sweep()


def test_a_publish_to_a_store_with_all_logging_on(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    with peers.moto() as endpoint:
        lab.commit(production=s3(endpoint) | {"layout": "layered"})
        lab.set_variables()
        ended = lab.run("-v", "publish", "production", faults="debug")
        assert "DEBUG:" in ended.errors
        logged = ended.errors.encode()
        lab.run("status", "production", faults="debug")
        keys = {"aws_access_key_id": "x", "aws_secret_access_key": "y", "region_name": "us-east-1"}
        client = boto3.session.Session(**keys).client("s3", endpoint_url=endpoint)
        kept: dict[str, dict[str, bytes]] = {"": {}, "-state": {}}
        for bucket, found in kept.items():
            for one in client.list_objects_v2(Bucket=BUCKET + bucket)["Contents"]:
                found[one["Key"]] = client.get_object(Bucket=BUCKET + bucket, Key=one["Key"])["Body"].read()
    assert {name for name, value in lab.values.items() if value.encode() in b"".join(kept[""].values())} == set(NAMES)
    plain = {text: key for key, one in kept[""].items() for text in (*digests(one, "md5"), *digests(one, "sha256"))}
    assert not [
        key for text, key in plain.items() if text in logged and key.startswith("9f2c/phones/") and key.endswith(".cfg")
    ]
    lab.clean(kept["-state"])
    lab.sweep()


FAULTS = [
    ("full", 1, "no space left on device"),
    ("readonly", 1, "read-only file system"),
    ("bug", 3, "ValueError"),
    ("bug-carry", 3, "ValueError"),
]


@pytest.mark.parametrize(("fault", "code", "said"), FAULTS)
def test_a_fault_in_the_middle(tmp_path: Path, fault: str, code: int, said: str) -> None:
    lab = Lab(tmp_path)
    lab.commit(production={"secrets": {"provider": "env"}, "layout": "layered"})
    lab.set_variables()
    for python in ((), ("-X", "dev", "-X", "faulthandler")):
        assert said in lab.run("-v", "publish", "production", faults=f"{fault} debug", python=python, code=code).errors
    lab.run("status", "production", code=1)
    lab.sweep()
    lab.run("publish", "production")
    assert lab.served_markers() == set(NAMES)


def test_standard_output_is_full(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.commit(production={"secrets": {"provider": "env"}})
    lab.set_variables()
    given = lab.environment() | {"TEST_AUDIT": str(lab.base / "audit/a"), "TEST_FLAG": "", "TEST_FAULTS": ""}
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [OFFHOOK, "publish", "production"],
            cwd=lab.fleet,
            env=given,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 1
    lab.clean({"stderr": done.stderr})


STATES: list[tuple[str, Callable[[Path], object]]] = [
    ("is damaged", lambda state: (state / "head.json").write_text("[")),
    ("is damaged", lambda state: (state / "key").write_text("not hex")),
    ("the key is gone", lambda state: (state / "key").unlink()),
    (
        "too many levels of symbolic links",
        lambda state: ((state / "head.json").unlink(), (state / "head.json").symlink_to("key")),
    ),
    ("is no folder", lambda state: (shutil.rmtree(state), state.write_text(""))),
]


@pytest.mark.parametrize("number", range(len(STATES)))
def test_a_state_that_cannot_be_read(tmp_path: Path, number: int) -> None:
    said, damage = STATES[number]
    lab = Lab(tmp_path)
    lab.commit(production={"secrets": {"provider": "env"}})
    lab.set_variables()
    lab.run("publish", "production")
    damage(lab.state())
    for words in ("-v publish production", "status production"):
        assert said in lab.run(*words.split(), faults="debug", code=1).errors


STOPS = [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9), (signal.SIGABRT, -6)]


@pytest.mark.parametrize(("number", "code"), STOPS)
def test_a_run_that_is_stopped(tmp_path: Path, number: signal.Signals, code: int) -> None:
    lab = Lab(tmp_path)
    lab.commit(production={"secrets": {"provider": "env"}})
    lab.set_variables()
    python = ("-X", "dev", "-X", "faulthandler")
    with lab.started("-v", "publish", "production", faults="pause debug", python=python) as process:
        end = time.monotonic() + 30
        while not process.flag.exists() and time.monotonic() < end:  # type: ignore[attr-defined]
            time.sleep(0.02)
        process.send_signal(number)
        if number in (signal.SIGINT, signal.SIGTERM):
            time.sleep(0.3)
            process.send_signal(number)  # again, as people do
        try:
            output, errors = process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            output, errors = process.communicate()
    lab.clean({"stdout": output, "stderr": errors})
    assert process.returncode == code, errors
    assert lab.served_markers()
    lab.sweep()
    assert not [*(lab.base / "temporary").iterdir()]
    lab.run("status", "production", code=1)
    lab.run("publish", "production")
    assert lab.served_markers() == set(NAMES)


# debuggers, and reports with local variables


def every_view(thing: object) -> str:
    """What a debugger shows of an object and of what it holds."""
    shown = [repr(thing), str(thing), pprint.pformat(thing), pretty_repr(thing), pretty_repr(thing, max_string=18)]
    # Python before 3.11.3 cannot read its own slot for weak references
    shown += [repr(getattr(thing, name, None)) for name in dir(thing) if name != "__weakref__"]
    return "\n".join(shown)


def every_report(error: BaseException) -> str:
    """What tracebacks with local variables show of an exception and of all that it came from."""
    shown = list(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    for length in (None, 18):
        more = {"show_locals": True, "locals_max_length": length, "locals_max_string": length}
        rich = Traceback.extract(type(error), error, error.__traceback__, **more)
        shown += [str(node) for stack in rich.stacks for one in stack.frames for node in (one.locals or {}).values()]
    seen: BaseException | None = error
    while seen is not None:
        # also what `raise ... from None` hides
        for frame, _ in traceback.walk_tb(seen.__traceback__):
            if "/tests/" not in frame.f_code.co_filename:
                shown.append(repr(frame.f_locals))
        seen = seen.__context__
    assert len(shown) > 20
    return "\n".join(shown)


def make(lab: Lab) -> Prepared:
    """Return a prepared publish of the lab's fleet, in this process."""
    return prepare(lab.fleet, read_fleet(lab.fleet, "HEAD", environment="production"))


@pytest.fixture
def variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A lab in this process, its secrets in variables."""
    lab = Lab(tmp_path)
    lab.commit(production={"secrets": {"provider": "env"}, "layout": "layered"})
    lab.set_variables()
    for name, value in lab.environment().items():
        if name not in ("PATH", "PYTHONPATH"):
            monkeypatch.setenv(name, value)
    return lab


def seen_by_a_debugger(lab: Lab) -> list[object]:
    prepared = make(lab)
    made: list[object] = [prepared, prepared.tree, prepared.survey, prepared.steps, prepared.tree.secrets]
    with hold_of(prepared, patience=Patience(), say=lambda _: None) as hold:
        publication = begin(prepared, hold, processes=1, progress=lambda *_: None)
        made += [publication, hold, hold.head, prepared.tree.key, prepared.manifest, prepared.state, prepared.place]
        contents = [one for share in prepared.tree.shares for one in share()]
        made += contents
        publication.upload()
        publication.switch()
    assert any(lab.values["berlin/alice"].encode() in one.data for one in contents)
    return made


def test_nothing_that_publish_works_with_shows_a_secret(variables: Lab) -> None:
    made = seen_by_a_debugger(variables)
    variables.more["the key"] = f"m{(variables.state() / 'key').read_text()[:16]}"
    variables.clean({type(one).__name__: every_view(one).encode() for one in made})


class Broken(Exception):
    """A bug."""


def breaking(real: Callable[..., Any], after: int) -> Callable[..., Any]:
    """A function that raises in the middle of its work: at a call after the first ones, its arguments in its frame."""
    calls = iter(range(1_000_000))

    def broken(*arguments: Any, **more: Any) -> Any:
        if next(calls) >= after:
            raise Broken
        return real(*arguments, **more)

    return broken


BREAKS = [
    ("offhook.secrets.opening.text_fault", 3),
    ("offhook.secrets.providers.env.variable", 3),
    ("offhook.secrets.opening.Request", 0),
    ("offhook.publish.tree.opened.render_cfg", 5),
    ("offhook.publish.tree.opened._ordered", 2),
    ("offhook.publish.state.keyed.Key.of_file", 14),
    ("offhook.publish.state.keyed.Key.of_text", 3),
    ("offhook.publish.plan.prepared.plan_steps", 0),
    ("offhook.publish.plan.prepared.strangers", 0),
    ("offhook.publish.plan.prepared.judge", 0),
    ("offhook.publish.carry.carrying.write_intended", 0),
    ("offhook.publish.carry.publication.send", 0),
    ("offhook.publish.carry.publication.write_manifest", 0),
    ("offhook.publish.roots.directory.Directory.write", 20),
    ("offhook.publish.roots.directory.Directory._write_new", 20),
    ("offhook.publish.roots.directory.own_path", 20),
    ("os.fsync", 40),
]


@pytest.mark.parametrize(("place", "after"), BREAKS)
def test_a_bug_is_reported_without_secrets(variables: Lab, place: str, after: int) -> None:
    real = pkgutil.resolve_name(place)
    with mock.patch(place, breaking(real, after)), pytest.raises(Broken) as caught:
        carry(make(variables))
    report = every_report(caught.value)
    key = variables.state() / "key"
    if key.exists():
        variables.more["the key"] = f"m{key.read_text()[:16]}"
    variables.clean({f"the report of a bug in {place}": report.encode()})


def test_a_bug_in_status_is_reported_without_secrets(variables: Lab) -> None:
    prepared = make(variables)
    carry(prepared)

    def broken(_: object, content: bytes) -> str:
        if b"password" in content:
            raise Broken
        return ""

    with mock.patch("offhook.publish.state.keyed.Key.of_file", broken), pytest.raises(Broken) as caught:
        drift(prepared.place)
    variables.clean({"the report of a bug in status": every_report(caught.value).encode()})


def losing(real: Callable[..., Any]) -> Callable[..., Any]:
    """A function that sends, until something with a password is to be sent."""

    def send(connection: Any, data: Any, *more: Any) -> Any:
        if isinstance(data, bytes) and b"password" in data:
            raise ConnectionResetError
        return real(connection, data, *more)

    return send


@contextmanager
def ftp(lab: Lab) -> Iterator[str]:
    """An FTP server that knows the lab's login; gives host, port and path."""
    folder = lab.base / "served" / "ftp"
    folder.mkdir()
    with peers.ftpd(folder, "publisher", lab.more["the root's password"], perm="elradfmw") as url:
        yield url.rpartition("@")[2]


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("s3", "http.client.HTTPConnection.send"),
        ("s3", "socket.socket.sendall"),
        ("http", "socket.socket.sendall"),
        ("ftp", "socket.socket.sendall"),
    ],
)
def test_a_lost_connection_is_reported_without_secrets(
    variables: Lab, monkeypatch: pytest.MonkeyPatch, kind: str, place: str
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with ExitStack() as stack:
        if kind == "s3":
            said = s3(stack.enter_context(peers.moto())) | {"state": str(variables.state())}
        elif kind == "ftp":
            host = stack.enter_context(ftp(variables))
            said = {"publish": f"ftp://{host}", "secrets": {"provider": "env"}}
        else:
            host = stack.enter_context(echoing(200))
            said = {"publish": f"http://{host}/phones", "secrets": {"provider": "env"}}
        variables.commit(production=said)
        prepared = make(variables)
        real = pkgutil.resolve_name(place)
        with mock.patch(place, losing(real)), pytest.raises(OffhookError, match=r"breaks off|connection") as caught:
            carry(prepared)
    variables.clean({f"the report of a lost connection to {kind}": every_report(caught.value).encode()})
