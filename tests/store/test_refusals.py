"""Whatever PostgreSQL, the network and the driver raise becomes one sentence of ours, or is handed on as what it is."""

import socket
import ssl

import asyncpg
import pytest

from aimkeeper.core.address import read_postgres
from aimkeeper.core.errors import ConfigError, StoreUnavailable
from aimkeeper.store.backend import Collision, Unwritable
from aimkeeper.store.refusals import told

ADDRESS = read_postgres("postgresql://ana:s3cret@db.example.com/app")


def untrusted():
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


def refused(kind, message):
    error = kind(message)
    error.detail = "Failing row contains (ana@example.com, s3cret)."
    return error


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (asyncpg.TooManyConnectionsError("sorry"), "has no connection left: raise its max_connections, or .* a pooler"),
        (asyncpg.CannotConnectNowError("starting up"), "it is starting or shutting down"),
        (asyncpg.AdminShutdownError("terminating"), "it is shutting down"),
        (asyncpg.CrashShutdownError("terminating"), "it has crashed and starts again"),
        (asyncpg.DiskFullError("no space"), "its disk is full"),
        (asyncpg.LockNotAvailableError("timeout"), "another transaction holds a lock for too long"),
        (asyncpg.QueryCanceledError("timeout"), "a statement took too long"),
        (asyncpg.ReadOnlySQLTransactionError("no"), "it is read-only"),
        (asyncpg.InvalidPasswordError('for user "ana"'), "refuses the user or the password of AIMKEEPER_DATABASE_URL"),
        (asyncpg.UndefinedTableError('relation "x" does not exist'), 'relation "x" does not exist'),
        (asyncpg.InsufficientPrivilegeError('denied to role "ana"'), "it does not say why"),
        (asyncpg.PostgresError(""), "it does not say why"),
        (asyncpg.InterfaceError("connection is closed"), "the connection is broken"),
        (asyncpg.InternalClientError("got confused"), "the connection is broken"),
        (untrusted(), r"its certificate is not trusted \(self-signed certificate\)"),
        (ssl.SSLError("handshake"), "no encrypted connection can be made"),
        (socket.gaierror(-2, "Name or service not known"), "there is no such host"),
        (TimeoutError(), "it does not answer in time"),
        (ConnectionResetError(104, "reset by peer s3cret"), "connection reset by peer"),
        (ConnectionError("unexpected s3cret"), "the connection was closed"),
        (EOFError(), "the connection was closed"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_trouble_is_told_in_one_sentence_that_opens_no_door(error, sentence):
    expected = f"^the database app at db.example.com can't be (used now|reached): (it )?{sentence}"
    with pytest.raises(StoreUnavailable, match=expected) as caught, told(ADDRESS):
        raise error

    text = str(caught.value)
    assert text.endswith(".")
    assert not any(secret in text for secret in ("ana", "s3cret", "\n"))
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "kind", [asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError, asyncpg.SerializationError]
)
def test_what_another_was_quicker_at_may_be_tried_again(kind):
    with pytest.raises(Collision) as caught, told(ADDRESS):
        raise refused(kind, "duplicate key")

    assert caught.value.retryable
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        refused(asyncpg.NotNullViolationError, "null value"),
        refused(asyncpg.CharacterNotInRepertoireError, "0x00"),
        refused(asyncpg.CheckViolationError, "id"),
        asyncpg.exceptions.DataError("invalid input for query argument $1: 's3cret'"),
        asyncpg.exceptions._base.DataError("invalid input for query argument $1: 's3cret'"),
    ],
    ids=["null", "not text", "check", "the driver's", "the driver's own"],
)
def test_a_value_that_no_row_can_hold_is_not_trouble_with_the_store_and_is_not_quoted(error):
    with pytest.raises(Unwritable) as caught, told(ADDRESS):
        raise error

    assert not isinstance(caught.value, StoreUnavailable)
    assert "s3cret" not in str(caught.value)


def test_files_that_are_not_there_are_a_mistake_in_the_settings():
    with pytest.raises(ConfigError, match="AIMKEEPER_DATABASE_URL can't be used: root certificate"), told(ADDRESS):
        raise asyncpg.exceptions.ClientConfigurationError("root certificate file does not exist")


@pytest.mark.parametrize("error", [ZeroDivisionError(), StoreUnavailable("as it is.")])
def test_what_is_none_of_theirs_passes_as_it_is(error):
    with pytest.raises(type(error)) as caught, told(ADDRESS):
        raise error

    assert caught.value is error


def test_where_all_goes_well_nothing_is_told():
    with told(ADDRESS):
        pass
