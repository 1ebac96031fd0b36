"""Keeps AimHarder sessions alive."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from aimkeeper.client import Credentials, KeptAuth, RequestsAuth
    from aimkeeper.core import errors
    from aimkeeper.core.session import Session
    from aimkeeper.service import Service, open_service
    from aimkeeper.settings import Settings

__all__ = [
    "Credentials",
    "KeptAuth",
    "RequestsAuth",
    "Service",
    "Session",
    "Settings",
    "__version__",
    "errors",
    "open_service",
]

_HOMES = {
    "Credentials": "aimkeeper.client",
    "KeptAuth": "aimkeeper.client",
    "RequestsAuth": "aimkeeper.client",
    "Service": "aimkeeper.service",
    "Session": "aimkeeper.core.session",
    "Settings": "aimkeeper.settings",
    "errors": "aimkeeper.core",
    "open_service": "aimkeeper.service",
}


def __getattr__(name: str) -> Any:
    # Imported when asked for: `aimkeeper --help` needs none of it, and shall be quick.
    if name not in _HOMES:
        raise AttributeError(f"module 'aimkeeper' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    home = import_module(_HOMES[name])
    return import_module("aimkeeper.core.errors") if name == "errors" else getattr(home, name)
