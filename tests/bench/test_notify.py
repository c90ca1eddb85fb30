"""What offhook promises of telling phones, as a ratio to a bare sender of the same datagrams, and memory."""

from __future__ import annotations

import notify
import pytest


@pytest.mark.peer
def test_telling_phones_is_not_much_slower_than_sending_datagrams() -> None:
    with notify.pbx() as port:
        ours = min(notify.ours(port, 2000)[0] for _ in range(3))
        bare = min(notify.bare(port, 2000) for _ in range(3))
    assert bare > 0.4 * ours  # seen: 0.74


def test_a_hundred_thousand_phones_may_be_silent_at_once() -> None:
    peak_mib, _ = notify.silence(100_000)
    assert peak_mib < 300  # seen: 280
