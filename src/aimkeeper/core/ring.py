"""The ring: a session's last exchanges. One that comes from the store stays packed until somebody reads it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, overload

RING_LENGTH = 16


class Turn(NamedTuple):
    """
    One entry of a session's ring: what one exchange brought.

    Attributes:
        at: When the answer was settled, seconds since 1970.
        what: `rotated`, `logged_out`, a `Reason`, or a `Life` for a whoami.
        via: `token_update`, `setrefresh`, `spare`, `whoami`, `login`, `adopt`.
        generation: The generation that was held; the one brought is one more.
        took_ms: How long the exchange took, in milliseconds; -1 when nobody knows.
        token: `Token.mark` of the token presented, or of the one brought when `what` is `rotated`.
    """

    at: float
    what: str
    via: str
    generation: int
    took_ms: int
    token: str


# Of one turn, as whoever keeps it has packed it.
Packed = Any
Unpack = Callable[[tuple[Packed, ...]], tuple[Turn, ...]]


class Ring(Sequence[Turn]):
    """
    Turns, the oldest first; `RING_LENGTH` at most. Never changed: `and_then` makes another.

    Most rotations only add one and never look at the others, so those need not be unpacked and packed again.

    Attributes:
        packed: The older ones, each as the store has it.
        fresh: The younger ones.
    """

    __slots__ = ("_turns", "_unpack", "fresh", "packed")

    def __init__(
        self, fresh: tuple[Turn, ...] = (), *, packed: tuple[Packed, ...] = (), unpack: Unpack | None = None
    ) -> None:
        self.packed = packed
        self.fresh = fresh
        self._unpack = unpack
        self._turns: tuple[Turn, ...] | None = None

    def and_then(self, turn: Turn) -> "Ring":
        """This ring with *turn* as its newest entry."""
        return Ring((*self.fresh, turn)[-RING_LENGTH:], packed=self.packed, unpack=self._unpack)

    @property
    def turns(self) -> tuple[Turn, ...]:
        """All of them, unpacked."""
        if self._turns is None:
            older = self._unpack(self.packed) if self._unpack is not None else ()
            self._turns = (*older, *self.fresh)[-RING_LENGTH:]
        return self._turns

    def __len__(self) -> int:
        return len(self.turns)

    def __iter__(self) -> Iterator[Turn]:
        return iter(self.turns)

    @overload
    def __getitem__(self, index: int) -> Turn: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Turn, ...]: ...

    def __getitem__(self, index: int | slice) -> Turn | tuple[Turn, ...]:
        return self.turns[index]

    def __eq__(self, other: object) -> bool:
        return self.turns == (other.turns if isinstance(other, Ring) else other)

    def __hash__(self) -> int:
        return hash(self.turns)

    def __repr__(self) -> str:
        return repr(self.turns)


NO_TURNS = Ring()
