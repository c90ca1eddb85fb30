"""What is told of a campaign: facts about a phone, or about the whole, in the order in which they happened."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One fact. `state` is a word of `offhook.rollout.campaign.progress`; `at` is in seconds since the epoch.

    `mac` is "" for what is said of the campaign, or of the wave with the number `wave`. `to` tells which configuration
    a switch is to: new or old. `status` is the code of a SIP answer; `why` is one line for people.
    """

    state: str
    mac: str = ""
    at: float = 0.0
    to: str = ""
    status: int = 0
    why: str = ""
    wave: int = 0
