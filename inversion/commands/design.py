"""``obsnet design``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from obsnet.case_file import CaseTable
from obsnet.command import Shown, command

__all__ = ["design"]


@command("obsnet.case_file:CaseTable")
def design(options: CaseTable) -> Shown:
    """Rank candidate stations or orbits by what they would teach, and choose the best one after the other.

    Information (nats), degrees of freedom for signal and the error of province totals are all reported; one of
    them decides. The table [design.world] makes an idealised world; without it the footprints of the case's
    [invert] are used.
    """
    from inversion.study.options import DesignOptions
    from inversion.study.run_design import run_design

    table, data, folder, out = options.open("design", DesignOptions)
    written, summary = run_design(table, data, folder, out, lambda line: print(line, file=sys.stderr))
    return Shown(summary, _lines(summary, written, out))


def _lines(summary: dict[str, Any], written: list[Path], out: Path) -> Iterator[str]:
    for row in summary["choice"]:
        national = f", China {row['national_sd']:.4g} {row['unit']}" if "national_sd" in row else ""
        yield (
            f"{row['number']:3d} {row['added']}: {row['information_nats']:.4g} nats, "
            f"{row['dofs']:.4g} degrees of freedom{national}"
        )
    yield f"written: {', '.join(p.name for p in written)} in {out}"
