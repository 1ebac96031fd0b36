"""`POST /api/tokenUpdate`: whoever presents a session's token with its fingerprint gets the one to use from now on."""

import asyncio
import json
import re
from datetime import datetime
from urllib.parse import urlencode

import pytest

from aimkeeper.core.session import Status
from aimkeeper.simulator import Faults, Rules
from aimkeeper.web import token_update
from aimkeeper.web.bodies import MAX_BODY

FORM = "application/x-www-form-urlencoded"


async def present(house, body, content_type):
    headers = {"content-type": content_type} if content_type else {}
    return await house.ask("POST", "/api/tokenUpdate", content=body, headers=headers)


# ---------------------------------------------------------------- 200


@pytest.mark.parametrize(
    ("write", "content_type"),
    [
        (json.dumps, "application/json"),
        (json.dumps, "application/json; charset=utf-8"),
        (json.dumps, "text/plain"),
        (json.dumps, None),
        (urlencode, FORM),
        (urlencode, FORM + "; charset=UTF-8"),
        (urlencode, None),
        (lambda given: urlencode({**given, "ciclo": 1}), FORM),
        (lambda given: json.dumps({**given, "ciclo": 1, "more": {"and": ["more"]}}), "application/json"),
    ],
    ids=[
        "json",
        "json with a charset",
        "json said to be text",
        "json said to be nothing",
        "a form",
        "a form with a charset",
        "a form said to be nothing",
        "the form of the site's own page",
        "json with more in it",
    ],
)
async def test_a_holder_gets_the_token_to_use_from_now_on(house, write, content_type):
    session = await house.log_in()
    given = {"fingerprint": session.fingerprint, "token": session.token.text}

    answer = await present(house, write(given), content_type)

    told = answer.json()
    assert (answer.status_code, set(told)) == (200, {"success", "newToken", "updatedAt"})
    assert told["success"] is True
    assert told["newToken"] == house.truth(session).token != session.token.text


async def test_the_answer_says_when_the_token_was_rotated_as_javascript_writes_it(house):
    session = await house.log_in()

    told = (await house.exchange(session.token.text, session.fingerprint)).json()

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told["updatedAt"])
    assert abs((datetime.fromisoformat(told["updatedAt"]) - house.clock.now()).total_seconds()) < 1


async def test_an_answer_with_a_token_is_kept_by_no_cache(house):
    session = await house.log_in()

    answer = await house.exchange(session.token.text, session.fingerprint)

    assert answer.headers["cache-control"] == "no-store"


async def test_a_rotation_younger_than_a_fifteenth_of_the_interval_is_answered_without_a_new_one(house):
    session = await house.log_in()
    first = (await house.exchange(session.token.text, session.fingerprint)).json()
    house.clock.advance(59)

    again = (await house.exchange(first["newToken"], session.fingerprint)).json()

    assert again == first
    assert house.truth(session).rotations == 1


async def test_an_answer_that_never_arrived_is_given_again_without_asking_upstream(house):
    session = await house.log_in()
    lost = (await house.exchange(session.token.text, session.fingerprint)).json()
    house.clock.advance(120)

    again = (await house.exchange(session.token.text, session.fingerprint)).json()

    assert again["newToken"] == lost["newToken"]
    assert (house.truth(session).rotations, house.truth(session).reuse) == (1, 0)


async def test_fifty_at_once_share_one_upstream_call_and_get_equal_answers(house):
    session = await house.log_in()
    house.sim.faults = Faults(latency=0.5)
    caller = house.caller()
    asked = {"fingerprint": session.fingerprint, "token": session.token.text}

    answers = await house.clock.finish(
        asyncio.gather(*(caller.post("/api/tokenUpdate", json=asked) for _ in range(50)))
    )

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["newToken"] for answer in answers} == {house.truth(session).token}
    assert house.sim.totals.requests["/api/tokenUpdate"] == 1


async def test_an_ended_session_answers_logout_as_the_site_itself_does_until_it_is_wiped(house):
    session = await house.log_in()
    house.sim.kill(session.email, session.fingerprint)

    first = await house.exchange(session.token.text, session.fingerprint)
    again = await house.exchange(session.token.text, session.fingerprint)

    assert [(answer.status_code, answer.json()) for answer in (first, again)] == [(200, {"logout": 1})] * 2
    house.clock.advance(25 * 3600)
    await house.service.store.wipe(keep_rows=False)
    assert (await house.exchange(session.token.text, session.fingerprint)).status_code == 404


async def test_a_session_logged_out_here_answers_logout_too(house):
    session = await house.log_in()
    await house.service.entry.log_out(session)

    answer = await house.exchange(session.token.text, session.fingerprint)

    assert (answer.status_code, answer.json()) == (200, {"logout": 1})


# ---------------------------------------------------------------- 400 and 413

DEEP = 7000
RUBBISH = {
    "nothing": (b"", None),
    "nothing, said to be json": (b"", "application/json"),
    "no token": (b'{"fingerprint": "f"}', "application/json"),
    "no fingerprint": (b'{"token": "1|2|3"}', "application/json"),
    "an empty token": (b'{"fingerprint": "f", "token": ""}', "application/json"),
    "a token twice": (b'{"fingerprint": "f", "token": "1|2|3", "token": "1|2|4"}', "application/json"),
    "a form with a token twice": (b"fingerprint=f&token=1%7C2%7C3&token=1%7C2%7C4", FORM),
    "a null": (b'{"fingerprint": "f", "token": null}', "application/json"),
    "a number": (b'{"fingerprint": "f", "token": 5}', "application/json"),
    "a list": (b'{"fingerprint": "f", "token": ["1|2|3"]}', "application/json"),
    "an object": (b'{"fingerprint": {"$ne": 1}, "token": {"$ne": 1}}', "application/json"),
    "half an object": (b'{"fingerprint": "f", "tok', "application/json"),
    "a list of nothing": (b"[]", "application/json"),
    "a bare text": (b'"1|2|3"', "application/json"),
    "a bare null": (b"null", "application/json"),
    "not a number": (b"NaN", "application/json"),
    "lists in lists": (b'{"token": ' + b"[" * DEEP + b"]" * DEEP + b"}", "application/json"),
    "objects in objects": (b'{"token": ' * 1400 + b"1" + b"}" * 1400, "application/json"),
    "unclosed depth": (b"[" * DEEP, "application/json"),
    "bytes that are no text": (b"\xff\xfe\x00{", "application/json"),
    "a lone surrogate": (b'{"fingerprint": "f", "token": "\\ud800"}', "application/json"),
    "a token of two lines": (b'{"fingerprint": "f", "token": "1\\n2"}', "application/json"),
    "a token with a zero byte": (b'{"fingerprint": "f", "token": "1\\u0000"}', "application/json"),
    "a token of two thousand letters": (b'{"fingerprint": "f", "token": "' + b"a" * 2000 + b'"}', "application/json"),
    "an empty form": (b"token=&fingerprint=", FORM),
    "a form of half": (b"token=1%7C2%7C3", FORM),
    "a form that is not text": (b"token=\xff&fingerprint=\xfe", FORM),
    "a form of a thousand fields": (b"&".join(b"a=1" for _ in range(1000)), FORM),
    "json said to be a form of bytes": (b"\x00" * 64, FORM),
    "a file in parts": (b'--x\r\ncontent-disposition: form-data; name="token"\r\n\r\n1|2|3\r\n--x--\r\n',
                        "multipart/form-data; boundary=x"),
    "another language": (b"<token>1|2|3</token>", "application/xml"),
    "a content type that is none": (b"token", "////;;;\x7f"),
}  # fmt: skip


@pytest.mark.parametrize("what", RUBBISH)
async def test_rubbish_is_told_what_was_missing_and_reaches_nobody(house, what):
    await house.log_in()
    asked = house.sim.totals.requests.total()

    answer = await present(house, *RUBBISH[what])

    assert answer.status_code == 400
    assert answer.json() == {
        "success": False,
        "error": "fingerprint and token parameters are required",
        "code": "bad_request",
    }
    assert house.sim.totals.requests.total() == asked


@pytest.mark.parametrize("content_type", ["application/json", FORM, "text/plain"])
async def test_a_body_above_sixty_four_kibibytes_is_refused_and_one_below_is_read(house, content_type):
    def padded(size):
        given = b'{"fingerprint": "f", "token": "1|2|3"'
        return given + b" " * (size - len(given) - 1) + b"}"

    largest = await present(house, padded(MAX_BODY), content_type)
    larger = await present(house, padded(MAX_BODY + 1), content_type)

    assert larger.status_code == 413
    assert larger.json() == {"success": False, "error": "the request's body is too large.", "code": "too_large"}
    assert largest.status_code in (400, 404)


async def test_a_body_that_lies_about_its_length_is_refused_all_the_same(house):
    async def endless():
        for _ in range(65):
            yield b"a" * 1024

    answer = await house.ask("POST", "/api/tokenUpdate", content=endless(), headers={"content-type": FORM})

    assert answer.status_code == 413


# ---------------------------------------------------------------- 404 and 409


@pytest.mark.parametrize("what", ["another token", "another fingerprint", "another account", "a token of no form"])
async def test_a_stranger_is_told_that_nothing_was_found(house, what):
    session = await house.log_in()
    account = session.token.account_key
    token, fingerprint = {
        "another token": (f"{account}|1893456000|{'0' * 32}", session.fingerprint),
        "another fingerprint": (session.token.text, "e" * 50),
        "another account": (f"999|1893456000|{'0' * 32}", session.fingerprint),
        "a token of no form": ("%00';--", session.fingerprint),
    }[what]

    answer = await house.exchange(token, fingerprint)

    assert answer.status_code == 404
    assert answer.json() == {
        "success": False,
        "error": "No active session found for provided token",
        "code": "unknown_session",
    }
    assert house.truth(session).rotations == 0


async def test_a_second_party_is_told_that_two_use_one_session(house):
    session = await house.log_in()
    first = (await house.exchange(session.token.text, session.fingerprint)).json()
    house.clock.advance(120)
    await house.exchange(first["newToken"], session.fingerprint)

    answer = await house.exchange(session.token.text, session.fingerprint)

    told = answer.json()
    assert (answer.status_code, told["success"], told["code"]) == (409, False, "holder_conflict")
    assert "newToken" not in told
    assert "two programs" in told["error"]


# ---------------------------------------------------------------- 429 and 503


async def test_when_the_site_wants_us_slower_the_caller_is_told_when_to_ask_again(house):
    session = await house.log_in()
    house.sim.faults = Faults(retry_after=120)
    house.sim.next("rate_limited", times=50)

    answer = await house.exchange(session.token.text, session.fingerprint)

    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert 1 <= int(answer.headers["retry-after"]) <= 120
    assert house.truth(session).alive


@pytest.mark.parametrize("fault", ["reset_before", "error_500", "html_502", "maintenance", "empty"])
async def test_while_the_site_gives_no_token_the_caller_gets_503_and_the_session_lives_on(house, fault):
    house.sim.rules = Rules(old_token="grace", grace=600)
    session = await house.log_in()
    house.sim.next(fault, times=10_000)

    answer = await house.exchange(session.token.text, session.fingerprint)

    told = answer.json()
    assert (answer.status_code, told["success"], told["code"]) == (503, False, "upstream_unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert (await house.service.store.get(session.id)).status in (Status.ACTIVE, Status.IN_DOUBT)


async def test_when_the_site_refuses_our_address_a_holder_gets_503_for_he_did_nothing_wrong(house):
    session = await house.log_in()
    house.sim.rules = Rules(forbid=True)

    answer = await house.exchange(session.token.text, session.fingerprint)

    assert (answer.status_code, answer.json()["code"]) == (503, "upstream_refused")
    assert int(answer.headers["retry-after"]) >= 1
    assert house.truth(session).alive


async def test_while_the_store_is_away_the_caller_gets_503_at_once_and_nothing_is_spent(house):
    session = await house.log_in()

    with house.store_away():
        answer = await house.caller().post(
            "/api/tokenUpdate", json={"fingerprint": session.fingerprint, "token": session.token.text}
        )

    assert answer.status_code == 503
    assert (answer.json()["code"], answer.headers["retry-after"]) == ("store_unavailable", "5")
    assert house.truth(session).rotations == 0
    assert (await house.exchange(session.token.text, session.fingerprint)).status_code == 200


async def test_nobody_waits_for_ever_and_the_rotation_is_finished_without_him(house, monkeypatch):
    monkeypatch.setattr(token_update, "EXCHANGE_SECONDS", 0.05)
    session = await house.log_in()
    house.sim.faults = Faults(latency=5)

    # Not moved by hand: the site's five seconds never pass, the caller's patience does.
    answer = await house.caller().post(
        "/api/tokenUpdate", json={"fingerprint": session.fingerprint, "token": session.token.text}
    )

    assert (answer.status_code, answer.json()["code"]) == (503, "upstream_unavailable")
    await house.clock.run(10)
    kept = await house.service.store.get(session.id)
    assert kept.token.text == house.truth(session).token != session.token.text
