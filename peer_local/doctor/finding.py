"""What a check found out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warning", "fail"]
"""ok: nothing to do; warning: the program works, with less; fail: it does not work like this."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `id` is stable, the texts are not."""

    id: str
    title: str
    verdict: Verdict
    found: str
    """What is there, or what is missing; one line."""
    next_step: str | None = None
    """A command or a click path; None when there is nothing to do."""


def step(platform: str, steps: Mapping[str, str]) -> str:
    """The next step for this system: keys are linux, win32 and darwin; other systems are taken for Linux."""
    return steps.get(platform, steps["linux"])
