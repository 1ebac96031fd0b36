"""
Apprise, in a process of its own for each message.

It waits in threads that nobody can end, and its addresses, which are secrets, may come up in its log. A process can be
ended, says nothing, and takes no time from the rotations of this one. The addresses go in by its standard input.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import suppress

from aimkeeper.core.errors import ConfigError
from aimkeeper.core.news import Message
from aimkeeper.core.telling import Problem, Told
from aimkeeper.notify.apprise_child import DELIVERED, NOT_DELIVERED, UNKNOWN

# Of one message, the start of the process included.
TIMEOUT_SECONDS = 30.0


async def deliver(url: str, message: Message) -> Told:
    """Have *message* delivered to one of Apprise's addresses."""
    work: dict[str, object] = {
        "urls": [url],
        "title": message.title,
        "text": message.text(),
        "level": message.level.value,
    }
    status = await _run(work)
    return Told({None: Problem.TIMED_OUT, DELIVERED: None}.get(status, Problem.NOT_DELIVERED))


async def check(urls: Sequence[str]) -> None:
    """
    Have Apprise read its addresses.

    Raises:
        ConfigError: It knows no such service, or the address lacks something.
    """
    status = await _run({"urls": list(urls)}) if urls else None
    if status is not None and status >= UNKNOWN:
        raise ConfigError(
            f"AIMKEEPER_NOTIFY_URLS: address {status - UNKNOWN + 1} is none that Apprise can use: "
            "its services, and how their addresses are written, are listed at https://github.com/caronc/apprise."
        )


async def _run(work: dict[str, object]) -> int | None:
    """The exit status; None when it took too long."""
    try:
        process = await _start()
    except OSError:
        return NOT_DELIVERED  # no memory, or too many processes: it passes
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await process.communicate(json.dumps(work).encode())
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return process.returncode


async def _start() -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        # However strict we are told to be, a library's warning must not keep a message back.
        "-W",
        "ignore",
        "-m",
        "aimkeeper.notify.apprise_child",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
