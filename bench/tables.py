"""What each bench found, as a table for people."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bench.plots import said

Result = dict[str, Any]
NAMES = {"sqlite": "SQLite", "postgres": "PostgreSQL"}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """In Markdown."""
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def told(spread: Sequence[float], digits: int = 0) -> str:
    """A median with its range."""
    middle, least, most = (f"{value:,.{digits}f}" for value in spread)
    return f"{middle} [{least} to {most}]"


def _rotations(result: Result) -> str:
    rounds = result["rounds"]

    def middle(who: str, name: str) -> float:
        return statistics.median(float(one[who][name]) for one in rounds)

    rows = [("bare client", f"{middle('bare', 'rate'):,.0f}", f"{middle('bare', 'cpu_us'):.0f}", "1", "1")]
    rows += [
        (
            f"aimkeeper on {NAMES[store]}",
            f"{middle(store, 'rate'):,.0f}",
            f"{middle(store, 'cpu_us'):.0f}",
            told(result[f"{store}_ratio"], 2),
            told(result[f"{store}_cpu_ratio"], 2),
        )
        for store in NAMES
    ]
    return table(("Who", "Rotations/s", "Processor µs each", "Rate : bare client", "By processor time"), rows)


def _against(result: Result) -> str:
    rows = []
    for one in result["latencies"]:
        rates, times = one["rates"], one["times"]
        best = max(NAMES, key=lambda store: rates[store][0])
        rows.append(
            (
                f"{one['milliseconds']} ms",
                told(rates["original"], 1),
                told(rates["nango"], 1),
                f"{told(rates['sqlite'])}",
                f"{told(rates['postgres'])}",
                str(one["in_flight"]),
                f"{told(times[f'{best} : original'])}",
                f"{told(times[f'{best} : nango'])}",
            )
        )
    head = ("Latency", "Original loop/s", "Nango-shaped/s", "SQLite/s", "PostgreSQL/s", "In flight")
    return table((*head, "Times the original", "Times the Nango-shaped"), rows)


def _exposure(result: Result) -> str:
    rows = [
        (
            NAMES[cell["store"]],
            str(cell["in_flight"]),
            told(cell["rate"]),
            cell_ms(cell, "exposure_p50_ms"),
            cell_ms(cell, "exposure_p99_ms"),
            cell_ms(cell, "on_the_way_p50_ms"),
            cell_ms(cell, "on_the_way_p99_ms"),
        )
        for cell in result["cells"]
    ]
    head = ("Store", "In flight", "Rotations/s", "Answer to commit p50 ms", "p99", "Send to commit p50 ms", "p99")
    return table(head, rows)


def cell_ms(cell: Result, name: str) -> str:
    return told(cell[name], 1)


def _lateness(result: Result) -> str:
    rows = [
        (
            NAMES[cell["store"]],
            f"{cell['share']:.0%} of {result['capacity'][cell['store']][0]:,.0f}/s",
            told(cell["rate"]),
            cell_ms(cell, "p50_ms"),
            cell_ms(cell, "p99_ms"),
            cell_ms(cell, "max_ms"),
        )
        for cell in result["cells"]
    ]
    return table(("Store", "Load", "Rotations/s", "Late p50 ms", "p99", "Greatest"), rows)


def _workers(result: Result) -> str:
    rows = [
        (
            str(workers),
            told(cell["rate"]),
            told(cell["worker_cpu_us"]),
            told(cell["server_cpu_us"]),
            said(cell["sessions_at_15_minutes"][0]),
        )
        for workers, cell in ((number, result[f"workers_{number}"]) for number in (1, 2))
    ]
    head = ("Workers", "Rotations/s", "Worker µs each", "PostgreSQL µs each", "Sessions at 15 minutes")
    return table(head, rows) + f"\n\nTwo bring {told(result['two_to_one'], 2)} times what one brings."


def _claims(result: Result) -> str:
    kinds = list(result["sizes"][0]["milliseconds"])
    first = result["sizes"][0]["milliseconds"]
    rows = [
        (
            f"{one['sessions']:,}",
            *(f"{took} ms ({took / first[kind]:.2f})" for kind, took in one["milliseconds"].items()),
        )
        for one in result["sizes"]
    ]
    return table(("Sessions", *kinds), rows)


def _memory(result: Result) -> str:
    rows = [
        (NAMES[cell["store"]], f"{cell['sessions']:,}", f"{cell['rotations']:,}", f"{cell['memory_mb']:.0f}",
         f"{cell['memory_peak_mb']:.0f}")
        for cell in result["cells"]
    ]  # fmt: skip
    return table(("Store", "Sessions", "Rotated meanwhile", "MB now", "MB at most"), rows)


def _credentials(result: Result) -> str:
    rows = [(f"`{route}`", told(rate), told(result["p99_ms"][route], 1)) for route, rate in result["rates"].items()]
    return table(("Route", "Requests/s", "p99 ms"), rows) + f"\n\nRatio: {told(result['ratio'], 2)}."


def _start(result: Result) -> str:
    said_of = {
        "nothing": "Python that does nothing",
        "imports": "Python that imports what `serve` needs",
        "help": "`aimkeeper --help`",
        "first_rotation": "`aimkeeper serve` until its first rotation is durable",
    }
    return table(("What", "Seconds"), [(said_of[name], told(took, 2)) for name, took in result["seconds"].items()])


def _bulk(result: Result) -> str:
    rows = [
        (NAMES[store], told(found["seconds"], 1), told(found["rate"]), told(found["remaining"]),
         told(found["memory_peak_mb"]))
        for store, found in ((store, result[store]) for store in NAMES)
    ]  # fmt: skip
    return table(("Store", f"Seconds for {result['sessions']:,}", "Rotations/s", "Left over", "MB at most"), rows)


def _adopting(result: Result) -> str:
    rows = [
        (NAMES[cell["store"]], f"{cell['lines']:,}", f"{cell['seconds']:,}", f"{cell['rate']:,}", str(cell["cpu_us"]),
         f"{cell['memory_peak_mb']:.0f}")
        for cell in result["cells"]
    ]  # fmt: skip
    return table(("Store", "Lines", "Seconds", "Lines/s", "Processor µs a line", "MB at most"), rows)


def _soak(result: Result) -> str:
    worst, mean, last = result["worst"], result["mean"], result["series"][-1]
    rows = [
        ("sessions, minutes", f"{result['sessions']:,}, {last['at'] / 60:.0f}"),
        ("rotations a second: come due, made", f"{result['due_a_second']:,}, {result['rate']:,}"),
        ("lateness, the worst five seconds: p50, p99", f"{worst['late_p50']:g} s, {worst['late_p99']:g} s at most"),
        ("exposure p99, the worst five seconds", f"{worst['exposure_p99']:g} s at most"),
        ("the worker's memory at most", f"{worst['memory_mb']:.0f} MB"),
        ("processor: worker, PostgreSQL", f"{mean['worker_cores']:.2f}, {mean['server_cores']:.2f} cores"),
        ("of two cores idle, stolen", f"{mean['idle']:.0%}, {mean['stolen']:.0%}"),
        ("log (WAL)", f"{result['log_mb_a_second']:.1f} MB a second"),
        ("growth of table, indexes", f"{result['table_growth']:.2f}, {result['indexes_growth']:.2f} times"),
        ("vacuums; dead rows at most", f"{result['vacuums']:g}; {said(worst['dead'])}"),
    ]
    return table(("What", "Figure"), rows)


TABLES: dict[str, Callable[[Result], str]] = {
    "rotations": _rotations, "against": _against, "exposure": _exposure, "lateness": _lateness, "workers": _workers,
    "claims": _claims, "memory": _memory, "credentials": _credentials, "start": _start, "bulk": _bulk,
    "adopting": _adopting, "soak": _soak,
}  # fmt: skip
