"""Login, whoami, logout, bookings."""

import json
from urllib.parse import urlencode

import pytest

from aimkeeper.simulator import Rules


@pytest.fixture(autouse=True)
def account(sim, email):
    return sim.add_account(email, "right", name="Ana")


async def test_a_login_answers_as_recorded_and_its_token_rotates(sim, caller, account, email):
    sim.rules = Rules(idle_life=30)
    answer = await caller.log_in("right", email=f" {email.upper()} ")

    data = answer.json()["data"]
    cookie = answer.cookies()["amhrdrauth"]
    assert data["userData"]["id"] == account
    assert data["auth"] == {"authOK": True, "refreshToken": caller.truth().token}
    assert set(answer.cookies()) == {"amhrdrauth", "AWSALB", "AWSALBCORS"}
    assert cookie.endswith("; Domain=.aimharder.com; Path=/; HttpOnly")
    assert "newToken" in (await caller.update(data["auth"]["refreshToken"])).json()
    headers = [("cookie", cookie.partition(";")[0])]
    somebody = (await caller.ask("GET", "/api/whoami", headers=headers)).json()["data"][0]
    assert (somebody["id"], somebody["name"]) == (account, "Ana")
    assert (sim.totals.logins, sim.totals.login_attempts, sim.totals.wrong_passwords, sim.totals.died) == (1, 1, 0, {})


@pytest.mark.parametrize(
    ("rules", "host", "ends"),
    [
        (Rules(amhrdrauth_host_only=True), "login.aimharder.com", "; Path=/; HttpOnly"),
        (Rules(), "127.0.0.1:8080", "; Path=/; HttpOnly"),
        (Rules(), "login.aimharder.es", "; Domain=.aimharder.es; Path=/; HttpOnly"),
        (Rules(cookie_domain=".aimharder.com"), "", "; Domain=.aimharder.com; Path=/; HttpOnly"),
        (
            Rules(amhrdrauth_attributes="dated"),
            "aimharder.com",
            "; Expires=Wed, 01 Apr 2026 12:00:00 GMT; Domain=.aimharder.com; Path=/; Secure; HttpOnly",
        ),
    ],
)
async def test_the_auth_cookie_has_the_attributes_asked_for(sim, caller, rules, host, ends):
    sim.rules = rules

    cookie = (await caller.log_in("right", host=host)).cookies()["amhrdrauth"]

    assert cookie.partition(";")[1] + cookie.partition(";")[2] == ends


async def test_a_wrong_password_is_refused_in_both_recorded_ways(sim, caller):
    as_error = await caller.log_in("wrong")
    sim.rules = Rules(wrong_password="200")
    as_success = await caller.log_in("wrong")
    unknown = await caller.log_in("right", email="nobody@example.com")

    assert (as_error.status, as_error.json()) == (401, {"error": {"code": 401, "message": "LOGIN_ERROR_LOGIN"}})
    assert (as_success.status, as_success.json()["data"]["auth"]["authOK"]) == (200, False)
    assert unknown.json() == as_success.json()
    assert "amhrdrauth" not in as_error.cookies() | as_success.cookies()
    assert sim.totals.wrong_passwords == 3


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", b'{"username":"a","password":"b","fingerprint":"c"}'),
        ("application/json", b"{"),
        ("application/json", b"[]"),
        ("application/json", b'{"username":"a","password":"b"}'),
    ],
)
async def test_a_login_that_is_not_json_with_all_it_needs_is_malformed(caller, content_type, body):
    answer = await caller.ask("POST", "/api/login", body=body, headers=[("content-type", content_type)])

    assert (answer.status, answer.json()["error"]["message"]) == (400, "LOGIN_ERROR_MALFORMED_BODY")


async def test_too_many_wrong_passwords_lock_the_email_out_even_for_the_right_one(sim, caller, clock):
    sim.rules = Rules(lockout_after=2, lockout=60)
    await caller.log_in("wrong")
    await caller.log_in("wrong")
    clock.advance(30)

    locked = await caller.log_in("right")
    clock.advance(30)
    open_again = await caller.log_in("right")

    assert (locked.status, locked.header("retry-after")) == (429, "31")
    assert open_again.status == 200
    assert (sim.totals.locked_out, sim.totals.wrong_passwords) == (1, 2)


async def test_the_legacy_form_is_retired_unless_the_rule_revives_it(sim, caller, email, fingerprint):
    async def post(password):
        form = {"login": "Log in", "mail": email, "pw": password, "loginfingerprint": fingerprint, "loginiframe": 0}
        return (await caller.ask("POST", "/login", body=urlencode(form).encode())).body.decode()

    retired = await post("right")
    sim.rules = Rules(login_form=True, lockout_after=1)
    right, wrong, locked = await post("right"), await post("wrong"), await post("right")

    assert "iframe" not in retired
    token = caller.truth().token.replace("|", "%7C")
    assert f'<iframe src="/setrefresh?token={token}&fingerprint={fingerprint}&user=' in right
    assert "window.location.href" in right
    assert "incorrecto" in wrong
    assert "demasiadas veces" in locked


@pytest.mark.parametrize(
    ("rule", "old_standing", "other_alive"),
    [("fingerprint", "dead cookie", True), ("nothing", "live cookie", True), ("account", "dead cookie", False)],
)
async def test_a_login_ends_what_the_rule_says(*, sim, caller, email, fingerprint, rule, old_standing, other_alive):
    sim.rules = Rules(login_kills_previous=rule, old_token="strict")
    old, other = sim.open_session(email, fingerprint), sim.open_session(email, "other")

    await caller.log_in("right")

    assert bool(await caller.who_am_i(old)) is (old_standing == "live cookie")
    assert (await caller.update(old.token)).json() == {"logout": 1}
    # Replaced, not spent, so no harm is done; with "nothing" it counts as spent, which strict punishes.
    assert caller.truth().alive is (rule != "nothing")
    truth = sim.truth(email, "other")
    assert (truth.alive, truth.died_of) == (other_alive, None if other_alive else "login")
    assert bool(await caller.who_am_i(other)) is other_alive


@pytest.mark.parametrize(("scope", "other_alive"), [("account", False), ("session", True)])
async def test_a_logout_ends_what_the_rule_says(*, sim, caller, email, fingerprint, scope, other_alive):
    sim.rules = Rules(logout_scope=scope)
    grant = sim.open_session(email, fingerprint)
    sim.open_session(email, "other")

    answer = await caller.ask("GET", "/logout", headers=[("cookie", f"amhrdrauth={grant.cookies['amhrdrauth']}")])

    assert answer.status == 302
    assert caller.truth().died_of == "logout"
    assert sim.truth(email, "other").alive is other_alive


async def test_everything_is_forbidden_to_an_unwelcome_address(sim, caller):
    sim.rules = Rules(forbid=True)

    answers = [await caller.log_in("right"), await caller.update("x"), await caller.ask("GET", "/api/whoami")]

    assert {answer.status for answer in answers} == {403}
    assert all(b"<h1>403" in answer.body for answer in answers)


async def test_secrets_are_in_no_repr_and_not_in_the_log(sim, caller, email, fingerprint):
    grant = sim.open_session(email, fingerprint)
    token = await caller.rotate(grant.token)
    await caller.set_refresh(token)
    await caller.log_in("right")

    shown = repr((grant, caller.truth(), list(sim.log), sim._world.sessions, sim._world.accounts))

    secrets = [grant.token, token, caller.truth().token, *grant.cookies.values(), "right"]
    assert [secret for secret in secrets if secret in shown] == []
    assert json.dumps(list(sim.log)).count("/api/tokenUpdate") == 1
