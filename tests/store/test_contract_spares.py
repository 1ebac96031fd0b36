"""What every store must show: a real token that lost its race is put aside, sealed, until it is disproved."""

from dataclasses import replace
from datetime import timedelta

import pytest

from aimkeeper.core.errors import AlreadyKept
from aimkeeper.core.policy import settle_spare_refused
from aimkeeper.core.session import Cause, Handout, Status
from aimkeeper.store.commits import Fate

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def session(house, store):
    [kept] = await house.fleet(store, 1)
    return kept


@pytest.fixture
async def superseded(house, store, worker, session):
    """A rotation that came after somebody else's: its change, and what became of it."""
    held = await store.claim_one(worker, session.id)
    other = replace(held, claim_id="another's")
    await store.commit([house.rotation(other)])
    house.clock.advance(1)
    change = house.rotation(held)
    [result] = await store.commit([change])
    return change, result


async def rotate(house, store, owner, session):
    house.clock.advance(900)
    held = await store.claim_one(owner, session.id)
    [result] = await store.commit([house.rotation(held)])
    return result


async def test_a_superseded_token_is_put_aside_and_said_so_without_naming_it(house, store, session, superseded):
    change, result = superseded

    spare_id, token = await store.spare(session.id)
    kept = await store.get(session.id)
    kind, data = house.facts(session)[-1]
    assert result.fate is Fate.SUPERSEDED
    assert not result.holds
    assert (token, kept.spares, result.session) == (change.edit.token, 1, kept)
    assert spare_id
    assert (kind, data["token"]) == ("spare_kept", token.mark())
    assert [told.kind.value for told in result.events] == ["spare_kept"]
    assert (await store.tallies(store.now() - MINUTE))["spare_kept"] == 1


async def test_a_superseded_token_that_arrives_twice_is_put_aside_once(house, store, session, superseded):
    change, _ = superseded

    [again] = await store.commit([change])

    assert (again.fate, again.events, again.session.spares) == (Fate.SUPERSEDED, (), 1)
    assert house.spares(session) == 1
    assert house.kinds(session).count("spare_kept") == 1


async def test_a_second_token_of_one_claim_is_put_aside_too(house, store, worker, session):
    held = await store.claim_one(worker, session.id)
    first, second, third = (house.rotation(held) for _ in range(3))

    results = [(await store.commit([change]))[0] for change in (first, second, third)]

    assert [result.fate for result in results] == [Fate.COMMITTED, Fate.SUPERSEDED, Fate.SUPERSEDED]
    assert (await store.get(session.id)).token == first.edit.token
    assert house.spares(session) == 2


async def test_a_token_the_row_holds_already_is_no_spare(house, store, worker, session):
    held = await store.claim_one(worker, session.id)
    same = house.token()
    await store.commit([house.rotation(replace(held, claim_id="another's"), same)])

    [result] = await store.commit([house.rotation(held, same)])

    assert (result.fate, result.session.spares) == (Fate.SUPERSEDED, 0)
    assert await store.spare(session.id) is None


async def test_of_several_the_one_issued_last_is_offered_first(house, store, session):
    tokens = [house.token() for _ in range(3)]
    for token in (tokens[1], tokens[2], tokens[0]):
        [session] = await house.keep(
            store, replace(session, secrets=replace(session.secrets, token=token)), replacing=True
        )

    offered = await store.spare(session.id)

    # The first of all, the second and the third became spares; the last is the present one.
    assert (session.token, session.spares) == (tokens[0], 3)
    assert offered[1] == tokens[2]


async def test_a_spare_is_not_disproved_by_a_token_older_than_itself(house, store, worker, session, superseded):
    result = await rotate(house, store, worker, session)

    assert (result.session.spares, house.spares(session)) == (1, 1)


async def test_a_spare_is_disproved_once_a_token_that_came_after_it_was_taken(
    house, store, worker, session, superseded
):
    await rotate(house, store, worker, session)
    result = await rotate(house, store, worker, session)

    assert result.session == await store.get(session.id)
    assert (result.session.spares, house.spares(session)) == (0, 0)


async def test_failures_disprove_nothing(house, store, worker, session, superseded):
    for _ in range(3):
        house.clock.advance(900)
        await store.commit([house.refusal(await store.claim_one(worker, session.id))])

    assert house.spares(session) == 1


async def test_a_refused_spare_is_struck_off_and_the_next_one_is_offered(house, store, worker, session, superseded):
    held = await store.claim_one(worker, session.id)
    spare_id, _ = await store.spare(session.id)

    [result] = await store.commit([settle_spare_refused(held, spare_id, house.exchange("spare"))])

    assert result.holds
    assert result.session == await store.get(session.id)
    assert (result.session.spares, result.session.owner) == (0, worker)
    assert await store.spare(session.id) is None


async def test_a_spare_that_turns_out_to_live_is_used_up(house, store, worker, session, superseded):
    held = await store.claim_one(worker, session.id)
    spare_id, _ = await store.spare(session.id)
    change = replace(house.rotation(held), tried_spare=spare_id)

    [result] = await store.commit([change])

    assert result.session == await store.get(session.id)
    assert (result.session.token, result.session.spares) == (change.edit.token, 0)


async def test_a_spare_tried_by_one_who_lost_the_claim_is_kept(house, store, worker, session, superseded):
    held = await store.claim_one(worker, session.id)
    spare_id, token = await store.spare(session.id)
    await store.free(held)

    await store.commit([settle_spare_refused(held, spare_id, house.exchange("spare"))])

    assert await store.spare(session.id) == (spare_id, token)


async def test_the_token_that_a_login_replaces_becomes_a_spare(house, store, session):
    again = house.session(1)

    [kept] = await house.keep(store, again, replacing=True)

    assert (kept.id, kept.token, kept.generation, kept.spares) == (session.id, again.token, 2, 1)
    assert (await store.spare(session.id))[1] == session.token
    assert house.kinds(session) == ["adopted", "spare_kept", "adopted"]


async def test_the_first_rotation_of_the_replacement_disproves_what_it_replaced(house, store, worker, session):
    await house.keep(store, house.session(1), replacing=True)

    result = await rotate(house, store, worker, session)

    assert result.session.spares == 0


async def test_a_token_put_in_its_own_place_leaves_no_spare(house, store, session):
    [kept] = await house.keep(store, session, replacing=True)

    assert (kept.generation, kept.spares) == (2, 0)


async def test_a_rotation_of_the_replaced_token_is_a_spare_too_and_frees_its_claim(house, store, worker, session):
    held = await store.claim_one(worker, session.id)
    [replaced] = await house.keep(store, house.session(1), replacing=True)
    assert replaced.owner == worker
    rotation = house.rotation(held)

    [result] = await store.commit([rotation])

    kept = await store.get(session.id)
    assert result.fate is Fate.SUPERSEDED
    assert result.session == kept
    assert (kept.token, kept.owner, kept.spares) == (replaced.token, None, 2)


async def test_a_pair_that_is_kept_is_not_replaced_unasked(house, store, session):
    with pytest.raises(AlreadyKept, match="--replace"):
        await house.keep(store, house.session(1))

    kept = await store.get(session.id)
    assert (kept.token, kept.generation) == (session.token, 1)
    assert house.kinds(session) == ["adopted"]


@pytest.mark.parametrize("end", ["by the upstream", "by its owner"])
async def test_an_ended_session_may_be_replaced_unasked_and_lives_again(house, store, worker, session, end):
    if end == "by its owner":
        await store.end(session.id, Cause.LOGGED_OUT_HERE, store.now() + MINUTE)
    else:
        await store.commit([house.verdict(await store.claim_one(worker, session.id))])
    again = house.session(1)

    [kept] = await house.keep(store, again)

    assert (kept.id, kept.token, kept.status) == (session.id, again.token, Status.ACTIVE)
    assert (kept.cause, kept.ended_at, kept.wipe_at, kept.attempt) == (None, None, None, 0)
    assert await store.wipe(keep_rows=True) == []


async def test_what_was_handed_out_of_the_old_token_is_still_known_after_it_was_replaced(house, store, session):
    old, new = Handout(b"o" * 32, 1.0), Handout(b"n" * 32, 2.0)
    given = replace(session, secrets=replace(session.secrets, handouts=(old,)))
    await house.keep(store, given, replacing=True)

    [kept] = await house.keep(
        store, replace(session, secrets=replace(session.secrets, handouts=(new,))), replacing=True
    )

    assert kept.secrets.handouts == (old, new)


async def test_a_ref_names_one_session_only(house, store):
    first, second = house.session(1, ref="user-7"), house.session(2, ref="user-7")
    await house.keep(store, first)

    with pytest.raises(AlreadyKept, match=r"user-7.*member00001@example\.com"):
        await house.keep(store, second)

    assert await store.get(second.id) is None
    [again] = await house.keep(store, house.session(1, ref="user-7"), replacing=True)
    assert again.ref == "user-7"


async def test_a_replacement_without_ref_and_type_leaves_those_there_are(house, store):
    await house.keep(store, house.session(1, ref="user-7", session_type="box"))

    [kept] = await house.keep(store, house.session(1), replacing=True)

    assert (kept.ref, kept.session_type) == ("user-7", "box")


async def test_a_login_mends_a_session_whose_secrets_no_longer_open(house, store, session):
    house.tell("UPDATE auth_sessions SET sealed = x'00'")
    again = house.session(1)

    [kept] = await house.keep(store, again, replacing=True)

    assert (kept.id, kept.token, kept.generation) == (session.id, again.token, 2)
