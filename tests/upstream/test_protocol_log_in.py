"""Answers of the JSON login: who came in, and why others did not."""

import json
from datetime import UTC, datetime

import pytest

from aimkeeper.core.cookies import Cookie, Jar
from aimkeeper.core.outcome import LoggedIn, LoginProblem, LoginRefused, Reason
from aimkeeper.core.token import Token
from aimkeeper.upstream.protocol import Site, read_log_in

WRONG = LoginRefused(LoginProblem.BAD_CREDENTIALS, Reason.REJECTED)
LOCKED = LoginRefused(LoginProblem.LOCKED_OUT, Reason.RATE_LIMITED)
UNREADABLE = LoginRefused(LoginProblem.UNREADABLE, Reason.UNREADABLE)
AUTH = "amhrdrauth=auth; Domain=.aimharder.com; Path=/; HttpOnly"
NEW = "69232|1766907797|f3069323e00d81750c8590bb1f5f93b6"


@pytest.fixture
def read(reply, site, now):
    def read(body, status=200, *, cookies=(AUTH,), host="login.aimharder.com"):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return read_log_in(reply(content, status, host=host, cookies=cookies), site, now)

    return read


def success(**changes):
    return {"data": {"userData": {"id": 69232, "name": "Ana"}, "auth": {"authOK": True, "refreshToken": NEW} | changes}}


def test_the_recorded_success_brings_token_cookies_and_who_it_is(read, body, brought):
    answer = read(body("login_good.json"), cookies=[AUTH, "AWSALB=lb; Expires=Mon, 06 Oct 2025 08:00:00 GMT; Path=/"])

    assert answer == LoggedIn(brought, answer.cookies, 69232, "Ana")
    assert answer.cookies.stored == (
        Cookie("amhrdrauth", "auth", "aimharder.com", host_only=False),
        Cookie("AWSALB", "lb", "login.aimharder.com", expires_at=datetime(2025, 10, 6, 8, tzinfo=UTC)),
    )


@pytest.mark.parametrize(
    "cookie",
    [
        "amhrdrauth=auth",
        "amhrdrauth=auth; Path=/; HttpOnly",
        "amhrdrauth=auth; domain=login.aimharder.com",
        "amhrdrauth=auth; Domain=aimharder.com",
        "amhrdrauth=auth; expires=Sun, 28-Dec-2025 07:43:17 GMT; domain=aimharder.com; path=/; secure; HttpOnly",
    ],
)
def test_the_login_cookie_serves_the_base_host_and_every_box_whatever_its_scope(read, body, now, cookie):
    jar = Jar().merge(read(body("login_good.json"), cookies=[cookie]).cookies)

    for host in ("aimharder.com", "gym.aimharder.com", "login.aimharder.com"):
        assert jar.header(host, now) == "amhrdrauth=auth"


def test_the_same_login_on_the_base_host_is_as_good(reply, now, body, brought):
    site = Site.at("https://aimharder.com", "https://aimharder.com/api/login")

    answer = read_log_in(reply(body("login_good.json"), cookies=["amhrdrauth=auth"]), site, now)

    assert answer.token == brought


@pytest.mark.parametrize(
    ("user", "told"),
    [
        (None, (None, None)),
        ([], (None, None)),
        ("Ana", (None, None)),
        ({}, (None, None)),
        ({"id": "69232", "name": 5}, (None, None)),
        ({"id": True, "name": "Ana"}, (None, "Ana")),
        ({"id": 69232, "roles": [{"id": 1}]}, (69232, None)),
    ],
)
def test_a_login_is_good_though_it_does_not_say_whose(read, user, told):
    answer = success()
    answer["data"]["userData"] = user

    logged_in = read(answer)

    assert (logged_in.token, logged_in.user_id, logged_in.name) == (Token(NEW), *told)


@pytest.mark.parametrize(
    "beside",
    [
        {"info": "Welcome"},
        {"info": None},
        {"info": {"version": 1}},
        {"error": None},
        {"error": []},
        {"error": ""},
        {"x": 1},
    ],
    ids=str,
)
def test_what_stands_beside_a_success_does_not_matter_unless_it_is_an_error(read, beside):
    assert read(success() | beside).token == Token(NEW)


@pytest.mark.parametrize("error", [{"code": 401}, {"message": "LOGIN_ERROR_OTHER"}, "an error", 5, True], ids=str)
def test_a_success_with_an_error_beside_it_is_none(read, error):
    assert read(success() | {"error": error}) == UNREADABLE


def test_a_success_without_the_login_cookie_is_none(read, body):
    for cookies in (
        [],
        ["AWSALB=lb"],
        ["amhrdrauth=; Max-Age=0; Domain=aimharder.com"],
        ["amhrdrauth=x; Domain=evil.t"],
    ):
        assert read(body("login_good.json"), cookies=cookies) == UNREADABLE


def test_a_success_without_a_token_is_none(read):
    for token in (None, "", 5, "two words", "null", ["x"]):
        assert read(success(refreshToken=token)) == UNREADABLE


@pytest.mark.parametrize("ok", [1, "true", None, [], {}, "yes"], ids=repr)
def test_only_true_is_true(read, ok):
    assert read(success(authOK=ok)) == UNREADABLE


def test_a_success_with_another_status_is_none(read, body):
    assert read(body("login_good.json"), 400) == UNREADABLE
    assert read(body("login_good.json"), 201).problem is LoginProblem.UNAVAILABLE


def test_the_recorded_401_is_a_wrong_password(read, body):
    assert read(body("login_wrong.json"), 401, cookies=[]) == WRONG


def test_cookies_on_an_error_answer_do_not_make_it_a_login(read, body):
    assert read(body("login_wrong.json"), 401, cookies=[AUTH, "AWSALB=x"]) == WRONG
    assert read(body("login_wrong.json"), 200, cookies=[AUTH]) == WRONG


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, {"error": {"message": "LOGIN_ERROR_LOGIN"}}),
        (200, {"error": "LOGIN_ERROR_LOGIN"}),
        (200, {"info": "login_error_login"}),
        (200, {"data": {"auth": {"authOK": False}}}),
        (200, {"data": {"auth": {"authOK": False}}, "info": "bad credentials, account blocked"}),
        (200, {"data": {"auth": {"authOK": False, "refreshToken": NEW}}, "info": 5}),
        (200, {"data": [], "info": "Usuario o contraseña incorrectos"}),
        (400, {"error": {"message": "LOGIN_ERROR_LOGIN"}}),
        (401, {"error": {"code": 401}}),
        (401, {"data": [], "error": {"message": "LOGIN_ERROR_OTHER"}}),
        (401, {}),
    ],
)
def test_a_wrong_password_is_told_in_several_ways(read, status, answer):
    assert read(answer, status) == WRONG


def test_a_refusal_in_a_200_is_one(read, body):
    assert read(body("login_refused.json"), cookies=[]) == WRONG


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"message": "Lo has intentado demasiadas veces."}},
        {"error": "Too many attempts"},
        {"data": {"auth": {"authOK": False}}, "info": "LOGIN_ERROR_LOCKOUT"},
    ],
)
def test_too_many_tries_are_told_apart_from_a_wrong_password(read, answer):
    for status in (200, 400, 401):
        assert read(answer, status) == LOCKED


def test_a_body_the_site_could_not_read_is_no_verdict_on_the_password(read, body):
    for status in (200, 400, 401):
        answer = read(body("login_malformed.json"), status)

        assert answer == LoginRefused(LoginProblem.UNREADABLE, Reason.REJECTED)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        None,
        5,
        "text",
        {"data": None},
        {"data": []},
        {"data": {"auth": []}},
        {"data": {"auth": {}}},
        {"error": {"message": "LOGIN_ERROR_OTHER"}},
        {"error": {"message": 5}},
        {"logout": 1},
    ],
    ids=str,
)
def test_what_says_neither_yes_nor_no_is_no_verdict_on_the_password(read, answer):
    for status in (200, 400):
        assert read(answer, status) == UNREADABLE


@pytest.mark.parametrize(
    "text",
    [b"", b"[" * 100_000, b'{"data":' * 100_000, b'{"data":{"auth":{"authOK":true,"refre', b"\xff\xfe", b"{}{}"],
    ids=["nothing", "brackets", "objects", "truncated", "not UTF-8", "two"],
)
def test_rubbish_is_no_verdict_on_the_password(read, text):
    for status in (200, 400, 401):
        assert read(text, status) == UNREADABLE


def test_a_refusal_holds_no_cookie_and_a_login_shows_none(read, body):
    assert "auth" not in repr(read(body("login_wrong.json"), 401)).replace("aimharder", "")
    assert NEW not in repr(read(body("login_good.json")))
    assert "=auth" not in repr(read(body("login_good.json")))
