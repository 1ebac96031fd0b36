"""What PostgreSQL, the network and asyncpg raise, as one sentence that names no user and no password."""

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from aimkeeper.core.address import PostgresAddress
from aimkeeper.core.errors import ConfigError, StoreUnavailable
from aimkeeper.store.backend import Collision, Moved, Unwritable

# By SQLSTATE, or its first two characters: what is wrong, and what to do where that is not plain.
_SENTENCES = {
    "28": "it refuses the user or the password of AIMKEEPER_DATABASE_URL",
    "3D000": "there is no database of that name: create it, or correct AIMKEEPER_DATABASE_URL",
    "53100": "its disk is full",
    "53300": "it has no connection left: raise its max_connections, or connect through a pooler",
    "57P01": "it is shutting down",
    "57P02": "it has crashed and starts again",
    "57P03": "it is starting or shutting down",
    "25006": "it is read-only: name the server that may be written to",
    "55P03": "another transaction holds a lock for too long",
    "57014": "a statement took too long",
}
_WRONG_VALUES = ("22", "23")
# A name that may be there once only, serialization, deadlock: after the other it may well be possible.
# A division by zero: an error is the only way for one statement to take back what it did (`commit_routine`).
_MOVED = "22012"
_COLLISIONS = ("23505", "40001", "40P01")


@contextmanager
def told(address: PostgresAddress) -> Iterator[None]:
    """
    Turn whatever the block raises into what our callers expect.

    Raises:
        StoreUnavailable: The database can't be used now.
        Collision: Another process was in the way.
        Moved: Not every row was as the statement had it.
        Unwritable: A value that no row can hold.
        ConfigError: The files that the address names are not there.
    """
    try:
        yield
    except asyncpg.PostgresError as error:
        state = error.sqlstate or ""
        if state in _COLLISIONS:
            raise Collision(f"the {address} can't do that now: another process was at it: try again.") from None
        if state == _MOVED:
            raise Moved from None
        if state.startswith(_WRONG_VALUES):
            # The server's own text may quote the row.
            raise Unwritable(f"a value can't be written ({state}, {type(error).__name__}).") from None
        raise StoreUnavailable(f"the {address} can't be used now: {_refusal(error, state, address)}.") from None
    except asyncpg.exceptions.ClientConfigurationError as error:
        raise ConfigError(f"AIMKEEPER_DATABASE_URL can't be used: {_harmless(str(error), address)}.") from None
    except (asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        if isinstance(error, ValueError):
            raise Unwritable(f"a value can't be written ({type(error).__name__}).") from None
        raise StoreUnavailable(f"the {address} can't be used now: the connection is broken.") from None
    except (OSError, EOFError) as error:  # TimeoutError among them
        raise StoreUnavailable(f"the {address} can't be reached: {_failure(error)}.") from None


def _refusal(error: asyncpg.PostgresError, state: str, address: PostgresAddress) -> str:
    known = _SENTENCES.get(state) or _SENTENCES.get(state[:2])
    if known:
        return known
    if "statement pooling mode" in str(error):
        return "its pooler works in statement mode, in which there are no transactions: use its transaction mode"
    return _harmless(error.args[0] if error.args else state, address)


def _harmless(message: str, address: PostgresAddress) -> str:
    text = str(message).splitlines()[0].rstrip(".") if message else "it does not say why"
    secrets = [part for part in (address.user, address.password) if part]
    return "it does not say why" if any(part in text for part in secrets) else text


def _failure(error: Exception) -> str:
    sentence = "the connection was closed"
    if isinstance(error, ssl.SSLCertVerificationError):
        sentence = f"its certificate is not trusted ({error.verify_message}): set sslrootcert, or another sslmode"
    elif isinstance(error, ssl.SSLError):
        sentence = "no encrypted connection can be made"
    elif isinstance(error, socket.gaierror):
        sentence = "there is no such host"
    elif isinstance(error, TimeoutError):
        sentence = "it does not answer in time"
    elif "rejected SSL upgrade" in str(error):
        sentence = "it does not encrypt connections, which sslmode asks for"
    elif isinstance(error, OSError) and error.errno:
        sentence = os.strerror(error.errno).lower()
    return sentence
