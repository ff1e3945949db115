"""From an inventory, its nation and a posterior file to the table of the joint best estimate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from obsnet.crosscheck.bridge.harmonise import refuse_net
from obsnet.crosscheck.compared.inventory_rows import Chosen, RowChoice, choose_rows
from obsnet.crosscheck.compared.periods import TimeChoice
from obsnet.crosscheck.compared.sources import Sources, bottom_up, with_inversion
from obsnet.crosscheck.compared.totals import RegionTotals
from obsnet.crosscheck.reconcile.estimate import Nation, Reconciled, reconcile
from obsnet.crosscheck.reconcile.options import ReconcileOptions
from obsnet.crosscheck.verdicts.all_regions import STATISTICS
from obsnet.crosscheck.words import joined, say
from obsnet.errors import ConfigError, RegionError
from obsnet.inventory.notes import in_both
from obsnet.inventory.sources.carbon import said_of_carbon
from obsnet.inventory.table import check_inventory, with_provinces
from obsnet.inventory.words import NATION, find_region
from obsnet.language import Words
from obsnet.regions import PROVINCES
from obsnet.sheets import csv_text

__all__ = ["COLUMNS", "ReconciledTables", "reconcile_files", "reconcile_tables"]

COLUMNS = (
    "region", "name_en", "name_zh", "unit", "gas", "period", "inventory", "inventory_sd", "inversion", "inversion_sd",
    "reconciled", "reconciled_sd", "adjustment", "adjustment_sd", "ratio", "suspect",
)  # fmt: skip


_FEW = 6  # names in a remark


@dataclass(frozen=True)
class ReconciledTables:
    """A reconciliation as tables.

    Parameters
    ----------
    table : pandas.DataFrame
        `COLUMNS`, one row a region, then ``CHN`` where there is a nation. ``ratio`` is the likelihood ratio of a gross
        error of the inventory's number, ``suspect`` names what is pointed at.
    statistics : pandas.DataFrame
        As in `all_regions`.
    """

    table: Any
    statistics: Any


def reconcile_files(options: ReconcileOptions) -> ReconciledTables:
    """Read, reconcile, write ``reconciled.csv`` and ``reconciled_statistics.csv``."""
    from obsnet.atomic import write_text
    from obsnet.crosscheck.verdicts.run import beside
    from obsnet.crosscheck.verdicts.table import read_totals
    from obsnet.inventory.table import read_inventory
    from obsnet.work.isolated import apart

    totals = None if options.posterior is None else apart(read_totals, options.posterior, options.sector)
    found = reconcile_tables(read_inventory(options.inventory), options, totals)
    out = options.out / "reconciled.csv"
    write_text(out, csv_text(found.table))
    write_text(beside(out, "statistics"), csv_text(found.statistics))
    return found


def reconcile_tables(
    inventory: Any, options: ReconcileOptions, totals: RegionTotals | None = None
) -> ReconciledTables:
    """Reconcile an inventory table.

    Parameters
    ----------
    inventory : pandas.DataFrame
        From `obsnet.inventory.table.read_inventory`.
    options : ReconcileOptions
    totals : RegionTotals, optional
        Of an inversion.

    Raises
    ------
    ConfigError
        What `choose_rows`, `match_periods` and `reconcile` refuse, several gases, a net flux, a nation without an
        uncertainty, of another time or of regions that are not all there, or an inversion with which nothing can be
        tested.
    SchemaError
        A province in two spellings.
    """
    inventory = check_inventory(inventory)
    if totals is None:
        inventory = with_provinces(inventory, options.inventory)
    else:
        refuse_net(totals.sector, totals.gas, None, bridges=False)
    national = inventory["region"].map(_is_nation).astype(bool)
    gas = _one_gas(inventory, options.gas) if totals is None else totals.gas
    choice = RowChoice(
        period=options.year, gas=options.gas, category=options.category, uncertainty=options.uncertainty
    )
    rows = inventory[~national]
    regions = tuple(dict.fromkeys(rows["region"])) if totals is None else totals.regions
    chosen = choose_rows(rows, gas, "inventory" if totals is None else totals.sector, regions, choice)
    time = TimeChoice(options.profile, 0.0, options.other_year)
    sources = (
        bottom_up(chosen, regions)
        if totals is None
        else with_inversion(totals, chosen, time, options.prescribed)
    )
    nation = _nation(inventory[national], options, gas, choice, chosen)
    lost = [r for r, v in zip(regions, chosen.value, strict=True) if np.isfinite(v) and r not in sources.keys]
    if nation is not None and lost:
        raise ConfigError(
            f"the nation's total holds {', '.join(lost)}, which the inversion says nothing of: reconcile without it"
        )
    found = reconcile(
        sources.keys,
        sources.value,
        sources.sd,
        nation=nation,
        top_down=sources.top_down,
        factor=options.factor,
        unknown_correlation=options.unknown_correlation,
        alpha=options.alpha,
    )
    asked = map(in_both, said_of_carbon(rows)) if gas == "CO2" else ()
    own = [x for r in sources.keys for x in chosen.remarks[r]]
    remarks = joined([*_of_regions(sources, nation), *asked, *own, *sources.remarks])
    return ReconciledTables(
        _table(sources, found, nation, options).assign(unit="Mt", gas=gas, period=str(chosen.period))[
            list(COLUMNS)
        ],
        _statistics(sources, found, nation, options, remarks),
    )


def _one_gas(inventory: Any, asked: str | None) -> str:
    """Return the gas that is reconciled; carbon is of carbon dioxide."""
    there = {"CO2" if g == "C" else str(g) for g in inventory["gas"]}
    if asked is None and len(there) > 1:
        raise ConfigError(f"the inventory has {', '.join(sorted(there))}: choose one with --gas")
    gas = there.pop() if asked is None else asked.upper()
    return "CO2" if gas == "C" else gas


def _of_regions(sources: Sources, nation: Nation | None) -> list[Words]:
    """Say which regions are added up that may hold others, and which provinces the nation's total holds besides."""
    own = [k for k in sources.keys if k not in PROVINCES]
    if 0 < len(own) < len(sources.keys):
        return [say("beside provinces", regions=", ".join(own))]
    lacking = [v for k, v in PROVINCES.items() if k not in sources.keys]
    if own or nation is None or not lacking:
        return []
    more = ("", "") if len(lacking) <= _FEW else (" …", "……")
    en, zh = (between.join(v[k] for v in lacking[:_FEW]) + more[k] for k, between in enumerate((", ", "、")))
    return [
        say("provinces lacking", count=len(sources.keys), lacking=len(lacking), regions=en, regions_zh=zh)
    ]


def _nation(
    rows: Any, options: ReconcileOptions, gas: str, choice: RowChoice, regions: Chosen
) -> Nation | None:
    """Return the national total: of the options, or the inventory's own row."""
    stated, sd = options.nation, options.nation_uncertainty
    if stated is not None and len(rows):
        raise ConfigError(
            f"--nation {stated:g} and a row of the nation in the inventory: leave out one of them"
        )
    if stated is None and len(rows):
        found = choose_rows(
            rows.assign(region=NATION),
            gas,
            "inventory",
            (NATION,),
            replace(choice, uncertainty=np.nan if sd is None else sd),
        )
        if found.period != regions.period:
            raise ConfigError(
                f"the national total is of {found.period}, the regions' are of {regions.period}: take those of one time"
            )
        stated = float(found.value[0])
        own = float(found.sd[0]) / abs(stated) if stated else 0.0
        sd = own if sd is None and np.isfinite(own) else sd
    if stated is None:
        return None
    if sd is None:
        raise ConfigError(
            "the national total states no uncertainty: give --nation-uncertainty, 0 if it is exact"
        )
    return Nation(stated, sd * abs(stated), options.difference, options.difference_sd)


def _table(sources: Sources, found: Reconciled, nation: Nation | None, options: ReconcileOptions) -> Any:
    import pandas as pd

    count = len(sources.keys)
    table = pd.DataFrame(
        {
            "region": sources.keys,
            "name_en": [n.en for n in sources.names],
            "name_zh": [n.zh for n in sources.names],
            "inventory": sources.value,
            "inventory_sd": np.hypot(sources.sd, options.factor * sources.value),
            "inversion": sources.seen,
            "inversion_sd": sources.seen_sd,
            "reconciled": found.value,
            "reconciled_sd": found.sd,
            "adjustment": found.adjustment,
            "adjustment_sd": found.adjustment_sd,
            "ratio": found.ratios[:count],
            "suspect": [
                " ".join(s for s in ("inventory", "inversion") if f"{s} {k}" in found.suspects)
                for k in sources.keys
            ],
        }
    )
    if nation is None:
        return table
    total = float(np.sqrt(max(found.covariance.sum(), 0.0)))
    row = {
        "region": NATION,
        "name_en": "Nation",
        "name_zh": "全国",
        "inventory": nation.value,
        "inventory_sd": float(np.hypot(nation.sd, options.factor * nation.value)),
        "inversion": np.nan,
        "inversion_sd": np.nan,
        "reconciled": found.nation,
        "reconciled_sd": float(np.hypot(total, nation.difference_sd)),
        "adjustment": found.nation - nation.value,
        "adjustment_sd": np.nan,
        "ratio": found.ratios[found.labels.index("nation")],
        "suspect": "inventory" if "nation" in found.suspects else "",
    }
    return pd.concat([table, pd.DataFrame([row])], ignore_index=True)


def _statistics(
    sources: Sources, found: Reconciled, nation: Nation | None, options: ReconcileOptions, remarks: Words
) -> Any:
    import pandas as pd

    rows: list[tuple[str, float, Words, bool]] = []
    if nation is not None:
        excess = float(sources.value.sum()) - nation.value
        text = say(
            "regions and nation",
            regions=f"{sources.value.sum():,.0f}",
            nation=f"{nation.value:,.0f}",
            share=f"{excess / nation.value:+.2%}",
            difference=f"{nation.difference:,.0f}",
        )
        rows.append(("regions_less_nation", excess, text, False))
    agree = say("sources agree", value=found.chi_square, freedom=found.freedom, p=found.p)
    rows.append(("chi_square", found.chi_square, agree, False))
    if found.suspects:
        names = {f"{s} {k}": n for k, n in zip(sources.keys, sources.names, strict=True) for s in _OF}
        said = [_spoken(label, names) for label in found.suspects]
        key = "suspect" if len(said) == 1 else "suspects alike"
        listed = {"which": ", ".join(w.en for w in said), "which_zh": "、".join(w.zh for w in said)}
        rows.append(("suspects", len(said), say(key, **listed), True))
    if np.isfinite(found.weight):
        rows.append(("weight", found.weight, say("intersected", share=f"{found.weight:.0%}"), False))
    if remarks.en:
        rows.append(("remarks", float("nan"), remarks, False))
    return pd.DataFrame([(k, v, t.en, t.zh, int(told)) for k, v, t, told in rows], columns=STATISTICS)


_OF = {"inventory": "清单", "inversion": "反演"}
_WHOLE = {
    "nation": Words("the national total", "全国总量"),
    "inventory, all": Words("a factor on the whole inventory", "整个清单的系数"),
    "inversion, all": Words("a factor on the whole inversion", "整个反演的系数"),
}


def _spoken(label: str, names: dict[str, Words]) -> Words:
    if label in _WHOLE:
        return _WHOLE[label]
    source = label.split(" ", 1)[0]
    return Words(f"the {source}'s {names[label].en}", f"{names[label].zh}的{_OF[source]}")


def _is_nation(region: object) -> bool:
    try:
        return find_region(region) == NATION
    except RegionError:
        return False
