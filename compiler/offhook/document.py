"""YAML text becomes plain values, with the line and column of every value and key.

Comes in: the bytes of one file. Goes out: a `Document`, whose scalars are all text (a schema decides later
what is a number), and the Problems of everything that offhook's YAML leaves out: anchors, merge keys, tags,
duplicate keys, control characters, deep nesting. PyYAML's parser is read event by event, because its objects
would guess types, lose the marks of keys and take several times as long.
"""

from __future__ import annotations

import gc
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from offhook import block_yaml
from offhook.problem import Mark, Problem

Value = None | str | list["Value"] | dict[str, "Value"]

MAX_BYTES = 32 * 1024 * 1024
MAX_DEPTH = 32
MAX_BREAKS = 20
MAX_PROBLEMS = 1000
_COLUMN_BITS = 20
_COLUMN_MASK = (1 << _COLUMN_BITS) - 1
MAX_LINE = _COLUMN_MASK - 2  # the end of a line, and what stands behind it, have a column too
_TOO_DEEP = f"nested more than {MAX_DEPTH} deep"
_SCANNERS_LIMIT = "exceeded maximum nesting depth"  # libyaml 0.2.6 reads ahead, and says so before we can
_MANY = 64  # parts of a mapping or list whose places are worth keeping
_NULLS = frozenset({"", "~", "null"})
# what a scalar may not hold: C0, DEL, C1, the separators of lines and paragraphs, the byte order mark, surrogates
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]")
# line breaks to YAML 1.1 that neither editors nor git show as such: YAML would fold them without a word, or
# begin another key behind them
_HIDDEN_BREAK = re.compile("[\x85\u2028\u2029]|\r(?!\n)")
_PERHAPS_HIDDEN_BREAK = re.compile("[\r\x85\u2028\u2029]")
# what YAML itself refuses; compiled where it is looked for, since that takes longer than reading most files
_FORBIDDEN = "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
# `label: Phone #3`: to YAML a comment, to who wrote it most likely a part of the text
_TIGHT_COMMENT = re.compile(r"\S +#[^\s#]")
# where a text has none of these, only quoted and block scalars can hold a control character or an edge blank
_UNUSUAL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]")


@dataclass(frozen=True, slots=True)
class Document:
    """One file's content. `file` is the path as the user knows it; `value` its top-level mapping, {} where broken.

    `marks` has an entry for every node in the order of the text (a mapping, then each key followed by its
    value; a list, then its items): line << 20 | column, both from 1. `starts` has the index in `marks` of
    each top-level key. `broken` tells that content is missing because the file could not be understood.
    """

    file: str
    value: dict[str, Any]
    marks: array[int]
    starts: array[int]
    broken: bool = False
    # from the index of a large mapping or list in marks: where its parts stand, kept by mark_of
    _parts: dict[int, dict[str | int, int]] = field(default_factory=dict, init=False, repr=False, compare=False)


def parse(file: str, content: bytes) -> tuple[Document, list[Problem]]:
    """Return the document in `content` and the problems of its YAML; the document is empty where it is broken."""
    if len(content) > MAX_BYTES:
        limit = f"{MAX_BYTES // 1024 // 1024} MiB"
        return _broken(file), [_problem("file-too-big", file, 1, 1, f"the file is larger than {limit}")]
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = len(content[content.rfind(b"\n", 0, error.start) + 1 : error.start].decode()) + 1
        message = "the file is not UTF-8"
        return _broken(file), [_problem("not-utf8", file, line, column, message, "save it as UTF-8")]
    if len(text) > MAX_LINE:
        for line, letters in enumerate(text.split("\n"), start=1):
            if len(letters) > MAX_LINE:
                message = f"the line is longer than {MAX_LINE:,} letters"
                return _broken(file), [_problem("file-too-big", file, line, 1, message)]
    was_enabled = gc.isenabled()
    gc.disable()  # many objects and no cycle: collecting meanwhile would double the time
    try:
        fast = block_yaml.read(text)
        return (Document(file, *fast), []) if fast is not None else _Reader(file, text).read()
    finally:
        if was_enabled:
            gc.enable()


def mark_of(document: Document, path: Sequence[str | int], *, key: bool = False) -> Mark:
    """Return where the value at `path` stands, or with `key` the last mapping key of `path`.

    Where the path does not exist, the deepest value on the way to it; for an empty document, its beginning.
    """
    if not document.marks:
        return Mark(document.file, 1, 1)
    value: Value = document.value
    index = 0
    for depth, part in enumerate(path):
        inner = _inner(document, value, index, part, is_top=depth == 0)
        if inner is None:
            break
        key_index, index = inner
        if key and depth == len(path) - 1:
            index = key_index
        value = value[part]  # type: ignore[index]
    packed = document.marks[index]
    return Mark(document.file, packed >> _COLUMN_BITS, packed & _COLUMN_MASK)


def _inner(document: Document, value: Value, index: int, part: str | int, *, is_top: bool) -> tuple[int, int] | None:
    """The indexes in `marks` of a part's key (or item) and value, None where there is no such part."""
    if isinstance(value, dict):
        if part not in value:
            return None
    elif not (isinstance(value, list) and isinstance(part, int) and 0 <= part < len(value)):
        return None
    parts: Iterator[Any] = zip(value, document.starts, strict=False) if is_top else _places(value, index)
    if len(value) < _MANY:
        place = next((place for name, place in parts if name == part), None)
    else:
        if index not in document._parts:
            document._parts[index] = dict(parts)
        place = document._parts[index].get(part)
    if place is None:
        return None
    return (place, place + 1) if isinstance(value, dict) else (place, place)


def _places(value: Value, index: int) -> Iterator[tuple[str | int, int]]:
    """The keys of a mapping, or the numbers of a list's items, with their indexes in `marks`."""
    index += 1
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name, index
            index += 1 + _count(inner)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield number, index
            index += _count(inner)


def _count(value: Value) -> int:
    """How many marks a value has, its own included."""
    if isinstance(value, dict):
        return 1 + len(value) + sum(map(_count, value.values()))
    if isinstance(value, list):
        return 1 + sum(map(_count, value))
    return 1


def _broken(file: str) -> Document:
    return Document(file, {}, array("Q"), array("Q"), True)


def _problem(identifier: str, file: str, line: int, column: int, message: str, hint: str = "") -> Problem:
    return Problem(identifier, Mark(file, line, column), message, hint=hint)


class _Stop(Exception):
    """Nothing after this place can be understood."""


class _Reader:
    """Builds one document from the parser's events, without recursion: hostile nesting costs no stack."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self.problems: list[Problem] = []
        self.marks: array[int] = array("Q")
        self.starts: array[int] = array("Q")

    def read(self) -> tuple[Document, list[Problem]]:
        """Return the document and its problems."""
        import yaml

        self._check_breaks()
        self._check_directives()
        if self.problems:
            return _broken(self.file), self.problems  # YAML would count lines as no editor does
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            value = self._build(self._events(loader(self.text)), yaml)
        except _Stop:
            return _broken(self.file), self.problems
        except yaml.reader.ReaderError:
            # its position counts bytes with libyaml and letters without: look for the letter itself
            found = re.search(_FORBIDDEN, self.text)
            line, column = self._place(found.start() if found else 0)
            self._say("control-character", line, column, "a control character is not allowed in YAML")
            return _broken(self.file), self.problems
        except yaml.MarkedYAMLError as error:
            place = error.problem_mark or error.context_mark
            if _BEGINS_EARLIER.search(f"{error.context}: {error.problem}"):
                place = error.context_mark or place
            line, column = (place.line + 1, place.column + 1) if place else (1, 1)
            words = ": ".join(part for part in (error.context, error.problem) if part)
            hint = next((hint for sign, hint in _SYNTAX_HINTS.items() if sign in words), "")
            if _SCANNERS_LIMIT in words:
                self._say("yaml-too-deep", line, column, _TOO_DEEP)
            else:
                self._say("yaml-syntax", line, column, _plain(words) or "no YAML", hint)
            return _broken(self.file), self.problems
        if value is None:
            return Document(self.file, {}, array("Q"), array("Q")), self.problems
        if not isinstance(value, dict):
            line, column = self.marks[0] >> _COLUMN_BITS, self.marks[0] & _COLUMN_MASK
            kind = "a list" if isinstance(value, list) else "a text"
            self._say("not-a-mapping", line, column, f"expected a mapping from id to entity, found {kind}")
            return _broken(self.file), self.problems
        return Document(self.file, value, self.marks, self.starts), self.problems

    def _place(self, position: int) -> tuple[int, int]:
        """Line and column, from 1, of a position in the text."""
        return self.text.count("\n", 0, position) + 1, position - self.text.rfind("\n", 0, position)

    def _check_breaks(self) -> None:
        if not _PERHAPS_HIDDEN_BREAK.search(self.text):
            return  # the usual case, several times as fast
        for number, found in enumerate(_HIDDEN_BREAK.finditer(self.text)):
            if number == MAX_BREAKS:
                return
            line, column = self._place(found.start())
            self._say("control-character", line, column, "a hidden line break: U+" + f"{ord(found.group()):04X}")

    def _check_directives(self) -> None:
        """Refuse what YAML itself would take: thousands of directives keep libyaml busy for minutes."""
        found = 0 if self.text.startswith("%") else self.text.find("\n%") + 1
        if found or self.text.startswith("%"):
            line, column = self._place(found)
            self._say("yaml-syntax", line, column, "directives are not read", "remove the lines that begin with %")

    def _events(self, loader: Any) -> Iterator[Any]:
        get = loader.get_event
        event = None
        try:
            event = get()
            while event is not None:
                yield event
                event = get()
        except (ValueError, OverflowError):  # bytes in a tag, or an escape, that PyYAML itself cannot decode
            line, column = (event.end_mark.line + 1, event.end_mark.column + 1) if event else (1, 1)
            self._say("yaml-syntax", line, column, "an escape that stands for no letter follows")
            raise _Stop from None

    def _build(self, events: Iterator[Any], yaml: Any) -> Value:
        """The value of the one document in `events`; its marks and starts are filled on the way."""
        scalar_event, alias_event = yaml.ScalarEvent, yaml.AliasEvent
        mapping_start, sequence_start = yaml.MappingStartEvent, yaml.SequenceStartEvent
        ends = (yaml.MappingEndEvent, yaml.SequenceEndEvent)
        document_start = yaml.DocumentStartEvent
        marks, push = self.marks, self.marks.append
        is_unusual = _UNUSUAL.search(self.text) is not None
        lines = self.text.split("\n") if _TIGHT_COMMENT.search(self.text) else None
        intern: dict[str, str] = {}
        # a frame: the container being filled, the key that waits for a value (None: a key is next), where the
        # marks of a value to be dropped begin (-1: keep it), and the marks of the container's keys
        stack: list[tuple[Any, str | None, int, dict[str, int]]] = []
        root: list[Value] = []
        container: Any = root
        key: str | None = None
        keys: dict[str, int] = {}
        drop, documents = -1, 0
        for event in events:
            kind = event.__class__
            if kind is scalar_event:
                start = event.start_mark
                place = start.line + 1 << _COLUMN_BITS | start.column + 1
                text = event.value
                style = event.style
                if style or is_unusual:
                    self._check_text(text, place)
                if event.anchor is not None or event.tag is not None:
                    self._check_node(event, place)
                if key is None and container.__class__ is dict:
                    if text in container:
                        self._twice(text, place, keys[text])
                        drop = len(marks)
                    else:
                        keys[text] = place
                        if text == "<<" and not style:
                            self._refuse("yaml-merge", place, "merge keys are not read", _REUSE)
                    if len(stack) == 1 and drop < 0:
                        self.starts.append(len(marks))
                    push(place)
                    key = intern.setdefault(text, text)
                    continue
                if lines is not None and not style:
                    self._check_comment(lines, event.end_mark)
                push(place)
                value: Value = None if not style and text in _NULLS else text
            elif kind is mapping_start or kind is sequence_start:
                start = event.start_mark
                place = start.line + 1 << _COLUMN_BITS | start.column + 1
                if event.anchor is not None or event.tag is not None:
                    self._check_node(event, place)
                if key is None and container.__class__ is dict:
                    self._stop("yaml-key", place, "a key is a text, not a mapping or a list", _QUOTE)
                if len(stack) >= MAX_DEPTH:
                    self._stop("yaml-too-deep", place, _TOO_DEEP)
                stack.append((container, key, drop, keys))
                keys = {}
                push(place)
                container = {} if kind is mapping_start else []
                key, drop = None, -1
                continue
            elif kind in ends:
                value = container
                container, key, drop, keys = stack.pop()
            elif kind is alias_event:
                start = event.start_mark
                place = start.line + 1 << _COLUMN_BITS | start.column + 1
                self._refuse(
                    "yaml-anchor",
                    place,
                    "aliases are not read",
                    f'{_REUSE}; a text that begins with * is quoted: "*68"',
                )
                if key is None and container.__class__ is dict:
                    self._stop("yaml-key", place, "a key is a text, not an alias")
                push(place)
                value = None
            elif kind is document_start:
                documents += 1
                if documents > 1:
                    start = event.start_mark
                    place = start.line + 1 << _COLUMN_BITS | start.column + 1
                    self._stop("yaml-documents", place, "a second document begins: one file holds one")
                continue
            else:
                continue
            if container.__class__ is dict:
                if drop < 0:
                    container[key] = value
                else:
                    del marks[drop:]
                    drop = -1
                key = None
            else:
                container.append(value)
        return root[0] if root else None

    def _twice(self, key: str, place: int, first: int) -> None:
        line = first >> _COLUMN_BITS
        self._refuse("duplicate-key", place, f'key "{_shown(key)}" stands twice: first at line {line}')

    def _check_text(self, text: str, place: int) -> None:
        if _CONTROL.search(text):
            hint = "write it on one line, without tabs and escapes"
            self._refuse("control-character", place, "a line break or control character in a text", hint)
        elif text != text.strip():
            self._refuse("edge-blank", place, "a text begins or ends with a blank")

    def _check_comment(self, lines: list[str], end: Any) -> None:
        """Refuse a comment that follows a plain text as if it were a part of it."""
        rest = lines[end.line][end.column :] if end.line < len(lines) else ""
        comment = rest.lstrip(" ")
        if comment.startswith("#") and comment[1:2].strip("# "):
            column = end.column + len(rest) - len(comment) + 1
            message = "what follows # is a comment to YAML, and is cut off"
            hint = 'quote the text to keep it: "Phone #3"; a comment has a blank after its #'
            self._refuse("tight-comment", end.line + 1 << _COLUMN_BITS | column, message, hint)

    def _check_node(self, event: Any, place: int) -> None:
        if event.anchor is not None:
            self._refuse("yaml-anchor", place, "anchors are not read", _REUSE)
        if event.tag is not None:
            self._refuse("yaml-tag", place, "tags are not read: the schema knows what is a number or a text")

    def _stop(self, identifier: str, place: int, message: str, hint: str = "") -> None:
        self._refuse(identifier, place, message, hint)
        raise _Stop

    def _refuse(self, identifier: str, place: int, message: str, hint: str = "") -> None:
        line, column = place >> _COLUMN_BITS, place & _COLUMN_MASK
        self._say(identifier, line, column, message, hint)
        if len(self.problems) >= MAX_PROBLEMS:
            self._say("yaml-syntax", line, column, f"{MAX_PROBLEMS:,} problems: the rest of the file is not read")
            raise _Stop

    def _say(self, identifier: str, line: int, column: int, message: str, hint: str = "") -> None:
        self.problems.append(_problem(identifier, self.file, line, column, message, hint))


_SYNTAX_HINTS = {
    "start any token": 'indent with blanks, and quote a text that begins with a sign of YAML: "@home", "%1"',
    "mapping values are not allowed": 'quote a text with a colon and a blank in it: "Zeit: 3"',
    "while parsing a flow": "look for a bracket or a comma that is missing before this place",
}
# libyaml finds out far behind the mistake that a quote is not closed, or that a key has no colon
_BEGINS_EARLIER = re.compile("quoted scalar: found unexpected (end|document)|could not find expected ':'")
_QUOTE = 'quote a text that begins with a sign of YAML: "{{ site.vars.door }}", "@home"; indent with blanks'
_REUSE = "profiles are for reuse: what several phones share goes into one"


def _shown(key: str) -> str:
    """A key as a message may show it."""
    return "".join(letter if letter.isprintable() else "?" for letter in key[:60])


def _plain(message: str) -> str:
    return _shown_words(" ".join(message.split()))


def _shown_words(message: str) -> str:
    return message.removesuffix(".").replace("did not find expected", "expected")
