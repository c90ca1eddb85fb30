"""The names that SOPS files give to secrets, read without any key.

SOPS encrypts values and leaves key names readable (https://getsops.io/docs/), so a review without a key
can tell that a name is missing. A name is the path of keys through a file of inventory/secrets/:
`berlin: {alice: ENC[...]}` is berlin/alice. The `sops:` mapping at the top is SOPS's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from offhook.document import Document, mark_of, parse
from offhook.problem import Mark, Problem
from offhook.source import InventoryFile

_SOPS = "sops"
_BASE64 = "[A-Za-z0-9+/]+={0,2}"
_SEALED = re.compile(rf"ENC\[AES256_GCM,data:{_BASE64},iv:{_BASE64},tag:{_BASE64},type:[a-z]+\]")


@dataclass(frozen=True, slots=True)
class SecretNames:
    """Every name, and where it stands. `complete` is False where a file is broken, or a provider cannot tell."""

    marks: Mapping[str, Mark]
    complete: bool


def no_names() -> SecretNames:
    """Return the names of a provider that is asked at publish only (env, AWS): none are known before."""
    return SecretNames({}, complete=False)


class SecretFile(NamedTuple):
    """What one file says of secrets, without any value: plain data.

    `rows` is name -> (line, column, sealed text); the text is None where SOPS did not encrypt the value. `keys` are
    the sealed data keys in the file's `sops:` mapping: where all of them differ, the data key may be another one.
    """

    rows: dict[str, tuple[int, int, str | None]]
    keys: list[str]
    broken: bool


def read_file(file: InventoryFile) -> tuple[SecretFile, list[Problem]]:
    """Return the names in a SOPS file (YAML or JSON), and the problems found on the way.

    Problems: `duplicate-secret` (one name in two places), `unsealed-secret` (a value that SOPS did not
    encrypt), `secrets-format` (a file that is neither YAML nor JSON), and those of reading YAML. No
    message ever holds a value.
    """
    document, problems = _parse(file)
    rows: dict[str, tuple[int, int, str | None]] = {}
    for path, value in _leaves(document.value, ()):
        place = mark_of(document, path, key=True)
        name = "/".join(path)
        if name in rows:
            problems.append(_twice(name, Mark(file.path, *rows[name][:2]), place))
            continue
        sealed = value if isinstance(value, str) and _SEALED.fullmatch(value) else None
        rows[name] = (place.line, place.column, sealed)
        if sealed is None:
            problems.append(
                Problem(
                    "unsealed-secret",
                    mark_of(document, path),
                    f'secret "{name}" is not encrypted',
                    name,
                    hint=f"sops encrypt -i {file.path} (and rotate the secret: git keeps what was committed)",
                )
            )
    return SecretFile(rows, sorted(_sealed_keys(document.value.get(_SOPS))), document.broken), problems


def link_names(files: Iterable[tuple[str, SecretFile]]) -> tuple[SecretNames, list[Problem]]:
    """Return every name of the files (path, content), and `duplicate-secret` for those in two files."""
    marks: dict[str, Mark] = {}
    problems: list[Problem] = []
    complete = True
    for path, one in files:
        complete = complete and not one.broken
        for name, (line, column, _) in one.rows.items():
            place = Mark(path, line, column)
            first = marks.setdefault(name, place)
            if first is not place:
                problems.append(_twice(name, first, place))
    return SecretNames(marks, complete), problems


def _twice(name: str, first: Mark, second: Mark) -> Problem:
    return Problem("duplicate-secret", second, f'secret "{name}" stands twice: first at {first}', name)


def _sealed_keys(metadata: Any) -> Iterator[str]:
    """Every `enc` in SOPS's own mapping: the data key, sealed once for each who may open it."""
    if isinstance(metadata, dict):
        for key, inner in metadata.items():
            if key == "enc" and isinstance(inner, str):
                yield inner
            else:
                yield from _sealed_keys(inner)
    elif isinstance(metadata, list):
        for inner in metadata:
            yield from _sealed_keys(inner)


def _parse(file: InventoryFile) -> tuple[Document, list[Problem]]:
    if not file.path.endswith((".yaml", ".yml", ".json")):
        empty, _ = parse(file.path, b"")
        problem = Problem(
            "secrets-format",
            Mark(file.path, 1, 1),
            "a secrets file is YAML or JSON",
            hint="name it .yaml or .json, or move it out of inventory/secrets/",
        )
        return empty, [problem]
    # JSON is YAML, but for the tabs that SOPS indents it with
    content = file.content.replace(b"\t", b" ") if file.path.endswith(".json") else file.content
    document, problems = parse(file.path, content)
    # what SOPS writes under `sops:` has lines of its own, and no value here goes to a phone as it is
    return document, [one for one in problems if one.id not in ("control-character", "edge-blank")]


def _leaves(value: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, inner in value.items():
        if not path and key == _SOPS:
            continue
        if isinstance(inner, dict):
            yield from _leaves(inner, (*path, key))
        else:
            yield (*path, key), inner
