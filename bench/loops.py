"""
Two ways to keep sessions that others have, as fast as they can be written in Python: one session at a time.

    python -m bench.loops original|nango URL DATABASE SECONDS CORE

`original` is the loop of the app that aimkeeper takes over from: whoever is due, in turn; a POST; one UPDATE; a pause
of 100 ms. `nango` is shaped like the refreshing cron of Nango: under one lock of the fleet, pages of 100, no pause; for
each connection a mark that it is tried, the exchange, and an UPDATE with the credentials sealed anew.

Both are treated kindly: PostgreSQL by its own protocol where the app goes through PostgREST, an UPDATE by primary key,
one connection kept open everywhere, aimkeeper's own HTTP client and uvloop, and a lock for each connection (Redis, in
Nango) that costs nothing.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import asyncpg
import msgspec
import uvloop
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pyreqwest.client import Client, ClientBuilder

from bench.bare import BODY, HEADERS

PAUSE = 0.1
PAGE = 100
ROWS = 5000
_MAKE = """
DROP TABLE IF EXISTS app_sessions;
CREATE TABLE app_sessions (id bigint PRIMARY KEY, user_email text UNIQUE NOT NULL, token text NOT NULL,
  cookies jsonb NOT NULL, sealed bytea, tried_at timestamptz, last_token_update_date timestamptz);
INSERT INTO app_sessions (id, user_email, token, cookies)
  SELECT n, 'member' || n || '@example.com', repeat('t', 44), '[]' FROM generate_series(1, 5000) AS n
"""
_DUE = """
SELECT user_email, token FROM app_sessions
 WHERE last_token_update_date IS NULL OR last_token_update_date < now() - interval '15 minutes'
"""
_STORE = """
UPDATE app_sessions SET token = $2, cookies = $3, last_token_update_date = now() WHERE user_email = $1
"""
_TRY = "UPDATE app_sessions SET tried_at = now() WHERE id = $1 RETURNING sealed"
_SEAL = "UPDATE app_sessions SET sealed = $2, last_token_update_date = now() WHERE id = $1"

# Yields once for each session that was kept.
Loop = Callable[[Client, str, asyncpg.Connection], AsyncIterator[None]]


class Kept(msgspec.Struct):
    """So many sessions, in so many seconds."""

    sessions: int
    seconds: float

    @property
    def rate(self) -> float:
        return self.sessions / self.seconds


async def original(client: Client, url: str, line: asyncpg.Connection) -> AsyncIterator[None]:
    while True:
        for email, _token in await line.fetch(_DUE):
            token, cookies = await _exchange(client, url)
            await line.execute(_STORE, email, token, msgspec.json.encode(cookies).decode())
            await asyncio.sleep(PAUSE)
            yield


async def nango(client: Client, url: str, line: asyncpg.Connection) -> AsyncIterator[None]:
    lock, cipher = asyncio.Lock(), AESGCM(bytes(32))
    while True:
        async with lock:
            for first in range(0, ROWS, PAGE):
                page = await line.fetch("SELECT id FROM app_sessions WHERE id > $1 ORDER BY id LIMIT $2", first, PAGE)
                for (number,) in page:
                    sealed = await line.fetchval(_TRY, number)
                    if sealed:
                        cipher.decrypt(sealed[:12], sealed[12:], None)
                    token, cookies = await _exchange(client, url)
                    nonce = os.urandom(12)
                    fresh = nonce + cipher.encrypt(nonce, msgspec.json.encode([token, cookies]), None)
                    await line.execute(_SEAL, number, fresh)
                    yield


async def _exchange(client: Client, url: str) -> tuple[str, list[str]]:
    response = await client.post(url).headers(HEADERS).body_bytes(BODY).build().send()
    answer = msgspec.json.decode(await response.bytes())
    return answer["newToken"], response.headers.getall("set-cookie")


LOOPS: dict[str, Loop] = {"original": original, "nango": nango}


async def work(loop: Loop, url: str, database: str, seconds: float) -> Kept:
    line = await asyncpg.connect(database)
    builder = ClientBuilder().follow_redirects(enable=False).http1_only().timeout(timedelta(seconds=10))
    async with builder.build() as client:
        await line.execute(_MAKE)
        turns = loop(client, url + "/api/tokenUpdate", line)
        await anext(turns)  # statements prepared, connections made
        sessions, since = 0, time.perf_counter()
        while time.perf_counter() - since < seconds:
            await anext(turns)
            sessions += 1
        kept = Kept(sessions, time.perf_counter() - since)
    await line.close()
    return kept


if __name__ == "__main__":
    name, url, database, seconds, core = sys.argv[1:]
    os.sched_setaffinity(0, {int(core)})
    print(msgspec.json.encode(uvloop.run(work(LOOPS[name], url, database, float(seconds)))).decode())
