"""What the page of performance shows is what the benches left, and its plots can be read."""

import re
import xml.etree.ElementTree as ET

import msgspec
import pytest

from bench.goals import GOALS, verdicts
from bench.page import PAGE, PICTURES, page, plots, results
from bench.plots import Plot, said, ticks
from bench.tables import TABLES


def test_the_tables_are_those_of_the_results_that_are_kept():
    text = PAGE.read_text("utf-8")

    assert page(text, results()) == text, "stale: run `python -m bench.page`"


def test_the_plots_are_those_of_the_results_that_are_kept():
    there = {file.name: file.read_text("utf-8") for file in PICTURES.glob("*.svg")}

    assert there == plots(results()), "stale: run `python -m bench.page`"


def test_every_table_has_its_place_on_the_page():
    places = re.findall(r"<!-- measured: (\w+) -->", PAGE.read_text("utf-8"))

    assert sorted(places) == sorted({*TABLES, "goals", "machine"})


def test_a_changed_result_makes_the_page_stale(tmp_path):
    kept = {name: msgspec.json.encode(found) for name, found in results().items()}
    changed = kept["rotations"].replace(b'"sqlite_ratio":[', b'"sqlite_ratio":[9')
    for name, found in (kept | {"rotations": changed}).items():
        (tmp_path / f"{name}.json").write_bytes(found)

    text = PAGE.read_text("utf-8")
    assert page(text, results(tmp_path)) != text


def test_what_was_not_measured_is_said_with_the_command_that_measures_it():
    text = page(PAGE.read_text("utf-8"), {})

    for name in TABLES:
        assert f"Not measured yet: `python -m bench.{name}`." in text
    assert verdicts({}).count("not yet") == len(GOALS)


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [(0.52, "goal reached"), (0.35, "must reached"), (0.28, "missed by 20%")],
    ids=["above the goal", "just what must be", "below"],
)
def test_a_verdict_says_what_was_reached_and_by_how_much_it_was_missed(ratio, verdict):
    told = verdicts({"rotations": {"sqlite_ratio": [ratio, 0, 1], "postgres_ratio": [1, 1, 1], "rounds": ROUNDS}})

    assert f"| {ratio:.2f} | {verdict} |" in told


ROUNDS = [{"postgres": {"cpu_us": 100.0}}]


@pytest.mark.parametrize(("sessions", "verdict"), [(1_000_000, "goal reached"), (20_000, "but at a smaller size")])
def test_what_was_measured_with_too_few_sessions_is_said_so(sessions, verdict):
    told = verdicts({"memory": {"cells": [{"sessions": sessions, "memory_peak_mb": 92.0}]}})

    [row] = [line for line in told.splitlines() if line.startswith("| worker memory")]
    assert row.endswith(f"{verdict} |")


def test_a_plot_is_an_svg_that_draws_every_point_inside_its_frame():
    points = [(x, x * 3.7) for x in (1, 10, 100)]

    drawn = ET.fromstring(Plot("A & B", "n", "ms", {"one": points, "<two>": points[:2]}, log=True).svg())

    lines = [line.get("points").split() for line in drawn.iter("{http://www.w3.org/2000/svg}polyline")]
    assert [len(line) for line in lines] == [3, 2]
    _, _, width, height = map(float, drawn.get("viewBox").split())
    places = [tuple(map(float, point.split(","))) for line in lines for point in line]
    assert all(0 < x < width and 0 < y < height for x, y in places)


@pytest.mark.parametrize("most", [0.003, 1, 7, 99, 1235, 5e6])
def test_the_marks_of_an_axis_are_few_and_end_at_or_above_the_most(most):
    marks = ticks(most)

    assert 3 <= len(marks) <= 8
    assert marks[-2] < most <= marks[-1]


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.5, "0.5"), (1000, "1 k"), (1235, "1235"), (5e6, "5 M"), (810000, "810 k"), (1237280, "1.24 M")],
)
def test_large_numbers_are_said_shortly(number, text):
    assert said(number) == text
