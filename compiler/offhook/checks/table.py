"""Every problem id: its severity, and in one sentence what it means. fleet.yaml may change severities by id.

The documentation of each stands in docs/checks/ID.md, with a passing and a failing example that are tested.
"""

from __future__ import annotations

from collections.abc import Mapping

from offhook.problem import ERROR, WARNING, Mark, Problem

# reading
_READING = {
    "yaml-syntax": (ERROR, "the file is no YAML"),
    "not-utf8": (ERROR, "the file is not UTF-8"),
    "duplicate-key": (ERROR, "a key stands twice in one mapping"),
    "yaml-anchor": (ERROR, "anchors and aliases are refused: profiles are for reuse"),
    "yaml-merge": (ERROR, "merge keys are refused: profiles are for reuse"),
    "yaml-tag": (ERROR, "tags are refused"),
    "yaml-documents": (ERROR, "one file holds one document"),
    "yaml-too-deep": (ERROR, "mappings and lists are nested too deeply"),
    "yaml-key": (ERROR, "a key is a text"),
    "file-too-big": (ERROR, "the file is larger than any inventory file should be"),
    "not-a-mapping": (ERROR, "a file is a mapping from id to entity"),
    "control-character": (ERROR, "a line break or control character would reach a phone's file"),
    "edge-blank": (ERROR, "a text begins or ends with a blank"),
    "tight-comment": (ERROR, "a comment that looks like a part of the text before it"),
    "not-a-file": (ERROR, "a link or special file stands in the inventory"),
    "stray-file": (WARNING, "a file that nothing reads"),
    "no-fleet": (ERROR, "there is no fleet.yaml"),
}
# what the schemas say
_SCHEMA = {
    "unknown-key": (ERROR, "a key that the schema does not know"),
    "missing-key": (ERROR, "a key that the schema wants is not there"),
    "wrong-type": (ERROR, "a value of the wrong type"),
    "bad-value": (ERROR, "a value that the schema does not allow"),
    "key-words": (ERROR, "a line key says one thing that it does, and a wave one that it takes"),
    "null-value": (ERROR, "nothing is said where a value is wanted"),
    "bad-id": (ERROR, "an id of letters that are not allowed"),
    "bad-mac": (ERROR, "a MAC address that is none"),
}
# what only the whole inventory shows
_LINKS = {
    "duplicate-id": (ERROR, "an id stands in two files"),
    "duplicate-mac": (ERROR, "a phone stands twice, perhaps in two spellings"),
    "unknown-reference": (ERROR, "a name that nothing has"),
    "duplicate-extension": (ERROR, "two accounts have one extension on one SIP server"),
    "no-sip-server": (ERROR, "an account without a SIP server"),
    "account-overuse": (ERROR, "an account is on more phones than max_phones"),
    "too-many-accounts": (ERROR, "more accounts than the model has"),
    "unsure-accounts": (WARNING, "more accounts than the model is known to have"),
    "no-line-keys": (ERROR, "a line key on a model without any"),
    "too-many-keys": (ERROR, "a line key beyond the model's last"),
    "dropped-key": (WARNING, "a profile's line key beyond a model's last"),
    "blf-self": (ERROR, "a BLF that watches its own phone"),
    "blf-unknown": (ERROR, "a BLF that watches a number nobody has"),
    "blf-no-account": (ERROR, "a BLF without an account on the watched SIP server"),
    "line-without-account": (ERROR, "a key uses an account slot that is empty"),
    "undocumented-key": (WARNING, "a key type that the guide does not list"),
    "mac-vendor": (WARNING, "a MAC address outside the vendor's prefixes"),
    "unknown-time-zone": (ERROR, "a time zone that does not exist"),
    "utc-offset": (ERROR, "a UTC offset that the time zone never has"),
    "too-many-phonebooks": (ERROR, "more phonebooks than the dialect can say"),
    "fixed-check": (ERROR, "a check whose severity cannot be changed"),
    "phonebook-url": (ERROR, "phonebooks without an address to fetch them from"),
    "word-not-in-dialect": (ERROR, "a word that the phone's dialect cannot say"),
    "site-subnet": (ERROR, "a site's subnet that is none, or that another site has, too"),
    "pin-without-url": (ERROR, "pin without an address to pin"),
    "publish-without-state": (ERROR, "a server to publish to, and no place for the manifest"),
    "empty-wave": (ERROR, "a wave after the one that takes the rest"),
}
# settings
_SETTINGS = {
    "unknown-parameter": (ERROR, "a parameter that nobody catalogued"),
    "wrong-dialect": (ERROR, "a parameter that no phone it is for can be told"),
    "wrong-model": (ERROR, "a parameter that the phone's model does not have"),
    "bad-setting": (ERROR, "a value that the parameter does not take"),
    "duplicate-setting": (ERROR, "one parameter in two spellings"),
    "generated-setting": (ERROR, "a parameter that the inventory's own words make"),
    "unconfirmed-parameter": (WARNING, "a parameter that no document of the vendor confirms"),
    "expression": (ERROR, "an expression that is not allowed, or has no value"),
    "no-fleet-value": (ERROR, "a parameter set for some phones and never for the others"),
    "retired-but-said": (ERROR, "a retired parameter that something still sets"),
    "left-inventory": (ERROR, "a parameter left the inventory and is not retired"),
    "removed-phone": (WARNING, "a phone left the inventory and was not retired"),
    "kept-value": (WARNING, "phones keep a value that nothing clears"),
}
# secrets
_SECRETS = {
    "clear-secret": (ERROR, "a secret in the clear"),
    "misplaced-secret": (ERROR, "a secret where the phone would show it"),
    "unknown-secret": (ERROR, "a secret that no file has"),
    "duplicate-secret": (ERROR, "a secret in two places"),
    "unsealed-secret": (ERROR, "a secrets file that SOPS did not encrypt"),
    "secrets-format": (ERROR, "a secrets file that is neither YAML nor JSON"),
    "secret-variable": (ERROR, "two secrets that one environment variable would hold"),
    "plain-secret-transport": (WARNING, "secrets over a transport without encryption"),
    "default-web-password": (WARNING, "the phones' web page keeps its factory password"),
}

_SOFT = frozenset({"stray-file", "plain-secret-transport", "default-web-password"})
FIXED = frozenset({*_READING, *_SCHEMA, *_SECRETS, "duplicate-id", "duplicate-mac"}) - _SOFT
"""Checks that fleet.yaml cannot soften: what was not understood is missing, and a secret shown is lost."""

ACCEPTABLE = frozenset({"plain-secret-transport"})
"""Checks that an environment can accept."""

CHECKS: Mapping[str, tuple[str, str]] = {**_READING, **_SCHEMA, **_LINKS, **_SETTINGS, **_SECRETS}


def found(identifier: str, mark: Mark, message: str, *, path: str = "", hint: str = "") -> Problem:
    """Return a problem of a check on the table, with the table's severity."""
    return Problem(identifier, mark, message, path, hint, CHECKS[identifier][0])
