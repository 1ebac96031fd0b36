"""`RequestsAuth`: what `KeptAuth` does for httpx, for requests."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from aimkeeper import RequestsAuth, errors

BOX, DAY = "http://box.aimharder.com", "20990101"
EMAIL = "ana@example.com"
SLOT = 2099010102


@pytest.fixture
def session(home, site):
    site.sim.set_standing(EMAIL, credit=7)
    with requests.Session() as made:
        made.auth = RequestsAuth(EMAIL, settings=home.settings)
        made.proxies = {"http": site.url}
        yield made


def is_personal(answer):
    return answer.json().get("clasesDisp") == "7"


def test_a_request_is_made_in_the_member_s_name(session, bookings):
    assert is_personal(session.get(bookings))


def test_it_serves_a_single_request_too(home, site, bookings):
    site.sim.set_standing(EMAIL, credit=7)
    auth = RequestsAuth(EMAIL, settings=home.settings)

    assert is_personal(requests.get(bookings, auth=auth, proxies={"http": site.url}, timeout=10))


def test_a_logout_costs_a_safe_request_nothing(session, site, bookings):
    session.get(bookings)
    site.kill()

    answer = session.get(bookings)

    assert is_personal(answer)
    assert [one.json() for one in answer.history] == [{"logout": 1}]
    assert site.truth.alive
    assert site.asked() == 3


def test_a_box_that_says_logout_whatever_we_do_makes_no_storm_of_rotations(session, site, bookings):
    session.get(bookings)
    site.sim.rules = type(site.sim.rules)(old_token="strict", cookie_domain="aimharder.com", box_needs_setrefresh=True)
    before = site.truth.rotations

    answers = [session.get(bookings) for _ in range(5)]

    assert all(answer.json() == {"logout": 1} for answer in answers)
    renewals = site.truth.rotations - before
    assert 2 <= renewals < 5
    assert site.asked() == 1 + 5 + renewals


def test_what_is_not_safe_is_answered_as_it_is_and_the_next_request_has_new_credentials(session, site, bookings):
    session.get(bookings)
    site.kill()
    form = {"id": SLOT, "day": DAY, "insist": 0, "familyId": ""}

    first, second = [session.post(f"{BOX}/api/book", data=form) for _ in range(2)]

    assert (first.json(), second.json()["bookState"]) == ({"logout": 1}, 1)
    assert site.asked("/api/book") == 2
    assert len(site.sim.reservations(EMAIL)) == 1


def test_strange_hosts_get_no_cookies_and_the_program_s_own_stay(session, bookings):
    session.cookies.set("consent", "yes")
    session.cookies.set("amhrdrauth", "stale")

    known = session.get(bookings).request.headers["Cookie"]
    strange = session.get("http://elsewhere.example/").request.headers.get("Cookie", "")

    assert "consent=yes" in known
    assert "stale" not in known
    assert strange in ("amhrdrauth=stale; consent=yes", "consent=yes; amhrdrauth=stale")


def test_threads_share_one_reading(session, home, bookings):
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: session.get(bookings), range(20)))

    assert all(map(is_personal, answers))
    assert home.reads() == 1


def test_a_session_that_ended_is_said_so(session, home, bookings):
    home.log_out()

    with pytest.raises(errors.SessionEnded):
        session.get(bookings)


def test_a_long_answer_streams_unread(session):
    with session.get(f"{BOX}/api/bookings?day={DAY}", stream=True) as answer:
        assert answer._content_consumed is False
        assert b"clasesDisp" in answer.content
