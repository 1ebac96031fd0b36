"""A member's round: log in, look, ask, leave."""

import asyncio
import json
import re

import pytest

from aimkeeper.cli.terminal import a_service
from aimkeeper.core.session import Status
from aimkeeper.simulator import Faults

F = "f" * 50
NOBODY = 'Nobody keeps it yet: run "aimkeeper serve"'


@pytest.fixture
def name(terminal, upstream):
    """A session of Ana's."""
    return terminal.log_in("ana@example.com", "correct horse", "--fingerprint", F)


def shown(terminal, who):
    return json.loads(terminal.run("show", who, "--json").out)


# ---------------------------------------------------------------- login


def test_a_login_keeps_the_session_and_says_who_does_not_keep_it_yet(terminal, upstream):
    ran = terminal.run("login", " Ana@Example.com ", "--password-stdin", stdin=b"correct horse\n")

    told = re.fullmatch(r"Logged in: (ana@example\.com#[0-9a-f]{50})\n(.*)\n", ran.out)
    assert (ran.status, ran.err) == (0, "")
    assert told[2] == NOBODY
    assert upstream.truth(told[1]).alive
    assert (upstream.truth(told[1]).logins, upstream.truth(told[1]).set_refreshes) == (1, 1)


def test_a_password_comes_through_a_pipe_without_being_asked_for(terminal, upstream):
    assert terminal.run("login", "ana@example.com", stdin=b"correct horse\r\n").status == 0


def test_a_second_login_is_one_more_generation_of_the_account_s_only_session(terminal, name):
    before = shown(terminal, name)

    assert terminal.log_in() == name

    after = shown(terminal, name)
    assert after["id"] == before["id"]
    assert after["generation"] > before["generation"]


@pytest.mark.parametrize("remember", [True, False])
def test_a_password_is_remembered_only_when_asked(terminal, upstream, remember):
    name = terminal.log_in("ana@example.com", "correct horse", *(["--remember"] if remember else []))

    assert shown(terminal, name)["remembered"] is remember
    assert ("password   remembered" in terminal.run("show", name).out) is remember


def test_a_login_stands_though_its_setrefresh_failed_and_says_so(terminal, upstream):
    upstream.sim.next("error_500", path="/setrefresh")

    ran = terminal.run("login", "ana@example.com", "--password-stdin", stdin=b"correct horse\n")

    assert ran.status == 0
    assert "The session stands; its setrefresh failed (server_error) and is tried again." in ran.out


# ---------------------------------------------------------------- adopt


def test_sessions_made_elsewhere_are_taken_over(terminal, upstream):
    grants = [upstream.grant(f"member{number}@example.com") for number in range(3)]
    text = "".join(json.dumps(grant) + "\r\n" for grant in grants)

    ran = terminal.run("adopt", "-", stdin=("\ufeff" + text).encode())

    assert (ran.status, ran.err) == (0, "")
    assert ran.out == f"Adopted 3, refused 0.\n{NOBODY}\n"
    assert terminal.run("rotate", "--due").status in (0, 1, 4)
    assert [upstream.truth(f"{grant['email']}#{F}").reuse for grant in grants] == [0, 0, 0]


@pytest.mark.slow
def test_a_file_of_more_than_one_chunk_is_adopted_whole(terminal, upstream):
    grants = [upstream.grant(f"member{number:04}@example.com") for number in range(1203)]
    (terminal.folder / "all.jsonl").write_text("\n".join(map(json.dumps, grants)))

    ran = terminal.run("adopt", "all.jsonl")

    assert ran.out.startswith("Adopted 1203, refused 0.\n")
    assert len(json.loads(terminal.run("sessions", "--json").out)) == 1203


def test_a_session_without_a_fingerprint_takes_the_one_that_is_set(terminal, upstream):
    terminal.set(AIMHARDER_FINGERPRINT=F)
    grant = {name: value for name, value in upstream.grant("ana@example.com").items() if name != "fingerprint"}

    ran = terminal.run("adopt", "-", stdin=json.dumps(grant).encode())

    assert ran.status == 0
    assert terminal.run("rotate", "ana@example.com").status == 0


# ---------------------------------------------------------------- sessions


def test_an_empty_list_says_how_to_begin(terminal):
    assert terminal.run("sessions").out == "No session is kept yet: aimkeeper login you@example.com\n"
    assert terminal.run("sessions", "--status", "in_doubt").out == "None is in_doubt.\n"
    assert json.loads(terminal.run("sessions", "--json").out) == []


def test_a_list_has_a_line_for_each_with_its_times_in_words(terminal, name):
    [head, line] = terminal.run("sessions").out.splitlines()

    assert head.split() == ["SESSION", "STATUS", "ROTATIONS", "LAST", "NEXT", "DEADLINE"]
    assert re.fullmatch(rf"{name}  active  0 +\d s ago  in 1\d min  in 90 min", line)


def test_a_list_can_be_narrowed_to_one_status(terminal, upstream, name):
    other = terminal.log_in("ana@example.com", "correct horse", "--fingerprint", "e" * 50)
    terminal.run("logout", other)

    active = json.loads(terminal.run("sessions", "--status", "active", "--json").out)
    ended = json.loads(terminal.run("sessions", "--status", "ended", "--json").out)

    assert [session["session"] for session in active] == [name]
    assert [session["session"] for session in ended] == [other]
    assert (ended[0]["why"], ended[0]["what_to_do"]) == ("it was logged out here", "Nothing to do.")


@pytest.mark.slow
def test_one_that_ended_stays_on_the_list_after_its_row_is_wiped(terminal, upstream, name):
    terminal.set(AIMKEEPER_WIPE_AFTER="0")
    upstream.sim.kill("ana@example.com", F)
    terminal.run("rotate", name)
    before = json.loads(terminal.run("sessions", "--json").out)
    wipe(terminal)

    [listed] = json.loads(terminal.run("sessions", "--json").out)

    assert [session["status"] for session in before] == ["ended"]
    assert (listed["email"], listed["status"], listed["cause"]) == ("ana@example.com", "ended", "server_ended")
    assert "AimHarder ended it" in listed["why"]
    assert listed["what_to_do"] == "Log in again: aimkeeper login ana@example.com"


@pytest.mark.slow
def test_one_that_is_wiped_can_still_be_asked_after_by_its_e_mail(terminal, upstream, name):
    terminal.set(AIMKEEPER_WIPE_AFTER="0")
    upstream.sim.kill("ana@example.com", F)
    terminal.run("rotate", name)
    wipe(terminal)

    told = terminal.run("show", "ana@example.com")
    history = json.loads(terminal.run("history", "ana@example.com", "--json").out)

    assert told.status == 0
    assert re.search(r"Ended \d+ s ago: AimHarder ended it .* Log in again: aimkeeper login ana@example.com", told.out)
    assert shown(terminal, "ana@example.com")["cause"] == "server_ended"
    assert [item["what"] for item in history][-2:] == ["ended", "wiped"]


def wipe(terminal):
    """What a worker does about once a minute."""

    async def work():
        async with a_service() as service:
            await service.store.wipe(keep_rows=False)

    asyncio.run(work())


# ---------------------------------------------------------------- show


@pytest.mark.parametrize("spelling", ["ana@example.com", "  ANA@example.com ", f"Ana@Example.com#{F}", "id", "ID"])
def test_a_session_answers_to_its_e_mail_its_full_name_and_its_id(terminal, name, spelling):
    identity = shown(terminal, name)["id"]
    who = {"id": identity, "ID": identity.upper()}.get(spelling, spelling)

    assert shown(terminal, who)["session"] == name


def test_a_session_nobody_keeps_is_shown_with_how_long_it_will_live(terminal, name):
    told = terminal.run("show", name).out

    assert re.search(rf"Alive until \d{{4}}-.* UTC \(in 90 min\)\. {re.escape(NOBODY)}\.", told)
    assert 'kept by    nobody yet: run "aimkeeper serve"' in told
    assert "Kept alive" not in told


@pytest.mark.slow
def test_an_ended_session_is_shown_with_why_and_what_to_do(terminal, upstream, name):
    upstream.sim.kill("ana@example.com", F)
    terminal.run("rotate", name)

    told = terminal.run("show", name).out

    assert re.search(r"Ended \d+ s ago: AimHarder ended it \(a login elsewhere", told)
    assert f"Log in again: aimkeeper login ana@example.com --fingerprint {F} (`aimkeeper revive` undoes it" in told
    assert re.search(r"^deadline +-$", told, re.MULTILINE)
    assert re.search(r"^kept by +-$", told, re.MULTILINE)


# ---------------------------------------------------------------- history


@pytest.mark.slow
def test_a_history_tells_exchanges_and_events_in_their_order_without_tokens(terminal, upstream, name):
    terminal.run("rotate", name)
    upstream.sim.kill("ana@example.com", F)
    terminal.run("rotate", name)

    told = json.loads(terminal.run("history", name, "--json").out)

    whats = [(item["via"], item["what"]) for item in told]
    assert whats[0] == ("login", "rotated")
    assert ("event", "logged_in") in whats
    assert [what for what in whats if what[0] == "token_update"][:2] == [
        ("token_update", "rotated"),
        ("token_update", "logged_out"),
    ]
    assert ("event", "suspicion") in whats
    assert whats[-1] == ("event", "ended")
    assert [item["at"] for item in told] == sorted(item["at"] for item in told)
    assert "|" not in terminal.run("history", name).out


def test_a_history_is_a_table_without_empty_details(terminal, name):
    lines = terminal.run("history", name).out.splitlines()

    assert lines[0].split() == ["AT", "VIA", "WHAT", "DETAILS"]
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  ", line) for line in lines[1:])
    assert not [line for line in lines if "None" in line or "took_ms=-1" in line]


# ---------------------------------------------------------------- check


def test_a_check_asks_upstream_whether_the_session_lives(terminal, upstream, name):
    alive = terminal.run("check", name)
    upstream.sim.kill("ana@example.com", F)
    dead = terminal.run("check", name)

    assert (alive.status, alive.out) == (0, f"{name}: AimHarder recognises it: it is alive.\n")
    assert dead.status == 5
    assert f"`aimkeeper rotate {name}` finds out" in dead.out
    assert json.loads(terminal.run("check", name, "--json").out) == {"session": name, "life": "dead"}


def test_a_check_without_a_clear_answer_is_no_verdict(terminal, upstream, name):
    upstream.sim.faults = Faults(maintenance=1.0, paths=("/api/whoami",))

    ran = terminal.run("check", name)

    assert ran.status == 4
    assert ran.complaint == "aimkeeper: AimHarder gave no clear answer (unreadable): try again in a while."


# ---------------------------------------------------------------- logout, forget


def test_a_logout_ends_it_here_only_unless_upstream_is_to_be_told(terminal, upstream, name):
    here = terminal.run("logout", name)
    assert (here.status, here.out) == (0, f"Ended {name} here; AimHarder was not told.\n")
    assert upstream.truth(name).alive

    terminal.log_in("ana@example.com", "correct horse", "--fingerprint", F)
    there = terminal.run("logout", name, "--upstream")
    assert (there.status, there.out) == (0, f"Ended {name} here and at AimHarder.\n")
    assert not upstream.truth(name).alive


def test_a_logout_that_upstream_could_not_be_told_of_says_so(terminal, upstream, name):
    upstream.sim.next("reset_before", path="/logout")

    ran = terminal.run("logout", name, "--upstream")

    assert ran.status == 4
    assert "the session ended here, but AimHarder could not be told" in ran.complaint
    assert shown(terminal, name)["status"] == Status.ENDED


def test_forgetting_leaves_nothing_to_be_found(terminal, upstream, name):
    ran = terminal.run("forget", name)

    assert (ran.status, ran.out) == (0, f"Forgot {name}: no trace is left.\n")
    assert json.loads(terminal.run("sessions", "--json").out) == []
    assert terminal.run("show", "ana@example.com").status == 2


def test_what_ended_and_was_wiped_long_ago_can_be_forgotten_too(terminal, upstream, name):
    terminal.set(AIMKEEPER_WIPE_AFTER="0")
    terminal.run("logout", name)
    wipe(terminal)
    before = terminal.run("show", "ana@example.com").status

    ran = terminal.run("forget", " Ana@Example.com ")

    assert before == 0
    assert (ran.status, ran.out) == (0, "Forgot ana@example.com: no trace is left.\n")
    assert terminal.run("show", "ana@example.com").status == 2
    assert terminal.run("forget", "ana@example.com").status == 2
