"""Addresses: what a URL and a reference in a boot file mean."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offhook.phone.target import Target, join, parse_target
from offhook.problem import OffhookError

URLS = [
    ("tftp://10.20.0.92/", "tftp://10.20.0.92/", ""),
    ("TFTP://HOST.example", "tftp://host.example/", ""),
    ("tftp://h:69/a", "tftp://h/a", "a"),
    ("tftp://h:6969/a?b#c", "tftp://h:6969/a%3Fb%23c", "a?b#c"),
    ("http://h:80/HTTP Directory/sip.cfg", "http://h/HTTP%20Directory/sip.cfg", "HTTP Directory/sip.cfg"),
    ("http://h/%41%zz", "http://h/%41%25zz", "A%zz"),
    ("https://h:8443/c/x?mac=0021f2000001&a=b c", "https://h:8443/c/x?mac=0021f2000001&a=b%20c", "c/x"),
    ("http://user:pw@h/x", "http://h/x", "x"),
    ("ftp://test1:1%4023@10.3.6.234/", "ftp://10.3.6.234/", ""),
    ("http://[2001:DB8::1]:8080/x", "http://[2001:db8::1]:8080/x", "x"),
    ("http://bücher.example/ü", "http://xn--bcher-kva.example/%C3%BC", "ü"),
    ("http://h/a/../../b/./c/..", "http://h/b/", "b/"),
    ("http://h/a/%2e%2E/b/.", "http://h/b/", "b/"),
    ("file:///srv/tftp/", "file:///srv/tftp/", "srv/tftp/"),
    ("file://localhost/srv", "file:///srv", "srv"),
    ("http://h?x=1", "http://h/?x=1", ""),
]


@pytest.mark.parametrize(("text", "url", "name"), URLS)
def test_url(text: str, url: str, name: str) -> None:
    target = parse_target(text)
    assert (target.url, target.name) == (url, name)
    assert parse_target(target.url).url == url


def test_credentials_are_decoded_and_not_shown() -> None:
    target = parse_target("ftp://test%201:a%40b:c@h/x")
    assert target == Target("ftp", "h", 21, "/x", "", "test 1", "a@b:c")
    assert target.url == "ftp://h/x"
    assert "a@b" not in repr(target)
    assert "test 1" not in repr(target)


REFERENCES = [
    ("http://h/a/x.boot", "sip.cfg", "http://h/a/sip.cfg"),
    ("http://h/a/x.boot", "HTTP Directory/sip.cfg", "http://h/a/HTTP%20Directory/sip.cfg"),
    ("http://h/a/x.boot", "../sip.cfg", "http://h/sip.cfg"),
    ("http://h/a/x.boot", "../../../sip.cfg", "http://h/sip.cfg"),
    ("http://h/a/x.boot", "/sip.cfg", "http://h/sip.cfg"),
    ("http://h/a/x.boot", "//other/sip.cfg", "http://other/sip.cfg"),
    ("http://h/a/x.boot?mac=1", "sip.cfg", "http://h/a/sip.cfg"),
    ("http://h/a/x.boot", "sip.cfg?v=1", "http://h/a/sip.cfg?v=1"),
    ("http://h/a/x.boot", "a:b.cfg", "http://h/a/a:b.cfg"),
    ("http://h:81/a/x.boot", "https://h/sip.cfg", "https://h/sip.cfg"),
    ("http://h/a/x.boot", "", "http://h/a/"),
    ("tftp://h/x.boot", "a?b#c.cfg", "tftp://h/a%3Fb%23c.cfg"),
    ("file:///srv/x.boot", "../../etc/passwd", "file:///etc/passwd"),
]


@pytest.mark.parametrize(("base", "reference", "url"), REFERENCES)
def test_reference(base: str, reference: str, url: str) -> None:
    assert join(parse_target(base), reference).url == url


def test_credentials_stay_with_relative_references_only() -> None:
    base = parse_target("http://user:pw@h/x.boot")
    assert join(base, "a.cfg").username == "user"
    assert join(base, "http://h/a.cfg").username == ""
    assert join(base, "//h/a.cfg").username == ""


@given(st.text(max_size=60), st.sampled_from(["", "http://", "tftp://h/", "ftp://u:p@", "file:///", "//"]))
@settings(max_examples=300, deadline=None)
def test_any_text_is_an_address_or_refused(text: str, begin: str) -> None:
    base = parse_target("http://user:pw@h/a/x.boot")
    for parse in (parse_target, lambda reference: join(base, reference)):
        try:
            target = parse(begin + text)
        except OffhookError:
            continue
        assert target.url.isascii()
        assert target.url.isprintable()
        assert parse_target(target.url).url == target.url
