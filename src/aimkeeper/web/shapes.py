"""What goes in and comes out, as types: `/openapi.json` describes them, and a test compares them with the answers."""

from typing import Any, Literal

from msgspec import Struct


class Words(Struct, rename="camel"):
    """For members and holders, whose clients know the original feature's words."""


# ---------------------------------------------------------------- bodies


class Presented(Struct):
    """A session's token and the fingerprint it is bound to."""

    fingerprint: str
    token: str


class Login(Struct):
    """A member's e-mail and password."""

    email: str
    password: str
    fingerprint: str | None = None
    remember: bool = False


class Claim(Struct):
    """Nothing, or the e-mail the app remembers."""

    email: str | None = None


class GivenCookie(Struct):
    """A cookie of AimHarder's."""

    name: str
    value: str
    domain: str | None = None


class Adopted(Struct):
    """A session made elsewhere."""

    email: str
    token: str
    fingerprint: str | None = None
    cookies: list[GivenCookie] | None = None
    session_type: str | None = None
    ref: str | None = None
    replace: bool = False


class Chosen(Struct):
    """Ids of sessions; none = all that are held back."""

    sessions: list[str] | None = None


class Lasting(Struct, rename={"lasting": "for"}):
    """How long: `30m`; without, until somebody resumes."""

    lasting: str | None = None


class Lifetime(Struct):
    """For how long a bot's bearer is good: `30d`."""

    lifetime: str | None = None


# ---------------------------------------------------------------- answers to members and holders


class Failed(Struct):
    """An error: one sentence for people, one stable word for programs."""

    success: Literal[False]
    error: str
    code: str


class Exchanged(Words):
    """Use this token from now on."""

    success: Literal[True]
    new_token: str
    updated_at: str


class LoggedOut(Struct):
    """The session has ended."""

    logout: Literal[1]


class User(Struct):
    """The member: all three are the e-mail, as in the original feature."""

    id: str
    email: str
    name: str


class LoginData(Struct):
    """Who, and the token; the operator's page gets no token."""

    user: User
    token: str | None = None


class LoggedIn(Words):
    """A good login."""

    success: Literal[True]
    data: LoginData
    fingerprint: str
    aimharder_session: Literal[True]
    csrf_token: str | None = None


class Claimed(Words):
    """This browser is the session's member now."""

    success: Literal[True]
    email: str
    fingerprint: str
    csrf_token: str


class Done(Struct):
    """It is done."""

    success: Literal[True]


class MemberSession(Words):
    """The member's own session."""

    success: Literal[True]
    email: str
    fingerprint: str
    status: str
    updated_at: str
    due_at: str | None
    deadline_at: str
    slack_seconds: int
    csrf_token: str
    token: str | None = None


class Refreshed(Words):
    """A setrefresh was done."""

    success: Literal[True]
    refreshed: Literal[True]
    last_refresh_date: str


class RefreshState(Words):
    """How the last setrefresh stands."""

    success: Literal[True]
    needs_refresh: bool
    token: str
    last_refresh_date: str | None
    refresh_count: int


# ---------------------------------------------------------------- answers to the operator


class Turn(Struct):
    """One exchange with AimHarder; `at` in seconds since 1970."""

    at: float
    via: str
    what: str
    took_ms: int


class Described(Struct):
    """A session, without secrets."""

    id: str
    ref: str | None
    email: str
    fingerprint: str
    session_type: str | None
    status: str
    cause: str | None
    generation: int
    rotations: int
    attempt: int
    last_error: str | None
    created_at: str
    rotated_at: str
    due_at: str | None
    deadline_at: str
    ended_at: str | None
    wipe_at: str | None
    remembered: bool
    setrefresh_count: int
    setrefresh_at: str | None
    spares: int
    turns: list[Turn]


class Sessions(Struct):
    """A page; `next` is the `after` of the one that follows."""

    success: Literal[True]
    sessions: list[Described]
    next: str | None


class OneSession(Struct):
    """One session."""

    success: Literal[True]
    session: Described


class Fact(Struct):
    """An event; `id` is its place in the feed."""

    id: str
    at: str
    kind: str
    session: str | None
    email: str | None
    data: dict[str, Any]


class Rotations(Struct):
    """The last exchanges, and a page of events, the latest first; `next` is the `before` of the page that follows."""

    success: Literal[True]
    rotations: list[Turn]
    events: list[Fact]
    next: str | None


class Events(Struct):
    """A page of events, the earliest first; `next` is the `after` of the page that follows, now or later."""

    success: Literal[True]
    events: list[Fact]
    next: str


class LiveCookie(Words):
    """A cookie of AimHarder's, for those who may have it."""

    name: str
    value: str
    domain: str
    host_only: bool
    secure: bool
    expires_at: str | None


class Credentials(Words):
    """Everything that opens a session."""

    success: Literal[True]
    email: str
    fingerprint: str
    token: str
    cookie: str
    cookies: list[LiveCookie]
    rotated_at: str
    deadline_at: str
    slack_seconds: int


class Lent(Struct):
    """A bot's bearer, shown this once."""

    success: Literal[True]
    bearer: str
    expires_at: str


class Revoked(Struct):
    """How many bearers there were."""

    success: Literal[True]
    revoked: int


class Checked(Struct):
    """What AimHarder says of a session's cookies."""

    success: Literal[True]
    life: Literal["alive", "dead", "unclear"]


class Verdicts(Struct):
    """Ends that are held back; `held_since` = since when there are too many at once."""

    success: Literal[True]
    held_since: str | None
    sessions: list[Described]
    next: str | None


class Decided(Struct):
    """How many verdicts were decided, and how many are still held back."""

    success: Literal[True]
    decided: int
    remaining: int


class Paused(Struct):
    """Nothing is sent; `until` = null: until somebody resumes."""

    success: Literal[True]
    until: str | None


class Resumed(Struct):
    """Whether anything was stopped."""

    success: Literal[True]
    resumed: bool
