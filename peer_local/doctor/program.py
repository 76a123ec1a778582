"""`python -m peer_local doctor [--json] [--fix]`."""

import asyncio
import io
import logging
import sys

from rich.console import Console
from rich.text import Text

from peer_local.doctor import report
from peer_local.doctor.examination import examine as run_checks
from peer_local.doctor.finding import Finding
from peer_local.doctor.fix import fetch_weights, make_cable
from peer_local.doctor.machine import Machine, ThisMachine
from peer_local.settings import Settings


def examine(
    settings: Settings,
    *,
    as_json: bool = False,
    fix: bool = False,
    machine: Machine | None = None,
    console: Console | None = None,
) -> int:
    """Examine, with `fix` mend and examine again, and report; the exit status is 1 when a check failed."""
    for stream in (sys.stdout, sys.stderr):  # a Windows pipe may know no more than Latin letters
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # what devices and connections would log is a finding
    try:
        findings, fixed = _examine(machine or ThisMachine(), settings, mend=fix, quiet=as_json)
    finally:
        logging.disable(before)
    _report(findings, fixed, as_json=as_json, console=console)
    return int(any(finding.verdict == "fail" for finding in findings))


def _examine(machine: Machine, settings: Settings, *, mend: bool, quiet: bool) -> tuple[list[Finding], list[str]]:
    if not quiet:
        print("Looking at this machine; this takes up to 10 s …", file=sys.stderr, flush=True)
    fixed = make_cable(machine, settings) if mend else []
    findings = asyncio.run(run_checks(machine, settings))
    if not mend:
        return findings, []
    if fetched := fetch_weights(machine, settings, findings):
        fixed += fetched
        findings = asyncio.run(run_checks(machine, settings))
    return findings, fixed or ["There is nothing that --fix can do."]


def _report(findings: list[Finding], fixed: list[str], *, as_json: bool, console: Console | None) -> None:
    if as_json:
        print(report.as_json(findings, fixed))
        return
    console = console or Console(highlight=False)
    for sentence in fixed:
        console.print(Text(f" {sentence}"), soft_wrap=True)
    report.show(findings, console)
