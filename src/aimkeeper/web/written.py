"""An answer that is written already."""

from litestar.types import Receive, Scope, Send


class Written:
    """
    A good answer to a GET, as it goes out: the framework's own costs as much as all that is in it.

    Args:
        body: JSON.
    """

    __slots__ = ("_body",)

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (what answers are called with)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(self._body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self._body, "more_body": False})
