"""`KeptAuth` over the store of this machine: real sockets, the simulator's truth."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from aimkeeper import Credentials, KeptAuth, errors
from aimkeeper.core.cookies import Cookie
from aimkeeper.simulator import Faults, Rules

BOX, DAY = "http://box.aimharder.com", "20990101"
EMAIL = "ana@example.com"
SLOT = 2099010102


@pytest.fixture
def auth(home):
    return KeptAuth(EMAIL, settings=home.settings)


@pytest.fixture
def client(auth, by_site):
    with httpx.Client(auth=auth, **by_site) as made:
        yield made


def is_personal(answer):
    """Whether the site knew whose request it was: then it counts the bookings that are left."""
    return answer.json().get("clasesDisp") == "7"


@pytest.fixture(autouse=True)
def _seven_left(site):
    site.sim.set_standing(EMAIL, credit=7)


async def fetched(auth, by_site, address, kind):
    """One GET, by the synchronous or the asynchronous client."""
    if kind == "sync":
        with httpx.Client(auth=auth, **by_site) as client:
            return await asyncio.to_thread(client.get, address)
    async with httpx.AsyncClient(auth=auth, **by_site) as client:
        return await client.get(address)


both = pytest.mark.parametrize("kind", ["sync", "async"])


@both
async def test_a_request_is_made_in_the_member_s_name(auth, by_site, bookings, kind):
    answer = await fetched(auth, by_site, bookings, kind)

    assert is_personal(answer)


def test_token_and_fingerprint_can_be_had_too(auth, site):
    given = auth.credentials()

    assert isinstance(given, Credentials)
    assert (given.email, given.token, given.fingerprint) == (EMAIL, site.truth.token, site.truth.fingerprint)
    assert timedelta(minutes=89) < given.slack <= timedelta(minutes=90)
    assert given.deadline_at - given.rotated_at == timedelta(minutes=90)


def test_neither_shows_a_secret_when_it_is_printed(auth, site):
    given = auth.credentials()

    shown = f"{auth!r} {given!r} {vars(auth)!r} {vars(auth._wallet)!r}"

    assert [secret for secret in (given.token, given.cookie("aimharder.com")) if secret in shown] == []


# ---------------------------------------------------------------- which cookies go where


def sent_to(client, site, address):
    """The cookies that a request to *address* carried."""
    request = client.build_request("GET", address)
    return client.send(request, follow_redirects=False).request.headers.get("cookie", "")


def test_each_host_gets_the_cookies_that_belong_to_it_and_others_get_none(client, auth, site):
    names = {
        host: {part.partition("=")[0] for part in sent_to(client, site, f"http://{host}/").split("; ") if part}
        for host in ("aimharder.com", "box.aimharder.com", "BOX.aimharder.com", "elsewhere.example", "127.0.0.1")
    }

    assert names["aimharder.com"] == {"amhrdrauth", "PHPSESSID", "AWSALB", "AWSALBCORS"}
    assert names["box.aimharder.com"] >= {"amhrdrauth"}
    assert "PHPSESSID" not in names["box.aimharder.com"]
    assert names["BOX.aimharder.com"] >= {"amhrdrauth"}
    assert names["elsewhere.example"] == names["127.0.0.1"] == set()


def test_where_the_program_names_the_same_cookie_ours_is_the_living_one_and_its_others_stay(home, by_site, bookings):
    cookies = {"amhrdrauth": "stale", "consent": "yes"}
    with httpx.Client(auth=KeptAuth(EMAIL, settings=home.settings), cookies=cookies, **by_site) as client:
        answer = client.get(bookings)

    assert is_personal(answer)
    assert "consent=yes" in answer.request.headers["cookie"]
    assert "stale" not in answer.request.headers["cookie"]


def test_cookies_of_a_site_behind_tls_do_not_travel_in_the_clear(auth, client, site):
    given = auth._wallet.get()
    auth._wallet._kept = replace(given, over_tls_only=True)

    assert "amhrdrauth" not in sent_to(client, site, f"{BOX}/")
    auth._wallet._kept = given
    assert "amhrdrauth" in sent_to(client, site, f"{BOX}/")


def test_a_cookie_of_one_host_does_not_go_to_hosts_below_it():
    given = Credentials(
        email=EMAIL, fingerprint="f", token="t", over_tls_only=False, rotated_at=None, deadline_at=None, slack=None,
        cookies=(Cookie("a", "1", "aimharder.com", host_only=False), Cookie("b", "2", "aimharder.com")),
    )  # fmt: skip

    assert given.cookie("aimharder.com") == "a=1; b=2"
    assert given.cookie("box.aimharder.com") == "a=1"
    assert given.cookie("notaimharder.com") == ""


# ---------------------------------------------------------------- one question for all


def test_threads_share_one_reading(auth, client, home, bookings):
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: client.get(bookings), range(30)))

    assert all(map(is_personal, answers))
    assert home.reads() == 1


async def test_tasks_and_threads_share_one_reading(auth, home, by_site, bookings):
    async with httpx.AsyncClient(auth=auth, **by_site) as client:
        with httpx.Client(auth=auth, **by_site) as other:
            answers = await asyncio.gather(
                *(client.get(bookings) for _ in range(50)), *(asyncio.to_thread(other.get, bookings) for _ in range(10))
            )

    assert all(map(is_personal, answers))
    assert home.reads() == 1


def test_what_has_too_little_slack_is_rotated_first(home, site):
    auth = KeptAuth(EMAIL, min_slack="90m", settings=home.settings)
    before = site.truth.rotations

    auth.credentials()

    assert site.truth.rotations == before + 1


# ---------------------------------------------------------------- logout


@both
async def test_a_logout_costs_a_safe_request_nothing(auth, by_site, site, bookings, kind):
    assert is_personal(await fetched(auth, by_site, bookings, kind))
    site.kill()

    answer = await fetched(auth, by_site, bookings, kind)

    assert is_personal(answer)
    assert answer.history == [] or answer.history[0].json() == {"logout": 1}
    assert site.truth.alive
    assert site.asked() == 3


@both
async def test_what_is_not_safe_is_answered_as_it_is_and_the_next_request_has_new_credentials(
    auth, by_site, site, kind, bookings
):
    await fetched(auth, by_site, bookings, kind)
    site.kill()
    form = {"id": SLOT, "day": DAY, "insist": 0, "familyId": ""}
    if kind == "sync":
        with httpx.Client(auth=auth, **by_site) as client:
            first, second = [await asyncio.to_thread(client.post, f"{BOX}/api/book", data=form) for _ in range(2)]
    else:
        async with httpx.AsyncClient(auth=auth, **by_site) as client:
            first, second = [await client.post(f"{BOX}/api/book", data=form) for _ in range(2)]

    assert first.json() == {"logout": 1}
    assert second.json()["bookState"] == 1
    assert site.asked("/api/book") == 2
    assert len(site.sim.reservations(EMAIL)) == 1


def test_a_box_that_says_logout_whatever_we_do_makes_no_storm_of_rotations(client, site, home, bookings):
    client.get(bookings)
    site.sim.rules = Rules(old_token="strict", cookie_domain="aimharder.com", box_needs_setrefresh=True)
    before = site.truth.rotations

    answers = [client.get(bookings) for _ in range(5)]

    assert all(answer.json() == {"logout": 1} for answer in answers)
    renewals = site.truth.rotations - before
    assert 2 <= renewals < 5
    assert site.asked() == 1 + 5 + renewals


def test_callers_who_hear_of_the_logout_at_once_share_one_way_back(client, site, home, bookings):
    client.get(bookings)
    site.kill()
    logins = site.truth.logins

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: client.get(bookings), range(20)))

    assert all(map(is_personal, answers))
    assert site.truth.logins == logins + 1
    assert home.reads() == 2


def test_a_long_answer_goes_on_streaming_unread(home, site, by_site):
    with (
        httpx.Client(auth=KeptAuth(EMAIL, settings=home.settings), **by_site) as client,
        client.stream("GET", f"{BOX}/api/bookings?day={DAY}") as answer,
    ):
        assert int(answer.headers["content-length"]) > 256
        assert not answer.is_closed
        assert not answer.is_stream_consumed
        assert b"clasesDisp" in answer.read()


# ---------------------------------------------------------------- errors


def test_a_session_that_ended_is_said_so(home, client, bookings):
    home.log_out()

    with pytest.raises(errors.SessionEnded, match="log in again") as told:
        client.get(bookings)

    assert told.value.cause == "logged_out_here"


def test_a_death_without_a_way_back_is_said_so_to_whoever_hears_the_logout(home, site, by_site, bookings):
    plain = "g" * 50
    home.log_in(remember=False, fingerprint=plain)
    with httpx.Client(auth=KeptAuth(f"{EMAIL}#{plain}", settings=home.settings), **by_site) as client:
        client.get("http://aimharder.com/api/whoami")
        assert is_personal(client.get(bookings))
        site.sim.kill(EMAIL, plain)

        with pytest.raises(errors.SessionEnded):
            client.get(bookings)


@pytest.mark.parametrize(
    ("who", "error"),
    [("nobody@example.com", errors.UnknownSession), ("", errors.UnknownSession), (EMAIL, errors.AmbiguousSession)],
    ids=["nobody", "nothing", "several"],
)
def test_who_is_not_one_session_is_said_so(home, by_site, bookings, who, error):
    if error is errors.AmbiguousSession:
        home.log_in(fingerprint="g" * 50)

    with httpx.Client(auth=KeptAuth(who, settings=home.settings), **by_site) as client, pytest.raises(error):
        client.get(bookings)


def test_an_upstream_that_refuses_us_is_said_so(home, site):
    site.sim.rules = Rules(forbid=True)

    with pytest.raises(errors.UpstreamRefused):
        KeptAuth(EMAIL, min_slack="90m", settings=home.settings).credentials()


def test_more_slack_than_there_can_be_is_said_so(home):
    with pytest.raises(errors.ConfigError, match="5400 s of slack"):
        KeptAuth(EMAIL, min_slack="3h", settings=home.settings).credentials()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"min_slack": "soon"}, "min_slack must be a duration like 90s"),
        ({"url": "keeper:8000", "key": "k"}, "url must be an http or https address"),
        ({"url": "http://keeper:8000"}, "key must be the bearer"),
        ({"url": "http://keeper:8000", "key": "a\nb"}, "key must be the bearer"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_is_asked(arguments, sentence):
    with pytest.raises(errors.ConfigError, match=sentence):
        KeptAuth(EMAIL, **arguments)


def test_settings_are_read_as_the_command_line_reads_them(home, monkeypatch, site, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AIMKEEPER_DATA_DIR", str(home.settings.data_dir))
    monkeypatch.setenv("AIMHARDER_URL", "http://aimharder.com")
    monkeypatch.setenv("AIMKEEPER_UPSTREAM_PROXY", site.url)

    assert KeptAuth(EMAIL).credentials().token == site.truth.token


def test_a_slow_upstream_keeps_nobody_who_has_enough_slack_waiting(client, site, bookings):
    client.get(bookings)
    site.sim.faults = Faults(hang=1.0)

    assert is_personal(client.get(bookings))
