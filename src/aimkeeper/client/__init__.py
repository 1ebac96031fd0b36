"""
For programs that ride on a kept session: live cookies on every request, with httpx and with requests.

    import httpx
    from aimkeeper import KeptAuth

    with httpx.Client(auth=KeptAuth("you@example.com")) as client:
        client.get("https://yourbox.aimharder.com/api/bookings", params={"day": "20260102", "box": "9283"})
"""

try:
    import httpx  # noqa: F401 (asked for here, so that its absence is told in one place)
except ImportError as error:
    raise ImportError("KeptAuth and RequestsAuth need httpx: pip install 'aimkeeper[client]'.") from error

from aimkeeper.client.auths import KeptAuth, RequestsAuth
from aimkeeper.client.credentials import Credentials

__all__ = ["Credentials", "KeptAuth", "RequestsAuth"]
