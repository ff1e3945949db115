"""What became of the planted error, in words: found, or why it cannot be found with this network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from obsnet.inventory.table import builtin

__all__ = ["planted_lines"]


def planted_lines(table: Any, planted: str, truth: float) -> Iterator[str]:
    """Say what was planted, what was found, and whether that is what the network can do.

    Parameters
    ----------
    table : pandas.DataFrame
        Verdicts, see `obsnet.crosscheck.verdicts.table`.
    planted : str
        Adcode.
    truth : float
        Total of the invented truth, Mt a year.
    """
    row = table.set_index("region").loc[planted]
    published = float(builtin("ceads-2019").set_index("region").at[planted, "value"])
    off, seen = truth - row["inventory"], row["minimum_detectable"]
    yield (
        f"planted: the table says {row['inventory']:.0f} Mt for {row['name_en']}, CEADs {published:.0f}, the invented "
        f"truth is {truth:.0f}: {row['verdict']}"
    )
    testable = table[table["verdict"] != "not testable"]
    names = ", ".join(testable["name_en"]) or "none"
    if row["verdict"] == "not testable":
        yield (
            f"  {row['reason']}: with this network, a discrepancy of {seen:.0f} Mt would be found there four times "
            f"in five, the planted one is {off:.0f}; saying so is the right answer. Testable in this run: {names}"
        )
    elif row["verdict"] != "inconsistent":
        yield (
            f"  not found: {seen:.0f} Mt would be found four times in five, the planted discrepancy is {off:.0f} Mt "
            "in this draw of the truth"
        )
