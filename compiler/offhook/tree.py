"""The tree: every file that phones fetch, as path and text, in a stable order.

Comes in: an Inventory and an Environment. Goes out: `File`s. The same inventory gives the same bytes,
always: no clock, no tool version, nothing random, sorted where order means nothing. Secrets stay sealed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from offhook.flyingvoice.boot import COMMON, render_boot
from offhook.flyingvoice.cfg import render_cfg
from offhook.flyingvoice.phonebook import contacts_of, render_phonebook
from offhook.layers import Layer
from offhook.model import Phone
from offhook.settings import Resolver, Settings

FLAT = "flat"
LAYERED = "layered"


class File(NamedTuple):
    """One file of the tree. `owner` is the MAC whose own file it is, "" for a file that several phones share."""

    path: str
    text: str
    owner: str = ""


def shared_files(resolver: Resolver, phones: Sequence[Phone], *, layout: str) -> Iterator[File]:
    """Yield the files that are no phone's own: the common boot and cfg file, layers, and phonebooks; sorted by path."""
    files = {f"{COMMON}.boot": render_boot([f"{COMMON}.cfg"])}
    fleet = resolver.bases.layer(resolver.inventory.fleet.dialect, "fleet")
    files[f"{COMMON}.cfg"] = _render_layer(fleet) if fleet else render_cfg({})
    if layout == LAYERED:
        for layer in resolver.bases.layers_in_use(phones):
            files[f"{layer.file}.cfg"] = _render_layer(layer)
    inventory = resolver.inventory
    for identifier, book in inventory.phonebooks.items():
        files[f"phonebooks/{identifier}.xml"] = render_phonebook(contacts_of(book, inventory.accounts.values()))
    for path in sorted(files):
        yield File(path, files[path])


def phone_files(resolver: Resolver, phone: Phone, *, layout: str) -> tuple[File, File]:
    """Return a phone's own boot and cfg file.

    Flat: <mac>.cfg is complete and the boot file includes it alone. Layered: the boot file includes the
    shared files by precedence, then phones/<mac>.cfg, which says what these do not.
    """
    return files_of(resolver.resolve(phone), layout=layout)


def files_of(settings: Settings, *, layout: str) -> tuple[File, File]:
    """Return the same for settings that were resolved."""
    mac = settings.phone.mac
    own = own_path(mac, layout)
    return (
        File(f"{mac}.boot", render_boot([*included(settings, layout), own]), mac),
        File(own, render_cfg(own_values(settings, layout)), mac),
    )


def own_path(mac: str, layout: str) -> str:
    """Return the path of a phone's own cfg file."""
    return f"{mac}.cfg" if layout == FLAT else f"phones/{mac}.cfg"


def own_values(settings: Settings, layout: str) -> dict[str, str]:
    """Return what a phone's own cfg file says: everything, or what the shared files do not."""
    return settings.values if layout == FLAT else settings.own_values()


def included(settings: Settings, layout: str) -> list[str]:
    """Return the shared cfg files that a phone's boot file includes before the phone's own, the weakest first."""
    return [] if layout == FLAT else [f"{name}.cfg" for name in settings.base.files]


def _render_layer(layer: Layer) -> str:
    return render_cfg(layer.shared_values())
