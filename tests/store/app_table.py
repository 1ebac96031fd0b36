"""
The table of the Next.js app, in the shapes of its history (docs/upstream.md), and the statements the app puts to it.

The shapes are written anew from what is known of them; the statements are what Supabase makes of the app's calls.
"""

import hashlib
import json
from dataclasses import dataclass

ENV_FINGERPRINT = "e" * 50

_FIRST = """
CREATE TABLE auth_sessions (
  id uuid DEFAULT gen_random_uuid() PRIMARY KEY,
  user_email varchar(255) NOT NULL UNIQUE,
  aimharder_token text NOT NULL,
  aimharder_cookies jsonb NOT NULL,
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now()
);
CREATE INDEX idx_auth_sessions_email ON auth_sessions (user_email);
CREATE INDEX idx_auth_sessions_created_at ON auth_sessions (created_at);
ALTER TABLE auth_sessions ENABLE ROW LEVEL SECURITY;
CREATE POLICY "own rows" ON auth_sessions
  FOR ALL USING (user_email = current_setting('request.jwt.claims', true)::json ->> 'email');
CREATE FUNCTION stamp_auth_sessions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.updated_at = now(); RETURN NEW; END $$;
CREATE TRIGGER auth_sessions_updated_at_trigger BEFORE UPDATE ON auth_sessions
  FOR EACH ROW EXECUTE FUNCTION stamp_auth_sessions();
GRANT SELECT, INSERT, UPDATE, DELETE ON auth_sessions TO app;
"""
_REFRESH = """
ALTER TABLE auth_sessions
  ADD COLUMN last_refresh_date timestamptz, ADD COLUMN refresh_count integer DEFAULT 0,
  ADD COLUMN last_refresh_error text, ADD COLUMN auto_refresh_enabled boolean DEFAULT true;
CREATE INDEX idx_auth_sessions_last_refresh ON auth_sessions (last_refresh_date, auto_refresh_enabled)
  WHERE auto_refresh_enabled;
CREATE OR REPLACE FUNCTION stamp_auth_sessions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.updated_at = now();
  IF NEW.refresh_count > OLD.refresh_count THEN NEW.last_refresh_date = now(); END IF;
  RETURN NEW;
END $$;
"""
_TOKEN_UPDATE = """
ALTER TABLE auth_sessions
  ADD COLUMN last_token_update_date {instant}, ADD COLUMN token_update_count integer DEFAULT 0,
  ADD COLUMN last_token_update_error text;
"""
_FINGERPRINT = """
ALTER TABLE auth_sessions ADD COLUMN fingerprint varchar(50), ADD COLUMN is_admin boolean NOT NULL DEFAULT false;
"""
# A foreign key rested on the e-mail, until there were several sessions of one.
_BOXES = """
CREATE TABLE user_boxes (
  id uuid DEFAULT gen_random_uuid() PRIMARY KEY,
  user_email varchar(255) NOT NULL REFERENCES auth_sessions (user_email) ON DELETE CASCADE
);
"""
_SEVERAL = """
ALTER TABLE auth_sessions DROP CONSTRAINT auth_sessions_user_email_key;
ALTER TABLE auth_sessions
  ADD COLUMN session_type varchar(20) NOT NULL DEFAULT 'device' CHECK (session_type IN ('background', 'device')),
  ADD COLUMN protected boolean NOT NULL DEFAULT false;
UPDATE auth_sessions SET fingerprint = 'legacy-' || id WHERE fingerprint IS NULL;
ALTER TABLE auth_sessions ALTER COLUMN fingerprint SET NOT NULL;
ALTER TABLE auth_sessions ADD CONSTRAINT auth_sessions_email_fingerprint_unique UNIQUE (user_email, fingerprint);
CREATE UNIQUE INDEX idx_auth_sessions_background_unique ON auth_sessions (user_email)
  WHERE session_type = 'background';
DROP POLICY "own rows" ON auth_sessions;
CREATE POLICY "read own" ON auth_sessions
  FOR SELECT USING (user_email = current_setting('request.jwt.claims', true)::json ->> 'email');
"""


@dataclass(frozen=True)
class Shape:
    """One version of the table."""

    ddl: str
    several: bool = False

    @property
    def has_refresh(self) -> bool:
        return "last_refresh_date" in self.ddl

    @property
    def has_token_update(self) -> bool:
        return "last_token_update_date" in self.ddl

    @property
    def has_fingerprint(self) -> bool:
        return "fingerprint varchar" in self.ddl


_NAIVE = _TOKEN_UPDATE.format(instant="timestamp")
_ZONED = _TOKEN_UPDATE.format(instant="timestamptz")
SHAPES = {
    "the first version": Shape(_FIRST),
    "with setrefresh": Shape(_FIRST + _REFRESH),
    "with rotations in naive time": Shape(_FIRST + _REFRESH + _NAIVE),
    "with fingerprint, and a foreign key on the e-mail": Shape(_FIRST + _REFRESH + _ZONED + _FINGERPRINT + _BOXES),
    "with several sessions each, some protected": Shape(
        _FIRST + _REFRESH + _NAIVE + _FINGERPRINT + _SEVERAL, several=True
    ),
}

FIRST, _, NAIVE, ONE_EACH, SEVERAL = SHAPES


def token(account: int, number: int = 0) -> str:
    return f"{account}|1900000000|{hashlib.md5(f'{account} {number}'.encode()).hexdigest()}"


def cookies(account: int, number: int = 0) -> list[dict[str, str]]:
    names = ("AWSALB", "AWSALBCORS", "PHPSESSID", "amhrdrauth")
    return [{"name": name, "value": f"{name}-{account}-{number}"} for name in names]


def email(account: int) -> str:
    """Some are as a phone's keyboard begins them."""
    return f"{'Member' if account % 10 == 0 else 'member'}{account:05}@example.com"


def filled(shape: Shape, count: int) -> str:
    """Rows as the app wrote them ten minutes ago; every fourth was left alone for days."""
    return "".join(_row(shape, account) for account in range(1, count + 1))


def _row(shape: Shape, account: int) -> str:
    seen = f"now() - interval '{'3 days' if account % 4 == 0 else '10 minutes'}'"
    columns = {
        "user_email": f"'{email(account)}'",
        "aimharder_token": f"'{token(account)}'",
        "aimharder_cookies": f"'{json.dumps(cookies(account))}'",
        "created_at": f"{seen} - interval '1 day'",
        "updated_at": seen,
    }
    if shape.has_token_update and account % 2:
        columns |= {"last_token_update_date": f"({seen}) AT TIME ZONE 'UTC'", "token_update_count": str(account % 7)}
    if shape.has_fingerprint and (shape.several or account % 3):
        columns["fingerprint"] = f"'{account:050}'"
    if shape.several and account % 5 == 0:
        columns |= {"session_type": "'background'", "protected": "true"}
    return f"INSERT INTO auth_sessions ({', '.join(columns)}) VALUES ({', '.join(columns.values())});\n"


class App:
    """
    The app: what Supabase's HTTP API makes of its calls, under a role that row level security does not hold back.

    Args:
        connection: Under the role `app`, and nobody else's.
    """

    def __init__(self, connection, shape: Shape) -> None:
        self._connection = connection
        self._shape = shape

    async def log_in(self, account: int, number: int) -> None:
        """`upsert` on the e-mail; in later versions on e-mail and fingerprint."""
        columns = ["user_email", "aimharder_token", "aimharder_cookies", "created_at", "updated_at"]
        unique = ["user_email"]
        values = [email(account), token(account, number), json.dumps(cookies(account, number))]
        given = ["$1::text", "$2::text", "$3::jsonb", "now()", "now()"]
        if self._shape.several:
            columns += ["fingerprint"]
            given += [f"'{account:050}'"]
            unique += ["fingerprint"]
        written = ", ".join(f"{name} = EXCLUDED.{name}" for name in columns)
        await self._connection.execute(
            f"INSERT INTO public.auth_sessions ({', '.join(columns)}) SELECT {', '.join(given)}"
            f" ON CONFLICT ({', '.join(unique)}) DO UPDATE SET {written}",
            *values,
        )

    async def write_token(self, account: int, text: str) -> None:
        """`updateRefreshToken`: by e-mail."""
        await self._connection.execute(
            "UPDATE public.auth_sessions SET aimharder_token = $2, updated_at = now() WHERE user_email = $1",
            email(account),
            text,
        )

    async def write_cookies(self, account: int, number: int) -> None:
        """`updateCookies`."""
        await self._connection.execute(
            "UPDATE public.auth_sessions SET aimharder_cookies = $2::jsonb, updated_at = now() WHERE user_email = $1",
            email(account),
            json.dumps(cookies(account, number)),
        )

    async def stamp_failure(self, account: int) -> None:
        """`updateTokenUpdateData`, after something went wrong; where the table has a place for it."""
        if not self._shape.has_token_update:
            return
        await self._connection.execute(
            "UPDATE public.auth_sessions SET last_token_update_date = now(), last_token_update_error = 'Server error',"
            " updated_at = now() WHERE user_email = $1",
            email(account),
        )

    async def read(self, account: int) -> dict | None:
        """`getSession`: one row by e-mail."""
        found = await self._connection.fetchrow(
            "SELECT * FROM public.auth_sessions WHERE user_email = $1 LIMIT 1", email(account)
        )
        if found is None:
            return None
        return {
            "token": found["aimharder_token"],
            "cookies": {cookie["name"]: cookie["value"] for cookie in json.loads(found["aimharder_cookies"])},
        }

    async def delete(self, account: int) -> None:
        """`deleteSession`."""
        await self._connection.execute("DELETE FROM public.auth_sessions WHERE user_email = $1", email(account))
