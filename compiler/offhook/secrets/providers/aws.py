"""What both AWS providers share: a client, what its refusals mean, and asking in batches.

Every refusal of AWS becomes a `Trouble`, a value with a line and a next step. What AWS says itself is not shown; its
codes are those of the API references of each service ("Common Error Types", and the errors of each action).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from offhook.secrets.answers import Answer, Fault, Found, Hidden, Request, quoted

CONNECT_S = 5
READ_S = 20
ATTEMPTS = 5
ENOUGH_REFUSALS = 10

DENIED, MISSING, KMS, OTHER = "denied", "missing", "kms", "other"
_WHO = "aws sts get-caller-identity tells who you are"
_NET = "look at the network, a proxy, and the region: secrets: {region: eu-central-1}, or AWS_REGION"


class Trouble(NamedTuple):
    """What AWS, or the way to it, refuses. `final` says that the next request would end the same."""

    kind: str
    message: str
    hint: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What a request brought, by the name in the store."""

    values: dict[str, Hidden] = field(default_factory=dict)
    troubles: dict[str, Trouble] = field(default_factory=dict)


_LOGIN = "aws configure, AWS_PROFILE, or a role for the CI job"
_RAISED = {
    "NoRegionError": Trouble(OTHER, "no AWS region is said", _NET, True),
    "InvalidRegionError": Trouble(OTHER, "the AWS region is none", _NET, True),
    "NoCredentialsError": Trouble(OTHER, "there are no AWS credentials", _LOGIN, True),
    "PartialCredentialsError": Trouble(OTHER, "the AWS credentials are not complete", _LOGIN, True),
    "CredentialRetrievalError": Trouble(OTHER, "the AWS credentials cannot be had", _LOGIN, True),
    "ProfileNotFound": Trouble(OTHER, "AWS_PROFILE names no profile", "aws configure list-profiles", True),
    "SSOError": Trouble(OTHER, "the AWS login has expired", "aws sso login", True),
    "TokenRetrievalError": Trouble(OTHER, "the AWS login has expired", "aws sso login", True),
    "LoginError": Trouble(OTHER, "the AWS login has expired", "aws login", True),
    "ConfigParseError": Trouble(OTHER, "AWS's own configuration cannot be read", "look at ~/.aws/config", True),
    "SSLError": Trouble(OTHER, "the certificate of AWS is not trusted here", "look at AWS_CA_BUNDLE", True),
    "ConnectionError": Trouble(OTHER, "AWS cannot be reached", _NET, True),
    "HTTPClientError": Trouble(OTHER, "AWS cannot be reached", _NET, True),
}
"""Exceptions of botocore by class or base class, and what they mean."""

_EXPIRED = Trouble(OTHER, "the AWS session has expired", f"log in anew; {_WHO}", True)
_INVALID = Trouble(OTHER, "AWS does not know these credentials", f"{_WHO}; the clock of this machine counts too", True)
_SLOW = Trouble(OTHER, "AWS throttles, also after several attempts", "run it again later, or ask for a quota", True)
_DOWN = Trouble(OTHER, "AWS has a fault of its own", "run it again; https://health.aws.amazon.com", True)
_CODES = {
    **dict.fromkeys(("ExpiredTokenException", "ExpiredToken", "RequestExpired"), _EXPIRED),
    **dict.fromkeys(("UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId"), _INVALID),
    **dict.fromkeys(("InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignature"), _INVALID),
    **dict.fromkeys(("MissingAuthenticationToken", "MissingAuthenticationTokenException"), _INVALID),
    **dict.fromkeys(("ThrottlingException", "Throttling", "ThrottledException", "TooManyRequestsException"), _SLOW),
    **dict.fromkeys(("RequestLimitExceeded", "SlowDown"), _SLOW),
    **dict.fromkeys(("InternalServerError", "InternalServiceError", "InternalFailure", "ServiceUnavailable"), _DOWN),
    **dict.fromkeys(("ServiceUnavailableException", "500", "502", "503", "504"), _DOWN),
    **dict.fromkeys(("ResourceNotFoundException", "ParameterNotFound"), Trouble(MISSING, "it is not there", "")),
    **dict.fromkeys(("AccessDeniedException", "AccessDenied"), Trouble(DENIED, "AWS denies it", "")),
    **dict.fromkeys(("InvalidKeyId", "DecryptionFailure"), Trouble(KMS, "its KMS key does not open it", "")),
}
_DENIALS_OF_KMS = ("kms:", "ciphertext", "KMS")


def client(service: str, request: Request) -> Any:
    """Return boto3's client of a service, or a Trouble.

    The region is that of the environment (AWS_REGION, AWS_DEFAULT_REGION), then that of `secrets:`, then the profile's.
    """
    try:
        import boto3
        import botocore.config
        import botocore.exceptions
    except ImportError:
        return Trouble(OTHER, "AWS needs boto3, which is not installed", 'pip install "offhook[aws]"', True)
    said = request.environment
    region = said.get("AWS_REGION") or said.get("AWS_DEFAULT_REGION") or request.settings.get("region") or None
    options: dict[str, Any] = {"connect_timeout": CONNECT_S, "read_timeout": READ_S}
    if "AWS_MAX_ATTEMPTS" not in said:
        options["retries"] = {"mode": "standard", "total_max_attempts": ATTEMPTS}
    try:
        session = boto3.session.Session(region_name=region)
        return session.client(service, config=botocore.config.Config(**options))
    except botocore.exceptions.BotoCoreError as error:
        return _raised(error)
    except ValueError:
        # the region or AWS_ENDPOINT_URL makes no address
        return Trouble(OTHER, "the AWS region or AWS_ENDPOINT_URL makes no address", _NET, True)


def ask(operation: Callable[..., dict[str, Any]], **arguments: Any) -> dict[str, Any] | Trouble:
    """Return what an operation of a client returns, or a Trouble."""
    import botocore.exceptions

    try:
        return operation(**arguments)
    except botocore.exceptions.ClientError as error:
        said = error.response.get("Error", {})
        return trouble(str(said.get("Code", "")), str(said.get("Message", "")))
    except botocore.exceptions.BotoCoreError as error:
        return _raised(error)


def trouble(code: str, message: str) -> Trouble:
    """Return what a code of AWS means. Its message is looked at for KMS only: who may not decrypt is denied too."""
    short = code.rpartition("#")[2]
    known = _CODES.get(short)
    if known is None:
        shown = short if re.fullmatch("[A-Za-z0-9.]{1,60}", short) else "an error"
        return Trouble(OTHER, f"AWS answers {shown}", _WHO)
    if known.kind == DENIED and any(word in message for word in _DENIALS_OF_KMS):
        return Trouble(KMS, "its KMS key does not open it", "")
    return known


def _raised(error: Exception) -> Trouble:
    for base in type(error).__mro__:
        if base.__name__ in _RAISED:
            return _RAISED[base.__name__]
    return Trouble(OTHER, f"AWS cannot be asked: {type(error).__name__}", _WHO, True)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the libraries from logging answers, which they do at DEBUG: the answers are the secrets."""
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in ("boto3", "botocore")]
    levels = {name: logging.getLogger(name).level for name in {"boto3", "botocore", "urllib3", *names}}
    for name, level in levels.items():
        logging.getLogger(name).setLevel(max(level, logging.INFO))
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def gather(
    names: list[str],
    *,
    size: int,
    many: Callable[[list[str]], Reply | Trouble],
    alone: Callable[[str], Reply | Trouble],
) -> tuple[Reply, Trouble | None]:
    """Return all replies, and the trouble that ended the asking, if one did.

    Names are asked for in batches. A batch that is refused for one of its names is asked for one by one; where nothing
    but refusals came by then, the rest is not asked for.
    """
    whole = Reply()
    for start in range(0, len(names), size):
        batch = names[start : start + size]
        reply = many(batch)
        if isinstance(reply, Trouble) and not reply.final:
            reply = _one_by_one(batch, alone, whole)
        if isinstance(reply, Trouble):
            return whole, reply
        whole.values.update(reply.values)
        whole.troubles.update(reply.troubles)
    return whole, None


def _one_by_one(batch: list[str], alone: Callable[[str], Reply | Trouble], whole: Reply) -> Reply | Trouble:
    for name in batch:
        reply = alone(name)
        if isinstance(reply, Trouble):
            if reply.final:
                return reply
            whole.troubles[name] = reply
            is_refused = all(one.kind != MISSING for one in whole.troubles.values())
            if is_refused and not whole.values and len(whole.troubles) >= ENOUGH_REFUSALS:
                return reply
        else:
            whole.values.update(reply.values)
            whole.troubles.update(reply.troubles)
    return Reply()


@dataclass(frozen=True, slots=True)
class Store:
    """A service in words: what it keeps ("parameter"), its action for IAM, and how a value is put there anew."""

    item: str
    action: str
    put: str


def answer(
    request: Request, stored: dict[str, str], *, store: Store, region: str, got: tuple[Reply, Trouble | None]
) -> Answer:
    """Return a provider's answer. `stored` is the name in the store of each wanted name."""
    reply, stop = got
    values = {
        name: Found(reply.values[there], None, f"{store.put} {there}")
        for name, there in stored.items()
        if there in reply.values
    }
    faults = []
    for name, there in stored.items():
        if there in reply.troubles:
            message, hint = _spoken(reply.troubles[there], there, store, region)
            faults.append(Fault(f'secret "{name}": {message}', hint, request.places.get(name), (name,)))
    left = tuple(name for name, there in stored.items() if there not in reply.values and there not in reply.troubles)
    if stop is not None and left:
        hint = stop.hint or _spoken(stop, "NAME", store, region)[1]
        faults.append(Fault(f"{stop.message}: {quoted(left)} not asked for", hint, names=left))
    return Answer(values, faults)


def refused(request: Request, stop: Trouble) -> Answer:
    """Return the answer where there is no client."""
    return Answer({}, [Fault(f"{stop.message}: {quoted(request.names)} not opened", stop.hint, names=request.names)])


def _spoken(one: Trouble, there: str, store: Store, region: str) -> tuple[str, str]:
    if one.kind == MISSING:
        return f"{region} has no {store.item} {there}", f"{store.put} {there}, or another region or prefix in secrets:"
    if one.kind == DENIED:
        return f"AWS denies {store.action} on {there} in {region}", f"allow {store.action} to who runs this; {_WHO}"
    if one.kind == KMS:
        return f"the KMS key of {there} does not open it", "allow kms:Decrypt on that key, and see that it is enabled"
    return f"{there}: {one.message}", one.hint.replace("NAME", there)
