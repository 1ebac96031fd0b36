"""
Anything, in any order: adoptions, logins, logouts, callers, faults, crashes, two workers, time. The rules hold.

After every step: the token we hold is one the upstream accepts, no token is ever in flight twice, an owner's end is
final, generations only grow, and what the events tell is what is so.
"""

import asyncio
import contextlib
import runpy
import shutil
import tempfile
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from aimkeeper.core.errors import AimkeeperError
from aimkeeper.core.events import EventKind
from aimkeeper.core.session import Cause, SessionKey, Status
from aimkeeper.core.token import Fingerprint
from aimkeeper.engine.entry import LogIn
from aimkeeper.simulator import Faults, Rules
from aimkeeper.testing import ManualClock

Stage = runpy.run_path(str(Path(__file__).with_name("conftest.py")))["Stage"]

EMAILS = [f"member{number}@example.com" for number in range(4)]
DEVICES = [Fingerprint("a" * 50), Fingerprint("b" * 50)]
PASSWORD = "correct horse"
HARMLESS = ["reset_before", "error_500", "html_502", "rate_limited", "hang", "spurious_logout", "maintenance"]
# The work is done and the answer lost: an upstream that forgives nothing kills the session for it.
LOSSY = ["reset_after", "truncated", "bad_json", "empty"]
LIFE = {EventKind.ADOPTED, EventKind.LOGGED_IN, EventKind.ENDED, EventKind.REVIVED, EventKind.SPARE_USED}
LIFE |= {EventKind.HEALED, EventKind.SUSPECTED}

pairs = st.tuples(st.sampled_from(EMAILS), st.sampled_from(DEVICES))


class Keeping(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp(prefix="aimkeeper-stateful-"))
        self.stack = AsyncExitStack()
        self.clock = ManualClock()
        self.stage = self.do(self._stage())
        self.workers = {}
        self.generations = {}
        self.ended_by_owner = set()
        self.clients = {}
        self.crashed = False

    def do(self, work):
        return self.runner.run(work)

    async def _stage(self):
        return Stage(self.folder, self.clock, self.stack)

    def teardown(self):
        self.do(self._end())
        self.runner.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _end(self):
        for name in list(self.workers):
            await self._stop(name)
        with contextlib.suppress(Exception):
            await self.stack.aclose()

    @initialize(old_token=st.sampled_from(["stateless", "grace", "strict"]))
    def begin(self, old_token):
        # A login whose answer is lost must not be what kills the session we hold.
        replaced = "fingerprint" if old_token == "strict" else "nothing"
        self.stage.sim.rules = Rules(idle_life=600, old_token=old_token, grace=10_000, login_kills_previous=replaced)
        self.stage.sim.faults = Faults(latency=0.2, jitter=0.4, retry_after=1, hang_for=5, paths=("*",))
        for email in EMAILS:
            self.stage.sim.add_account(email, PASSWORD)
        self.do(self._open("first"))

    async def _open(self, name):
        service = await self.stage.open(
            refresh_every=timedelta(seconds=60), idle_timeout=timedelta(seconds=600), wipe_after=timedelta(days=90)
        )
        worker = service.worker(name)
        self.workers[name] = (service, worker, asyncio.create_task(worker.run()))
        await self.clock.run(0.1)

    async def _stop(self, name):
        _, worker, task = self.workers.pop(name)
        worker.stop()
        await self.clock.finish(task)

    @property
    def service(self):
        return next(iter(self.workers.values()))[0]

    # ------------------------------------------------------------ what may happen

    @rule(pair=pairs)
    def adopt(self, pair):
        async def work():
            grant = self.stage.grant(*pair)
            [fate] = await self.service.entry.adopt([grant], replacing=True)
            self.ended_by_owner.discard(fate.id)
            self.clients[pair] = grant.token

        self.do(work())

    @rule(pair=pairs, remember=st.booleans())
    def log_in(self, pair, remember):
        async def work():
            with contextlib.suppress(AimkeeperError):
                wish = LogIn(pair[0], PASSWORD, pair[1], remember=remember)
                session = await self.clock.finish(self.service.entry.log_in(wish))
                self.ended_by_owner.discard(session.id)

        self.do(work())

    @rule(pair=pairs)
    def log_out(self, pair):
        async def work():
            session = await self.service.store.by_pair(SessionKey(*pair))
            if session is not None:
                await self.service.entry.log_out(session)
                self.ended_by_owner.add(session.id)

        self.do(work())

    @rule(pair=pairs, callers=st.integers(1, 3))
    def a_client_asks(self, pair, callers):
        async def work():
            token = self.clients.get(pair)
            if token is None:
                return
            asked = [self.service.holders.exchange(token, pair[1]) for _ in range(callers)]
            answers = await self.clock.finish(asyncio.gather(*asked, return_exceptions=True))
            for answer in answers:
                assert isinstance(answer, AimkeeperError) or not isinstance(answer, BaseException), answer
                if not isinstance(answer, BaseException):
                    self.clients[pair] = answer.token

        self.do(work())

    @property
    def is_strict(self):
        return self.stage.sim.rules.old_token == "strict"

    @rule(fault=st.sampled_from(HARMLESS), times=st.integers(1, 3), path=st.sampled_from(["*", "/api/tokenUpdate"]))
    def a_fault_is_coming(self, fault, times, path):
        self.stage.sim.next(fault, times, path)

    @precondition(lambda self: not self.is_strict)
    @rule(fault=st.sampled_from(LOSSY), times=st.integers(1, 3), path=st.sampled_from(["*", "/api/tokenUpdate"]))
    def an_answer_will_be_lost(self, fault, times, path):
        self.stage.sim.next(fault, times, path)

    @rule(seconds=st.floats(0.1, 90))
    def time_passes(self, seconds):
        self.do(self.clock.run(seconds))

    @rule(seconds=st.integers(1, 120))
    def the_machine_sleeps(self, seconds):
        self.clock.suspend(seconds)

    @precondition(lambda self: len(self.workers) == 1)
    @rule()
    def a_second_worker_joins(self):
        self.do(self._open("first" if "second" in self.workers else "second"))

    @precondition(lambda self: len(self.workers) == 2)
    @rule()
    def a_worker_leaves(self):
        self.do(self._stop(next(iter(self.workers))))

    @precondition(lambda self: not self.is_strict)
    @rule()
    def a_worker_is_killed(self):
        async def work():
            name = next(iter(self.workers))
            service, _, task = self.workers.pop(name)
            keeper = service.keeper
            running = [task, *keeper.flights._running.values(), keeper.committer._pump]
            for one in running:
                if one is not None:
                    one.cancel()
            await asyncio.gather(*(one for one in running if one is not None), return_exceptions=True)
            service.store.owners._locks.abandon(keeper.owner)
            keeper.draining = True
            self.crashed = True
            if not self.workers:
                await self._open(name)

        self.do(work())

    # ------------------------------------------------------------ what must hold

    @invariant()
    def what_we_hold_is_what_the_upstream_accepts(self):
        async def check():
            if not self.workers:
                return
            for session in await self.service.store.page(None, 100):
                truth = self.stage.truth(session)
                if not truth.alive or session.secrets.token is None or truth.in_flight or session.owner:
                    continue
                held = [session.token.text]
                spare = await self.service.store.spare(session.id)
                held += [spare[1].text] if spare else []
                accepted = [self.stage.sim.accepts(session.email, session.fingerprint, token) for token in held]
                assert any(accepted), (session, truth)

        self.do(check())

    @invariant()
    def no_token_is_in_flight_twice(self):
        # A killed process's request may still be on its way when its heir asks again.
        assert self.crashed or self.stage.sim.totals.concurrent == 0
        assert not (self.is_strict and self.stage.sim.totals.reuse)

    @invariant()
    def the_rest_of_the_rules(self):
        async def check():
            if not self.workers:
                return
            for session in await self.service.store.page(None, 100):
                assert session.generation >= self.generations.get(session.id, 0)
                self.generations[session.id] = session.generation
                if session.id in self.ended_by_owner:
                    assert (session.status, session.cause) == (Status.ENDED, Cause.LOGGED_OUT_HERE)
                    assert session.secrets.token is None
                told = [f for f in await self.service.store.events_of(session.id, limit=500) if f.kind in LIFE]
                if session.status is Status.ENDED:
                    assert told[0].kind is EventKind.ENDED
                    assert told[0].data["cause"] == session.cause.value
                else:
                    assert told[0].kind is not EventKind.ENDED
                assert (session.status is Status.SUSPECTED) <= (told[0].kind is EventKind.SUSPECTED)

        self.do(check())


Keeping.TestCase.settings = settings(
    max_examples=15,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TestKeeping = Keeping.TestCase
TestKeeping = pytest.mark.slow(TestKeeping)
