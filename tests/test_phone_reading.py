"""The phone's reading of boot and CFG files: line by line, and of any bytes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offhook.phone.reading import BootFile, CfgFile, read_boot, read_cfg

BOOT_FILES = [
    (b"", (), ()),
    (b"#!version:1.0.0.1\n# include:config <a.cfg>\n\n", (), ()),
    (b'include:config <a.cfg>\ninclude:config "b.cfg"\n', ("a.cfg", "b.cfg"), ()),
    (b'include:config <a.cfg>\r\ninclude:config "b.cfg"', ("a.cfg", "b.cfg"), ()),
    (b"  include:config <a.cfg>  \ninclude:config<b.cfg>\n", ("a.cfg", "b.cfg"), ()),
    (b'include:config "HTTP Directory/sip.cfg"', ("HTTP Directory/sip.cfg",), ()),
    ("include:config <Büro.cfg>".encode(), ("Büro.cfg",), ()),
    (b"include:config <>", ("",), ()),
    (
        b'include:config a.cfg\nconfig:include <a.cfg>\ninclude:config <a.cfg"\n #x\ninclude:config <a> <b>\nx',
        (),
        ("lines 1, 2, 3, 4, 5 and 1 more: neither a comment nor an include, not read",),
    ),
    (
        b"\xef\xbb\xbfinclude:config <a.cfg>",
        (),
        (
            "line 1 begins with a byte order mark, which phones may not know",
            "line 1: neither a comment nor an include, not read",
        ),
    ),
    (b"#\ninclude:config <\xff.cfg>", ("\ufffd.cfg",), ("line 2 is not UTF-8",)),
]

CFG_FILES = [
    (b"", {}, ()),
    (b"a=1\nb.1.c = two words\n\td\t=\t3\n", {"a": "1", "b.1.c": "two words", "d": "3"}, ()),
    (b"a=1\r\nb=2\r\n", {"a": "1", "b": "2"}, ()),
    (b'a=x=y\nb=#1\nc="q"\nd=%NULL%\n', {"a": "x=y", "b": "#1", "c": '"q"', "d": "%NULL%"}, ()),
    (b"#a=1\n##b\na=\nb= \n", {}, ()),
    ("a=Krüger".encode(), {"a": "Krüger"}, ()),
    (b"a=1 \nb=2\t\r\n", {"a": "1 ", "b": "2\t"}, ("lines 1, 2: a blank at the end of the value, which counts",)),
    (
        b">>>>>>> Stashed changes\na=1\nno setting\na b=2\n=3\n # x=1\n",
        {"a": "1"},
        ("lines 1, 3, 4, 5, 6: neither a comment nor name=value, not read",),
    ),
    (b"sip.listen_port=5060\nsip.listen_port=\n", {"sip.listen_port": "5060"}, ()),
    (b"a=1\na=1\n", {"a": "1"}, ()),
    (
        b"a=1\na=2\n",
        {"a": "2"},
        ("line 2: a parameter again, with another value; the last one counts",),
    ),
    (b"a=1\x0b\x0c\x1c2\xe2\x80\xa83\n", {"a": "1\x0b\x0c\x1c2\u20283"}, ()),
    (b"a=\xff", {"a": "\ufffd"}, ("line 1 is not UTF-8",)),
    (
        b"\xef\xbb\xbfa=1\nb=2\n",
        {"b": "2"},
        (
            "line 1 begins with a byte order mark, which phones may not know",
            "line 1: neither a comment nor name=value, not read",
        ),
    ),
]


@pytest.mark.parametrize(("content", "includes", "notes"), BOOT_FILES)
def test_boot_file(content: bytes, includes: tuple[str, ...], notes: tuple[str, ...]) -> None:
    assert read_boot(content) == BootFile(includes, notes)


@pytest.mark.parametrize(("content", "told", "notes"), CFG_FILES)
def test_cfg_file(content: bytes, told: dict[str, str], notes: tuple[str, ...]) -> None:
    assert read_cfg(content) == CfgFile(told, notes, is_foreign=False)


def test_a_file_of_something_else_is_foreign() -> None:
    assert read_cfg(b"<html>\n").is_foreign
    assert not read_cfg(b"").is_foreign
    assert not read_cfg(b"<html>\na=\n").is_foreign


_WORDS = st.sampled_from(
    [b"include:config", b"<", b">", b'"', b"=", b"#", b" ", b"\t", b"\r", b"\n", b"a.cfg", b"\xff", b"\xef\xbb\xbf"]
)
ANY_BYTES = st.binary(max_size=300) | st.lists(_WORDS, max_size=40).map(b"".join)


@given(ANY_BYTES)
@settings(max_examples=300, deadline=None)
def test_any_bytes_can_be_read(content: bytes) -> None:
    for include in read_boot(content).includes:
        assert "\n" not in include
    cfg = read_cfg(content)
    for name, value in cfg.settings.items():
        assert name
        assert value
        assert "\n" not in name + value
        assert value[0] not in " \t"


@given(
    st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9_]{0,8}(\.[a-z0-9]{1,4}){0,2}", fullmatch=True),
        st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1).filter(lambda v: v[0] != " "),
        max_size=8,
    )
)
@settings(max_examples=100, deadline=None)
def test_what_is_written_is_read(told: dict[str, str]) -> None:
    """Any value that begins with no blank survives, whatever stands in it."""
    content = "".join(f"{name}={value}\n" for name, value in told.items()).encode()
    assert read_cfg(content).settings == told
