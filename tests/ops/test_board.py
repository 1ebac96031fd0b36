"""The board and the rules speak of metrics and labels that exist, and the board shows them all."""

import json
import re
from itertools import combinations

import pytest
import yaml

from .conftest import OPS, tool
from .test_metrics import LABELS
from .test_rules import ALERTS, NAMES

BOARD = json.loads((OPS / "grafana" / "boards" / "aimkeeper.json").read_text("utf-8"))
PANELS = {panel["title"]: panel for panel in BOARD["panels"]}
EXPRESSIONS = [(panel["title"], target["expr"]) for panel in BOARD["panels"] for target in panel["targets"]]
IDS = [f"{title} {number}" for number, (title, _) in enumerate(EXPRESSIONS)]
# Prometheus' own.
OWN_LABELS = {"job", "instance", "le"}
GRAFANA = {"$__rate_interval": "1m", "$job": ".*"}
WORDS = re.compile(r"\baimkeeper_\w+")


def plain(expression: str) -> str:
    for variable, value in GRAFANA.items():
        expression = expression.replace(variable, value)
    return expression


@pytest.fixture
async def there(stage) -> dict[str, set[str]]:
    """Every name that can be asked for, with its labels."""
    await stage.adopt()
    async with stage.working():
        await stage.text()
    names: dict[str, set[str]] = {}
    for family in stage.telemetry.registry.collect():
        for sample in family.samples:
            names.setdefault(sample.name, set()).update({*LABELS.get(family.name, ()), *OWN_LABELS})
    return names


@pytest.mark.parametrize(("_", "expression"), EXPRESSIONS, ids=IDS)
async def test_a_panel_asks_for_metrics_that_exist_by_labels_that_they_have(there, _, expression):
    asked = WORDS.findall(expression)

    assert asked
    assert [name for name in asked if name not in there] == []
    for name, matchers in re.findall(r"\b(aimkeeper_\w+)\{([^}]*)\}", expression):
        assert set(re.findall(r"(\w+)[!=]~?=?\"", matchers)) <= there[name]
    for grouping in re.findall(r"by \(([^)]*)\)", expression):
        assert all(label.strip() in set().union(*(there[name] for name in asked)) for label in grouping.split(","))


@pytest.mark.parametrize("alert", ALERTS, ids=NAMES)
async def test_a_rule_asks_for_metrics_that_exist(there, alert):
    asked = re.findall(r"\b(?:aimkeeper_\w+|up\b)", alert["expr"])

    assert asked
    assert [name for name in asked if name not in {*there, "up"}] == []


async def test_the_board_shows_every_metric_there_is(there):
    shown = {name for _, expression in EXPRESSIONS for name in WORDS.findall(expression)}

    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in there}
    assert {re.sub(r"_(bucket|count|sum)$", "", name) for name in shown} == families


def test_prometheus_understands_what_the_panels_ask(tmp_path):
    rules = [{"record": f"panel:{number}", "expr": plain(expr)} for number, (_, expr) in enumerate(EXPRESSIONS)]
    rules.append({"record": "alerts:0", "expr": BOARD["annotations"]["list"][0]["expr"]})
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}), "utf-8")

    checked = tool("check", "rules", str(path))

    assert (checked.returncode, checked.stderr) == (0, "")
    assert f"{len(rules)} rules found" in checked.stdout


def test_every_panel_and_every_question_names_the_data_source_that_is_provisioned():
    provisioned = yaml.safe_load((OPS / "grafana/provisioning/datasources/prometheus.yml").read_text("utf-8"))
    [source] = provisioned["datasources"]

    named = re.findall(r'"uid": "([^"]+)"', json.dumps({**BOARD, "uid": None}))

    assert set(named) == {source["uid"]}
    assert len(named) >= len(EXPRESSIONS) + len(PANELS)


def test_the_folder_of_boards_is_the_one_that_is_provisioned():
    provisioned = yaml.safe_load((OPS / "grafana/provisioning/dashboards/aimkeeper.yml").read_text("utf-8"))
    [provider] = provisioned["providers"]

    folder = OPS / provider["options"]["path"].removeprefix("${KEEPER_OPS}/")

    assert [path.name for path in folder.iterdir()] == ["aimkeeper.json"]


def test_panels_have_ids_and_titles_of_their_own_say_what_they_show_and_lie_side_by_side():
    panels = BOARD["panels"]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(PANELS) == len(panels)
    assert [panel["title"] for panel in panels if not panel["description"].endswith(".")] == []
    for one, other in combinations((panel["gridPos"] for panel in panels), 2):
        apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart = apart or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart, (one, other)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)


def test_fleet_wide_numbers_are_never_added_up_over_processes():
    fleet = ("sessions", "spares", "outage", "verdicts_held", "throttled", "paused", "workers", "rate", "slack_seconds")
    added = [
        expression
        for _, expression in [*EXPRESSIONS, *((alert["alert"], alert["expr"]) for alert in ALERTS)]
        for inner in re.findall(r"sum(?: by \([^)]*\))? ?\((aimkeeper_\w+)", expression)
        if inner.endswith(fleet)
    ]

    assert added == []
