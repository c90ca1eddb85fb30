"""Whose signatures count: the files that fleet.yaml names under `signing:`, at the revision asked about.

To read history by that is fair; to let a commit publish is not: it could name its own author's key. A gate takes the
trust of what was released before.
"""

from __future__ import annotations

from offhook.git.repository import read_file, signature_of
from offhook.git.signatures import Signature, Trust, verify
from offhook.history.walk import History


def trust_at(history: History, revision: str) -> Trust:
    """Return the allowed signers and the keyring of a commit's fleet; what it does not name is None."""
    fleet = history.view(revision).body("fleet", "fleet") or {}
    signing = fleet.get("signing") or {}
    files = (signing.get(word) for word in ("allowed_signers", "keyring"))
    contents = (read_file(history.git, revision, path) if path else None for path in files)
    return Trust(*contents)


def judge(history: History, commit: str, trust: Trust, *, now: int | None = None) -> Signature:
    """Return whether a commit is signed, and whether by somebody who is trusted; as of `now`, see `verify`."""
    signature, payload = signature_of(history.git, commit)
    return verify(signature, payload, history.commit(commit).committed, trust, now=now)
