"""From files to estimates and forecasts, and to the tables that say how good they were."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.command import Shown
from obsnet.errors import ConfigError, FormatError
from obsnet.inventory.words import NATION
from obsnet.language import WRITTEN, Language, Words
from obsnet.nowcast.forecast import EmissionForecast, forecast, read_target
from obsnet.nowcast.inputs.history import History, read_history
from obsnet.nowcast.inputs.indicator_file import read_indicators
from obsnet.nowcast.inputs.indicators import Indicators, join
from obsnet.nowcast.lines import (
    category_words,
    chance_lines,
    chance_words,
    factor_words,
    model_words,
    nation_words,
    score_lines,
    shape_words,
    value_lines,
)
from obsnet.nowcast.notes import in_both
from obsnet.nowcast.options import (
    ForecastOptions,
    HistoryOptions,
    IndicatorOptions,
    PowerOptions,
    RapidOptions,
)
from obsnet.nowcast.power import power_estimate, refuse_daily
from obsnet.nowcast.rapid import RapidEstimate, rapid_estimate
from obsnet.nowcast.rows import covariance_rows, value_rows
from obsnet.nowcast.shape import monthly_shape, shaped_flux

__all__ = ["history_of", "indicators_of", "run_forecast", "run_power", "run_rapid"]


@dataclass(frozen=True, eq=False)
class _Part:
    """What one category has to say."""

    tables: dict[str, Any]
    words: list[Words]
    lines: list[str]
    notes: tuple[str, ...]


def run_rapid(options: RapidOptions) -> Shown:
    """Estimate a year for each category."""
    indicators = indicators_of(options, options.indicators)
    parts = []
    for category in options.category:
        history = history_of(options, category)
        found = rapid_estimate(history, indicators, **_how(options), shifts=options.shifts)
        part = _estimated(found, options.language, "rapid estimate")
        if options.atmosphere:
            _with_atmosphere(options, history, indicators, found, part)
        _editions(part, history)
        parts.append(part)
    return _shown(options, "rapid", parts, indicators)


def run_power(options: PowerOptions) -> Shown:
    """Estimate the power sector, and put the shape of generation on a flux where one is given."""
    indicators = indicators_of(options, options.indicators)
    if indicators is None:
        raise ConfigError("power needs --indicators with generation")
    if (options.flux is None) != (options.shaped is None):
        raise ConfigError(
            "--flux FILE and --shaped FILE go together: what the shape is put on, and where that is written"
        )
    _refuse_daily(options, indicators)
    parts = []
    for category in options.category:
        history = history_of(options, category)
        found, factors, alike = power_estimate(
            history, indicators, options.generation, **_how(options), shifts=options.shifts
        )
        part = _estimated(found, options.language, "electricity to carbon")
        part.words.extend(factor_words(factors, alike))
        part.tables["factors"], part.tables["left_out"] = factors.table, factors.left_out
        _editions(part, history)
        if options.flux is not None and options.shaped is not None:
            _shape(options, indicators, found, part)
        parts.append(part)
    return _shown(options, "power", parts, indicators)


def run_forecast(options: ForecastOptions) -> Shown:
    """Forecast each category."""
    scenario = indicators_of(options, [*options.indicators, *options.scenario])
    parts = []
    for category in options.category:
        history = history_of(options, category)
        targets = [read_target(t) for t in options.target]
        found = forecast(
            history, steps=options.steps, targets=targets, peak=options.peak, scenario=scenario,
            threshold=options.threshold, since=options.hindcast_from, draws=options.draws, seed=options.seed,
        )  # fmt: skip
        part = _forecast(found, options.language)
        _editions(part, history)
        parts.append(part)
    return _shown(options, "forecast", parts, scenario)


def _refuse_daily(options: PowerOptions, indicators: Indicators) -> None:
    """Refuse workbooks of daily emissions that were made from the generation; two years are too few to say more."""
    from obsnet.inventory.books import read_sheets
    from obsnet.inventory.sources.daily import is_daily, read_daily

    for source in options.inventories:
        path = Path(source.partition("=")[2] or source)
        if path.suffix.lower() == ".xlsx" and path.is_file() and is_daily(sheets := read_sheets(path)):
            used = indicators.only([options.generation])
            found = refuse_daily(read_daily(path, sheets), used, used.names[0])
            raise FormatError(
                f"{path}: daily emissions, which change with {used.names[0]} as {found} months: not made from it, "
                "but too "
                "few years for a factor and its error; give inventories of several years"
            )


def history_of(options: HistoryOptions, category: str) -> History:
    """Return the inventories that options name."""
    return read_history(options.inventories, category, gas=options.gas, lag=options.lag)


def indicators_of(options: IndicatorOptions, paths: Sequence[Path]) -> Indicators | None:
    """Return the indicators of some files, read as options say; None where there are no files."""
    if not paths:
        if options.use:
            raise ConfigError("--use names indicators, and no --indicators gives any")
        return None
    read: dict[str, Any] = {
        "year_to_date": options.year_to_date,
        "january": options.january,
        "latency": options.latency,
    }
    found = join([read_indicators(p, **read) for p in paths])
    return found.only(options.use) if options.use else found


def _how(options: RapidOptions | PowerOptions) -> dict[str, Any]:
    day = options.as_of
    if day is not None and not re.fullmatch(r"\d{4}-\d\d-\d\d", day):
        raise ConfigError(f"--as-of {day!r}: write a day such as 2020-02-28")
    return {
        "year": options.year, "day": None if day is None else np.datetime64(day), "draws": options.draws,
        "seed": options.seed, "since": options.hindcast_from,
    }  # fmt: skip


def _estimated(found: RapidEstimate, language: Language, what: str) -> _Part:
    """Return tables and words of an estimate."""
    values = value_rows(found, found.draws, found.year, f"{what} as of {found.day}")
    tables = {
        "estimate": values, "covariance": covariance_rows(found, found.draws, found.year),
        "hindcast": found.hindcast.table, "scores": found.scores,
    }  # fmt: skip
    name = category_words(found)
    headline = Words(
        f"{name.en} of {found.year} as of {found.day}, inventories to {found.last}",
        f"{found.year} 年{name.zh}，截至 {found.day}，清单至 {found.last} 年",
    )
    lines = [*value_lines(values, language), "", *score_lines(found.scores, language)]
    return _Part(tables, [headline, *model_words(found), *nation_words(found)], lines, found.notes)


def _forecast(found: EmissionForecast, language: Language) -> _Part:
    """Return tables and words of a forecast."""
    import pandas as pd

    years = [found.last + h for h in range(1, len(found.draws) + 1)]
    of_year = list(zip(found.draws, years, strict=True))
    values = pd.concat(
        [value_rows(found, d, y, f"forecast from {found.last}") for d, y in of_year], ignore_index=True
    )
    tables = {
        "forecast": values,
        "covariance": pd.concat([covariance_rows(found, d, y) for d, y in of_year], ignore_index=True),
        "hindcast": found.hindcast.table, "scores": found.scores, "events": found.hindcast.events,
        "reliability": found.reliability, "weights": found.hindcast.weights, "chances": found.chances,
    }  # fmt: skip
    name = category_words(found)
    headline = Words(
        f"{name.en} of {years[0]}-{years[-1]} from inventories to {found.last}",
        f"{years[0]}-{years[-1]} 年{name.zh}预测，清单至 {found.last} 年",
    )
    words = [headline, *model_words(found), *nation_words(found), *chance_words(found)]
    shown = values[
        (values["region"] == NATION) | (values["period"] == str(years[-1])) | (len(found.regions) == 1)
    ]
    lines = [
        *value_lines(shown, language), "", *score_lines(found.scores, language),
        *chance_lines(found.chances, language),
    ]  # fmt: skip
    return _Part(tables, words, lines, found.notes)


def _editions(part: _Part, history: History) -> None:
    if len(history.editions) > 1:
        part.tables["editions"] = history.triangle()


def _shape(options: PowerOptions, indicators: Indicators, found: RapidEstimate, part: _Part) -> None:
    """Put the shape of generation on a flux file."""
    from obsnet.cf import read_flux, write_netcdf
    from obsnet.work.isolated import apart

    assert options.flux is not None
    assert options.shaped is not None
    data = apart(read_flux, options.flux)
    year = int(str(data["time_bnds"].values.ravel()[0].astype("datetime64[Y]")))
    name = indicators.only([options.generation]).names[0]
    shape = monthly_shape(indicators, name, found.regions, year, found.day)
    made, said = shaped_flux(data, shape, sector=options.sector, step=options.step, profiles=options.profiles)
    write_netcdf(made, options.shaped, history=f"obsnet nowcast power --flux {options.flux}")
    part.words.extend(shape_words(shape))
    part.tables["shape"] = shape.table
    part.lines.extend([*said, WRITTEN.said(options.language).format(path=options.shaped)])


def _with_atmosphere(
    options: RapidOptions, history: History, indicators: Indicators | None, found: RapidEstimate, part: _Part
) -> None:
    """Add the estimate with the atmosphere, where posteriors of earlier years score it."""
    from obsnet.crosscheck.compared.totals import read_totals
    from obsnet.nowcast.with_atmosphere import atmosphere_estimate
    from obsnet.work.isolated import apart

    if options.definition_sd is None:
        raise ConfigError(
            "--atmosphere needs --definition-sd: by how much, relatively, inventory and atmosphere differ in a "
            "province for what they mean by emissions (0.1 to 0.3 between published products)"
        )
    totals = [apart(read_totals, p, options.sector) for p in options.atmosphere]
    seen = atmosphere_estimate(
        history,
        indicators,
        found,
        totals,
        options.definition_sd,
        draws=options.draws,
        seed=options.seed,
        shifts=options.shifts,
    )
    part.words.extend(seen.words)
    part.tables["atmosphere_hindcast"] = seen.hindcast
    if seen.draws is not None:
        what = f"rapid estimate with the atmosphere as of {found.day}"
        part.tables["estimate_with_atmosphere"] = value_rows(found, seen.draws, found.year, what)


def _shown(
    options: HistoryOptions, kind: str, parts: Sequence[_Part], indicators: Indicators | None
) -> Shown:
    """Join categories, write the tables and say all."""
    import pandas as pd

    tables: dict[str, Any] = {}
    for name in dict.fromkeys(n for p in parts for n in p.tables):
        mine = [
            p.tables[name].assign(category=c)
            for p, c in zip(parts, options.category, strict=True)
            if name in p.tables
        ]
        tables[name] = pd.concat(mine, ignore_index=True)
    if indicators is not None and len(revised := indicators.triangle()):
        tables["revisions"] = revised
    words = [w for p in parts for w in p.words]
    notes = list(dict.fromkeys(n for p in parts for n in p.notes))
    said = [w.said(options.language) for w in words]
    told = [in_both(n).said(options.language) for n in notes]
    written = [] if options.out is None else _write(options, kind, tables, words, notes)
    data = {
        "kind": kind, "statements": said, "notes": told, "written": [str(p) for p in written],
        **{n: t.to_dict("records") for n, t in tables.items() if n not in {"hindcast", "events"}},
    }  # fmt: skip
    lines = [*said, "", *(line for p in parts for line in p.lines)]
    return Shown(data, lines, [*told, *(WRITTEN.said(options.language).format(path=p) for p in written)])


def _write(
    options: HistoryOptions, kind: str, tables: dict[str, Any], words: Iterable[Words], notes: Sequence[str]
) -> list[Path]:
    from obsnet.atomic import write_text
    from obsnet.inventory.books import write_rows

    assert options.out is not None
    written = []
    for name, table in tables.items():
        written.append(options.out / f"{name}.csv")
        write_rows(table, written[-1], "en")
    summary = {
        "obsnet_nowcast": 1, "kind": kind, "category": options.category, "draws": options.draws, "seed": options.seed,
        "statements": [list(w) for w in words], "notes": [list(in_both(n)) for n in notes],
    }  # fmt: skip
    written.append(options.out / "summary.json")
    write_text(written[-1], json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
    return written
