"""Tokens that outlive an unreachable store: on the disk, sealed, whole, and found by whoever opens it next."""

import stat
from dataclasses import replace

import pytest

from aimkeeper.core.cookies import Cookie, CookieDelta
from aimkeeper.core.errors import StoreUnavailable
from aimkeeper.core.session import Secrets


@pytest.fixture
def backend():
    return "sqlite in threads"


@pytest.fixture
async def claim(house, store, worker):
    await house.fleet(store, 1)
    return await store.claim_one(worker, house.session(1).id)


async def test_a_rotation_put_on_the_disk_is_found_by_the_next_process(house, store, claim):
    delta = CookieDelta((Cookie("PHPSESSID", "value", "aimharder.com"),), (("gone", "aimharder.com"),))
    change = house.rotation(claim, cookies=delta)

    path = store.spool.save([change])

    [(found, [record])] = (await house.open()).spool.left_behind()
    assert (found, len(store.spool)) == (path, 1)
    assert (record.session_id, record.generation, record.owner) == (claim.session.id, 1, claim.owner)
    assert (record.claim_id, record.via, record.fingerprint) == (
        claim.claim_id,
        "token_update",
        claim.session.fingerprint,
    )
    assert (record.fresh_token, record.cookie_delta, record.settled_at) == (change.edit.token, delta, store.now())


async def test_a_login_put_on_the_disk_is_found_too(house, store):
    session = house.session(1)
    session = replace(session, secrets=replace(session.secrets, password="a password"), session_type="box")

    store.spool.save_login(session)

    [(_, [record])] = store.spool.left_behind()
    assert (record.email, record.fingerprint, record.password) == (session.email, session.fingerprint, "a password")
    assert (record.fresh_token, record.session_type) == (session.token, "box")
    assert record.cookie_delta == CookieDelta(session.jar.cookies)


async def test_only_fresh_tokens_are_worth_it(house, store, claim):
    assert store.spool.save([house.doubt(claim)]) is None
    assert len(store.spool) == 0


async def test_what_is_in_the_store_again_is_removed_and_once_is_enough(house, store, claim):
    path = store.spool.save([house.rotation(claim)])

    store.spool.remove(path)
    store.spool.remove(path)

    assert list(store.spool.left_behind()) == []


async def test_the_files_are_for_their_owner_only_and_show_no_secret(house, store):
    session = house.session(1)
    secrets = Secrets(session.token, session.jar, "a password")
    path = store.spool.save_login(replace(session, secrets=secrets))

    content = path.read_bytes()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    for secret in (session.token.text, "a password", session.jar.cookies[0].value, session.email):
        assert secret.encode() not in content
    [(_, [record])] = store.spool.left_behind()
    assert session.token.text not in repr(record)
    assert "a password" not in repr(record)


async def test_a_file_that_can_not_be_opened_is_left_where_it_is(house, store, claim):
    good = store.spool.save([house.rotation(claim)])
    bad = good.with_name("0.spool")
    bad.write_bytes(b"garbage")
    good.with_name("other").write_bytes(b"not ours")

    assert [path for path, _ in store.spool.left_behind()] == [good]
    assert bad.exists()


async def test_a_file_that_was_renamed_does_not_open(house, store, claim):
    path = store.spool.save([house.rotation(claim)])
    path.rename(path.with_name("renamed.spool"))

    assert list(store.spool.left_behind()) == []


async def test_where_not_even_that_can_be_done_it_is_told(house, store, claim):
    (house.folder / "spool").write_text("in the way")

    with pytest.raises(StoreUnavailable, match="spool"):
        store.spool.save([house.rotation(claim)])


# ------------------------------------------------------------ and committed by whoever opens the store next


async def replay_all(house, store):
    return await store.replay_spool(house.policy, lambda: "a-new-id")


async def test_a_spooled_rotation_is_committed_and_its_file_removed(house, store, claim):
    change = house.rotation(claim)
    store.spool.save([change])
    house.clock.advance(60)

    assert await replay_all(house, store) == 1

    kept = await store.get(claim.session.id)
    assert (kept.token, kept.generation, kept.owner) == (change.edit.token, 2, None)
    assert kept.rotated_at == change.after.rotated_at
    assert len(store.spool) == 0


async def test_a_spooled_rotation_that_was_committed_after_all_changes_nothing(house, store, claim):
    change = house.rotation(claim)
    await store.commit([change])
    store.spool.save([change])
    before = await store.get(claim.session.id)

    await replay_all(house, store)

    assert await store.get(claim.session.id) == before


async def test_a_spooled_rotation_that_came_too_late_becomes_a_spare(house, store, claim):
    change = house.rotation(claim)
    await store.commit([house.rotation(replace(claim, claim_id="another's"))])
    store.spool.save([change])

    await replay_all(house, store)

    assert (await store.spare(claim.session.id))[1] == change.edit.token


async def test_a_spooled_rotation_of_a_forgotten_session_is_dropped(house, store, claim):
    store.spool.save([house.rotation(claim)])
    await store.forget(claim.session.id)

    assert await replay_all(house, store) == 1
    assert len(store.spool) == 0


async def test_a_spooled_login_is_stored_with_all_it_brought(house, store):
    session = house.session(1)
    session = replace(session, secrets=replace(session.secrets, password="a password"), session_type="box")
    store.spool.save_login(session)

    await replay_all(house, store)

    kept = await store.by_pair(session.key)
    assert (kept.id, kept.token, kept.jar, kept.session_type) == ("a-new-id", session.token, session.jar, "box")
    assert (kept.secrets.password, kept.setrefresh_due) == ("a password", True)
    assert house.kinds(kept) == ["logged_in"]


async def test_a_spooled_login_older_than_what_is_kept_is_dropped(house, store):
    store.spool.save_login(house.session(1))
    house.clock.advance(60)
    [later] = await house.fleet(store, 1)

    await replay_all(house, store)

    assert await store.get(later.id) == later
    assert len(store.spool) == 0
