"""Secrets in AWS Systems Manager Parameter Store: berlin/alice is the parameter PREFIXberlin/alice.

GetParameters takes ten names a request (API reference of Systems Manager, GetParameters: "Names", 1 to 10 items). A
parameter of type String or StringList is taken as it is.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from offhook.secrets.answers import Answer, Hidden, Request
from offhook.secrets.providers import aws

_BATCH = 10
_STORE = aws.Store("parameter", "ssm:GetParameters", "aws ssm put-parameter --type SecureString --overwrite --name")


def fetch(request: Request) -> Answer:
    """Return the values that Parameter Store has, and why it does not give the others."""
    stored = {name: _path(request.settings.get("prefix", "") + name) for name in request.names}
    with aws.quiet():
        client = aws.client("ssm", request)
        if isinstance(client, aws.Trouble):
            return aws.refused(request, client)
        many = partial(_parameters, client)
        got = aws.gather(list(stored.values()), size=_BATCH, many=many, alone=lambda name: many([name]))
    return aws.answer(request, stored, store=_STORE, region=client.meta.region_name, got=got)


def _path(name: str) -> str:
    """The parameter's name: one with a slash in it must begin with one (PutParameter, "Name")."""
    return f"/{name}" if "/" in name and not name.startswith("/") else name


def _parameters(client: Any, names: list[str]) -> aws.Reply | aws.Trouble:
    said = aws.ask(client.get_parameters, Names=names, WithDecryption=True)
    if isinstance(said, aws.Trouble):
        return said
    values = {one["Name"]: Hidden(one["Value"]) for one in said["Parameters"]}
    missing = aws.trouble("ParameterNotFound", "")
    return aws.Reply(values, {name: missing for name in names if name not in values})
