"""`db backup` and `db take-over`, `workers`."""

import json
import re
import shutil

import pytest

from aimkeeper.cli.workers import _warnings
from aimkeeper.store.owners import Owner

from .test_keep import kept


def test_a_backup_says_what_is_in_it_and_that_the_key_is_not(terminal, upstream):
    terminal.log_in()

    ran = terminal.run("db", "backup", "saved.db")

    assert (ran.status, ran.err) == (0, "")
    saved, sealed, barred = ran.out.splitlines()
    assert saved == "1 session saved in saved.db."
    assert "the key is not in it" in sealed
    assert f"keep a copy of {terminal.data / 'secret.key'} in another place." in sealed
    assert barred == "A database made from it keeps nothing until `aimkeeper db take-over`."
    assert (terminal.data / "secret.key").read_bytes().strip() not in (terminal.folder / "saved.db").read_bytes()


def test_a_backup_says_so_too_where_the_key_is_a_setting(terminal):
    terminal.set(AIMKEEPER_SECRET_KEYS="k" * 43)

    ran = terminal.run("db", "backup", "saved.db")

    assert "keep a copy of AIMKEEPER_SECRET_KEYS in another place." in ran.out


def test_a_backup_takes_no_files_place(terminal):
    (terminal.folder / "saved.db").write_text("mine")

    ran = terminal.run("db", "backup", "saved.db")

    assert ran.status == 2
    assert ran.complaint == "aimkeeper: saved.db is there already: choose another name for the copy."


def test_a_postgresql_database_is_backed_up_by_postgresqls_own_tool(terminal, database):
    terminal.set(AIMKEEPER_DATABASE_URL=database.url, AIMKEEPER_SECRET_KEYS="k" * 43)

    ran = terminal.run("db", "backup", "saved.dump")

    assert ran.status == 2
    assert '`pg_dump --format=custom --file=saved.dump "$AIMKEEPER_DATABASE_URL"`' in ran.complaint


def test_a_restored_database_says_so_wherever_somebody_looks_until_it_is_taken_over(terminal, upstream):
    name = terminal.log_in()
    terminal.run("db", "backup", "saved.db")
    terminal.run("rotate", name)
    shutil.copyfile(terminal.folder / "saved.db", terminal.data / "aimkeeper.db")
    spent = upstream.sim.totals.requests.total()

    looked = terminal.run("db", "status")
    status, rotated, resumed = terminal.run("status"), terminal.run("rotate", name), terminal.run("resume")
    assert (status.status, rotated.status, resumed.status) == (1, 4, 2)
    assert (looked.status, terminal.run("db", "status").out) == (1, looked.out)
    for told in (looked.out.lower(), status.out, rotated.err, resumed.complaint):
        assert "this database was restored or copied" in told
        assert "`aimkeeper db take-over`" in told
    assert upstream.sim.totals.requests.total() == spent

    taken = terminal.run("db", "take-over")
    assert taken.status == 0
    assert taken.out.startswith(f"Taken over: 1 session in {terminal.data / 'aimkeeper.db'}. Make sure that no other")
    assert "Upstream   as usual" in terminal.run("status").out
    assert terminal.run("db", "status").status == 0


def test_who_takes_over_what_is_his_already_is_told_so(terminal):
    ran = terminal.run("db", "take-over")

    assert (ran.status, ran.err) == (0, "")
    assert ran.out == (
        f"{terminal.data / 'aimkeeper.db'} is the one that keeps its sessions already: nothing was to be done.\n"
    )


def test_workers_lists_who_is_alive_with_version_and_key(terminal):
    with kept(terminal, name="night shift"):
        ran = terminal.run("workers")
        [told] = json.loads(terminal.run("workers", "--json").out)

    head, line = ran.out.splitlines()
    assert head.split("  ")[0] == "WORKER"
    assert re.match(r"night shift  \S+ +\d+ +\S+ +\d+ s ago +- +[0-9a-f]{8}$", line)
    assert (told["name"], told["last_tick"]) == ("night shift", None)
    assert told["keys"] == [line.split()[-1]]
    assert told["version"] in line


def test_where_nobody_keeps_them_workers_says_how_to_begin(terminal):
    ran = terminal.run("workers")

    assert (ran.status, ran.out) == (0, 'Nobody keeps it yet: run "aimkeeper serve"\n')
    assert terminal.run("workers", "--json").out == "[]\n"


def owner(name, version, *keys):
    return Owner(name, name, "worker", 1, version, None, None, None, keys=keys)  # type: ignore[arg-type] # no times here


def test_who_can_not_open_what_another_seals_is_named():
    first, second = owner("one", "1", "aa", "bb"), owner("two", "1", "bb")

    [warning] = _warnings([first, second])

    assert warning.startswith("Warning: two has not the key that others seal with (aa):")
    assert _warnings([first, owner("three", "1", "bb", "aa")]) == []


def test_different_versions_are_told():
    assert _warnings([owner("one", "1"), owner("two", "2")]) == [
        "Not all run the same version: bring the older ones up to date."
    ]


def test_copy_moves_everything_and_the_old_one_spends_nothing_more(terminal, upstream, database):
    name = terminal.log_in()
    terminal.run("open")
    sent = upstream.sim.totals.requests.total()

    ran = terminal.run("db", "copy", "--to", database.url)

    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith("Moved: 1 session, 0 spare tokens, ")
    assert f"AIMKEEPER_SECRET_KEYS_FILE   a copy of {terminal.data / 'secret.key'}\n" in ran.out
    commands = ("rotate", name), ("serve", "--port", "0"), ("worker",), ("db", "status")
    for refused in (terminal.run(*command) for command in commands):
        assert refused.status in (1, 2, 4)
        assert "moved to the database " in refused.err + refused.out
    assert upstream.sim.totals.requests.total() == sent
    assert terminal.run("db", "copy", "--to", database.url).out.startswith(ran.out)

    terminal.set(AIMKEEPER_DATABASE_URL=database.url)
    terminal.set(AIMKEEPER_SECRET_KEYS_FILE=str(terminal.data / "secret.key"))
    assert terminal.run("rotate", name).status == 0


def test_what_moved_is_taken_back_only_by_one_who_says_that_he_knows(terminal, upstream, database):
    name = terminal.log_in()
    terminal.run("db", "copy", "--to", database.url)

    refused = terminal.run("db", "take-over")
    assert refused.status == 2
    assert "two databases must never keep the same ones" in refused.complaint

    assert terminal.run("db", "take-over", "--moved").status == 0
    assert terminal.run("rotate", name).status == 0


def test_nothing_moves_while_somebody_keeps_it(terminal, upstream, database):
    terminal.log_in()

    with kept(terminal):
        ran = terminal.run("db", "copy", "--to", database.url)

    assert ran.status == 2
    assert re.search(r"serve \(pid \d+\) uses this database: stop it first", ran.complaint)


@pytest.mark.parametrize(
    ("to", "says"),
    [
        ("sqlite:///other.db", "--to must begin with postgresql://"),
        ("postgresql://", "--to must"),
    ],
)
def test_it_moves_to_postgresql_only(terminal, to, says):
    ran = terminal.run("db", "copy", "--to", to)

    assert ran.status == 2
    assert says in ran.complaint


def test_what_is_in_postgresql_is_copied_by_its_own_tools(terminal, database):
    terminal.set(AIMKEEPER_DATABASE_URL=database.url, AIMKEEPER_SECRET_KEYS="k" * 43)

    ran = terminal.run("db", "copy", "--to", database.url)

    assert ran.status == 2
    assert "pg_dump" in ran.complaint
