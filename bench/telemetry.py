"""
What it costs a rotation that somebody listens: microseconds, with nobody listening and with telemetry.

    python -m bench.telemetry
"""

import time
from types import SimpleNamespace

from aimkeeper.core.session import Turn
from aimkeeper.engine.keeper import Hearers
from aimkeeper.telemetry import Telemetry, set_up_logs

ROTATIONS, TRIES = 200_000, 5
# So many rotations share a commit in a busy fleet.
GROUP = 20


def service() -> SimpleNamespace:
    """As much of a service as telemetry listens to."""
    hearers = Hearers(events=[], turns=[], lateness=[], faults=[])
    committer = SimpleNamespace(exposed=lambda _: None, wrote=lambda _: None, trouble=lambda _: None)
    return SimpleNamespace(
        clock=SimpleNamespace(monotonic=time.monotonic),
        keeper=SimpleNamespace(hearers=hearers, committer=committer),
    )


def cost(heard: SimpleNamespace) -> float:
    """Microseconds a rotation, the best of several tries."""
    hearers, committer = heard.keeper.hearers, heard.keeper.committer
    turn = Turn(1.0, "rotated", "token_update", 3, 84, "f3069323e00d")
    best = float("inf")
    for _ in range(TRIES):
        since = time.perf_counter()
        for number in range(ROTATIONS):
            hearers.tell_lateness(0.02)
            committer.exposed(0.004)
            hearers.tell_turn(turn)
            if not number % GROUP:
                committer.wrote(0.003)
        best = min(best, time.perf_counter() - since)
    return best / ROTATIONS * 1e6


def main() -> None:
    set_up_logs(as_json=True)
    silent, heard = service(), service()
    Telemetry(heard)  # type: ignore[arg-type]  # it asks for nothing else here
    print(f"nobody listens: {cost(silent):.2f} us a rotation; telemetry does: {cost(heard):.2f} us")


if __name__ == "__main__":
    main()
