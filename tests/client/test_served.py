"""`KeptAuth` over HTTP: from a service that answers, or from one session's own address."""

import json
import socket
import threading
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from aimkeeper import KeptAuth, RequestsAuth, errors
from aimkeeper.cli.beside import Lender, path_of

EMAIL = "ana@example.com"
FINGERPRINT = "f" * 50


def the_id(home):
    async def work(service):
        return (await service.find(EMAIL)).id

    return home.do(work)


@pytest.fixture(autouse=True)
def _seven_left(site):
    site.sim.set_standing(EMAIL, credit=7)


@pytest.mark.parametrize("named", ["e-mail", "e-mail, badly written", "full name", "id"])
def test_a_session_is_found_by_its_e_mail_its_full_name_or_its_id(keeper, key, home, site, named):
    home.log_in(fingerprint="g" * 50) if named == "full name" else None
    who = {
        "e-mail": EMAIL,
        "e-mail, badly written": " Ana@Example.com ",
        "full name": f"{EMAIL}#{FINGERPRINT}",
        "id": the_id(home) if named == "id" else "",
    }[named]

    given = KeptAuth(who, url=keeper.url, key=key).credentials()

    assert (given.email, given.fingerprint, given.token) == (EMAIL, FINGERPRINT, site.truth.token)
    assert timedelta(minutes=89) < given.slack <= given.deadline_at - given.rotated_at == timedelta(minutes=90)


def test_a_request_is_made_in_the_member_s_name_and_survives_a_logout(keeper, key, site, by_site, bookings):
    with httpx.Client(auth=KeptAuth(EMAIL, url=keeper.url, key=key), **by_site) as client:
        first = client.get(bookings)
        site.kill()
        second = client.get(bookings)

    assert first.json()["clasesDisp"] == second.json()["clasesDisp"] == "7"
    assert site.truth.alive
    assert site.truth.reuse == 0


def test_what_the_service_says_is_raised_as_its_own_error(keeper, key, home, by_site, bookings):
    auth = KeptAuth(EMAIL, url=keeper.url, key=key)
    home.log_out()

    with httpx.Client(auth=auth, **by_site) as client, pytest.raises(errors.SessionEnded, match="log in again"):
        client.get(bookings)


@pytest.mark.parametrize(
    ("who", "error"),
    [
        ("nobody@example.com", errors.UnknownSession),
        ("0e1b5c2a-7d1f-4b7e-9f53-2f1c9b6f2f11", errors.UnknownSession),
        ("../../healthz", errors.ConfigError),
        (EMAIL, errors.AmbiguousSession),
    ],
    ids=["no such e-mail", "no such id", "a way out", "several"],
)
def test_who_is_not_one_session_is_said_so(keeper, key, home, who, error):
    if error is errors.AmbiguousSession:
        home.log_in(fingerprint="g" * 50)

    with pytest.raises(error):
        KeptAuth(who, url=keeper.url, key=key).credentials()


def test_a_key_that_opens_nothing_is_said_so_and_not_repeated(keeper):
    with pytest.raises(errors.ConfigError, match="does not take this key") as told:
        KeptAuth(EMAIL, url=keeper.url, key="quite another key").credentials()

    assert "quite another key" not in str(told.value)


def test_more_slack_than_there_can_be_is_said_so(keeper, key):
    with pytest.raises(errors.ConfigError, match="5400 s of slack"):
        KeptAuth(EMAIL, url=keeper.url, key=key, min_slack="3h").credentials()


def test_a_service_that_is_away_is_said_so(keeper, key, unused_port):
    with pytest.raises(errors.StoreUnavailable, match="can't be reached"):
        KeptAuth(EMAIL, url=f"http://127.0.0.1:{unused_port}", key=key).credentials()


def test_a_proxy_for_the_upstream_is_none_for_a_service_on_this_machine(keeper, key, monkeypatch, unused_port):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{unused_port}")

    assert KeptAuth(EMAIL, url=keeper.url, key=key).credentials().email == EMAIL


@pytest.fixture
def unused_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


# ---------------------------------------------------------------- one session's own address


@pytest.fixture
def own(home, site, monkeypatch, tmp_path):
    """What `exec` lends: an address and its bearer."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AIMKEEPER_DATA_DIR", str(home.settings.data_dir))
    monkeypatch.setenv("AIMHARDER_URL", "http://aimharder.com")
    monkeypatch.setenv("AIMKEEPER_UPSTREAM_PROXY", site.url)
    session_id = the_id(home)
    lender = Lender(session_id, "a bearer")
    serving = threading.Thread(target=lender.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    yield f"http://127.0.0.1:{lender.server_port}{path_of(session_id)}"
    lender.shutdown()
    serving.join()
    lender.server_close()


@pytest.mark.parametrize("kind", [KeptAuth, RequestsAuth])
def test_a_program_under_exec_uses_the_address_it_was_lent(own, site, kind):
    assert kind(EMAIL, url=own, key="a bearer").credentials().token == site.truth.token


@pytest.fixture
def bearer(home):
    """What `aimkeeper lend` prints for a bot on another machine."""

    async def work(service):
        return await service.bots.lend(await service.find(EMAIL), timedelta(days=30), by="a test")

    return home.do(work).bearer


@pytest.mark.parametrize("kind", [KeptAuth, RequestsAuth])
def test_a_bot_elsewhere_uses_what_it_was_lent_and_no_key(keeper, home, site, bearer, kind):
    url = f"{keeper.url}{path_of(the_id(home))}"

    assert kind(EMAIL, url=url, key=bearer).credentials().token == site.truth.token


def test_a_bot_elsewhere_is_told_when_what_it_was_lent_is_good_for_nothing_any_more(keeper, home, bearer):
    url = f"{keeper.url}{path_of(the_id(home))}"

    async def revoke(service):
        return await service.bots.revoke(await service.find(EMAIL), by="a test")

    assert home.do(revoke) == 1
    with pytest.raises(errors.ConfigError, match=r"does not take this key: .* what `aimkeeper lend` printed") as told:
        KeptAuth(EMAIL, url=url, key=bearer).credentials()
    assert bearer not in str(told.value)


@pytest.mark.parametrize("who", ["berta@example.com", f"{EMAIL}#{'g' * 50}"])
def test_an_address_that_gives_another_member_s_credentials_is_not_believed(own, who):
    with pytest.raises(errors.UnknownSession, match="another session"):
        KeptAuth(who, url=own, key="a bearer").credentials()


# ---------------------------------------------------------------- answers of something else


@contextmanager
def answering(status, body, **headers):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/credentials"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def refusal(code):
    return json.dumps({"success": False, "error": "one sentence.", "code": code}).encode()


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (410, "session_ended", errors.SessionEnded),
        (404, "unknown_session", errors.UnknownSession),
        (409, "ambiguous_session", errors.AmbiguousSession),
        (503, "upstream_unavailable", errors.UpstreamUnavailable),
        (503, "superseded", errors.UpstreamUnavailable),
        (503, "paused", errors.Paused),
        (429, "rate_limited", errors.RateLimited),
        (429, "too_many_requests", errors.UpstreamUnavailable),
        (503, "store_unavailable", errors.StoreUnavailable),
        (403, "upstream_refused", errors.UpstreamRefused),
        (502, "protocol_changed", errors.ProtocolChanged),
        (500, "fault", errors.UpstreamUnavailable),
        (503, "no_operator_key", errors.ConfigError),
        (401, "unauthorized", errors.ConfigError),
        (403, "forbidden", errors.ConfigError),
        (400, "bad_request", errors.ConfigError),
    ],
)
def test_every_refusal_becomes_the_error_it_stands_for(status, code, error):
    with answering(status, refusal(code), retry_after="7") as url, pytest.raises(error) as told:
        KeptAuth("an-id", url=url, key="k").credentials()

    assert type(told.value) is error
    if isinstance(told.value, errors.UpstreamUnavailable):
        assert told.value.retry_after == timedelta(seconds=7)
    if error is not errors.Paused:
        assert "one sentence." in str(told.value)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, b"<html>a router's page</html>", errors.ConfigError),
        (200, b"{}", errors.ConfigError),
        (200, b"[]", errors.ConfigError),
        (200, b'{"email":"ana@example.com","cookies":"none"}', errors.ConfigError),
        (502, b"<html>a proxy's page</html>", errors.UpstreamUnavailable),
        (404, b"<html>nothing</html>", errors.ConfigError),
        (301, b"", errors.ConfigError),
    ],
)
def test_what_is_no_answer_of_aimkeeper_s_is_said_so(status, body, error):
    with answering(status, body) as url, pytest.raises(error, match=r"check the address|does not answer as aimkeeper"):
        KeptAuth("an-id", url=url, key="k").credentials()
