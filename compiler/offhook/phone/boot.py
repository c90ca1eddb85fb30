"""A boot of the virtual phone: a MAC and the address of a root -> the requests and the settings they give.

The order of the requests is that of the guide's capture ("DHCP Option66"): the bare MAC, the phone's
boot file, the common boot file, the common CFG file; then the phone's CFG file, which the capture does
not reach. The first boot file that is found is followed and nothing else is looked for. A URL that names
a file, as in the guide's PnP capture, is fetched alone. Settings are merged after every download has
ended, the resource files that they name are fetched last (guide, "Downloading Boot, Configuration and
Resource Files").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from offhook.mac import parse_mac
from offhook.phone.fetch import Fetch, fetch, printable
from offhook.phone.reading import read_boot, read_cfg
from offhook.phone.request import BOOT, CFG, OK, RESOURCE, SKIPPED, Answer, FetchOptions, Request
from offhook.phone.run import Run, ServerLostError, is_lost, outcome, short_name
from offhook.phone.target import Target, join, parse_target
from offhook.problem import OffhookError

__all__ = ["MAX_INCLUDES", "BootResult", "FetchOptions", "Request", "boot"]

MAX_INCLUDES = 64
"""Files that a boot file may include, and resources that a boot may fetch; the phone's limit is unknown."""

COMMON = "y000000000000"
"""The name of the common boot and CFG file (guide, "Editing Common Boot File")."""

RESOURCE_PARAMETERS = (
    re.compile(r"local_contact\.data\.url"),  # guide, "Creating a New CFG File"
    re.compile(r"remote_phonebook\.data\.[0-9]+\.url"),  # FusionPBX templates for these phones
)
"""The parameters whose value is the URL of a file that the phone fetches after its configuration."""

_DEFAULTS = FetchOptions()


@dataclass(frozen=True, slots=True)
class BootResult:
    """What a boot came to.

    `settings` are all that the phone has afterwards: what it kept from `memory`, overridden by what it
    was told now. Where the boot `failed` (the server could not be asked) nothing changed. It is
    `complete` where something was found and every file that was named to the phone was fetched;
    resources on servers that it may not ask are left out of that. `resources` are by URL. No URL here
    holds credentials, but `settings` may hold secrets.
    """

    mac: str
    url: str
    requests: tuple[Request, ...]
    settings: dict[str, str] = field(repr=False)
    resources: dict[str, bytes] = field(repr=False)
    warnings: tuple[str, ...]
    complete: bool
    failed: bool

    @property
    def memory(self) -> dict[str, str]:
        """What the phone remembers for its next boot."""
        return dict(self.settings)


def boot(
    mac: str,
    url: str,
    *,
    memory: Mapping[str, str] = MappingProxyType({}),
    options: FetchOptions = _DEFAULTS,
    fetch: Fetch = fetch,
) -> BootResult:
    """Return what a phone with this MAC has after it booted from this URL.

    `url` is a folder, or a file whose name ends with .cfg or .boot; `$(MA)` in it stands for the MAC
    (guide, "An Instance of Auto Provision Configuration", Config File Name). `memory` is what the phone
    was told before. `fetch` gives files: one that keeps connections (`offhook.phone.connections`) serves many
    boots sooner. Whatever the server does becomes part of the result; OffhookError is raised for a
    MAC or a URL that is none, and where this machine lacks something.
    """
    digits = parse_mac(mac)
    if digits is None:
        raise OffhookError("the MAC is not valid, expected 12 hex digits")
    start = _start(url.replace("$(MA)", digits), options)
    run = Run(start, options, fetch)
    told: dict[str, str] = {}
    resources: dict[str, bytes] = {}
    failed = False
    try:
        told = _configuration(run, digits)
    except ServerLostError as error:
        run.miss(f"{error}; the phone keeps what it has")
        failed = True
    else:
        resources = _resources(run, told)
    return BootResult(
        mac=digits,
        url=start.url,
        requests=tuple(run.requests),
        settings={**memory, **told},
        resources=resources,
        warnings=tuple(run.warnings),
        complete=run.complete,
        failed=failed,
    )


def _start(url: str, options: FetchOptions) -> Target:
    """Return where the boot begins, with its credentials and, for `file`, the folder that bounds it."""
    start = parse_target(url)
    if not start.path.endswith((".cfg", ".boot", "/")):
        start = replace(start, path=start.path + "/")
    if not start.username:
        start = replace(start, username=options.username, password=options.password)
    return replace(start, root=start.folder.path)


def _configuration(run: Run, mac: str) -> dict[str, str]:
    """Return all that the boot and CFG files tell the phone, later ones over earlier ones."""
    if run.start.path.endswith(".boot"):
        told = _follow(run, run.start)
        return _nothing(run) if told is None else told
    if run.start.path.endswith(".cfg"):
        return _merged(run, [run.start])
    bare = run.look_for(_child(run.start, mac), CFG)
    if bare is not None:
        run.warn(f"{mac} exists: what a phone does with it is not documented, read here as its only CFG file")
        return _settings(run, mac, bare)
    for name in (mac, COMMON):
        told = _follow(run, _child(run.start, f"{name}.boot"))
        if told is not None:
            return told
    return _merged(run, [_child(run.start, f"{name}.cfg") for name in (COMMON, mac)])


def _child(folder: Target, name: str) -> Target:
    """Return a file of the base folder, under the query of the base URL (guide, Configuration Profile2)."""
    return replace(folder, path=folder.path + name)


def _merged(run: Run, targets: Iterable[Target]) -> dict[str, str]:
    """Return the settings of the CFG files that exist among these."""
    told: dict[str, str] = {}
    found = False
    for target in targets:
        content = run.look_for(target, CFG)
        if content is not None:
            found = True
            told |= _settings(run, short_name(target), content)
    return told if found else _nothing(run)


def _nothing(run: Run) -> dict[str, str]:
    run.miss(f"{printable(run.start.url)} has no boot or CFG file for this phone; it keeps what it has")
    return {}


def _settings(run: Run, name: str, content: bytes) -> dict[str, str]:
    cfg = read_cfg(content)
    for note in cfg.notes:
        run.warn(f"{name}: {note}")
    if cfg.is_foreign:
        run.miss(f"{name}: not a CFG file, no line is a setting")
    return cfg.settings


def _follow(run: Run, target: Target) -> dict[str, str] | None:
    """Return what the files of a boot file tell the phone, or None where there is no such boot file."""
    content = run.look_for(target, BOOT)
    if content is None:
        return None
    name = short_name(target)
    boot_file = read_boot(content)
    for note in boot_file.notes:
        run.warn(f"{name}: {note}")
    if not boot_file.includes:
        run.miss(f"{name}: includes no CFG file")
    if len(boot_file.includes) > MAX_INCLUDES:
        run.miss(f"{name}: {len(boot_file.includes)} includes, only the first {MAX_INCLUDES} are followed")
    told: dict[str, str] = {}
    for reference in boot_file.includes[:MAX_INCLUDES]:
        told |= _include(run, target, reference)
    return told


def _include(run: Run, boot_file: Target, reference: str) -> dict[str, str]:
    """Return the settings of one included file; a missing one is passed over.

    Raises ServerLostError where its server cannot be reached.
    """
    try:
        target = join(boot_file, reference)
    except OffhookError as error:
        run.miss(f"{short_name(boot_file)}: {error.message}, not included")
        return {}
    if not target.path.endswith(".cfg"):
        answer = Answer(SKIPPED, message="only .cfg files can be included")
        run.note(target, CFG, answer)
    else:
        answer = run.ask(target, CFG)
    if is_lost(answer):
        raise ServerLostError(outcome(target, answer))
    if answer.result != OK:
        run.miss(f"{outcome(target, answer)}, not included")
        return {}
    return _settings(run, short_name(target), answer.body)


def _resources(run: Run, told: Mapping[str, str]) -> dict[str, bytes]:
    """Return the files that the settings of this boot name, by URL.

    None of them stops the boot; a server that cannot be asked for one is not asked for another.
    """
    urls = [told[name] for name in told if any(known.fullmatch(name) for known in RESOURCE_PARAMETERS)]
    if len(urls) > MAX_INCLUDES:
        run.miss(f"{len(urls)} resource files, only the first {MAX_INCLUDES} are fetched")
    resources: dict[str, bytes] = {}
    lost: set[tuple[str, str, int]] = set()
    for url in urls[:MAX_INCLUDES]:
        try:
            target = parse_target(url)
        except OffhookError as error:
            run.miss(f"a resource file is not fetched: {error.message}")
            continue
        if target.origin in lost:
            run.miss(f"{short_name(target)}: not fetched, its server could not be asked before")
            continue
        answer = run.ask(target, RESOURCE)
        if is_lost(answer):
            lost.add(target.origin)
        if answer.result == OK:
            resources[target.url] = answer.body
        elif answer.result == SKIPPED:
            run.warn(f"{outcome(target, answer)}, not fetched")
        else:
            run.miss(f"{outcome(target, answer)}, not fetched")
    return resources
