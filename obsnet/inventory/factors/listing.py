"""Factors as lines for people."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from obsnet.inventory.factors.consumption import Averaged
from obsnet.inventory.factors.electricity import NetworkFactors
from obsnet.inventory.factors.table import builtin_factors, read_factors
from obsnet.inventory.notes import named
from obsnet.language import Language, Words, padded
from obsnet.regions import PROVINCES, region_name

__all__ = [
    "average_data",
    "average_lines",
    "conflict_lines",
    "factor_lines",
    "factors_with",
    "network_lines",
    "network_table",
]


_KINDS_ZH = {
    "average": "平均",
    "market-excluded": "剔除市场化交易电量",
    "fossil": "化石能源电力",
    "footprint": "碳足迹",
}


def factors_with(own: Path | None) -> Any:
    """Return the package's factors, behind those of a table of the user."""
    import pandas as pd

    return (
        builtin_factors()
        if own is None
        else pd.concat([read_factors(own), builtin_factors()], ignore_index=True)
    )


def factor_lines(found: Any, language: Language = "en") -> Iterator[str]:
    """Return a line a factor, and its source below it."""
    last, to = "", Words(" to ", " 至 ").said(language)
    for row in found.to_dict("records"):
        span = ""
        if math.isfinite(row["low"]) and math.isfinite(row["high"]):
            span = f" ({row['low']:g}{to}{row['high']:g})"
        where = " ".join(_called(row[c], language) for c in ("region", "year") if row[c])
        names = (padded(named(row[c], language), width) for c, width in (("quantity", 28), ("item", 26)))
        what = f"{row['edition']:<18}{''.join(names)}{padded(where, 24)}"
        yield f"{what}{row['value']:g} {row['unit']}{span}"
        said = f"    {row['source']}, {row['page']}"
        if said != last:
            yield said
        last = said


def _called(place: object, language: Language) -> str:
    """Return the name of a region, or a year, in a language."""
    text = str(place)
    return region_name(text, language) if text in PROVINCES and language == "zh" else named(text, language)


def conflict_lines(found: Any, language: Language = "en") -> Iterator[str]:
    """Return a line a conflict."""
    to = Words(" to ", " 至 ").said(language)
    for r in found.to_dict("records"):
        item = named(r["item"], language) + (f" {r['gas']}" if r["quantity"].startswith("gwp") else "")
        what = f"{padded(named(r['quantity'], language), 12)}{padded(item, 26)}"
        yield (
            f"{r['spread']:>6.0%}  {what}{r['lowest']:.4g} ({r['lowest_edition']}){to}"
            f"{r['highest']:.4g} ({r['highest_edition']}) {r['unit']}"
        )


def average_data(found: Averaged) -> dict[str, Any]:
    """Return an average of provincial factors for machines."""
    return {
        "value": found.value,
        "unit": "kg CO2/kWh",
        "kind": found.kind,
        "year": found.year,
        "announced_nation": found.nation,
        "difference": found.value / found.nation - 1.0 if math.isfinite(found.nation) else math.nan,
        "provinces": found.table.to_dict("records"),
        "notes": list(found.notes),
    }


def average_lines(found: Averaged, language: Language = "en") -> Iterator[str]:
    """Return an average of provincial factors for people."""
    for row in found.table.to_dict("records"):
        amount = f"{row['consumption']:>10.1f}e8 kWh{row['share']:>8.2%}{row['factor']:>9.4f} kg CO2/kWh"
        yield padded(region_name(row["region"], language), 18) + amount
    n = len(found.table)
    yield Words(
        f"{found.kind}, {found.year}: {found.value:.4f} kg CO2/kWh over {n} provinces",
        f"{_KINDS_ZH[found.kind]}，{found.year} 年：{n} 省加权 {found.value:.4f} kg CO2/kWh",
    ).said(language)
    if math.isfinite(found.nation):
        gap = f"{found.nation:.4f} ({found.value / found.nation - 1:+.2%})"
        yield Words(f"announced for the nation: {gap}", f"全国公布值：{gap}").said(language)


def network_table(regions: list[str], found: NetworkFactors) -> Any:
    """Return the factors of a network as a table."""
    import pandas as pd

    return pd.DataFrame(
        {
            "region": regions,
            "name": [PROVINCES[r][0] if r in PROVINCES else r for r in regions],
            "average": found.average,
            "fossil": found.fossil,
            "consumption": found.consumption,
        }
    )


def network_lines(table: Any, found: NetworkFactors, language: Language = "en") -> Iterator[str]:
    """Return the factors of a network for people."""
    average, fossil = Words("average", "平均").said(language), Words("fossil", "化石能源").said(language)
    for row in table.to_dict("records"):
        burnt = f"{row['fossil']:.4f}" if math.isfinite(row["fossil"]) else "-"
        name = padded(region_name(row["region"], language) if language == "zh" else row["name"], 18)
        yield f"{name}{average} {row['average']:.4f}  {fossil} {burnt}  kg CO2/kWh"
    excluded = f"{found.market_excluded:.4f} kg CO2/kWh"
    yield Words(f"market-excluded, whole network: {excluded}", f"全网，剔除市场化交易：{excluded}").said(
        language
    )
    yield Words(
        f"conservation: consumption x factor over emissions less 1 is {found.residual:.1e}",
        f"守恒：用电量 × 因子 / 排放量 − 1 = {found.residual:.1e}",
    ).said(language)
