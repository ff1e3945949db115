"""Annual emissions of regions, and what may be said of them before they are modelled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from obsnet.errors import FormatError
from obsnet.inventory.sources.quality import flag_series
from obsnet.nowcast.notes import note
from obsnet.typing import Floats, Ints

__all__ = ["LEAST_YEARS", "Panel", "cleaned"]

LEAST_YEARS = 4  # three growth rates: the fewest that have a trend and a spread
_NEW = np.log(1.25)  # a change that stays and that no other region has: statistics and borders change so
_LOST = np.log(2.0)  # a last value that halves or doubles against all other regions is taken for an error


@dataclass(frozen=True, eq=False)
class Panel:
    """Annual totals of regions.

    Parameters
    ----------
    regions : tuple of str
        Keys.
    years : ndarray of int, shape (years,)
        Consecutive.
    values : ndarray, shape (years, regions)
        Mt a year; NaN where there is nothing.
    """

    regions: tuple[str, ...]
    years: Ints
    values: Floats

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.years), len(self.regions)) or (np.diff(self.years) != 1).any():
            raise FormatError("a panel needs consecutive years and one value a year and region")

    @property
    def last(self) -> int:
        """Last year."""
        return int(self.years[-1])

    def upto(self, year: int) -> Panel:
        """Return the part that ends with a year."""
        keep = self.years <= year
        return Panel(self.regions, self.years[keep], self.values[keep])

    def at(self, year: int) -> Floats:
        """Return the values of a year, NaN outside."""
        found = np.flatnonzero(self.years == year)
        return self.values[found[0]] if found.size else np.full(len(self.regions), np.nan)

    def of(self, region: str) -> Panel:
        """Return one region as a panel."""
        return Panel((region,), self.years, self.values[:, [self.regions.index(region)]])


def cleaned(panel: Panel) -> tuple[Panel, tuple[str, ...]]:
    """Return a panel whose every value is positive, and what was taken for an error or filled in.

    Nothing, zeroes, values below 0 and spikes that turn back within two years (`obsnet.inventory.sources.quality`) are
    bridged in the logarithm, before the first value and after the last one held at it; a last value that halves or
    doubles against all other regions is replaced by the one before. The truth that a hindcast is scored against is
    never filled.

    Raises
    ------
    FormatError
        Fewer than `LEAST_YEARS` years, or a region with fewer than two values.
    """
    import pandas as pd

    if len(panel.years) < LEAST_YEARS:
        raise FormatError(
            f"{len(panel.years)} years of inventories ({panel.years[0]}-{panel.last}); {LEAST_YEARS} are the fewest "
            "from which a trend and its error can be said"
        )
    frame = pd.DataFrame(panel.values, index=panel.years, columns=list(panel.regions))
    flags = flag_series(frame)
    values = np.where(panel.values > 0.0, panel.values, np.nan)
    notes = []
    for row in flags.to_dict("records"):
        at_end = row["kind"] == "break" and row["period"] == panel.last and abs(row["change"]) > _LOST
        if row["kind"] in {"zero", "spike", "negative"} or at_end:
            i, j = row["period"] - int(panel.years[0]), panel.regions.index(row["region"])
            if np.isfinite(values[i, j]) or row["kind"] == "negative":
                notes.append(
                    note(
                        "error",
                        region=row["region"],
                        year=row["period"],
                        value=f"{row['value']:.4g}",
                        kind=row["kind"],
                    )
                )
            values[i, j] = np.nan
        elif row["kind"] == "break" and abs(row["change"]) > _NEW:
            notes.append(
                note(
                    "inventory shift",
                    region=row["region"],
                    year=row["period"],
                    factor=f"{np.exp(row['change']):.2f}",
                )
            )
    logs = np.log(values)
    for j, region in enumerate(panel.regions):
        known = np.flatnonzero(np.isfinite(logs[:, j]))
        if known.size < 2:
            raise FormatError(
                f"{region}: {known.size} usable values in {panel.years[0]}-{panel.last}; a series of zeros or gaps "
                "has no growth: leave the region out"
            )
        logs[:, j] = np.interp(np.arange(len(logs)), known, logs[known, j])
        notes += _gaps(panel, j, known)
    return Panel(panel.regions, panel.years, np.exp(logs)), tuple(notes)


def _gaps(panel: Panel, j: int, known: Ints) -> list[str]:
    """Say which years of a region had no value at all and what stands there now."""
    empty = np.flatnonzero(np.isnan(panel.values[:, j]))
    first, last = known[0], known[-1]
    spans: tuple[tuple[str, Ints, dict[str, int]], ...] = (
        ("held", empty[empty < first], {"year": int(panel.years[first])}),
        ("gap", empty[(empty > first) & (empty < last)], {}),
        ("held", empty[empty > last], {"year": int(panel.years[last])}),
    )
    return [
        note(key, region=panel.regions[j], years=", ".join(map(str, panel.years[at])), **more)
        for key, at, more in spans
        if at.size
    ]


def totals(panel: Any) -> Floats:
    """Return the sum over regions of each year, NaN where one is missing; shape (years,)."""
    return np.asarray(panel.values.sum(axis=1), dtype=np.float64)
