"""A folder that holds a tree: strangers' files are safe, and nothing half-written is ever there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from offhook.output import INDEX, compare_tree, write_tree
from offhook.problem import OffhookError
from offhook.tree import File


def shares(files: dict[str, str]) -> list[Callable[[], Iterator[File]]]:
    return [lambda path=path, text=text: iter([File(path, text)]) for path, text in files.items()]  # type: ignore[misc]


def content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path.name != INDEX
    }


A = {"a.cfg": "a=1\n", "phones/b.cfg": "b=1\n", "c.cfg": "c=1\n"}
B = {"a.cfg": "a=2\n", "phones/d.cfg": "d=1\n", "c.cfg": "c=1\n"}


@pytest.mark.parametrize("processes", [1, 2])
def test_a_new_folder(processes: int, tmp_path: Path) -> None:
    written = write_tree(tmp_path / "x" / "site", shares(A), processes=processes)
    assert content(tmp_path / "x" / "site") == A
    assert written.added == ("a.cfg", "c.cfg", "phones/b.cfg")
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["site"]


def test_an_existing_folder_is_brought_up_to_date(tmp_path: Path) -> None:
    write_tree(tmp_path, shares(A))
    written = write_tree(tmp_path, shares(B))
    assert content(tmp_path) == B
    assert (written.added, written.changed, written.deleted, written.unchanged) == (
        ("phones/d.cfg",),
        ("a.cfg",),
        ("phones/b.cfg",),
        1,
    )
    assert write_tree(tmp_path, shares(B)).is_current


def test_unchanged_files_are_not_touched(tmp_path: Path) -> None:
    write_tree(tmp_path, shares(A))
    before = (tmp_path / "c.cfg").stat()
    write_tree(tmp_path, shares(B))
    after = (tmp_path / "c.cfg").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_strangers_are_left_alone_and_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "README").write_text("mine")
    write_tree(tmp_path, shares(A))
    (tmp_path / "phones" / "mine.cfg").write_text("mine")
    write_tree(tmp_path, shares({}))
    assert content(tmp_path) == {"README": "mine", "phones/mine.cfg": "mine"}
    with pytest.raises(OffhookError, match="offhook did not write it"):
        write_tree(tmp_path, shares({"README": "ours"}))
    assert content(tmp_path)["README"] == "mine"


def test_compare_writes_nothing(tmp_path: Path) -> None:
    assert compare_tree(tmp_path / "site", shares(A)).added == tuple(A)
    assert list(tmp_path.iterdir()) == []


def test_an_index_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    site = tmp_path / "site"
    write_tree(site, shares(A))
    (site / INDEX).write_text("../victim\n/etc/passwd\nphones/../../victim\na.cfg\n")
    write_tree(site, shares({"a.cfg": "a=1\n"}))
    assert (tmp_path / "victim").read_text() == "mine"


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    outside, site = tmp_path / "outside", tmp_path / "site"
    outside.mkdir()
    write_tree(site, shares({"a.cfg": "a=1\n"}))
    (site / "phones").symlink_to(outside)
    with pytest.raises(OffhookError, match="is a link"):
        write_tree(site, shares(A))
    assert list(outside.iterdir()) == []


def test_a_link_in_the_place_of_a_file_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    site = tmp_path / "site"
    write_tree(site, shares(A))
    (site / "a.cfg").unlink()
    (site / "a.cfg").symlink_to(tmp_path / "victim")
    write_tree(site, shares(A))
    assert (tmp_path / "victim").read_text() == "mine"
    assert content(site) == A


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "site").write_text("x")
    with pytest.raises(OffhookError, match="a tree needs a folder"):
        write_tree(tmp_path / "site", shares(A))


@pytest.mark.parametrize("step", range(8))
def test_a_run_that_fails_anywhere_leaves_whole_files_and_is_finished_by_the_next(
    step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    write_tree(site, shares(A))
    calls = {"count": 0}

    def failing(name: str) -> Callable[..., object]:
        real = getattr(os, name)

        def call(*arguments: object, **more: object) -> object:
            calls["count"] += 1
            if calls["count"] == step + 1:
                raise OSError(28, "No space left on device")
            return real(*arguments, **more)

        return call

    with monkeypatch.context() as patch:
        for name in ("replace", "chmod", "unlink"):
            patch.setattr(os, name, failing(name))
        with suppress(OffhookError):
            write_tree(site, shares(B))
    for path, text in content(site).items():
        assert text in (A.get(path), B.get(path))
    write_tree(site, shares(B))
    assert content(site) == B


@pytest.mark.parametrize("name", ["open", "write", "rename"])
def test_a_first_run_that_fails_leaves_nothing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = getattr(os, name)

    def failing(*arguments: object, **more: object) -> object:
        setattr(os, name, real)  # once: what cleans up needs it too
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, name, failing)
        with pytest.raises(OffhookError, match="No space left"):
            write_tree(tmp_path / "site", shares(A))
    assert list(tmp_path.iterdir()) == []
