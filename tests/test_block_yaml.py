"""The fast reader of plain block YAML: it builds what the event reader builds, or nothing."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.fleet import write_fleet
from offhook import block_yaml, document

pytestmark = pytest.mark.skipif(not block_yaml.IS_USABLE, reason="this Python's regular expressions are at fault")

ROOT = Path(__file__).parent.parent
FILES = sorted(
    path
    for folder in ("inventory", "docs/checks")
    for path in (ROOT / folder).rglob("*.yaml")
    if path.parent.name != "secrets"  # SOPS writes block scalars
)

EVERYTHING = """\
# a comment
a:
  - x
  - {n: F b, m: {o: "112", p: '+4'}}
  - [a, "b, c"] # two
b:
- -6
-   2
c: {}
d: [ ]
e: ~

f:   # nothing
g:
  h:
      i: null
      j: "null"
  # between
  'k k': x - y & z # k
"l: m": "**"
m: {a: [b, c], d: {e: f,}, "g": ~}
n: [{a: b}, [c], d ]
o: sip:a@b;transport=tcp
00:21:f2: it's
é: "{{ x }}"
last:
"""

ACCEPTED = (
    EVERYTHING,
    "a: b",
    "a: b\n\n\n",
    "a:\n",
    "a:\n\n  # deeper\nb:\n  c:\n",
    "  a: b\n  c: d\n",
    "a:\n b:\n      c: d\n e: f\n",
    "a: {b: c,d: e}\n",
    'a: ""\n',
    "a: x#y\n",
    "a: x 😀\n",
    "a: b:c\n",
    "a: /srv\n",
    '"<<": x\n',
    "null: x\n",
)

DECLINED = (
    "",
    "# only\n",
    "text\n",
    "- a\n",
    "{a: b}\n",
    "---\na: b\n",
    "a: b\n---\n",
    "a: b\n...\n",
    "%YAML 1.1\n",
    "a: b\r\n",
    "a:\tb\n",
    "a: b\u00a0\n",
    "a: b\u2028c: d\n",
    "a: b\x00\n",
    "a: \ud800\n",
    "\ufeffa: b\n",
    "a: &b c\n",
    "a: *b\n",
    "a: !b c\n",
    "a: |\n  b\n",
    "a: >\n  b\n",
    "a: b\n  c\n",
    "a: b\n  c: d\n",
    "a: b\n  - c\n",
    'a: "b\n  c"\n',
    "<<: {a: b}\n",
    "? a\n: b\n",
    "{a: b}: c\n",
    "a: b\na: c\n",
    "a: b\n'a': c\n",
    "a: {b: c, b: d}\n",
    "x: {a: {b: c, b: d}}\n",
    "a: b: c\n",
    "a: b:\n",
    "a: :b\n",
    "a: @b\n",
    "a: %b\n",
    "a: `b`\n",
    "a: - b\n",
    "a: --\n",
    "a: ]\n",
    'a: "b\\n"\n',
    "a: 'b''c'\n",
    'a: " b"\n',
    "a: 'b '\n",
    'a: "b"#c\n',
    'a: "b" c\n',
    "a:b\n",
    "a : b\n",
    "a: [b\n",
    "a: {b: c\n",
    "a: {b: c]\n",
    "a: [b}\n",
    "a: {b}\n",
    "a: {b: }\n",
    "a: {b:c}\n",
    "a: [b: c]\n",
    "a: [b?]\n",
    "a: {b: [{c: d}]}\n",
    "a: {b: c} d\n",
    "a:\n  - b: c\n",
    "a:\n  - - b\n",
    "a:\n  -\n",
    "a:\n  - b\n    c\n",
    "a:\n  - b\n   - c\n",
    "a:\n  - b\n - c\n",
    "a:\n  - b\n  c: d\n",
    "a:\n  b: c\n d: e\n",
    "a:\n  b: c\n   d: e\n",
    "  a: b\nc: d\n",
    f"{'a' * 1100}: b\n",
    "".join(f"{' ' * depth}a:\n" for depth in range(block_yaml.MAX_DEPTH + 1)),
)

SIGNS = [*":#-{}[],'\"&*!|>%@?~ \n\t=+.\\a1", ": ", " #", "\r\n", "é", "😀", "\u00a0", "\u2028", "\ufeff", "null", "<<"]


def agrees(text: str) -> bool:
    """Assert that the fast reader gives what the event reader gives, or nothing; return whether it gives anything."""
    fast = block_yaml.read(text)
    if fast is None:
        return False
    read, problems = document._Reader("a.yaml", text).read()
    assert not problems, text
    assert not read.broken, text
    assert fast == (read.value, read.marks, read.starts), text
    return True


def mutated(text: str, randomness: random.Random) -> str:
    """`text` with a sign or a line put in, lost, replaced, moved or indented anew."""
    for _ in range(randomness.choice((1, 1, 2, 4))):
        place = randomness.randrange(len(text) + 1)
        kind = randomness.randrange(7)
        if kind < 3:
            text = text[:place] + randomness.choice(("", *SIGNS)) + text[place + kind :]
            continue
        lines = text.splitlines(keepends=True) or [""]
        one, other = randomness.randrange(len(lines)), randomness.randrange(len(lines))
        if kind == 3:
            lines.insert(other, lines[one])
        elif kind == 4:
            del lines[one]
        elif kind == 5:
            lines[one] = " " * randomness.randrange(7) + lines[one].lstrip(" ")
        else:
            lines[one], lines[other] = lines[other], lines[one]
        text = "".join(lines)
    return text


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_inventories_of_the_repository_are_read(path: Path) -> None:
    assert agrees(path.read_text(encoding="utf-8"))


def test_generated_fleets_are_read(tmp_path: Path) -> None:
    write_fleet(tmp_path, 60)
    files = sorted(tmp_path.rglob("*.yaml"))
    assert len(files) == 10
    assert [path.name for path in files if not agrees(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("text", ACCEPTED)
def test_the_subset_is_read(text: str) -> None:
    assert agrees(text)


@pytest.mark.parametrize("text", DECLINED)
def test_the_rest_is_left_to_the_event_reader(text: str) -> None:
    assert block_yaml.read(text) is None


def test_marks_of_what_is_not_there() -> None:
    fast = block_yaml.read("a:   # nothing\nb: {c: ~}\n")
    assert fast is not None
    value, marks, starts = fast
    assert value == {"a": None, "b": {"c": None}}
    places = [(mark >> 20, mark & 0xFFFFF) for mark in marks]
    assert places == [(1, 1), (1, 1), (1, 3), (2, 1), (2, 4), (2, 5), (2, 8)]
    assert list(starts) == [1, 3]


def test_pieces_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = block_yaml.read(EVERYTHING)
    for size in (0, 7, 50):
        monkeypatch.setattr(block_yaml, "PIECE", size)
        assert block_yaml.read(EVERYTHING) == whole


def test_parse_gives_the_same_on_both_ways() -> None:
    fast, problems = document.parse("a.yaml", EVERYTHING.encode())
    assert (fast, problems) == document._Reader("a.yaml", EVERYTHING).read()


def test_mutations_agree_or_are_declined() -> None:
    randomness = random.Random(20)
    texts = [EVERYTHING, *(path.read_text(encoding="utf-8") for path in FILES)]
    read = sum(agrees(mutated(randomness.choice(texts), randomness)) for _ in range(1500))
    assert 150 < read < 1350  # else the mutations say nothing


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(SIGNS), st.sampled_from(EVERYTHING.splitlines(keepends=True))), max_size=12))
def test_any_text_agrees_or_is_declined(parts: list[str]) -> None:
    agrees("".join(parts))


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.sampled_from("".join(SIGNS)), max_size=6), st.sampled_from(("a: {}", "{}: a", "a: [{}, b]")))
def test_any_scalar_agrees_or_is_declined(text: str, frame: str) -> None:
    agrees(frame.replace("{}", text) + "\n")
