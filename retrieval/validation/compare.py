"""How a satellite's columns compare with a ground network's: bias, scatter and correlation, cut every way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from obsnet.atomic import atomic_path, write_text
from obsnet.constants import species as species_of
from obsnet.errors import ConfigError, RangeError, nearest
from obsnet.spreadsheet import csv_text
from obsnet.store import ObservationStore
from obsnet.times import season
from obsnet.typing import Floats, Texts
from obsnet.work.shards import require_finished
from retrieval.validation.collocation import collocate, sites_of
from retrieval.validation.options import Criteria, ValidateTable

__all__ = [
    "GROUPS",
    "run_validate",
    "statistics",
    "summary",
    "validate_stores",
    "write_figures",
    "write_tables",
]

GROUPS = ("site", "mode", "season", "year")
_CUTS = (("site",), ("mode",), ("season",), ("site", "mode"), ("site", "season"))


def _labels(pairs: pa.Table, group: str) -> Texts:
    time = pairs["time"].to_numpy()
    if group == "season":
        return season(time)
    if group == "year":
        return time.astype("datetime64[Y]").astype(str)
    if group in {"site", "mode"}:
        return np.asarray([v or "" for v in pairs[group].to_pylist()], dtype=str)
    raise ConfigError(f"unknown grouping {group!r}{nearest(group, GROUPS)}")


def _row(difference: Floats, satellite: Floats, reference: Floats) -> dict[str, Any]:
    n = len(difference)
    sd = float(difference.std(ddof=1)) if n > 1 else None
    varied = n > 2 and satellite.std() > 0 and reference.std() > 0
    return {
        "n": n,
        "bias": float(difference.mean()),
        "bias_error": sd / np.sqrt(n) if sd is not None else None,
        "sd": sd,
        "rmse": float(np.sqrt(np.mean(difference**2))),
        "r2": float(np.corrcoef(satellite, reference)[0, 1] ** 2) if varied else None,
    }


def statistics(pairs: pa.Table, by: Sequence[str] = ("site",)) -> list[dict[str, Any]]:
    """Return satellite minus reference by group.

    Parameters
    ----------
    pairs : pyarrow.Table
        `retrieval.validation.collocation.PAIRS`.
    by : sequence of str
        Of `GROUPS`; empty for all pairs together.

    Returns
    -------
    list of dict
        One a group: its labels, ``n`` pairs, ``bias`` and its standard error ``bias_error``, ``sd`` (n - 1),
        ``rmse``, ``r2``; None where there are too few pairs.

    Raises
    ------
    ConfigError
        An unknown grouping.
    """
    satellite, reference = (pairs[c].to_numpy() for c in ("satellite", "reference"))
    labels = [_labels(pairs, g) for g in by]
    if len(pairs) == 0:
        return []
    if not labels:
        return [_row(satellite - reference, satellite, reference)]
    keys, group = np.unique(np.stack(labels), axis=1, return_inverse=True)
    out = []
    for k, key in enumerate(keys.T):
        mine = group.reshape(-1) == k
        row = _row((satellite - reference)[mine], satellite[mine], reference[mine])
        out.append({**dict(zip(by, map(str, key), strict=True)), **row})
    return out


def summary(pairs: pa.Table) -> dict[str, Any]:
    """Return the numbers that products are judged by.

    Parameters
    ----------
    pairs : pyarrow.Table
        `retrieval.validation.collocation.PAIRS`.

    Returns
    -------
    dict
        All pairs together, and over sites with at least two pairs: ``sites``, ``mean_site_bias``,
        ``site_bias_sd`` (station-to-station scatter, the systematic error that an inversion feels) and
        ``mean_site_sd``.
    """
    everything = statistics(pairs, ())
    sites = [row for row in statistics(pairs, ("site",)) if row["n"] > 1]
    biases = np.array([row["bias"] for row in sites])
    return {
        **(everything[0] if everything else {"n": 0}),
        "sites": len(sites),
        "mean_site_bias": float(biases.mean()) if len(biases) else None,
        "site_bias_sd": float(biases.std(ddof=1)) if len(biases) > 1 else None,
        "mean_site_sd": float(np.mean([row["sd"] for row in sites])) if sites else None,
    }


def run_validate(table: ValidateTable, out: Path) -> dict[str, Any]:
    """Do what the table ``[validate]`` of a case says, or the command: collocate, write tables and pictures.

    Parameters
    ----------
    table : ValidateTable
        What is compared.
    out : Path
        What the stores' and the folder's names are relative to.

    Returns
    -------
    dict
        ``summary``, the statistics of every cut, ``files``.
    """
    folder = out / table.out
    stores = dict.fromkeys((out / table.store, out / table.reference))
    without = "; ".join(filter(None, (require_finished(s, allow=table.allow_missing) for s in stores)))
    pairs = validate_stores(
        ObservationStore(out / table.store),
        ObservationStore(out / table.reference),
        table.species,
        source=table.source,
        reference_source=table.reference_source,
        criteria=table,
        adjust=table.adjust,
        start=table.start,
        stop=table.stop,
    )
    files = [*write_tables(pairs, folder, _CUTS), *write_figures(pairs, table.species, folder)]
    tables = {"_".join(cut): statistics(pairs, cut) for cut in _CUTS}
    found = summary(pairs) | ({"unfinished_inputs": without} if without else {})
    return {"summary": found, **tables, "files": [str(f) for f in files]}


def validate_stores(
    satellite: ObservationStore,
    reference: ObservationStore,
    species: str,
    *,
    source: str,
    reference_source: str | None = None,
    criteria: Criteria | None = None,
    adjust: str = "kernel",
    start: Any = None,
    stop: Any = None,
) -> pa.Table:
    """Collocate two stores.

    Parameters
    ----------
    satellite, reference : ObservationStore
        Of soundings or super-observations, and of the ground network.
    species : str
        Formula.
    source : str
        The satellite product.
    reference_source : str, optional
        By default the only column source of the reference store.
    criteria, adjust
        See `collocate`.
    start, stop : time, optional
        Half-open interval, UTC.

    Returns
    -------
    pyarrow.Table
        Pairs. Only soundings in the boxes round the sites are read.

    Raises
    ------
    RangeError
        The reference holds no good column in the time.
    ConfigError
        Several reference sources and none named.
    """
    c = criteria or Criteria()
    ground = reference.read(
        species,
        source=reference_source,
        start=start,
        stop=stop,
        good_only=True,
        where=ds.field("kind") == "column",
    )
    found = sorted(set(ground["source"].to_pylist()))
    if len(found) > 1:
        raise ConfigError(f"{reference.path} holds several column sources, name one: {', '.join(found)}")
    if len(ground) == 0:
        raise RangeError(
            f"{reference.path} holds no good {species_of(species).name} column in the time asked for"
        )
    boxes = None
    for lat, lon, _ in sites_of(ground).values():
        box = _box(lat, lon, c)
        boxes = box if boxes is None else boxes | box
    times = ground["time"].to_numpy()
    margin = np.timedelta64(round(c.longest_hours * 3600 + c.gap_minutes * 60), "s")
    soundings = satellite.read(
        species,
        source=source,
        start=times.min() - margin,
        stop=times.max() + margin,
        good_only=True,
        where=boxes,
    )
    return collocate(soundings, ground, c, adjust=adjust)


def _box(lat: float, lon: float, c: Criteria) -> Any:
    """Return a condition that holds in the box round a site, across the dateline too."""
    south, north = lat - c.half_latitude, lat + c.half_latitude
    inside = (ds.field("latitude") >= south) & (ds.field("latitude") <= north)
    west, east = lon - c.half_longitude, lon + c.half_longitude
    near = None
    for turn in (-360.0, 0.0, 360.0):
        piece = (ds.field("longitude") >= west + turn) & (ds.field("longitude") <= east + turn)
        near = piece if near is None else near | piece
    return inside & near


def write_tables(pairs: pa.Table, folder: str | Path, cuts: Iterable[Sequence[str]]) -> list[Path]:
    """Write ``pairs.csv`` and one ``statistics_<groups>.csv`` a cut."""
    import pandas as pd

    written = []
    frames = {"pairs": pairs.to_pandas()}
    frames |= {f"statistics_{'_'.join(cut)}": pd.DataFrame(statistics(pairs, cut)) for cut in cuts}
    for name, frame in frames.items():
        path = Path(folder) / f"{name}.csv"
        write_text(path, csv_text(frame))
        written.append(path)
    return written


def write_figures(pairs: pa.Table, species: str, folder: str | Path, *, dpi: int = 90) -> list[Path]:
    """Draw ``scatter.png`` and ``series.png``.

    Parameters
    ----------
    pairs : pyarrow.Table
        `retrieval.validation.collocation.PAIRS`; nothing is drawn without any.
    species : str
        Formula.
    folder : path
        Made when absent.
    dpi : int
        Dots an inch.

    Returns
    -------
    list of Path
        Of the pictures.
    """
    if len(pairs) == 0:
        return []
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    written = []
    for name, draw in (("scatter", _scatter), ("series", _series)):
        figure = draw(plt, pairs, species)
        path = Path(folder) / f"{name}.png"
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=dpi)
        plt.close(figure)
        written.append(path)
    return written


def _scatter(plt: Any, pairs: pa.Table, species: str) -> Any:
    entry = species_of(species)
    satellite, reference = (pairs[c].to_numpy() for c in ("satellite", "reference"))
    figure, axes = plt.subplots(figsize=(5.4, 5), layout="constrained")
    sites = _labels(pairs, "site")
    colours = plt.get_cmap("tab20")
    for k, site in enumerate(sorted(set(sites))):
        mine = sites == site
        axes.plot(reference[mine], satellite[mine], "o", ms=4, color=colours(k % 20), label=site, alpha=0.8)
    low, high = min(satellite.min(), reference.min()), max(satellite.max(), reference.max())
    margin = 0.05 * (high - low) or 1.0
    limits = (low - margin, high + margin)
    axes.plot(limits, limits, color="0.4", lw=0.8, zorder=0)
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    axes.set_xlabel(f"reference X{entry.name}, as the satellite sees it ({entry.unit_name})")
    axes.set_ylabel(f"satellite X{entry.name} ({entry.unit_name})")
    total = summary(pairs)
    text = f"n = {total['n']}, bias {total['bias']:+.2f} {entry.unit_name}"
    if total["sd"] is not None:
        text += f", sd {total['sd']:.2f} {entry.unit_name}"
    if total["r2"] is not None:
        text += f", R² {total['r2']:.2f}"
    axes.set_title(text, fontsize=9)
    axes.legend(fontsize=7, ncols=2, frameon=False, loc="lower right")
    return figure


def _series(plt: Any, pairs: pa.Table, species: str) -> Any:
    entry = species_of(species)
    sites = _labels(pairs, "site")
    names = sorted(set(sites))
    shown = names[:12]
    figure, rows = plt.subplots(
        len(shown), 1, figsize=(8, 1.1 + 1.3 * len(shown)), sharex=True, squeeze=False, layout="constrained"
    )
    time = pairs["time"].to_numpy()
    difference = pairs["satellite"].to_numpy() - pairs["reference"].to_numpy()
    modes = _labels(pairs, "mode")
    kinds = sorted(set(modes))
    markers = "os^Dv*"
    for axes, site in zip(rows[:, 0], shown, strict=True):
        for k, mode in enumerate(kinds):
            mine = (sites == site) & (modes == mode)
            axes.plot(time[mine], difference[mine], markers[k % 6], ms=4, color=f"C{k}", label=mode or "all")
        axes.axhline(0.0, color="0.4", lw=0.8, zorder=0)
        axes.set_ylabel(f"{site}\n({entry.unit_name})", fontsize=8)
    if len(kinds) > 1:
        rows[0, 0].legend(fontsize=7, ncols=len(kinds), frameon=False)
    more = f"; {len(names) - len(shown)} more sites in the tables" if len(names) > len(shown) else ""
    rows[0, 0].set_title(f"satellite minus reference X{entry.name} by overpass{more}", fontsize=9)
    rows[-1, 0].tick_params(axis="x", labelrotation=30)
    return figure
