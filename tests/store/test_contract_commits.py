"""What every store must show: a change is made whole, by who may make it, once; and no fresh token vanishes."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from aimkeeper.core.change import Change, Claim, Kind, SecretsEdit, touch
from aimkeeper.core.cookies import Cookie, CookieDelta
from aimkeeper.core.session import RING_LENGTH, Cause, Handout, Status, Turn
from aimkeeper.store.commits import Fate

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest.fixture
async def session(house, store):
    [kept] = await house.fleet(store, 1)
    return kept


@pytest.fixture
async def claim(store, worker, session) -> Claim:
    return await store.claim_one(worker, session.id)


async def commit(store, change):
    [result] = await store.commit([change])
    return result


def handout(number):
    return Handout(bytes([number]) * 32, 1000.0 + number)


async def test_a_rotation_writes_token_cookies_generation_and_due_time_and_frees_the_claim(house, store, claim):
    fresh = house.token()
    delta = CookieDelta((Cookie("PHPSESSID", "new", "aimharder.com"),), (("amhrdrauth", "aimharder.com"),))
    house.clock.advance(1)

    result = await commit(store, house.rotation(claim, fresh, delta))

    kept = await store.get(claim.session.id)
    now = store.now()
    assert result.fate is Fate.COMMITTED
    assert result.holds
    assert (kept.token, kept.generation, kept.rotations, kept.rotated_at) == (fresh, 2, 1, now)
    assert [cookie.name for cookie in kept.jar.cookies] == ["PHPSESSID"]
    assert now < kept.due_at <= now + 15 * MINUTE
    assert (kept.deadline_at, kept.owner, kept.settled_in) == (now + 90 * MINUTE, None, True)
    assert [turn.what for turn in kept.ring] == ["rotated"]


async def test_an_attempt_writes_why_there_is_no_token_and_when_to_try_again(house, store, claim, session):
    result = await commit(store, house.doubt(claim))

    kept = await store.get(session.id)
    assert result.holds
    assert (kept.status, kept.attempt, kept.last_error, kept.doubt_at) == (Status.IN_DOUBT, 1, "timed_out", store.now())
    assert (kept.token, kept.generation, kept.owner) == (session.token, 1, None)
    assert kept.due_at > store.now()
    assert house.kinds(session) == ["adopted", "in_doubt"]


async def test_a_change_may_keep_its_claim_for_the_next_step(house, store, worker, claim, session):
    result = await commit(store, replace(house.doubt(claim), release=False))

    assert result.session.owner == worker
    again = await commit(store, house.rotation(replace(claim, session=result.session)))
    assert again.holds
    assert (await store.get(session.id)).owner is None


async def test_what_a_commit_returns_is_the_row_as_it_now_is(house, store, claim, session):
    for change in (
        replace(house.doubt(claim), release=False),
        touch(session, SecretsEdit(handouts=(handout(1),))),
        house.rotation(claim),
    ):
        result = await commit(store, change)

        assert result.session == await store.get(session.id)


async def test_the_ring_keeps_the_last_sixteen_exchanges(house, store, worker, session):
    for _ in range(RING_LENGTH + 3):
        house.clock.advance(900)
        held = await store.claim_one(worker, session.id)
        await commit(store, house.rotation(held))

    kept = await store.get(session.id)
    assert [turn.generation for turn in kept.ring] == list(range(4, 4 + RING_LENGTH))
    assert kept.ring[-1] == Turn(kept.rotated_at.timestamp(), "rotated", "token_update", 19, 120, kept.token.mark())


async def test_many_are_committed_together_each_with_its_own_result_in_the_order_given(house, store, worker):
    kept = await house.fleet(store, 40)
    held = {claim.session.id: claim for claim in await store.claim_due(worker, 100, until=store.now())}
    # 3: rotated by somebody else meanwhile. 7: forgotten. The rest may be committed.
    await commit(store, house.rotation(held[kept[3].id]))
    await store.forget(kept[7].id)
    order = [*kept[20:], *kept[:20]]
    changes = [house.rotation(held[each.id]) for each in order]
    changes[20 + 3] = replace(changes[20 + 3], claim=replace(held[kept[3].id], claim_id="another's"))

    results = await store.commit(changes)

    fates = {each.id: result.fate for each, result in zip(order, results, strict=True)}
    assert fates.pop(kept[3].id) is Fate.SUPERSEDED
    assert fates.pop(kept[7].id) is Fate.GONE
    assert set(fates.values()) == {Fate.COMMITTED}
    for change, result in zip(changes, results, strict=True):
        if result.fate is Fate.COMMITTED:
            assert (await store.get(change.before.id)).token == change.edit.token


async def test_changes_of_every_kind_go_together(house, store, worker):
    first, second, third = await house.fleet(store, 3)
    one, two = [await store.claim_one(worker, each.id) for each in (first, second)]

    results = await store.commit(
        [touch(third, SecretsEdit(handouts=(handout(1),))), house.doubt(two), house.rotation(one)]
    )

    assert [result.fate for result in results] == [Fate.COMMITTED] * 3
    assert [result.session.id for result in results] == [third.id, second.id, first.id]
    assert [(await store.get(each.id)).generation for each in (first, second, third)] == [2, 1, 1]


async def test_two_changes_of_one_session_in_one_group_both_hold(house, store, claim, session):
    given = touch(session, SecretsEdit(handouts=(handout(1),)))
    rotation = house.rotation(claim)

    results = await store.commit([given, rotation])

    kept = await store.get(session.id)
    assert [result.fate for result in results] == [Fate.COMMITTED] * 2
    assert (kept.token, kept.secrets.handouts) == (rotation.edit.token, (handout(1),))


async def test_a_row_that_can_not_be_written_takes_its_group_along_and_nothing_of_it_is_written(house, store, worker):
    kept = await house.fleet(store, 3)
    changes = [house.rotation(claim) for claim in await store.claim_due(worker, 3, until=store.now())]
    poison = replace(changes[1], after=replace(changes[1].after, last_error="\ud800"))

    with pytest.raises(house.unwritable):
        await store.commit([changes[0], poison, changes[2]])

    assert [(await store.get(each.id)).generation for each in kept] == [1, 1, 1]
    assert all(result.holds for result in await store.commit([changes[0], changes[2]]))


async def test_a_rotation_that_arrives_twice_is_one_success(house, store, claim, session):
    rotation = house.rotation(claim)
    first = await commit(store, rotation)

    again = await commit(store, rotation)

    assert (again.fate, again.session, again.events) == (Fate.COMMITTED, first.session, ())
    kept = await store.get(session.id)
    assert (kept.generation, kept.spares, len(kept.ring)) == (2, 0, 1)
    assert await store.tallies(store.now()) == {"rotated": 1}


@pytest.mark.parametrize("release", [True, False], ids=["its claim freed", "its claim kept"])
async def test_an_attempt_that_arrives_twice_is_one_success(house, store, claim, session, release):
    attempt = replace(house.doubt(claim), release=release)
    first = await commit(store, attempt)

    again = await commit(store, attempt)

    assert (again.fate, again.session, again.events) == (Fate.COMMITTED, first.session, ())
    kept = await store.get(session.id)
    assert (len(kept.ring), kept.attempt, house.kinds(session)) == (1, 1, ["adopted", "in_doubt"])


async def test_a_rotation_beats_any_verdict_reached_with_an_older_token(house, store, rival, claim, session):
    await house.take_from(store, claim.owner)
    theirs = await store.claim_one(rival, session.id)
    rotation = house.rotation(claim)

    result = await commit(store, rotation)

    assert result.fate is Fate.COMMITTED
    # The other's claim is not freed: it is in the air.
    assert result.session.owner == rival
    late = await commit(store, house.doubt(theirs))
    assert late.fate is Fate.SUPERSEDED
    kept = await store.get(session.id)
    assert (kept.token, kept.status, kept.owner) == (rotation.edit.token, Status.ACTIVE, None)


async def test_an_attempt_speaks_only_for_the_holder_of_the_claim(house, store, rival, claim, session):
    await house.take_from(store, claim.owner)
    theirs = await store.claim_one(rival, session.id)

    result = await commit(store, house.verdict(claim))

    assert result.fate is Fate.SUPERSEDED
    assert (await store.get(session.id)).owner == rival
    assert (await commit(store, house.rotation(theirs))).holds


async def test_an_attempt_from_an_earlier_claim_of_the_same_owner_changes_nothing(house, store, worker, claim, session):
    await store.free(claim)
    later = await store.claim_one(worker, session.id)

    result = await commit(store, house.doubt(claim))

    assert result.fate is Fate.SUPERSEDED
    assert (await store.get(session.id)).status is Status.ACTIVE
    assert (await commit(store, house.rotation(later))).holds


async def test_a_late_rotation_revives_a_session_that_ended_by_a_verdict(house, store, rival, claim, session):
    await house.take_from(store, claim.owner)
    await commit(store, house.verdict(await store.claim_one(rival, session.id)))
    rotation = house.rotation(claim)

    result = await commit(store, rotation)

    kept = await store.get(session.id)
    assert result.holds
    assert (kept.status, kept.cause, kept.ended_at, kept.wipe_at) == (Status.ACTIVE, None, None, None)
    assert kept.token == rotation.edit.token
    assert kept.due_at is not None
    kind, data = house.facts(session)[-1]
    assert (kind, data["by"]) == ("revived", "late_rotation")
    assert [told.kind.value for told in result.events][-1] == "revived"


async def test_a_late_rotation_does_not_revive_a_session_that_its_owner_ended(house, store, claim, session):
    await store.end(session.id, Cause.LOGGED_OUT_HERE, store.now() + MINUTE)
    rotation = house.rotation(claim)

    result = await commit(store, rotation)

    kept = await store.get(session.id)
    assert result.fate is Fate.SUPERSEDED
    assert (kept.status, kept.secrets.token, kept.spares, kept.owner) == (Status.ENDED, None, 0, None)
    assert house.kinds(session) == ["adopted", "ended"]


async def test_what_happens_to_a_session_that_was_forgotten_meanwhile_is_told_apart(house, store, claim, session):
    await store.forget(session.id)

    for change in (house.rotation(claim), house.doubt(claim), touch(session, SecretsEdit(handouts=(handout(1),)))):
        result = await commit(store, change)

        assert (result.fate, result.session, result.events) == (Fate.GONE, None, ())


async def test_cookies_of_an_answer_are_merged_into_the_jar_the_row_holds_by_then(house, store, claim, session):
    def cookie(name, value):
        return Cookie(name, value, "aimharder.com")

    meanwhile = SecretsEdit(cookies=CookieDelta((cookie("PHPSESSID", "theirs"), cookie("AWSALB", "theirs"))))
    await commit(store, touch(session, meanwhile))
    ours = CookieDelta((cookie("PHPSESSID", "ours"),), (("amhrdrauth", "aimharder.com"),))

    await commit(store, house.rotation(claim, cookies=ours))

    jar = (await store.get(session.id)).jar
    assert {each.name: each.value for each in jar.cookies} == {"PHPSESSID": "ours", "AWSALB": "theirs"}


async def test_a_touch_between_claim_and_commit_is_not_lost(house, store, claim, session):
    await commit(store, touch(session, SecretsEdit(handouts=(handout(1),), password="a password")))

    await commit(store, house.rotation(claim))

    secrets = (await store.get(session.id)).secrets
    assert (secrets.handouts, secrets.password) == ((handout(1),), "a password")


async def test_a_touch_decided_on_an_older_row_keeps_what_was_written_meanwhile(house, store, claim, session):
    rotation = house.rotation(claim)
    await commit(store, rotation)

    result = await commit(store, touch(session, SecretsEdit(handouts=(handout(2),))))

    kept = await store.get(session.id)
    assert result.session == kept
    assert (kept.token, kept.generation, kept.secrets.handouts) == (rotation.edit.token, 2, (handout(2),))


async def test_touches_at_the_same_moment_all_hold(house, store, session):
    changes = [touch(session, SecretsEdit(handouts=(handout(number),))) for number in range(5)]
    other = await house.open()

    await asyncio.gather(store.commit(changes[:3]), other.commit(changes[3:]))

    kept = (await store.get(session.id)).secrets.handouts
    assert sorted(kept) == [handout(number) for number in range(5)]


async def test_a_touch_frees_nobodys_claim(store, worker, claim, session):
    result = await commit(store, touch(session, SecretsEdit(handouts=(handout(1),))))

    assert result.session.owner == worker


async def test_a_touch_gives_nothing_to_a_session_whose_secrets_are_gone(store, session):
    await store.end(session.id, Cause.LOGGED_OUT_HERE, store.now() + MINUTE)

    result = await commit(store, touch(session, SecretsEdit(password="a password")))

    assert result.fate is Fate.SUPERSEDED
    assert (await store.get(session.id)).secrets.password is None


async def test_a_change_without_an_edit_leaves_the_secrets_as_they_are(store, claim, session):
    later = replace(claim.session, due_at=store.now() + MINUTE)

    await commit(store, Change(kind=Kind.ATTEMPT, before=claim.session, after=later, claim=claim))

    kept = await store.get(session.id)
    assert (kept.secrets, kept.due_at) == (session.secrets, store.now() + MINUTE)


async def test_a_fingerprint_that_setrefresh_names_is_taken_over_unless_it_is_anothers(house, store, worker):
    first, second = await house.keep(
        store,
        house.session(1, email="ana@example.com"),
        house.session(2, email="ana@example.com", fingerprint="e" * 50),
    )
    renamed = house.rotation(await store.claim_one(worker, first.id))
    renamed = replace(renamed, after=replace(renamed.after, fingerprint="d" * 50))
    taken = house.rotation(await store.claim_one(worker, second.id))
    taken = replace(taken, after=replace(taken.after, fingerprint="d" * 50))

    results = [await commit(store, change) for change in (renamed, taken)]

    assert [result.session.fingerprint for result in results] == ["d" * 50, "e" * 50]
    assert [(await store.get(each.id)).fingerprint for each in (first, second)] == ["d" * 50, "e" * 50]
    assert [(await store.get(each.id)).generation for each in (first, second)] == [2, 2]


async def test_an_empty_group_is_nothing(store):
    assert await store.commit([]) == []
