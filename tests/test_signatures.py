"""Commit signatures: real commits, signed by the real git with real SSH and GPG keys, and what may go wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pygit2
import pytest

import peers
from offhook.document import parse
from offhook.git import signatures
from offhook.git.signatures import Signature, Trust, spoken, verify
from offhook.validate import validate

pytestmark = pytest.mark.peer

# 2023-11-14 22:13:20 UTC
WHEN = 1_700_000_000
NOBODY = Trust(b"", b"")
SSH_HEADER = b"-----BEGIN SSH SIGNATURE-----\n"
GPG_HEADER = b"-----BEGIN PGP SIGNATURE-----\n"
CHANGED = "the commit is not what was signed"


@dataclass(frozen=True)
class Commit:
    """What pygit2 says of a signed commit."""

    signature: bytes | None
    payload: bytes
    when: int = WHEN

    def judged(self, trust: Trust) -> Signature:
        return verify(self.signature, self.payload, self.when, trust)


@dataclass(frozen=True)
class Keys:
    """SSH keys of alice, bob and a certificate authority, and what they signed; `fingerprint` is alice's."""

    folder: Path
    commit: Commit
    certified: Commit
    fingerprint: str

    def public(self, name: str) -> str:
        return " ".join((self.folder / f"{name}.pub").read_text().split()[:2])

    def trust(self, line: str) -> Trust:
        """Trust in one line of allowed_signers, where ALICE, BOB and CA stand for their keys."""
        # in one pass: a key is random text, in which CA may stand
        known = re.sub("ALICE|BOB|CA", lambda name: self.public(name[0].lower()), line)
        return Trust(known.encode() + b"\n", None)


@dataclass(frozen=True)
class Ring:
    """A GnuPG home with secret keys; `fingerprints` by e-mail address."""

    home: Path
    fingerprints: dict[str, str]

    def gpg(self, *arguments: str, stdin: bytes = b"") -> bytes:
        command = ["gpg", "--homedir", str(self.home), "--batch", "--quiet", "--yes", "--trust-model=always"]
        command += ["--pinentry-mode=loopback", "--passphrase="]
        return subprocess.run([*command, *arguments], input=stdin, capture_output=True, check=True).stdout

    def export(self, *names: str) -> bytes:
        return self.gpg("--armor", "--export", *names)

    def sign(self, name: str, *arguments: str, content: bytes = b"tree 0\n") -> Commit:
        made = self.gpg("--armor", "--detach-sign", "--local-user", name, *arguments, stdin=content)
        return Commit(made, content)


def run(*command: object) -> None:
    subprocess.run([str(one) for one in command], check=True, capture_output=True, stdin=subprocess.DEVNULL)


def commit(folder: Path, *arguments: str) -> Commit:
    """Make a repository with one commit by the real git, with nobody's configuration, and read it with pygit2."""
    run("git", "init", "-q", folder)
    names = ["-c", "user.name=Alice", "-c", "user.email=alice@example.com"]
    environment = os.environ | {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_COMMITTER_DATE": f"{WHEN} +0100",
        "LC_ALL": "C",
    }
    command = ["git", "-C", str(folder), *names, *arguments, "--allow-empty", "-m", "phones: Grüße"]
    subprocess.run(command, check=True, capture_output=True, env=environment)
    repository = pygit2.Repository(str(folder))
    made = repository[repository.head.target]
    assert isinstance(made, pygit2.Commit)
    signature, payload = made.gpg_signature
    return Commit(signature, payload or b"", made.commit_time)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    for program in ("git", "ssh-keygen"):
        peers.program(program)
    folder = tmp_path_factory.mktemp("ssh")
    for name in ("alice", "bob", "ca"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", folder / name)
    names = ["-n", "alice@example.com", "-V", "20230101:20231231"]
    run("ssh-keygen", "-q", "-s", folder / "ca", "-I", "alice", *names, folder / "alice.pub")
    said = subprocess.run(["ssh-keygen", "-lf", folder / "alice.pub"], capture_output=True, text=True, check=True)

    def signed(key: str) -> Commit:
        config = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={folder / key}"]
        return commit(folder / f"repository-{key}", *config, "commit", "-S")

    return Keys(folder, signed("alice"), signed("alice-cert.pub"), said.stdout.split()[1])


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ring]:
    """Keys of alice and bob; old's has expired. The agent's socket wants a short path."""
    for program in ("git", "gpg", "gpgconf"):
        peers.program(program)
    home = tmp_path_factory.mktemp("g")
    home.chmod(0o700)
    ring = Ring(home, {})
    try:
        for name in ("Alice <alice@example.com>", "Jürgen <bob@example.com>"):
            ring.gpg("--quick-gen-key", name, "ed25519", "sign", "never")
        ring.gpg("--faked-system-time=20200101T000000", "--quick-gen-key", "old@example.com", "ed25519", "sign", "1d")
        for line in ring.gpg("--with-colons", "--list-keys").decode().splitlines():
            fields = line.split(":")
            if fields[0] == "fpr":
                fingerprint = fields[9]
            elif fields[0] == "uid":
                ring.fingerprints[fields[9].rpartition("<")[2].strip(">")] = fingerprint
        yield ring
    finally:
        run("gpgconf", "--homedir", home, "--kill", "all")


@pytest.fixture(scope="module")
def gpg_commit(ring: Ring, tmp_path_factory: pytest.TempPathFactory) -> Commit:
    """A commit that git signed with alice's GPG key."""
    program = tmp_path_factory.mktemp("bin") / "gpg"
    shim(program, f'exec gpg --homedir "{ring.home}" --batch "$@"')
    config = ["-c", f"gpg.program={program}", "-c", "user.signingkey=alice@example.com"]
    return commit(tmp_path_factory.mktemp("signed"), *config, "commit", "-S")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the module under test puts its files; what it keeps for the next call is dropped after each test."""
    folder = tmp_path / "t"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    signatures._home.cache_clear()
    signatures._signers.cache_clear()
    assert list(folder.iterdir()) == []


def shim(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def untrusted(keys: Keys, why: str) -> Signature:
    return Signature("ssh", "untrusted", keys.fingerprint, why)


def is_plain(signature: Signature) -> bool:
    texts = (signature.signer or "", signature.detail, spoken(signature))
    return all(text.isprintable() and len(text) < 250 for text in texts)


# What fleet.yaml says of it.

SIGNING = [
    ("{}", []),
    ("{require: false}", []),
    ("{allowed_signers: signing/allowed_signers, keyring: .github/keys.asc}", []),
    ("{require: true, allowed_signers: a}", []),
    ("{require: true, keyring: a}", []),
    ("{require: true}", ["missing-key"]),
    ("{require: yes, keyring: a}", ["wrong-type"]),
    ("{keyring: /etc/passwd}", ["bad-value"]),
    ("{keyring: ../a}", ["bad-value"]),
    ("{allowed_signers: a/../../b}", ["bad-value"]),
    ("{allowed_signers: a//b}", ["bad-value"]),
    ("{allowed_signers: 'C:\\a'}", ["bad-value"]),
    ("{keyring: a/}", ["bad-value"]),
    ("{keyring: .}", ["bad-value"]),
    ("{keyring: ''}", ["bad-value"]),
]


@pytest.mark.parametrize(("text", "problems"), SIGNING)
def test_what_a_fleet_may_say_of_signing(text: str, problems: list[str]) -> None:
    document, read = parse("inventory/fleet.yaml", f"signing: {text}\n".encode())
    assert read == []
    assert [problem.id for problem in validate("fleet", document)[1]] == problems


# Nothing to check, and nothing to check it with.


def test_a_commit_without_a_signature(tmp_path: Path) -> None:
    plain = commit(tmp_path / "r", "commit")
    assert plain.judged(NOBODY) == Signature("none", "unsigned", None, "the commit has no signature")
    assert spoken(plain.judged(NOBODY)) == "not signed"


@pytest.mark.parametrize(
    ("signature", "kind", "words"),
    [
        (b"-----BEGIN SIGNED MESSAGE-----\nMIIB\n-----END SIGNED MESSAGE-----\n", "x509", "X.509"),
        (b"-----BEGIN PGP SIGNATUR", "unknown", "unknown kind"),
        (b"", "unknown", "unknown kind"),
    ],
)
def test_what_is_neither_ssh_nor_gpg_is_not_checked(signature: bytes, kind: signatures.Kind, words: str) -> None:
    judged = verify(signature, b"tree 0\n", WHEN, NOBODY)
    assert judged == Signature(kind, "unchecked", None, "only SSH and GPG signatures are checked")
    assert spoken(judged) == f"signed, not checked ({words})"


def test_a_fleet_that_names_no_keys_runs_no_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for header, file in ((SSH_HEADER, "allowed_signers"), (GPG_HEADER, "keyring")):
        judged = verify(header, b"", WHEN, Trust(None, None))
        assert (judged.state, judged.signer) == ("unchecked", None)
        assert judged.detail == f"there is no {file}: name the file under signing in fleet.yaml"


@pytest.mark.parametrize(("header", "program"), [(SSH_HEADER, "ssh-keygen"), (GPG_HEADER, "gpg")])
def test_a_missing_program(header: bytes, program: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    judged = verify(header, b"", WHEN, NOBODY)
    assert judged.state == "unchecked"
    assert judged.detail.startswith(f"{program} is not there: install ")


BROKEN = [
    ("exec sleep 60", "did not answer within 0.1 s"),
    ("echo usage: >&2; exit 1", "too old: install|import the keyring: install"),
    ("kill -9 $$", "signal 9|no SSH signature"),
]


@pytest.mark.parametrize(("script", "words"), BROKEN)
@pytest.mark.parametrize(("header", "program"), [(SSH_HEADER, "ssh-keygen"), (GPG_HEADER, "gpg")])
def test_a_program_that_does_not_work(
    header: bytes, program: str, script: str, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shim(tmp_path / program, script)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    if "sleep" in script:
        monkeypatch.setattr(signatures, "_SECONDS", 0.1)
    judged = verify(header, b"", WHEN, NOBODY)
    assert judged.state in ("unchecked", "bad")
    assert [one for one in words.split("|") if one in judged.detail] != []


def test_where_no_file_can_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    for header in (SSH_HEADER, GPG_HEADER):
        judged = verify(header, b"", WHEN, NOBODY)
        assert judged.state == "unchecked"
        assert judged.detail == "cannot write temporary files: No such file or directory"


# SSH.


def test_an_ssh_signature_that_is_good(keys: Keys) -> None:
    judged = keys.commit.judged(keys.trust("alice@example.com ALICE"))
    assert judged == Signature("ssh", "good", "alice@example.com", f"ED25519 key {keys.fingerprint}")
    assert spoken(judged) == "signed by alice@example.com (SSH)"


def test_an_ssh_signature_of_another_commit(keys: Keys) -> None:
    altered = replace(keys.commit, payload=keys.commit.payload.replace(b"phones", b"Phones"))
    for line in ("alice@example.com ALICE", "bob@example.com BOB"):
        judged = altered.judged(keys.trust(line))
        assert judged == Signature("ssh", "bad", None, CHANGED)
        assert spoken(judged) == "signed, signature is bad (SSH)"


OUTSIDE = [
    ("bob@example.com BOB", "the key is not in allowed_signers"),
    ("", "the key is not in allowed_signers"),
    ("# alice@example.com ALICE", "the key is not in allowed_signers"),
    ("!alice@example.com ALICE", "the key is not in allowed_signers"),
    ('a@b valid-before="20231114221319" ALICE', "the key was no longer valid then, by valid-before in allowed_signers"),
    ('a@b valid-after="20231114221321" ALICE', "the key was not valid yet then, by valid-after in allowed_signers"),
    ('a@b namespaces="file" ALICE', "the key may not sign for git, by namespaces in allowed_signers"),
]


@pytest.mark.parametrize(("line", "why"), OUTSIDE)
def test_an_ssh_key_that_is_not_trusted(keys: Keys, line: str, why: str) -> None:
    judged = keys.commit.judged(keys.trust(line))
    assert judged == untrusted(keys, why)
    assert spoken(judged) == "signed, key not trusted (SSH)"


INSIDE = [
    ('a@b valid-after="20231114221319",valid-before="20231114221321" ALICE', "a@b"),
    ('a@b namespaces="file,git" ALICE', "a@b"),
    ("garbage\na@b nonsense\na@b ALICE", "a@b"),
    ("bob@b BOB\n!x@b,a@b,c@b ALICE", "a@b"),
    ("!x@b," * 20 + "a@b ALICE", "a@b"),
    ("*@example.com ALICE", "*@example.com"),
    ('-Oprint-pubkey,"two words" ALICE', "-Oprint-pubkey"),
    ('"-n" ALICE', "-n"),
    ('"two \N{RIGHT-TO-LEFT OVERRIDE}\x1b[31m words" ALICE', "two ??[31m words"),
    ("x" * 900 + " ALICE", "x" * 120),
]


@pytest.mark.parametrize(("line", "signer"), INSIDE)
def test_an_ssh_key_that_is_trusted(keys: Keys, line: str, signer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    judged = keys.commit.judged(keys.trust(line))
    assert (judged.state, judged.signer) == ("good", signer)
    assert is_plain(judged)


def test_times_are_utc_wherever_it_runs(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    version = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True).stderr
    if tuple(map(int, re.findall("[0-9]+", version)[:2])) < (9, 1):
        pytest.skip("OpenSSH has times with a Z since 9.1")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    line = 'a@b valid-after="20231114221319Z",valid-before="20231114221321" ALICE'
    assert keys.commit.judged(keys.trust(line)).state == "good"


def test_a_certificate(keys: Keys) -> None:
    trust = keys.trust("*@example.com cert-authority CA")
    judged = keys.certified.judged(trust)
    assert judged == Signature("ssh", "good", "alice@example.com", f"ED25519-CERT key {keys.fingerprint}")
    why = "allowed_signers allows no name of the certificate, or it was not valid then"
    later = replace(keys.certified, when=WHEN + 365 * 86_400)
    assert later.judged(trust) == untrusted(keys, why)
    assert keys.certified.judged(keys.trust("*@example.org cert-authority CA")) == untrusted(keys, why)
    # the same key without its certificate
    assert keys.commit.judged(trust) == untrusted(keys, "the key is not in allowed_signers")


@pytest.mark.parametrize("when", [-(2**63), -1, 0, 2**63 - 1])
def test_a_committer_may_say_any_time(keys: Keys, when: int) -> None:
    commit = replace(keys.commit, when=when)
    assert commit.judged(keys.trust("a@b ALICE")).state == "good"
    is_later = commit.judged(keys.trust('a@b valid-after="20200101" ALICE')).state == "good"
    is_earlier = commit.judged(keys.trust('a@b valid-before="20200101" ALICE')).state == "good"
    assert (is_later, is_earlier) == (when > 0, when <= 0)


def test_an_ssh_signature_for_something_else(keys: Keys, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(keys.commit.payload)
    run("ssh-keygen", "-q", "-Y", "sign", "-n", "file", "-f", keys.folder / "alice", tmp_path / "file")
    other = replace(keys.commit, signature=(tmp_path / "file.sig").read_bytes())
    judged = other.judged(keys.trust("alice@example.com ALICE"))
    assert judged == Signature("ssh", "bad", None, "it was made for something else than git")


# GPG.


def test_a_gpg_signature_that_is_good(ring: Ring, gpg_commit: Commit) -> None:
    keyrings = {
        "armored": ring.export("alice@example.com"),
        "binary": ring.gpg("--export"),
        "several": b"bob:\n" + ring.export("bob@example.com") + b"\nalice:\n" + ring.export("alice@example.com"),
    }
    key = ring.fingerprints["alice@example.com"]
    for keyring in keyrings.values():
        judged = gpg_commit.judged(Trust(None, keyring))
        assert judged == Signature("gpg", "good", "Alice <alice@example.com>", f"key {key}")
        assert spoken(judged) == "signed by Alice <alice@example.com> (GPG)"


def test_a_gpg_signature_of_another_commit(ring: Ring, gpg_commit: Commit) -> None:
    altered = replace(gpg_commit, payload=gpg_commit.payload + b"\n")
    judged = altered.judged(Trust(None, ring.export("alice@example.com")))
    assert judged == Signature("gpg", "bad", None, CHANGED)
    assert spoken(judged) == "signed, signature is bad (GPG)"


def test_the_users_own_keys_do_not_count(
    ring: Ring, gpg_commit: Commit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (ring.home / "gpg.conf").write_text("auto-key-import\n")
    monkeypatch.setenv("GNUPGHOME", str(ring.home))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".gnupg").symlink_to(ring.home)
    judged = gpg_commit.judged(Trust(None, ring.export("bob@example.com")))
    (ring.home / "gpg.conf").unlink()
    key = ring.fingerprints["alice@example.com"]
    assert judged == Signature("gpg", "untrusted", key, "the key is not in the keyring")
    assert spoken(judged) == "signed, key not trusted (GPG)"


def test_a_key_that_comes_with_the_signature_does_not_count(
    ring: Ring, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """gpg imports it where a gpg.conf of the whole machine says so."""
    gpg = peers.program("gpg")
    commit = ring.sign("alice@example.com", "--include-key-block")
    shim(tmp_path / "gpg", f'exec {gpg} --auto-key-import "$@"')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    judged = commit.judged(Trust(None, ring.export("bob@example.com")))
    key = ring.fingerprints["alice@example.com"]
    assert judged == Signature("gpg", "untrusted", key, "the key is not in the keyring")


def test_a_gpg_key_that_has_expired(ring: Ring) -> None:
    commit = ring.sign("old@example.com", "--faked-system-time=20200101T010000")
    judged = commit.judged(Trust(None, ring.export("old@example.com")))
    assert judged == Signature("gpg", "untrusted", "old@example.com", "the key has expired")


def test_a_gpg_signature_that_has_expired(ring: Ring) -> None:
    old = ["--faked-system-time=20200101T010000", "--default-sig-expire=1d"]
    ring.gpg("--faked-system-time=20200101T000000", "--quick-gen-key", "then@example.com", "ed25519", "sign", "never")
    judged = ring.sign("then@example.com", *old).judged(Trust(None, ring.export("then@example.com")))
    assert judged == Signature("gpg", "untrusted", "then@example.com", "the signature has expired")


def test_a_gpg_key_that_is_revoked(ring: Ring) -> None:
    ring.gpg("--quick-gen-key", "lost@example.com", "ed25519", "sign", "never")
    commit = ring.sign("lost@example.com")
    assert commit.judged(Trust(None, ring.export("lost@example.com"))).state == "good"
    fingerprint = ring.gpg("--with-colons", "--list-keys", "lost@example.com").decode().partition("fpr:::::::::")[2]
    revocation = (ring.home / "openpgp-revocs.d" / f"{fingerprint.partition(':')[0]}.rev").read_bytes()
    keyring = ring.export("lost@example.com") + revocation.replace(b":-----BEGIN", b"-----BEGIN")
    judged = commit.judged(Trust(None, keyring))
    assert judged == Signature("gpg", "untrusted", "lost@example.com", "the key is revoked")


def test_gpg_signatures_that_git_does_not_make(ring: Ring) -> None:
    """Several in one, or with a text of their own: git refuses them, for which of them counts?"""
    name, content = "alice@example.com", b"tree 0\n"
    trust = Trust(None, ring.export(name, "bob@example.com"))
    several = ring.sign(name, "--local-user", "bob@example.com")
    assert several.judged(trust) == Signature("gpg", "bad", None, "it holds 2 signatures, one is expected")
    inline = Commit(ring.gpg("--armor", "--sign", "--local-user", name, stdin=content), content)
    cleartext = Commit(GPG_HEADER + ring.gpg("--clearsign", "--local-user", name, stdin=content), content)
    for commit in (inline, cleartext):
        judged = commit.judged(trust)
        assert judged == Signature("gpg", "bad", None, "gpg finds no detached signature in it")


ODD = [
    ("$GPG; exit 3", "it is no signature of a commit"),
    ("$GPG | sed '/VALIDSIG/d'", "it is no signature of a commit"),
    ("$GPG | sed '/VALIDSIG/p'", "it is no signature of a commit"),
    ("$GPG | sed '/VALIDSIG/s/ 00 / 02 /'", "it is no signature of a commit"),
    ("$GPG | sed '/VALIDSIG/s/ 00 .*/ 00/'", "it is no signature of a commit"),
    ("$GPG | sed '/GOODSIG/d'", "gpg finds no detached signature in it"),
]


@pytest.mark.parametrize(("script", "why"), ODD)
def test_a_signature_is_good_only_where_all_that_gpg_says_agrees(
    script: str, why: str, ring: Ring, gpg_commit: Commit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keyring = ring.export("alice@example.com")
    shim(tmp_path / "gpg", script.replace("$GPG", f'{peers.program("gpg")} "$@"'))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert gpg_commit.judged(Trust(None, keyring)) == Signature("gpg", "bad", None, why)


@pytest.mark.parametrize("keyring", [b"", b"nonsense", b"\x99\x01\xff" * 99, GPG_HEADER, b"\x1b[31m" * 9_999])
def test_a_keyring_without_keys(keyring: bytes, gpg_commit: Commit) -> None:
    judged = gpg_commit.judged(Trust(None, keyring))
    why = "the keyring holds no public key: gpg --export --armor NAME writes one"
    assert judged == Signature("gpg", "unchecked", None, why)


NAMES = [
    (b"Ev\x1b[31mil \xe2\x80\xae%41 <e@example.com>", "Ev?[31mil ?%41 <e@example.com>"),
    (b"two\nlines [GNUPG:] GOODSIG", "two lines [GNUPG:] GOODSIG"),
    (b"J\xfcrgen in Latin-1", "J\N{REPLACEMENT CHARACTER}rgen in Latin-1"),
    (b"long " * 300, ("long " * 300)[:120].rstrip()),
]


@pytest.mark.parametrize(("name", "shown"), NAMES)
def test_a_user_id_may_hold_anything(name: bytes, shown: str, ring: Ring) -> None:
    command = ["gpg", "--homedir", ring.home, "--batch", "--quiet", "--pinentry-mode=loopback", "--passphrase="]
    command += ["--status-fd=1", "--utf8-strings", "--quick-gen-key"]
    said = subprocess.run([*command, name, "ed25519", "sign", "never"], capture_output=True, check=True).stdout
    fingerprint = said.decode().partition("KEY_CREATED P ")[2].split()[0]
    judged = ring.sign(fingerprint).judged(Trust(None, ring.export(fingerprint)))
    assert (judged.state, judged.signer) == ("good", shown)
    assert is_plain(judged)


# What a hostile commit may bring, and what is left behind.

HOSTILE = [
    b"",
    b"\n",
    b"\0\xff\x1b]0;x\x07",
    b"U1NIU0lH\n-----END SSH SIGNATURE-----\n",
    b"\n\n=AAAA\n-----END PGP SIGNATURE-----\n",
    b"A" * 60_000,
    b"A" * 10_000_000,
    b"-Ofoo\n--output=/nowhere\n",
]


@pytest.mark.parametrize("rest", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("header", [SSH_HEADER, GPG_HEADER, b"-----BEGIN PGP MESSAGE-----\n"])
def test_a_hostile_signature_is_not_good(header: bytes, rest: bytes, keys: Keys, ring: Ring) -> None:
    trust = Trust(keys.trust("alice@example.com ALICE").allowed_signers, ring.export())
    judged = verify(header + rest, b"tree 0\n" * 100_000, WHEN, trust)
    assert judged.state == ("unchecked" if len(rest) > 65_536 else "bad")
    assert judged.signer is None
    assert is_plain(judged)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="processes are looked up in /proc")
def test_no_agent_is_left_running(ring: Ring, gpg_commit: Commit, temporary: Path) -> None:
    """Not even where somebody committed a secret key as the keyring: gpg would hand it to an agent."""
    secret = ring.gpg("--armor", "--export-secret-keys", "alice@example.com")
    assert gpg_commit.judged(Trust(None, secret)).state == "good"
    assert list(temporary.iterdir()) != []
    running = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert [one for one in running if os.fsencode(temporary) in one] == []


def test_many_commits_cost_few_processes(
    keys: Keys, ring: Ring, gpg_commit: Commit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trust = Trust(keys.trust("alice@example.com ALICE").allowed_signers, ring.export("alice@example.com"))
    calls = tmp_path / "calls"
    for name in ("ssh-keygen", "gpg"):
        shim(tmp_path / name, f'echo {name} >> "{calls}"; exec {peers.program(name)} "$@"')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert {commit.judged(trust).state for commit in (keys.commit, gpg_commit) * 5} == {"good"}
    said = calls.read_text().split()
    assert (said.count("ssh-keygen"), said.count("gpg")) == (10, 6)
    calls.unlink()
    names = ",".join(f"a{number}@b" for number in range(90))
    assert keys.commit.judged(keys.trust(f'{names} namespaces="file" ALICE')).state == "untrusted"
    assert len(calls.read_text().split()) == 10


def test_nothing_is_left_on_disk_when_the_process_ends(
    keys: Keys, ring: Ring, gpg_commit: Commit, tmp_path: Path
) -> None:
    """A child that was forked off on the way does not take the folder away either."""
    folder = tmp_path / "of-the-process"
    folder.mkdir()
    code = f"""
import os, sys
from offhook.git.signatures import Trust, verify
trust = Trust({keys.trust("a@b ALICE").allowed_signers!r}, {ring.export("alice@example.com")!r})
commits = {[(one.signature, one.payload, WHEN) for one in (keys.commit, gpg_commit)]!r}
states = [verify(*one, trust).state for one in commits]
child = os.fork()
if not child:
    sys.exit()
os.waitpid(child, 0)
print(*states, *(verify(*one, trust).state for one in commits), len(os.listdir({str(folder)!r})))
"""
    environment = os.environ | {"TMPDIR": str(folder)}
    made = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert made.stdout == "good good good good 2\n"
    assert list(folder.iterdir()) == []
