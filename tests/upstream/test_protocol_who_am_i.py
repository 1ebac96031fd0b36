"""Answers of whoami: somebody, nobody, or no telling."""

import json

import pytest

from aimkeeper.core.cookies import Cookie, CookieDelta
from aimkeeper.core.outcome import Life, Reason, WhoAmI
from aimkeeper.upstream.protocol import read_who_am_i

UNCLEAR = WhoAmI(Life.UNCLEAR, reason=Reason.UNREADABLE)
ANA = WhoAmI(Life.ALIVE, 69232, "Ana")
SOMEBODY = {"id": 69232, "name": "Ana"}


@pytest.fixture
def read(reply, site, now):
    return lambda body, **more: read_who_am_i(reply(body, **more), site, now)


def test_the_recorded_answer_says_who_is_alive(read, body):
    assert read(body("whoami_alive.json")) == ANA


def test_the_recorded_answer_without_anybody_says_dead(read, body):
    assert read(body("whoami_nobody.json")) == WhoAmI(Life.DEAD)


@pytest.mark.parametrize(
    "data",
    [
        SOMEBODY,
        [SOMEBODY],
        [SOMEBODY | {"centre": "Gym", "roles": []}, {"id": 2, "name": "Eva"}],
        [None, 5, {"id": 1}, SOMEBODY],
        [SOMEBODY | {"name": "Ana"}],
    ],
    ids=["an object", "a list of one", "a list of two", "somebody among others", "once more"],
)
def test_any_object_with_id_and_name_is_somebody(read, data):
    assert read(json.dumps({"data": data}).encode()) == ANA


def test_a_byte_order_mark_does_not_matter(read):
    assert read(b'\xef\xbb\xbf{"data":[{"id":69232,"name":"Ana"}]}') == ANA
    assert read(b'\xef\xbb\xbf {"data":[]}\n') == WhoAmI(Life.DEAD)


def test_an_empty_name_is_a_name(read):
    assert read(b'{"data":[{"id":69232,"name":""}]}') == WhoAmI(Life.ALIVE, 69232, "")


@pytest.mark.parametrize(
    "text",
    [
        '{"logout":1}',
        '{"logout":0}',
        '{"logout":true,"data":null}',
        '{"data":[],"logout":null}',
        '{"data":[],"info":{},"error":null}',
    ],
)
def test_nobody_or_a_logout_is_dead(read, text):
    assert read(text.encode()) == WhoAmI(Life.DEAD)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "null",
        "[]",
        "5",
        '"dead"',
        '{"data":null}',
        '{"data":{}}',
        '{"data":[{}]}',
        '{"data":[[]]}',
        '{"data":""}',
        '{"data":0}',
        '{"data":[null]}',
        '{"data":[],"error":{"code":500,"message":"DATABASE"}}',
        '{"data":[{"id":"69232","name":"Ana"}]}',
        '{"data":[{"id":69232}]}',
        '{"data":[{"id":true,"name":"Ana"}]}',
        '{"data":[{"id":69232,"name":null}]}',
        '{"data":{"user":{"id":69232,"name":"Ana"}}}',
        '{"logout":null}',
        '{"data":[',
        '{"data":[]}}',
        '{"data":[],}',
        '[{"id":69232,"name":"Ana"}]',
    ],
)
def test_every_other_shape_is_unclear(read, text):
    assert read(text.encode()) == UNCLEAR


@pytest.mark.parametrize("name", ["home.html", "login_front.html", "bad_gateway.html", "form_wrong.html"])
def test_a_page_is_unclear(read, body, name):
    assert read(body(name)) == UNCLEAR


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 100_000,
        b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"data":[],"x":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
        b'{"data":["\xff"]}',
        '{"data":[]}'.encode("utf-16"),
        b'{"data":[{"id":' + b"9" * 100_000 + b',"name":"Ana"}]}',
    ],
    ids=["open brackets", "deep data", "deep beside it", "not UTF-8", "UTF-16", "an endless id"],
)
def test_rubbish_is_unclear_and_never_dead(read, text):
    assert read(text).life is Life.UNCLEAR


def test_the_cookies_of_the_living_are_kept_and_those_of_the_dead_are_not_believed(read, body):
    cookies = ["AWSALB=new", "amhrdrauth=deleted; Max-Age=0; Domain=aimharder.com"]

    assert read(body("whoami_alive.json"), cookies=cookies).cookies == CookieDelta(
        (Cookie("AWSALB", "new", "aimharder.com"),), (("amhrdrauth", "aimharder.com"),)
    )
    assert not read(body("whoami_nobody.json"), cookies=cookies).cookies
    assert not read(b"{}", cookies=cookies).cookies
