"""No test asserts seconds: on a loaded machine it would fail for nothing."""

from __future__ import annotations

import ast
from pathlib import Path

CLOCKS = {"monotonic", "perf_counter", "process_time", "time", "time_ns", "monotonic_ns", "perf_counter_ns"}


def clocks(source: str) -> list[int]:
    """Return the lines of assertions that read a clock."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Assert)
        for call in ast.walk(node)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in CLOCKS
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "time"
    ]


def test_no_assertion_reads_a_clock():
    here = Path(__file__).parent
    found = {
        p.relative_to(here).as_posix(): clocks(p.read_text(encoding="utf-8")) for p in here.rglob("*.py")
    }
    assert not {name: lines for name, lines in found.items() if lines}
    assert clocks("import time\nassert time.monotonic() - begin < 120") == [2]
