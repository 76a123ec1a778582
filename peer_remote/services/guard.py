"""Ends the services of a supervisor that is gone, kill -9 included. Run as a script; standard library only.

The supervisor holds the other end of standard input and writes "+ID" when it has started a process group, "-ID" when
the group has ended. When that end closes, what is left gets SIGTERM, and SIGKILL after GRACE_S. POSIX only: on Windows
a job object does the same (job.py).
"""

import os
import signal
import sys
import time

GRACE_S = 4.0
POLL_S = 0.05


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        if line.startswith("+"):
            groups.add(int(line[1:]))
        else:
            groups.discard(int(line[1:]))
    end(groups)


def end(groups: set[int], grace_s: float = GRACE_S) -> None:
    """Ask the process groups to end, then make them."""
    until_s = time.monotonic() + grace_s
    left = {group for group in groups if tell(group, signal.SIGTERM)}
    while left and time.monotonic() < until_s:
        time.sleep(POLL_S)
        left = {group for group in left if tell(group, 0)}
    for group in left:
        tell(group, signal.SIGKILL)


def tell(group: int, number: int) -> bool:
    """Send a signal; whether there was anybody to get it."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS says so of a group of which only zombies are left
        return False
    return True


if __name__ == "__main__":
    main()
