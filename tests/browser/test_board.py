"""The page of all sessions in a real browser: live, honest, for the keyboard too, with every act of an operator."""

import pytest
from office import complaints, is_live, says
from site_of_pages import until

from aimkeeper.core.session import Status
from aimkeeper.simulator import Faults

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

PASSWORD = "correct horse"
DIM = {"color_scheme": "dark"}
PHONE = {"viewport": {"width": 360, "height": 740}}


async def status_of(office, session):
    return (await office.service.store.get(session.id)).status


async def emails(page):
    return await page.locator("#sessions th a").all_inner_texts()


# ---------------------------------------------------------------- what it shows


async def test_it_shows_how_the_fleet_stands_and_what_happens_as_it_happens(office):
    ana, _ = await office.keep("ana@example.com", "berta@example.com")
    page = await office.open()
    assert await page.locator("#living").inner_text() == "2"

    await office.keep("carlos@example.com")
    await page.locator("#sessions a", has_text="carlos@example.com").wait_for()
    await office.end(ana)
    await page.locator(f"tr[data-id='{ana.id}'] .status", has_text="Ended").wait_for()

    assert await page.locator("#living").inner_text() == "2"
    assert await page.locator("#ended-today").inner_text() == "1"
    await page.locator("#news li", has_text="AimHarder refused it from the start").wait_for()
    assert (await page.title()).startswith("2 kept alive")


async def test_an_empty_house_says_how_to_begin_and_no_chart_is_missing(office):
    page = await office.open()

    assert "Nobody is kept yet." in await page.locator("#none").inner_text()
    await page.locator("#charts svg").nth(3).wait_for()
    assert await page.locator("#charts .nothing").count() == 4


async def test_charts_can_be_read_as_tables(office):
    [session] = await office.keep("ana@example.com")
    await office.service.refresher.refresh(session, forced=True)
    page = await office.open()

    await page.locator("#exchanges summary").click()

    await page.locator("#exchanges tbody td").first.wait_for()
    told = await page.locator("#exchanges tbody td").all_inner_texts()
    # A young fleet: fifteen minutes are enough to show it.
    assert len(told) == 15 * 3
    assert "1" in told[::3]


async def test_what_somebody_typed_is_text_and_never_markup(office):
    await office.keep("<img/src=x/onerror=alert(1)>@example.com")

    page = await office.open()

    assert await emails(page) == ["<img/src=x/onerror=alert(1)>@example.com"]


# ---------------------------------------------------------------- when the connection is lost


async def test_a_lost_connection_is_said_with_the_time_of_what_is_shown_and_comes_back_by_itself(office):
    await office.keep("ana@example.com")
    page = await office.open()

    await page.context.set_offline(True)
    await page.wait_for_selector("#live[data-state=lost]")
    told = await page.locator("#live").inner_text()
    await office.keep("berta@example.com")
    await page.context.set_offline(False)
    await is_live(page)

    assert "aimkeeper does not answer. What you see is from" in told
    await page.locator("#sessions a", has_text="berta@example.com").wait_for()


async def test_without_a_stream_it_looks_by_itself_and_says_so(office):
    page = await (await office.browser()).new_page()
    await page.clock.install()
    await page.route("**/api/events?after=*", lambda route: route.fulfill(status=503, body="{}"))
    await page.goto(office.url)
    await page.locator("#none").wait_for()
    await page.clock.fast_forward(5000)
    await page.wait_for_selector("#live[data-state=polling]")

    await office.keep("ana@example.com")
    await page.clock.fast_forward(5000)

    await page.locator("#sessions a", has_text="ana@example.com").wait_for()


async def test_whoever_s_cookie_has_run_out_is_shown_the_way_in(office):
    page = await office.open()

    await page.context.clear_cookies()
    await page.locator("#q").fill("ana")

    await page.locator("label[for=key]").wait_for()


async def test_a_list_that_can_t_be_read_is_said_and_can_be_tried_again(office):
    await office.keep("ana@example.com")
    page = await (await office.browser()).new_page()
    await page.route(
        "**/api/sessions?*", lambda route: route.fulfill(status=503, json={"error": "not now.", "code": "x"})
    )
    await page.goto(office.url)
    await page.locator("#list-trouble", has_text="Not now.").wait_for()

    await page.unroute("**/api/sessions?*")
    await page.get_by_role("button", name="Try again").click()

    await page.locator("#sessions a", has_text="ana@example.com").wait_for()
    assert await page.locator("#list-trouble").is_hidden()


# ---------------------------------------------------------------- many


async def test_a_large_fleet_is_shown_a_page_at_a_time_and_searched_by_the_service(office):
    await office.keep(*(f"member{number:03}@example.com" for number in range(120)))
    found = [f"member11{number}@example.com" for number in range(10)]
    page = await office.open()
    assert len(await emails(page)) == 50

    await page.get_by_role("button", name="Later").click()
    await page.locator("#shown", has_text="51 to 100").wait_for()
    second = await emails(page)
    await page.locator("#q").fill("member11")
    await until(lambda: _is(page, found), "what was searched for")
    await page.reload()
    await until(lambda: _is(page, found), "the same again")

    assert second[0] == "member050@example.com"
    assert await page.locator("#q").input_value() == "member11"


async def test_a_state_and_those_that_would_die_first_can_be_chosen_and_the_way_back_leads_back(office):
    first, _, gone = await office.keep("zoe@example.com", "ana@example.com", "berta@example.com")
    await office.service.entry.log_out(gone)
    page = await office.open()

    await page.get_by_role("radio", name="Ended").check(force=True)
    await until(lambda: _is(page, ["berta@example.com"]), "the ended one")
    await page.get_by_role("radio", name="Would die first").check(force=True)
    await until(lambda: _is(page, [first.email, "ana@example.com"]), "the living ones")
    await page.go_back()

    await until(lambda: _is(page, ["berta@example.com"]), "the way back")


async def _is(page, wanted):
    return sorted(await emails(page)) == sorted(wanted)


# ---------------------------------------------------------------- by keyboard, for everybody


async def test_by_keyboard_alone_a_session_is_found_rotated_and_opened(office):
    ana, _ = await office.keep("ana@example.com", "berta@example.com")
    page = await office.open()

    await page.keyboard.press("/")
    await page.keyboard.type("ana")
    await until(lambda: _is(page, [ana.email]), "what was searched for")
    while await page.evaluate("() => document.activeElement.textContent") != "Rotate":
        await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await says(page, "ana@example.com has a new token.")
    # The table was read anew meanwhile: the focus is where it was.
    still = await page.evaluate("() => document.activeElement.textContent")
    await page.keyboard.press("Shift+Tab")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/sessions/{ana.id}")

    assert still == "Rotate"
    assert office.truth(ana).rotations == 1


@pytest.mark.parametrize("how", [{}, DIM, PHONE], ids=["light", "dark", "phone"])
async def test_axe_finds_nothing_wrong_with_it(office, how):
    sessions = await office.keep("ana@example.com", "berta@example.com", "carlos@example.com")
    await office.service.entry.log_out(sessions[0])
    page = await office.open(**how)
    await page.locator("#charts svg").nth(3).wait_for()

    found = await complaints(page)
    for opener, dialog in (("Add a session", "#add"), ("Pause", "#pause")):
        await page.get_by_role("button", name=opener).click()
        found += await complaints(page, dialog)
        await page.keyboard.press("Escape")

    assert found == []


@pytest.mark.parametrize("path", ["/", "/docs", "/sign-in/used-up", "/sessions/unknown"])
async def test_axe_finds_nothing_wrong_with_the_pages_around_it(office, path):
    page = await (await (office.stranger() if path != "/sessions/unknown" else office.browser())).new_page()
    await page.goto(office.url + path)
    await page.wait_for_load_state("networkidle") if path == "/docs" else None

    assert await complaints(page) == []


async def test_on_a_phone_nothing_is_wider_than_the_screen(office):
    await office.keep(f"{'a-very-long-name-' * 3}@a-very-long-domain.example.com")
    page = await office.open(**PHONE)
    await page.locator("#charts svg").nth(3).wait_for()

    assert await page.evaluate("() => document.documentElement.scrollWidth") == 360


# ---------------------------------------------------------------- what it does


async def test_a_login_adds_a_session_and_neither_password_nor_token_stays_in_the_page(office):
    office.sim.add_account("ana@example.com", PASSWORD)
    page = await office.open()

    await page.get_by_role("button", name="Add a session").click()
    await page.get_by_label("E-mail at AimHarder").fill("ana@example.com")
    await page.get_by_label("Password", exact=True).fill("wrong")
    await page.get_by_role("button", name="Log in", exact=True).click()
    refused = await page.locator("#by-login .trouble:not(:empty)").inner_text()
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Log in", exact=True).click()
    await says(page, "ana@example.com is logged in")

    [session] = await office.service.store.by_email("ana@example.com")
    told = await office.all_read()
    assert "refused" in refused or "password" in refused
    await until(lambda: _is(page, [session.email]), "it is listed")
    assert await page.locator("#login-password").input_value() == ""
    assert not any(secret in told for secret in (session.token.text, PASSWORD, *(c.value for c in session.jar.cookies)))


async def test_a_session_made_elsewhere_is_taken_over(office):
    grant = office.sim.open_session("ana@example.com", "f" * 50).record()
    page = await office.open()

    await page.get_by_role("button", name="Add a session").click()
    await page.get_by_role("radio", name="Take over").check(force=True)
    await page.get_by_label("E-mail", exact=True).fill("ana@example.com")
    await page.locator("#adopt-token").fill(grant["token"])
    await page.locator("#adopt-fingerprint").fill("f" * 50)
    await page.locator("#adopt-cookies").fill("; ".join(f"{one['name']}={one['value']}" for one in grant["cookies"]))
    await page.get_by_role("button", name="Take over").click()
    await says(page, "ana@example.com is taken over")

    [session] = await office.service.store.by_email("ana@example.com")
    assert session.token.text == grant["token"]
    assert {cookie.name for cookie in session.jar.cookies} == {one["name"] for one in grant["cookies"]}


async def test_a_pause_stops_everything_and_resume_lets_it_go_on(office):
    await office.keep("ana@example.com")
    page = await office.open()

    await page.get_by_role("button", name="Pause").click()
    await page.locator("#pausing button.danger").click()
    await page.locator("#warning-paused", has_text="nothing is rotated").wait_for()
    paused = await office.service.keeper.breaker.look(afresh=True)
    await page.get_by_role("button", name="Resume").click()
    await page.locator("#warning-paused").wait_for(state="detached")

    assert paused.paused_until is not None
    assert (await office.service.keeper.breaker.look(afresh=True)).paused_at is None


async def test_a_write_without_the_page_s_own_token_changes_nothing_and_says_so(office):
    [session] = await office.keep("ana@example.com")
    page = await office.open()
    await page.evaluate("() => document.querySelector('meta[name=csrf-token]').remove()")

    await page.get_by_role("button", name="Rotate ana@example.com now").click()
    await says(page, "X-CSRF-Token: reload it")

    assert office.truth(session).rotations == 0


async def test_held_verdicts_are_listed_and_decided(office):
    office.sim.faults = Faults(spurious_logout=1.0, whoami_empty=True)
    sessions = await office.keep(*(f"member{number:02}@example.com" for number in range(12)))
    await office.judged(sessions, Status.SUSPECTED)
    page = await office.open()
    await page.locator("#held-title").wait_for()
    await page.locator("#warning-held").wait_for()
    found = await complaints(page)

    await page.get_by_label("Choose member03@example.com").check()
    await page.get_by_role("button", name="Believe AimHarder on 1 chosen").click()
    await page.get_by_role("button", name="Believe it").click()
    await says(page, "1 decided")
    office.sim.faults = Faults()
    await page.get_by_role("button", name="Try them all again").click()
    await page.locator("#held").wait_for(state="hidden")

    assert found == []
    assert await status_of(office, sessions[3]) is Status.ENDED
    assert office.truth(sessions[4]).alive
