"""Members of a service, who are known by a cookie."""

from datetime import timedelta

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
        """The session is over."""
        await self.service.entry.log_out(self._session)

    def token(self) -> str:
        return self._keeper.truth(self._session).token
