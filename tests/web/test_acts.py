"""What an operator does to one session over HTTP, by key or by page; each act is an event."""

import pytest

from aimkeeper.core.events import EventKind
from aimkeeper.core.session import Cause, Status
from aimkeeper.simulator import Faults


@pytest.fixture
async def session(house):
    return await house.log_in()


async def acts(house, session_id):
    told = await house.service.store.events_of(session_id)
    return [(fact.data["act"], fact.data["by"]) for fact in told if fact.kind is EventKind.OPERATOR_ACTED]


async def test_a_session_made_elsewhere_is_taken_over_and_kept(house):
    given = house.sim.open_session("zoe@example.com", "e" * 50).record() | {"ref": "member-17"}

    answer = await house.ask("POST", "/api/sessions", json=given, headers=house.page())

    told = answer.json()["session"]
    kept = await house.service.store.get(told["id"])
    assert (answer.status_code, told["ref"], told["email"]) == (201, "member-17", "zoe@example.com")
    assert kept.token.text == given["token"]
    assert given["token"] not in answer.text
    assert await acts(house, kept.id) == [("adopt", "page")]


async def test_a_pair_that_is_kept_is_replaced_only_when_asked(house, session):
    given = house.sim.open_session(session.email, session.fingerprint).record()

    refused = await house.ask("POST", "/api/sessions", json=given, by=house.operator)
    replaced = await house.ask("POST", "/api/sessions", json=given | {"replace": True}, by=house.operator)

    assert (refused.status_code, refused.json()["code"]) == (409, "already_kept")
    assert (replaced.status_code, replaced.json()["session"]["id"]) == (201, session.id)
    assert (await house.service.store.get(session.id)).token.text == given["token"]


async def test_a_platform_s_id_belongs_to_one_session(house):
    for email, status in (("zoe@example.com", 201), ("yan@example.com", 400)):
        given = house.sim.open_session(email, "e" * 50).record() | {"ref": "member-17"}
        answer = await house.ask("POST", "/api/sessions", json=given, by=house.operator)
        assert answer.status_code == status


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"email": None}, "'email' is missing."),
        ({"token": "a b"}, "not a token: it must be 1 to 1024 printable ASCII characters without spaces."),
        ({"fingerprint": None}, "'fingerprint' is missing, and AIMHARDER_FINGERPRINT is not set."),
        ({"cookies": {}}, "'cookies' is not a list."),
        ({"cookies": [{"name": "a"}]}, "a cookie needs 'name' and 'value'."),
        ({"ref": 17}, "'ref' is not a short text."),
        ({"more": 1}, "unknown field 'more'."),
        ({"replace": "yes"}, "replace must be true or false."),
    ],
)
async def test_what_can_not_be_adopted_is_told_why_without_repeating_it(house, change, sentence):
    given = house.sim.open_session("zoe@example.com", "e" * 50).record() | change

    answer = await house.ask("POST", "/api/sessions", json=given, by=house.operator)

    assert (answer.status_code, answer.json()["error"]) == (400, sentence)


async def test_a_session_is_rotated_now_due_or_not(house, session):
    answer = await house.ask("POST", f"/api/sessions/{session.id}/rotate", by=house.operator)

    kept = await house.service.store.get(session.id)
    assert (answer.status_code, answer.json()["session"]["generation"]) == (200, session.generation + 1)
    assert kept.token.text == house.truth(session).token
    assert await acts(house, session.id) == [("rotate", "key")]


async def test_a_rotation_that_brings_nothing_says_when_it_is_tried_again(house, session):
    house.sim.faults = Faults(rate_limited=1.0, retry_after=120)

    answer = await house.ask("POST", f"/api/sessions/{session.id}/rotate", by=house.operator)

    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert 1 <= int(answer.headers["retry-after"]) <= 120


@pytest.mark.parametrize(("alive", "life"), [(True, "alive"), (False, "dead")])
async def test_a_check_asks_the_site_and_spends_nothing(house, session, alive, life):
    if not alive:
        house.sim.kill(session.email, session.fingerprint)

    answer = await house.ask("POST", f"/api/sessions/{session.id}/check", headers=house.page())

    assert answer.json() == {"success": True, "life": life}
    assert house.sim.totals.requests["/api/tokenUpdate"] == 0


async def test_a_check_while_the_site_is_away_is_unclear(house, session):
    house.sim.faults = Faults(error_500=1.0, paths=("/api/whoami",))

    answer = await house.ask("POST", f"/api/sessions/{session.id}/check", by=house.operator)

    assert (answer.status_code, answer.json()["life"]) == (200, "unclear")


async def test_an_end_is_final_and_here_only(house, session):
    member = await house.member(session)

    answer = await house.ask("DELETE", f"/api/sessions/{session.id}", headers=house.page())
    revived = await house.ask("POST", f"/api/sessions/{session.id}/revive", by=house.operator)

    told = answer.json()["session"]
    assert (answer.status_code, told["status"], told["cause"]) == (200, "ended", "logged_out_here")
    assert (revived.status_code, revived.json()["code"]) == (410, "session_ended")
    assert (await house.ask("GET", "/api/auth/session", headers=member)).status_code == 401
    assert house.sim.totals.requests["/logout"] == 0


async def test_an_end_that_was_the_site_s_can_be_undone(house, session):
    house.sim.kill(session.email, session.fingerprint)
    await house.exchange(session.token.text, session.fingerprint)
    assert (await house.service.store.get(session.id)).cause is Cause.SERVER_ENDED

    answer = await house.ask("POST", f"/api/sessions/{session.id}/revive", by=house.operator)

    assert (answer.status_code, answer.json()["session"]["status"]) == (200, "in_doubt")
    assert await acts(house, session.id) == [("revive", "key")]


async def test_what_has_not_ended_can_not_be_revived(house, session):
    answer = await house.ask("POST", f"/api/sessions/{session.id}/revive", by=house.operator)

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_config")
    assert (await house.service.store.get(session.id)).status is Status.ACTIVE


@pytest.mark.parametrize(
    ("method", "below"), [("POST", "/rotate"), ("POST", "/check"), ("DELETE", ""), ("POST", "/revive")]
)
async def test_nothing_is_done_to_what_is_not_there(house, method, below):
    answer = await house.ask(method, f"/api/sessions/nobody{below}", by=house.operator)

    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_session")
