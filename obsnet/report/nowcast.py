"""The section of the report on rapid estimates and forecasts: what is said, and how good such numbers were."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from obsnet.crosscheck.words import Words
from obsnet.errors import FormatError, RegionError
from obsnet.inventory.words import NATION
from obsnet.reading import door, read_csv
from obsnet.regions import region_name
from obsnet.report.maps import figure_png

__all__ = ["NowcastSection", "nowcast_files", "nowcast_section", "reliability_png"]

_TITLES = {
    "rapid": Words("Rapid estimate", "快速核算"),
    "power": Words("Electricity to carbon", "电碳模型"),
    "forecast": Words("Forecast and early warning", "预测预警"),
}
_TABLES = ("scores.csv", "estimate.csv", "forecast.csv", "reliability.csv")


@dataclass(frozen=True, eq=False)
class NowcastSection:
    """One folder of `obsnet nowcast`, for the page.

    Parameters
    ----------
    title : Words
    statements : list of Words
    notes : list of str
    scores, values : list of dict
        Rows as text.
    picture : str
        Reliability diagram as base64, empty where there is none.
    """

    title: Words
    statements: list[Words]
    notes: list[str]
    scores: list[dict[str, str]]
    values: list[dict[str, str]]
    picture: str


def nowcast_files(folder: Path) -> list[Path]:
    """Return the files that a section reads."""
    return [folder / "summary.json", *(folder / name for name in _TABLES)]


@door("a folder of obsnet nowcast")
def nowcast_section(folder: str | Path) -> NowcastSection:
    """Read a folder that `obsnet nowcast --out` wrote.

    Raises
    ------
    FormatError
        It is none, or of another version.
    """
    folder = Path(folder)
    summary = folder / "summary.json"
    if not summary.is_file():
        raise FormatError(
            f"{summary} is missing; `obsnet nowcast rapid|power|forecast --out {folder}` makes it"
        )
    said = json.loads(summary.read_text(encoding="utf-8"))
    if not isinstance(said, dict) or said.get("obsnet_nowcast") != 1 or said.get("kind") not in _TITLES:
        raise FormatError(f"{summary}: not of obsnet nowcast, or of another version of it")
    tables = {
        p.stem: read_csv(p, dtype={"region": str, "period": str})
        for p in nowcast_files(folder)[1:]
        if p.is_file()
    }
    scores = tables["scores"]
    wide = scores[scores["region"].isin(["provinces", NATION])]
    values = tables["estimate"] if "estimate" in tables else tables["forecast"]
    if said["kind"] == "forecast" and (values["region"] == NATION).any():
        values = values[values["region"] == NATION]
    reliable = tables.get("reliability")
    return NowcastSection(
        title=_TITLES[said["kind"]],
        statements=[Words(*pair) for pair in said["statements"]],
        notes=[str(n) for n in said["notes"]],
        scores=[_score(r) for r in wide.to_dict("records")],
        values=[_value(r) for r in values.to_dict("records")],
        picture=base64.b64encode(reliability_png(reliable)).decode("ascii") if reliable is not None else "",
    )


def _score(row: dict[str, Any]) -> dict[str, str]:
    lead, sd = row["than_persistence"], row["than_persistence_sd"]
    return {
        "what": str(row["category"]), "where": "sum · 合计" if row["region"] == NATION else "provinces · 各省",
        "step": str(row["step"]), "model": str(row["model"]), "cases": str(row["cases"]),
        **{k: f"{row[k]:.2f}" for k in ("mae", "crps")}, "bias": f"{row['bias']:+.2f}",
        **{k: f"{row[k]:.0%}" for k in ("cover80", "cover90")},
        "lead": f"{lead:+.2f} ± {sd:.2f}" if math.isfinite(lead) else "–",
    }  # fmt: skip


def _value(row: dict[str, Any]) -> dict[str, str]:
    names = (
        ["sum", "合计"]
        if row["region"] == NATION
        else [_name(row["region"], "en"), _name(row["region"], "zh")]
    )
    return {
        "en": names[0], "zh": names[1], "period": str(row["period"]), "what": str(row["category"]),
        "value": f"{row['value']:,.1f}", "low": f"{row['low90']:,.1f}", "high": f"{row['high90']:,.1f}",
    }  # fmt: skip


def _name(code: str, language: Any) -> str:
    try:
        return region_name(code, language)
    except RegionError:
        return code


def reliability_png(table: Any) -> bytes:
    """Draw how often events happened against the probability they were given.

    Parameters
    ----------
    table : pandas.DataFrame
        See `obsnet.nowcast.skill.scores.reliability`.

    Returns
    -------
    bytes
        PNG; bars are two standard errors between years, bars below the number of cases.
    """
    import matplotlib.pyplot as plt

    figure, (axes, below) = plt.subplots(
        2, 1, figsize=(4.6, 5.4), sharex=True, gridspec_kw={"height_ratios": (4, 1), "hspace": 0.08}
    )
    axes.plot([0, 1], [0, 1], color="0.6", lw=1, ls="--")
    axes.errorbar(
        table["forecast"],
        table["observed"],
        yerr=2.0 * table["observed_sd"].fillna(0.0),
        fmt="o-",
        color="#0072B2",
        capsize=3,
    )
    axes.set(xlim=(0, 1), ylim=(0, 1), ylabel="share that happened")
    axes.grid(lw=0.4)
    below.bar(
        table["low"],
        table["count"],
        width=table["high"] - table["low"],
        align="edge",
        color="0.75",
        edgecolor="w",
    )
    below.set(xlabel="probability given", ylabel="cases")
    return figure_png(figure)
