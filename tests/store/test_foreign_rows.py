"""What becomes of single rows of a table that an app made: protected ones, odd ones, old copies, members who log in."""

import dataclasses
import itertools
from datetime import UTC, datetime, timedelta

import pytest

from aimkeeper.core.change import SecretsEdit, touch
from aimkeeper.core.errors import AlreadyKept, ConfigError
from aimkeeper.core.events import EventKind
from aimkeeper.core.session import Cause, Secrets, Status
from aimkeeper.core.token import Fingerprint, Token
from aimkeeper.store.seal import new_key
from tests.store.app_table import ENV_FINGERPRINT, FIRST, NAIVE, ONE_EACH, SEVERAL, cookies, email, token


async def shared(house, count=3):
    """The house, shared with the app: an open store, its worker, the app at its own connection."""
    house.fill(count)
    await house.share()
    store = await house.open()
    house.clock.advance(60)
    return store, await store.owners.enrol("a worker", "worker"), await house.app()


async def of(store, account):
    [session] = await store.by_email(email(account).lower())
    return session


async def rotate(house, store, worker, account):
    """One rotation of that account's session, committed; its fresh token."""
    session = await of(store, account)
    change = house.rotation(await store.claim_one(worker, session.id))
    [result] = await store.commit([change])
    assert result.holds
    return change.after.token.text


# ------------------------------------------------------------ what the app writes


async def test_a_login_of_the_app_s_makes_the_session_as_new_and_is_not_rotated_for_most_of_an_interval(app_house):
    house = app_house(FIRST)
    store, worker, app = await shared(house)
    claim = await store.claim_one(worker, (await of(store, 1)).id)
    await store.commit([house.verdict(claim)])

    await app.log_in(1, 7)

    session = await of(store, 1)
    began = datetime.now(UTC)
    assert (session.status, session.cause, session.generation, session.attempt) == (Status.ACTIVE, None, 2, 0)
    assert session.token.text == token(1, 7)
    assert {cookie.name: cookie.value for cookie in session.jar.cookies}["AWSALB"] == "AWSALB-1-7"
    assert timedelta(minutes=11) < session.due_at - began < timedelta(minutes=15, seconds=1)
    assert timedelta(minutes=89) < session.deadline_at - began < timedelta(minutes=91)
    assert house.facts(session)[-1] == ("foreign_write", {"old": False, "token": Token(token(1, 7)).mark()})
    assert dict(
        house.ask("SELECT status, sum(count)::int FROM status_counts GROUP BY status HAVING sum(count) > 0")
    ) == {"active": 3}


async def test_the_token_that_a_login_of_the_app_s_replaces_is_put_aside_and_can_be_opened_under_a_new_key(app_house):
    house = app_house(FIRST)
    store, worker, app = await shared(house)
    before = await rotate(house, store, worker, 1)

    await app.log_in(1, 7)
    await app.log_in(1, 8)

    session = await of(store, 1)
    assert (session.spares, house.spares(session)) == (1, 1)
    assert (await store.spare(session.id))[1].text == before
    old, new = house.secret_keys, new_key()
    house.given(store, f"{new},{old}")
    await store.rekeying(None).run()
    house.given(store, new)
    assert bytes(house.ask("SELECT sealed FROM spares")[0][0])[1:5].hex() == store.keys.sealer.key_ids[0]
    assert (await store.spare(session.id))[1].text == before


async def test_an_old_copy_of_a_token_that_the_app_writes_back_is_undone_and_told(app_house):
    house = app_house(FIRST)
    store, worker, app = await shared(house)
    first = await rotate(house, store, worker, 1)
    second = await rotate(house, store, worker, 1)
    before = await of(store, 1)

    for old in (token(1), first):
        await app.write_token(1, old)

    assert (await app.read(1))["token"] == second
    assert await of(store, 1) == before
    told = [data["old"] for kind, data in house.facts(before) if kind == "foreign_write"]
    assert told == [True, True]


async def test_of_the_tokens_that_are_spent_the_last_eight_are_known(app_house):
    house = app_house(FIRST)
    store, worker, app = await shared(house)
    spent = [token(1), *[await rotate(house, store, worker, 1) for _ in range(10)]]

    await app.write_token(1, spent[2])
    undone = (await app.read(1))["token"]
    await app.write_token(1, spent[1])

    assert undone == spent[10]
    assert (await app.read(1))["token"] == spent[1]


async def test_cookies_that_the_app_writes_are_merged_into_what_is_about_to_be_committed(app_house):
    house = app_house(FIRST)
    store, worker, app = await shared(house)
    change = house.rotation(await store.claim_one(worker, (await of(store, 1)).id))

    await app.write_cookies(1, 5)
    [result] = await store.commit([change])

    assert result.holds
    assert await app.read(1) == {
        "token": change.after.token.text,
        "cookies": {cookie["name"]: cookie["value"] for cookie in cookies(1, 5)},
    }


async def test_a_new_member_of_the_app_s_is_kept_from_his_login_on(app_house):
    house = app_house(FIRST)
    store, _, app = await shared(house)

    await app.log_in(4, 0)

    session = await of(store, 4)
    assert (session.token.text, session.fingerprint) == (token(4, 0), ENV_FINGERPRINT)
    assert session.due_at > datetime.now(UTC) + timedelta(minutes=11)
    assert house.facts(session) == [("adopted", {"by": "another program", "token": Token(token(4, 0)).mark()})]


async def test_a_new_row_without_a_fingerprint_is_left_alone_while_none_is_set(app_house):
    house = app_house(ONE_EACH)
    house.rules = dataclasses.replace(house.rules, fingerprint=None)
    house.database.script(house.shape.ddl)
    await house.share()
    store, app = await house.open(), await house.app()

    await app.log_in(1, 0)
    left_alone = await of(store, 1)
    await store.go_by(dataclasses.replace(house.rules, fingerprint="f" * 50))
    await app.log_in(2, 0)
    await store.go_by(house.rules)
    await app.log_in(3, 0)

    assert (left_alone.fingerprint, left_alone.due_at) == ("", None)
    assert {(await of(store, account)).fingerprint for account in (2, 3)} == {"f" * 50}


async def test_a_row_that_the_app_deletes_is_gone_and_that_is_told(app_house):
    house = app_house(FIRST)
    store, worker, app = await shared(house)
    session = await of(store, 1)
    held = await store.claim_one(worker, session.id)

    await app.delete(1)
    [result] = await store.commit([house.rotation(held)])

    assert (result.fate.value, await store.get(session.id)) == ("gone", None)
    assert house.facts(session) == [("ended", {"cause": "forgotten", "by": "another program"})]
    assert dict(house.ask("SELECT status, sum(count)::int FROM status_counts GROUP BY status")) == {"active": 2}


async def test_what_is_forgotten_here_leaves_no_trace_of_that(app_house):
    house = app_house(FIRST)
    store, _, _ = await shared(house)
    session = await of(store, 1)

    assert await store.forget(session.id)

    assert house.facts(session) == []


# ------------------------------------------------------------ what we write


async def test_claims_and_spares_leave_updated_at_alone_and_what_the_app_can_see_stamps_it(app_house):
    house = app_house(NAIVE)
    store, worker, _ = await shared(house)
    session = await of(store, 1)

    def stamp():
        return house.ask("SELECT updated_at FROM auth_sessions WHERE id = ?::text::uuid", session.id)[0][0]

    before = stamp()
    claim = await store.claim_one(worker, session.id)
    await store.free(claim)
    claim = await store.claim_one(worker, session.id)
    await store.commit([touch(claim.session, SecretsEdit(password="a word"))])
    late = dataclasses.replace(claim, claim_id="another's", session=claim.session)
    assert stamp() == before
    await store.commit([house.rotation(late)])
    rotated = stamp()
    await store.commit([house.rotation(claim)])

    assert rotated > before
    assert (stamp(), (await of(store, 1)).spares) == (rotated, 1)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Madrid"])
async def test_instants_without_a_zone_are_in_utc_whatever_zone_the_server_speaks(app_house, trips, zone):
    house = app_house(NAIVE)
    house.database.script(f"ALTER DATABASE {house.database.name} SET TimeZone = '{zone}'")
    house.fill(1)
    await house.share()
    store = await house.open()
    worker = await store.owners.enrol("a worker", "worker")
    read = await of(store, 1)

    await rotate(house, store, worker, 1)

    ago = house.clock.now() - timedelta(minutes=10)
    assert abs(read.rotated_at - ago) < timedelta(minutes=1)
    assert abs(read.deadline_at - ago - timedelta(minutes=90)) < timedelta(minutes=1)
    for _ in range(2):  # the second time, by the quick way
        [(written,)] = house.ask("SELECT to_char(last_token_update_date, 'YYYY-MM-DD HH24:MI') FROM auth_sessions")
        assert written == f"{house.clock.now():%Y-%m-%d %H:%M}"
        house.clock.advance(300)
        trips.clear()
        await rotate(house, store, worker, 1)
    assert "commit_routine" in trips
    assert "commit_rotation" not in trips


async def test_a_cookie_keeps_its_host_and_the_app_sees_one_of_each_name(app_house):
    house = app_house(FIRST)
    store, worker, app = await shared(house)
    session = await of(store, 1)
    before = {cookie.name: (cookie.host, cookie.host_only) for cookie in session.jar.cookies}
    claim = await store.claim_one(worker, session.id)
    delta = house.cookies(("PHPSESSID", "of-the-box", "mybox.aimharder.com"), ("AWSALB", "newer", "aimharder.com"))

    await store.commit([house.rotation(claim, cookies=delta)])

    seen = (await app.read(1))["cookies"]
    assert before["amhrdrauth"] == ("aimharder.com", False)
    assert before["PHPSESSID"] == ("aimharder.com", True)
    assert seen == {**{cookie["name"]: cookie["value"] for cookie in cookies(1)}, "AWSALB": "newer"}
    kept = {(cookie.name, cookie.host): cookie.value for cookie in (await of(store, 1)).jar.cookies}
    assert kept["PHPSESSID", "mybox.aimharder.com"] == "of-the-box"
    assert kept["PHPSESSID", "aimharder.com"] == "PHPSESSID-1-0"


async def test_whoever_read_the_token_from_the_table_is_known_by_it_after_the_next_rotation(app_house):
    house = app_house(FIRST)
    store, worker, _ = await shared(house)

    second = await rotate(house, store, worker, 1)
    await rotate(house, store, worker, 1)

    known = {handout.digest for handout in (await of(store, 1)).secrets.handouts}
    assert {Token(token(1)).digest(), Token(second).digest()} <= known


async def test_an_end_by_its_owner_empties_the_app_s_columns_too(app_house):
    house = app_house(FIRST)
    store, _, app = await shared(house)

    await store.end((await of(store, 1)).id, Cause.LOGGED_OUT_HERE, store.now())

    assert await app.read(1) == {"token": "", "cookies": {}}
    await app.log_in(1, 3)
    assert ((await of(store, 1)).status, house.spares(await of(store, 1))) == (Status.ACTIVE, 0)


@pytest.mark.parametrize("keep_rows", [True, False], ids=["expire", "delete"])
async def test_a_protected_row_is_never_deleted(app_house, keep_rows):
    house = app_house(SEVERAL)
    store, _, _ = await shared(house, 5)
    everyone = await house.everyone(store)
    [protected] = [session for session in everyone if session.session_type == "background"]
    for session in everyone:
        await store.end(session.id, Cause.LOGGED_OUT_HERE, store.now())

    await store.wipe(keep_rows=keep_rows)
    told = [data["row_kept"] for kind, data in house.facts(protected) if kind == "wiped"]
    house.clock.advance(40 * 86400)
    await store.prune(before=house.clock.now() - timedelta(days=30))
    with pytest.raises(ConfigError, match="protects this session"):
        await store.forget(protected.id)

    left = await house.everyone(store)
    assert len(left) == 1
    [still] = [session for session in left if session.id == protected.id]
    assert (still.status, still.secrets.token, told) == (Status.ENDED, None, [True])


# ------------------------------------------------------------ who logs in here


async def test_where_there_is_room_for_one_a_login_on_another_device_takes_its_place(app_house):
    house = app_house(FIRST)
    store, _, app = await shared(house)
    there = await of(store, 1)
    fresh = Secrets(Token(token(1, 9)), there.jar)
    other = dataclasses.replace(
        there, id="f" * 8 + there.id[8:], email=email(1), fingerprint=Fingerprint("b" * 50), secrets=fresh
    )

    with pytest.raises(AlreadyKept):
        await store.put(other, house.fact(other), replacing=False)
    stored = await store.put(other, house.fact(other, EventKind.LOGGED_IN), replacing=True)

    assert (stored.id, stored.fingerprint, stored.generation, stored.spares) == (there.id, "b" * 50, 2, 0)
    assert (await app.read(1))["token"] == token(1, 9)


async def test_where_there_is_room_for_several_each_device_has_its_own_and_a_word_that_the_app_knows(app_house):
    house = app_house(SEVERAL)
    store, _, _ = await shared(house)
    other = dataclasses.replace(house.session(1), fingerprint=Fingerprint("b" * 50))

    stored = await store.put(other, house.fact(other), replacing=False)

    assert len(await store.by_email(email(1))) == 2
    assert (await store.get(stored.id)).session_type == "device"


async def test_a_member_is_found_however_he_typed_his_address(app_house):
    house = app_house(FIRST)
    store, _, _ = await shared(house, 10)
    typed = email(10)
    again = dataclasses.replace(house.session(10), email=typed.lower(), fingerprint=ENV_FINGERPRINT)

    stored = await store.put(again, house.fact(again), replacing=True)

    assert typed != typed.lower()
    assert (stored.email, len(await store.by_email(typed.lower()))) == (typed, 1)
    assert (await store.by_pair(again.key)).id == stored.id


# ------------------------------------------------------------ when they come due


async def test_the_living_are_spread_over_the_next_minutes_and_the_stale_come_after_them_slowly(app_house):
    house = app_house(FIRST)
    house.fill(400)
    await house.share()
    store = await house.open()
    now = house.clock.now()

    everyone = await house.everyone(store)
    living = [session for session in everyone if session.deadline_at > now]
    stale = [session for session in everyone if session.deadline_at <= now]
    await store.fleet.retriage(latest=now + timedelta(hours=1), latest_unfailed=now + timedelta(minutes=15))

    spread = timedelta(seconds=300 / 20)
    assert (len(living), len(stale)) == (300, 100)
    assert all(now <= session.due_at <= now + spread for session in living)
    assert max(session.due_at for session in living) > now + spread / 2
    assert all(session.due_at > now + spread for session in stale)
    assert max(session.due_at for session in stale) > now + timedelta(seconds=500)
    assert {session.id: session.due_at for session in await house.everyone(store)} == {
        session.id: session.due_at for session in everyone
    }


async def test_what_can_t_be_sent_is_not_sent_and_what_can_be_is(app_house):
    house = app_house(FIRST)
    house.database.script(house.shape.ddl)
    odd = itertools.count(1)
    for text, jar in [("", "[]"), ("two words", "[]"), ("a|b", '{"not": "a list"}'), ("c|d", '[1, {"name": "x y"}]')]:
        house.ask(
            "INSERT INTO auth_sessions (user_email, aimharder_token, aimharder_cookies) VALUES (?, ?, ?::text::jsonb)",
            email(next(odd)),
            text,
            jar,
        )
    await house.share()
    store = await house.open()
    worker = await store.owners.enrol("a worker", "worker")
    house.clock.advance(120)

    claims = await store.claim_due(worker, 10, until=store.now())

    assert sorted(claim.session.token.text for claim in claims) == ["a|b", "c|d"]
    assert [claim.session.jar.cookies for claim in claims] == [(), ()]
    assert house.ask(
        "SELECT aimharder_token, last_token_update_error FROM auth_sessions WHERE due_at > now() + '3 min'"
    ) == [("two words", "unreadable_secrets")]
