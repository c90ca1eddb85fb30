"""What one file says, read and validated: plain data, the same for the same bytes, whoever reads it.

Comes in: an InventoryFile. Goes out: `Facts`, which the cache keeps by path and blob, and of which
`offhook.inventory` makes entities.
"""

from __future__ import annotations

import marshal
import zlib
from array import array
from collections.abc import Iterable
from typing import Any, NamedTuple

from offhook.document import parse
from offhook.links import defined_by, is_private, used_by
from offhook.problem import ERROR, pack_problems
from offhook.secrets.names import SecretFile, read_file
from offhook.source import InventoryFile

WITH_ERRORS = "=errors"


class Facts(NamedTuple):
    """What one file says. `entities` is id as spelled -> plain body, schema-valid; for a secrets file its SecretFile.

    `wrong` are the ids of entities that are not right, `broken` tells that content is missing, `problems` are
    packed. `private` facts hold a password in the clear: they are not kept.
    """

    entities: dict[str, Any]
    wrong: list[str]
    broken: bool
    problems: list[tuple[Any, ...]]
    private: bool

    @property
    def has_errors(self) -> bool:
        """Tell whether the file has mistakes that stand in the way of a tree."""
        return self.broken or any(row[-1] == ERROR for row in self.problems)

    def secrets(self) -> SecretFile:
        """Return what a secrets file says."""
        return SecretFile(*self.entities["secrets"])


def read_facts(file: InventoryFile) -> Facts:
    """Read and validate one file."""
    # where the store knows every file, nothing is validated: the import alone takes longer than a lookup
    from offhook.validate import validate

    if file.kind == "secret":
        secrets, problems = read_file(file)
        return Facts({"secrets": tuple(secrets)}, [], secrets.broken, pack_problems(problems), False)
    document, problems = parse(file.path, file.content)
    entities, more = validate(file.kind, document)
    # where the reader refused something, what the schema says about the hole it left is no news
    refused = {problem.mark for problem in problems}
    has_merge = any(problem.id == "yaml-merge" for problem in problems)
    problems += [one for one in more if one.mark not in refused and not (has_merge and one.id == "missing-key")]
    wrong = [] if file.kind == "fleet" else [key for key in document.value if key not in entities]
    private = any(is_private(file.kind, body) for body in entities.values())
    return Facts(entities, wrong, document.broken, pack_problems(problems), private)


def number_of(name: str) -> int:
    """Return the number under which the store finds a name: 32 bits; two names may share one."""
    return zlib.crc32(name.encode("utf-8", "surrogateescape"))


class Packed(NamedTuple):
    """One file's facts as marshal bytes, and the numbers of all names it has, None where nobody asked for them.

    Numbers are sorted 32-bit integers. A name that is defined there is written `=account/alice`, one that is used
    `account/alice`; WITH_ERRORS is a name of every file that could not be understood wholly.
    """

    facts: bytes
    names: bytes | None
    private: bool

    def unpack(self) -> Facts:
        """Return the facts."""
        return Facts(*marshal.loads(self.facts))


def pack_facts(file: InventoryFile, *, with_names: bool) -> Packed:
    """Read and validate one file, ready for the store."""
    facts = read_facts(file)
    names = numbers_of(file.kind, facts) if with_names else None
    return Packed(marshal.dumps(tuple(facts)), names, facts.private)


def numbers_of(kind: str, facts: Facts) -> bytes:
    """Return the numbers of all names that a file of a kind has."""
    names = set(_names(kind, facts.entities)) | ({WITH_ERRORS} if facts.has_errors else set())
    return array("I", sorted(set(map(number_of, names)))).tobytes()


def _names(kind: str, entities: dict[str, Any]) -> Iterable[str]:
    if kind == "secret":
        yield from (f"=secret/{name}" for name in SecretFile(*entities["secrets"]).rows)
        return
    for key, body in entities.items():
        yield from (f"={name}" for name in defined_by(kind, key, body))
        yield from used_by(kind, body)
