"""The state behind the simulated site: who is logged in, what a token is worth. No HTTP, no await."""

import hashlib
import hmac
import random
from datetime import datetime, timedelta
from urllib.parse import quote, unquote

from aimkeeper.clock import Clock
from aimkeeper.simulator.desk import Desk
from aimkeeper.simulator.records import Grant, Totals, Truth
from aimkeeper.simulator.rules import Rules
from aimkeeper.simulator.state import Account, Attempt, Session, Standing

# A tail of 16 hex digits (session number, serial) makes a token checkable without keeping the ones issued before.
_TAIL = 16


class World:
    """Everything the site knows. It keeps its own time: a wall clock set by somebody here does not reach it."""

    def __init__(self, rules: Rules, clock: Clock, rng: random.Random) -> None:
        self.rules = rules
        self.totals = Totals()
        self.desk = Desk()
        self.accounts: dict[str, Account] = {}
        self.sessions: list[Session] = []
        self._by_key: dict[tuple[int, str], Session] = {}
        self._by_user_id: dict[int, Account] = {}
        self._clock = clock
        self._rng = rng
        self._secret = f"{rng.getrandbits(128):032x}"
        self._began_at = clock.now() - timedelta(seconds=clock.boottime())

    # ------------------------------------------------------------ time

    def seconds(self) -> float:
        return self._clock.boottime()

    def at(self, seconds: float) -> datetime:
        return self._began_at + timedelta(seconds=seconds)

    # ------------------------------------------------------------ accounts

    def add_account(self, email: str, password: str, user_id: int | None, name: str) -> Account:
        """Add a member, or give a known one this password and name."""
        known = self.accounts.get(_normal(email))
        if known:
            known.password, known.name = password, name
            return known
        if user_id is None:
            user_id = 69232 + len(self.accounts)
            while user_id in self._by_user_id:
                user_id += 1
        elif user_id in self._by_user_id:
            raise ValueError(f"user id {user_id} is taken")
        account = Account(_normal(email), password, user_id, name)
        self.accounts[account.email] = self._by_user_id[user_id] = account
        return account

    def try_password(self, email: str, password: str) -> tuple[Attempt, Account | None]:
        """Judge a password, count it, lock out after too many."""
        self.totals.login_attempts += 1
        account = self.accounts.get(_normal(email))
        if account and self.seconds() < account.locked_until:
            self.totals.locked_out += 1
            return Attempt.LOCKED_OUT, account
        if account and hmac.compare_digest(account.password.encode(), password.encode()):
            account.wrong_in_a_row = 0
            return Attempt.RIGHT, account
        self.totals.wrong_passwords += 1
        if account:
            account.wrong_in_a_row += 1
            if self.rules.lockout_after and account.wrong_in_a_row >= self.rules.lockout_after:
                account.wrong_in_a_row = 0
                account.locked_until = self.seconds() + self.rules.lockout
        return Attempt.WRONG, account

    # ------------------------------------------------------------ sessions

    def log_in(self, account: Account, fingerprint: str) -> Session:
        """A new login: it revives or replaces the session of that fingerprint."""
        session = self._by_key.get((account.user_id, fingerprint))
        if session is None:
            session = Session(len(self.sessions), account, fingerprint, used_at=self.seconds())
            self.sessions.append(session)
            account.sessions.append(session)
            self._by_key[account.user_id, fingerprint] = session
        if not self.is_alive(session) or self.rules.login_kills_previous != "nothing":
            session.floor = session.serial + 1
            session.cookie_floor = session.opened + 1
        if self.rules.login_kills_previous == "account":
            for other in account.sessions:
                if other is not session:
                    self.end(other, "login")
        session.opened += 1
        session.died_at = session.died_of = None
        session.boxes = frozenset()
        self._issue(session)
        return session

    def open_session(self, email: str, fingerprint: str) -> Grant:
        """Log in without HTTP; an unknown e-mail becomes an account whose password nobody knows."""
        account = self.accounts.get(_normal(email))
        if account is None:
            account = self.add_account(email, f"{self._rng.getrandbits(128):032x}", None, "Member")
        session = self.log_in(account, fingerprint)
        return Grant(account.email, account.user_id, fingerprint, session.token, self.cookies(session))

    def is_alive(self, session: Session) -> bool:
        """Judged now: a session that idled too long died at the end of its idle life, not when somebody asks."""
        if session.died_at is not None:
            return False
        if self.seconds() - session.used_at < self.rules.idle_life:
            return True
        self._die(session, "idle", session.used_at + self.rules.idle_life)
        return False

    def end(self, session: Session, cause: str) -> None:
        if self.is_alive(session):
            self._die(session, cause, self.seconds())

    def revive(self, session: Session) -> None:
        if not self.is_alive(session):
            session.died_at = session.died_of = None
            session.used_at = self.seconds()

    def rebind(self, session: Session) -> None:
        """Bind the session to another fingerprint; the old one still finds its truth."""
        session.fingerprint = f"{self._rng.getrandbits(200):050x}"
        self._by_key[session.account.user_id, session.fingerprint] = session

    def find(self, who: str | int, fingerprint: str) -> Session | None:
        """By e-mail or user id."""
        account = self._by_user_id.get(who) if isinstance(who, int) else self.accounts.get(_normal(who))
        return self._by_key.get((account.user_id, fingerprint)) if account else None

    def truth(self, session: Session) -> Truth:
        alive = self.is_alive(session)
        return Truth(
            email=session.account.email,
            user_id=session.account.user_id,
            fingerprint=session.fingerprint,
            token=session.token,
            alive=alive,
            died_at=None if session.died_at is None else self.at(session.died_at),
            died_of=session.died_of,
            last_used_at=self.at(session.used_at),
            rotations=session.rotations,
            set_refreshes=session.set_refreshes,
            reuse=session.reuse,
            concurrent=session.concurrent,
            replies_lost=session.replies_lost,
            logins=session.logins,
            in_flight=session.in_flight,
        )

    # ------------------------------------------------------------ tokens

    def standing(self, token: str, fingerprint: str) -> tuple[Standing, Session | None]:
        """What *token* is right now; judging changes nothing."""
        found = self._read(token, "token")
        if found is None:
            return Standing.STRANGE, None
        session, serial, expires = found
        if self.rules.bind_fingerprint and fingerprint != session.fingerprint:
            standing = Standing.MISMATCH
        elif not self.is_alive(session):
            standing = Standing.DEAD
        elif serial < session.floor:
            standing = Standing.STRANGE
        elif serial < session.serial:
            standing = self._standing_of_spent(session, serial)
        else:
            is_expired = self.at(self.seconds()).timestamp() >= expires
            standing = Standing.EXPIRED if is_expired else Standing.LIVE
        return standing, session

    def spend(self, token: str, fingerprint: str) -> Session | None:
        """Exchange *token*: its session when it was accepted, with the new one in `session.token`."""
        standing, session = self._present(token, fingerprint)
        if session and standing in (Standing.LIVE, Standing.FORGIVEN):
            self._issue(session)
            return session
        return None

    def touch(self, token: str, fingerprint: str) -> Session | None:
        """Use *token* without spending it."""
        standing, session = self._present(token, fingerprint)
        if session and standing in (Standing.LIVE, Standing.FORGIVEN):
            session.used_at = self.seconds()
            return session
        return None

    def session_of_token(self, token: str) -> Session | None:
        found = self._read(token, "token")
        return found[0] if found else None

    def session_of_cookie(self, value: str) -> Session | None:
        """Whose `amhrdrauth` it is, dead or alive; None once a later login replaced it."""
        found = self._read(unquote(value), "cookie")
        return found[0] if found and found[1] >= found[0].cookie_floor else None

    def cookies(self, session: Session) -> dict[str, str]:
        """What a browser holds after a login."""
        balanced = self.balancer_cookie()
        return {
            "AWSALB": balanced,
            "AWSALBCORS": balanced,
            "PHPSESSID": self.php_session(session),
            "amhrdrauth": self.auth_cookie(session),
        }

    def auth_cookie(self, session: Session) -> str:
        return quote(self._mint(session, "cookie", session.opened), safe="")

    def php_session(self, session: Session) -> str:
        return hashlib.md5(f"{self._secret}php{session.number}".encode(), usedforsecurity=False).hexdigest()[:26]

    def balancer_cookie(self) -> str:
        return f"{self._rng.getrandbits(240):060x}/sim+AB=="

    def _present(self, token: str, fingerprint: str) -> tuple[Standing, Session | None]:
        found = self._read(token, "token")
        standing, session = self.standing(token, fingerprint)
        if standing is Standing.MISMATCH:
            self.totals.mismatches += 1
        elif standing is Standing.STRANGE:
            self.totals.strange_tokens += 1
        elif session and found and found[1] < session.serial:
            session.reuse += 1
            self.totals.reuse += 1
            if standing is Standing.FATAL:
                self._die(session, "reuse", self.seconds())
        return standing, session

    def _standing_of_spent(self, session: Session, serial: int) -> Standing:
        rule: str = self.rules.old_token
        if rule == "grace":
            spent_at = next((at for spent, at in reversed(session.spent) if spent == serial), None)
            within = spent_at is not None and self.seconds() - spent_at < self.rules.grace
            rule = "stateless" if within else self.rules.after_grace
        if rule == "stateless":
            return Standing.FORGIVEN
        return Standing.FATAL if rule == "strict" else Standing.SPENT

    def _issue(self, session: Session) -> None:
        now = self.seconds()
        if self.rules.old_token == "grace":  # noqa: S105 (a rule, no secret)
            session.spent = [spent for spent in session.spent if now - spent[1] < self.rules.grace]
            session.spent.append((session.serial, now))
        session.serial += 1
        session.used_at = now
        session.token = self._mint(session, "token", session.serial)

    def _mint(self, session: Session, kind: str, serial: int) -> str:
        expires = int(self.at(self.seconds()).timestamp() + self.rules.token_life)
        return self._sign(kind, f"{session.account.user_id}|{expires}", f"{session.number:08x}{serial:08x}")

    def _sign(self, kind: str, front: str, tail: str) -> str:
        digest = hashlib.md5(f"{self._secret}{kind}{front}{tail}".encode(), usedforsecurity=False).hexdigest()
        return f"{front}|{digest[:_TAIL]}{tail}"

    def _read(self, text: str, kind: str) -> tuple[Session, int, int] | None:
        """The session, serial and expiry of something we issued; None for anything else."""
        front, _, digest = text.rpartition("|")
        tail = digest[_TAIL:]
        if len(digest) != 2 * _TAIL or self._sign(kind, front, tail) != text:
            return None
        return self.sessions[int(tail[:8], 16)], int(tail[8:], 16), int(front.partition("|")[2])

    def _die(self, session: Session, cause: str, at: float) -> None:
        session.died_at, session.died_of = at, cause
        self.totals.died[cause] += 1


def _normal(email: str) -> str:
    return email.strip().lower()
