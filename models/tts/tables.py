"""Tables on the terminal."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from models.tts.reference_check import Finding

_COLOURS = {"good": "green", "fair": "yellow", "bad": "red"}


def show(table: Table) -> None:
    """As wide as the terminal; 120 columns in a file."""
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def show_findings(findings: Sequence[Finding]) -> None:
    """What was found about a recording, and what to do."""
    table = Table("recording", "measured", "verdict", "what to do")
    for finding in findings:
        verdict = f"[{_COLOURS[finding.verdict]}]{finding.verdict}[/]"
        table.add_row(finding.name, finding.measured, verdict, finding.advice)
    show(table)
