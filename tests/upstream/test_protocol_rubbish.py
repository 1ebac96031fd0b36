"""Whatever bytes come, with whatever status: no reader raises, and none makes an end of a session out of rubbish."""

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from aimkeeper.core.outcome import InDoubt, Life, LoggedIn, LoggedOut, LoginProblem, Refused, Reply, Rotated
from aimkeeper.core.token import Token
from aimkeeper.upstream import protocol
from aimkeeper.upstream.protocol import Site

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SITE = Site.at("https://aimharder.com", "https://login.aimharder.com/")
HELD = Token("69232|1766731601|03485f300f1a53a7e34143a0af9d2592")
RETRY_AFTER = st.none() | st.text(max_size=30)
SET_COOKIES = st.lists(
    st.sampled_from(["amhrdrauth=a", "amhrdrauth=a; Domain=aimharder.com", "x"]) | st.text(), max_size=3
)

words = st.sampled_from(["newToken", "logout", "data", "id", "name", "auth", "authOK", "refreshToken", "error", "info"])
values = (
    st.sampled_from([HELD.text, "1", 1, 0, True, None, "", "LOGIN_ERROR_LOGIN"]) | st.floats() | st.text(max_size=5)
)
json_like = st.recursive(
    values,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words | st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode())
fragments = st.lists(
    st.sampled_from(
        [
            b"<iframe src='/setrefresh?token=",
            b"'>",
            b'localStorage.setItem("refreshToken", "',
            b'");',
            b'<span id="loginErrors">',
            b"</span>",
            b"incorrecto",
            b'name="mail" name="pw"',
            b"&amp;",
            b"%7C",
            b"//[",
            HELD.text.encode(),
            b"\xef\xbb\xbf",
            b'{"logout":1}',
            b"\x00",
        ]
    )
    | st.binary(max_size=6),
    max_size=8,
).map(b"".join)


@st.composite
def broken(draw):
    """JSON with a few bytes cut out or put in."""
    body = bytearray(draw(json_like))
    at = draw(st.integers(0, len(body)))
    body[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(body)


bodies = st.binary(max_size=60) | json_like | fragments | broken()
statuses = st.just(200) | st.integers(100, 599)
replies = st.builds(
    Reply,
    status=statuses,
    host=st.sampled_from(["aimharder.com", "login.aimharder.com", "gym.aimharder.com"]),
    body=bodies,
    set_cookies=SET_COOKIES.map(tuple),
    retry_after=RETRY_AFTER,
)


def as_json(body: bytes) -> dict:
    """A second, forgiving reading of *body*; empty where it is no JSON object."""
    text = body.strip().removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    try:
        value = json.loads(text, strict=False)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


@given(replies)
def test_only_a_parsed_logout_is_a_logout_and_only_a_200_brings_a_token(reply):
    for read in (protocol.read_token_update, protocol.read_set_refresh):
        outcome = read(reply, SITE, HELD, NOW)

        match outcome:
            case LoggedOut():
                assert reply.status == 200
                assert as_json(reply.body).get("logout") is not None
            case Rotated(token):
                assert reply.status == 200
                assert token.text.isascii()
                assert token.text.isprintable()
            case Refused():
                assert 400 <= reply.status < 500
            case InDoubt():
                assert not 400 <= reply.status < 500


@given(replies)
def test_whoami_says_dead_only_when_the_body_says_so(reply):
    answer = protocol.read_who_am_i(reply, SITE, NOW)

    if answer.life is Life.DEAD:
        said = as_json(reply.body)
        assert reply.status == 200
        assert said.get("data") == [] or said.get("logout") is not None
    assert (answer.life is Life.ALIVE) is (answer.user_id is not None)


@given(replies)
def test_a_login_is_never_made_of_rubbish_nor_a_password_judged_by_it(reply):
    answer = protocol.read_log_in(reply, SITE, NOW)

    if isinstance(answer, LoggedIn):
        assert reply.status == 200 or b"<iframe" in reply.body.lower()
    elif answer.problem is LoginProblem.BAD_CREDENTIALS:
        assert reply.status in {200, 400, 401}
        assert as_json(reply.body) or b"loginErrors" in reply.body or b'name="pw"' in reply.body or reply.status == 401


@given(replies)
def test_no_answer_makes_the_reader_of_a_logout_raise(reply):
    assert (protocol.read_log_out(reply, NOW) is None) is (reply.status < 400)


@given(st.text(), st.integers(0, 10))
def test_no_retry_after_is_longer_than_an_hour_or_shorter_than_nothing(text, zeros):
    for header in (text, "0" * zeros + text, f"Mon, {text} 2026"):
        wait = protocol.read_retry_after(header, NOW)

        assert wait is None or 0 <= wait.total_seconds() <= 3600
