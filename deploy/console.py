"""What the set-up says to a person, and how it runs slow commands. Standard library only."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

REPORT_S = 15.0
LIVE_REPORT_S = 1.0
TAIL_LINES = 20


class SetupError(Exception):
    """The set-up cannot go on; the message is one sentence that says what to do."""


def say(line: str) -> None:
    print(line, flush=True)


def run_logged(
    command: Sequence[str],
    what: str,
    log: Path,
    *,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Run a slow command, its output into `log`, and say now and then how long it has taken.

    Returns whether it succeeded; on failure the end of the log and its place are shown.
    """
    live = sys.stdout.isatty()
    log.parent.mkdir(parents=True, exist_ok=True)
    began_s = reported_s = clock()
    say(f"{what} …")
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=env, cwd=cwd
        )
        try:
            while (status := _status(process)) is None:
                now_s = clock()
                if now_s - reported_s >= (LIVE_REPORT_S if live else REPORT_S):
                    reported_s = now_s
                    line = f"  {_elapsed(now_s - began_s)}"
                    print(f"\r{line}", end="", flush=True) if live else say(line)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if live:
        print("\r", end="")
    if status == 0:
        say(f"  done in {_elapsed(clock() - began_s)}")
        return True
    tail = log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
    say("\n".join(f"  | {line}" for line in tail))
    say(f"  failed after {_elapsed(clock() - began_s)}; the whole log is {log}")
    return False


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _status(process: "subprocess.Popen[bytes]") -> int | None:
    try:
        return process.wait(0.5)
    except subprocess.TimeoutExpired:
        return None


def _elapsed(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 60 else f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"
