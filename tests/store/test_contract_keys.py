"""What every store must show: the key that seals is changed while all work, and nothing becomes unreadable by it."""

import asyncio

import pytest

from aimkeeper.core.errors import ConfigError, KeyProblem
from aimkeeper.core.session import Cause
from aimkeeper.store import reseal
from aimkeeper.store.reseal import Resealed
from aimkeeper.store.seal import Key, Sealer, load_sealer

OLD, NEW, ELSE = "A" * 43, "B" * 43, "C" * 43
OLD_ID, NEW_ID, ELSE_ID = (Key.parse(text).id.hex() for text in (OLD, NEW, ELSE))


@pytest.fixture
def house(house):
    house.secret_keys = OLD
    return house


async def process(house, *keys):
    """A process that was started with these keys in its setting."""
    store = house.store()
    store.keys._sealers = lambda sealed: load_sealer(",".join(keys), None, store_is_sealed=sealed)
    await store.open()
    house._stack.push_async_callback(store.close)
    house.opened.append(store)
    return store


def given(store, *keys):
    """From now on these keys stand where *store* reads them."""
    store.keys._sealers = lambda sealed: load_sealer(",".join(keys), None, store_is_sealed=sealed)


async def rotate(house, store, told=lambda _so_far: None):
    """As `keys rotate` does it with keys from a setting, while the clock goes on."""
    running = asyncio.ensure_future(store.rekeying(None).run(told))
    house.clock.busy.append(lambda: any(each._backend.pending for each in house.opened))
    return await house.clock.finish(running)


def sealed_with(house):
    """The ids of the keys with which anything is sealed."""
    [(check,)] = house.ask("SELECT value FROM meta WHERE key = 'seal_check'")
    values = house.ask("SELECT sealed FROM auth_sessions WHERE sealed <> x'' UNION ALL SELECT sealed FROM spares")
    return {bytes.fromhex(check)[1:5].hex(), *(bytes(value)[1:5].hex() for (value,) in values)}


async def filled(house, store, count=5):
    """Sessions, among them one with a spare and one that was wiped."""
    first, second, *_ = kept = await house.fleet(store, count)
    await house.keep(store, house.session(1), replacing=True)
    assert house.spares(first) == 1
    await store.end(second.id, Cause.LOGGED_OUT_HERE, store.now())
    await store.wipe(keep_rows=True)
    return kept


async def test_everything_is_sealed_with_the_new_key_and_says_the_same_as_before(house):
    await filled(house, await house.open())
    store = await process(house, NEW, OLD)
    before = await house.everyone(store), await store.spare(house.session(1).id)

    rekeyed = await rotate(house, store)

    assert sealed_with(house) == {NEW_ID}
    assert (rekeyed.key_id, rekeyed.old_key_ids) == (NEW_ID, (OLD_ID,))
    assert (rekeyed.done.sessions, rekeyed.done.spares, rekeyed.done.unreadable) == (4, 1, {})
    only_new = await process(house, NEW)
    assert (await house.everyone(only_new), await only_new.spare(house.session(1).id)) == before
    with pytest.raises(KeyProblem, match=NEW_ID):
        await process(house, OLD)


async def test_a_change_that_was_broken_off_anywhere_goes_on_from_there(house, monkeypatch):
    monkeypatch.setattr(reseal, "CHUNK", 2)
    await house.fleet(await house.open(), 7)
    store = await process(house, NEW, OLD)

    def die(so_far):
        if so_far.sessions == 4:
            raise KeyboardInterrupt

    before = await house.everyone(store)
    with pytest.raises(KeyboardInterrupt):
        await store.rekeying(None).run(die)
    assert sealed_with(house) == {OLD_ID, NEW_ID}
    again = await process(house, NEW, OLD)
    seen: list[int] = []
    rekeyed = await rotate(house, again, lambda so_far: seen.append(so_far.looked_at))

    assert rekeyed.done.sessions == 3
    assert seen[:4] == [2, 4, 6, 7]
    assert sealed_with(house) == {NEW_ID}
    assert await house.everyone(again) == before


async def test_what_somebody_wrote_meanwhile_is_left_and_looked_at_again(house, worker, store):
    [session, _] = await house.fleet(store, 2)
    changer = await process(house, NEW, OLD)
    wrote: list[Resealed] = []
    read = changer._backend.reading

    def reading():
        # The page was read; now, before it is written, a rotation lands.
        if len(wrote) == 0:
            wrote.append(Resealed())
            return _then(read(), _land(house, store, worker, session))
        return read()

    changer._backend.reading = reading
    try:
        sealer = Sealer([Key.parse(NEW), Key.parse(OLD)])
        first = await reseal.reseal(changer._backend, sealer, lambda _so_far: None)
        second = await reseal.reseal(changer._backend, sealer, lambda _so_far: None)
    finally:
        changer._backend.reading = read

    assert (first.sessions, first.moved) == (1, 1)
    assert (second.sessions, second.moved) == (1, 0)
    assert (await changer.get(session.id)).generation == session.generation + 1


class _then:  # noqa: N801 (it is used as a verb)
    """A block, and what is to happen when it is left."""

    def __init__(self, block, afterwards):
        self._block, self._afterwards = block, afterwards

    async def __aenter__(self):
        return await self._block.__aenter__()

    async def __aexit__(self, *error):
        await self._block.__aexit__(*error)
        await self._afterwards


async def _land(house, store, worker, session):
    claim = await store.claim_one(worker, session.id)
    await store.commit([house.rotation(claim)])


async def test_it_does_not_begin_while_a_worker_that_lives_lacks_the_new_key(house, store, worker):
    await house.fleet(store, 2)
    other = await process(house, NEW, OLD)

    with pytest.raises(ConfigError, match=rf"a worker \(pid \d+\) lacks key {NEW_ID}: put that one first"):
        await rotate(house, other)

    assert sealed_with(house) == {OLD_ID}


async def test_while_somebody_lacks_the_new_key_those_who_have_it_seal_with_the_old_one(house, store, worker):
    other = await process(house, NEW, OLD)

    [kept] = await house.keep(other, house.session(1))

    assert sealed_with(house) == {OLD_ID}
    assert (await store.get(kept.id)).token == kept.token


async def test_as_soon_as_everybody_has_the_new_key_they_seal_with_it(house, store, worker):
    other = await process(house, NEW, OLD)
    await other.owners.enrol("another worker", "worker")
    given(store, NEW, OLD)
    await store.keys.mind()
    await other.keys.mind()
    await store.keys.mind()

    await house.keep(other, house.session(1))
    await house.keep(store, house.session(2))

    assert sealed_with(house) == {NEW_ID}
    assert {owner.keys for owner in await store.owners.everyone()} == {(NEW_ID, OLD_ID)}


async def test_it_does_not_begin_while_a_worker_seals_with_another_key(house, store, worker):
    given(store, OLD, NEW)
    await store.keys.mind()
    await house.fleet(store, 1)
    other = await process(house, NEW, OLD)

    with pytest.raises(ConfigError, match=f"seals with another key than {NEW_ID}"):
        await rotate(house, other)

    assert sealed_with(house) == {OLD_ID, NEW_ID}  # the check alone: both have both


async def test_who_starts_without_the_new_key_after_all_others_went_over_to_it_is_told_so(house):
    await house.fleet(await house.open(), 1)
    store = await process(house, NEW, OLD)
    await store.owners.enrol("a worker", "worker")

    with pytest.raises(KeyProblem, match=f"sealed with key {NEW_ID}, which is not among .*: add that key"):
        await process(house, OLD)


async def test_who_starts_without_it_at_that_very_moment_finds_out_after_enrolling(house):
    late = await house.open()
    await (await process(house, NEW, OLD)).owners.enrol("a worker", "worker")

    await late.owners.enrol("late", "worker")

    with pytest.raises(KeyProblem, match=NEW_ID):
        await late.keys.verify()


async def test_who_enrols_while_others_are_about_to_go_over_keeps_them_from_it(house):
    store = await process(house, OLD)
    late = await house.open()
    given(store, NEW, OLD)
    lacking = store.keys.lacking

    async def looked(key_id):
        found = await lacking(key_id)
        if not late.owners.ours():
            await late.owners.enrol("late", "worker")
        return found

    store.keys.lacking = looked
    await store.keys.mind()
    await house.keep(store, house.session(1))

    [(sealed,)] = house.ask("SELECT sealed FROM auth_sessions")
    assert bytes(sealed)[1:5].hex() == OLD_ID
    assert (await late.get(house.session(1).id)) is not None


async def test_the_dead_are_not_waited_for(house, store, worker):
    await house.fleet(store, 2)
    house.die(store, worker)
    house.opened.remove(store)
    other = await process(house, NEW, OLD)
    await other.owners.enrol("changer", "visitor")

    await rotate(house, other)

    assert sealed_with(house) == {NEW_ID}


async def test_a_key_that_is_taken_away_from_under_a_running_process_is_not_forgotten(house):
    store = await process(house, OLD)
    [kept] = await house.fleet(store, 1)

    given(store, NEW)
    await store.keys.mind()

    assert (await store.get(kept.id)).token == kept.token
    assert store.keys.sealer.key_ids == (NEW_ID, OLD_ID)


async def test_what_no_key_at_hand_opens_is_counted_and_left_as_it_is(house):
    store = await house.open()
    first, *_ = await house.fleet(store, 3)
    strange = Sealer([Key.parse(ELSE)]).seal(first.id, "sealed", b"of another house")
    house.tell("UPDATE auth_sessions SET sealed = ? WHERE id = ?", strange, first.id)

    rekeyed = await rotate(house, await process(house, NEW, OLD))

    assert rekeyed.done.unreadable == {ELSE_ID: 1}
    assert rekeyed.done.sessions == 2
    [(left,)] = house.ask("SELECT sealed FROM auth_sessions WHERE id = ?", first.id)
    assert bytes(left) == strange


async def test_with_a_single_key_there_is_nothing_to_change_to(house):
    store = await house.open()

    with pytest.raises(ConfigError, match="`aimkeeper keys new` prints"):
        await rotate(house, store)


async def test_a_claim_goes_on_as_if_nothing_had_been_sealed_again(house, store, worker):
    [session] = await house.fleet(store, 1)
    claim = await store.claim_one(worker, session.id)
    given(store, NEW, OLD)
    await rotate(house, store)

    [landed] = await store.commit([house.rotation(claim)])

    assert landed.holds
    assert sealed_with(house) == {NEW_ID}


async def test_a_key_file_that_is_just_being_moved_about_takes_no_key_away(house):
    store = await process(house, OLD)
    [kept] = await house.fleet(store, 1)

    def gone(_sealed):
        raise KeyProblem("it is gone")

    store.keys._sealers = gone
    await store.keys.mind()

    assert (await store.get(kept.id)).token == kept.token


async def test_a_process_that_does_not_read_the_key_file_again_is_named_after_a_while(house, store, worker):
    await house.fleet(store, 1)
    key_file = house.folder / "keys"
    key_file.write_text(OLD + "\n")
    other = house.store()
    other.keys._sealers = lambda sealed: load_sealer(None, key_file, store_is_sealed=sealed)
    await other.open()
    house._stack.push_async_callback(other.close)
    house.opened.append(other)
    running = asyncio.ensure_future(other.rekeying(key_file).run())
    house.clock.busy.append(lambda: any(each._backend.pending for each in house.opened))

    with pytest.raises(
        ConfigError, match=r"a worker \(pid \d+\) lacks key \w{8}, and does not read the key file again"
    ):
        await house.clock.finish(running)

    assert len(key_file.read_text().split()) == 2
    assert sealed_with(house) == {OLD_ID}


async def test_values_are_tried_from_anywhere_in_the_store_each_once(house):
    store = await house.open()
    await filled(house, store, 8)

    everything, some = await store.keys.sample(100), await store.keys.sample(3)

    assert (everything.by_key, everything.unopened) == ({OLD_ID: 7}, {})
    assert some.total in (2, 3)  # the wiped one may be among them
