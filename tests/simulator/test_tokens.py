"""Tokens and deaths, by the rules, on a clock that the test owns."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from aimkeeper.simulator import Rules


async def test_a_rotation_brings_a_new_token_of_the_recorded_shape(caller, grant, clock):
    answer = await caller.update(grant.token)

    token = answer.json()["newToken"]
    truth = caller.truth()
    assert re.fullmatch(r"\d+\|\d{10}\|[0-9a-f]{32}", token)
    assert token == truth.token != grant.token
    assert int(token.split("|")[1]) == int((clock.now() + timedelta(days=90)).timestamp())
    assert token.split("|")[0] == str(grant.user_id)
    assert answer.header("content-type") == "text/html; charset=UTF-8"
    assert set(answer.cookies()) == {"AWSALB", "AWSALBCORS"}
    assert (truth.rotations, truth.reuse, truth.alive, truth.replies_lost) == (1, 0, True, 0)


@pytest.mark.parametrize(
    ("rules", "after", "accepted", "alive"),
    [
        (Rules(old_token="stateless"), 0, True, True),
        (Rules(old_token="refuse"), 0, False, True),
        (Rules(old_token="strict"), 0, False, False),
        (Rules(old_token="grace", grace=25), 24.9, True, True),
        (Rules(old_token="grace", grace=25), 25, False, True),
        (Rules(old_token="grace", grace=25, after_grace="strict"), 25, False, False),
    ],
)
async def test_an_old_token_does_what_the_rule_says(
    *, sim, caller, grant, clock, email, fingerprint, rules, after, accepted, alive
):
    sim.rules = rules
    live = await caller.rotate(grant.token)
    clock.advance(after)

    assert sim.accepts(email, fingerprint, grant.token) is accepted
    answer = (await caller.update(grant.token)).json()

    truth = caller.truth()
    assert ("newToken" in answer) is accepted
    assert (answer == {"logout": 1}) is not accepted
    assert (truth.alive, truth.reuse) == (alive, 1)
    assert truth.died_of == (None if alive else "reuse")
    assert truth.token == (answer["newToken"] if accepted else live)


async def test_within_the_grace_the_token_whose_reply_was_lost_counts_as_spent_from_then_on(sim, caller, grant, clock):
    sim.rules = Rules(old_token="grace", grace=10)
    lost = await caller.rotate(grant.token)
    clock.advance(6)
    live = await caller.rotate(grant.token)
    clock.advance(6)

    # Spent 12 s ago, 6 s ago, and never.
    assert [sim.accepts(grant.user_id, grant.fingerprint, token) for token in (grant.token, lost, live)] == [
        False,
        True,
        True,
    ]


async def test_a_session_dies_at_the_end_of_its_idle_life_and_not_when_somebody_asks(sim, caller, grant, clock):
    sim.rules = Rules(idle_life=30)
    clock.advance(29.9)
    assert caller.truth().alive
    token = await caller.rotate(grant.token)
    used_at = clock.now()
    clock.advance(20)
    assert await caller.who_am_i(grant)  # touches nothing
    clock.advance(10)

    truth = caller.truth()

    assert (truth.alive, truth.died_of, truth.died_at) == (False, "idle", used_at + timedelta(seconds=30))
    assert (await caller.update(token)).json() == {"logout": 1}
    assert await caller.who_am_i(grant) == []
    assert sim.totals.died == {"idle": 1}


async def test_the_site_keeps_its_own_time(sim, caller, clock, email, fingerprint):
    sim.rules = Rules(idle_life=30)
    sim.open_session(email, fingerprint)
    clock.set_wall(clock.now() + timedelta(days=2))
    assert caller.truth().alive

    clock.suspend(31)

    assert caller.truth().died_of == "idle"


async def test_a_token_past_its_expiry_is_refused_though_the_session_lives(sim, caller, clock, email, fingerprint):
    sim.rules = Rules(token_life=60)
    grant = sim.open_session(email, fingerprint)
    clock.advance(60)

    assert (await caller.update(grant.token)).json() == {"logout": 1}
    assert caller.truth().alive


async def test_a_token_is_bound_to_its_fingerprint_unless_the_rule_is_off(sim, caller, grant):
    sim.rules = Rules(old_token="strict")
    assert (await caller.update(grant.token, "another")).json() == {"logout": 1}
    assert caller.truth().alive
    assert sim.totals.mismatches == 1

    sim.rules = replace(sim.rules, bind_fingerprint=False)

    assert "newToken" in (await caller.update(grant.token, "another")).json()


async def test_a_token_that_was_never_issued_answers_logout_and_harms_nobody(sim, caller, grant):
    sim.rules = Rules(old_token="strict")
    forged = [grant.token[:-1] + ("0" if grant.token[-1] != "0" else "1"), "", "1|2|3", "9" * 40, grant.token + "x"]

    assert [(await caller.update(token)).json() for token in forged] == [{"logout": 1}] * len(forged)
    assert caller.truth().alive
    assert (sim.totals.strange_tokens, sim.totals.reuse) == (len(forged), 0)


@pytest.mark.parametrize(("value", "text"), [(1, b"1"), (True, b"true"), ("1", b'"1"'), (0, b"0")])
async def test_logout_comes_in_every_spelling_and_with_the_content_type_asked_for(sim, caller, value, text):
    sim.rules = Rules(logout_value=value, content_type="application/json")

    answer = await caller.update("nonsense")

    assert (answer.status, answer.body) == (200, b'{"logout":' + text + b"}")
    assert answer.header("content-type") == "application/json"


async def test_token_update_may_need_the_cookie_and_may_renew_it(sim, caller, grant, fingerprint):
    sim.rules = Rules(update_needs_cookie=True, cookies_on_update=True)
    stranger = sim.open_session("eva@example.com", fingerprint)
    assert (await caller.update(grant.token)).json() == {"logout": 1}
    assert (await caller.update(grant.token, cookie=f"amhrdrauth={stranger.cookies['amhrdrauth']}")).json() == {
        "logout": 1
    }

    answer = await caller.update(grant.token, cookie=f"a=b; amhrdrauth={grant.cookies['amhrdrauth']}")

    assert answer.json()["newToken"] == caller.truth().token
    assert set(answer.cookies()) == {"amhrdrauth", "PHPSESSID", "AWSALB", "AWSALBCORS"}


async def test_setrefresh_stores_a_new_token_in_the_recorded_script(caller, grant, fingerprint):
    page = (await caller.set_refresh(grant.token)).body.decode()

    truth = caller.truth()
    assert f'localStorage.setItem("refreshToken", "{truth.token}");' in page
    assert f'localStorage.setItem("fingerprint", "{fingerprint}");' in page
    assert (truth.set_refreshes, truth.rotations, truth.token != grant.token) == (1, 0, True)


async def test_setrefresh_may_leave_the_token_and_prolong_the_session(*, sim, caller, grant, clock, email, fingerprint):
    sim.rules = Rules(setrefresh_rotates=False, idle_life=30)
    clock.advance(20)
    page = (await caller.set_refresh(grant.token)).body.decode()
    clock.advance(20)

    assert f'"{grant.token}"' in page
    assert caller.truth().alive
    assert sim.accepts(email, fingerprint, grant.token)


async def test_setrefresh_may_bind_the_session_to_another_fingerprint(sim, caller, grant, fingerprint):
    sim.rules = Rules(setrefresh_fingerprint="new")
    page = (await caller.set_refresh(grant.token)).body.decode()

    truth = caller.truth()  # found by the old one still

    assert truth.fingerprint != fingerprint
    assert f'"{truth.fingerprint}"' in page
    assert (await caller.update(truth.token, fingerprint)).json() == {"logout": 1}
    assert "newToken" in (await caller.update(truth.token, truth.fingerprint)).json()


async def test_setrefresh_fails_with_a_page_or_a_redirect_but_never_with_a_token(sim, caller):
    page = await caller.set_refresh("nonsense")
    sim.rules = Rules(setrefresh_failure="redirect")
    redirect = await caller.set_refresh("nonsense")

    assert (page.status, b"localStorage" in page.body) == (200, False)
    assert (redirect.status, redirect.header("location")) == (302, "/login")
