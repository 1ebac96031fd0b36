"""The workflow template's own steps, run by bash against a served aimkeeper; Discord is a receiver on a socket."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from .conftest import CRON, DEVICE, ODD, Keeper, Receiver
from .runner import NOTIFY, REFRESH, RESULTS, SETTINGS, STATISTICS, SUMMARY, WORKFLOW

pytestmark = pytest.mark.slow

NOW = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"


def counts(processed, successful, failed, logged_out) -> dict[str, str]:
    told = {"processed": processed, "successful": successful, "failed": failed, "logged_out": logged_out}
    return {name: str(count) for name, count in (told | {"skipped": 0, "remaining": 0}).items()}


def summary_of(status: str, *results: str, more: str = "") -> re.Pattern:
    parts = ["## Token Refresh Summary", f"{status}{more}"]
    if results:
        parts.append("\n".join(["📊 **Results**:", *results]))
    return re.compile("\n\n".join(map(re.escape, parts)) + rf"\n\n\*\*Timestamp\*\*: {NOW}\n")


FAILED = "❌ **Status**: Failed\n\nPlease check the logs for more details."
SUCCESS = "✅ **Status**: Success"


# ------------------------------------------------------------ the file itself


def test_it_is_the_original_s_schedule_with_no_permission_no_checkout_and_a_limit_of_time():
    workflow = yaml.safe_load(WORKFLOW.read_text("utf-8"))
    [job] = workflow["jobs"].values()

    # YAML 1.1 reads the key `on` as true.
    assert workflow[True] == {"schedule": [{"cron": "*/15 * * * *"}], "workflow_dispatch": None}
    assert (workflow["name"], list(workflow["jobs"])) == ("Token Refresh Automation", ["token-refresh"])
    assert workflow["permissions"] == {}
    assert workflow["concurrency"] == {"group": "token-refresh", "cancel-in-progress": False}
    assert (job["runs-on"], job["timeout-minutes"]) == ("ubuntu-latest", 10)
    assert [step["name"] for step in job["steps"]] == [SETTINGS, REFRESH, STATISTICS, NOTIFY, SUMMARY]
    assert not [step for step in job["steps"] if "uses" in step]


def test_no_script_holds_an_expression_for_what_it_brings_could_be_a_command():
    [job] = yaml.safe_load(WORKFLOW.read_text("utf-8"))["jobs"].values()

    assert [step["name"] for step in job["steps"] if "${{" in step["run"]] == []


def test_each_step_is_given_the_secrets_it_needs_and_no_other():
    [job] = yaml.safe_load(WORKFLOW.read_text("utf-8"))["jobs"].values()
    given = {step["name"]: set(re.findall(r"secrets\.(\w+)", str(step.get("env", "")))) for step in job["steps"]}

    assert given == {
        SETTINGS: {"APP_URL", "CRON_SECRET"},
        REFRESH: {"CRON_SECRET"},
        STATISTICS: {"CRON_SECRET"},
        NOTIFY: {"DISCORD_WEBHOOK_URL"},
        SUMMARY: set(),
    }


# ------------------------------------------------------------ all is well


def test_what_is_due_is_rotated_once_and_counted(keeper, repository, discord):
    keeper.adopt(3)
    repository.secrets["APP_URL"] = keeper.url

    ran = repository.run()

    assert (ran.status, keeper.rotations()) == ("success", [1, 1, 1])
    assert ran.outputs["refresh"] == counts(3, 3, 0, 0)
    statistics = ran.outputs["statistics"]
    assert (statistics["total"], statistics["active"], statistics["recently_updated"]) == ("3", "3", "3")
    assert (statistics["overdue"], statistics["at_risk"], statistics["failing"]) == ("0", "0", "0")
    assert 5000 < int(statistics["lowest_slack_seconds"]) <= 5400
    assert summary_of(
        SUCCESS,
        "- Processed: 3 sessions",
        "- Successful: 3 sessions",
        "- Failed: 0 sessions",
        "- Logged out: 0 sessions",
        "- Skipped: 0 sessions",
        "- Remaining: 0 sessions",
        "- Overdue: 0 sessions",
        "- Lowest slack: 89 minutes",
    ).fullmatch(ran.summary)
    assert ran.outcomes[NOTIFY] == "skipped"
    assert discord.told == []


def test_when_nothing_is_due_nothing_is_wrong(keeper, repository):
    repository.variables["APP_URL"] = keeper.url

    ran = repository.run()

    assert (ran.status, ran.outputs["refresh"]) == ("success", counts(0, 0, 0, 0))
    assert "- Lowest slack: none\n" in ran.summary


def test_a_session_that_the_site_logged_out_is_no_failure_of_the_run(keeper, repository):
    [email, _] = keeper.adopt(2)
    keeper.site.sim.kill(email, DEVICE)
    repository.secrets["APP_URL"] = keeper.url

    ran = repository.run()

    assert (ran.status, ran.outputs["refresh"]) == ("success", counts(2, 1, 0, 1))
    assert "1 times: session_ended" in ran.logs[REFRESH]


@pytest.mark.parametrize(
    ("before", "after"),
    [("", "/"), ("", "//"), (" \n\t", "\n"), ("", "\r\n")],
    ids=["a slash", "two slashes", "white space around it", "a line end of Windows"],
)
def test_an_address_pasted_with_something_around_it_is_understood(keeper, repository, before, after):
    keeper.adopt(1)
    repository.secrets["APP_URL"] = f"{before}{keeper.url}{after}"
    repository.secrets["CRON_SECRET"] = f"{CRON}{after.strip('/')}"

    ran = repository.run()

    assert (ran.status, ran.outputs["refresh"]["successful"]) == ("success", "1")


def test_an_address_with_a_path_before_it_is_used_as_it_is(repository):
    repository.github["GITHUB_REPOSITORY"] = ODD
    with Receiver() as proxy:
        proxy.status, proxy.answer = 200, json.dumps({"results": dict.fromkeys(RESULTS, 0)}).encode()
        repository.secrets["APP_URL"] = f"{proxy.url}/kee{{p,er}}/[1]/"

        ran = repository.run()

    assert ran.status == "success"
    assert [(told.method, told.path) for told in proxy.told] == [
        ("POST", "/kee{p,er}/[1]/api/tokenUpdate?action=bulk-update"),
        ("GET", "/kee{p,er}/[1]/api/tokenUpdate?action=stats"),
    ]
    assert {told.headers["Authorization"] for told in proxy.told} == {f"Bearer {CRON}"}
    assert proxy.told[0].headers["Content-Length"] == "0"


# ------------------------------------------------------------ something is wrong


def test_when_some_fail_the_run_is_good_and_says_how_many(keeper, repository, discord):
    [email, *_] = keeper.adopt(3)
    keeper.site.sim.next("rate_limited", 50, session=(email, DEVICE))
    repository.secrets["APP_URL"] = keeper.url

    ran = repository.run()

    assert (ran.status, ran.outputs["refresh"]) == ("success", counts(3, 2, 1, 0))
    assert "- Failed: 1 sessions\n" in ran.summary
    assert "1 times: rate_limited" in ran.logs[REFRESH]
    assert not any(email in text for text in (ran.log, ran.summary))
    assert discord.told == []


def test_when_more_fail_than_succeed_the_run_fails_with_its_numbers_and_discord_is_told(keeper, repository, discord):
    emails = keeper.adopt(3)
    for email in emails[:2]:
        keeper.site.sim.next("rate_limited", 50, session=(email, DEVICE))
    repository.secrets["APP_URL"] = keeper.url

    ran = repository.run()

    assert (ran.status, ran.outcomes[REFRESH]) == ("failure", "failure")
    assert ran.outputs["refresh"] == counts(3, 1, 2, 0)
    assert ran.annotations("error") == ["More sessions failed (2) than succeeded (1)."]
    assert ran.summary.startswith(f"## Token Refresh Summary\n\n{FAILED}\n\n📊 **Results**:\n- Processed: 3 sessions\n")
    assert ran.outcomes[STATISTICS] == "success"
    assert len(discord.told) == 1


def test_a_service_that_is_down_is_told_to_discord_as_the_original_told_it(keeper, repository, discord):
    keeper.stop()
    repository.secrets["APP_URL"] = keeper.url

    ran = repository.run()

    assert ran.status == "failure"
    assert ran.annotations("error") == [
        "aimkeeper can't be reached (curl says 7): is it running, and is APP_URL right?"
    ]
    assert summary_of(FAILED).fullmatch(ran.summary)
    [told] = discord.told
    assert (told.method, told.path) == ("POST", "/api/webhooks/1/w3bh00k-s3cret")
    assert told.headers["Content-Type"] == "application/json"
    payload = json.loads(told.body)
    at = payload["embeds"][0]["fields"][2].pop("value").replace("UTC", "+0000")
    assert abs(datetime.now(UTC) - datetime.strptime(at, "%Y-%m-%d %H:%M:%S %z")) < timedelta(minutes=5)
    assert payload == {
        "content": "🚨 **Token Refresh Failed**",
        "embeds": [
            {
                "title": "Automated Token Refresh Failure",
                "description": "The scheduled token refresh process has failed.",
                "color": 15158332,
                "fields": [
                    {"name": "Repository", "value": "ana/keeper", "inline": True},
                    {
                        "name": "Workflow Run",
                        "value": "[42](https://github.com/ana/keeper/actions/runs/77001)",
                        "inline": True,
                    },
                    {"name": "Timestamp", "inline": True},
                ],
            }
        ],
    }


def test_a_service_that_comes_back_within_seconds_is_waited_for(tmp_path, site, repository, discord):
    with Receiver() as starting:
        starting.status, starting.headers = 503, {"Retry-After": "1"}
        repository.secrets["APP_URL"] = starting.url

        ran = repository.run()

    assert ran.status == "failure"
    assert sum(told.method == "POST" for told in starting.told) == 4
    assert ran.annotations("error") == ["aimkeeper answered with status 503."]


def test_a_wrong_secret_is_said_to_be_wrong_and_neither_is_shown(keeper, repository, discord):
    keeper.adopt(1)
    repository.secrets |= {"APP_URL": keeper.url, "CRON_SECRET": "not the right one"}

    ran = repository.run()

    assert (ran.status, keeper.rotations()) == ("failure", [0])
    [error] = ran.annotations("error")
    assert error.startswith("aimkeeper refused the secret: CRON_SECRET must be the same here and in the settings of ")
    assert error.endswith(" It says: unauthorized.")
    assert ran.annotations("warning") == ["aimkeeper told no statistics."]
    assert CRON not in ran.log
    assert len(discord.told) == 1


def test_while_an_operator_has_paused_everything_the_run_says_so(tmp_path, site, repository):
    with Keeper(tmp_path / "paused", site) as keeper:
        keeper.adopt(1)
        keeper.run("pause", "--for", "30m")
        repository.secrets["APP_URL"] = keeper.url

        ran = repository.run()

    assert (ran.status, keeper.rotations()) == ("failure", [0])
    assert ran.annotations("error") == ["aimkeeper answered with status 503. It says: paused."]


@pytest.mark.parametrize("empty", ["", " \n"], ids=["not set", "white space"])
def test_without_an_address_there_is_a_notice_and_a_good_end(repository, discord, empty):
    repository.secrets["APP_URL"] = empty

    ran = repository.run()

    assert ran.status == "success"
    [notice] = ran.annotations("notice")
    assert notice.startswith("APP_URL is not set: ")
    assert {name for name, outcome in ran.outcomes.items() if outcome == "skipped"} == {REFRESH, STATISTICS, NOTIFY}
    assert summary_of("💤 **Status**: Nothing to do\n\nAPP_URL is not set.").fullmatch(ran.summary)
    assert discord.told == []


@pytest.mark.parametrize("empty", ["", "\n"], ids=["not set", "a line end"])
def test_without_a_secret_nobody_is_asked(keeper, repository, discord, empty):
    repository.secrets |= {"APP_URL": keeper.url, "CRON_SECRET": empty}

    ran = repository.run()

    assert (ran.status, ran.outcomes[REFRESH]) == ("failure", "skipped")
    assert ran.annotations("error")[0].startswith("CRON_SECRET is not set: ")
    assert len(discord.told) == 1


@pytest.mark.parametrize(
    "address",
    ["keeper.example.org", "file:///etc/passwd", "https:///", "http:///x", "$(touch pwned)", "-o/pwned"],
    ids=["no scheme", "a file", "no host", "no host but a path", "a command", "an option of curl's"],
)
def test_an_address_of_another_kind_is_refused_with_what_it_must_be(repository, address):
    repository.secrets["APP_URL"] = address

    ran = repository.run()

    assert (ran.status, ran.outcomes[REFRESH]) == ("failure", "skipped")
    assert ran.annotations("error") == ["APP_URL must begin with https://, as in https://keeper.example.com."]
