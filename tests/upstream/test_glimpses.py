"""What of an exchange may be shown to people, and that no value of it is."""

from datetime import UTC, datetime, timedelta

import pytest

from aimkeeper.core.outcome import NoReply, Reason, Reply
from aimkeeper.upstream.glimpses import glimpse
from aimkeeper.upstream.protocol import Site, login_door

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
TOKEN = "69232|1766907797|f3069323e00d81750c8590bb1f5f93b6"


def seen(**told):
    return glimpse("token_update", Reply(200, "aimharder.com", b"{}", **told), AT, timedelta(seconds=1))


def test_of_cookies_the_names_are_shown_each_once():
    headers = ("AWSALB=abc; Path=/", "amhrdrauth=secret", "AWSALB=again", "no-value-at-all", f"{TOKEN}=x", "=y")

    shown = seen(set_cookies=headers)

    assert shown.cookies == ("AWSALB", "amhrdrauth")
    assert "secret" not in repr(shown)


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        ("text/html; charset=UTF-8", "text/html"),
        ("Application/JSON", "application/json"),
        (TOKEN, None),
        ("", None),
        (None, None),
    ],
    ids=["with parameters", "in capitals", "something else", "empty", "absent"],
)
def test_a_content_type_is_shown_without_its_parameters_if_it_is_one(header, shown):
    assert seen(content_type=header).content_type == shown


@pytest.mark.parametrize(
    ("header", "date"),
    [
        ("Thu, 01 Jan 2026 11:59:50 GMT", AT - timedelta(seconds=10)),
        ("Thu, 01 Jan 2026 11:59:50", AT - timedelta(seconds=10)),
        ("yesterday", None),
        (None, None),
    ],
    ids=["as HTTP writes it", "without a zone", "unreadable", "absent"],
)
def test_the_date_is_read_where_it_can_be(header, date):
    assert seen(date=header).date == date


def test_an_exchange_without_an_answer_shows_why():
    shown = glimpse("whoami", NoReply(Reason.TIMED_OUT), AT, timedelta(seconds=1))

    assert (shown.status, shown.reason, shown.clock_ahead) == (None, Reason.TIMED_OUT, None)


def test_the_door_of_the_login_is_its_hosts_front_page():
    request = login_door(Site.at("https://aimharder.com", "https://login.aimharder.com/"))

    assert (request.method, request.url, request.body) == ("GET", "https://login.aimharder.com/", None)
