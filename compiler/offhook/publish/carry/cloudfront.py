"""CloudFront: what changed on an S3 root is made anew at the edges, and nothing else.

Amazon CloudFront API, CreateInvalidation: paths begin with / and are URL-encoded (RFC 1738); a path that ends with *
counts as one of the 3,000 files that may be under way (CloudFront Developer Guide, "Quotas on invalidations": 15 of
those with *).
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from typing import Any
from urllib.parse import quote, urlsplit

from offhook.publish.places import Place

_MOST = 1_000
"""Paths in one request; more become one that ends with *."""


def invalidate(place: Place, paths: Collection[str]) -> str:
    """Ask the environment's distribution, if it has one, to fetch these paths anew; return a warning, or ""."""
    distribution = place.environment.cloudfront
    if distribution is None or not paths:
        return ""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    items = invalidation_paths(place.environment.url or "/", paths)
    batch: dict[str, Any] = {
        "Paths": {"Quantity": len(items), "Items": items},
        "CallerReference": secrets.token_hex(16),
    }
    try:
        # CloudFront is one service for all regions; its requests are signed for this one
        client = boto3.session.Session().client("cloudfront", region_name="us-east-1")
        client.create_invalidation(DistributionId=distribution, InvalidationBatch=batch)
    except ClientError as error:
        return _warning(distribution, str(error.response.get("Error", {}).get("Code", "refused")))
    except BotoCoreError as error:
        return _warning(distribution, type(error).__name__)
    return ""


def invalidation_paths(url: str, paths: Collection[str]) -> list[str]:
    """Return the paths as CloudFront is asked for them: those of the address that phones fetch from."""
    folder = urlsplit(url).path.rstrip("/")
    if len(paths) > _MOST:
        return [f"{folder}/*"]
    return [quote(f"{folder}/{path}") for path in sorted(paths)]


def _warning(distribution: str, reason: str) -> str:
    return (
        f"the release is there, and CloudFront {distribution} was not told ({reason}): it shows the old files until"
        " they expire; aws cloudfront create-invalidation tells it"
    )
