"""Commands that need no AimHarder: demo, simulate."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from aimkeeper.cli.terminal import on_terminal, say
from aimkeeper.core.errors import ConfigError

DEMO_SECONDS = 30
LONGEST_DEMO = 86_400


def register(app: typer.Typer) -> None:
    app.command("demo", help="Everything, offline: watch three sessions kept and one die.")(demo)
    app.command("simulate", help="Serve the AimHarder simulator.")(simulate)


def demo() -> None:
    import uvloop

    from aimkeeper.demo import play

    given = os.environ.get("DEMO_SECONDS", "")
    if given and not (given.isascii() and given.isdigit() and 0 < int(given) <= LONGEST_DEMO):
        raise ConfigError(f"DEMO_SECONDS must be a whole number of seconds from 1 to {LONGEST_DEMO}.")
    seconds = int(given) if given else None if on_terminal(sys.stdin) and on_terminal(sys.stdout) else DEMO_SECONDS
    raise typer.Exit(0 if uvloop.run(play(seconds, say=say)) else 1)


def simulate(
    port: Annotated[int, typer.Option(help="The port; 0 = a free one.", min=0, max=65535)] = 8900,
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    faults: Annotated[Path | None, typer.Option(metavar="FILE", help="Rules and faults, as TOML.")] = None,
) -> None:
    import asyncio
    from random import Random

    from aimkeeper.clock import SystemClock
    from aimkeeper.serving import bind, told_to_stop
    from aimkeeper.simulator import Faults, Rules, Simulator, running
    from aimkeeper.simulator import load as load_plan

    rules, plan = Rules(), Faults()
    if faults is not None:
        try:
            rules, plan = load_plan(faults)
        except OSError as error:
            raise ConfigError(f"{faults} can't be read: {error.strerror}.") from None
        except ValueError as error:
            raise ConfigError(f"{str(error).rstrip('.')}: mend it, or leave --faults out.") from None
    bind(host, port).close()  # says in plain words why it can't be done
    upstream = Simulator(rules, plan, clock=SystemClock(), rng=Random())  # noqa: S311 (it plays the network)

    async def serve() -> None:
        stopping = told_to_stop()
        async with running(upstream, host=host, port=port) as where:
            say(f"AimHarder, simulated, at {where.url} (control: /_simulator/)", err=True)
            await stopping.wait()

    asyncio.run(serve())
