"""Secrets in environment variables: berlin/alice is OFFHOOK_SECRET_BERLIN_ALICE."""

from __future__ import annotations

from offhook.secrets.answers import Answer, Fault, Found, Hidden, Request
from offhook.secrets.reference import variable


def fetch(request: Request) -> Answer:
    """Return the values that the environment has; a fault for each that it has not, and for two of one variable."""
    values: dict[str, Found] = {}
    faults: list[Fault] = []
    holders: dict[str, str] = {}
    for name in request.names:
        wanted = variable(name)
        first = holders.setdefault(wanted, name)
        if first != name:
            message = f'secrets "{first}" and "{name}" would both be the variable {wanted}'
            faults.append(Fault(message, "rename one of the two", request.places.get(name), (name,)))
        elif wanted in request.environment:
            hint = f"set {wanted} without that (no newline at its end)"
            values[name] = Found(Hidden(request.environment[wanted]), None, hint)
        else:
            message = f'secret "{name}" is not in the environment'
            faults.append(Fault(message, f"set {wanted}", request.places.get(name), (name,)))
    return Answer(values, faults)
