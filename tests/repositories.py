"""Git repositories for tests, made by the real git program, with nothing of the developer's configuration."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import inventories

WHEN = 1_700_000_000


def git(folder: Path, *arguments: str, when: int = WHEN) -> str:
    """Run git in a folder and return what it prints."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Anna",
        "GIT_AUTHOR_EMAIL": "anna@example.com",
        "GIT_COMMITTER_NAME": "Anna",
        "GIT_COMMITTER_EMAIL": "anna@example.com",
        "GIT_AUTHOR_DATE": f"{when} +0100",
        "GIT_COMMITTER_DATE": f"{when} +0100",
    }
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def start(folder: Path) -> Path:
    """Make an empty repository on branch main, and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q", "-b", "main")
    return folder


def commit(folder: Path, files: dict[str, Any] | None = None, message: str = "change", *, when: int = WHEN) -> str:
    """Commit the work tree, with the inventory replaced by `files` where they are given; return the commit's id."""
    if files is not None:
        shutil.rmtree(folder / "inventory", ignore_errors=True)
        inventories.write_inventory(folder, files)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", message, when=when)
    return git(folder, "rev-parse", "HEAD")
