"""Maintenance windows against a clock on the wall that is read every minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offhook.inventory import build
from offhook.model import Site
from offhook.problem import OffhookError
from offhook.rollout.campaign.windows import DAYS, Window, closes_at, is_open, next_opening, window_of
from offhook.source import InventoryFile

ZONES = [
    *(
        "Europe/Berlin",
        "America/New_York",
        "America/St_Johns",
        "Pacific/Pago_Pago",
        "Pacific/Kiritimati",
        "Asia/Kolkata",
    ),
    # clocks go back to 00:00, or over it
    *("America/Havana", "Asia/Gaza", "America/Scoresbysund", "Asia/Amman", "Asia/Beirut", "America/Santiago"),
    *("Australia/Lord_Howe", "Pacific/Apia", "America/Sao_Paulo", "Africa/Casablanca", "Asia/Tehran", "UTC"),
]
FILE = InventoryFile("inventory/sites/all.yaml", "site", "", bytes)
TURNS = [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC), datetime(2026, 3, 8, tzinfo=UTC)]
TURNS += [datetime(2026, 11, 1, tzinfo=UTC), datetime(2011, 12, 30, tzinfo=UTC), datetime(2026, 4, 5, tzinfo=UTC)]
TURNS += [datetime(2026, 10, 31, tzinfo=UTC), datetime(2021, 10, 29, tzinfo=UTC), datetime(2019, 10, 27, tzinfo=UTC)]

windows = st.builds(
    Window,
    st.frozensets(st.integers(0, 6), min_size=1),
    st.integers(0, 24 * 60 - 1),
    st.integers(0, 24 * 60 - 1),
    st.sampled_from([ZoneInfo(one) for one in ZONES]),
)
instants = st.one_of(
    st.builds(
        lambda turn, minutes: (turn + timedelta(minutes=minutes)).timestamp(),
        st.sampled_from(TURNS),
        st.integers(-2 * 24 * 60, 2 * 24 * 60),
    ),
    st.integers(1_100_000_000 // 60, 2_100_000_000 // 60).map(lambda minute: minute * 60.0),
)


def site(zone: str | None, *, offset: str | None = None, **maintenance: object) -> Site:
    body = {"maintenance": maintenance, "time_zone": zone, "utc_offset": offset}
    found = build(FILE, "berlin", {word: value for word, value in body.items() if value is not None})
    assert isinstance(found, Site)
    return found


def wall(window: Window) -> frozenset[str]:
    """Every "Mon 01:59" that a clock may show while the window is open, written down as a calendar would."""
    shown = set()
    for day in window.days:
        length = (window.closes - window.opens) % (24 * 60) or 24 * 60
        for minute in range(window.opens, window.opens + length):
            late, rest = divmod(minute, 24 * 60)
            shown.add(f"{DAYS[(day + late) % 7]} {rest // 60:02}:{rest % 60:02}")
    return frozenset(shown)


def shows(window: Window, instant: float) -> str:
    return datetime.fromtimestamp(instant, window.zone).strftime("%a %H:%M").lower()


@given(windows, instants)
@settings(max_examples=150, deadline=None)
def test_it_opens_and_closes_as_a_minute_by_minute_reading_says(window: Window, instant: float) -> None:
    times = wall(window)
    minutes = [instant + 60 * number for number in range(9 * 24 * 60)]
    shown = [shows(window, minute) in times for minute in minutes]
    assert is_open(window, instant) == shown[0]
    opens = next((minute for minute, is_so in zip(minutes, shown, strict=True) if is_so), None)
    found = next_opening(window, instant)
    assert found == opens if opens is not None else found is None or found > minutes[-1]
    if shown[0]:
        closes = next((minute for minute, is_so in zip(minutes, shown, strict=True) if not is_so), None)
        found = closes_at(window, instant)
        assert found == closes if closes is not None else found is None or found > minutes[-1]


@given(windows, instants, st.floats(0, 59.999))
@settings(max_examples=100, deadline=None)
def test_seconds_do_not_matter_but_for_now(window: Window, instant: float, seconds: float) -> None:
    assert is_open(window, instant + seconds) == is_open(window, instant)
    opening = next_opening(window, instant + seconds)
    assert opening is None or is_open(window, opening)


BACK_TO_MIDNIGHT = [
    *((2026, 11, 1, "America/Havana"), (2026, 10, 31, "Asia/Gaza"), (2023, 10, 29, "America/Scoresbysund")),
    *((2021, 10, 29, "Asia/Amman"), (2026, 10, 25, "Asia/Beirut"), (2026, 4, 5, "America/Santiago")),
]


@given(
    st.sampled_from(BACK_TO_MIDNIGHT),
    st.frozensets(st.integers(0, 6), min_size=1),
    st.integers(-18, 18),
    st.integers(1, 36),
    st.integers(-48, 24),
)
@settings(max_examples=300, deadline=None)
def test_nights_in_which_clocks_go_back_to_midnight(
    night: tuple[int, int, int, str], days: frozenset[int], opens: int, length: int, hours: int
) -> None:
    """Windows around midnight, in steps of ten minutes: part of a day comes twice, and between its two halves another
    day begins."""
    year, month, day, zone = night
    opens = opens * 10 % (24 * 60)
    window = Window(days, opens, (opens + length * 10) % (24 * 60), ZoneInfo(zone))
    start = datetime(year, month, day, tzinfo=ZoneInfo(zone)).timestamp() + hours * 1_800
    minutes = [start + 60 * number for number in range(2 * 24 * 60)]
    shown = [is_open(window, minute) for minute in minutes]
    turn = next((at for at, is_so in zip(minutes, shown, strict=True) if is_so != shown[0]), None)
    found = closes_at(window, start) if shown[0] else next_opening(window, start)
    assert found == turn if turn is not None else found is None or found > minutes[-1]


AT = datetime(2026, 3, 28, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "maintenance", "opens", "closes"),
    [
        # the night in which clocks are put forward from 02:00 to 03:00
        ("Europe/Berlin", {"from": "01:00", "to": "05:00"}, "2026-03-29T00:00", "2026-03-29T03:00"),
        ("Europe/Berlin", {"from": "02:30", "to": "04:00"}, "2026-03-29T01:00", "2026-03-29T02:00"),
        ("Europe/Berlin", {"from": "02:00", "to": "03:00"}, "2026-03-30T00:00", "2026-03-30T01:00"),
        ("Europe/Berlin", {"from": "23:00", "to": "04:00"}, "2026-03-28T22:00", "2026-03-29T02:00"),
        ("Europe/Berlin", {"days": ["mon"], "from": "23:30", "to": "00:30"}, "2026-03-30T21:30", "2026-03-30T22:30"),
        # the ends of the world
        ("Pacific/Kiritimati", {"from": "01:00", "to": "02:00"}, "2026-03-29T11:00", "2026-03-29T12:00"),
        ("Pacific/Pago_Pago", {"from": "01:00", "to": "02:00"}, "2026-03-28T12:00", "2026-03-28T13:00"),
    ],
)
def test_nights_that_are_known(zone: str, maintenance: dict[str, object], opens: str, closes: str) -> None:
    window = window_of(site(zone, **maintenance))
    opening = next_opening(window, AT.timestamp())
    assert opening is not None
    closing = closes_at(window, opening)
    assert closing is not None
    said = [datetime.fromtimestamp(one, UTC).isoformat()[:16] for one in (opening, closing)]
    assert said == [opens, closes]


@pytest.mark.parametrize(
    ("maintenance", "turns"),
    [
        ({"from": "22:00", "to": "00:30"}, ["02:00", "04:30", "05:00", "05:30"]),
        ({"days": ["sun"], "from": "00:30", "to": "01:30"}, ["04:30", "05:00", "05:30", "06:30"]),
    ],
)
def test_the_night_in_which_clocks_go_back_to_midnight(maintenance: dict[str, object], turns: list[str]) -> None:
    """Havana, 2026-11-01 05:00 UTC: from 01:00 to 00:00."""
    window = window_of(site("America/Havana", **maintenance))
    at: float | None = datetime(2026, 11, 1, 1, tzinfo=UTC).timestamp()
    seen = []
    for look in (next_opening, closes_at) * 2:
        assert at is not None
        at = look(window, at)
        assert at is not None
        seen.append(datetime.fromtimestamp(at, UTC).strftime("%H:%M"))
    assert seen == turns


def test_an_hour_that_comes_twice_is_open_twice() -> None:
    window = window_of(site("Europe/Berlin", **{"from": "02:15", "to": "02:45"}))
    start = datetime(2026, 10, 24, 23, tzinfo=UTC).timestamp()
    seen = []
    for _ in range(4):
        opening = next_opening(window, start)
        assert opening is not None
        closing = closes_at(window, opening)
        assert closing is not None
        seen.append((datetime.fromtimestamp(opening, UTC).strftime("%d %H:%M"), int(closing - opening)))
        start = closing
    assert seen == [("25 00:15", 1800), ("25 01:15", 1800), ("26 01:15", 1800), ("27 01:15", 1800)]


def test_without_a_window_it_is_always_open() -> None:
    for one in (None, window_of(None), window_of(site("Europe/Berlin"))):
        assert (one, is_open(one, 0.0), next_opening(one, 5.0), closes_at(one, 5.0)) == (None, True, 5.0, None)


def test_a_day_and_a_night_never_close() -> None:
    window = window_of(site("Europe/Berlin", **{"from": "01:00", "to": "01:00"}))
    assert closes_at(window, AT.timestamp()) is None


@pytest.mark.parametrize(("own", "fleet", "hour"), [("-3:30", "+2", 4), (None, "+2", -1), (None, None, 1)])
def test_without_a_zone_the_offset_counts(own: str | None, fleet: str | None, hour: int) -> None:
    window = window_of(site(None, offset=own, **{"from": "01:00", "to": "01:01"}), fleet)
    opening = next_opening(window, datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp())
    assert opening is not None
    shift = timedelta(minutes=30) if own else timedelta()
    expected = datetime(2026, 6, 2, tzinfo=UTC) + timedelta(hours=hour) + shift
    assert datetime.fromtimestamp(opening, UTC) == expected


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(OffhookError, match='site berlin: there is no time zone "Europe/Berlni"'):
        window_of(site("Europe/Berlni", **{"from": "01:00", "to": "02:00"}))
