"""Benches: `python -m tests.bench NAME` measures the product as a user runs it and checks tests/bench/budget.toml."""
