"""What SOPS ciphertext tells about a change, without any key.

SOPS seals each value under the file's data key, and seals the data key once for each recipient. An edit leaves the
ciphertext of what it does not touch as it was; `sops rotate` makes a new data key and with it every ciphertext new.
So a new ciphertext beside an unchanged one is a new value; where nothing in the file stayed, nobody can tell.
"""

from __future__ import annotations

from offhook.secrets.names import SecretFile

SAME = ""
CHANGED = "changed"
PERHAPS = "may have changed"

Sealed = tuple[str, SecretFile]
"""The path of a secrets file, and what it says."""


def secret_change(name: str, old: Sealed | None, new: Sealed | None) -> str:
    """Return whether the secret of a name is another one: SAME, CHANGED or PERHAPS.

    `old` and `new` are the files that have the name, None where no file has it.
    """
    if old is None or new is None:
        return SAME if old is new else CHANGED
    before, after = old[1].rows[name][2], new[1].rows[name][2]
    if before == after:
        return SAME  # also where neither is sealed: a mistake that check reports, and whose text is not compared
    if old[0] != new[0] or before is None or after is None:
        return PERHAPS
    return PERHAPS if _is_rotated(old[1], new[1]) else CHANGED


def _is_rotated(old: SecretFile, new: SecretFile) -> bool:
    """Tell whether a file may have a new data key: no sealed key and no sealed value stayed."""
    stayed = any(new.rows.get(name, (0, 0, ""))[2] == sealed for name, (_, _, sealed) in old.rows.items())
    return not stayed and not set(old.keys) & set(new.keys)
