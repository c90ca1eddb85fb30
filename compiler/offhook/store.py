"""The cache file: facts by path and blob, and which files name what. SQLite underneath, checked on the way out.

Everything in it can be made again: it may be deleted at any time, and another version of offhook begins a new
one. Every row carries a checksum, so that a damaged file is noticed (`StoreDamaged`) and not believed. One
transaction a write: runs at the same time share the file. Without a file it lives in memory.
"""

from __future__ import annotations

import marshal
import sqlite3
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from offhook.facts import Facts, Packed, number_of

_BUCKETS = 64
_MANY_SEGMENTS = 24
_MANY_FACTS = 512
_BUSY_S = 60
_TABLES = """
create table if not exists facts
    (id integer primary key, path text, blob text, named integer, place integer, sum integer, pack blob);
create unique index if not exists facts_place on facts (blob, path);
create table if not exists names (bucket integer, sum integer, rows blob);
create index if not exists names_bucket on names (bucket);
create table if not exists trees (tree text primary key, number integer);
create table if not exists memos (key blob primary key, sum integer, value blob);
"""

Place = tuple[str, str]
"""A path and the blob at it."""


class StoreDamaged(Exception):
    """The cache file is not what was written: it is to be deleted and made again."""


class Store:
    """An open cache. Its methods raise StoreDamaged where the file cannot be believed."""

    def __init__(self, path: Path | None) -> None:
        """Open the file at `path`, made where it is missing; None keeps all in memory."""
        self.path = path
        self._facts: dict[Place, Facts] = {}
        self._private: dict[Place, Facts] = {}
        self._buckets: dict[int, list[memoryview]] = {}
        self._ids: dict[int, Place] = {}
        with _checked():
            self._base = sqlite3.connect(path or ":memory:", isolation_level=None, timeout=_BUSY_S)
            self._base.execute("pragma journal_mode = wal")
            self._base.execute("pragma synchronous = normal")
            self._base.executescript(_TABLES)

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def size(self) -> int:
        """Return the bytes that the cache takes."""
        with _checked():
            pages, page = (self._base.execute(f"pragma {word}").fetchone()[0] for word in ("page_count", "page_size"))
        return int(pages * page)

    # What files say.

    def has_facts(self, place: Place) -> bool:
        """Tell whether what the file at a place says is known."""
        query = "select 1 from facts where blob = ? and path = ? and pack is not null"
        with _checked():
            row = self._base.execute(query, (place[1], place[0])).fetchone()
        return row is not None or place in self._private

    def one_facts(self, place: Place) -> Facts:
        """Return what the file at a place says. Raises KeyError where that is not known."""
        if place in self._private:
            return self._private[place]
        path, blob = place
        with _checked():
            query = "select sum, pack from facts where blob = ? and path = ?"
            row = self._base.execute(query, (blob, path)).fetchone()
        if row is None or row[1] is None:
            raise KeyError(place)
        return Facts(*_unpack(row[0], row[1], path, blob))

    def facts(self, place: Place) -> Facts:
        """Return the same, quickly for what was asked for lately."""
        if place not in self._facts:
            if len(self._facts) >= _MANY_FACTS:
                self._facts.clear()
            self._facts[place] = self.one_facts(place)
        return self._facts[place]

    def put(self, files: Mapping[Place, Packed]) -> None:
        """Keep what files say, and under which names they are found where that is known."""
        if not files:
            return
        insert = "insert or ignore into facts (path, blob, named, sum, pack) values (?, ?, 0, ?, ?)"
        names: dict[Place, bytes] = {}
        with _checked(), self._writing():
            for (path, blob), one in files.items():
                # passwords in the clear stay in this process: the row tells only that the file was seen
                pack = None if one.private else one.facts
                if pack is None:
                    self._private[path, blob] = one.unpack()
                check = 0 if pack is None else _sum(pack, path, blob)
                cursor = self._base.execute(insert, (path, blob, check, pack))
                if cursor.rowcount:
                    self._set_named(cursor.lastrowid or 0, (path, blob), named=0)
                if one.names is not None:
                    names[path, blob] = one.names
            self._put_names(names)

    def put_names(self, names: Mapping[Place, bytes]) -> None:
        """Keep under which names files are found that were put without: 32-bit numbers, sorted."""
        with _checked(), self._writing():
            self._put_names(names)

    def unnamed(self, places: Iterable[Place]) -> list[Place]:
        """Return the places that the store has no names of."""
        query = "select id, named, place from facts where blob = ? and path = ?"
        found = []
        with _checked():
            for path, blob in places:
                row = self._base.execute(query, (blob, path)).fetchone()
                if row is not None and _place_sum(row[0], path, blob, row[1]) != row[2]:
                    raise StoreDamaged("a file's checksum is wrong")
                if row is None or not row[1]:
                    found.append((path, blob))
        return found

    def _put_names(self, names: Mapping[Place, bytes]) -> None:
        added: list[int] = []
        for (path, blob), numbers in names.items():
            query = "select id, named from facts where blob = ? and path = ?"
            identifier, named = self._base.execute(query, (blob, path)).fetchone()
            if not named:
                self._set_named(identifier, (path, blob), named=1)
                added += [number << 32 | identifier for number in array("I", numbers)]
        self._add_names(added)

    def _set_named(self, identifier: int, place: Place, *, named: int) -> None:
        check = _place_sum(identifier, *place, named)
        self._base.execute("update facts set named = ?, place = ? where id = ?", (named, check, identifier))

    def where(self, name: str) -> list[Place]:
        """Return the places, of any revision, whose files may define (`=site/a`) or use (`site/a`) a name."""
        number = number_of(name)
        low, high = number << 32, (number + 1) << 32
        found: set[int] = set()
        for segment in self._segments(number % _BUCKETS):
            start = bisect_left(segment, low)
            while start < len(segment) and segment[start] < high:
                found.add(segment[start] & 0xFFFFFFFF)
                start += 1
        return [self._place(one) for one in sorted(found)]

    def _place(self, identifier: int) -> Place:
        place = self._ids.get(identifier)
        if place is None:
            with _checked():
                query = "select path, blob, named, place from facts where id = ?"
                row = self._base.execute(query, (identifier,)).fetchone()
            if row is None or _place_sum(identifier, *row[:3]) != row[3]:
                raise StoreDamaged("a file that is named is not there")
            place = self._ids[identifier] = (row[0], row[1])
        return place

    def _segments(self, bucket: int) -> list[memoryview]:
        """The sorted arrays of one bucket: number << 32 | id of the file."""
        if bucket not in self._buckets:
            with _checked():
                rows = self._base.execute("select sum, rows from names where bucket = ?", (bucket,)).fetchall()
            if any(zlib.crc32(data) != check or len(data) % 8 for check, data in rows):
                raise StoreDamaged("a checksum of names is wrong")
            self._buckets[bucket] = [memoryview(data).cast("Q") for _, data in rows]
        return self._buckets[bucket]

    def _add_names(self, added: list[int]) -> None:
        shares: list[list[int]] = [[] for _ in range(_BUCKETS)]
        for one in added:
            shares[(one >> 32) % _BUCKETS].append(one)
        for bucket, share in enumerate(shares):
            if not share:
                continue
            share.sort()
            rows = self._base.execute("select count(*) from names where bucket = ?", (bucket,)).fetchone()[0]
            if rows >= _MANY_SEGMENTS:
                self._buckets.pop(bucket, None)
                share = sorted(share + [one for segment in self._segments(bucket) for one in segment])
                self._base.execute("delete from names where bucket = ?", (bucket,))
            data = array("Q", share).tobytes()
            self._base.execute("insert into names values (?, ?, ?)", (bucket, zlib.crc32(data), data))
            self._buckets.pop(bucket, None)

    # Which inventories were read whole.

    def has_tree(self, tree: str) -> bool:
        """Tell whether every file of an inventory's git tree was put."""
        with _checked():
            return self._base.execute("select 1 from trees where tree = ?", (tree,)).fetchone() is not None

    def last_trees(self) -> list[str]:
        """Return the trees that were put last, the newest first."""
        with _checked():
            return [row[0] for row in self._base.execute("select tree from trees order by number desc limit 8")]

    def put_trees(self, trees: Iterable[str]) -> None:
        """Remember that every file of some trees was put."""
        with _checked(), self._writing():
            number = self._base.execute("select coalesce(max(number), 0) from trees").fetchone()[0]
            rows = ((tree, number + place) for place, tree in enumerate(trees, start=1))
            self._base.executemany("insert or ignore into trees values (?, ?)", rows)

    # Everything else that is worth keeping.

    def memo(self, key: tuple[Any, ...]) -> Any:
        """Return what was remembered under a key of plain data, None where nothing was."""
        packed = marshal.dumps(key, 2)
        with _checked():
            row = self._base.execute("select sum, value from memos where key = ?", (packed,)).fetchone()
        return None if row is None else _unpack(row[0], row[1], "", "")

    def remember(self, rows: Mapping[tuple[Any, ...], Any]) -> None:
        """Keep plain data under keys of plain data."""
        if not rows:
            return
        with _checked(), self._writing():
            packs = ((marshal.dumps(key, 2), marshal.dumps(value)) for key, value in rows.items())
            self._base.executemany(
                "insert or replace into memos values (?, ?, ?)",
                ((key, _sum(value, "", ""), value) for key, value in packs),
            )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._base.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._base.execute("rollback")
            raise
        self._base.execute("commit")


def _sum(pack: bytes, path: str, blob: str) -> int:
    return zlib.crc32(pack, zlib.crc32(f"{path}\0{blob}".encode("utf-8", "surrogateescape")))


def _place_sum(identifier: int, path: str, blob: str, named: int) -> int:
    return _sum(b"%d %d" % (identifier, named), path, blob)


def _unpack(check: int, pack: bytes, path: str, blob: str) -> Any:
    if not isinstance(pack, bytes) or _sum(pack, path, blob) != check:
        raise StoreDamaged("a checksum is wrong")
    try:
        return marshal.loads(pack)
    except (ValueError, EOFError, TypeError) as error:
        raise StoreDamaged("a row cannot be read") from error


@contextmanager
def _checked() -> Iterator[None]:
    """SQLite's complaints about the file become StoreDamaged, those about the machine StoreUnusable."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StoreUnusable(str(error)) from error
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise StoreDamaged(str(error)) from error


class StoreUnusable(Exception):
    """The cache file cannot be used now: locked for long, on a full disk, not writable."""
