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


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("member", [0, 1, 2, 3, 4]),
        ("MEMBER1", [1]),
        (" member3@example.com ", [3]),
        ("ember", []),
        ("nobody", []),
        ("member%", []),
        ("'; --", []),
    ],
)
async def test_a_search_finds_e_mails_by_their_beginning(house, five, q, found):
    answer = await house.ask("GET", "/api/sessions", by=house.operator, params={"q": q})

    assert [session["email"] for session in answer.json()["sessions"]] == [five[number].email for number in found]


async def test_a_search_finds_one_by_its_id_ours_or_the_platform_s(house, five):
    given = house.sim.open_session("zoe@example.com", "e" * 50).record() | {"ref": "Member-17"}
    zoe = (await house.ask("POST", "/api/sessions", json=given, by=house.operator)).json()["session"]

    async def found(q, **more):
        answer = await house.ask("GET", "/api/sessions", by=house.operator, params={"q": q, **more})
        return [session["email"] for session in answer.json()["sessions"]]

    assert await found(five[2].id.upper()) == [five[2].email]
    assert await found("Member-17") == [zoe["email"]]
    assert await found("Member-17", status="ended") == []
    assert await found("member-17") == []


async def test_pages_of_a_search_follow_one_another_by_status_too(house, five):
    await house.service.entry.log_out(five[1])
    seen, after = [], ""
    while after is not None:
        params = {"q": "member", "status": "active", "limit": 2, "after": after}
        page = (await house.ask("GET", "/api/sessions", by=house.operator, params=params)).json()
        seen += [session["email"] for session in page["sessions"]]
        after = page["next"]

    assert seen == [five[number].email for number in (0, 2, 3, 4)]


async def test_one_session_is_described_as_in_the_list(house, five):
    one = (await house.ask("GET", f"/api/sessions/{five[3].id}", by=house.operator)).json()["session"]

    assert one == (await listed(house))["sessions"][3]


@pytest.mark.parametrize("name", ["nobody", "member3@example.com", "0" * 36, "a" * 500, "%00", "..", "%F0%9F%92%A9"])
@pytest.mark.parametrize("below", ["", "/rotations", "/credentials"])
async def test_a_session_is_found_by_no_other_name(house, five, name, below):
    answer = await house.ask("GET", f"/api/sessions/{name}{below}", by=house.operator)

    assert answer.status_code == 404
    assert answer.json()["code"] in ("unknown_session", "not_found")


async def test_what_a_session_went_through_is_told_in_pages(house):
    session = await house.log_in()
    for _ in range(5):
        await house.ask("GET", f"/api/sessions/{session.id}/credentials", by=house.operator)

    path, seen = f"/api/sessions/{session.id}/rotations", []
    page = (await house.ask("GET", f"{path}?limit=2", by=house.operator)).json()
    turns = page["rotations"]
    while True:
        seen += [fact["kind"] for fact in page["events"]]
        if page["next"] is None:
            break
        page = (await house.ask("GET", f"{path}?limit=2&before={page['next']}", by=house.operator)).json()

    assert [turn["via"] for turn in turns] == ["login", "setrefresh"]
    assert seen == ["credentials_read"] * 5 + ["logged_in"]


@pytest.mark.parametrize("before", ["x", "-1", "1e3", "9" * 30])
async def test_a_place_that_is_none_is_told_so(house, five, before):
    answer = await house.ask("GET", f"/api/sessions/{five[0].id}/rotations?before={before}", by=house.operator)

    assert answer.status_code == 400
