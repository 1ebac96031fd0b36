"""What every store must show: how sessions are found, listed and counted."""

from dataclasses import fields, replace
from datetime import datetime, timedelta

import pytest

from aimkeeper.core.cookies import Cookie, Jar
from aimkeeper.core.errors import KeyProblem
from aimkeeper.core.outcome import Life
from aimkeeper.core.session import Cause, Handout, Ring, Secrets, SessionKey, Status, Suspicion, Turn
from aimkeeper.core.token import Fingerprint
from aimkeeper.core.verdict import conclude

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


async def test_a_session_is_found_by_id_pair_email_ref_and_the_account_in_its_token(house, store):
    first, second = await house.keep(
        store,
        house.session(1, ref="user-7"),
        house.session(2, email="member00001@example.com", fingerprint=Fingerprint("a" * 50)),
    )

    assert await store.get(first.id) == first
    assert await store.by_pair(first.key) == first
    assert await store.by_email(first.email) == [second, first]
    assert await store.by_email(first.email, limit=1) == [second]
    assert await store.by_ref("user-7") == [first]
    assert await store.by_account(house.token(1), first.fingerprint) == [first]


async def test_a_session_comes_with_all_that_there_is_to_a_session(house, store):
    [kept] = await house.fleet(store, 1)

    found = await store.get(kept.id)

    assert set(vars(found)) == {field.name for field in fields(found)}


async def test_what_is_not_kept_is_not_found(house, store):
    [kept] = await house.fleet(store, 1)

    assert await store.get("nobody's") is None
    assert await store.by_pair(SessionKey(kept.email, Fingerprint("other"))) is None
    assert await store.by_email("nobody@example.com") == []
    assert await store.by_ref("nobody") == []
    assert await store.by_account(kept.token, Fingerprint("other")) == []
    assert await store.by_account(house.token(99), kept.fingerprint) == []
    assert await store.spare(kept.id) is None


async def test_everything_about_a_session_comes_back_as_it_was_put(house, store, worker):
    now = store.now() + timedelta(microseconds=123_457)
    secrets = Secrets(
        house.token(1),
        Jar((Cookie("a", "1", "aimharder.com", host_only=False, expires_at=now), Cookie("b", "", "box.aimharder.com"))),
        "contraseña con ñ y 🔑",
        (Handout(b"\x00" * 32, 1.5, presented=True), Handout(b"\xff" * 32, 2.25)),
    )
    turn = Turn(now.timestamp(), "rotated", "adopt", 0, -1, secrets.token.mark())
    put = house.session(
        1, secrets=secrets, ring=Ring((turn,)), alive_at=now, session_type="box", ref="r", settled_in=True
    )
    [kept] = await house.keep(store, replace(put, setrefresh_due=True, due_at=now, rotated_at=now, deadline_at=now))
    claim = await store.claim_one(worker, kept.id)
    suspected = replace(
        kept,
        status=Status.SUSPECTED,
        attempt=3,
        last_error="logged_out",
        doubt_at=now,
        setrefresh_at=now,
        setrefresh_count=2,
        setrefresh_error="timed_out",
        suspicion=Suspicion(now, now + SECOND, 2, Life.DEAD, spares_tried=True),
    )

    assert await store.get(kept.id) == replace(kept, owner=worker)
    change = replace(house.verdict(claim), after=suspected, events=())
    [result] = await store.commit([change])

    assert result.session == await store.get(kept.id) == replace(suspected, revision=2)


async def test_a_suspicion_that_has_not_heard_from_whoami_yet_comes_back_so(house, store, worker):
    await house.fleet(store, 1)
    claim = await store.claim_one(worker, house.session(1).id)
    suspicion = Suspicion(store.now(), store.now())
    after = replace(claim.session, suspicion=suspicion)

    await store.commit([replace(house.verdict(claim), after=after, events=())])

    assert (await store.get(claim.session.id)).suspicion == suspicion


async def test_pages_follow_one_another_by_email_and_fingerprint_without_gap_or_repetition(house, store):
    kept = [
        house.session(number, email=f"{letter}@example.com", fingerprint=Fingerprint(device * 50))
        for number, (letter, device) in enumerate(((x, y) for x in "cab" for y in "zxy"), start=1)
    ]
    await house.keep(store, *kept)

    first = await store.page(None, 4)
    second = await store.page(first[-1].key, 4)
    third = await store.page(second[-1].key, 4)

    found = [session.key for page in (first, second, third) for session in page]
    assert [len(page) for page in (first, second, third)] == [4, 4, 1]
    assert found == sorted(session.key for session in kept)
    assert await store.page(third[-1].key, 4) == []


async def test_a_page_of_one_status_holds_no_other_and_goes_on_past_what_was_removed(house, store):
    kept = await house.fleet(store, 6)
    for each in kept[::2]:
        await store.end(each.id, Cause.LOGGED_OUT_HERE, store.now())

    first = await store.page(None, 2, Status.ENDED)
    await store.forget(first[-1].id)
    second = await store.page(first[-1].key, 2, Status.ENDED)

    assert [session.id for session in first + second] == [kept[0].id, kept[2].id, kept[4].id]
    assert [session.id for session in await store.page(None, 9, Status.ACTIVE)] == [each.id for each in kept[1::2]]


async def test_one_session_that_does_not_open_bars_no_list(house, store):
    kept = await house.fleet(store, 3)
    house.tell("UPDATE auth_sessions SET sealed = x'00' WHERE id = ?", kept[1].id)

    page = await store.page(None, 10)

    assert [session.id for session in page] == [each.id for each in kept]
    assert [session.secrets.token is None for session in page] == [False, True, False]
    with pytest.raises(KeyProblem):
        await store.get(kept[1].id)


async def test_a_row_that_holds_what_no_version_of_ours_writes_is_named(house, store):
    [kept] = await house.fleet(store, 1)
    house.tell("UPDATE auth_sessions SET ring = x'c1'")

    with pytest.raises(KeyProblem, match=kept.id):
        await store.get(kept.id)


async def test_a_sealed_part_that_another_version_wrote_is_told(house, store):
    [kept] = await house.fleet(store, 1)
    strange = store._sealer.seal(kept.id, "sealed", b"\x91\x01")
    house.tell("UPDATE auth_sessions SET sealed = ?", strange)

    with pytest.raises(KeyProblem, match="this version can't read"):
        await store.get(kept.id)


async def test_how_the_sessions_stand_is_told_in_numbers(house, store, worker):
    now = store.now()
    risky, late, failing, held, ended, _ = await house.keep(
        store,
        house.session(1, deadline_at=now + 60 * MINUTE, due_at=now + MINUTE),
        house.session(2, due_at=now - SECOND),
        house.session(3),
        house.session(4, due_at=now - HOUR, deadline_at=now),
        house.session(5),
        house.session(6, due_at=now + 2 * MINUTE),
    )
    await store.commit([house.refusal(await store.claim_one(worker, failing.id))])
    await store.claim_one(worker, held.id)
    await store.end(ended.id, Cause.LOGGED_OUT_HERE, now)

    standing = await store.standing(now + 61 * MINUTE)

    assert {status: count for status, count in standing.by_status.items() if count} == {
        Status.ACTIVE: 5,
        Status.ENDED: 1,
    }
    assert (standing.total, standing.living) == (6, 5)
    assert (standing.failing, standing.at_risk, standing.overdue) == (1, 1, 1)
    assert (standing.next_due_at, standing.next_deadline_at) == (late.due_at, risky.deadline_at)
    assert await store.count_left(now + MINUTE, begun=now + MINUTE) == 3  # up to that instant


async def test_what_others_hold_is_counted_as_far_as_it_is_due(house, store, worker, rival):
    now = store.now()
    ours, theirs, later = await house.keep(
        store, house.session(1), house.session(2), house.session(3, due_at=now + MINUTE)
    )
    await store.claim_one(worker, ours.id)
    for session in (theirs, later):
        await store.claim_one(rival, session.id)

    assert await store.count_held_by_others(worker, now) == 1
    assert await store.count_held_by_others(rival, now + MINUTE) == 1
    assert await store.count_held_by_others(worker, now + MINUTE) == 2


async def test_an_empty_store_stands_at_nothing(store):
    standing = await store.standing(store.now())

    assert (standing.total, standing.living, standing.failing, standing.at_risk, standing.overdue) == (0, 0, 0, 0, 0)
    assert (standing.next_due_at, standing.next_deadline_at) == (None, None)
    assert await store.count_left(store.now(), begun=store.now()) == 0
    assert await store.count_rotated_since(store.now()) == 0


async def test_the_rotated_are_counted_from_that_instant_on_and_only_while_they_live(house, store, worker):
    since = store.now() + HOUR
    before, then, later, ended, deleted = await house.fleet(store, 5)
    house.clock.advance(3600)
    for each in (then, ended, deleted):
        await store.commit([house.rotation(await store.claim_one(worker, each.id))])
    house.clock.advance(1)
    await store.commit([house.rotation(await store.claim_one(worker, later.id))])
    await store.end(ended.id, Cause.LOGGED_OUT_HERE, store.now())
    await store.forget(deleted.id)

    assert await store.count_rotated_since(since) == 2
    assert await store.count_rotated_since(since + SECOND) == 1
    assert await store.count_rotated_since(before.rotated_at) == 3


async def test_what_exchanges_brought_is_counted_by_word_and_minute(house, store, worker):
    kept = await house.fleet(store, 3)
    for each in kept[:2]:
        await store.commit([house.rotation(await store.claim_one(worker, each.id))])
    house.clock.advance(60)
    claims = [await store.claim_one(worker, each.id) for each in (kept[2], kept[0])]
    await store.commit([house.doubt(claims[0]), house.rotation(claims[1])])

    assert await store.tallies(store.now() - MINUTE) == {"rotated": 3, "timed_out": 1}
    assert await store.tallies(store.now()) == {"rotated": 1, "timed_out": 1}
    assert await store.tallies(store.now() + MINUTE) == {}


async def test_a_verdict_is_no_exchange_and_is_not_counted(house, store, worker):
    await house.fleet(store, 1)
    claim = await store.claim_one(worker, house.session(1).id)
    now = store.now()
    suspected = replace(claim.session, suspicion=Suspicion(now, now, 2, Life.DEAD))

    await store.commit([conclude(replace(claim, session=suspected), house.policy, now)])

    assert await store.tallies(now) == {}


async def test_a_sign_in_link_works_once(house, store):
    await store.sign_ins.issue("hash", store.now() + MINUTE)
    other = await house.open()

    assert await other.sign_ins.use("hash")
    assert not await other.sign_ins.use("hash")
    assert not await store.sign_ins.use("hash")


async def test_a_sign_in_link_works_until_its_time_is_over_and_nobody_elses_does(house, store):
    await store.sign_ins.issue("hash", store.now() + MINUTE)

    assert not await store.sign_ins.use("other")
    house.clock.advance(60)
    assert not await store.sign_ins.use("hash")


async def test_instants_are_kept_to_the_microsecond(house, store):
    odd = [
        datetime.fromisoformat(text)
        for text in (
            "2026-03-29T01:59:59.999999+00:00",
            "2037-12-31T23:59:59.000001+00:00",
            "1999-01-01T00:00:00+00:00",
        )
    ]

    kept = await house.keep(store, *(house.session(n, due_at=odd[n - 1], deadline_at=odd[n - 1]) for n in (1, 2, 3)))

    assert [(await store.get(each.id)).due_at for each in kept] == odd
    assert [(await store.get(each.id)).deadline_at for each in kept] == odd


async def test_the_stores_time_is_the_clocks_and_it_says_where_it_is(house, store):
    assert store.now() == house.clock.now()
    assert str(store) == house.place


async def test_a_store_that_can_be_written_says_nothing(store):
    await store.check_writable()
