"""What an inversion reads: observations with footprints, the prior flux on their cells and times."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xarray as xr

from inversion.case.inputs.same_air import refuse_same_air
from inversion.case.options import InvertOptions, PriorFileOptions
from inversion.jacobian.flux import bin_matrix, flux_on
from inversion.jacobian.parts import check_part, refuse_repeats
from inversion.jacobian.store import Jacobian, JacobianStore
from inversion.transport.run.folder import marks, never_made
from obsnet.config import locate
from obsnet.constants import Species, species
from obsnet.errors import ConfigError, FormatError, ObsnetError, SchemaError
from obsnet.grid import Grid
from obsnet.reading import reading
from obsnet.scales import one_scale
from obsnet.schema import Quality
from obsnet.seal import check_parquet
from obsnet.shares import Shares
from obsnet.typing import Floats, Texts, Times
from obsnet.work.isolated import apart
from obsnet.work.shards import require_finished

__all__ = [
    "FluxPattern",
    "Inputs",
    "PriorFlux",
    "load",
    "locate",
    "match_observations",
    "prior_data",
    "read_prior",
    "with_particles",
    "with_transport_error",
]


@dataclass(frozen=True, eq=False)
class FluxPattern:
    """Where the prior flux is, on the grid of its own file.

    Parameters
    ----------
    grid : Grid
    size : dict of str to ndarray (lat, lon)
        Mean magnitude over the time of the inversion, mol m-2 s-1, by sector.
    both_signs : tuple of str
        Sectors that take up somewhere and emit elsewhere, or at another time.
    given : Shares, optional
        Whose the flux of each cell is, where the file says so.
    """

    grid: Grid
    size: dict[str, Floats]
    both_signs: tuple[str, ...]
    given: Shares | None = None

    @classmethod
    def of(cls, grid: Grid, flux: Mapping[str, Floats], weight: Floats) -> FluxPattern:
        """Return the pattern of fluxes (time, lat, lon) by sector; times of weight 0 do not count."""
        used = np.flatnonzero(weight > 0.0)
        size = {s: np.sum([weight[t] * np.abs(f[t]) for t in used], axis=0) for s, f in flux.items()}
        both = [s for s, f in flux.items() if f[used].min(initial=0.0) < 0.0 < f[used].max(initial=0.0)]
        return cls(grid, size, tuple(both))


@dataclass(frozen=True, eq=False)
class PriorFlux:
    """Prior flux of each sector in the footprints' cells and bins.

    Parameters
    ----------
    name : str
        What the prior is called.
    flux : dict of str to ndarray (flux bins, cells)
        mol m-2 s-1, by sector.
    notes : tuple of str
        What was changed on the way: regridding, a constant prior taken for all times.
    pattern : FluxPattern, optional
        By which cells are split among regions; by default the flux itself.
    """

    name: str
    flux: dict[str, Floats]
    notes: tuple[str, ...] = ()
    pattern: FluxPattern | None = None


def match_observations(
    table: pa.Table, obs_ids: Texts, never_made: Collection[str] = ()
) -> tuple[pa.Table, dict[str, int]]:
    """Keep the observations that have a footprint and may be used.

    Parameters
    ----------
    table : pyarrow.Table
        Observation table.
    obs_ids : ndarray of str
        Observations in the Jacobian.
    never_made : collection of str
        Marks (`inversion.transport.run.folder.marks`) of observations whose footprints were planned and not made.

    Returns
    -------
    pyarrow.Table, dict
        Rows sorted as in the table; counts of ``used``, ``flagged``, ``without_uncertainty``,
        ``without_footprint``, ``footprints_without_observation``; those whose footprint was planned and never made are
        ``footprint_never_made``, and not among ``without_footprint``.

    Raises
    ------
    SchemaError
        An observation stands in the store twice, or none is left.
    """
    elsewhere = np.uint32(Quality.ELSEWHERE)  # of another file that holds the same observation
    table = table.filter(pa.array(table["quality"].to_numpy() & elsewhere == 0))
    ids = table["obs_id"].to_numpy(zero_copy_only=False).astype(str)
    names, times = np.unique(ids, return_counts=True)
    if (times > 1).any():
        raise SchemaError(
            f"{np.count_nonzero(times > 1)} observations stand in the store more than once, first "
            f"{names[times > 1][0]!r}; the same file was ingested under two names"
        )
    footed = np.isin(ids, obs_ids)
    good = table["quality"].to_numpy() == 0
    sigma = table["uncertainty"].to_numpy(zero_copy_only=False).astype(np.float64)
    known = np.isfinite(sigma) & (sigma > 0)
    keep = footed & good & known
    counts = {
        "used": int(keep.sum()),
        "flagged": int((~good).sum()),
        "without_uncertainty": int((good & ~known).sum()),
        "without_footprint": int((good & known & ~footed).sum()),
        "footprints_without_observation": int((~np.isin(obs_ids, ids)).sum()),
    }
    lacking = good & known & ~footed
    if never_made and lacking.any():
        of = sum(mark in never_made for mark in marks(table.filter(pa.array(lacking))))
        counts |= {"without_footprint": int(lacking.sum()) - of, "footprint_never_made": of}
    if not keep.any():
        raise SchemaError(
            f"no observation is left to invert: {len(ids)} in the store, {len(obs_ids)} footprints, "
            + ", ".join(f"{v} {k.replace('_', ' ')}" for k, v in counts.items() if k != "used")
        )
    return table.filter(pa.array(keep)), counts


def read_prior(
    path: Path,
    grid: Grid,
    edges: Times,
    gas: Species,
    name: str | None = None,
    how: PriorFileOptions | None = None,
) -> PriorFlux:
    """Read a prior flux and bring it onto the footprints' cells and time bins.

    Parameters
    ----------
    path : Path
        File of any maker on a latitude-longitude grid; one of the Flux contract needs no more.
    grid : Grid
        Cells of the footprints.
    edges : ndarray of datetime64, shape (n + 1,)
        Their flux time bins.
    gas : Species
        What the flux must be of.
    name : str, optional
        What the prior is called; by default the file's title, then its name.
    how : PriorFileOptions, optional
        What the file does not say itself.

    Raises
    ------
    ConfigError
        Another substance, or a time the prior does not cover.
    ObsnetError
        The file does not say what it is; see `obsnet.cf.read_flux`.
    """
    from obsnet.cf import read_shares
    from obsnet.field import grid_of

    how = how or PriorFileOptions()
    data, given = prior_data(path, how), apart(read_shares, path)
    substance = str(data["flux"].attrs["substance"]).upper()
    if substance != gas.name:
        raise ConfigError(f"{path}: the prior flux is of {substance}, the inversion of {gas.name}")
    flux, notes = flux_on(data, grid, edges, outside=how.outside)
    said = how.model_dump(exclude_none=True, exclude_unset=True)
    if said:
        notes.append("of the prior was said: " + ", ".join(f"{k} = {v!r}" for k, v in said.items()))
    weight = np.diff(edges).astype(np.float64) @ bin_matrix(data["time_bnds"].values, edges)
    values = data["flux"].transpose("time", "sector", "lat", "lon").values
    own = {s: np.asarray(values[:, i], dtype=np.float64) for i, s in enumerate(flux)}
    its = grid_of(data)
    on_its = FluxPattern.of(grid if its.nearly(grid) else its, own, weight / weight.sum())
    pattern = replace(on_its, given=given)
    title = name or str(data.attrs.get("title") or Path(path).name)
    return PriorFlux(title, flux, tuple(notes), pattern)


def prior_data(path: Path, how: PriorFileOptions) -> xr.Dataset:
    """Return a file of fluxes as the Flux contract has them, read as the case says."""
    from obsnet.cf import read_flux
    from obsnet.inventory.period import read_period

    period = None if how.period is None else read_period(how.period)
    try:
        return apart(
            read_flux,
            path,
            variable=how.sectors,
            substance=how.gas,
            units=how.units,
            basis=how.basis,
            time_is=how.time_is,
            period=None if period is None else (period.start, period.stop),
            nan=how.missing,
        )
    except ObsnetError as error:
        if "say " not in str(error):
            raise
        keys = ", ".join(PriorFileOptions.model_fields)
        raise type(error)(f"{error} (keys of [invert.prior_file]: {keys})") from None


@dataclass(frozen=True, eq=False)
class Inputs:
    """What `load` read.

    Attributes
    ----------
    jacobian : Jacobian
        Rows in the order of `table`.
    table : pyarrow.Table
        Observations to use.
    prior : PriorFlux
    counts : dict of str to int
        See `match_observations`.
    damaged : tuple of str
        Parts of the footprints that could not be read, and why; the rest is used.
    allowed : tuple of str
        What the options allow and is there: air that counts twice, shards that are missing.
    """

    jacobian: Jacobian
    table: pa.Table
    prior: PriorFlux
    counts: dict[str, int]
    damaged: tuple[str, ...]
    allowed: tuple[str, ...] = ()


class _WholeParts(JacobianStore):
    """A Jacobian without the parts that cannot be read, such as files cut short when a disk was full."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        whole, self.damaged = [], []
        for part in super().parts():
            try:
                check_part(path, part)
                whole.append(part)
            except (FormatError, SchemaError) as error:
                self.damaged.append(str(error))
        if self.damaged and not whole:
            raise FormatError(f"{path}: no part of the footprints can be read; the first: {self.damaged[0]}")
        self._whole = whole

    def parts(self) -> list[str]:
        return self._whole


def with_transport_error(table: pa.Table, path: Path) -> pa.Table:
    """Add the column ``transport_variance`` to observations.

    Parameters
    ----------
    table : pyarrow.Table
        Observations.
    path : Path
        Parquet file, or folder of them, with ``obs_id`` and ``transport_variance`` in the square of their unit, as
        `inversion.transport.run.transport_error.transport_error` makes it.

    Raises
    ------
    FormatError, SchemaError
        No such file or columns; observations that are missing there, stand there twice, or have no number.
    """
    files = sorted(path.glob("[!.]*.parquet")) if path.is_dir() else [path]
    if not files or not path.exists():
        raise FormatError(
            f"{path}: no transport errors there; footprints with a wind_error write transport_error/"
        )
    known = pa.concat_tables([_columns_of(f, "transport_variance") for f in files])
    refuse_repeats(known["obs_id"].to_numpy(zero_copy_only=False).astype(str), str(path))
    place = dict(zip(known["obs_id"].to_pylist(), known["transport_variance"].to_pylist(), strict=True))
    values = np.array([place.get(name, np.nan) for name in table["obs_id"].to_pylist()], dtype=np.float64)
    if not np.isfinite(values).all():
        lost = np.flatnonzero(~np.isfinite(values))
        raise SchemaError(
            f"{path}: no transport_variance of {lost.size} of {values.size} observations, the first "
            f"{table['obs_id'][int(lost[0])].as_py()!r}"
        )
    return table.append_column("transport_variance", pa.array(values))


def with_particles(table: pa.Table, footprints: JacobianStore) -> pa.Table:
    """Add the column ``particles_of`` to observations whose footprints share particles; others stay as they are.

    Raises
    ------
    FormatError, SchemaError
        It is not written down whose particles an observation has.
    """
    if not footprints.meta.get("share"):
        return table
    place: dict[str, str] = {}
    for part in footprints.parts():
        path = footprints.path / "receptors" / f"{part}.parquet"
        if not path.exists():
            raise FormatError(
                f"{path}: not there, so whose particles are whose is not known; make the footprints again"
            )
        rows = _columns_of(path, "particles_of")
        place |= dict(zip(rows["obs_id"].to_pylist(), rows["particles_of"].to_pylist(), strict=True))
    names = table["obs_id"].to_pylist()
    if lost := [name for name in names if name not in place]:
        raise SchemaError(
            f"{footprints.path / 'receptors'}: does not say whose particles {len(lost)} observations have, the first "
            f"{lost[0]!r}; make the footprints again"
        )
    return table.append_column("particles_of", pa.array([place[name] for name in names], pa.string()))


def _columns_of(path: Path, name: str) -> pa.Table:
    """Return observations and one column of what a run of the particle model says of them."""
    footer = check_parquet(path)
    with reading(path, "Parquet"):
        table = pq.ParquetFile(path, metadata=footer).read()
    lacking = [column for column in ("obs_id", name) if column not in table.column_names]
    if lacking:
        raise SchemaError(f"{path}: lacks {', '.join(lacking)}; it has {', '.join(table.column_names)}")
    return table.select(["obs_id", name])


def load(options: InvertOptions, folder: Path, out: Path) -> Inputs:
    """Read what an inversion needs.

    Parameters
    ----------
    options : InvertOptions
        Names of the inputs.
    folder, out : Path
        Inputs are looked for in the run's folder first (an earlier stage wrote them), then beside the case.

    Raises
    ------
    ObsnetError
        Whatever is wrong with the files.
    """
    from obsnet.store import ObservationStore

    gas = species(options.species)
    store = ObservationStore(locate(str(options.store), folder, out))
    without = [require_finished(store.path, allow=options.allow_missing)]
    table = store.read(gas.name, source=options.sources, start=options.start, stop=options.stop)
    if options.modes is not None:
        table = table.filter(pc.is_in(table["mode"], pa.array(options.modes)))
    place = locate(str(options.footprints), folder, out)
    absent = never_made(place)
    without.append(require_finished(place, allow=options.allow_missing, more=_told(absent)))
    footprints = _WholeParts(place)
    made_for = footprints.meta.get("species")
    if made_for is not None and str(made_for).upper() != gas.name:
        raise ConfigError(f"{footprints.path}: these footprints are for {made_for}, not for {gas.name}")
    used, counts = match_observations(
        table, footprints.obs_ids(), {mark for own in absent.values() for mark in own}
    )
    twice = refuse_same_air(used, allow=options.allow_same_air)
    one_scale(used, f"{gas.name} observations of {store.path} with footprints")
    if options.error.transport is not None:
        used = with_transport_error(used, locate(options.error.transport, folder, out))
    used = with_particles(used, footprints)
    jacobian = footprints.read(used["obs_id"].to_numpy(zero_copy_only=False).astype(str))
    prior = read_prior(
        locate(str(options.prior), folder, out),
        jacobian.grid,
        jacobian.time_edges,
        gas,
        options.prior_name,
        options.prior_file,
    )
    allowed = (twice, *(f"made from {line}" for line in without if line))
    return Inputs(jacobian, used, prior, counts, tuple(footprints.damaged), tuple(filter(None, allowed)))


def _told(absent: Mapping[str, Sequence[str]]) -> list[str]:
    """Say how much of what was planned is not there."""
    if not absent:
        return []
    rows = sum(map(len, absent.values()))
    return [f"{len(absent)} planned parts of footprints, for {rows} observations, were never made"]
