"""Texts read as values: durations as people write them, and addresses that are secrets."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimkeeper.core.values import endpoint, read_duration, say_duration, service_addresses

SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("0", timedelta(0)),
        (" 0 ", timedelta(0)),
        ("0s", timedelta(0)),
        ("90s", 90 * SECOND),
        ("15m", 15 * MINUTE),
        ("1h30m", 90 * MINUTE),
        ("24h", DAY),
        ("7d", 7 * DAY),
        ("500ms", timedelta(milliseconds=500)),
        ("1.5s", 1.5 * SECOND),
        ("1d2h3m4.5s6ms", DAY + 2 * HOUR + 3 * MINUTE + 4.5 * SECOND + timedelta(milliseconds=6)),
        (" 1H30M ", 90 * MINUTE),
    ],
)
def test_a_duration_is_read(text, duration):
    assert read_duration(text) == duration


@pytest.mark.parametrize(
    "text", ["", " ", "15", "m", "1.5h", "-1s", "1m1h", "1 m", "1s ms", "1e3s", "inf", "٣m", "1²s"]
)
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="must be a duration like"):
        read_duration(text)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(0), "0"),
        (90 * SECOND, "1m30s"),
        (DAY, "24h"),
        (HOUR + SECOND, "1h1s"),
        (2.75 * SECOND, "2.75s"),
        (timedelta(microseconds=1), "0.000001s"),
        (20 * SECOND, "20s"),
    ],
)
def test_a_duration_is_said_as_people_write_it(duration, text):
    assert say_duration(duration) == text


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=36_500)))
def test_every_duration_is_read_as_it_is_said(duration):
    assert read_duration(say_duration(duration)) == duration


# ------------------------------------------------------------ addresses that are secrets


@pytest.mark.parametrize(
    "text",
    [
        "https://discord.com/api/webhooks/1/a-b_c",
        "https://discord.com/api/webhooks/1/abc?thread_id=7",
        "http://[::1]:9000/hook",
        "HTTPS://hc-ping.com/0000",
    ],
)
def test_an_endpoint_is_taken_as_it_is(text):
    assert endpoint(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "discord.com/api", "ftp://a/b", "https://", "https://a b", "https://u:p@a/b", "https://a/b#c",
        "https://a:0/", "https://a:x/", "https://a/\x00", "https://a/\xe9", "https://[::1/",
    ],
)  # fmt: skip
def test_what_is_no_endpoint_is_refused_and_not_repeated(text):
    with pytest.raises(ValueError, match=r"^must be an http or https address$"):
        endpoint(text)


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("tgram://a/b", ("tgram://a/b",)),
        ("tgram://a/b, mailto://u:p@c?to=d,e", ("tgram://a/b", "mailto://u:p@c?to=d,e")),
        (" tgram://a/b\n\tntfy://c ,", ("tgram://a/b", "ntfy://c")),
        ("json://localhost:8080,jsons://b", ("json://localhost:8080", "jsons://b")),
    ],
    ids=["one", "a comma within one", "parted by lines", "no space"],
)
def test_services_addresses_are_told_apart(text, addresses):
    assert service_addresses(text) == addresses


@pytest.mark.parametrize("text", ["", ",", "a@example.com", "tgram", "tgram://", "tgram://a nonsense\x07://"])
def test_what_are_no_addresses_of_services_is_refused_and_not_repeated(text):
    with pytest.raises(ValueError, match=r"^must be addresses like tgram://"):
        service_addresses(text)
