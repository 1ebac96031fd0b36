"""Members: known by a cookie that no script can read."""

import pytest
from site_of_pages import heard, until

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

SESSION, CLAIM = "/api/auth/session", "/api/auth/claim"


def asked(members):
    return [request.path for request in members.site.asked]


async def is_signed_in(page):
    return await page.evaluate("() => refresh.getState().refreshCount > 0 && refresh.getState().signedIn")


async def test_a_member_is_known_by_the_cookie_and_no_token_is_written_to_storage(members, visit):
    visitor = await visit(members.site)
    await members.admit(visitor)

    page = await visitor.open(query="")

    await until(lambda: is_signed_in(page), "signed in")
    assert (await heard(page))["tokens"] == [members.token()]
    assert members.token() not in await page.evaluate("() => JSON.stringify(localStorage)")
    assert asked(members) == [SESSION]


async def test_a_page_that_wants_no_token_gets_none(members, visit):
    visitor = await visit(members.site)
    await members.admit(visitor)

    page = await visitor.open(query="without=token")

    await until(lambda: page.evaluate("() => heard.refreshes"), "refreshed")
    assert (await heard(page))["tokens"] == []


async def test_on_the_day_of_the_change_the_old_cookie_is_claimed_once_and_nobody_signs_in_again(members, visit):
    visitor = await visit(members.site)
    await visitor.store(**{"user-email": "ana@example.com"})
    await members.let_claim(visitor)

    page = await visitor.open(query="")

    await until(lambda: is_signed_in(page), "signed in")
    assert asked(members) == [SESSION, CLAIM, SESSION]
    assert (await heard(page))["logouts"] == 0


async def test_a_visitor_whom_nobody_knows_is_asked_for_once_and_hears_nothing(members, visit):
    visitor = await visit(members.site)

    page = await visitor.open(query="")

    await until(lambda: members.site.count(CLAIM), "a claim")
    assert asked(members) == [SESSION, CLAIM]
    assert (await heard(page))["logouts"] == 0


async def test_a_cookie_that_is_gone_is_looked_for_once_more_and_then_every_tab_is_told(members, visit):
    visitor = await visit(members.site)
    await members.admit(visitor)
    tabs = [await visitor.open(query="") for _ in range(2)]
    for tab in tabs:
        await until(lambda tab=tab: tab.evaluate("() => refresh.getState().signedIn"), "signed in")
    await members.dismiss()
    members.site.asked.clear()

    await tabs[0].evaluate("() => refresh.refresh()")

    async def all_are_out():
        return [(await heard(tab))["logouts"] for tab in tabs] == [1, 1]

    await until(all_are_out, "each tab was told")
    assert asked(members) == [SESSION, SESSION, CLAIM]


async def test_an_ended_session_signs_its_member_out(members, visit):
    visitor = await visit(members.site)
    await visitor.store(**{"user-email": "ana@example.com"})
    await members.admit(visitor)
    await members.end()

    page = await visitor.open(query="")

    await until(lambda: page.evaluate("() => heard.logouts === 1"), "told")
    assert await visitor.stored(page, "user-email") is None
