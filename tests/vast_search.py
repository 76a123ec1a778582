"""How the fake Vast.ai reads a search: `{"gpu_ram": {"gte": 24000}, …}` against one row."""

from collections.abc import Callable, Mapping
from typing import Any


def value_of(name: str, row: Mapping[str, Any]) -> Any:
    return row.get(name) or 0


def holds(row: Mapping[str, Any], name: str, rule: Mapping[str, Any]) -> bool:
    """Whether a row fulfils one field of a search, such as {"gte": 24000}."""
    value = row.get(name)
    if name == "geolocation":
        value = str(value)[-2:]
    return all(_compares(value, operator, wanted) for operator, wanted in rule.items())


def _compares(value: Any, operator: str, wanted: Any) -> bool:
    if operator in ("in", "notin"):
        return (value in wanted) == (operator == "in")
    if isinstance(value, int | float) and not isinstance(value, bool):
        wanted = float(wanted)
    compare: dict[str, Callable[[Any, Any], bool]] = {
        "eq": lambda left, right: left == right,
        "neq": lambda left, right: left != right,
        "gt": lambda left, right: left > right,
        "gte": lambda left, right: left >= right,
        "lt": lambda left, right: left < right,
        "lte": lambda left, right: left <= right,
    }
    return value is not None and compare[operator](value, wanted)
