"""What every bench prints: a table for people and, as the last line, one JSON object."""

import json
import os
import platform
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

BUDGET = Path(__file__).with_name("budget.toml")


def percentiles(name: str, values: Sequence[float]) -> dict[str, float]:
    """Median and 95th percentile as figures `<name>_p50` and `<name>_p95`."""
    return {
        f"{name}_p50": round(float(np.percentile(values, 50)), 3),
        f"{name}_p95": round(float(np.percentile(values, 95)), 3),
    }


def machine() -> str:
    """Processor, cores, Python and commit, in one line."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, timeout=10)
    commit = git.stdout.strip() or "unknown"
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, commit {commit}"


def report(bench: str, figures: Mapping[str, float], *, json_file: Path | None) -> bool:
    """Print the table and the JSON line; true when every bound of budget.toml holds.

    A bound is a number, the most a figure may be, or a pair [least, most]. A bound without a figure is missed.
    """
    budget: dict[str, float | list[float]] = tomllib.loads(BUDGET.read_text()).get(bench, {})
    names = [*figures, *(name for name in budget if name not in figures)]
    width = max(map(len, [*names, "figure"]))
    print(f"{bench}: {machine()}\n{'figure':<{width}}  {'measured':>10}  {'bound':>14}")
    ok = True
    for name in names:
        value, bound = figures.get(name), budget.get(name)
        holds = bound is None or (value is not None and _holds(value, bound))
        ok = ok and holds
        verdict = "" if bound is None else "ok" if holds else "MISSED"
        measured, limit = "none" if value is None else f"{value:g}", "" if bound is None else str(bound)
        print(f"{name:<{width}}  {measured:>10}  {limit:>14}  {verdict}".rstrip())
    result = {"bench": bench, "figures": dict(figures), "budget": budget, "ok": ok, "machine": machine()}
    line = json.dumps(result)
    if json_file is not None:
        json_file.write_text(line + "\n")
    print(line, flush=True)
    return ok


def _holds(value: float, bound: float | list[float]) -> bool:
    if isinstance(bound, list):
        least, most = bound
        return least <= value <= most
    return value <= bound
