"""`GET /api/sessions`: pages without secrets."""

import pytest

from aimkeeper.core.session import Status

SECRETS = ("token", "cookie", "password", "secret", "sealed", "jar", "handout")


@pytest.fixture
async def five(house):
    return await house.adopt(*(f"member{number}@example.com" for number in range(5)))


async def listed(house, query=""):
    return (await house.ask("GET", f"/api/sessions{query}", by=house.operator)).json()


async def test_a_session_is_described_without_anything_that_opens_it(house):
    session = await house.log_in(remember=True)

    answer = await house.ask("GET", "/api/sessions", by=house.operator)

    [told] = answer.json()["sessions"]
    assert (told["id"], told["email"], told["status"]) == (session.id, session.email, "active")
    assert (told["remembered"], told["setrefresh_count"], told["generation"]) == (True, 1, 2)
    assert [turn["via"] for turn in told["turns"]] == ["login", "setrefresh"]
    assert not [name for name in told if any(word in name for word in SECRETS)]
    for secret in (session.token.text, "correct horse", *(cookie.value for cookie in session.jar.cookies)):
        assert secret not in answer.text


async def test_pages_follow_one_another_without_gap_or_double(house, five):
    seen, query, pages = [], "?limit=2", 0
    while True:
        page = await listed(house, query)
        seen += [session["email"] for session in page["sessions"]]
        pages += 1
        if page["next"] is None:
            break
        query = "?limit=2&after=" + page["next"].replace("#", "%23")

    assert seen == [session.email for session in five]
    assert pages == 3


async def test_a_status_chooses(house, five):
    await house.service.entry.log_out(five[2])

    ended = await listed(house, "?status=ended")
    active = await listed(house, "?status=active")

    assert [session["email"] for session in ended["sessions"]] == ["member2@example.com"]
    assert ended["sessions"][0]["cause"] == "logged_out_here"
    assert len(active["sessions"]) == 4


async def test_a_status_that_is_none_is_told_which_there_are(house):
    answer = await house.ask("GET", "/api/sessions?status=alive", by=house.operator)

    assert answer.status_code == 400
    assert answer.json()["error"] == f"status must be one of {', '.join(Status)}."


@pytest.mark.parametrize("limit", ["0", "501", "-1", "ten", "1e9", ""])
async def test_a_limit_out_of_range_is_named(house, limit):
    answer = await house.ask("GET", f"/api/sessions?limit={limit}", by=house.operator)

    assert answer.status_code == 400
    assert answer.json() == {
        "success": False,
        "error": "limit makes no sense here: /docs says what is asked for.",
        "code": "bad_request",
    }
