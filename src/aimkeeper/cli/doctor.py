"""The command that looks for whatever could keep us from keeping."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aimkeeper.cli.terminal import AsJson, on_terminal, print_json, say

if TYPE_CHECKING:
    from aimkeeper.doctor import Finding, Shown

SomeSession = Annotated[
    str | None, typer.Argument(metavar="WHO", help="Which session AimHarder is asked about. Without: one that lives.")
]


def register(app: typer.Typer) -> None:
    app.command("doctor", help="Look for whatever is wrong, and say what to do.")(doctor)


def doctor(
    who: SomeSession = None,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Also rotate that session, to see what the answer holds.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    import asyncio

    from aimkeeper.doctor import examine, exit_status
    from aimkeeper.service import the_world
    from aimkeeper.settings import load

    findings: list[Finding] = []

    def told(finding: "Finding") -> None:
        findings.append(finding)
        if not as_json:
            grave = finding.status > 0 and on_terminal(sys.stdout)
            say(f"{finding.level:<8} {finding.about:<9} {finding.told}", bold=grave)

    shown = asyncio.run(examine(load(), the_world(), who=who, rotates=rotate, told=told))
    if as_json:
        print_json({"findings": [_described(finding) for finding in findings], "shown": _plain(shown)})
    else:
        _tell_shown(shown)
    raise typer.Exit(exit_status(findings))


def _tell_shown(shown: "list[Shown]") -> None:
    seen = [each for each in shown if each.told is not None]
    say("\nWhat AimHarder shows here of what is not known about it:" if seen else "\nOf AimHarder nothing was seen.")
    for each in seen:
        say(f"  {each.question.replace('`', '')} {each.told}.")


def _described(finding: "Finding") -> dict[str, Any]:
    return {"level": finding.level.value, "about": finding.about, "told": finding.told}


def _plain(shown: "list[Shown]") -> dict[str, str | None]:
    return {each.question.replace("`", ""): each.told for each in shown}
