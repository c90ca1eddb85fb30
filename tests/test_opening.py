"""Secrets opened at publish: from the real sops and from the environment; what cannot be opened; that nothing shows."""

from __future__ import annotations

import copy
import dataclasses
import logging
import os
import pickle
import pprint
import secrets
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import inventories
import peers
import repositories
from offhook.problem import Mark, OffhookError
from offhook.secrets.answers import Answer, Hidden
from offhook.secrets.opening import PROVIDERS, Opened, SecretsError, open_secrets
from offhook.secrets.providers import sops as provider
from offhook.source import InventoryFile, read_source

KEY = inventories.ROOT / "docs" / "PUBLIC-demo-age-key.txt"
RECIPIENT = KEY.read_text().partition("public key: ")[2].splitlines()[0]
OTHER_KEY = "AGE-SECRET-KEY-1QYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZ9K4CN"  # 32 bytes of 01
PLACE = Mark("inventory/accounts/all.yaml", 3, 5)


def environment(**more: str) -> dict[str, str]:
    """What sops needs with the demo key, and nothing of the developer's."""
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "SOPS_AGE_KEY_FILE": str(KEY)} | more


def seal(plain: str, kind: str = "yaml") -> bytes:
    """A file sealed by the real sops for the demo key."""
    command = [peers.program("sops"), "--config", os.devnull, "encrypt", "--age", RECIPIENT]
    command += ["--input-type", kind, "--output-type", kind, "/dev/stdin"]
    return subprocess.run(command, input=plain.encode(), capture_output=True, check=True).stdout


def secret_file(content: bytes, path: str = "inventory/secrets/a.yaml") -> InventoryFile:
    return InventoryFile(path, "secret", "", lambda: content)


def sealed(plain: str, path: str = "inventory/secrets/a.yaml") -> InventoryFile:
    return secret_file(seal(plain, "json" if path.endswith("json") else "yaml"), path)


def by_sops(names: list[str], *files: InventoryFile, **more: str) -> dict[str, str]:
    """The values of names, opened with the demo key."""
    opened = open_secrets(names, provider={}, files=files, environment=environment(**more), places={"gone": PLACE})
    return {name: opened.value(name) for name in opened.names}


def refused(call: Callable[[], object]) -> list[tuple[str, str]]:
    """The faults of a call that must refuse: (line, next step)."""
    with pytest.raises(SecretsError) as caught:
        call()
    assert caught.value.__context__ is None
    return [(str(fault), fault.hint) for fault in caught.value.faults]


# the value itself


@dataclasses.dataclass
class Holder:
    """What publish may keep an Opened in."""

    secrets: Opened


def by_env(**variables: str) -> Opened:
    names = [name.lower() for name in variables]
    given = {f"OFFHOOK_SECRET_{name}": value for name, value in variables.items()}
    return open_secrets(names, provider={"provider": "env"}, environment=given)


def test_a_value_is_given_by_its_name() -> None:
    opened = by_env(A="one", B="two")
    assert (opened.names, opened.value("a"), opened.value("b")) == (("a", "b"), "one", "two")
    with pytest.raises(KeyError):
        opened.value("c")


def every_view(thing: Any) -> list[str]:
    """All that Python shows of an object without being asked for a value."""
    shown = [repr(thing), str(thing), f"{thing}", "%s %r" % (thing, thing), pprint.pformat({"a": [thing]})]  # noqa: UP031
    shown += [repr(getattr(thing, name, None)) for name in dir(thing)]
    shown += [repr(getattr(thing, name, None)) for kind in type(thing).__mro__ for name in vars(kind)]
    for refuse in (vars, pickle.dumps, copy.copy, copy.deepcopy, dataclasses.asdict, lambda one: f"{one:>20}", hash):
        try:
            shown.append(repr(refuse(thing)))
        except TypeError as error:
            shown += [str(error), repr(error.args)]
            if not isinstance(thing, Holder):  # a half-made copy of what holds it has no repr
                shown += traceback.TracebackException.from_exception(error, capture_locals=True).format()
    return shown


def test_nothing_shows_a_value() -> None:
    canary = secrets.token_hex(12)
    opened = by_env(A=canary)
    assert repr(opened) == "<opened secrets: 1>"
    assert not [
        text for thing in (opened, Holder(opened), Hidden(canary)) for text in every_view(thing) if canary in text
    ]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_secrets_are_not_pickled(protocol: int) -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(by_env(A="one"), protocol)


def test_secrets_are_neither_copied_nor_compared() -> None:
    one = by_env(A="one")
    for call in (copy.copy, copy.deepcopy, lambda it: it.__getstate__(), lambda it: dataclasses.asdict(Holder(it))):
        with pytest.raises(TypeError, match="not pickled or copied"):
            call(one)
    for compare in (lambda: one == one, lambda: one != by_env(A="one"), lambda: one == "one", lambda: "one" in [one]):
        with pytest.raises(TypeError, match="not compared"):
            compare()
    with pytest.raises(TypeError):
        hash(one)


def test_logging_and_tracebacks_show_no_value(caplog: pytest.LogCaptureFixture) -> None:
    canary = secrets.token_hex(12)
    caplog.set_level(logging.DEBUG)
    opened = by_env(A=canary)
    logging.getLogger("x").debug("%s %r", opened, Holder(opened))
    given = {"OFFHOOK_SECRET_A": canary, "OFFHOOK_SECRET_B": f"{canary}\n"}
    with pytest.raises(SecretsError) as caught:
        open_secrets(["a", "b"], provider={"provider": "env"}, environment=given)
    error = caught.value
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [
        repr(frame.locals) for frame in report.stack if "offhook" in frame.filename and "/tests/" not in frame.filename
    ]
    said = [caplog.text, str(error), repr(error), repr(error.args), error.message, error.hint, repr(error.faults)]
    assert frames
    assert not [text for text in [*said, *frames] if canary in text]


# names, and what any provider must hold


def test_nobody_is_asked_where_there_is_no_name() -> None:
    for kind in PROVIDERS:
        assert open_secrets([], provider={"provider": kind}, environment={}).names == ()


def test_an_unknown_provider() -> None:
    with pytest.raises(OffhookError, match='no provider of secrets is called "vault"'):
        open_secrets(["a"], provider={"provider": "vault"}, environment={})


def test_what_is_no_name_is_a_bug_and_is_not_shown() -> None:
    with pytest.raises(ValueError, match=r"^no name of a secret$"):
        open_secrets(["hunter 2"], provider={"provider": "env"}, environment={})


def test_a_provider_passes_over_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offhook.secrets.opening.PROVIDERS", {"env": lambda _: Answer({}, [])})
    made = refused(lambda: open_secrets(["a"], provider={"provider": "env"}, environment={}))
    assert made == [('secret "a": its provider says nothing of it', "")]


BROKEN = "a line break or control character"
UNFIT = [
    ("", "nothing: a blank value means keep to the phone"),
    ("  ", "a blank at its edge"),
    (" a", "a blank at its edge"),
    ("a ", "a blank at its edge"),
    ("a\n", BROKEN),
    ("a\r\naccount.1.x = 1", BROKEN),
    ("a\tb", BROKEN),
    ("a\x7f", BROKEN),
    ("a\u2028b", BROKEN),
    ("\ufeffa", BROKEN),
    ("a\udcff", BROKEN),
]


@pytest.mark.parametrize(("value", "fault"), UNFIT)
def test_values_obey_the_byte_rules(value: str, fault: str) -> None:
    hint = "set OFFHOOK_SECRET_A without that (no newline at its end)"
    assert refused(lambda: by_env(A=value)) == [(f'secret "a" holds {fault}', hint)]


# the environment


def test_all_that_the_environment_lacks_is_said_at_once() -> None:
    call = {
        "provider": {"provider": "env"},
        "environment": {"OFFHOOK_SECRET_B": "", "OFFHOOK_SECRET_X_Y": "v"},
        "places": {"gone/one": PLACE},
    }
    assert refused(lambda: open_secrets(["gone/one", "b", "c", "x-y", "x/y", "c"], **call)) == [  # type: ignore[arg-type]
        (
            'secret "b" holds nothing: a blank value means keep to the phone',
            "set OFFHOOK_SECRET_B without that (no newline at its end)",
        ),
        ('secret "c" is not in the environment', "set OFFHOOK_SECRET_C"),
        ('secrets "x-y" and "x/y" would both be the variable OFFHOOK_SECRET_X_Y', "rename one of the two"),
        (f'{PLACE}: secret "gone/one" is not in the environment', "set OFFHOOK_SECRET_GONE_ONE"),
    ]


def test_the_command_line_gets_one_error_for_all() -> None:
    with pytest.raises(SecretsError) as one:
        open_secrets(["a"], provider={"provider": "env"}, environment={})
    assert (one.value.message, one.value.hint) == ('secret "a" is not in the environment', "set OFFHOOK_SECRET_A")
    with pytest.raises(SecretsError) as two:
        open_secrets(["a", "b"], provider={"provider": "env"}, environment={})
    assert two.value.message == "secrets cannot be opened, for 2 reasons"
    assert two.value.hint.split("\n  ") == [
        'secret "a" is not in the environment',
        "  set OFFHOOK_SECRET_A",
        'secret "b" is not in the environment',
        "  set OFFHOOK_SECRET_B",
    ]


# sops


@pytest.mark.peer
def test_the_example_fleet_opens() -> None:
    found = read_source(inventories.ROOT, None)
    names = ["berlin/alice", "web/admin", "porto/front"]
    files = [file for file in found.files if file.kind == "secret"]
    known = {name for name in names if name in _names(files)}
    assert len(known) >= 2
    opened = open_secrets(known, provider={"provider": "sops"}, files=files, environment=environment())
    assert {name: opened.value(name).count("demo-") for name in opened.names} == dict.fromkeys(known, 1)


def _names(files: list[InventoryFile]) -> set[str]:
    from offhook.secrets.names import read_file

    return {name for file in files for name in read_file(file)[0].rows}


@pytest.mark.peer
@pytest.mark.parametrize("kind", ["yaml", "json"])
def test_values_come_as_they_were_sealed(kind: str) -> None:
    plain = '{"a": {"b": "0101", "c": {"d": "ä=#\\"\'%&<>漢😀"}}, "e": "true", "big": "' + "x" * 200_000 + '"}'
    made = by_sops(["a/b", "a/c/d", "e", "big"], sealed(plain, f"inventory/secrets/a.{kind}"))
    assert made == {"a/b": "0101", "a/c/d": "ä=#\"'%&<>漢😀", "e": "true", "big": "x" * 200_000}


@pytest.mark.peer
def test_the_commit_is_opened_not_the_work_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = repositories.start(tmp_path / "fleet")
    files = inventories.minimal() | {"secrets/a.yaml": seal("a: of-the-commit").decode()}
    repositories.commit(root, files)
    (root / "inventory/secrets/a.yaml").write_text("not sops at all: [")
    (root / ".sops.yaml").write_text("creation_rules: [")
    monkeypatch.chdir(root)
    assert by_sops(["a"], *read_source(root, "HEAD").files, SOPS_CONFIG=".sops.yaml") == {"a": "of-the-commit"}


@pytest.mark.peer
def test_a_key_in_a_variable_or_in_a_file_named_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = sealed("a: x")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keys.txt").write_text(KEY.read_text())
    assert by_sops(["a"], file, SOPS_AGE_KEY_FILE="keys.txt") == {"a": "x"}
    given = {"PATH": os.environ["PATH"], "SOPS_AGE_KEY": KEY.read_text().splitlines()[-1]}
    assert open_secrets(["a"], provider={}, files=[file], environment=given).value("a") == "x"


@pytest.mark.peer
def test_sops_is_found_beside_python_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = sealed("a: x")
    (tmp_path / "sops").symlink_to(peers.program("sops"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    given = environment(PATH="/usr/bin:/bin")
    assert open_secrets(["a"], provider={}, files=[file], environment=given).value("a") == "x"


PIN = 'secret "pin" is a number or a switch, and may have lost what was typed (a zero before it): quote it'
VALUES = [
    ("pin: 0101", "pin", PIN),  # YAML's octal: sops seals 65
    ("pin: true", "pin", PIN),
    ("pin: 1.50", "pin", PIN),
    ("pin: [a, b]", "pin", 'secret "pin" is a list'),
    ("pin: null", "pin", 'secret "pin" holds nothing'),
    ('pin: ""', "pin", 'secret "pin" holds nothing: a blank value means keep to the phone'),
    ('pin: "a\\nb"', "pin", f'secret "pin" holds {BROKEN}'),
    ("pin: |\n  a", "pin", f'secret "pin" holds {BROKEN}'),
    ('pin: "a "', "pin", 'secret "pin" holds a blank at its edge'),
    (
        "p_unencrypted: x",
        "p_unencrypted",
        'secret "p_unencrypted" is not encrypted: rotate it, git keeps what was committed',
    ),
]


@pytest.mark.peer
@pytest.mark.parametrize(("plain", "name", "line"), VALUES)
def test_values_that_no_phone_can_use(plain: str, name: str, line: str) -> None:
    file = sealed(f"other: x\n{plain}\n")
    [(said, hint)] = refused(lambda: by_sops(["other", name], file))
    assert (said.partition(": ")[0], said.partition(": ")[2]) == ("inventory/secrets/a.yaml:2:1", line)
    assert hint == "sops edit inventory/secrets/a.yaml"


@pytest.mark.peer
def test_all_that_sops_cannot_open_is_said_at_once() -> None:
    files = [
        sealed('good: {one: x, two: "y "}', "inventory/secrets/a.yaml"),
        secret_file(b"plain: {three: x}", "inventory/secrets/b.yaml"),
        secret_file(b"broken: [", "inventory/secrets/c.yaml"),
        sealed("good: {one: z}", "inventory/secrets/d.yaml"),
    ]
    made = [
        line for line, _ in refused(lambda: by_sops(["good/one", "good/two", "plain/three", "gone", "lost"], *files))
    ]
    assert made[:3] == [
        '2 secrets ("gone", "lost"): in no secrets file that can be read',
        'inventory/secrets/a.yaml:3:5: secret "good/two" holds a blank at its edge',
        "inventory/secrets/b.yaml:1:1: sops cannot open it: it is not encrypted",
    ]
    assert made[3].startswith("inventory/secrets/c.yaml:2:1: ")
    assert (
        made[4] == 'inventory/secrets/d.yaml:2:5: secret "good/one" stands twice: first at inventory/secrets/a.yaml:2:5'
    )


def test_a_name_in_no_file_is_said_where_it_is_used() -> None:
    made = refused(lambda: by_sops(["gone"]))
    line = f'{PLACE}: no file of inventory/secrets/ has "gone"'
    assert made == [(line, "sops edit inventory/secrets/FILE.yaml")]


@pytest.mark.peer
def test_only_files_with_a_wanted_name_are_opened() -> None:
    other = secret_file(seal("b: x").replace(b"mac:", b"no:"), "inventory/secrets/b.yaml")
    assert by_sops(["a"], sealed("a: x"), other) == {"a": "x"}


def _without_bob(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("bob"))


def _swapped(text: str) -> str:
    first, second, *rest = text.splitlines()
    return "\n".join([f"alice:{second.partition(':')[2]}", f"bob:{first.partition(':')[2]}", *rest])


GOOD = "git log -p -- inventory/secrets/a.yaml: take a good one, then sops edit"
DAMAGES: list[tuple[Callable[[str], str], str, str]] = [
    (_without_bob, "its MAC does not fit: it was edited without sops", GOOD),
    (lambda text: text.replace("    mac:", "    max:"), "its MAC does not fit: it was edited without sops", GOOD),
    (_swapped, "a value was edited without sops", GOOD),
    (lambda text: f"carl: hunter2\n{text}", 'secret "carl" not encrypted', GOOD),
    (
        lambda text: text.replace("sops:", "sobs:"),
        "it is not encrypted",
        "sops encrypt -i inventory/secrets/a.yaml (and rotate what is in it: git keeps what was committed)",
    ),
    (
        lambda text: text.replace("BEGIN AGE ENC", "BEGIN AGE EMC"),
        "its sealed data key is damaged",
        GOOD,
    ),
]


@pytest.mark.peer
@pytest.mark.parametrize(("damage", "reason", "hint"), DAMAGES)
def test_files_that_were_changed_without_sops(damage: Callable[[str], str], reason: str, hint: str) -> None:
    file = secret_file(damage(seal("alice: x\nbob: y\n").decode()).encode())
    made = refused(lambda: by_sops(["alice"], file))
    assert made == [(f"inventory/secrets/a.yaml:1:1: sops cannot open it: {reason}", hint)]


SET = "set SOPS_AGE_KEY_FILE to a key that it is sealed for (its `sops:` names them)"
KEYS = [
    ({"SOPS_AGE_KEY_FILE": ""}, "there is no age key here", SET),
    (
        {"SOPS_AGE_KEY_FILE": "/nonexistent/keys"},
        "SOPS_AGE_KEY_FILE names no file that can be read",
        "set it to a key file",
    ),
    (
        {"SOPS_AGE_KEY_FILE": "", "SOPS_AGE_KEY": "AGE-SECRET-KEY-CANARY"},
        "what SOPS_AGE_KEY or SOPS_AGE_KEY_FILE has is no age key",
        "age-keygen makes one",
    ),
    ({"SOPS_AGE_KEY_FILE": "", "SOPS_AGE_KEY": OTHER_KEY}, "the age key is none of those it is sealed for", SET),
]


@pytest.mark.peer
@pytest.mark.parametrize(("given", "reason", "hint"), KEYS)
def test_no_key(given: dict[str, str], reason: str, hint: str) -> None:
    file = sealed("a: x")
    made = refused(lambda: by_sops(["a"], file, **given))
    assert made == [(f"inventory/secrets/a.yaml:1:1: sops cannot open it: {reason}", hint)]


_LOGIN = "log in where its key is (AWS, Google, Azure, Vault), or let the CI job take the role that may decrypt"


@pytest.mark.peer
@pytest.mark.parametrize(
    ("given", "reason", "hint"),
    [
        ({"AWS_EC2_METADATA_DISABLED": "true"}, "there is no login to its key service", _LOGIN),
        (
            {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
            "its key service cannot be reached",
            "look at the network, a proxy and the region",
        ),
    ],
)
def test_a_key_of_kms(given: dict[str, str], reason: str, hint: str) -> None:
    head, _, tail = seal("a: x").decode().partition("    age:\n")
    arn = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    kms = f'    kms:\n        - arn: {arn}\n          created_at: "2026-01-01T00:00:00Z"\n          enc: AQICAHhx\n'
    file = secret_file((head + kms + tail[tail.index("    lastmodified") :]).encode())
    made = refused(lambda: by_sops(["a"], file, AWS_MAX_ATTEMPTS="1", **given))
    assert made == [(f"inventory/secrets/a.yaml:1:1: sops cannot open it: {reason}", hint)]


SEALED = (
    b"a: ENC[AES256_GCM,data:YQ==,iv:YQ==,tag:YQ==,type:str]\n"
    b"sops:\n    mac: ENC[AES256_GCM,data:YQ==,iv:YQ==,tag:YQ==,type:str]\n"
)


def by_program(folder: Path, script: str, *, mode: int = 0o755, **more: str) -> list[tuple[str, str]]:
    """The faults with a program sops of our own."""
    (folder / "sops").write_text(script)
    (folder / "sops").chmod(mode)
    given = {"PATH": f"{folder}:/usr/bin:/bin"} | more
    return refused(lambda: open_secrets(["a"], provider={}, files=[secret_file(SEALED)], environment=given))


@pytest.mark.parametrize(
    ("script", "reason", "hint"),
    [
        (
            "#!/bin/sh\ncat >/dev/null; exit 7",
            "exit code 7",
            "sops decrypt {} > /dev/null says why; sops 3.9 or later is needed",
        ),
        ("#!/bin/sh\nkill -9 $$", "it was ended by signal 9", "run it again"),
        ("#!/nonexistent/sh\n", "the program does not start: no such file or directory", "sops --version must work"),
        ("", "the program does not start: exec format error", "sops --version must work"),
        (
            "#!/bin/sh\necho 'AccessDeniedException: hunter2' >&2; exit 128",
            "its key service denies this login",
            "allow it kms:Decrypt on the key",
        ),
        (
            "#!/bin/sh\necho 'ExpiredTokenException: hunter2' >&2; exit 128",
            "the login to its key service has expired",
            _LOGIN,
        ),
    ],
)
def test_a_program_that_fails(script: str, reason: str, hint: str, tmp_path: Path) -> None:
    place = "inventory/secrets/a.yaml"
    made = by_program(tmp_path, script)
    assert made == [(f"{place}:1:1: sops cannot open it: {reason}", hint.format(place))]


@pytest.mark.parametrize("output", ["hunter2", "[1]", "\\377", '{\\"a\\"'])
def test_a_program_that_answers_with_something_else(output: str, tmp_path: Path) -> None:
    made = by_program(tmp_path, f'#!/bin/sh\ncat >/dev/null; printf "{output}"')
    line = "inventory/secrets/a.yaml:1:1: sops answers with what is no JSON"
    assert made == [(line, "sops --version: 3.9 or later is needed")]


def test_a_value_that_sops_does_not_give(tmp_path: Path) -> None:
    made = by_program(tmp_path, "#!/bin/sh\ncat >/dev/null; echo '{}'")
    line = 'inventory/secrets/a.yaml:1:1: sops gives no value for secret "a": put its keys in quotes'
    assert made == [(line, "sops edit inventory/secrets/a.yaml")]


def test_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    given = {"PATH": str(tmp_path)}
    made = refused(lambda: open_secrets(["a"], provider={}, files=[secret_file(SEALED)], environment=given))
    hint = 'pip install "offhook[sops]", or https://getsops.io; then it must be in PATH'
    assert made == [('there is no program sops to open secret "a"', hint)]


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "TIMEOUT_S", 1.0)
    made = by_program(tmp_path, f"#!/bin/sh\nsleep 300 &\necho $! > {tmp_path}/child\nwait")
    line = "inventory/secrets/a.yaml:1:1: sops cannot open it: no answer within 1 seconds"
    assert made == [(line, "sops decrypt inventory/secrets/a.yaml > /dev/null: what does it wait for?")]
    child = int((tmp_path / "child").read_text())
    assert _comes(lambda: not _is_alive(child))


def test_an_interrupt_ends_the_processes(tmp_path: Path) -> None:
    (tmp_path / "sops").write_text(
        f"#!/bin/sh\necho $$ > {tmp_path}/new && mv {tmp_path}/new {tmp_path}/pid\nsleep 300\n"
    )
    (tmp_path / "sops").chmod(0o755)
    code = f"""
import signal, sys
from offhook.secrets.opening import open_secrets
from offhook.source import InventoryFile
signal.signal(signal.SIGINT, signal.default_int_handler)
file = InventoryFile("inventory/secrets/a.yaml", "secret", "", lambda: {SEALED!r})
open_secrets(["a"], provider={{}}, files=[file], environment={{"PATH": "{tmp_path}:/usr/bin:/bin"}})
"""
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) as run:
        assert _comes((tmp_path / "pid").exists)
        run.send_signal(2)
        _, said = run.communicate(timeout=30)
    assert b"KeyboardInterrupt" in said
    child = int((tmp_path / "pid").read_text())
    assert _comes(lambda: not _is_alive(child))


def _is_alive(process: int) -> bool:
    """Tell whether a process runs; one that ended and was not yet waited for does not."""
    try:
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def _comes(is_true: Callable[[], bool]) -> bool:
    """Wait for something that must come."""
    for _ in range(600):
        if is_true():
            return True
        time.sleep(0.05)
    return False


# what is left behind, and what others on the machine can read meanwhile


def watch(run: threading.Thread, folder: Path, seen: list[str]) -> None:
    """Sample the arguments of every process of ours while it runs; let the fakes go once one was seen."""
    while run.is_alive():
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                text = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if str(folder) in text or "decrypt" in text:
                seen.append(text)
                (folder / "go").touch()


@pytest.mark.peer
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="arguments of processes are read in /proc")
def test_nothing_is_left_on_disk_or_in_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    canaries = {f"s{number}": secrets.token_hex(12) for number in range(6)}
    root = repositories.start(tmp_path / "fleet")
    # a file for every secret, so that more processes are needed than run at once
    files = {f"secrets/{name}.yaml": seal(f"{name}: {value}").decode() for name, value in canaries.items()}
    repositories.commit(root, inventories.minimal() | files)
    temporary, programs = tmp_path / "tmp", tmp_path / "programs"
    temporary.mkdir()
    programs.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    wait = f"#!/bin/sh\nenv >> {programs}/environment\nuntil [ -e {programs}/go ]; do sleep 0.05; done\n"
    (programs / "sops").write_text(f'{wait}exec {peers.program("sops")} "$@"\n')
    (programs / "sops").chmod(0o755)
    given = environment(OFFHOOK_SECRET_X="canary-x", GITHUB_TOKEN="canary-y", TMPDIR=str(temporary))
    monkeypatch.setenv("OFFHOOK_SECRET_Z", "canary-z")
    given["PATH"] = f"{programs}:{given['PATH']}"
    before = _content(root)
    made: list[Opened] = []
    found = read_source(root, "HEAD").files
    run = threading.Thread(
        target=lambda: made.append(open_secrets(canaries, provider={}, files=found, environment=given))
    )
    seen: list[str] = []
    run.start()
    watch(run, programs, seen)
    run.join()
    assert {name: made[0].value(name) for name in made[0].names} == canaries
    assert seen
    assert _content(root) == before
    assert list(temporary.iterdir()) == []
    texts = [*seen, (programs / "environment").read_text(), caplog.text, *capfd.readouterr(), repr(made)]
    assert not [text for text in texts for canary in canaries.values() if canary in text]
    assert "AES256_GCM" not in "".join(seen)
    assert "canary-" not in (programs / "environment").read_text()
    left = b"".join(_content(tmp_path).values())
    assert not [canary for canary in canaries.values() if canary.encode() in left]


def _content(folder: Path) -> Mapping[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.peer
def test_what_sops_says_of_a_value_is_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    canary = secrets.token_hex(12)
    clear = secret_file(f"carl: {canary}\n".encode() + seal("a: x"))
    unfit = sealed(f'b: "{canary}\\n"\nc: [{canary}]\n', "inventory/secrets/b.yaml")
    with pytest.raises(SecretsError) as caught:
        by_sops(["a", "b", "c"], clear, unfit)
    error = caught.value
    assert len(error.faults) == 3
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [repr(frame.locals) for frame in report.stack if "/secrets/" in frame.filename]
    assert frames
    texts = [caplog.text, str(error), repr(error.args), error.hint, repr(error.faults), *frames]
    assert not [text for text in texts if canary in text]


@pytest.mark.peer
def test_no_more_than_four_run_at_once(tmp_path: Path) -> None:
    """Each fake leaves a mark while it runs and counts the marks: more than four would be counted."""
    (tmp_path / "sops").write_text(
        f"#!/bin/sh\ncat >/dev/null\nmkdir {tmp_path}/run.$$\nls -d {tmp_path}/run.* | wc -l >> {tmp_path}/counts\n"
        f"sleep 0.3\nls -d {tmp_path}/run.* | wc -l >> {tmp_path}/counts\nrmdir {tmp_path}/run.$$\n"
        'echo "{}"\n'
    )
    (tmp_path / "sops").chmod(0o755)
    files = [
        secret_file(SEALED.replace(b"a:", b"n%d:" % number, 1), f"inventory/secrets/{number}.yaml")
        for number in range(9)
    ]
    given = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    names = [f"n{number}" for number in range(9)]
    assert len(refused(lambda: open_secrets(names, provider={}, files=files, environment=given))) == 9
    assert 1 < max(map(int, (tmp_path / "counts").read_text().split())) <= 4
