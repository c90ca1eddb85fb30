"""The virtual phone in the tests of other projects: fixtures that pytest finds, assertions that say what is wrong."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from inventories import ROOT
from offhook.phone.booted import Booted, virtual_phone
from offhook.phone.request import FetchOptions
from offhook.problem import OffhookError

MAC = "0021f2000001"
PASSWORD = "s3cret-p4ss"
FILES = {
    f"{MAC}.boot": f'include:config "{MAC}.cfg"\n',
    f"{MAC}.cfg": f"account.1.enable=1\naccount.1.label=Desk\naccount.1.password={PASSWORD}\n",
}


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A provisioning root in a folder."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path.as_uri() + "/"


def refusal(call: Callable[[], object]) -> list[str]:
    with pytest.raises(AssertionError) as raised:
        call()
    assert PASSWORD not in str(raised.value)
    assert PASSWORD not in repr(raised.value)
    return str(raised.value).split("\n\n")[0].splitlines()


def test_what_holds(url: str) -> None:
    phone = virtual_phone(MAC, url).assert_complete()
    assert phone.assert_has({"account.1.enable": "1", "account.2.enable": None}) is phone
    assert phone.assert_settings(phone.settings) is phone
    assert [request.result for request in phone.requests] == ["not found", "ok", "ok"]


def test_what_does_not_hold_is_said(url: str, tmp_path: Path) -> None:
    phone = virtual_phone(MAC, url)
    wanted = {"account.1.label": "Door", "account.1.password": "other", "account.10.enable": "0", "a.2": None}
    assert refusal(lambda: phone.assert_has(wanted)) == [
        "account.1.label: expected 'Door', has 'Desk'",
        "account.1.password: expected ********, has ********",
        "account.10.enable: expected '0', has nothing",
    ]
    assert refusal(lambda: phone.assert_settings({"account.1.enable": "1", "account.1.password": PASSWORD})) == [
        "account.1.label: expected nothing, has 'Desk'"
    ]
    (tmp_path / f"{MAC}.cfg").unlink()
    lines = refusal(lambda: virtual_phone(MAC, url).assert_complete())
    assert lines == ["the boot is not complete", f"{MAC}.cfg: not found, not included"]


def test_a_phone_keeps_what_it_was_told(url: str, tmp_path: Path) -> None:
    phone = virtual_phone(MAC, url)
    (tmp_path / f"{MAC}.cfg").write_text("account.1.label=Door\n")
    phone.again().assert_has({"account.1.label": "Door", "account.1.enable": "1"})


def test_options(url: str) -> None:
    assert virtual_phone(MAC, url, max_bytes=10).result.failed
    assert virtual_phone(MAC, url, options=FetchOptions(max_bytes=10)).again().result.failed
    with pytest.raises(TypeError):
        virtual_phone(MAC, url, nonsense=1)
    with pytest.raises(OffhookError):
        virtual_phone("no MAC", url)


def test_the_fixture(virtual_phone: Callable[..., Booted], url: str) -> None:
    virtual_phone(MAC, url).assert_complete().assert_has({"account.1.label": "Desk"})


def test_a_project_of_its_own(tmp_path: Path, url: str) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "conftest.py").write_text(
        "import pytest\nfrom offhook.phone.request import FetchOptions\n\n"
        "@pytest.fixture(scope='session')\ndef virtual_phone_options():\n    return FetchOptions(max_bytes=100)\n"
    )
    (project / "test_it.py").write_text(
        f"def test_good(virtual_phone):\n    virtual_phone('{MAC}', '{url}').assert_complete()\n\n"
        "def test_bad(virtual_phone):\n"
        f"    virtual_phone('{MAC}', '{url}').assert_has({{'account.1.label': 'Door'}})\n\n"
        "def test_options(virtual_phone_options):\n    assert virtual_phone_options.max_bytes == 100\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(project)]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert "1 failed, 2 passed" in done.stdout, done.stdout + done.stderr
    assert "account.1.label: expected 'Door', has 'Desk'" in done.stdout
    assert PASSWORD not in done.stdout


def test_pytest_finds_it() -> None:
    named = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]["pytest11"]
    assert named == {"offhook": "offhook.phone.pytest_plugin"}


def test_loading_it_costs_little() -> None:
    code = "import sys, pytest; before = set(sys.modules); import offhook.phone.pytest_plugin"
    code += "; print(sorted(name for name in set(sys.modules) - before if name.partition('.')[0] != 'offhook'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
