"""From a posterior file and an inventory by category to the table of sectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from obsnet.crosscheck.attribution.kernel import by_errors, by_share, sector_covariance
from obsnet.crosscheck.attribution.options import AttributeOptions
from obsnet.crosscheck.bridge.harmonise import refuse_net
from obsnet.crosscheck.compared.inventory_rows import Chosen, RowChoice, category_code, choose_rows
from obsnet.crosscheck.compared.periods import TimeChoice
from obsnet.crosscheck.compared.sources import with_inversion
from obsnet.crosscheck.compared.totals import RegionTotals
from obsnet.crosscheck.reconcile.kernel import combine
from obsnet.crosscheck.rules.statistics import sd_of
from obsnet.crosscheck.words import joined, say
from obsnet.errors import ConfigError
from obsnet.inventory.notes import in_both
from obsnet.inventory.sources.carbon import said_of_carbon
from obsnet.language import Words
from obsnet.sheets import csv_text
from obsnet.typing import Floats

__all__ = ["COLUMNS", "attribute_files", "attribute_table"]

COLUMNS = (
    "region", "name_en", "name_zh", "category", "unit", "gas", "period", "inventory", "inventory_sd", "by_share",
    "by_share_sd", "by_errors", "by_errors_sd", "told", "remark", "remark_zh",
)  # fmt: skip
_TOTAL = "total"
_GAP = 0.01  # of a stated total that its categories may lack
_SUM = 1e-3  # of a sum that rounding may lack


def attribute_files(options: AttributeOptions) -> Any:
    """Read, split, write ``attribution.csv`` and return it."""
    from obsnet.atomic import write_text
    from obsnet.crosscheck.verdicts.table import read_totals
    from obsnet.inventory.table import read_inventory
    from obsnet.work.isolated import apart

    totals = apart(read_totals, options.posterior, options.sector)
    table = attribute_table(totals, read_inventory(options.inventory), options)
    out = (options.out or options.posterior.parent) / "attribution.csv"
    write_text(out, csv_text(table))
    return table


def attribute_table(totals: RegionTotals, inventory: Any, options: AttributeOptions) -> Any:
    """Split the best estimate of each region's total into the inventory's categories.

    Parameters
    ----------
    totals : RegionTotals
        Of the inversion's sector.
    inventory : pandas.DataFrame
        From `obsnet.inventory.table.read_inventory`, with categories.
    options : AttributeOptions

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`: a row a region and category, then its total. ``by_share`` and ``by_errors`` are the two ways of
        `kernel`; ``told`` is ``1 - by_errors_sd / inventory_sd``, what observations added: 0 where a split is the
        inventory's alone.

    Raises
    ------
    ConfigError
        Fewer than two categories, one inside another or the sum of the others, categories that do not make up a stated
        total, a net flux, and what `choose_rows` and `with_inversion` refuse.
    """
    import pandas as pd

    refuse_net(totals.sector, totals.gas, None, bridges=False)
    names = _categories(inventory, options.category)
    choice = RowChoice(
        period=options.year, gas=options.gas, terminology=options.terminology, uncertainty=options.uncertainty
    )
    parts = [
        choose_rows(inventory, totals.gas, totals.sector, totals.regions, replace(choice, category=name))
        for name in names
    ]
    whole = _sum(parts)
    _complete(inventory, totals, choice, whole)
    time = TimeChoice(options.profile, 0.0, options.other_year)
    sources = with_inversion(totals, whole, time, options.prescribed)
    assert sources.top_down is not None
    at = [totals.regions.index(k) for k in sources.keys]
    if (whole.value[at] == 0).any():
        empty = sources.keys[int(np.argmax(whole.value[at] == 0))]
        raise ConfigError(f"the categories of {empty} add up to nothing, of which none has a share")
    factor = sources.value / whole.value[at]  # of a temporal profile
    sectors, sd = (
        np.nan_to_num(np.stack([getattr(p, c)[at] for p in parts])) * factor for c in ("value", "sd")
    )
    _no_sum_among(names, sectors)
    error = sector_covariance(sd, options.between_sectors, options.between_regions)
    h = np.kron(np.ones((1, len(names))), np.eye(len(at)))
    doubt = h @ error @ h.T
    if not (np.diagonal(doubt) > 0).all():
        raise ConfigError(
            f"the inventory states no error at all of {sources.keys[int(np.argmin(np.diagonal(doubt)))]}"
        )
    top = sources.top_down
    best = combine(sectors.sum(axis=0), doubt, top.response, top.value, top.error)
    ways = {
        "by_share": by_share(best.value, best.covariance, sectors),
        "by_errors": by_errors(best.value, best.covariance, sectors, error),
    }
    columns = {
        "inventory": np.vstack([sectors, sectors.sum(axis=0)]),
        "inventory_sd": np.vstack([sd, sd_of(doubt)]),
    }
    for way, (value, covariance) in ways.items():
        columns[way] = np.vstack([value, best.value])
        columns[f"{way}_sd"] = np.vstack([sd_of(covariance).reshape(sd.shape), sd_of(best.covariance)])
    known = columns["inventory_sd"] > 0
    columns["told"] = np.where(
        known, 1.0 - columns["by_errors_sd"] / np.where(known, columns["inventory_sd"], 1.0), 0.0
    )
    lacking = _lacking(parts, sources.names, at)
    carbon = [] if options.category else _looks_like_carbon(totals, whole)
    remark, each = joined([*lacking, *carbon, *sources.remarks]), len(names) + 1
    table = pd.DataFrame({k: v.T.ravel() for k, v in columns.items()}).assign(
        region=np.repeat(np.array(sources.keys, dtype=object), each),
        name_en=[n.en for n in sources.names for _ in range(each)],
        name_zh=[n.zh for n in sources.names for _ in range(each)],
        category=[*names, _TOTAL] * len(at),
    )
    period = str(whole.period)
    return table.assign(unit="Mt", gas=totals.gas, period=period, remark=remark.en, remark_zh=remark.zh)[
        list(COLUMNS)
    ]


def _categories(inventory: Any, asked: Sequence[str]) -> list[str]:
    """Return the categories that make up the sector, none inside another."""
    there = [c for c in inventory["category"] if c != _TOTAL]
    # spellings of one category choose the same rows
    names = list({category_code(c): c for c in reversed(asked or there)}.values())[::-1]
    if len(names) < 2:
        raise ConfigError(f"an attribution needs two categories or more, found {', '.join(names) or 'none'}")
    for one in names:
        for other in names:
            if category_code(other).startswith(category_code(one) + "."):
                raise ConfigError(
                    f"category {other} is part of {one}: choose those that add up with --category"
                )
    return names


def _no_sum_among(names: Sequence[str], sectors: Floats) -> None:
    """Refuse a category that is the sum of the others in every region, whatever it is called."""
    if sectors.size < 3:  # two numbers may be alike by chance
        return
    for name, own in zip(names, sectors, strict=True):
        rest = sectors.sum(axis=0) - own
        if (np.abs(own - rest) <= _SUM * rest).all():
            raise ConfigError(
                f"category {name} is the sum of the others in every region, which would count twice: name those that "
                "make up the sector with --category"
            )


def _lacking(parts: Sequence[Chosen], names: Sequence[Words], at: Sequence[int]) -> list[Words]:
    """Say which categories have no row in some of the regions."""
    said = []
    for part in parts:
        without = [n for k, n in zip(at, names, strict=True) if not np.isfinite(part.value[k])]
        if without:
            listed = {
                "regions": ", ".join(n.en for n in without),
                "regions_zh": "、".join(n.zh for n in without),
            }
            said.append(say("category absent", which=part.category, **listed))
    return said


def _looks_like_carbon(totals: RegionTotals, whole: Chosen) -> list[Words]:
    """Ask about totals of CO2 that look like carbon."""
    import pandas as pd

    known = np.isfinite(whole.value)
    if totals.gas != "CO2" or not known.any():
        return []
    frame = pd.DataFrame(
        {"region": np.array(totals.regions, dtype=object)[known], "value": whole.value[known]}
    )
    frame = frame.assign(category=_TOTAL, gas="CO2", unit="Mt", period=str(whole.period))
    return [in_both(text) for text in said_of_carbon(frame)]


def _sum(parts: Sequence[Chosen]) -> Chosen:
    """Return the sum of categories; one that a region does not have is 0."""
    values = np.stack([p.value for p in parts])
    there = np.isfinite(values).any(axis=0)
    sd = np.sqrt(np.nansum(np.stack([p.sd for p in parts]) ** 2, axis=0))
    first = parts[0]
    return replace(
        first,
        value=np.where(there, np.nansum(values, axis=0), np.nan),
        sd=np.where(there, sd, np.nan),
        category=" + ".join(p.category for p in parts),
        remarks={r: [x for p in parts for x in p.remarks[r]] for r in first.remarks},
    )


def _complete(inventory: Any, totals: RegionTotals, choice: RowChoice, whole: Chosen) -> None:
    """Refuse categories that do not add up to a total that the inventory states."""
    if not (inventory["category"] == _TOTAL).any():
        return
    rows = inventory[inventory["category"] == _TOTAL]
    stated = choose_rows(rows, totals.gas, totals.sector, totals.regions, choice).value
    for region, total, parts in zip(totals.regions, stated, whole.value, strict=True):
        if np.isfinite(total) and np.isfinite(parts) and abs(total - parts) > _GAP * abs(total):
            raise ConfigError(
                f"the categories of {region} add up to {parts:g} Mt of its total of {total:g}: name those that make up "
                "the inversion's sector with --category, and leave out the rows total"
            )
