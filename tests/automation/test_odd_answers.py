"""The workflow's steps before answers that are nobody's, and their word to Discord, run by bash."""

import json
import re

import pytest

from .conftest import ODD, Receiver
from .runner import NOTIFY, REFRESH, RESULTS, SUMMARY

pytestmark = pytest.mark.slow

INJECTION = "1\n::error::injected\nprocessed=99"
NO_COUNTS = "The answer holds no counts: APP_URL is not the address of an aimkeeper."


def results(**changes) -> bytes:
    return json.dumps({"results": dict.fromkeys(RESULTS, 1) | changes}).encode()


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (200, b"<html>secret stuff</html>", NO_COUNTS),
        (200, b"", NO_COUNTS),
        (200, b"[]", NO_COUNTS),
        (200, b'{"results": null}', NO_COUNTS),
        (200, b"\xff\xfe\x00", NO_COUNTS),
        (200, results(processed=INJECTION), NO_COUNTS),
        (200, results(failed=-1), NO_COUNTS),
        (200, results(failed=1.5), NO_COUNTS),
        (200, results(failed=None), NO_COUNTS),
        (200, results(failed=1e300), NO_COUNTS),
        (
            301,
            b"",
            "APP_URL leads elsewhere (status 301): set it to where it leads, mostly https:// in place of http://.",
        ),
        (400, b'{"error": "nothing here"}', "APP_URL is not the address of an aimkeeper (status 400)."),
        (404, b"<html>", "APP_URL is not the address of an aimkeeper (status 404)."),
        (418, b'{"code": "tea_pot"}', "aimkeeper answered with status 418. It says: tea_pot."),
        (418, b'{"code": "x\\n::error::injected"}', "aimkeeper answered with status 418."),
        (418, b'{"code": {"a": 1}}', "aimkeeper answered with status 418."),
    ],
)
def test_an_answer_that_is_not_aimkeeper_s_fails_the_run_and_is_not_shown(repository, status, answer, said):
    with Receiver() as stranger:
        stranger.status, stranger.answer = status, answer
        repository.secrets["APP_URL"] = stranger.url

        ran = repository.run()

    assert ran.status == "failure"
    assert ran.annotations("error") == [said]
    assert "injected" not in ran.log
    assert "secret stuff" not in ran.log
    assert ran.outputs["refresh"] == {}


def test_words_in_a_good_answer_that_are_no_codes_are_left_out(repository):
    errors = [{"code": code} for code in ("timed_out", "timed_out", "A\n::error::injected", 7, None)]
    with Receiver() as stranger:
        stranger.status, stranger.answer = 200, results(errors=errors)
        repository.secrets["APP_URL"] = stranger.url

        ran = repository.run()

    assert ran.status == "success"
    assert ran.logs[REFRESH].splitlines()[1:2] == ["2 times: timed_out"]
    assert ran.annotations("warning")[0].startswith("1 sessions are still due: ")
    assert "injected" not in ran.log
    assert set(ran.outputs["statistics"].values()) == {"unknown"}
    assert "- Overdue: unknown sessions\n- Lowest slack: unknown\n" in ran.summary


# ------------------------------------------------------------ Discord


def test_odd_names_reach_discord_as_they_are_and_nothing_of_them_is_carried_out(keeper, repository, discord):
    keeper.stop()
    repository.github = {
        "GITHUB_REPOSITORY": ODD,
        "GITHUB_RUN_NUMBER": '7"',
        "GITHUB_RUN_ID": "\\",
        "GITHUB_SERVER_URL": "é",
    }
    repository.secrets |= {"APP_URL": keeper.url, "CRON_SECRET": "x\n"}

    ran = repository.run()

    [told] = discord.told
    fields = json.loads(told.body)["embeds"][0]["fields"]
    assert [field["value"] for field in fields[:2]] == [ODD, f'[7"](é/{ODD}/actions/runs/\\)']
    assert ran.logs[NOTIFY] == "Discord was told.\n"


@pytest.mark.parametrize("url", ["", "\n"], ids=["not set", "a line end"])
def test_without_a_webhook_the_run_says_so(repository, discord, url):
    repository.secrets |= {"APP_URL": "nonsense", "DISCORD_WEBHOOK_URL": url}

    ran = repository.run()

    assert ran.logs[NOTIFY] == "No webhook URL configured for notifications\n"
    assert discord.told == []


def test_a_webhook_pasted_with_white_space_is_understood(repository, discord):
    repository.secrets |= {"APP_URL": "nonsense", "DISCORD_WEBHOOK_URL": f" {discord.url}/hook\r\n"}

    ran = repository.run()

    assert ran.logs[NOTIFY] == "Discord was told.\n"
    assert [told.path for told in discord.told] == ["/hook"]


@pytest.mark.parametrize(
    "url", ["{discord}/gone", 'not a "url"', "file:///etc/passwd"], ids=["gone", "nonsense", "a file"]
)
def test_a_webhook_that_does_not_work_is_warned_of_and_not_shown(repository, discord, url):
    discord.status = 404
    repository.secrets |= {"APP_URL": "nonsense", "DISCORD_WEBHOOK_URL": url.format(discord=discord.url)}

    ran = repository.run()

    assert (ran.status, ran.outcomes[NOTIFY], ran.outcomes[SUMMARY]) == ("failure", "success", "success")
    [warning] = ran.annotations("warning")
    assert re.fullmatch(r"It answered with status (404|000): is DISCORD_WEBHOOK_URL right\?", warning)
