"""
The public names as a user's program would use them: checked by mypy, never run.

What this file needs in order to type-check is a promise; `make lint` breaks when it is broken.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import assert_type

import httpx

import aimkeeper
from aimkeeper import Credentials, KeptAuth, RequestsAuth, Service, Session, Settings, errors, open_service
from aimkeeper.core.session import Cause, SessionKey, Status
from aimkeeper.core.token import Token


def settings_are_plain_values() -> Settings:
    settings = Settings(
        data_dir=Path("kept"),
        aimharder_url="https://aimharder.com",
        fingerprint="f" * 50,
        refresh_every=timedelta(minutes=15),
        max_rate=20.0,
        concurrency=32,
    )
    assert_type(settings.refresh_every, timedelta)
    assert_type(settings.upstream_timeout, timedelta | None)
    assert_type(settings.timeout, timedelta)
    assert_type(settings.database_path, Path)
    return settings


async def a_program_that_keeps_sessions(settings: Settings) -> None:
    async with open_service(settings, role="worker", name="my-program") as service:
        assert_type(service, Service)
        await service.worker("my-worker").run()


async def a_program_that_reads_one(settings: Settings) -> Mapping[str, str]:
    async with open_service(settings) as service:
        session = await service.find("ana@example.com")
        assert_type(session, Session)
        return {
            "token": session.token.text,
            "cookie": session.jar.header("aimharder.com", service.clock.now()),
            "due": session.due_at.isoformat() if session.due_at else "never",
        }


def a_bot_on_a_kept_session(settings: Settings) -> httpx.Response:
    auth = KeptAuth("you@example.com", min_slack="5m", settings=settings)
    assert_type(auth.credentials(), Credentials)
    with httpx.Client(auth=auth) as client:
        return client.get("https://yourbox.aimharder.com/api/bookings")


async def a_bot_that_awaits(url: str, key: str) -> str:
    auth = KeptAuth("you@example.com", url, key)
    given = await auth.acredentials()
    assert_type(given.token, str)
    assert_type(given.slack, timedelta)
    assert_type(given.generation, int)
    async with httpx.AsyncClient(auth=auth) as client:
        await client.get("https://yourbox.aimharder.com/api/bookings")
    return given.cookie("yourbox.aimharder.com")


def a_bot_of_another_library(url: str, key: str) -> Credentials:
    return RequestsAuth("you@example.com", url=url, key=key).credentials()


def a_session_says_how_it_stands(session: Session) -> str:
    assert_type(session.id, str)
    assert_type(session.key, SessionKey)
    assert_type(session.status, Status)
    assert_type(session.cause, Cause | None)
    assert_type(session.token, Token)
    assert_type(session.deadline_at, datetime)
    return f"{session.key}: {session.status}"


async def a_program_that_tells_errors_apart(service: Service, who: str) -> str | timedelta:
    try:
        return str((await service.find(who)).key)
    except errors.AmbiguousSession as error:
        assert_type(error.candidates, tuple[str, ...])
        return " or ".join(error.candidates)
    except errors.SessionEnded as error:
        assert_type(error.cause, str | None)
        return error.cause or "over"
    except (errors.UpstreamUnavailable, errors.LockedOut) as error:
        return error.retry_after
    except errors.AimkeeperError as error:
        assert_type(error.code, str)
        assert_type(error.retryable, bool)
        return error.code


def there_is_a_version() -> str:
    assert_type(aimkeeper.__version__, str)
    return aimkeeper.__version__
