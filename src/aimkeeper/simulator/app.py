"""The simulator: an ASGI application that plays AimHarder, strikes requests with faults, and knows the truth."""

import math
import random
from collections import deque
from dataclasses import dataclass

from aimkeeper.clock import Clock
from aimkeeper.simulator import answers, control, site, wire
from aimkeeper.simulator.answers import Answer, Request
from aimkeeper.simulator.records import Grant, Logged, Reservation, Totals, Truth
from aimkeeper.simulator.rules import EVERY_PATH, PROBABILITIES, Faults, Rules, Timetable
from aimkeeper.simulator.state import Session, Standing
from aimkeeper.simulator.wire import Receive, Scope, Send
from aimkeeper.simulator.world import World

LOG_LENGTH = 1000

_SPENDING = frozenset(("/api/tokenUpdate", "/setrefresh"))
_TOLD_OF_LOGOUT = _SPENDING | {"/api/bookings", "/api/book", "/api/cancelBook"}
_AFTER_THE_WORK = frozenset(("reset_after", "truncated", "bad_json", "empty"))
_BROKEN = frozenset(("reset_before", "reset_after", "hang"))


@dataclass(slots=True)
class _Queued:
    fault: str
    times: int
    path: str
    session: Session | None


class Simulator:
    """
    A whole AimHarder in one object: `await simulator(scope, receive, send)`.

    Args:
        clock: All time is its time; deaths are judged from `boottime` whenever somebody looks, so they are exact.
        rng: Dice for faults and secrets; seed it to have the same run again.

    Attributes:
        waiting: Requests that sleep on the clock now (latency, hangs).
        in_flight: Requests being handled now, those included; control requests are not.
        log: The latest requests, without secrets.
    """

    def __init__(
        self,
        rules: Rules | None = None,
        faults: Faults | None = None,
        *,
        clock: Clock,
        rng: random.Random | None = None,
    ) -> None:
        self.clock = clock
        self.waiting = 0
        self.log: deque[Logged] = deque(maxlen=LOG_LENGTH)
        self._rng = rng or random.Random()  # noqa: S311 (dice for faults; its tokens open nothing)
        self._world = World(rules or Rules(), clock, self._rng)
        self._queue: list[_Queued] = []
        self._until = math.inf
        self._afterwards = self._faults = faults or Faults()
        self._odds = self._faults.odds()

    # ------------------------------------------------------------ what tests and demos ask and do

    @property
    def rules(self) -> Rules:
        return self._world.rules

    @rules.setter
    def rules(self, rules: Rules) -> None:
        self._world.rules = rules

    @property
    def timetable(self) -> Timetable:
        return self._world.desk.timetable

    @timetable.setter
    def timetable(self, timetable: Timetable) -> None:
        self._world.desk.timetable = timetable

    @property
    def faults(self) -> Faults:
        if self._world.seconds() >= self._until:
            self.faults = self._afterwards
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._faults, self._odds, self._until = faults, faults.odds(), math.inf

    def play(self, faults: Faults, *, seconds: float) -> None:
        """Have *faults* for so long, then again those that were set, not played, before."""
        present = self.faults
        if self._until == math.inf:
            self._afterwards = present
        self.faults = faults
        self._until = self._world.seconds() + seconds

    def next(
        self, fault: str, times: int = 1, path: str = "/api/tokenUpdate", session: tuple[str, str] | None = None
    ) -> None:
        """
        Strike the next *times* requests to *path* (`*` = any) with *fault*, whatever the dice say.

        With *session*, (e-mail, fingerprint), only its requests are meant; it must be known already.
        """
        if fault not in PROBABILITIES:
            raise ValueError(f"unknown fault {fault!r}; known are {', '.join(PROBABILITIES)}")
        self._queue.append(_Queued(fault, times, path, self._known(*session) if session else None))

    def add_account(self, email: str, password: str, user_id: int | None = None, name: str = "Member") -> int:
        """Add a member, or give a known one this password and name; returns the user id."""
        return self._world.add_account(email, password, user_id, name).user_id

    def set_standing(self, email: str, *, credit: int | None = None, owes: bool = False) -> None:
        """How a member stands with the boxes: bookings left (None = without end), and whether a payment is pending."""
        account = self._world.accounts.get(email.strip().lower())
        if account is None:
            raise LookupError(f"the simulator knows no member {email}")
        account.credit, account.owes = credit, owes

    def reservations(self, email: str | None = None) -> list[Reservation]:
        """Every reservation ever made, cancelled ones too, in the order in which they were made."""
        made = self._world.desk.reservations
        return [one for one in made if email is None or one.email == email.strip().lower()]

    def open_session(self, email: str, fingerprint: str) -> Grant:
        """Log in without HTTP, for adopting. An unknown e-mail becomes a member whose password nobody knows."""
        return self._world.open_session(email, fingerprint)

    def truth(self, email: str, fingerprint: str) -> Truth:
        """
        What is really so with one session, now.

        Raises:
            LookupError: There never was such a session.
        """
        return self._world.truth(self._known(email, fingerprint))

    def truths(self) -> list[Truth]:
        return [self._world.truth(session) for session in self._world.sessions]

    def dies_at(self, email: str, fingerprint: str) -> float:
        """When a session dies if nobody touches it, or died, in `Clock.boottime` seconds."""
        session = self._known(email, fingerprint)
        return session.used_at + self.rules.idle_life if session.died_at is None else session.died_at

    def accepts(self, email_or_user: str | int, fingerprint: str, token: str) -> bool:
        """Whether a tokenUpdate with this token would rotate now, faults apart. Asking changes nothing."""
        standing, session = self._world.standing(token, fingerprint)
        known = self._world.find(email_or_user, fingerprint)
        return known is not None and session is known and standing in (Standing.LIVE, Standing.FORGIVEN)

    def kill(self, email: str, fingerprint: str) -> None:
        self._world.end(self._known(email, fingerprint), "killed")

    def revive(self, email: str, fingerprint: str) -> None:
        """Let a dead session live again, with the token it had; its idle life starts anew."""
        self._world.revive(self._known(email, fingerprint))

    def revive_all(self) -> None:
        for session in self._world.sessions:
            self._world.revive(session)

    @property
    def totals(self) -> Totals:
        """Counts so far. Looks at every session, so that those that idled away are counted among the dead."""
        for session in self._world.sessions:
            self._world.is_alive(session)
        self._world.totals.sessions = len(self._world.sessions)
        return self._world.totals

    @property
    def in_flight(self) -> int:
        return self._world.totals.in_flight

    def busy(self) -> bool:
        """Whether a request is being handled that does not wait for the clock; for `ManualClock.busy`."""
        return self.in_flight > self.waiting

    def _known(self, email: str, fingerprint: str) -> Session:
        session = self._world.find(email, fingerprint)
        if session is None:
            raise LookupError(f"the simulator knows no session of {email} with that fingerprint")
        return session

    # ------------------------------------------------------------ serving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["type"] != "http":
            raise ValueError("the simulator speaks HTTP only")
        body = await wire.read_body(receive)
        if body is None:
            return
        query = scope["query_string"].decode("latin-1")
        request = Request(scope["method"], scope["path"], query, dict(scope["headers"]), body)
        if request.path.startswith(control.PREFIX):
            await wire.send_answer(control.answer(self, request), self._date(), scope, send)
        else:
            await self._serve(request, scope, receive, send)

    async def _serve(self, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        """Count a request in and out, whatever becomes of it."""
        arrived_at = self._world.seconds()
        totals = self._world.totals
        session = request.session = site.whose(self._world, request)
        totals.requests[request.path if request.path in site.PATHS else "other"] += 1
        totals.in_flight += 1
        totals.max_in_flight = max(totals.max_in_flight, totals.in_flight)
        spending = session if request.path in _SPENDING else None
        if spending:
            spending.in_flight += 1
            if spending.in_flight > 1:
                spending.concurrent += 1
                totals.concurrent += 1
        faults, fault = self._draw(request)
        answer: Answer | None = None
        delivered = False
        try:
            if (faults.latency or faults.jitter) and faults.hits(request.path):
                await self._sleep(faults.latency + faults.jitter * self._rng.random())
            answer = self._answer(request, faults, fault)
            delivered = await self._deliver(answer, fault, faults, (scope, receive, send))
        finally:
            totals.in_flight -= 1
            if spending:
                spending.in_flight -= 1
            owner = request.session
            if answer and answer.worked and not delivered:
                totals.replies_lost += 1
                if owner:
                    owner.replies_lost += 1
            status = answer.status if answer and fault not in _BROKEN else 0
            user_id = owner.account.user_id if owner else None
            self.log.append(Logged(arrived_at, request.method, request.path, user_id, status, fault))

    def _draw(self, request: Request) -> tuple[Faults, str | None]:
        """What strikes this request: a queued fault before the dice."""
        faults = self.faults
        fault = None
        if self.rules.forbid:
            return faults, None
        if self._queue:
            fault = self._queued(request)
        if fault is None and self._odds and faults.hits(request.path):
            roll = self._rng.random()
            fault = next((name for edge, name in self._odds if roll < edge), None)
        if fault:
            self._world.totals.faults[fault] += 1
        return faults, fault

    def _queued(self, request: Request) -> str | None:
        for queued in self._queue:
            if queued.path in (request.path, EVERY_PATH) and queued.session in (None, request.session):
                queued.times -= 1
                if queued.times <= 0:
                    self._queue.remove(queued)
                return queued.fault
        return None

    def _answer(self, request: Request, faults: Faults, fault: str | None) -> Answer:
        """Do the work unless the fault forbids it, then put the fault's answer in its place."""
        works = (
            fault is None
            or fault in _AFTER_THE_WORK
            or (fault == "hang" and faults.hang_works)
            or (fault in ("error_500", "html_502") and faults.error_works)
        )
        answer = self._work(request, faults) if works else Answer(200, b"")
        match fault:
            case "bad_json":
                answer.body = answer.body[: len(answer.body) // 2]
            case "empty":
                answer.body = b""
            case "error_500":
                answer = Answer(
                    500, b'{"error":{"code":500,"message":"SIMULATED"}}', answers.JSON, worked=answer.worked
                )
            case "html_502":
                answer = Answer(502, answers.BAD_GATEWAY, worked=answer.worked)
            case "rate_limited":
                after = [("retry-after", str(math.ceil(faults.retry_after)))] if faults.retry_after else []
                answer = Answer(429, b"Too Many Requests", "text/plain", after)
            case "spurious_logout":
                answer = answers.logged_out(self._world, request.path)
            case "maintenance":
                answer = Answer(200, answers.MAINTENANCE)
        return answer

    def _work(self, request: Request, faults: Faults) -> Answer:
        if self.rules.forbid:
            return Answer(403, answers.FORBIDDEN)
        handler = site.ROUTES.get((request.method, request.path))
        if handler is None:
            return Answer(404, answers.NOT_FOUND)
        if faults.logout_all and request.path in _TOLD_OF_LOGOUT:
            return answers.logged_out(self._world, request.path)
        if faults.whoami_empty and request.path == "/api/whoami":
            return answers.nobody()
        return handler(self._world, request)

    async def _deliver(
        self, answer: Answer, fault: str | None, faults: Faults, ways: tuple[Scope, Receive, Send]
    ) -> bool:
        """Whether the answer arrived whole and readable."""
        scope, receive, send = ways
        if fault == "hang":
            await wire.wait_or_left(self._sleep(faults.hang_for), scope, receive)
        if fault in _BROKEN:
            await wire.reset(scope, receive)
        elif fault == "truncated":
            await wire.send_half(answer, self._date(), scope, receive, send)
        else:
            return await wire.send_answer(answer, self._date(), scope, send) and fault is None
        return False

    async def _sleep(self, seconds: float) -> None:
        self.waiting += 1
        try:
            await self.clock.sleep(seconds)
        finally:
            self.waiting -= 1

    def _date(self) -> str:
        return answers.http_date(self._world)


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
