"""Honesty tests of the particle model: each has a known answer and says how far off it is.

They run the very kernels that footprints are made with, at the settings that are the defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from inversion.transport.check.answers import adjoint, convergence, reciprocity, rotation, uniform_flux
from inversion.transport.check.day import diurnal
from inversion.transport.check.filling import domain_filling
from inversion.transport.check.mixing import stilt_well_mixed, taylor, well_mixed
from inversion.transport.check.mptrac import mptrac
from inversion.transport.check.options import CheckOptions
from inversion.transport.check.references import references
from inversion.transport.check.stilt import stilt
from inversion.transport.check.storms import storms
from inversion.transport.check.worlds import Row
from obsnet.work.progress import progress

__all__ = ["in_words", "plain", "run_checks"]


def run_checks(
    options: CheckOptions | None = None, *, report: Callable[[Row], None] = lambda _row: None
) -> list[Row]:
    """Run all tests.

    Parameters
    ----------
    options : CheckOptions, optional
        Which, and how large; without a reference the comparisons with other models are left out.
    report : callable
        Told of each row as it is found.

    Returns
    -------
    list of Row
    """
    options = options or CheckOptions()
    scale, reference = options.scale, options.reference
    tests: list[tuple[str, Callable[[], Iterator[Row]]]] = [
        ("well_mixed", lambda: well_mixed(int(20000 * scale))),
        ("stilt_well_mixed", lambda: stilt_well_mixed(int(20000 * scale))),
        ("day", lambda: diurnal(int(20000 * scale))),
        ("storms", lambda: storms(int(20000 * scale))),
        ("taylor", lambda: taylor(int(100000 * scale))),
        ("rotation", rotation),
        ("uniform_flux", lambda: uniform_flux(int(400 * scale))),
        ("reciprocity", lambda: reciprocity(int(40000 * scale))),
        ("convergence", lambda: convergence(int(3000 * scale))),
        ("adjoint", adjoint),
        ("domain_filling", lambda: domain_filling(reference, int(60000 * scale))),
    ]
    if reference is not None:
        tests.append(("stilt", lambda: stilt(reference, int(2000 * scale))))
        tests.append(("references", lambda: references(reference, scale)))
        tests.append(("mptrac", lambda: mptrac(reference)))
    chosen = [test for name, test in tests if options.only in name]
    rows = []
    with progress(len(chosen), "honesty tests") as advance:
        for test in chosen:
            for row in test():
                rows.append(row)
                report(row)
            advance(1)
    return rows


def plain(row: Row) -> dict[str, Any]:
    """Return a row as plain data for JSON, without its series."""
    return {**{k: v for k, v in asdict(row).items() if k != "series"}, "passed": row.passed}


def in_words(row: Row) -> str:
    """Return a row as a line for people."""
    mark = {True: "ok  ", False: "FAIL", None: "    "}[row.passed]
    limit = "" if row.passed is None else f" (accepted {row.accepted:.3g})"
    return f"{mark} {row.test}: {row.measured:.3g} {row.unit}{limit}; {row.detail}"
