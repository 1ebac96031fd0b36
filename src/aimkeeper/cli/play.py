"""Commands that need no AimHarder: demo, simulate."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from aimkeeper.core.errors import ConfigError

DEMO_SECONDS = 30


def register(app: typer.Typer) -> None:
    app.command("demo", help="Everything, offline: watch three sessions kept and one die.")(demo)
    app.command("simulate", help="Serve the AimHarder simulator.")(simulate)


def demo() -> None:
    import uvloop

    from aimkeeper.demo import play

    given = os.environ.get("DEMO_SECONDS", "")
    if given and not (given.isdigit() and int(given) > 0):
        raise ConfigError("DEMO_SECONDS must be a whole number of seconds.")
    seconds = int(given) if given else None if sys.stdin.isatty() and sys.stdout.isatty() else DEMO_SECONDS
    raise typer.Exit(0 if uvloop.run(play(seconds, say=typer.echo)) else 1)


def simulate(
    port: Annotated[int, typer.Option(help="The port; 0 = a free one.", min=0, max=65535)] = 8900,
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    faults: Annotated[Path | None, typer.Option(metavar="FILE", help="Rules and faults, as TOML.")] = None,
) -> None:
    import asyncio
    from random import Random

    from aimkeeper.clock import SystemClock
    from aimkeeper.serving import bind
    from aimkeeper.simulator import Faults, Rules, Simulator
    from aimkeeper.simulator import load as load_plan
    from aimkeeper.simulator import serve as serve_simulator

    rules, plan = Rules(), Faults()
    if faults is not None:
        try:
            rules, plan = load_plan(faults)
        except (OSError, ValueError) as error:
            raise ConfigError(f"{faults} can't be used: {error}.") from None
    bind(host, port).close()
    upstream = Simulator(rules, plan, clock=SystemClock(), rng=Random())  # noqa: S311 (it plays the network)
    typer.echo(f"AimHarder, simulated, at http://{host}:{port} (control: /_simulator/)", err=True)
    asyncio.run(serve_simulator(upstream, host, port))
