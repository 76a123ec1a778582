"""How fast a peer may talk and how fast a client may come back; time and chance are arguments."""

from collections.abc import Callable


class TokenBucket:
    """Allows `rate_per_s` events per second on average and `burst` at once."""

    def __init__(self, *, rate_per_s: float, burst: int, now_s: float) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._left = float(burst)
        self._at_s = now_s

    def take(self, now_s: float) -> bool:
        """Count one event at `now_s`; false when it comes too early."""
        self._left = min(self._burst, self._left + (now_s - self._at_s) * self._rate_per_s)
        self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Backoff:
    """Delays between attempts: each is drawn between `shortest_s` and a ceiling that doubles up to `longest_s`.

    The draw keeps the clients of a restarted service from coming back all at once.
    """

    def __init__(self, random: Callable[[], float], *, shortest_s: float = 0.2, longest_s: float = 5.0) -> None:
        self._random = random
        self._shortest_s = shortest_s
        self._longest_s = longest_s
        self._ceiling_s = shortest_s

    def next_s(self) -> float:
        self._ceiling_s = min(self._longest_s, self._ceiling_s * 2)
        return self._shortest_s + self._random() * (self._ceiling_s - self._shortest_s)

    def reset(self) -> None:
        """The last attempt succeeded."""
        self._ceiling_s = self._shortest_s
