"""What tests of the pages in docs/serving/ share: the texts of the pages, the example fleet's tree, and its phones."""

from __future__ import annotations

import re
from pathlib import Path

from inventories import ROOT, read, tree
from offhook.phone.boot import FetchOptions, boot

PAGES = ROOT / "docs/serving"
FLEET = read(ROOT)
FILES = {path: text.encode() for path, text in tree(FLEET).items()}
MACS = sorted(FLEET.inventory.phones)


def block(page: str, language: str, *, begins: str = "") -> str:
    """Return the one fenced text of a page in this language, that begins so."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", (PAGES / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (text,) = [text for text in found if text.startswith(begins)]
    return str(text)


def configured(page: str, text: str, here: dict[str, str]) -> str:
    """Put this machine's values in the place of those that the page declares, which must be all of these."""
    table = (PAGES / page).read_text("utf-8").partition("**Yours**")[2].partition("\n\n- ")[0].partition("\n\n`")[0]
    cells = re.findall(r"^\| ([^|]*`[^|]*) \|", table, re.MULTILINE)
    assert {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)} == here.keys()
    assert [name for name in here if name not in text] == []
    for name in sorted(here, key=len, reverse=True):
        text = text.replace(name, here[name])
    return text


def assert_phones_boot(tmp_path: Path, url: str, options: FetchOptions) -> None:
    """Hold that every phone of the example fleet gets from there what the tree holds."""
    for path, content in FILES.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    for mac in MACS:
        found, told = boot(mac, url, options=options), boot(mac, f"{tmp_path.as_uri()}/")
        assert found.settings == told.settings
        assert (found.complete, found.failed) == (True, False)
        assert [request.result for request in found.requests] == [request.result for request in told.requests]
    unknown = boot("0021f2ffffff", url, options=options)
    assert [request.result for request in unknown.requests][:2] == ["not found"] * 2
