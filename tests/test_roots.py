"""Every kind of root against real servers: one suite that all of them run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest

from offhook.problem import OffhookError
from offhook.publish.roots.opening import open_root
from offhook.publish.roots.root import About, Root, Unlistable, is_own
from places import BUCKET, KINDS, PASSWORD, SECRET_KEY, Place, Places, environment

pytestmark = pytest.mark.peer

ABOUT = About("text/plain; charset=utf-8", "no-cache", "0123456789abcdef0123456789abcdef01234567")
CONTENTS = {
    "0021f222b01d.cfg": b"account.1.label=Kr\xc3\xbcger\n",
    "empty.cfg": b"",
    "sites/berlin 1.cfg": b"local_time.time_zone=+1\n",
    "a/b/c/d.xml": bytes(range(256)),
    "phonebooks/K\u00f6ln \u5317\u4eac.xml": b"<x/>",
    "odd/%41+&#?;='()[]~,@!$.cfg": b"odd",
    "large.bin": bytes(range(256)) * 20_000,
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    with environment(), ExitStack() as stack:
        yield Places(stack, tmp_path_factory.mktemp("places"))


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, places: Places) -> Place:
    return places[request.param]


def listed(root: Root) -> dict[str, int]:
    return {stored.path: stored.size for stored in root.list()}


def test_what_is_written_is_there_for_everybody(place: Place) -> None:
    root = place.root("whole")
    for path, content in CONTENTS.items():
        root.write(path, content, ABOUT)
    assert {path: place.look(f"whole/{path}") for path in CONTENTS} == CONTENTS
    assert {path: root.read(path) for path in CONTENTS} == CONTENTS
    if place.lists:
        assert listed(root) == {path: len(content) for path, content in CONTENTS.items()}
    root.write("empty.cfg", b"no more", ABOUT)
    root.delete(["large.bin", "a/b/c/d.xml", "odd/%41+&#?;='()[]~,@!$.cfg", "not/there.cfg", "not-there.cfg"])
    left = {path: CONTENTS[path] for path in ("0021f222b01d.cfg", "sites/berlin 1.cfg")} | {"empty.cfg": b"no more"}
    found = {path: place.look(f"whole/{path}") for path in CONTENTS}
    assert {path: content for path, content in found.items() if content is not None} == {
        **left,
        "phonebooks/K\u00f6ln \u5317\u4eac.xml": b"<x/>",
    }
    root.close()
    root.close()


def test_what_is_not_there_is_none(place: Place) -> None:
    root = place.root("missing")
    assert [root.read("a.cfg"), root.read("a/b/c.cfg")] == [None, None]
    root.delete([])
    if place.lists:
        assert listed(root) == {}
    else:
        with pytest.raises(Unlistable):
            list(root.list())


def test_a_root_ends_at_its_prefix(place: Place) -> None:
    phones, neighbour = place.root("phones"), place.root("phones2")
    phones.write("a.cfg", b"ours")
    neighbour.write("a.cfg", b"theirs")
    phones.delete(["2/a.cfg"])
    assert (phones.read("a.cfg"), phones.read("2/a.cfg")) == (b"ours", None)
    if place.lists:
        assert listed(phones) == {"a.cfg": 4}
    assert place.look("phones2/a.cfg") == b"theirs"


def test_a_folder_is_not_emptied(place: Place) -> None:
    root = place.root("folders")
    root.write("sites/berlin.cfg", b"1")
    with suppress(OffhookError):
        root.delete(["sites"])
    assert place.look("folders/sites/berlin.cfg") == b"1"


@pytest.mark.parametrize(
    "path", ["", "/a", "a/", "a//b", "../a", "a/../b", ".", "a/.", "a\nb", "a\0", "a\\b", "\udc80", "a" * 901]
)
def test_paths_that_lead_elsewhere_are_refused(place: Place, path: str) -> None:
    root = place.root()
    for call in (root.read, lambda path: root.write(path, b""), lambda path: root.delete([path])):
        with pytest.raises(OffhookError) as refused:
            call(path)
        assert "path" in refused.value.message
        assert refused.value.message.isascii()


def test_a_reader_sees_the_old_or_the_new_whole(place: Place) -> None:
    root = place.root("atomic")
    size = 300_000
    root.write("a.cfg", b"0" * size)
    stopping = threading.Event()

    def read() -> list[tuple[int, int]]:
        seen = []
        while not stopping.is_set():
            content = place.look("atomic/a.cfg") or b""
            seen.append((len(content), len(set(content))))
        return seen

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        try:
            for number in range(1, 20):
                root.write("a.cfg", str(number % 10).encode() * size)
        finally:
            stopping.set()
        seen = [one for reader in readers for one in reader.result()]
    assert set(seen) == {(size, 1)}
    if place.lists:
        assert listed(root) == {"a.cfg": size}


def test_threads_share_a_root(place: Place) -> None:
    root = place.root("threads")
    contents = {f"folder{number % 3}/{number}.cfg": b"%d" % number for number in range(48)}
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda item: root.write(*item), contents.items()))
        assert dict(zip(contents, pool.map(root.read, contents), strict=True)) == contents
        list(pool.map(lambda path: root.delete([path]), contents))
        assert list(pool.map(root.read, contents)) == [None] * 48


def test_versions_compare_and_swap(place: Place) -> None:
    state = place.state("state")
    assert state.swaps() is True
    assert state.read_version("a/manifest.json") is None
    assert state.write_version("a/manifest.json", b"1", None) is True
    assert state.write_version("a/manifest.json", b"2", None) is False
    first = state.read_version("a/manifest.json")
    assert first is not None
    assert first[0] == b"1"
    assert state.write_version("a/manifest.json", b"3", first[1]) is True
    assert state.write_version("a/manifest.json", b"4", first[1]) is False
    assert state.write_version("not-there.json", b"5", first[1]) is False
    assert place.look("state/a/manifest.json") == b"3"
    assert place.look("state/not-there.json") is None
    if place.lists:
        assert [path for path in listed(state) if not is_own(path)] == ["a/manifest.json"]
    state.close()


def test_of_many_who_write_at_once_one_wins(place: Place) -> None:
    place.make("race")
    states = [place.state("race") for _ in range(4)]
    states[0].swaps()
    version = None
    for _ in range(2):
        contents = [b"%d after %s" % (number, str(version).encode()) for number in range(len(states))]
        with ThreadPoolExecutor(len(states)) as pool:
            won = list(
                pool.map(
                    lambda pair, at=version: pair[0].write_version("lock", pair[1], at),
                    zip(states, contents, strict=True),
                )
            )
        assert won.count(True) == 1
        found = states[0].read_version("lock")
        assert found is not None
        assert found[0] == contents[won.index(True)]
        version = found[1]


def test_a_real_s3_server_refuses(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    options = places["seaweedfs"].options

    def message(bucket: str) -> str:
        with pytest.raises(OffhookError) as refused:
            list(open_root(f"s3://{bucket}/site", options=options).list())
        return refused.value.message

    assert message("nobucket") == "s3://nobucket/site: there is no such bucket"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    assert message(BUCKET) == f"s3://{BUCKET}/site: the secret key is wrong"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    assert message(BUCKET) == f"s3://{BUCKET}/site: the server does not know the access key"


def test_names_and_errors_hold_no_password(place: Place) -> None:
    root = place.root()
    for text in (root.name, repr(root), str(vars(root))):
        assert PASSWORD not in text
        assert SECRET_KEY not in text
