"""Who released what from which commit, as an auditor asks it: records, and what is known of their commits.

Comes in: the fleet's root and an environment. Goes out: an `Audit`; nothing is fetched.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from offhook.git.refs import has_commit
from offhook.git.remote import remote_of
from offhook.git.repository import resolve
from offhook.git.signatures import Signature, Trust
from offhook.history.trust import judge, trust_at
from offhook.history.walk import History, open_history
from offhook.problem import OffhookError
from offhook.publish.releases.ledger import Record, read_chain, ref_of, remote_ref_of
from offhook.publish.releases.records import notes
from offhook.publish.releases.release import Release
from offhook.store import Store


@dataclass(frozen=True, slots=True)
class Audited:
    """One release. `record` is the commit that records it; `subject` and `signature` are the source commit's, None
    where it is not in this clone. `is_pushed` tells whether the remote was seen to have the record, None where there is
    no remote.
    """

    release: Release
    record: str
    subject: str | None
    signature: Signature | None
    is_pushed: bool | None


@dataclass(frozen=True, slots=True)
class Audit:
    """Releases, the newest first; `notes` are what must be said of them, `is_complete` whether none can be missing."""

    environment: str
    releases: tuple[Audited, ...]
    notes: tuple[str, ...]
    is_complete: bool


def audit(root: Path, environment: str, store: Store, *, limit: int | None = None) -> Audit:
    """Return the newest `limit` releases of an environment, all of them where that is None.

    Signatures are judged by what fleet.yaml names under `signing:` at HEAD. Raises what `read_releases` raises.
    """
    ref, seen = ref_of(environment), remote_ref_of(environment)
    history = open_history(root, "", None, store)
    chain = read_chain(history.git, ref)
    pushed = read_chain(history.git, seen).commits if remote_of(history.git) is not None else None
    trust = _trust(history) if chain.records else Trust(None, None)
    rows = tuple(
        Audited(
            one.release,
            one.commit,
            *_source(history, one, trust),
            None if pushed is None else one.commit in pushed,
        )
        for one in chain.records[:limit]
    )
    return Audit(environment, rows, tuple(notes(chain)), not chain.is_cut and not chain.strangers)


def _trust(history: History) -> Trust:
    try:
        return trust_at(history, resolve(history.git, "HEAD"))
    except OffhookError:
        return Trust(None, None)  # a branch without a commit: there is nothing to trust by


def _source(history: History, record: Record, trust: Trust) -> tuple[str | None, Signature | None]:
    commit = record.release.commit
    if not commit or not has_commit(history.git, commit):
        return None, None
    return history.commit(commit).subject, judge(history, commit, trust)
