"""Moments as answers tell them."""

from datetime import UTC, datetime

import pytest

from aimkeeper.web.described import iso


@pytest.mark.parametrize(
    ("micro", "fraction"),
    [(0, "000"), (1, "000"), (999, "000"), (1000, "001"), (120_000, "120"), (123_456, "123"), (999_999, "999")],
)
def test_a_moment_is_told_in_milliseconds_as_javascript_does(micro, fraction):
    moment = datetime(2026, 1, 2, 3, 4, 5, micro, UTC)

    assert iso(moment) == f"2026-01-02T03:04:05.{fraction}Z"
    assert iso(moment) == moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.mark.parametrize("year", [1, 1970, 9999])
def test_it_is_so_in_every_year(year):
    assert iso(datetime(year, 12, 31, 23, 59, 59, 500_000, UTC)) == f"{year:04}-12-31T23:59:59.500Z"
