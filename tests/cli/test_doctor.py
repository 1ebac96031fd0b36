"""doctor: what it says of a machine on which all is well, of settings and files, and that no secret is in it."""

import pytest

from aimkeeper.store.seal import new_key

EMAIL = "ana@example.com"
PASSWORD = "correct horse"


# ---------------------------------------------------------------- well


def test_where_nobody_has_logged_in_yet_it_looks_at_what_is_there_and_makes_nothing(terminal, upstream):
    status, found, _ = terminal.examined()

    assert status == 0
    assert found["store"] == [
        ("note", f"nothing is stored in {terminal.data / 'aimkeeper.db'} yet: `aimkeeper login` makes it.")
    ]
    assert [level for level, _ in found["upstream"]] == ["ok", "ok"]
    assert not terminal.data.exists()


def test_of_a_kept_session_everything_is_looked_at_and_only_who_keeps_it_is_missing(terminal, upstream):
    terminal.log_in()

    status, found, _ = terminal.examined()

    assert status == 1
    assert {about for about, told in found.items() if told[0][0] == "ok"} == {
        "settings", "files", "store", "keys", "size", "upstream", "clock", "session",
    }  # fmt: skip
    assert found["workers"] == [("warning", "nobody keeps the sessions: run `aimkeeper serve`.")]


def test_for_people_it_is_a_line_for_each(terminal, upstream):
    name = terminal.log_in()

    ran = terminal.run("doctor")

    assert f"ok       session   AimHarder recognises {name}." in ran.out.splitlines()
    assert "What AimHarder shows here of what is not known about it:" in ran.out


def test_it_spends_no_token_unless_it_is_told_to(terminal, upstream):
    name = terminal.log_in()
    before = upstream.truth(name).token

    terminal.examined()
    looked = upstream.truth(name).token
    _, found, shown = terminal.examined(name, "--rotate")

    assert looked == before != upstream.truth(name).token
    assert found["rotation"] == [("ok", f"{name} was rotated.")]
    assert shown["What content type has the JSON of tokenUpdate?"] == "text/html"
    assert shown["Does tokenUpdate renew amhrdrauth and PHPSESSID?"] == "it set AWSALB, AWSALBCORS"
    assert shown["Is our address welcome?"] == "yes"


def test_every_question_it_answers_is_one_of_those_that_are_open(terminal, upstream, request):
    questions = (request.config.rootpath / "docs/upstream.md").read_text().partition("## Open questions")[2]

    _, _, shown = terminal.examined()

    assert [each for each in shown if each not in questions.replace("`", "")] == []


def test_somebody_who_is_not_kept_here_is_not_known(terminal, upstream):
    terminal.log_in()

    ran = terminal.run("doctor", "nobody@example.com")

    assert ran.status == 2
    assert "no session answers to 'nobody@example.com'" in ran.err


# ---------------------------------------------------------------- settings and files


def test_a_variable_that_is_no_setting_is_told(terminal, upstream):
    terminal.set(AIMKEEPER_IDLE_TIMEOUTS="1h")

    status, found, _ = terminal.examined()

    assert status == 1
    assert any("did you mean AIMKEEPER_IDLE_TIMEOUT?" in told for _, told in found["settings"])


@pytest.mark.parametrize("name", ["secret.key", "aimkeeper.db", "aimkeeper.db-owners"])
def test_a_file_that_others_may_read_is_told_with_what_to_do(terminal, upstream, name):
    terminal.log_in()
    path = terminal.data / name
    path.chmod(0o755 if path.is_dir() else 0o644)

    _, found, _ = terminal.examined()

    [(level, told)] = found["files"]
    assert level == "warning"
    assert told == f"others of this machine may read {path}: chmod {'700' if path.is_dir() else '600'} {path}"


def test_a_file_of_settings_that_others_may_read_is_told(terminal, upstream):
    (terminal.folder / ".env").write_text("CRON_SECRET=a-secret-of-cron\n")
    (terminal.folder / ".env").chmod(0o640)

    _, found, _ = terminal.examined()

    assert found["files"] == [
        ("warning", f"others of this machine may read {terminal.folder}/.env: chmod 600 {terminal.folder}/.env")
    ]


def test_a_disk_that_is_nearly_full_is_told(terminal, upstream, monkeypatch):
    terminal.log_in()
    free = type("Usage", (), {"free": 100 * 1024 * 1024})
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: free)

    _, found, _ = terminal.examined()

    assert found["files"] == [("warning", f"only 100 MB are free where {terminal.data} lies: make room.")]


@pytest.mark.parametrize(
    ("mounts", "is_told"),
    [
        ("/dev/vda / ext4 rw 0 0\nbox:/export {data} nfs4 rw 0 0\n", True),
        ("box:/export / nfs4 rw 0 0\n/dev/vda {data} ext4 rw 0 0\n", False),
        ("", False),
    ],
    ids=["another machine's", "a disk of this one below another's", "nobody knows"],
)
def test_a_disk_of_another_machine_is_told(terminal, upstream, monkeypatch, mounts, is_told):
    terminal.log_in()
    (terminal.folder / "mounts").write_text(mounts.format(data=terminal.data))
    monkeypatch.setattr("aimkeeper.doctor.files.MOUNTS", terminal.folder / "mounts")

    _, found, _ = terminal.examined()

    assert (found["files"][0][0] == "failed") is is_told
    assert ("lies on another machine (nfs4)" in found["files"][0][1]) is is_told


def test_a_folder_that_can_not_be_read_is_told(terminal, upstream, monkeypatch):
    terminal.log_in()

    def refuse(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr("shutil.disk_usage", refuse)

    _, found, _ = terminal.examined()

    assert found["files"] == [("failed", f"{terminal.data} can't be looked at: Permission denied.")]


# ---------------------------------------------------------------- no secret


def test_whatever_is_planted_nothing_of_it_is_told(terminal, upstream):
    planted = {
        "AIMKEEPER_API_KEY": "operator-key-4711-4711", "CRON_SECRET": "cron-secret-4711",
        "DISCORD_WEBHOOK_URL": "https://discord.com/api/webhooks/1/discord-secret-4711",
        "AIMKEEPER_NOTIFY_URLS": "tgram://bot-secret-4711/1", "AIMKEEPER_WEBHOOK_URL": "https://example.com/hook-4711",
        "AIMKEEPER_WEBHOOK_SECRET": "webhook-secret-4711-4711", "AIMKEEPER_HEARTBEAT_URL": "https://example.com/beat-4711",
        "AIMKEEPER_SECRET_KEYS": new_key(),
    }  # fmt: skip
    terminal.set(**planted)
    name = terminal.log_in(EMAIL, PASSWORD, "--remember")
    truth = upstream.truth(name)
    secrets = {*planted.values(), PASSWORD, truth.token} - {""}
    proxied = "http://user:proxy-password-4711@127.0.0.1:1"

    said = [terminal.run("doctor", *more) for more in ((), ("--json",), ("--rotate",), (name, "--rotate", "--json"))]
    terminal.set(AIMKEEPER_UPSTREAM_PROXY=proxied)
    said.append(terminal.run("doctor"))
    terminal.set(AIMKEEPER_DATABASE_URL="postgresql://ana:db-password-4711@127.0.0.1:1/kept")
    said.append(terminal.run("doctor"))

    secrets |= {"discord-secret-4711", "bot-secret-4711", "hook-4711", "beat-4711"}
    secrets |= {upstream.truth(name).token, "proxy-password-4711", "db-password-4711"}
    told = "".join(ran.out + ran.err for ran in said)
    assert name in told
    assert [secret for secret in secrets if secret in told] == []
