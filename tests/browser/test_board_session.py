"""The page of one session: its story in plain words, and what can be done about it."""

import pytest
from office import complaints, says
from site_of_pages import until

from aimkeeper.core.events import EventKind
from aimkeeper.core.session import Status

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

PASSWORD = "correct horse"


def path(session):
    return f"/sessions/{session.id}"


async def timeline(page):
    return await page.locator("#timeline .what").all_inner_texts()


async def test_a_session_that_is_kept_says_so_and_tells_of_each_rotation_as_it_comes(office):
    [session] = await office.keep("ana@example.com")
    page = await office.open(path(session))
    standing = await page.locator("#standing").inner_text()

    await page.get_by_role("button", name="Rotate now").click()
    await says(page, "It has a new token.")
    await page.locator("#timeline li", has_text="Rotation: a new token").wait_for()

    assert standing.startswith("The next rotation comes ")
    assert await page.locator("#to-do").is_hidden()
    assert office.truth(session).rotations == 1
    assert "Taken over" in await timeline(page)
    assert await complaints(page) == []


async def test_a_dead_session_says_of_what_it_died_and_what_to_do_and_can_be_revived(office):
    [session] = await office.keep("ana@example.com")
    rotated = await office.service.refresher.refresh(session, forced=True)
    await office.end(rotated)
    page = await office.open(path(session))

    story = await page.locator("#story").inner_text()
    told = await timeline(page)
    found = await complaints(page)
    office.sim.revive(session.email, session.fingerprint)
    await page.get_by_role("button", name="Revive").click()
    await says(page, "It is brought back")
    await page.locator("#state", has_text="In doubt").wait_for()

    assert "AimHarder ended it (a login elsewhere, a changed password or its own reasons)" in story
    assert f"aimkeeper login ana@example.com --fingerprint {session.fingerprint}" in story
    assert "revive it: that can be done for another 2" in story
    assert any(line.startswith("Ended") and "a logout" in line for line in told)
    assert found == []


async def test_an_end_is_asked_for_twice_and_is_final(office):
    [session] = await office.keep("ana@example.com")
    page = await office.open(path(session))

    await page.get_by_role("button", name="End it").click()
    found = await complaints(page, "#ask")
    await page.keyboard.press("Escape")
    before = (await office.service.store.get(session.id)).status
    await page.get_by_role("button", name="End it").click()
    await page.locator("#ask").get_by_role("button", name="End it").click()
    await page.locator("#standing", has_text="it was logged out here").wait_for()

    assert (before, (await office.service.store.get(session.id)).status) == (Status.ACTIVE, Status.ENDED)
    assert await page.get_by_role("button", name="Revive").is_hidden()
    assert office.truth(session).alive, "AimHarder was told"
    assert found == []


async def test_a_check_asks_aimharder_and_spends_nothing(office):
    [session] = await office.keep("ana@example.com")
    page = await office.open(path(session))

    await page.get_by_role("button", name="Check at AimHarder").click()
    await says(page, "it is alive")
    office.sim.kill(session.email, session.fingerprint)
    await page.get_by_role("button", name="Check at AimHarder").click()
    await says(page, "its cookies are dead")

    assert office.truth(session).rotations == 0


async def test_who_logs_in_again_is_the_same_session_on_the_same_device(office):
    office.sim.add_account("ana@example.com", PASSWORD)
    [session] = await office.keep("ana@example.com")
    await office.end(session)
    page = await office.open(path(session))

    await page.get_by_role("button", name="Log in again").click()
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.keyboard.press("Enter")
    await says(page, "ana@example.com is logged in")
    await page.locator("#state", has_text="Kept alive").wait_for()

    again = await office.service.store.get(session.id)
    assert (again.fingerprint, again.status) == (session.fingerprint, Status.ACTIVE)
    told = await office.all_read()
    assert again.token.text not in told
    assert session.token.text not in told


async def test_a_session_nobody_has_is_said_to_be_gone_and_one_that_is_wiped_meanwhile_too(office):
    [session] = await office.keep("ana@example.com")
    page = await office.open(path(session))

    await office.service.entry.forget(session)

    await page.locator("#gone", has_text="wiped or forgotten").wait_for()
    assert await page.locator("#session").is_hidden()


async def test_older_events_are_brought_page_by_page(office):
    [session] = await office.keep("ana@example.com")
    for number in range(60):
        await office.service.audit.record(EventKind.OPERATOR_ACTED, session, act=f"act {number}", by="key")
    page = await office.open(path(session))
    before = len(await timeline(page))

    await page.get_by_role("button", name="Older").click()
    await until(lambda: _has(page, "act 0, by key"), "the oldest")

    assert before == 50 + 1  # and one exchange
    assert await page.get_by_role("button", name="Older").is_hidden()


async def _has(page, text):
    return any(text in line for line in await timeline(page))
