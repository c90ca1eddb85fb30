"""A campaign's last step: what each phone answered goes into git, beside the release that it was told of.

Comes in: a run that came to its end. Goes out: an outcome on refs/offhook/ENV (`publish.releases.outcomes`), pushed.
"""

from __future__ import annotations

from pathlib import Path

from offhook.problem import OffhookError
from offhook.publish.releases.outcomes import add_outcomes
from offhook.publish.releases.recording import released_by
from offhook.publish.releases.records import push_releases
from offhook.rollout.running.answers import told_of
from offhook.rollout.running.run import Ran


def record_outcomes(root: Path, ran: Ran) -> str:
    """Write down what phones answered; return a warning, "" where all went well.

    Of one that was reverted it is said of the release that is there again: that is what they were told to fetch; and
    how they had taken what was taken back. Nothing is written for a campaign that did not end with a release: there is
    none that it could be said of.
    """
    told = told_of(ran.campaign, ran.progress, reverted=ran.reverted)
    if not (told and ran.release):
        return ""
    environment = ran.campaign.environment
    try:
        add_outcomes(root, environment, ran.release, told, by=released_by(root))
        push_releases(root, environment)
    except OffhookError as error:
        return f"what phones answered to release {ran.release} of {environment} is not with the others: {error.message}"
    return ""
