"""The section of the report on rapid estimates and forecasts: what is said, and how good such numbers were."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from obsnet.drawing.figures import figure_png, subplots
from obsnet.drawing.fonts import drawn_in
from obsnet.errors import FormatError, RegionError
from obsnet.inventory.account.categories import category_name
from obsnet.inventory.words import NATION
from obsnet.language import Language, Words
from obsnet.nowcast.notes import MODELS_ZH
from obsnet.reading import door, read_csv
from obsnet.regions import region_name
from obsnet.report.options import NOWCASTS, nowcast_folder
from obsnet.report.sections.section import Section, number, percent, signed
from obsnet.report.words import term

__all__ = ["nowcast_files", "nowcast_folders", "nowcast_sections"]

_TITLES = {
    "rapid": Words("Rapid estimate", "快速核算"),
    "power": Words("Electricity to carbon", "电碳模型"),
    "forecast": Words("Forecast and early warning", "预测预警"),
}
_TABLES = ("scores.csv", "estimate.csv", "forecast.csv", "reliability.csv")


_VALUE_HEAD = (
    term("region"),
    term("year"),
    term("category"),
    term("megatonnes"),
    Words("90 % interval", "90% 区间"),
)
_SCORE_HEAD = (
    term("region"),
    term("category"),
    Words("Years ahead", "提前年数"),
    term("model"),
    term("cases"),
    Words("Error, %", "误差，%"),
    Words("CRPS, %", "CRPS，%"),
    Words("Bias, %", "偏差，%"),
    Words("In 80 %", "80% 区间内"),
    Words("In 90 %", "90% 区间内"),
    Words("CRPS less persistence's", "CRPS 与持续性之差"),
)
_SCORE_TEXT = Words(
    "Every model run again as of each earlier year, with what was known then; per cent of what came out later.",
    "各模型以每一较早年份当时已知的信息重新运行；误差为其后实际值的百分比。",
)
_HAPPENED, _GIVEN = Words("share that happened", "实际发生频率"), Words("probability given", "预报概率")
_CAPTION = Words(
    "Reliability of the chances: on the dashed line events happen as often as was said. Bars: two standard errors "
    "between years.",
    "概率预报的可靠性：落在虚线上表示事件发生频率与预报概率一致；误差线为年际两倍标准误。",
)


def nowcast_folders(named: Sequence[str], out: Path) -> list[Path]:
    """Return the folders that a report names, or those that the stage ``[nowcast]`` made in the run's outputs."""
    if named:
        return [out / name for name in named]
    made = [out / nowcast_folder(kind) for kind in NOWCASTS]
    return [folder for folder in made if (folder / "summary.json").is_file()]


def nowcast_files(folder: Path) -> list[Path]:
    """Return the files that the sections read."""
    return [folder / "summary.json", *(folder / name for name in _TABLES)]


@door("a folder of obsnet nowcast")
def nowcast_sections(folder: str | Path, language: Language = "en") -> list[Section]:
    """Return what a folder of `obsnet nowcast --out` says, and how good such numbers were.

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
    title = _TITLES[said["kind"]]
    notes = [Words(*n) if isinstance(n, list) else Words(str(n), "") for n in said["notes"]]
    return [
        Section(
            title,
            [*(Words(*pair) for pair in said["statements"]), *notes],
            _VALUE_HEAD,
            [_value(r, language) for r in values.to_dict("records")],
        ),
        Section(
            Words(f"{title.en}: how good such numbers were", f"{title.zh}：此类数值的可信度"),
            [_SCORE_TEXT],
            _SCORE_HEAD,
            [_score(r, language) for r in wide.to_dict("records")],
            None if reliable is None else _reliability(reliable, language),
            _CAPTION,
        ),
    ]


def _score(row: dict[str, Any], language: Language) -> tuple[str, ...]:
    lead = row["than_persistence"]
    return (
        term("sum" if row["region"] == NATION else "provinces").said(language),
        _category(row["category"], language),
        str(row["step"]),
        MODELS_ZH.get(row["model"], row["model"]) if language == "zh" else str(row["model"]),
        str(row["cases"]),
        number(row["mae"], 2),
        number(row["crps"], 2),
        signed(row["bias"], 2),
        percent(row["cover80"]),
        percent(row["cover90"]),
        f"{signed(lead, 2)} ± {number(row['than_persistence_sd'], 2)}" if math.isfinite(lead) else "–",
    )


def _value(row: dict[str, Any], language: Language) -> tuple[str, ...]:
    low, high = number(row["low90"], 1), number(row["high90"], 1)
    return (
        _name(row["region"], language),
        str(row["period"]),
        _category(row["category"], language),
        number(row["value"], 1),
        f"{low} – {high}",
    )


def _category(code: str, language: Language) -> str:
    return category_name(code, "IPCC2006", language) if code == "total" else code


def _name(code: str, language: Language) -> str:
    if code == NATION:
        return term("sum").said(language)
    try:
        return region_name(code, language)
    except RegionError:
        return code


def _reliability(table: Any, language: Language) -> bytes:
    """Draw how often events happened against the probability they were given, with the number of cases below."""
    language = drawn_in(language)
    figure, (axes, below) = subplots(
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
    axes.set(xlim=(0, 1), ylim=(0, 1), ylabel=_HAPPENED.said(language))
    axes.grid(lw=0.4)
    below.bar(
        table["low"],
        table["count"],
        width=table["high"] - table["low"],
        align="edge",
        color="0.75",
        edgecolor="w",
    )
    below.set(xlabel=_GIVEN.said(language), ylabel=term("cases").said(language).lower())
    return figure_png(figure)
