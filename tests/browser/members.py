"""Members of a service, who are known by a cookie."""

import asyncio
from contextlib import suppress
from datetime import timedelta

from aimkeeper.core.errors import AimkeeperError

COOKIE = "aimkeeper_member"


class Members:
    """One session of the real aimkeeper, and the ways a browser comes to be its member."""

    def __init__(self, keeper) -> None:
        self.service, self.app = keeper.service, keeper.site.service
        self._keeper = keeper

    async def admit(self, visitor) -> None:
        """This browser gets the member cookie."""
        self._session = await self._keeper.keep()
        value = await self.service.store.http.members.issue(self._session.id, timedelta(days=1))
        await visitor.give_cookie(COOKIE, value)

    async def let_claim(self, visitor) -> None:
        """This browser has AimHarder's own cookie, from before."""
        self._session = await self._keeper.keep()
        [value] = [cookie.value for cookie in self._session.jar.cookies if cookie.name == "amhrdrauth"]
        await visitor.give_cookie("amhrdrauth", value)

    async def dismiss(self) -> None:
        """The cookie is good no more."""
        await self.service.store.http.members.revoke_all(self._session.id)

    async def end(self) -> None:
        """AimHarder ended the session, and aimkeeper has found out. (Logged out here, its cookie would be gone too.)"""
        self._keeper.sim.kill(self._session.email, self._session.fingerprint)
        async with asyncio.timeout(60):
            while (await self.service.store.get(self._session.id)).cause is None:
                with suppress(AimkeeperError):
                    await self.service.refresher.refresh(self._session)
                await asyncio.sleep(0.1)

    def token(self) -> str:
        return self._keeper.truth(self._session).token
