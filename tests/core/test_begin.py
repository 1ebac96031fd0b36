"""How a session begins: what may be adopted, and what a login or an adoption makes."""

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimkeeper.core.begin import MAX_LINE, adopted, logged_in, read_adoption, read_adoption_line
from aimkeeper.core.cookies import Cookie, CookieDelta
from aimkeeper.core.outcome import LoggedIn
from aimkeeper.core.session import Handout, SessionKey, Status, Turn
from aimkeeper.core.token import Fingerprint, Token

TOKEN = "69232|1775044800|03485f300f1a53a7e34143a0af9d2592"
DEVICE = "my0pz7di4kr8nuq718uecu4ev23fbosfp20z1q6smntm42ideb"
GOOD = {"email": "ana@example.com", "fingerprint": DEVICE, "token": TOKEN}
BASE = "aimharder.com"


def test_a_whole_record_is_read_to_the_last_field():
    adoption = read_adoption(
        {
            "email": " Ana@Example.COM ",
            "fingerprint": f" {DEVICE} ",
            "token": TOKEN,
            "cookies": [
                {"name": "amhrdrauth", "value": "auth"},
                {"name": "b", "value": "", "domain": "gym.test", "x": 1},
            ],
            "session_type": "device",
            "ref": "user-7",
        }
    )

    assert adoption.key == SessionKey("ana@example.com", Fingerprint(DEVICE))
    assert adoption.token == Token(TOKEN)
    assert adoption.cookies == (("amhrdrauth", "auth", None), ("b", "", "gym.test"))
    assert (adoption.session_type, adoption.ref) == ("device", "user-7")


def test_the_three_needed_fields_are_enough():
    adoption = read_adoption(GOOD)

    assert (adoption.cookies, adoption.session_type, adoption.ref) == ((), None, None)
    assert adoption == read_adoption(GOOD | {"cookies": None, "session_type": None, "ref": None})


@pytest.mark.parametrize("given", [{}, {"fingerprint": None}, {"fingerprint": ""}], ids=["absent", "null", "empty"])
def test_a_record_without_a_fingerprint_takes_the_one_that_is_set(given):
    record = {"email": "ana@example.com", "token": TOKEN} | given

    assert read_adoption(record, Fingerprint("the-set-one")).fingerprint == "the-set-one"
    with pytest.raises(ValueError, match="'fingerprint' is missing, and AIMHARDER_FINGERPRINT is not set"):
        read_adoption(record)


@pytest.mark.parametrize("fingerprint", [0, False, [], {}, 123456, "a b"])
def test_a_fingerprint_that_makes_no_sense_is_not_replaced_by_the_one_that_is_set(fingerprint):
    with pytest.raises(ValueError, match="not a fingerprint"):
        read_adoption(GOOD | {"fingerprint": fingerprint}, Fingerprint("the-set-one"))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"email": ""}, "'email' is missing"),
        ({"email": None}, "'email' is missing"),
        ({"email": 5}, "'email' must be text"),
        ({"email": "canary"}, "not an e-mail address"),
        ({"token": ""}, "'token' is missing"),
        ({"token": ["canary"]}, "'token' must be text"),
        ({"token": "canary canary"}, "not a token"),
        ({"pasword": "canary"}, "unknown field 'pasword'"),
        ({"cookies": "canary=1"}, "'cookies' is not a list"),
        ({"cookies": {}}, "'cookies' is not a list"),
        ({"cookies": 0}, "'cookies' is not a list"),
        ({"cookies": ["canary=1"]}, "a cookie needs 'name' and 'value'"),
        ({"cookies": [{"name": "canary"}]}, "a cookie needs 'name' and 'value'"),
        ({"cookies": [{"name": "", "value": "canary"}]}, "a cookie needs 'name' and 'value'"),
        ({"cookies": [{"name": "a", "value": 5}]}, "a cookie needs 'name' and 'value'"),
        ({"cookies": [{"name": "a", "value": "canary\r\nX: y"}]}, "a character that can't be sent"),
        ({"cookies": [{"name": "a", "value": "canary;"}]}, "a character that can't be sent"),
        ({"cookies": [{"name": "a=b", "value": "canary"}]}, "a character that can't be sent"),
        ({"cookies": [{"name": "a;b", "value": "canary"}]}, "a character that can't be sent"),
        ({"cookies": [{"name": "a", "value": "canary\xe9"}]}, "a character that can't be sent"),
        ({"cookies": [{"name": "a", "value": "canary" * 1000}]}, "is too long"),
        ({"session_type": 5}, "'session_type' is not a short text"),
        ({"session_type": ""}, "'session_type' is not a short text"),
        ({"ref": "canary" * 40}, "'ref' is not a short text"),
        ({"ref": "canary\ud800"}, "'ref' is not a short text"),
        ({"ref": "canary\n"}, "'ref' is not a short text"),
    ],
)
def test_a_bad_record_is_refused_with_what_is_wrong_and_without_its_values(change, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        read_adoption(GOOD | change)

    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("record", [None, [], "text", 5, [GOOD]])
def test_only_an_object_is_a_record(record):
    with pytest.raises(ValueError, match=r"^not an object$"):
        read_adoption(record)


def test_a_line_is_a_record_as_json():
    assert read_adoption_line(json.dumps(GOOD) + "\n") == read_adoption(GOOD)
    assert read_adoption_line(json.dumps(GOOD | {"fingerprint": None}), Fingerprint("x")).fingerprint == "x"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("", "^not JSON$"),
        ("{", "^not JSON$"),
        ("[" * 50_000, "^not JSON$"),
        ('{"email": "canary"', "^not JSON$"),
        ("5" * 5000, "^not JSON$"),
        ("[]", "^not an object$"),
        (" " * (MAX_LINE + 1), "^longer than 64 KiB$"),
    ],
    ids=["empty", "open", "deep", "truncated", "endless number", "list", "long"],
)
def test_a_line_that_is_none_says_so(line, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        read_adoption_line(line)

    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.sampled_from([TOKEN, DEVICE, "a@b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "value"]) | st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*GOOD, "cookies", "ref", "session_type"]), json_values) | json_values)
def test_any_json_is_an_adoption_or_a_value_error_and_neither_shows_the_token(record):
    try:
        adoption = read_adoption(record, Fingerprint("default"))
    except ValueError as error:
        told = str(error)
    else:
        told = repr(adoption)

    assert TOKEN not in told


def test_adopted_cookies_lie_where_a_browser_would_hold_them(now):
    jar = read_adoption(
        GOOD
        | {
            "cookies": [
                {"name": "amhrdrauth", "value": "auth"},
                {"name": "AWSALB", "value": "lb"},
                {"name": "PHPSESSID", "value": "box", "domain": ".Gym.AimHarder.com"},
            ]
        }
    ).jar(BASE)

    assert jar.header("aimharder.com", now) == "amhrdrauth=auth; AWSALB=lb"
    assert jar.header("gym.aimharder.com", now) == "amhrdrauth=auth; PHPSESSID=box"
    assert jar.header("other.aimharder.com", now) == "amhrdrauth=auth"


def test_an_adopted_session_is_due_after_its_delay_and_its_giver_may_come_back(now, policy):
    adoption = read_adoption(GOOD | {"ref": "user-7", "session_type": "device"})

    session = adopted("id-1", adoption, BASE, policy, now, delay=timedelta(minutes=3))

    assert (session.id, session.key, session.token) == ("id-1", adoption.key, adoption.token)
    assert (session.ref, session.session_type, session.generation) == ("user-7", "device", 1)
    assert (session.rotated_at, session.due_at) == (now, now + timedelta(minutes=3))
    assert session.deadline_at == now + policy.idle_timeout
    assert (session.settled_in, session.setrefresh_due) == (False, False)
    assert session.secrets.handouts == (Handout(adoption.token.digest(), now.timestamp()),)
    assert session.ring == (Turn(now.timestamp(), "rotated", "adopt", 0, -1, adoption.token.mark()),)


def test_a_login_owes_its_setrefresh_at_once(now, policy):
    cookies = CookieDelta((Cookie("amhrdrauth", "auth", BASE, host_only=False),))
    key = SessionKey("ana@example.com", Fingerprint(DEVICE))

    session = logged_in(
        "id-1", key, LoggedIn(Token(TOKEN), cookies), policy, now, password="correct horse", session_type="device"
    )

    assert (session.key, session.token, session.jar.cookies) == (key, Token(TOKEN), cookies.stored)
    assert (session.status, session.cause, session.setrefresh_due, session.due_at) == (Status.ACTIVE, None, True, now)
    assert (session.secrets.password, session.session_type) == ("correct horse", "device")
    assert session.deadline_at == now + policy.idle_timeout
    assert session.ring[-1].via == "login"


def test_a_login_remembers_no_password_unless_told(now, policy):
    session = logged_in("i", SessionKey("a@b", Fingerprint(DEVICE)), LoggedIn(Token(TOKEN), CookieDelta()), policy, now)

    assert session.secrets.password is None
