"""What the reference pages list is what there is, no more and no less."""

import re
import subprocess
import sys
import tomllib
from dataclasses import fields

import pytest
import typer

from aimkeeper.cli.main import EXIT_STATUS, app
from aimkeeper.core import errors
from aimkeeper.core.events import EventKind
from aimkeeper.core.outcome import Life, Reason
from aimkeeper.core.session import Cause, Status
from aimkeeper.settings import Settings
from aimkeeper.simulator import Rules
from aimkeeper.web.app import HEALTH_ROUTES, ROUTES
from aimkeeper.web.errors import CODES, STATUS

HTTP, EVENTS, UPSTREAM = "docs/reference/http.md", "docs/reference/events.md", "docs/upstream.md"
SETTINGS = [name for item in fields(Settings) for name in item.metadata["names"]]


def section(page: str, heading: str) -> str:
    """What stands below *heading*, up to the next one as high."""
    _, _, below = page.partition(f"\n{heading}\n")
    assert below, f"there is no heading {heading!r}"
    return re.split(rf"^{heading.split(maxsplit=1)[0]} ", below, maxsplit=1, flags=re.MULTILINE)[0]


def first_cells(text: str) -> set[str]:
    """The words in backticks in the first column of the tables in *text*."""
    rows = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| `")]
    return {word for row in rows for word in re.findall(r"`([^`]+)`", row)}


@pytest.mark.slow
def test_the_generated_pages_are_what_the_code_says_today(root):
    checked = subprocess.run(
        [sys.executable, "tools/docs.py", "--check"], cwd=root, capture_output=True, text=True, check=False
    )

    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.slow
def test_a_stale_generated_page_is_noticed(root, tmp_path):
    code = (root / "tools/docs.py").read_text("utf-8")
    (tmp_path / "docs/reference").mkdir(parents=True)
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/docs.py").write_text(code, "utf-8")
    (tmp_path / "docs/reference/cli.md").write_text("# Command line\n", "utf-8")

    checked = subprocess.run(
        [sys.executable, "tools/docs.py", "--check"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert checked.returncode == 1
    assert "docs/reference/cli.md is stale" in checked.stderr


@pytest.mark.parametrize(
    ("heading", "words"),
    [("## Events", EventKind), ("## Causes", Cause), ("## States", Status)],
    ids=["every kind of event", "every cause of an end", "every state"],
)
def test_the_page_of_events_lists(pages, heading, words):
    assert first_cells(section(pages[EVENTS], heading)) == {word.value for word in words}


def test_the_page_of_events_lists_everything_an_exchange_can_bring(pages):
    came = section(pages[EVENTS], "## Exchanges").partition("| What | Came |")[2]

    assert first_cells(came) == {"rotated", "logged_out", *(word.value for word in (*Reason, *Life))}


def test_the_page_of_http_lists_every_route_there_is_and_no_other(pages):
    told = set(re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (/[^\s`?]*)", pages[HTTP]))
    told |= {("POST", path) for path in re.findall(r"`GET` or `POST (/[^\s`?]*)", pages[HTTP])}

    there = {
        (method, path.replace(":str}", "}").replace(":path}", "}").replace("{session_id}", "{id}"))
        for route in ROUTES
        for path in route.paths
        for method in route.http_methods
    }
    assert told == there


def test_the_health_routes_are_those_a_worker_answers(pages):
    told = first_cells(section(pages[HTTP], "## Health").partition("| Metric |")[0])

    assert told == {f"GET {path}" for route in HEALTH_ROUTES for path in route.paths}


def test_the_page_of_http_lists_every_error_with_its_status(pages):
    rows = [line for line in section(pages[HTTP], "## Errors").splitlines() if re.match(r"\| \d", line)]
    told = {
        (int(row.split(" | ")[0][2:]), code) for row in rows for code in re.findall(r"`(\w+)`", row.split(" | ")[1])
    }

    def status(kind):
        return next(STATUS[parent] for parent in kind.__mro__ if parent in STATUS)

    ours = {(status(kind), kind.code) for kind in vars(errors).values() if _is_error(kind)}
    assert ours <= told
    assert told - ours == {(status, code) for code, status in CODES.items()}


def _is_error(kind):
    return isinstance(kind, type) and issubclass(kind, errors.AimkeeperError)


def test_every_exit_status_has_a_meaning(pages):
    told = {int(status) for status in re.findall(r"^\| (\d+) \|", pages["docs/reference/cli.md"], re.MULTILINE)}

    assert told == {0, 130, *EXIT_STATUS.values()}


def _commands() -> set[str]:
    root = typer.main.get_command(app)
    return {name for name, command in root.commands.items() if not hasattr(command, "commands")} | {
        f"{name} {below}" for name, command in root.commands.items() for below in getattr(command, "commands", {})
    }


def test_the_pages_name_no_command_that_does_not_exist(pages):
    groups = {name.partition(" ")[0] for name in _commands() if " " in name}
    called = re.compile(r"(?:`|^\$ |\(|/|=| )aimkeeper ([a-z]+)(?: ([a-z-]+))?(?=[ `\n\"])", re.MULTILINE)
    wrong = []
    for page, text in pages.items():
        shown = "\n".join(re.findall(r"`[^`\n]+`|^\$ .*$|^ExecStart=.*$", text, re.MULTILINE))
        for first, second in called.findall(shown):
            name = f"{first} {second}" if first in groups else first
            if name not in _commands():
                wrong.append(f"{page}: aimkeeper {name}")

    assert wrong == []


def test_the_pages_name_no_setting_that_does_not_exist(pages):
    theirs = {"AIMHARDER_TOKEN", "AIMHARDER_COOKIE"}  # what `exec` sets
    theirs |= {"AIMKEEPER_CREDENTIALS_URL", "AIMKEEPER_CREDENTIALS_BEARER"}
    known = theirs | {name for setting in SETTINGS for name in (setting, f"{setting}_FILE")}
    wrong = [
        f"{page}: {name}"
        for page, text in pages.items()
        for name in re.findall(r"\b(?:AIMKEEPER|AIMHARDER|TOKEN)_[A-Z_]+\b", text)
        if name not in known
    ]

    assert wrong == []


def test_every_rule_of_the_simulator_is_an_open_question(pages):
    told = first_cells_of_column(section(pages[UPSTREAM], "## Open questions"), 1)

    assert told == {field.name for field in fields(Rules)}


def first_cells_of_column(text: str, column: int) -> set[str]:
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ") and " | `" in line]
    return {word for row in rows for word in re.findall(r"`([a-z_]+)`", row[column])}


def test_every_runtime_dependency_has_its_reason_written_down(pages, root):
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    asked_for = {re.match(r"[\w-]+", line)[0] for line in project["dependencies"]}

    assert first_cells(pages["docs/decisions/0003-dependencies.md"]) == asked_for
