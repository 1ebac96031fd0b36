"""
The limit: pyreqwest doing only the POSTs of rotations, and reading their answers.

    python -m bench.bare URL CONCURRENCY SECONDS CORE
"""

import asyncio
import os
import sys
import time
from datetime import timedelta

import msgspec
import uvloop
from pyreqwest.client import Client, ClientBuilder

from bench.upstream import STICKY, TOKEN

WARM = 0.5
BODY = f"token={TOKEN.replace('|', '%7C')}&ciclo=1&fingerprint={'0' * 50}".encode()
HEADERS = (
    ("content-type", "application/x-www-form-urlencoded"),
    ("cookie", f"amhrdrauth={'a1B2c3D4' * 8}; PHPSESSID=0123456789abcdef; AWSALB={STICKY}; AWSALBCORS={STICKY}"),
)


class Posts(msgspec.Struct):
    """So many, in so many seconds, with so many seconds of processor time."""

    posts: int
    seconds: float
    cpu: float

    @property
    def rate(self) -> float:
        return self.posts / self.seconds

    @property
    def cpu_us(self) -> float:
        return self.cpu / max(self.posts, 1) * 1e6


async def work(url: str, concurrency: int, seconds: float) -> Posts:
    builder = ClientBuilder().follow_redirects(enable=False).http1_only().timeout(timedelta(seconds=10))
    async with builder.pool_max_idle_per_host(concurrency).build() as client:
        posts = [0, 1]  # how many; whether to go on
        tasks = [asyncio.create_task(_post_on(client, url + "/api/tokenUpdate", posts)) for _ in range(concurrency)]
        await asyncio.sleep(WARM)
        before, since, cpu = posts[0], time.perf_counter(), time.process_time()
        await asyncio.sleep(seconds)
        told = Posts(posts[0] - before, time.perf_counter() - since, time.process_time() - cpu)
        posts[1] = 0
        await asyncio.gather(*tasks)
    return told


async def _post_on(client: Client, url: str, posts: list[int]) -> None:
    while posts[1]:
        response = await client.post(url).headers(HEADERS).body_bytes(BODY).build().send()
        body, cookies = await response.bytes(), response.headers.getall("set-cookie")
        assert body
        assert len(cookies) == 2
        posts[0] += 1


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[4])})
    print(msgspec.json.encode(uvloop.run(work(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))).decode())
