"""Pictures of a station record: record and fit, growth, season, diurnal cycle, flags."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from obsnet.atomic import atomic_path
from obsnet.errors import ConfigError, ObsnetError
from stations.curve.errors import curve_ensemble
from stations.curve.fit import CurveFit, in_notes
from stations.curve.many import fit_record
from stations.pictures.options import SUFFIXES, PictureOptions, PlotTable
from stations.pictures.parts import (
    TEXT,
    draw_diurnal,
    draw_flags,
    draw_growth,
    draw_record,
    draw_season,
    formula,
)
from stations.readers import read_one
from stations.record.intakes import one_series

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["plot_file", "plot_record"]


def plot_record(
    record: xr.Dataset, path: str | os.PathLike[str], options: PictureOptions | None = None
) -> list[str]:
    """Draw a record.

    Parameters
    ----------
    record : xarray.Dataset
        Layout of `stations.record.record`.
    path : path
        ``*.png``, ``*.svg`` or ``*.pdf``; appears whole or not at all.
    options : PictureOptions, optional
        What is drawn and how.

    Returns
    -------
    list of str
        Notes: of the fit, and what could not be drawn.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    o, target = options or PictureOptions.model_validate({}), Path(path)
    one_series(record)
    if target.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"{target.name}: pictures are {', '.join(SUFFIXES)}")
    notes: list[str] = []
    fit = (
        None
        if o.picture in {"diurnal", "flags"}
        else _fit(record, notes, must=o.picture in {"growth", "season"})
    )
    with mpl.rc_context({"svg.hashsalt": "obsnet", "axes.grid": True, "grid.alpha": 0.25, "font.size": 9.5}):
        t = TEXT[_language(o.language, notes)]
        figure = Figure(figsize=(11, 7.5) if o.picture == "overview" else (9, 4.2), layout="constrained")
        figure.suptitle(o.title or _title(record), fontsize=12)
        curve = None
        if o.baseline and o.picture in {"overview", "record"}:
            curve = _baseline(record, o.baseline_days, notes)
        if o.picture == "overview":
            _overview(figure, record, fit, curve, o.replicates, t)
        else:
            _alone(figure.add_subplot(), record, fit, curve, o, t)
        metadata: dict[str, Any] = {"Date": None} if target.suffix.lower() == ".svg" else {}
        with atomic_path(target) as temporary:
            figure.savefig(temporary, dpi=o.dpi, metadata=metadata or None)
    return notes


def plot_file(options: PlotTable) -> list[str]:
    """Read a record and draw it; see `plot_record`."""
    picture = PictureOptions.model_validate(options.model_dump(include=set(PictureOptions.model_fields)))
    return plot_record(read_one(options), options.out, picture)


def _alone(
    axes: Any,
    record: xr.Dataset,
    fit: CurveFit | None,
    curve: tuple[np.ndarray, np.ndarray] | None,
    o: PictureOptions,
    t: dict[str, str],
) -> None:
    if o.picture == "record":
        draw_record(axes, record, fit, curve, t)
    elif o.picture == "growth" and fit is not None:
        draw_growth(axes, record, fit, curve_ensemble(fit, replicates=o.replicates), t)
    elif o.picture == "season" and fit is not None:
        draw_season(axes, record, fit, t)
    elif o.picture == "diurnal":
        draw_diurnal(axes, record, t)
    else:
        draw_flags(axes, record, t)
    if o.picture in {"record", "growth", "flags"}:
        axes.set_xlabel(t["year"])


def _overview(
    figure: Any,
    record: xr.Dataset,
    fit: CurveFit | None,
    curve: tuple[np.ndarray, np.ndarray] | None,
    replicates: int,
    t: dict[str, str],
) -> None:
    grid = figure.add_gridspec(3, 2, height_ratios=[1.5, 1, 1.1])
    top = figure.add_subplot(grid[0, :])
    draw_record(top, record, fit, curve, t)
    if fit is None:
        draw_diurnal(figure.add_subplot(grid[1:, 0]), record, t)
        draw_flags(figure.add_subplot(grid[1:, 1]), record, t)
        return
    middle = figure.add_subplot(grid[1, :], sharex=top)
    draw_growth(middle, record, fit, curve_ensemble(fit, replicates=replicates), t)
    middle.set_xlabel(t["year"])
    draw_season(figure.add_subplot(grid[2, 0]), record, fit, t)
    right = figure.add_subplot(grid[2, 1])
    length = record.attrs.get("interval_seconds") or 0.0
    if 0 < length <= 6 * 3600:
        draw_diurnal(right, record, t)
    else:  # flasks and daily means have no diurnal cycle to show
        draw_flags(right, record, t)
        right.set_xlabel(t["year"])


def _fit(record: xr.Dataset, notes: list[str], *, must: bool) -> CurveFit | None:
    try:
        with in_notes():
            fit = fit_record(record)
    except ObsnetError as error:
        if must:
            raise
        notes.append(f"no fit: {error}")
        return None
    notes.extend(fit.notes)
    return fit


def _baseline(
    record: xr.Dataset, window_days: float, notes: list[str]
) -> tuple[np.ndarray, np.ndarray] | None:
    from stations.quality.rebs import rebs
    from stations.record.series import series

    data = series(record, use="valid")
    if data.value.size < 60:
        notes.append(f"no baseline: {data.value.size} valid values")
        return None
    points = int(
        np.clip(data.value.size * window_days / max(365.25 * np.ptp(data.year), 1.0), 15, data.value.size)
    )
    return data.year, rebs(data.year, data.value, points).fit


def _language(wanted: str, notes: list[str]) -> str:
    from obsnet.drawing.fonts import NO_FONT, use_fonts

    if wanted == "en":
        return "en"
    if use_fonts():
        return "zh"
    if wanted == "zh":
        notes.append(f"labels are English: {NO_FONT.en}")
    return "en"


def _title(record: xr.Dataset) -> str:
    attrs = record.attrs
    place = " ".join(str(attrs.get(k, "")) for k in ("site", "site_name") if attrs.get(k))
    height = record["intake_height_m"].values
    one = np.unique(height[np.isfinite(height)])
    intake = f", {one[0]:g} m" if one.size == 1 and one[0] > 0 else ""
    return f"{place}{intake} · {formula(attrs['species'])} · {attrs.get('scale', '')}".strip(" ·")
