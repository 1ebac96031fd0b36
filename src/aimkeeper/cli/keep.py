"""Commands that keep sessions: serve, worker, status, open."""

import logging
import socket
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from aimkeeper.cli.terminal import AsJson, counted, do, print_json, say, settings, span
from aimkeeper.cli.words import NOBODY_YET, why
from aimkeeper.core.errors import ConfigError
from aimkeeper.core.session import Cause, Status

if TYPE_CHECKING:
    from aimkeeper.core.fleet import Fleet
    from aimkeeper.service import Service
    from aimkeeper.settings import Settings

WEEK = timedelta(days=7)
HIGHEST_PORT = 65535
PROBE_SECONDS = 0.5


def register(app: typer.Typer) -> None:
    app.command("serve", help="Keep sessions alive, and answer over HTTP.")(serve)
    app.command("worker", help="Keep sessions alive, without the HTTP API.")(worker)
    app.command("status", help="How the sessions stand, on one screen.")(status)
    app.command("open", help="Print a fresh one-time link to the page.")(open_page)


def serve(
    host: Annotated[str | None, typer.Option(help="Where to listen.")] = None,
    port: Annotated[int | None, typer.Option(help="The port; 0 = a free one.", min=0, max=65535)] = None,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Answer only; other processes rotate.")] = False,
) -> None:
    from aimkeeper.serving import bind

    chosen = settings(tells_strangers=True)
    with bind(host or chosen.host, chosen.port if port is None else port) as listening:
        _run(_serve(chosen, listening, with_worker=not no_worker))


def worker(
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Answer health and metrics there.")] = "",
    name: Annotated[str, typer.Option(help="What to call it in `status`.")] = "",
) -> None:
    from aimkeeper.serving import bind

    chosen = settings(tells_strangers=True)
    name = name or f"worker on {socket.gethostname()}"
    if not listen:
        _run(_serve(chosen, None, with_worker=True, name=name))
        return
    host, _, port = listen.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and int(port) <= HIGHEST_PORT):
        raise ConfigError(f"--listen must be HOST:PORT, like 127.0.0.1:9100, not {listen!r}.")
    with bind(host.strip("[]"), int(port)) as listening:
        _run(_serve(chosen, listening, with_worker=True, name=name, health_only=True))


def status(as_json: AsJson = False) -> None:
    told = do(_status)
    if as_json:
        print_json(told)
    else:
        _print_status(told)
    raise typer.Exit(0 if told["well"] else 1)


def open_page() -> None:
    from aimkeeper.serving import served_at, sign_in_link

    async def link(service: "Service") -> tuple[str, str]:
        base = served_at(service.settings)
        return base, await sign_in_link(service, base)

    base, address = do(link)
    say(address)
    if not _answers(base):
        say(f'Nobody answers at {base} yet: run "aimkeeper serve". The link is good for ten minutes.', err=True)


def _answers(base: str) -> bool:
    """Whether anything listens there."""
    parts = urlsplit(base)
    port = parts.port or {"https": 443}.get(parts.scheme, 80)
    try:
        with socket.create_connection((parts.hostname or "", port), timeout=PROBE_SECONDS):
            return True
    except OSError:
        return False


def _run(work: Coroutine[Any, Any, None]) -> None:
    import uvloop

    uvloop.run(work)


async def _serve(
    chosen: "Settings",
    listening: socket.socket | None,
    *,
    with_worker: bool,
    name: str = "serve",
    health_only: bool = False,
) -> None:
    from aimkeeper.service import open_service
    from aimkeeper.serving import rarely_look_for_circles, serving, sign_in_link, told_to_stop
    from aimkeeper.telemetry import set_up_logs

    set_up_logs(as_json=chosen.log_format == "json", level=logging.DEBUG if chosen.debug else logging.INFO)
    stopping = told_to_stop()
    role = "worker" if with_worker else "visitor"
    async with (
        open_service(chosen, role=role, name=name) as service,
        serving(
            service, listening, with_worker=with_worker, stopping=stopping, name=name, health_only=health_only
        ) as running,
    ):
        rarely_look_for_circles()
        for line in await _greeting(service, keeping=with_worker):
            say(line, err=True)
        if running.url and not health_only:
            say(f"Open the page: {await sign_in_link(service, chosen.app_url or running.url)}", err=True)
        elif running.url:
            say(f"Health and metrics: {running.url}", err=True)
        await stopping.wait()
        say("Stopping: sent rotations finish first.", err=True)


async def _greeting(service: "Service", *, keeping: bool) -> list[str]:
    standing, chosen = await service.standing(), service.settings
    fleet = await service.store.fleet.read()
    if fleet.moved_to is not None:
        raise ConfigError(fleet.bar or "")
    sessions = counted(standing.living, "session")
    lines = [f"{'Keeping' if keeping else 'Answering for'} {sessions} in {service.store}"]
    if not standing.living:
        lines.append("To add one: aimkeeper login you@example.com, or aimkeeper adopt FILE.jsonl")
    if fleet.bar:
        lines.append(f"Paused: {fleet.bar}")
    capacity = await service.capacity()
    if not capacity.is_enough:
        lines.append(
            f"Warning: {sessions} need {capacity.due_rate:.1f} rotations a second, and AIMKEEPER_MAX_RATE allows "
            f"{chosen.max_rate:g}: raise it, or lengthen AIMKEEPER_REFRESH_EVERY."
        )
    return lines


async def _status(service: "Service") -> dict[str, Any]:
    now = service.store.now()
    standing = await service.standing()
    workers = await service.store.owners.living_workers()
    ends = await service.store.ends_since(now - WEEK)
    fleet, capacity = await service.keeper.breaker.look(afresh=True), await service.capacity()
    lowest = (standing.next_deadline_at - now).total_seconds() if standing.next_deadline_at else None
    is_kept = bool(workers) or not standing.living
    is_calm = not (standing.at_risk or fleet.is_paused(now) or fleet.outage_at or fleet.held_at)
    return {
        "well": is_kept and is_calm and capacity.is_enough,
        "now": now.isoformat(),
        "store": str(service.store),
        "sessions": {status.value: count for status, count in standing.by_status.items() if count},
        "kept_by": [
            {"name": w.name, "pid": w.pid, "last_tick": w.tick_at.isoformat() if w.tick_at else None} for w in workers
        ],
        "overdue": standing.overdue,
        "at_risk": standing.at_risk,
        "failing": standing.failing,
        "next_due": standing.next_due_at.isoformat() if standing.next_due_at else None,
        "next_deadline": standing.next_deadline_at.isoformat() if standing.next_deadline_at else None,
        "lowest_slack_seconds": round(lowest) if lowest is not None else None,
        "upstream": _upstream(fleet, now),
        "held_verdicts": standing.by_status.get(Status.SUSPECTED, 0),
        "capacity": {
            "due_per_second": round(capacity.due_rate, 3),
            "allowed_per_second": capacity.allowed_rate,
            "measured_per_second": round(capacity.measured_rate, 3),
            "enough": capacity.is_enough,
        },
        "ended_this_week": [
            {"email": fact.email, "at": fact.at.isoformat(), "cause": fact.data.get("cause")} for fact in ends
        ],
    }


def _print_status(told: dict[str, Any]) -> None:
    now = datetime.fromisoformat(told["now"])
    when = {name: datetime.fromisoformat(told[name]) if told[name] else None for name in ("next_due", "next_deadline")}
    say(f"Store      {told['store']}")
    counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in told["sessions"].items())
    say(f"Sessions   {counts or 'none yet: aimkeeper login you@example.com'}")
    keepers = ", ".join(
        f"{keeper['name']} (pid {keeper['pid']}, last tick {_last_tick(keeper['last_tick'], now)})"
        for keeper in told["kept_by"]
    )
    say(f"Kept by    {keepers or NOBODY_YET}")
    say(f"Next due   {span(when['next_due'], now)}, next deadline {span(when['next_deadline'], now)}")
    say(f"Upstream   {told['upstream']}")
    rates = told["capacity"]
    enough = "" if rates["enough"] else ": not enough, raise AIMKEEPER_MAX_RATE"
    say(
        f"Capacity   {rates['due_per_second']:g} rotations a second are needed, "
        f"{rates['allowed_per_second']:g} allowed, {rates['measured_per_second']:g} made lately{enough}"
    )
    if told["held_verdicts"]:
        say(f"Verdicts   {told['held_verdicts']} held back: aimkeeper verdicts list")
    say(f"Trouble    {told['overdue']} overdue, {told['failing']} failing, {told['at_risk']} at risk")
    say(f"Ended      {len(told['ended_this_week'])} this week")
    for end in told["ended_this_week"][:10]:
        cause = Cause(end["cause"]) if end["cause"] else None
        say(f"           {end['email']} {span(datetime.fromisoformat(end['at']), now)}: {why(cause)}")


def _upstream(fleet: "Fleet", now: datetime) -> str:
    """What holds for all sessions, in words."""
    if fleet.is_paused(now):
        until = f"until {fleet.paused_until:%H:%M} UTC" if fleet.paused_until else "until `aimkeeper resume`"
        return f"paused: {fleet.bar}" if fleet.bar else f"paused {until}"
    if fleet.is_out:
        return f"answers nobody since {span(fleet.outage_at, now)}: verdicts are frozen, one probe at a time goes out"
    if fleet.outage_at:
        return "answers again: the rate is rising"
    if fleet.is_throttled(now):
        return f"asked everybody to wait, until {span(fleet.throttled_until, now)}"
    if fleet.held_at:
        return f"told too many to log out at once, {span(fleet.held_at, now)}: no end is declared"
    return "as usual"


def _last_tick(text: str | None, now: datetime) -> str:
    return span(datetime.fromisoformat(text), now) if text else "not yet"
