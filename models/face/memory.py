"""What a face showed at each position of the media clock."""

from typing import Generic, Protocol, Self, TypeVar

REMEMBERED_BEATS = 50
"""Two seconds: far more than is ever drawn ahead and thrown away by an interruption."""


class Passing(Protocol):
    """A state that goes on by itself while nothing is said."""

    def silent(self) -> Self:
        """One picture later, with nothing to say."""
        ...


T = TypeVar("T", bound=Passing)


class Memory(Generic[T]):
    """Lets a picture continue the one that was shown before it, not the one that was drawn before it."""

    def __init__(self, beginning: T) -> None:
        self._beginning = beginning
        self._shown: dict[int, T] = {}

    def before(self, position: int) -> T:
        """The state at `position - 1`; positions that were skipped count as silence."""
        for beats_ago in range(1, REMEMBERED_BEATS):
            found = self._shown.get(position - beats_ago)
            if found is not None:
                for _ in range(beats_ago - 1):
                    found = found.silent()
                return found
        return self._beginning

    def forget(self, position: int) -> None:
        """What was drawn for `position` and later is not shown."""
        self._shown = {other: state for other, state in self._shown.items() if other < position}

    def put(self, position: int, state: T) -> None:
        self._shown[position] = state
        if len(self._shown) > 2 * REMEMBERED_BEATS:
            kept = sorted(self._shown, key=lambda other: abs(other - position))[:REMEMBERED_BEATS]
            self._shown = {other: self._shown[other] for other in kept}
