"""Many cubes: blocks of detector columns filtered by workers, put together, written as scenes of ``obsnet plume``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from obsnet.atomic import write_text
from obsnet.cf import write_netcdf
from obsnet.config import resolve_files
from obsnet.constants import species as species_of
from obsnet.errors import ConfigError, FormatError, ObsnetError
from obsnet.output import plain
from obsnet.provenance import record
from obsnet.times import as_utc
from obsnet.typing import Floats, Singles
from obsnet.units import conversion_factor
from obsnet.work.parallel import ENOUGH_BYTES, map_unordered
from obsnet.work.progress import progress
from obsnet.work.work import Work
from retrieval.matched_filter.block import PIXEL_REASONS, FilteredBlock, filter_block, groups_of
from retrieval.matched_filter.cube import Cube, open_cube, read_columns, read_places
from retrieval.matched_filter.options import FilterSettings, FilterTable
from retrieval.matched_filter.target import UnitAbsorption, read_unit_absorption

__all__ = ["FilterSummary", "filter_cube", "run_filter", "scene_dataset"]

VERSION = "2"
_LOOKALIKE = (
    "a bright material that absorbs broadly where the gas does is told as the gas, and not marked in quality: look at "
    "the surface under a plume"
)
_COPIES = 12  # bytes held for a radiance of a block, of which one group at a time is filtered


@dataclass
class FilterSummary:
    """What became of the cubes.

    Parameters
    ----------
    rows : list of dict
        One a cube and gas: ``cube``, ``gas``, ``status`` (``done`` or ``bad: why``), numbers of pixels by reason,
        medians, ``notes``.
    files : list of Path
        Written.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)

    @property
    def bad(self) -> list[dict[str, Any]]:
        """Cubes that could not be used."""
        return [r for r in self.rows if r["status"] != "done"]


@dataclass(frozen=True)
class _Task:
    """Columns of a cube, and with what they are filtered: one entry a gas."""

    cube: Cube
    first: int
    last: int
    groups: tuple[tuple[int, int], ...]
    which: tuple[np.ndarray, ...]
    targets: tuple[UnitAbsorption, ...]
    settings: FilterSettings


def filter_cube(
    cube: Cube,
    targets: Sequence[UnitAbsorption],
    settings: FilterSettings,
    work: Work | None = None,
    block_mib: float = 128.0,
) -> list[FilteredBlock]:
    """Return the enhancements of each gas on a whole cube.

    Parameters
    ----------
    cube : Cube
        Opened by `open_cube`.
    targets : sequence of UnitAbsorption
        One a gas; their bands are found among those of the cube.
    settings : FilterSettings
        Of the filter.
    work : Work, optional
        Where blocks are done. Results do not depend on it, nor on the blocks.
    block_mib : float
        Radiances that a worker holds at a time, with their copies.

    Raises
    ------
    RangeError
        Bands that the cube does not have.
    FormatError
        A worker died over the file.
    """
    which = tuple(cube.bands.find(t.bands) for t in targets)
    groups = groups_of(cube.columns, settings.together)
    every = len(np.unique(np.concatenate(which)))
    each = cube.rows * every * _COPIES * max(b - a for a, b in groups)
    step = max(1, int(block_mib * 2**20 / each))
    tasks = [
        _Task(
            cube,
            part[0][0],
            part[-1][1],
            tuple(part),
            which,
            tuple(targets),
            settings,
        )
        for part in (groups[k : k + step] for k in range(0, len(groups), step))
    ]
    out = [FilteredBlock.empty(cube.rows, cube.columns) for _ in targets]
    enough = cube.rows * cube.columns * every * 4 > ENOUGH_BYTES
    with progress(len(tasks), f"blocks of {cube.name}") as advance:
        for task, parts in map_unordered(_columns, tasks, work, enough=enough, on_death=_dead):
            if isinstance(parts, ObsnetError):
                raise parts
            for whole, part in zip(out, parts, strict=True):
                whole.put(task.first, part)
            advance(1)
    return out


def _dead(task: _Task, reason: str) -> ObsnetError:
    return FormatError(f"{task.cube.path}: {reason}")


def _columns(task: _Task) -> list[FilteredBlock] | ObsnetError:
    every = np.unique(np.concatenate(task.which))
    try:
        radiance = read_columns(task.cube, task.first, task.last, every)
    except ObsnetError as error:
        return error
    out = []
    for which, target in zip(task.which, task.targets, strict=True):
        mine = np.searchsorted(every, which)
        whole = FilteredBlock.empty(task.cube.rows, task.last - task.first)
        for first, last in task.groups:
            part = radiance[:, first - task.first : last - task.first][..., mine]
            whole.put(first - task.first, filter_block(part, target.value, task.settings, target.curve))
        out.append(whole)
    return out


def run_filter(options: FilterTable, work: Work | None = None) -> FilterSummary:
    """Filter cubes; see `retrieval.matched_filter.options.FilterTable`."""
    work = work or Work()
    targets = [read_unit_absorption(p) for p in options.absorption]
    gases = [t.gas for t in targets]
    if len(set(gases)) < len(gases):
        raise ConfigError(f"absorption: several tables of one gas ({', '.join(gases)}); give one a gas")
    when = None if options.time is None else as_utc(options.time)
    paths = resolve_files(options.cubes)
    stems = [p.stem for p in paths]
    twice = sorted({s for s in stems if stems.count(s) > 1})
    if twice:
        raise ConfigError(f"several cubes are called {twice[0]!r}; their outputs would be one another's")
    work.refuse_shard("a cube comes whole")
    summary = FilterSummary()
    for path in paths:
        try:
            _one(path, targets, options, when, work, summary)
        except ObsnetError as error:
            bad = {"cube": path.stem, "status": f"bad: {error}", "notes": []}
            summary.rows += [{**bad, "gas": gas} for gas in gases]
    about = [p for p in (options.bands, options.location) if p is not None]
    run = record(
        command="obsnet plume filter",
        config=plain(options.model_dump()),
        inputs=[*paths, *options.absorption, *about],
        cubes=summary.rows,
        algorithm=VERSION,
    )
    write_text(options.out / "filter_run.json", json.dumps(plain(run), indent=1, ensure_ascii=False) + "\n")
    return summary


def _one(
    path: Path,
    targets: Sequence[UnitAbsorption],
    options: FilterTable,
    when: np.datetime64 | None,
    work: Work,
    summary: FilterSummary,
) -> None:
    cube = open_cube(path, options.bands, options.radiance)
    if when is None and cube.time is None:
        raise FormatError(f"{path}: does not say when it was taken; give it (--time 2026-07-01T05:30)")
    time = as_utc(cube.time) if when is None else when
    places = read_places(cube, options.location)
    notes = list(cube.notes)
    if places is None:
        notes.append("no latitude and longitude: obsnet plume detect cannot read it (--location)")
    if cube.rows < 10 * max(len(t.bands) for t in targets) / options.filter.together:
        notes.append(
            "fewer than ten pixels a band in a background; take columns together (--filter-together)"
        )
    made = filter_cube(cube, targets, options.filter, work, options.block_mib)
    for target, image in zip(targets, made, strict=True):
        data = scene_dataset(cube.name, target, image, options.filter, time, places)
        data.attrs["source"] = path.name
        out = options.out / f"{cube.name}_{target.gas.lower()}.nc"
        summary.files.append(write_netcdf(data, out, history="obsnet plume filter"))
        if options.pictures:
            from retrieval.matched_filter.figures import draw_filtered

            summary.files.append(
                draw_filtered(cube.name, target, image, out.with_suffix(".png"), options.language)
            )
        summary.rows.append(_row(cube, target, image, notes, options.filter))


def _row(
    cube: Cube, target: UnitAbsorption, image: FilteredBlock, notes: list[str], settings: FilterSettings
) -> dict[str, Any]:
    good = image.reason == 0
    believed = image.enhancement[good]
    error = image.error[good]
    notes = [*notes, *_strong(target, believed, settings.method)]
    if (believed > settings.threshold * error).any():
        notes.append(f"pixels beyond {settings.threshold:g} errors need not be {target.gas}: {_LOOKALIKE}")
    return {
        "cube": cube.name,
        "gas": target.gas,
        "status": "done" if good.any() else "bad: no pixel could be used",
        "rows": cube.rows,
        "columns": cube.columns,
        "bands": len(target.bands),
        "pixels": int(good.sum()),
        "rejected": {
            words[0]: int(((image.reason & bit) > 0).sum())
            for bit, words in PIXEL_REASONS.items()
            if (image.reason & bit).any()
        },
        "median_error_ppm_m": float(np.median(error)) if error.size else None,
        "median_limit_ppm_m": float(np.median(image.limit[good])) if error.size else None,
        "highest_ppm_m": float(believed.max()) if believed.size else None,
        "notes": notes,
    }


def _strong(target: UnitAbsorption, believed: Singles, method: str) -> list[str]:
    """Return what has to be said of plumes whose absorption is not linear."""
    if not believed.size:
        return []
    deepest = float(target.value.min())
    if method != "reweighted":
        beyond = float(np.mean(believed > target.linear_to))
        said = (
            f"{beyond:.2%} of the pixels are beyond {target.linear_to:.3g} ppm m, where absorption is 10 % less than "
            f"linear: {method} tells them too weak"
        )
        return [said] if beyond > 0 else []
    said = (
        "the table of absorption does not say how strong plumes absorb (columns k_at_…): exp(k alpha) is taken, which "
        "tells them too weak where lines saturate within a band"
    )
    return [said] if target.curve is None and (believed * deepest < -0.05).any() else []


def scene_dataset(
    name: str,
    target: UnitAbsorption,
    image: FilteredBlock,
    settings: FilterSettings,
    time: np.datetime64,
    places: tuple[Floats, Floats] | None,
) -> xr.Dataset:
    """Return enhancements as a scene that ``obsnet plume`` reads, with the same in ppm m beside it.

    Parameters
    ----------
    name : str
        Of the cube.
    target : UnitAbsorption
        With the air that turns ppm m into a column.
    image : FilteredBlock
        Whole.
    settings : FilterSettings
        Kept with the numbers.
    time : datetime64
        UTC.
    places : (latitude, longitude), optional
        Degrees.
    """
    gas = species_of(target.gas)
    dims = ("row", "column")
    per = target.air.mole_fraction_per_ppm_m / conversion_factor(gas.unit, "mol mol-1")
    low = gas.name.lower()
    shape = image.enhancement.shape

    def column(values: np.ndarray, about: str, **more: Any) -> tuple[Any, ...]:
        return dims, np.asarray(values, np.float32), {"long_name": about, **more}

    ppm_m = {"units": "1e-6 m"}
    variables: dict[str, Any] = {
        f"x{low}": column(
            np.where(
                image.reason == 0,
                np.float32(target.air.level) + np.float32(per) * image.enhancement,
                np.float32(np.nan),
            ),
            f"dry column mole fraction of {gas.name}: that of the air table plus the enhancement",
            units=gas.unit,
            ancillary_variables=f"x{low}_uncertainty quality",
        ),
        f"x{low}_uncertainty": column(np.float32(per) * image.error, "standard deviation", units=gas.unit),
        "enhancement": column(
            image.enhancement,
            f"enhancement of {gas.name} near the ground, mole fraction times length",
            **ppm_m,
        ),
        "enhancement_uncertainty": column(image.error, "standard deviation of the enhancement", **ppm_m),
        "detection_limit": column(
            image.limit,
            f"enhancement that is seen above {settings.threshold:g} standard deviations in 95 % of cases",
            **ppm_m,
        ),
        "brightness": column(image.brightness, "radiance by that of the background", units="1"),
        "surface_pressure": column(
            np.full(shape, target.air.surface_pressure, np.float32), "surface pressure", units="Pa"
        ),
        "column_water": column(
            np.full(shape, target.air.column_water, np.float32), "water vapour", units="kg m-2"
        ),
        "quality": (
            dims,
            image.reason,
            {
                "long_name": "why a pixel is not to be used, 0 = use",
                "flag_masks": np.array([int(b) for b in PIXEL_REASONS], dtype=np.uint8),
                "flag_meanings": " ".join(words[0] for words in PIXEL_REASONS.values()),
            },
        ),
        "time": ((), time, {"standard_name": "time", "long_name": "time of the overpass"}),
    }
    if settings.method == "reweighted":
        variables["enhancement_sparse"] = column(
            image.sparse,
            "enhancement, not negative, with a preference for zero: to look at, not to add up",
            **ppm_m,
        )
    coords: dict[str, Any] = {}
    if places is not None:
        for values, word, unit in zip(places, ("latitude", "longitude"), ("north", "east"), strict=True):
            coords[word] = (dims, values, {"units": f"degrees_{unit}", "standard_name": word})
    about = {f"absorption_{k}": v for k, v in target.about.items()}
    return xr.Dataset(
        variables,
        coords=coords,
        attrs={
            "title": f"{gas.name} enhancements of {name}",
            "summary": "Matched filter of radiances; the background of each group of detector columns is zero.",
            "comment": f"Not every enhancement is {gas.name}: {_LOOKALIKE}.",
            "source": name,
            "license": "as the input",
            "obsnet_contract": "matched filter 1",
            "filter": json.dumps(settings.model_dump()),
            "unit_absorption_linear_to_ppm_m": target.linear_to,
            "air_density_mol_m3": target.air.density,
            "dry_air_mol_m2": target.air.dry_column,
            "algorithm": VERSION,
            **about,
        },
    )
