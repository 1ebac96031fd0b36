"""keys rotate, as somebody types it."""

import fcntl
import json
import os
import sqlite3
from contextlib import closing

import pytest

from aimkeeper.store.seal import Key, new_key

EMAIL = "ana@example.com"


@pytest.fixture
def key_file(terminal):
    return terminal.data / "secret.key"


def ids(path):
    """The names of the keys in the file, in their order."""
    return [Key.parse(text).id.hex() for text in path.read_text().split()]


def sealed_with(terminal):
    with closing(sqlite3.connect(terminal.data / "aimkeeper.db")) as database:
        values = database.execute("SELECT sealed FROM auth_sessions").fetchall()
    return {value[1:5].hex() for (value,) in values}


def test_a_new_key_is_put_first_in_the_key_file_and_seals_everything(terminal, upstream, key_file):
    terminal.log_in()
    before = ids(key_file)

    ran = terminal.run("keys", "rotate")

    new, *old = ids(key_file)
    assert (ran.status, ran.err, old) == (0, "", before)
    assert ran.out.splitlines()[0] == f"Sealed again with the new key {new}: 1 session."
    assert f"Old: {old[0]}." in ran.out
    assert sealed_with(terminal) == {new}
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert terminal.run("rotate", EMAIL).status == 0


def test_each_time_it_is_another_key(terminal, upstream, key_file):
    terminal.log_in()

    told = [json.loads(terminal.run("keys", "rotate", "--json").out) for _ in range(2)]

    assert [each["is_new"] for each in told] == [True, True]
    assert [each["key"] for each in told] == ids(key_file)[1::-1]
    assert told[1]["sessions"] == 1
    assert sealed_with(terminal) == {told[1]["key"]}


def test_one_that_was_killed_after_it_had_made_the_key_goes_on_with_that_one(terminal, upstream, key_file):
    terminal.log_in()
    key_file.write_text(new_key() + "\n" + key_file.read_text())
    first = ids(key_file)[0]

    ran = terminal.run("keys", "rotate")

    assert ran.out.splitlines()[0] == f"Sealed again with key {first}: 1 session."
    assert len(ids(key_file)) == 2
    assert sealed_with(terminal) == {first}


def test_only_one_at_a_time_may_change_the_key(terminal, upstream, key_file):
    terminal.log_in()
    folder = os.open(terminal.data, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)

    ran = terminal.run("keys", "rotate")

    os.close(folder)
    assert ran.status == 2
    assert "another `aimkeeper keys rotate` is at it" in ran.complaint
    assert len(ids(key_file)) == 1


def test_keys_in_a_setting_are_changed_by_whoever_set_them(terminal, upstream):
    old, new = new_key(), new_key()
    terminal.set(AIMKEEPER_SECRET_KEYS=old)
    terminal.log_in()
    alone = terminal.run("keys", "rotate")
    terminal.set(AIMKEEPER_SECRET_KEYS=f"{new},{old}")

    ran = terminal.run("keys", "rotate")
    again = terminal.run("keys", "rotate")

    name = Key.parse(new).id.hex()
    assert alone.status == 2
    assert "put one that `aimkeeper keys new` prints before it in AIMKEEPER_SECRET_KEYS" in alone.complaint
    assert ran.out.splitlines()[0] == f"Sealed again with key {name}: 1 session."
    assert again.out.splitlines()[0] == f"Everything is sealed with key {name} already."
    terminal.set(AIMKEEPER_SECRET_KEYS=new)
    assert terminal.run("rotate", EMAIL).status == 0


def test_what_does_not_open_is_told_with_the_key_that_is_missing(terminal, upstream, key_file):
    terminal.log_in()
    with closing(sqlite3.connect(terminal.data / "aimkeeper.db")) as database, database:
        database.execute(
            "UPDATE auth_sessions SET sealed = CAST(substr(sealed, 1, 1) || x'deadbeef' || substr(sealed, 6) AS BLOB)"
        )

    ran = terminal.run("keys", "rotate")

    assert ran.status == 1
    assert "1 value sealed with key deadbeef can't be opened: add that key, and run this again." in ran.err
    assert "Old:" not in ran.out


def test_what_is_damaged_is_told_as_such(terminal, upstream, key_file):
    terminal.log_in()
    with closing(sqlite3.connect(terminal.data / "aimkeeper.db")) as database, database:
        database.execute("UPDATE auth_sessions SET sealed = CAST(substr(sealed, 1, 40) AS BLOB)")
    old = ids(key_file)[0]

    ran = terminal.run("keys", "rotate")

    assert ran.status == 1
    assert f"1 value sealed with key {old} can't be opened: damaged, for that key is here" in ran.err


def test_no_key_is_ever_printed(terminal, upstream, key_file):
    terminal.log_in()

    said = [terminal.run("keys", "rotate", *more) for more in ((), ("--json",))]

    for key in key_file.read_text().split():
        assert not any(key[:12] in ran.out + ran.err for ran in said)
