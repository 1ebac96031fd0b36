"""What every store must show after any run of events, however odd: nothing lost, nothing miscounted."""

import asyncio
import shutil
import tempfile
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from aimkeeper.core.change import Kind, SecretsEdit, touch
from aimkeeper.core.session import Cause, Handout, Status
from aimkeeper.store.commits import Fate
from aimkeeper.testing import ManualClock

SESSIONS = st.integers(1, 4)


class AnyRunOfEvents(RuleBasedStateMachine):
    """Two workers over one store, and a clock; `new_house` builds what they live in."""

    new_house = None

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.clock = ManualClock()
        self.house = self.new_house(self.folder, self.clock, self.stack)
        self.claims, self.made = [], 0
        self.store = self.do(self.house.open())
        self.owners = [self.do(self.store.owners.enrol(name, "worker")) for name in ("one", "two")]

    def do(self, work):
        return self.runner.run(work)

    def teardown(self):
        self.do(self.stack.aclose())
        self.runner.close()
        shutil.rmtree(self.folder)

    def get(self, number):
        return self.do(self.store.by_pair(self.house.session(number).key))

    def id_of(self, number):
        session = self.get(number)
        return session.id if session else "nobody's"

    @rule(number=SESSIONS, replacing=st.booleans())
    def adopt(self, number, replacing):
        known = self.get(number)
        if known is None or known.status is Status.ENDED or replacing:
            self.made += 1
            session = self.house.session(number, id=f"{self.made:08}-0000-4000-8000-{number:012}")
            self.do(self.house.keep(self.store, session, replacing=replacing))

    @rule(seconds=st.sampled_from([0.25, 2, 61, 900, 3600, 90000]))
    def time_passes(self, seconds):
        self.clock.advance(seconds)

    @rule(who=st.integers(0, 1), limit=st.integers(1, 3), backlog=st.booleans())
    def claim(self, who, limit, backlog):
        now = self.store.now()
        taken = self.do(self.store.claim_due(self.owners[who], limit, until=now, backlog_eta=now if backlog else None))
        self.claims += taken
        assert len(taken) <= limit
        assert all(claim.session.due_at <= now for claim in taken)
        assert len({claim.session.id for claim in taken}) == len(taken)

    @rule(who=st.integers(0, 1), number=SESSIONS)
    def claim_one(self, who, number):
        before = self.get(number)
        taken = self.do(self.store.claim_one(self.owners[who], self.id_of(number)))
        if taken:
            assert before.owner is None
            self.claims.append(taken)

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), what=st.sampled_from(["rotation", "doubt", "refusal", "verdict"]), again=st.booleans())
    def commit(self, data, what, again):
        """Of a claim held now or long ago; perhaps twice."""
        claim = data.draw(st.sampled_from(self.claims))
        change = getattr(self.house, what)(claim)
        [result] = self.do(self.store.commit([change]))
        self.check_result(change, result)
        if again:
            [second] = self.do(self.store.commit([change]))
            self.check_result(change, second)
            assert len(second.events) == 0 or what == "verdict"

    @rule(numbers=st.lists(SESSIONS, max_size=3))
    def hand_out(self, numbers):
        changes = []
        for number in numbers:
            if session := self.get(number):
                self.made += 1
                handout = Handout(self.made.to_bytes(32, "big"), float(self.made))
                changes.append(touch(session, SecretsEdit(handouts=(handout,))))
        for change, result in zip(changes, self.do(self.store.commit(changes)), strict=True):
            assert result.session == self.do(self.store.get(change.before.id)) or len(changes) > 1

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def free(self, data):
        self.do(self.store.free(data.draw(st.sampled_from(self.claims))))

    @rule(number=SESSIONS)
    def end(self, number):
        self.do(
            self.store.end(self.id_of(number), Cause.LOGGED_OUT_HERE, self.store.now() + self.house.policy.wipe_after)
        )

    @rule(number=SESSIONS)
    def forget(self, number):
        self.do(self.store.forget(self.id_of(number)))

    @rule(number=SESSIONS)
    def revive(self, number):
        before = self.get(number)
        revived = self.do(self.store.revive(self.id_of(number)))
        assert (revived is not None) == (
            before is not None and before.status is Status.ENDED and before.secrets.token is not None
        )

    @rule(keep_rows=st.booleans())
    def wipe(self, keep_rows):
        self.do(self.store.wipe(keep_rows=keep_rows))

    @rule(who=st.integers(0, 1), killed=st.booleans())
    def an_owner_goes(self, who, killed):
        if killed:
            self.house.die(self.store, self.owners[who])
            self.do(self.house.bury(self.store))
        else:
            self.do(self.store.owners.retire(self.owners[who]))
        self.owners[who] = self.do(self.store.owners.enrol("another", "worker"))

    @rule()
    def the_stopped_are_marked(self):
        self.do(self.house.reap(self.store))

    def check_result(self, change, result):
        kept = self.do(self.store.get(change.before.id))
        assert result.session == kept
        fresh = change.edit.token
        if fresh is None:
            return
        assert change.kind is Kind.ROTATION
        if result.fate is Fate.COMMITTED:
            assert kept.token == fresh
        elif result.fate is Fate.SUPERSEDED and kept.secrets.token is not None and kept.token != fresh:
            assert self.house.ask("SELECT 1 FROM spares WHERE id = ?", f"{change.claim.claim_id}.{fresh.mark()}")

    @invariant()
    def counters_tell_the_truth(self):
        kept = self.do(self.house.everyone(self.store))
        standing = self.do(self.store.standing(self.store.now()))
        counted = Counter(session.status for session in kept)
        assert {status: count for status, count in standing.by_status.items() if count} == counted
        assert standing.failing == sum(s.attempt > 0 and s.status is not Status.ENDED for s in kept)
        assert standing.overdue == sum(
            s.owner is None and s.due_at is not None and s.due_at < self.store.now() for s in kept
        )
        assert [session.spares for session in kept] == [self.house.spares(session) for session in kept]

    @invariant()
    def no_row_is_in_an_impossible_state(self):
        for session in self.do(self.house.everyone(self.store)):
            ended = session.status is Status.ENDED
            assert (session.due_at is None) == ended == (session.ended_at is not None) == (session.cause is not None)
            assert session.secrets.token is not None or ended
            assert len(session.ring) <= 16
        held = self.house.ask("SELECT owner FROM auth_sessions WHERE owner IS NOT NULL")
        registered = set(self.do(self.house.register(self.store)))
        assert {owner for (owner,) in held} <= registered


@pytest.mark.slow
def test_whatever_happens_counters_tell_the_truth_and_no_token_vanishes(new_house, backend):
    run_state_machine_as_test(
        type("Machine", (AnyRunOfEvents,), {"new_house": staticmethod(new_house)}),
        settings=settings(
            # Where each step goes over a wire fewer must do.
            max_examples=40 if backend.startswith("sqlite") else 20,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
