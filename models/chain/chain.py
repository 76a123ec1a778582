"""What every chain tells of its members, and how it is closed."""

from collections.abc import Callable, Mapping
from typing import Generic

from models.chain.health import JobHealth, Note
from models.chain.members import E, Members


class Chain(Generic[E]):
    """Several engines of one kind; each kind adds what is asked of it."""

    def __init__(self, members: Members[E]) -> None:
        self._members = members

    @property
    def engines(self) -> tuple[E, ...]:
        """Those that are made."""
        return tuple(member.made() for member in self._members.made)

    def health(self) -> JobHealth:
        return self._members.health()

    def ready(self) -> Mapping[str, bool]:
        return self._members.ready()

    def watch(self, changed: Callable[[Note | None], None]) -> None:
        self._members.watch(changed)

    async def aclose(self) -> None:
        """Close all members."""
        await self._members.aclose()
