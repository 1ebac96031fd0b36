"""What every store must show: how sessions end, are wiped, forgotten and brought back."""

from dataclasses import replace
from datetime import timedelta

import pytest

from aimkeeper.core.change import SecretsEdit, touch
from aimkeeper.core.events import Event, EventKind
from aimkeeper.core.relogin import LoginBook
from aimkeeper.core.session import Cause, Handout, Status
from aimkeeper.store.commits import Fate

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
async def session(house, store):
    [kept] = await house.fleet(store, 1)
    return kept


@pytest.fixture
async def ended(house, store, worker, session):
    """Ended by the upstream's word."""
    [result] = await store.commit([house.verdict(await store.claim_one(worker, session.id))])
    return result.session


async def end(store, session, wipe_after=HOUR):
    return await store.end(session.id, Cause.LOGGED_OUT_HERE, store.now() + wipe_after)


async def test_a_verdict_keeps_the_secrets_for_second_thoughts(house, store, session, ended):
    kept = await store.get(session.id)

    assert kept == ended
    assert (kept.status, kept.cause, kept.due_at) == (Status.ENDED, Cause.SERVER_ENDED, None)
    assert (kept.secrets, kept.generation) == (session.secrets, 1)


async def test_an_owners_end_takes_the_secrets_at_once_and_keeps_what_was_handed_out(house, store, session):
    handed = Handout(b"h" * 32, 1.0)
    await store.commit([touch(session, SecretsEdit(handouts=(handed,), password="a password"))])

    kept = await end(store, session)

    last = Handout(session.token.digest(), store.now().timestamp())
    assert kept == await store.get(session.id)
    assert (kept.status, kept.cause, kept.ended_at, kept.due_at) == (
        Status.ENDED,
        Cause.LOGGED_OUT_HERE,
        store.now(),
        None,
    )
    assert (kept.secrets.token, kept.secrets.password, kept.jar.cookies) == (None, None, ())
    assert kept.secrets.handouts == (handed, last)
    assert kept.wipe_at == store.now() + HOUR
    assert house.kinds(session) == ["adopted", "ended"]


async def test_an_owners_end_takes_the_spares_along(house, store, session):
    await house.keep(store, house.session(1), replacing=True)

    kept = await end(store, session)

    assert (kept.spares, house.spares(session)) == (0, 0)


async def test_an_owners_end_of_what_had_ended_already_is_final_too_and_each_cause_is_told_once(
    house, store, session, ended
):
    kept = await end(store, session)
    await end(store, session)

    assert (kept.cause, kept.secrets.token) == (Cause.LOGGED_OUT_HERE, None)
    told = [(kind, data.get("cause")) for kind, data in house.facts(session)]
    assert told == [("adopted", None), ("ended", "server_ended"), ("ended", "logged_out_here")]


async def test_a_session_whose_secrets_do_not_open_can_be_ended_and_forgotten(house, store, session):
    [_, other] = await house.keep(store, house.session(2), house.session(3))
    house.tell("UPDATE auth_sessions SET sealed = x'00'")

    assert (await end(store, session)).status is Status.ENDED
    assert await store.forget(other.id)


async def test_what_is_not_there_can_not_be_ended_forgotten_or_revived(store):
    assert await store.end("nobody's", Cause.LOGGED_OUT_HERE, store.now()) is None
    assert await store.forget("nobody's") is False
    assert await store.revive("nobody's") is None


async def test_forgetting_erases_row_spares_events_and_the_memory_of_logins(house, store, worker, session):
    await house.keep(store, house.session(1), replacing=True)
    await store.logins.begin(session.email, worker)

    assert await store.forget(session.id)

    assert await store.get(session.id) is None
    for table in ("auth_sessions", "spares", "events", "logins"):
        assert house.ask(f"SELECT * FROM {table}") == []


# PostgreSQL leaves deleted rows where they are until it sweeps; and its log is not ours to sweep.
@pytest.mark.parametrize("backend", ["sqlite in threads", "sqlite inline"], indirect=True)
async def test_what_is_forgotten_is_not_left_between_the_lines_either(house, store, session):
    assert session.email.encode() in house.on_disk()

    await store.forget(session.id)
    await store.close()

    assert session.email.encode() not in house.on_disk()


async def test_forgetting_one_of_an_accounts_sessions_leaves_the_others_and_the_memory_of_logins(house, store, worker):
    one, other = await house.keep(
        store, house.session(1, email="a@b.c"), house.session(2, email="a@b.c", fingerprint="e" * 50)
    )
    await store.logins.begin("a@b.c", worker)

    await store.forget(one.id)

    assert await store.get(other.id) == other
    assert house.kinds(other) == ["adopted"]
    assert house.ask("SELECT email FROM logins") == [("a@b.c",)]


async def test_an_end_by_the_upstreams_word_can_be_undone_by_hand(house, store, worker, session, ended):
    house.clock.advance(60)

    revived = await store.revive(session.id)

    assert revived == await store.get(session.id)
    assert (revived.status, revived.cause, revived.ended_at, revived.wipe_at) == (Status.IN_DOUBT, None, None, None)
    assert (revived.token, revived.due_at) == (session.token, store.now())
    assert house.facts(session)[-1] == ("revived", {"generation": 1, "by": "hand"})
    [taken] = await store.claim_due(worker, 5, until=store.now())
    assert taken.session.id == session.id


@pytest.mark.parametrize("how", ["it lives", "its owner ended it", "it was wiped"])
async def test_there_is_nothing_to_revive_when(house, store, worker, session, how):
    if how == "its owner ended it":
        await end(store, session)
    elif how == "it was wiped":
        await store.commit([house.verdict(await store.claim_one(worker, session.id))])
        house.clock.advance(86400)
        await store.wipe(keep_rows=True)
    before = await store.get(session.id)

    assert await store.revive(session.id) is None

    assert await store.get(session.id) == before
    assert "revived" not in house.kinds(session)


async def test_nothing_is_wiped_before_its_time(house, store, session, ended):
    house.clock.advance(86400 - 1)

    assert await store.wipe(keep_rows=False) == []
    assert (await store.get(session.id)).secrets.token is not None


async def test_after_its_time_the_row_goes_and_the_events_stay(house, store, session, ended):
    house.clock.advance(86400)

    [told] = await store.wipe(keep_rows=False)

    assert await store.get(session.id) is None
    assert (told.kind, told.session_id, told.email) == (EventKind.WIPED, session.id, session.email)
    assert dict(told.data) == {"generation": 1, "row_kept": False}
    assert house.kinds(session) == ["adopted", "ended", "wiped"]


async def test_a_row_that_is_kept_opens_no_door_any_more(house, store, worker, session):
    await house.keep(store, house.session(1), replacing=True)
    await store.commit([house.verdict(await store.claim_one(worker, session.id))])
    house.clock.advance(86400)

    [told] = await store.wipe(keep_rows=True)

    kept = await store.get(session.id)
    assert told.data["row_kept"] is True
    assert (kept.status, kept.cause, kept.wipe_at, kept.spares) == (Status.ENDED, Cause.SERVER_ENDED, None, 0)
    assert (kept.secrets.token, kept.jar.cookies, kept.secrets.handouts) == (None, (), ())
    assert await store.by_account(session.token, session.fingerprint) == []
    assert await store.wipe(keep_rows=True) == []


async def test_so_many_are_wiped_at_a_time_the_longest_ended_first(house, store, worker):
    kept = await house.fleet(store, 3)
    for each in reversed(kept):
        await store.commit([house.verdict(await store.claim_one(worker, each.id))])
        house.clock.advance(1)
    house.clock.advance(86400)

    first, second = await store.wipe(keep_rows=False, limit=2), await store.wipe(keep_rows=False, limit=2)

    assert [told.session_id for told in first] == [kept[2].id, kept[1].id]
    assert [told.session_id for told in second] == [kept[0].id]


async def test_a_session_that_lives_again_is_not_wiped(house, store, session, ended):
    await store.revive(session.id)
    house.clock.advance(7 * 86400)

    assert await store.wipe(keep_rows=False) == []


async def test_pruning_drops_what_is_older_than_asked_and_nothing_else(house, store, worker, session):
    await store.commit([house.rotation(await store.claim_one(worker, session.id))])
    await store.sign_ins.issue("old", store.now() + SECOND)
    house.clock.advance(86400)
    await store.commit([house.doubt(await store.claim_one(worker, session.id))])
    await store.sign_ins.issue("new", store.now() + SECOND)

    await store.prune(before=store.now() - HOUR)

    assert house.kinds(session) == ["in_doubt"]
    assert await store.tallies(store.now() - timedelta(days=2)) == {"timed_out": 1}
    assert house.ask("SELECT hash FROM sign_ins") == [("new",)]
    assert (await store.get(session.id)).generation == 2


async def test_events_come_the_latest_first_and_page_by_page(house, store, session):
    for number in range(5):
        await store.record(replace(house.fact(session, EventKind.CREDENTIALS_READ), data={"number": number}))

    latest = await store.events_of(session.id, limit=2)
    earlier = await store.events_of(session.id, before=latest[-1].id)

    assert [told.data["number"] for told in latest] == [4, 3]
    assert [told.data.get("number") for told in earlier] == [2, 1, 0, None]
    assert [told.at for told in latest] == [store.now()] * 2
    assert await store.events_of("nobody's") == []


async def test_an_event_about_the_whole_fleet_names_no_session(store):
    await store.record(Event(kind=EventKind.CREDENTIALS_READ, at=store.now(), data={"by": "nobody", "n": [1, None]}))

    assert await store.ends_since(store.now() - HOUR) == []


async def test_what_ended_lately_is_told_the_latest_first(house, store, worker):
    kept = await house.fleet(store, 4)
    for each in kept:
        house.clock.advance(60)
        await store.commit([house.verdict(await store.claim_one(worker, each.id))])
    since = store.now() - 2 * MINUTE

    told = await store.ends_since(since, limit=2)
    everything = await store.ends_since(since)

    assert [fact.session_id for fact in told] == [kept[3].id, kept[2].id]
    assert [fact.session_id for fact in everything] == [kept[3].id, kept[2].id, kept[1].id]
    assert {fact.kind for fact in everything} == {EventKind.ENDED}


async def test_a_rotation_after_the_row_is_gone_finds_nothing(house, store, worker, session):
    claim = await store.claim_one(worker, session.id)
    await end(store, session)
    house.clock.advance(3600)
    await store.wipe(keep_rows=False)

    [result] = await store.commit([house.rotation(claim)])

    assert (result.fate, house.kinds(session)) == (Fate.GONE, ["adopted", "ended", "wiped"])


async def test_a_row_that_stays_after_its_wipe_goes_when_its_history_does(house, store, worker):
    ended, wiped_late, living = await house.fleet(store, 3)
    await end(store, ended)
    house.clock.advance(3601)
    await store.wipe(keep_rows=True)
    await store.commit([house.verdict(await store.claim_one(worker, wiped_late.id))])
    house.clock.advance(3600)

    await store.prune(before=store.now() - 3 * HOUR)
    kept = {session.id for session in await house.everyone(store)}
    await store.prune(before=store.now())

    assert kept == {ended.id, wiped_late.id, living.id}
    # Its secrets are there yet: second thoughts come before tidiness.
    assert {session.id for session in await house.everyone(store)} == {wiped_late.id, living.id}


@pytest.mark.parametrize("keep_rows", [False, True], ids=["at once", "when its history does"])
async def test_what_is_known_of_an_accounts_logins_goes_with_its_last_row(house, store, worker, keep_rows):
    [session] = await house.fleet(store, 1)
    await store.logins.begin(session.email, worker)
    await store.logins.finish(session.email, worker, LoginBook())
    await end(store, session)
    house.clock.advance(3601)

    await store.wipe(keep_rows=keep_rows)
    await store.prune(before=store.now())

    assert house.ask("SELECT email FROM logins") == []
