"""Nothing that opens a door stands readable in the files, in a repr or in an error."""

import base64
from dataclasses import replace

import pytest

from aimkeeper.core.change import SecretsEdit, touch
from aimkeeper.core.cookies import Cookie, CookieDelta
from aimkeeper.core.errors import AimkeeperError
from aimkeeper.core.session import Cause, Secrets

PASSWORD = "correct horse battery staple"


def disguises(secret: str) -> list[bytes]:
    """How a secret might stand in a file without being sealed."""
    plain = secret.encode()
    # From the third byte on: base64 that begins elsewhere looks otherwise.
    forms = [plain, plain.hex().encode(), plain.hex().upper().encode(), secret.encode("utf-16-le"), plain[::-1]]
    return forms + [base64.b64encode(plain[at:])[:-4] for at in range(3)]


async def play(house, store, worker):
    """Adopt, log in over it, remember, rotate, lose a race, end: every secret that was used on the way."""
    tokens = [house.token() for _ in range(5)]
    first = house.session(1, secrets=Secrets(tokens[0], house.session(1).jar))
    [kept] = await house.keep(store, first)
    login = replace(first, secrets=Secrets(tokens[1], first.jar, PASSWORD))
    await house.keep(store, login, replacing=True)
    held = await store.claim_one(worker, kept.id)
    delta = CookieDelta((Cookie("PHPSESSID", "planted-cookie-value-7", "aimharder.com"),))
    await store.commit([house.rotation(replace(held, claim_id="another's"), tokens[2], delta)])
    await store.commit([house.rotation(held, tokens[3])])
    await store.commit([touch(await store.get(kept.id), SecretsEdit(password=PASSWORD + "!"))])
    [ended] = await house.keep(store, house.session(2, secrets=Secrets(tokens[4], first.jar, PASSWORD)))
    await store.end(ended.id, Cause.LOGGED_OUT_HERE, store.now())
    return [*(token.text for token in tokens), PASSWORD, "planted-cookie-value-7", first.jar.cookies[0].value]


async def test_no_secret_stands_readable_in_any_file_of_the_database(house, store, worker):
    planted = await play(house, store, worker)

    while_open = house.on_disk()
    await store.close()
    closed = house.on_disk()

    assert house.session(1).email.encode() in while_open  # what is not sealed is found: the search works
    assert b"PHPSESSID" not in while_open
    for secret in planted:
        for disguise in disguises(secret):
            assert disguise not in while_open
            assert disguise not in closed


async def test_neither_key_nor_part_of_it_stands_in_the_database(house, store, worker):
    await play(house, store, worker)
    key = (house.folder / "secret.key").read_text().strip()

    content = house.on_disk()

    assert key[:16].encode() not in content
    assert base64.urlsafe_b64decode(key)[:8] not in content


async def test_a_token_is_named_in_histories_by_its_mark_only(house, store, worker):
    planted = await play(house, store, worker)

    told = str(house.ask("SELECT * FROM events"))

    assert "spare_kept" in told
    assert not any(secret in told for secret in planted)


async def test_no_repr_and_no_error_shows_a_secret(house, store, worker):
    planted = await play(house, store, worker)
    kept = house.session(1)
    claim = await store.claim_one(worker, kept.id)
    results = await store.commit([house.rotation(claim)])
    house.tell("UPDATE auth_sessions SET sealed = x'00'")

    shown = [repr(value) for value in (store, store._sealer, claim, results, await house.everyone(store))]
    with pytest.raises(AimkeeperError) as caught:
        await store.get(kept.id)
    shown.append(str(caught.value))

    assert not any(secret in text for secret in planted for text in shown)


async def test_what_is_wiped_is_gone_from_the_row(house, store, worker):
    await play(house, store, worker)

    assert house.ask("SELECT DISTINCT aimharder_token, aimharder_cookies FROM auth_sessions") == [("", "[]")]
    await store.wipe(keep_rows=True)
    assert house.ask("SELECT sealed, account_key FROM auth_sessions WHERE status = 'ended'") == [(b"", "")]
