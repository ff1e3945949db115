"""``obsnet demo``: the main job on an embedded default."""

from __future__ import annotations

import sys

from obsnet.command import Shown, command
from obsnet.demo.options import DemoOptions

__all__ = ["demo"]


@command("obsnet.demo.options:DemoOptions")
def demo(options: DemoOptions) -> Shown:
    """Run a twin experiment over China: an invented truth, files in the real formats, the same commands."""
    from obsnet.crosscheck.verdicts.lines import table_lines
    from obsnet.demo.lines import planted_lines
    from obsnet.demo.run import run_demo

    record, table = run_demo(options, say=lambda line: print(line, file=sys.stderr, flush=True))
    return Shown(
        record,
        [
            *table_lines(table),
            *planted_lines(table, record["planted"], record["planted_truth"]),
            f"network: {record['network']}",
            f"{record['seconds']} s, {record['peak_memory_mib']} MiB; open {options.out / 'report.html'}",
        ],
    )
