"""Cities and reports for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from obsnet.inventory.account.report import named_region

__all__ = ["city_lines", "report_lines"]


def city_lines(found: Any) -> Iterator[str]:
    """Return a line a city and category."""
    for r in found.to_dict("records"):
        mark = "" if r["resolvable"] else "  not resolvable"
        where = f"{named_region(r['region']):<16}{r['city']:<16}{r['category']:<14}"
        yield f"{where}{r['value']:>12.4f} Mt {r['share']:>7.2%} {r['basis']}{mark}"


def report_lines(sums: Any, odd: Any) -> Iterator[str]:
    """Return sums of reports, then what looks wrong."""
    for r in sums.to_dict("records"):
        beside = (
            ""
            if r["inventory"] != r["inventory"]
            else f"  inventory {r['inventory']:.4f} ({r['coverage']:.0%} covered)"
        )
        where = f"{named_region(r['region']):<16}{r['category']:<18}"
        yield f"{where}{r['reports']:>5} reports {r['value']:>12.4f} Mt{beside}"
    for r in odd.to_dict("records"):
        yield f"row {r['line']}: {r['name']}: {r['why']}"
