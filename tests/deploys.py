"""A fleet that is deployed to a folder, with a farm of phones behind its registrar."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import Any

import inventories
import repositories
from labs import OFFHOOK
from sip_peers import PASSWORD, USER

RATE = "200/s"


def mac(number: int) -> str:
    """The MAC of a phone by its number, from 1."""
    return f"0021f2{number:06x}"


def user(number: int) -> str:
    """The extension of a phone by its number."""
    return f"{number:05d}"


class Works:
    """A fleet of `count` phones in a repository, released once to a folder without anybody being told."""

    def __init__(self, folder: Path, port: int, *, count: int = 12, layout: str = "flat", **rollout: Any) -> None:
        self.folder, self.port, self.count, self.password = folder, port, count, "a-password"
        self.root = repositories.start(folder / "fleet")
        self.served = folder / "served"
        self.served.mkdir()
        numbers = range(1, count + 1)
        said = {"gate": {"wait": "0 s"}, **rollout}
        self.files = inventories.minimal(
            **{
                "fleet.yaml": {
                    "sip": {"server": "127.0.0.1", "port": str(port)},
                    "secrets": {"provider": "env"},
                    "notify": {"rate": RATE, "username": USER, "password": "secret:notify"},
                    "limits": {"changed": "100%"},
                    "environments": {
                        "lab": {
                            "url": f"file://{self.served}/",
                            "publish": str(self.served),
                            "layout": layout,
                            "rollout": said,
                        }
                    },
                    "default_environment": "lab",
                },
                "accounts/all.yaml": {
                    f"a{number}": {"extension": user(number), "password": "secret:phone"} for number in numbers
                },
                "phones/all.yaml": {
                    mac(number): {"model": "FIP14G", "site": "berlin", "accounts": [f"a{number}"]} for number in numbers
                },
            }
        )
        self.commit("1")
        done = self.run("publish", "lab")
        assert done.returncode == 0, done.stderr

    def commit(self, value: str, numbers: Collection[int] | None = None) -> None:
        """Give phones another key, and commit."""
        for number in numbers if numbers is not None else range(1, self.count + 1):
            self.files["phones/all.yaml"][mac(number)]["keys"] = {3: {"speed-dial": value, "label": "Taxi"}}
        repositories.commit(self.root, self.files)

    def has(self, value: str) -> set[int]:
        """The numbers of the phones that would get a key with this value now, by their files."""
        return {
            number
            for number in range(1, self.count + 1)
            if f"linekey.3.value = {value}\n" in self._text(number).replace("=", " = ").replace("  ", " ")
        }

    def texts(self) -> dict[int, str]:
        """What each phone would get now."""
        return {number: self._text(number) for number in range(1, self.count + 1)}

    def _text(self, number: int) -> str:
        found = [*self.served.glob(f"{mac(number)}.cfg")]
        boot = (self.served / f"{mac(number)}.boot").read_text()
        for path in self.served.glob(f"phones/{mac(number)}.*.cfg"):
            if path.name in boot:
                found = [path]
        return found[0].read_text() if found else ""

    def environment(self) -> dict[str, str]:
        """What offhook runs with."""
        secrets = {"OFFHOOK_SECRET_NOTIFY": PASSWORD, "OFFHOOK_SECRET_PHONE": self.password}
        return {**os.environ, **secrets, "OFFHOOK_CACHE": str(self.folder / "cache")}

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start offhook."""
        return subprocess.Popen(
            [str(OFFHOOK), "-C", str(self.root), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment(),
        )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run offhook to its end."""
        process = self.start(*words)
        out, err = process.communicate(timeout=180)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def report(self, *words: str) -> tuple[int, dict[str, Any]]:
        """Run offhook with --format json; return its exit code and its report."""
        done = self.run(*words, "--format", "json")
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)
