"""What the rules are tried on: one session, one policy, one moment."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings

from aimkeeper.core.change import Claim
from aimkeeper.core.cookies import Cookie, Jar
from aimkeeper.core.policy import Exchange, Policy
from aimkeeper.core.session import Secrets, Session
from aimkeeper.core.token import Fingerprint, Token

# The same cases at every run, and no stopwatch: a busy machine is no defect.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
TOKEN = Token("69232|1775044800|03485f300f1a53a7e34143a0af9d2592")


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def token() -> Token:
    return TOKEN


@pytest.fixture
def policy() -> Policy:
    return Policy(
        refresh_every=timedelta(minutes=15), idle_timeout=timedelta(minutes=90), upstream_timeout=timedelta(seconds=10)
    )


@pytest.fixture
def session() -> Session:
    """Rotated ten minutes ago, in good health."""
    jar = Jar((Cookie("amhrdrauth", "auth-1", "aimharder.com", host_only=False), Cookie("AWSALB", "lb-1", "x.test")))
    return Session(
        id="5e0c4c5e-0000-4000-8000-000000000001",
        email="ana@example.com",
        fingerprint=Fingerprint("f" * 50),
        secrets=Secrets(TOKEN, jar, "correct horse"),
        generation=7,
        created_at=NOW - timedelta(days=3),
        rotated_at=NOW - timedelta(minutes=10),
        due_at=NOW,
        deadline_at=NOW + timedelta(minutes=80),
        settled_in=True,
    )


@pytest.fixture
def claimed():
    """A claim of the session, with whatever is changed in it."""

    def claimed(session: Session, **changes) -> Claim:
        return Claim(replace(session, **changes), owner="owner-1", claim_id="claim-1", taken_at=1.0)

    return claimed


@pytest.fixture
def exchange() -> Exchange:
    return Exchange("token_update", NOW, timedelta(seconds=0.25), jitter=0.5)
