"""What S3 and boto3 say when they refuse -> one line and a next step.

Codes are those of the Amazon S3 API Reference, "Error responses". A server's own text is not shown: it may hold
access keys and what was signed.
"""

from __future__ import annotations

from typing import Any

from botocore import exceptions as boto

from offhook.problem import OffhookError
from offhook.publish.roots.root import Passing

_WHO = "aws sts get-caller-identity shows whose credentials these are; it needs ListBucket, Get-, Put- and DeleteObject"
_CREDENTIALS = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_RENEW = "sign in again: aws sso login, or a new role session"
_REGION = "set the bucket's region"

_CODES = {
    "NoSuchBucket": ("there is no such bucket", "check the name, the endpoint and the account"),
    "InvalidBucketName": ("the server takes no bucket of this name", "check the name and the addressing"),
    "AccessDenied": ("access is denied", _WHO),
    "AllAccessDisabled": ("access is denied", _WHO),
    "AccountProblem": ("the account has a problem", "ask the provider"),
    "InvalidAccessKeyId": ("the server does not know the access key", _CREDENTIALS),
    "SignatureDoesNotMatch": ("the secret key is wrong", _CREDENTIALS),
    "InvalidToken": ("the session token is wrong", _RENEW),
    "ExpiredToken": ("the credentials have expired", _RENEW),
    "ExpiredTokenException": ("the credentials have expired", _RENEW),
    "TokenRefreshRequired": ("the credentials have expired", _RENEW),
    "RequestExpired": ("the request has expired", "set this machine's clock"),
    "RequestTimeTooSkewed": ("this machine's clock and the server's are too far apart", "set the clock: timedatectl"),
    "AuthorizationHeaderMalformed": ("the bucket is in another region", _REGION),
    "PermanentRedirect": ("the bucket is in another region", _REGION),
    "IllegalLocationConstraintException": ("the bucket is in another region", _REGION),
    "SlowDown": ("the server asks to slow down, time and again", "try again later, with fewer threads"),
    "Throttling": ("the server asks to slow down, time and again", "try again later, with fewer threads"),
    "ServiceUnavailable": ("the server is not available", "try again later"),
    "InternalError": ("the server has an error of its own", "try again later"),
    "QuotaExceeded": ("the quota is used up", "make room, and publish again"),
    "XMinioStorageFull": ("the server's disk is full", "make room, and publish again"),
    "InsufficientStorage": ("the server's disk is full", "make room, and publish again"),
    "InvalidObjectState": ("an object is archived", "restore it, or delete it"),
    "BadDigest": ("what arrived is not what was sent", "publish again; the network or a proxy changes bytes"),
    "InvalidDigest": ("what arrived is not what was sent", "publish again; the network or a proxy changes bytes"),
    "KeyTooLongError": ("the path is too long", "shorten the name or the prefix"),
}

_STATUSES = {
    301: _CODES["PermanentRedirect"],
    401: _CODES["AccessDenied"],
    403: _CODES["AccessDenied"],
    404: ("there is no such bucket", "check the name, the endpoint and the account"),
    429: _CODES["SlowDown"],
    500: _CODES["InternalError"],
    503: _CODES["ServiceUnavailable"],
    507: _CODES["InsufficientStorage"],
}

_EXCEPTIONS: tuple[tuple[type[Exception], str, str], ...] = (
    (boto.NoCredentialsError, "there are no credentials", _CREDENTIALS),
    (boto.PartialCredentialsError, "the credentials are not complete", _CREDENTIALS),
    (boto.CredentialRetrievalError, "the credentials cannot be had", _RENEW),
    (boto.TokenRetrievalError, "the credentials have expired", _RENEW),
    (boto.SSOError, "the credentials have expired", _RENEW),
    (boto.ProfileNotFound, "there is no such AWS profile", "check AWS_PROFILE and ~/.aws/config"),
    (boto.ConfigParseError, "the AWS configuration cannot be read", "check ~/.aws/config and ~/.aws/credentials"),
    (boto.NoRegionError, "no region is set", _REGION),
    (
        boto.SSLError,
        "the server's certificate is not trusted",
        "name its authority with a CA file; check the host name",
    ),
    (boto.ProxyConnectionError, "the proxy does not answer", "check HTTPS_PROXY and NO_PROXY"),
    (boto.ConnectTimeoutError, "the server does not answer", "check the endpoint, and that it can be reached"),
    (boto.EndpointConnectionError, "the server cannot be reached", "check the endpoint, and that it runs"),
    (boto.ReadTimeoutError, "the server stopped answering", "try again later"),
    (boto.HTTPClientError, "the connection breaks off", "try again later"),
    (boto.IncompleteReadError, "the connection breaks off", "try again later"),
    (boto.ParamValidationError, "no S3 server takes this bucket or key", "check the name"),
    (ValueError, "the endpoint is no address", "write https://host:port"),
)

_PASSING_CODES = frozenset({"SlowDown", "Throttling", "ServiceUnavailable", "InternalError", "RequestTimeout"})
_PASSING_STATUSES = frozenset({429, 500, 502, 503, 504})
_PASSING_KINDS = (
    *(boto.ConnectTimeoutError, boto.EndpointConnectionError, boto.ReadTimeoutError),
    *(boto.HTTPClientError, boto.IncompleteReadError),
)


def code_of(error: Exception) -> str:
    """Return the code of a server's answer, "" for anything else."""
    return str(_answer(error).get("Code", ""))


def status_of(error: Exception) -> int:
    """Return the HTTP status of a server's answer, 0 for anything else."""
    response: dict[str, Any] = getattr(error, "response", None) or {}
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def refusal(error: Exception, where: str) -> OffhookError:
    """Return what to say of an exception of boto3's about a place; Passing where it may pass."""
    for kind, message, hint in _EXCEPTIONS:
        if isinstance(error, kind):
            return (Passing if kind in _PASSING_KINDS else OffhookError)(f"{where}: {message}", hint=hint)
    return refused_code(code_of(error), status_of(error), where)


def refused_code(code: str, status: int, where: str) -> OffhookError:
    """Return what to say of a code, or else of a status."""
    refused = Passing if code in _PASSING_CODES or status in _PASSING_STATUSES else OffhookError
    if code in _CODES or status in _STATUSES:
        message, hint = _CODES.get(code) or _STATUSES[status]
        return refused(f"{where}: {message}", hint=hint)
    shown = code if code.isalnum() and len(code) < 60 else "an answer that is not S3's"
    return refused(f"{where}: the server refuses: {shown} (status {status})", hint="look it up in its manual")


def _answer(error: Exception) -> dict[str, Any]:
    response: dict[str, Any] = getattr(error, "response", None) or {}
    found: dict[str, Any] = response.get("Error", {})
    return found
