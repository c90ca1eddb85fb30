"""A file of the work tree as git would commit it: line ends and filters are what `.gitattributes` says."""

from __future__ import annotations

from pathlib import Path

from offhook.git.repository import Git


def read_checked_out(git: Git, path: str) -> bytes | None:
    """Return a file of the work tree by its path from the repository's top, None where there is none.

    Where git sees no change against its index, that is the content of the index: on disk it may have other line ends
    (gitattributes(5), "eol").
    """
    import pygit2

    repository = git.repository
    if repository.workdir is None:
        return None
    place = Path(repository.workdir) / path
    if not place.is_file():
        return None
    try:
        entry = repository.index[path]
        status = repository.status_file(path)
    except (KeyError, ValueError, pygit2.GitError):
        return place.read_bytes()
    changed = pygit2.enums.FileStatus.WT_MODIFIED | pygit2.enums.FileStatus.WT_TYPECHANGE
    if status & changed or entry.id not in repository:
        return place.read_bytes()
    return bytes(repository[entry.id].data)
