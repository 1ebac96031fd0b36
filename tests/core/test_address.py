"""Where a PostgreSQL database is, as people write it and as hosts offer it for copying."""

import pytest

from aimkeeper.core.address import is_postgres, read_postgres

SUPABASE = "postgresql://postgres.abcdefghij:{}@aws-0-eu-west-3.pooler.supabase.com:6543/postgres"


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("postgresql://ana:secret@db.example.com:5433/app", ("db.example.com", 5433, "app", "ana", "secret")),
        ("postgres://ana:secret@db.example.com/app", ("db.example.com", 5432, "app", "ana", "secret")),
        ("POSTGRESQL://ana@db.example.com/app", ("db.example.com", 5432, "app", "ana", None)),
        ("postgresql://localhost/app", ("localhost", 5432, "app", None, None)),
        ("postgresql://a%40b:p%2Fw%23%3F@host/my%20app", ("host", 5432, "my app", "a@b", "p/w#?")),
        ("postgresql://ana:a:b@host/app", ("host", 5432, "app", "ana", "a:b")),
        ("postgresql://ana:a@b@host/app", ("host", 5432, "app", "ana", "a@b")),
        ("postgresql://ana@[::1]:5433/app", ("::1", 5433, "app", "ana", None)),
        ("postgresql://ana@[fe80::1]/app", ("fe80::1", 5432, "app", "ana", None)),
        ("postgresql:///app?host=/var/run/postgresql", ("/var/run/postgresql", 5432, "app", None, None)),
        (SUPABASE.format("pw"), ("aws-0-eu-west-3.pooler.supabase.com", 6543, "postgres", "postgres.abcdefghij", "pw")),
    ],
)
def test_an_address_is_read_in_its_parts(url, parts):
    address = read_postgres(url)

    assert (address.host, address.port, address.database, address.user, address.password) == parts


@pytest.mark.parametrize(
    ("query", "tls", "pooled"),
    [
        ("", (), None),
        ("?sslmode=require", (("sslmode", "require"),), None),
        ("?sslmode=verify-full&sslrootcert=/ca.crt", (("sslmode", "verify-full"), ("sslrootcert", "/ca.crt")), None),
        ("?pgbouncer=true", (), True),
        ("?pgbouncer=false", (), False),
        ("?pgbouncer=true&connection_limit=1&supa=base-pooler.x&workaround=supabase-pooler.vercel", (), True),
    ],
)
def test_what_stands_behind_the_question_mark_is_understood_or_known_to_be_others(query, tls, pooled):
    address = read_postgres(f"postgresql://ana@host/app{query}")

    assert (address.tls, address.pooled) == (tls, pooled)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql+psycopg://ana:s3cret@host/app", "without jdbc: or a driver's name"),
        ("postgresql+asyncpg://ana:s3cret@host/app", "without jdbc: or a driver's name"),
        ("jdbc:postgresql://host/app?user=ana&password=s3cret", "without jdbc: or a driver's name"),
        ("host=host dbname=app user=ana password=s3cret", "must begin with postgresql://"),
        (SUPABASE.format("[YOUR-PASSWORD]"), r"still says \[YOUR-PASSWORD\]: put the database's password there"),
        ("postgresql://ana:s3cret/x@host/app", "@ as %40, / %2F, "),
        ("postgresql://ana:s3cret#x@host/app", "# %23"),
        ("postgresql://ana:s3cret?x@host/app", r"\? %3F"),
        ("postgresql://ana:s3cret@host/app#x", "# %23"),
        ("postgresql://ana:s3cret@/app", "must name one host"),
        ("postgresql://ana:s3cret@one,two/app", "must name one host"),
        ("postgresql://ana:s3cret@host", "must name the database"),
        ("postgresql://ana:s3cret@host/", "must name the database"),
        ("postgresql://ana:s3cret@host/app/more", "must name the database"),
        ("postgresql://ana:s3cret@host:port/app", "port from 1 to 65535"),
        ("postgresql://ana:s3cret@host:0/app", "port from 1 to 65535"),
        ("postgresql://ana:s3cret@::1/app", r"IPv6 address stands in brackets"),
        ("postgresql://ana:s3cret@host/app?sslmode=yes", "must say sslmode= disable, .* or verify-full"),
        ("postgresql://ana:s3cret@host/app?pgbouncer=maybe", "pgbouncer=true or pgbouncer=false"),
        ("postgresql://ana:s3cret@host/app?options=-csearch_path%3Dx", "holds options behind .*: remove it"),
        ("postgresql://ana:s3cret@host/app?search_path=x", "holds search_path behind .*: remove it"),
        ("postgresql://ana:s3cret@host/app?s3cret+x=1", "holds something behind .*: remove it"),
        ("postgresql://ana:%ff@host/app", "not UTF-8"),
    ],
)
def test_what_is_none_is_refused_with_one_sentence_that_repeats_no_secret(url, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        read_postgres(url)

    told = str(caught.value)
    assert "s3cret" not in told
    assert "\n" not in told


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("postgresql://host/app", True),
        ("postgres://host/app", True),
        ("postgresql+psycopg2://host/app", True),
        ("jdbc:postgresql://host/app", True),
        ("sqlite:///a.db", False),
        ("mysql://host/app", False),
        ("", False),
        ("postgresql.db", False),
    ],
)
def test_what_speaks_of_postgresql_is_told_apart_rightly_written_or_not(text, is_one):
    assert is_postgres(text) is is_one


def test_neither_text_nor_repr_of_an_address_tells_who_may_come_in():
    address = read_postgres("postgresql://ana:s3cret@db.example.com:6543/app?sslkey=/home/ana/key")

    assert str(address) == "database app at db.example.com:6543"
    assert "ana" not in repr(address)
    assert "s3cret" not in repr(address)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("postgresql://host/app", "database app at host"),
        ("postgresql://[::1]/app", "database app at [::1]"),
        ("postgresql://[::1]:6543/app", "database app at [::1]:6543"),
        ("postgresql:///app?host=/run/postgresql", "database app at /run/postgresql"),
    ],
)
def test_an_address_says_where_it_is(url, text):
    assert str(read_postgres(url)) == text
