"""Secrets in AWS Secrets Manager: berlin/alice is the whole text of the secret PREFIXberlin/alice.

BatchGetSecretValue takes twenty names a request (API reference of Secrets Manager, BatchGetSecretValue:
"SecretIdList"). Who may not call it is asked one by one, by GetSecretValue.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from offhook.secrets.answers import Answer, Hidden, Request
from offhook.secrets.providers import aws

_BATCH = 20
_STORE = aws.Store("secret", "secretsmanager:GetSecretValue", "aws secretsmanager put-secret-value --secret-id")
_BINARY = aws.Trouble(aws.OTHER, "it is binary: store the password as text", f"{_STORE.put} NAME")
_MAPPING = aws.Trouble(
    aws.OTHER,
    "it is JSON with keys: store the password alone, as plain text, one secret for each",
    f"{_STORE.put} NAME",
)
_DELETED = aws.Trouble(aws.OTHER, "it is to be deleted", "aws secretsmanager restore-secret --secret-id NAME")


def fetch(request: Request) -> Answer:
    """Return the values that Secrets Manager has, and why it does not give the others."""
    stored = {name: request.settings.get("prefix", "") + name for name in request.names}
    with aws.quiet():
        client = aws.client("secretsmanager", request)
        if isinstance(client, aws.Trouble):
            return aws.refused(request, client)
        names = list(stored.values())
        got = aws.gather(names, size=_BATCH, many=partial(_batch, client), alone=partial(_alone, client))
    return aws.answer(request, stored, store=_STORE, region=client.meta.region_name, got=got)


def _batch(client: Any, names: list[str]) -> aws.Reply | aws.Trouble:
    reply = aws.Reply()
    page: dict[str, Any] = {}
    while True:
        said = aws.ask(client.batch_get_secret_value, SecretIdList=names, **page)
        if isinstance(said, aws.Trouble):
            return said
        for one in said.get("SecretValues", []):
            _sort(reply, one["Name"], one)
        for one in said.get("Errors", []):
            reply.troubles[one["SecretId"]] = _trouble(aws.trouble(one["ErrorCode"], one.get("Message", "")))
        if not said.get("NextToken"):
            return reply
        page = {"NextToken": said["NextToken"]}


def _alone(client: Any, name: str) -> aws.Reply | aws.Trouble:
    said = aws.ask(client.get_secret_value, SecretId=name)
    if isinstance(said, aws.Trouble):
        return _trouble(said)
    reply = aws.Reply()
    _sort(reply, name, said)
    return reply


def _sort(reply: aws.Reply, name: str, one: dict[str, Any]) -> None:
    """Put what the store has under a name into the reply: as a value, or as one that no phone can use."""
    text = one.get("SecretString")
    if text is None:
        reply.troubles[name] = _BINARY
    elif _is_mapping(text):
        reply.troubles[name] = _MAPPING
    else:
        reply.values[name] = Hidden(text)


def _is_mapping(text: str) -> bool:
    """Tell whether a secret is what the console makes by default: {"key": "value"}."""
    if not text.lstrip().startswith("{"):
        return False
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _trouble(one: aws.Trouble) -> aws.Trouble:
    """A request that is not valid now: the secret waits for its deletion (GetSecretValue, InvalidRequestException)."""
    return _DELETED if "InvalidRequestException" in one.message else one
