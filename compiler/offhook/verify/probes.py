"""What a stranger gets from a root: files without credentials, listings, answers for MACs that nobody listed.

None of it keeps a phone from its settings; each is a warning of its own. Few requests, one after another.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from offhook.phone.connections import Connections
from offhook.phone.fetch import Fetch, told
from offhook.phone.request import FORBIDDEN, OK, REFUSED, TIMEOUT, UNREACHABLE, Answer, FetchOptions
from offhook.phone.target import Target, parse_target

_LISTED = re.compile(rb"(?<![0-9a-f])[0-9a-f]{12}\.(?:boot|cfg)(?![a-z])")
_INDEX = (".offhook-index", b"# the files that offhook wrote here")
_FOLDERS = ("", "phones/", "phonebooks/")
_SAMPLE = 3
_SILENT = frozenset({REFUSED, UNREACHABLE, TIMEOUT})


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a stranger can do. `id` is a word for programs, `hint` a next step."""

    id: str
    message: str
    hint: str


def probe(url: str, macs: Collection[str], *, options: FetchOptions, promised: bool) -> list[Finding]:
    """Return what a stranger gets from the root that phones boot from.

    `macs` are those that the root knows, `options` what phones log in with; `promised` tells that nobody else is to
    read files. Where the server does not answer nothing is found. Raises OffhookError where `url` is none.
    """
    known = sorted(macs)
    if not known or url.endswith((".cfg", ".boot")) or url.startswith("file:"):
        return []
    with Connections() as connections:
        root = _Root(url, options, connections.fetch)
        guesses = guess(known)
        answers = {name: root.ask(mac, name) for mac in guesses for name in (f"{mac}.boot", f"{mac}.cfg")}
        if any(answer.result in _SILENT for answer in answers.values()):
            return []
        return [
            *_guessed(answers),
            *(_open(root, known, options) if promised else ()),
            *_listings(root, known),
        ]


def guess(known: Sequence[str]) -> list[str]:
    """Return MACs that are not among the known ones, as a stranger would try: two neighbours, and the last one."""
    there = frozenset(known)
    middle = int(known[len(known) // 2], 16)
    vendor = middle >> 24 << 24
    tried = [middle + step for step in range(1, len(known) + 2)] + [middle - step for step in range(1, len(known) + 2)]
    made = [f"{number:012x}" for number in tried if vendor <= number < vendor + 0xFFFFFF]
    after = next((mac for mac in made if mac not in there and int(mac, 16) > middle), None)
    before = next((mac for mac in made if mac not in there and int(mac, 16) < middle), None)
    return [mac for mac in (after, before, f"{vendor + 0xFFFFFE:012x}") if mac is not None and mac not in there]


@dataclass(frozen=True, slots=True)
class _Root:
    url: str
    options: FetchOptions
    fetch: Fetch

    def target(self, mac: str, name: str) -> Target:
        folder = parse_target(self.url.replace("$(MA)", mac))
        path = folder.path if folder.path.endswith("/") else f"{folder.path}/"
        there = replace(folder, path=path + name)
        if there.username:
            return there
        return replace(there, username=self.options.username, password=self.options.password)

    def ask(self, mac: str, name: str, *, anonymous: bool = False) -> Answer:
        target = self.target(mac, name)
        if anonymous:
            target = replace(target, username="", password="")
        return self.fetch(target, self.options)


def _guessed(answers: dict[str, Answer]) -> Iterator[Finding]:
    answered = [name for name, answer in answers.items() if answer.result == OK]
    forbidden = [name for name, answer in answers.items() if answer.result == FORBIDDEN]
    if answered:
        yield Finding(
            "guessed",
            f"answers for a phone that nobody listed: {answered[0]}",
            "delete files that are left over, and answer 404 for those that do not exist",
        )
    if forbidden:
        yield Finding(
            "forbidden",
            f"answers 403 where a phone expects 404: {forbidden[0]}",
            "what a phone does then is not documented; an S3 bucket says 404 to whoever may list it",
        )


def _open(root: _Root, known: Sequence[str], options: FetchOptions) -> Iterator[Finding]:
    scheme = root.target(known[0], "").scheme
    if scheme == "tftp":
        yield Finding("open", "TFTP knows no credentials, and the environment has a username", "serve by https")
        return
    for mac in known[:_SAMPLE]:
        for name in (f"{mac}.cfg", f"{mac}.boot"):
            if root.ask(mac, name, anonymous=True).result == OK:
                yield Finding(
                    "open",
                    f"shows {name} without the credentials that the environment has",
                    "let the server ask for them (docs/serving)",
                )
                return


def _listings(root: _Root, known: Sequence[str]) -> Iterator[Finding]:
    there = {mac.encode() for mac in known}
    first = root.target(known[0], "")
    if first.scheme == "ftp":
        from offhook.phone import ftp

        places = [("the folder", told(ftp.names, first, root.options))]
    elif first.scheme == "tftp":
        places = []
    else:
        places = [(f"/{name}", root.ask(known[0], name)) for name in _FOLDERS]
    for name, answer in places:
        found = {one[:12] for one in _LISTED.findall(answer.body)} if answer.result == OK else set()
        if found & there:
            yield Finding("listing", f"lists {name}: whoever asks knows every phone", "switch directory listings off")
            break
    index, begins = _INDEX
    answer = root.ask(known[0], index)
    if answer.result == OK and answer.body.startswith(begins):
        yield Finding(
            "index", f"hands out {index}: whoever asks knows every phone", "publish, or deny names with a dot"
        )
