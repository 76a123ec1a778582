"""The findings for a person, and for a program."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from peer_local.doctor.finding import Finding, Verdict

_LOOK: dict[Verdict, tuple[str, str]] = {
    "ok": ("✓", "bold green"),
    "warning": ("!", "bold yellow"),
    "fail": ("✗", "bold red"),
}


def as_json(findings: Sequence[Finding], fixed: Sequence[str] = ()) -> str:
    """One object: `ok` is false if a check failed; `checks` has id, title, verdict, found and next_step."""
    value: dict[str, Any] = {
        "ok": not any(finding.verdict == "fail" for finding in findings),
        "checks": [asdict(finding) for finding in findings],
    }
    if fixed:
        value["fixed"] = list(fixed)
    return json.dumps(value, indent=2)


def show(findings: Sequence[Finding], console: Console) -> None:
    """A table of what was found, then what to do, the failures first."""
    table = Table(box=None, show_header=False, padding=(0, 1), pad_edge=False)
    table.add_column(width=1)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        sign, style = _LOOK[finding.verdict]
        title = Text(finding.title, "" if finding.verdict == "ok" else style)
        table.add_row(Text(sign, style), title, Text(finding.found, "dim" if finding.verdict == "ok" else ""))
    console.print(Padding(table, (1, 1)))
    steps = [finding for finding in findings if finding.next_step]
    steps.sort(key=lambda finding: finding.verdict != "fail")
    for finding in steps:
        sign, style = _LOOK[finding.verdict]
        console.print(Text.assemble(" ", (f"{sign}  ", style), (finding.title, "bold")))
        # Broken by the terminal alone, so that a command can be copied whole.
        console.print(Text(f"    {finding.next_step}"), soft_wrap=True)
    console.print(Padding(_summary(findings), (1 if steps else 0, 1, 1, 1)))


def _summary(findings: Sequence[Finding]) -> Text:
    failed, warned = (sum(finding.verdict == verdict for finding in findings) for verdict in ("fail", "warning"))
    if failed:
        return Text(f"{failed} of {len(findings)} checks failed; it will not work like this.", "bold red")
    if warned:
        return Text(f"It works; {warned} thing{'s' if warned > 1 else ''} could be better, if you want.", "bold green")
    return Text("All is well.", "bold green")
