"""The alert rules: proved by promtool, shown to sound and to be silent, and each with a page that says what to do."""

import re

import pytest
import yaml

from .conftest import OPS, ROOT, RUNBOOK, tool

RULES, TESTS = OPS / "prometheus" / "rules.yml", OPS / "prometheus" / "rules_test.yml"
ALERTS = [rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]]
NAMES = [alert["alert"] for alert in ALERTS]
# A page answers what somebody asks who is woken by it.
HEADINGS = ["What it means", "What to look at", "What to do"]


def cases() -> list[dict]:
    return [case for test in yaml.safe_load(TESTS.read_text("utf-8"))["tests"] for case in test["alert_rule_test"]]


def test_promtool_proves_that_each_alert_sounds_when_it_should():
    proved = tool("test", "rules", str(TESTS))

    assert (proved.returncode, proved.stderr) == (0, "")
    assert "SUCCESS" in proved.stdout


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("> 60\n", "> 6000\n"), ("offset 10m)\n", "offset 1m)\n"), ('kind="ended"', 'kind="suspicion"')],
    ids=["a limit", "a span of time", "a label"],
)
def test_a_rule_that_is_changed_is_noticed(tmp_path, right, wrong):
    text = RULES.read_text("utf-8")
    assert text.count(right) == 1
    (tmp_path / "rules.yml").write_text(text.replace(right, wrong), "utf-8")
    (tmp_path / "rules_test.yml").write_text(TESTS.read_text("utf-8"), "utf-8")

    assert tool("test", "rules", str(tmp_path / "rules_test.yml")).returncode == 1


def test_prometheus_can_be_started_with_what_is_here():
    checked = tool("check", "config", str(OPS / "prometheus" / "prometheus.yml"))

    assert (checked.returncode, checked.stderr) == (0, "")


def test_no_two_alerts_have_one_name():
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_alert_is_shown_to_sound_and_to_be_silent(name):
    outcomes = {bool(case["exp_alerts"]) for case in cases() if case["alertname"] == name}

    # One that there is nothing to wait for is silent before it sounds.
    assert outcomes == {True, False}


@pytest.mark.parametrize("alert", ALERTS, ids=NAMES)
def test_each_alert_says_how_bad_it_is_and_where_its_page_lies(alert):
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook"}
    page = ROOT / alert["annotations"]["runbook"]
    assert page.parent == RUNBOOK
    text = page.read_text("utf-8")
    assert alert["alert"] in text.partition("\n## ")[0]
    assert re.findall(r"^## (.+)$", text, re.MULTILINE)[:3] == HEADINGS
    assert all(len(part.split()) > 10 for part in re.split(r"^## .+$", text, flags=re.MULTILINE)[1:4])


def test_every_page_of_the_runbook_is_an_alert_s_and_the_list_of_them_is_whole():
    theirs = {alert["annotations"]["runbook"].rpartition("/")[2]: alert["alert"] for alert in ALERTS}
    index = (RUNBOOK / "index.md").read_text("utf-8")

    listed = dict(re.findall(r"^\| \[(?P<name>Aimkeeper\w+)\]\((?P<page>[\w-]+\.md)\) \|", index, re.MULTILINE))

    assert {path.name for path in RUNBOOK.glob("*.md")} == {*theirs, "index.md"}
    assert listed == {name: page for page, name in theirs.items()}
    for alert in ALERTS:
        row = next(line for line in index.splitlines() if line.startswith(f"| [{alert['alert']}]"))
        assert row.split(" | ")[1] == alert["labels"]["severity"]
