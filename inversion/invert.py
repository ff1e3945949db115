"""From files to a posterior: put the problem together, solve it, write what was learnt.

A modelled observation is ``H x + shares x correction + offset + background``: fluxes of each component in the
species' customary flux unit (umol m-2 s-1 for ppm), corrections of the air that came in through each side,
and offsets of instruments, all solved together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from inversion.covariance import BlockDiagonalCovariance, Covariance, DiagonalCovariance, KroneckerCovariance
from inversion.jacobian import SIDES, Jacobian, JacobianStore
from inversion.kernels import time_correlation
from inversion.observation_error import MarkovError
from inversion.options import BoundaryOptions, InvertOptions, OffsetOptions, SectorOptions
from inversion.prior import TimeBins, bin_matrix, flux_operator, sector_error, state_bins
from inversion.problem import Problem
from inversion.state import State, StateBlock
from obsnet.constants import Species, species
from obsnet.errors import ConfigError, SchemaError, nearest
from obsnet.grid import Grid

__all__ = ["Assembled", "PriorFlux", "assemble", "load", "match_observations", "read_prior"]

Floats = npt.NDArray[np.float64]


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
    """

    name: str
    flux: dict[str, Floats]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Assembled:
    """A problem made of files, and what is needed to read its answer.

    Parameters
    ----------
    problem : Problem
        Fluxes in the unit below, mole fractions in the species' unit.
    species : Species
        What is inverted.
    flux_scale : float
        State's flux unit in mol m-2 s-1 times this: 1e6 for umol.
    grid : Grid
        Flux cells.
    bins : dict of str to TimeBins
        Time bins of each sector.
    sectors : tuple of str
        All sectors of the prior, solved and prescribed, in the file's order.
    prior_mean : dict of str to ndarray (bins, cells)
        Mean prior flux of each sector in each bin, mol m-2 s-1.
    observations : pyarrow.Table
        The rows that are used, in the problem's order.
    prior : PriorFlux
        With its notes.
    counts : dict of str to int
        What was used and what was left out, and why.
    """

    problem: Problem
    species: Species
    flux_scale: float
    grid: Grid
    bins: dict[str, TimeBins]
    sectors: tuple[str, ...]
    prior_mean: dict[str, Floats]
    observations: pa.Table
    prior: PriorFlux
    counts: dict[str, int]

    @property
    def solved(self) -> tuple[str, ...]:
        """Sectors that have a block in the state."""
        assert self.problem.state is not None
        return tuple(s for s in self.sectors if s in self.problem.state.names)


def match_observations(table: pa.Table, obs_ids: npt.NDArray[np.str_]) -> tuple[pa.Table, dict[str, int]]:
    """Keep the observations that have a footprint and may be used.

    Parameters
    ----------
    table : pyarrow.Table
        Observation table.
    obs_ids : ndarray of str
        Observations in the Jacobian.

    Returns
    -------
    pyarrow.Table, dict
        Rows sorted as in the table; counts of ``used``, ``flagged``, ``without_uncertainty``,
        ``without_footprint``, ``footprints_without_observation``.

    Raises
    ------
    SchemaError
        An observation stands in the store twice, or none is left.
    """
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
        "flagged": int((footed & ~good).sum()),
        "without_uncertainty": int((footed & good & ~known).sum()),
        "without_footprint": int((good & ~footed).sum()),
        "footprints_without_observation": int((~np.isin(obs_ids, ids)).sum()),
    }
    if not keep.any():
        raise SchemaError(
            f"no observation is left to invert: {len(ids)} in the store, {len(obs_ids)} footprints, "
            + ", ".join(f"{v} {k.replace('_', ' ')}" for k, v in counts.items() if k != "used")
        )
    return table.filter(pa.array(keep)), counts


def read_prior(path: Path, jacobian: Jacobian, gas: Species, name: str | None = None) -> PriorFlux:
    """Read a prior flux and bring it onto the footprints' cells and time bins.

    Parameters
    ----------
    path : Path
        CF file with ``flux(time, sector, lat, lon)``.
    jacobian : Jacobian
        Gives grid and time bins.
    gas : Species
        What the flux must be of.
    name : str, optional
        What the prior is called; by default the file's title, then its name.

    Raises
    ------
    ConfigError
        Another substance, or a time the prior does not cover.
    """
    from obsnet.cf import read_flux
    from obsnet.field import grid_of
    from obsnet.regrid import regrid_flux

    data = read_flux(path)
    field = data["flux"]
    substance = str(field.attrs["substance"]).upper()
    if substance != gas.name:
        raise ConfigError(f"{path}: the prior flux is of {substance}, the inversion of {gas.name}")
    notes = []
    grid = grid_of(data)
    values = field.transpose("time", "sector", "lat", "lon")
    if grid != jacobian.grid:
        values = regrid_flux(values, grid, jacobian.grid)
        notes.append(f"prior regridded conservatively from {grid!r}")
    bounds = data["time_bnds"].values
    average = bin_matrix(bounds, jacobian.time_edges)
    if len(bounds) == 1:
        notes.append("prior has one time, taken as constant")
    cube = np.asarray(values.values, dtype=np.float64)
    sectors = [str(s) for s in data["sector"].values]
    flux = {s: average @ cube[:, i].reshape(len(bounds), -1) for i, s in enumerate(sectors)}
    title = name or str(data.attrs.get("title") or Path(path).name)
    return PriorFlux(title, flux, tuple(notes))


def assemble(
    options: InvertOptions,
    jacobian: Jacobian,
    table: pa.Table,
    prior: PriorFlux,
    *,
    fraction: Any,
    counts: Mapping[str, int] | None = None,
) -> Assembled:
    """Put the problem together.

    Parameters
    ----------
    options : InvertOptions
        Errors, time steps, sides.
    jacobian : Jacobian
        Rows in the order of `table`.
    table : pyarrow.Table
        Observations to use.
    prior : PriorFlux
        On the Jacobian's cells and bins.
    fraction : scipy.sparse array, shape (regions, cells)
        Part of each cell in each region, for errors common to a region.
    counts : mapping, optional
        From `match_observations`.

    Raises
    ------
    ConfigError
        Sectors of the prior without a table or tables without a sector, no background, no model error.
    """
    gas = species(options.species)
    scale = 1.0 / float(gas.unit)
    _same_names(options.sector, prior.flux)
    steps = {s: state_bins(jacobian.time_edges, options.sector[s].step or options.step) for s in prior.flux}
    h = sp.csr_array(jacobian.matrix)
    simulated = np.zeros(h.shape[0])
    blocks: list[StateBlock] = []
    matrices, means, errors, prior_mean = [], [], [], {}
    total = np.zeros((jacobian.n_time, jacobian.grid.size))
    for sector, flux in prior.flux.items():
        choice, bins = options.sector[sector], steps[sector]
        mean = bins.mean @ flux
        prior_mean[sector] = mean
        total += flux
        simulated += h @ (scale * flux.ravel())
        if choice.prescribed:
            continue
        matrix = _sector_matrix(h, choice, flux, bins)
        # x is the mean flux itself; what the prior's course adds within a bin is part of the background.
        simulated -= matrix @ (scale * mean.ravel())
        blocks.append(_flux_block(sector, bins, jacobian.grid, scale))
        matrices.append(matrix)
        means.append(scale * mean.ravel())
        try:
            error = sector_error(
                choice, scale * mean, bins=bins, grid=jacobian.grid, fraction=fraction, scale=scale
            )
        except ConfigError as fault:
            raise ConfigError(f"[invert.sector.{sector}] {fault}") from fault
        errors.append(error)
    for extra in (
        _boundary_block(options.boundary, jacobian, gas),
        _offset_block(options.offset, table, gas),
    ):
        if extra is not None:
            block, matrix, error = extra
            blocks.append(block)
            matrices.append(matrix)
            means.append(np.zeros(block.size))
            errors.append(error)
    if not blocks:
        raise ConfigError(
            "nothing to solve: every sector is prescribed and no boundary or offset has an error"
        )
    labels = {n: table[n].to_numpy(zero_copy_only=False).astype(str) for n in ("source", "platform", "kind")}
    error = observation_error(options, jacobian, table, scale * total)
    problem = Problem(
        jacobian=sp.csr_array(sp.hstack(matrices, format="csr")),
        observations=table["value"].to_numpy(),
        observation_error=error,
        prior=np.concatenate(means),
        prior_error=BlockDiagonalCovariance(errors),
        background=background(options.boundary, jacobian) + simulated,
        state=State(blocks),
        groups=labels | {"month": table["time"].to_numpy().astype("datetime64[M]").astype(str)},
        obs_id=table["obs_id"].to_numpy(zero_copy_only=False).astype(str),
    )
    return Assembled(
        problem,
        gas,
        scale,
        jacobian.grid,
        steps,
        tuple(prior.flux),
        prior_mean,
        table,
        prior,
        dict(counts or {"used": len(table)}),
    )


def _same_names(tables: Mapping[str, SectorOptions], flux: Mapping[str, Floats]) -> None:
    for sector in flux:
        if sector not in tables:
            raise ConfigError(
                f"sector {sector!r} of the prior has no table [invert.sector.{sector}]: "
                "give its error, or prescribed = true"
            )
    for sector in tables:
        if sector not in flux:
            raise ConfigError(
                f"[invert.sector.{sector}]: the prior has no such sector{nearest(sector, flux)}"
            )


def _sector_matrix(h: sp.csr_array, choice: SectorOptions, flux: Floats, bins: TimeBins) -> sp.csr_array:
    profile = choice.profile or ("prior" if choice.sigma is None else "flat")
    return sp.csr_array(h @ flux_operator(bins, flux, profile))


def _flux_block(name: str, bins: TimeBins, grid: Grid, scale: float) -> StateBlock:
    prefix = {1e6: "umol", 1e9: "nmol", 1e12: "pmol"}[round(scale)]
    coords = {"time": bins.middle, "cell": np.arange(grid.size)}
    return StateBlock(name, "flux", ("time", "cell"), coords, f"{prefix} m-2 s-1")


def background(options: BoundaryOptions, jacobian: Jacobian) -> Floats:
    """Return what each observation would read without fluxes inside the domain and without corrections.

    It is the footprints' own background value where they have one, else ``fixed + sum of shares x inflow``:
    what a column takes from its retrieval's prior, and the air that came in.

    Raises
    ------
    ConfigError
        Observations without their own value and no mole fraction of inflowing air given.
    """
    n = jacobian.obs_id.size
    known = np.full(n, np.nan) if jacobian.background is None else np.asarray(jacobian.background, np.float64)
    bare = ~np.isfinite(known)
    if bare.any() and options.background is None:
        raise ConfigError(
            f"{int(bare.sum())} of {n} footprints bring no background value (first "
            f"{jacobian.obs_id[bare][0]!r}): set invert.boundary.background to the mole fraction of "
            "inflowing air"
        )
    share = np.ones(n) if jacobian.boundary is None else np.asarray(jacobian.boundary.sum(axis=1)).ravel()
    fixed = np.zeros(n) if jacobian.fixed is None else np.nan_to_num(jacobian.fixed)
    return np.where(bare, fixed + share * (options.background or 0.0), known)


Block = tuple[StateBlock, sp.csr_array, Covariance]


def _boundary_block(options: BoundaryOptions, jacobian: Jacobian, gas: Species) -> Block | None:
    """Return corrections of the inflow by side and period."""
    given = options.sigma
    sigma: dict[str, float] = dict(given.items()) if isinstance(given, dict) else dict.fromkeys(SIDES, given)
    sides = [s for s in SIDES if sigma.get(s, 0.0) > 0.0]
    if not sides:
        return None
    if jacobian.boundary is None:
        raise ConfigError(
            "invert.boundary.sigma asks for a correction of the inflow, but the footprints do not "
            "say through which "
            "side the air came"
        )
    bins = state_bins(jacobian.time_edges, options.step)
    n_time = bins.of_flux.size
    side, flux_bin = np.meshgrid(np.arange(len(sides)), np.arange(n_time), indexing="ij")
    rows = (np.array([SIDES.index(s) for s in sides])[side] * n_time + flux_bin).ravel()
    columns = (side * bins.size + bins.of_flux[flux_bin]).ravel()
    group = sp.csr_array(
        (np.ones(rows.size), (rows, columns)), shape=(len(SIDES) * n_time, len(sides) * bins.size)
    )
    block = StateBlock(
        "boundary",
        "boundary",
        ("side", "period"),
        {"side": np.array(sides), "period": bins.middle},
        gas.unit_name,
    )
    spread = np.repeat([sigma[s] for s in sides], bins.size)
    # sides are the slow axis and independent of each other: the "time" of this Kronecker product
    error = KroneckerCovariance(
        spread, np.eye(len(sides)), time_correlation(bins.middle, options.correlation_days)
    )
    return block, sp.csr_array(sp.csr_array(jacobian.boundary) @ group), error


def _offset_block(options: OffsetOptions, table: pa.Table, gas: Species) -> Block | None:
    """Return constant offsets of the named sources."""
    if not options.sigma:
        return None
    source = table["source"].to_numpy(zero_copy_only=False).astype(str)
    present = sorted(set(source))
    for name in options.sigma:
        if name not in present:
            raise ConfigError(f"[invert.offset] no observation is from {name!r}{nearest(name, present)}")
    labels = (
        source if options.by == "source" else table["platform"].to_numpy(zero_copy_only=False).astype(str)
    )
    chosen = np.isin(source, list(options.sigma))
    names, column = np.unique(labels[chosen], return_inverse=True)
    rows = np.flatnonzero(chosen)
    matrix = sp.csr_array((np.ones(rows.size), (rows, column)), shape=(len(table), names.size))
    spread = np.array([options.sigma[source[labels == n][0]] for n in names])
    block = StateBlock("offset", "offset", (options.by,), {options.by: names}, gas.unit_name)
    return block, matrix, DiagonalCovariance(spread**2)


def observation_error(
    options: InvertOptions, jacobian: Jacobian, table: pa.Table, total_flux: Floats
) -> Covariance:
    """Return R: measurement, transport and representation, and the footprints' sampling error.

    Parameters
    ----------
    options : InvertOptions
        ``error`` gives the model's part.
    jacobian : Jacobian
        With standard errors where it has them.
    table : pyarrow.Table
        Observations in the same order.
    total_flux : ndarray, shape (flux bins, cells)
        Prior flux in the state's unit: the sampling error is taken for the prior signal.

    Raises
    ------
    ConfigError
        No model error for a kind of observation that is there.
    """
    source, kind, platform = (
        table[n].to_numpy(zero_copy_only=False).astype(str) for n in ("source", "kind", "platform")
    )
    model = np.full(len(table), np.nan)
    for name in ("column", "point"):
        value = getattr(options.error, name)
        if value is not None:
            model[kind == name] = value
    for name, value in options.error.source.items():
        if name not in source:
            raise ConfigError(
                f"[invert.error.source] no observation is from {name!r}{nearest(name, set(source))}"
            )
        model[source == name] = value
    bare = np.isnan(model)
    if bare.any():
        raise ConfigError(
            f"set invert.error.{kind[bare][0]} (transport and representation error): "
            f"{int(bare.sum())} observations are of that kind, first of {source[bare][0]!r}"
        )
    own = table["uncertainty"].to_numpy(zero_copy_only=False).astype(np.float64) ** 2
    if options.error.monte_carlo and jacobian.stderr is not None:
        own = own + sampling_variance(jacobian, total_flux)
    if options.error.correlation_hours <= 0.0:
        return DiagonalCovariance(own + model**2)
    hours = table["time"].to_numpy().astype("datetime64[us]").astype(np.int64) / 3.6e9
    return MarkovError(own, model, platform, hours, options.error.correlation_hours)


def sampling_variance(jacobian: Jacobian, flux: Floats) -> Floats:
    """Return the variance of ``H f`` that comes from a finite number of particles, shape (n_obs,).

    Parameters
    ----------
    jacobian : Jacobian
        With ``stderr``; entries without one count as exact.
    flux : ndarray, shape (flux bins, cells)
        In the Jacobian's flux unit. Cells are taken as independent.
    """
    if jacobian.stderr is None:
        return np.zeros(jacobian.obs_id.size)
    squares = sp.csr_array(jacobian.stderr, dtype=np.float64, copy=True)
    squares.data = np.nan_to_num(squares.data, nan=0.0) ** 2
    return np.asarray(squares @ (flux.ravel() ** 2))


def load(
    options: InvertOptions, folder: Path, out: Path
) -> tuple[Jacobian, pa.Table, PriorFlux, dict[str, int]]:
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
    table = store.read(gas.name, source=options.sources, start=options.start, stop=options.stop)
    footprints = JacobianStore(locate(str(options.footprints), folder, out))
    made_for = footprints.meta.get("species")
    if made_for is not None and str(made_for).upper() != gas.name:
        raise ConfigError(f"{footprints.path}: these footprints are for {made_for}, not for {gas.name}")
    used, counts = match_observations(table, footprints.obs_ids())
    jacobian = footprints.read(used["obs_id"].to_numpy(zero_copy_only=False).astype(str))
    prior = read_prior(locate(str(options.prior), folder, out), jacobian, gas, options.prior_name)
    return jacobian, used, prior, counts


def locate(name: str, folder: Path, out: Path) -> Path:
    """Return where an input is: in the run's folder if it was made there, else beside the case file."""
    path = Path(name).expanduser()
    if path.is_absolute():
        return path
    made = out / path
    return made if made.exists() else folder / path


def first_and_last(table: pa.Table) -> tuple[Any, Any]:
    """Return the times of the first and last observation."""
    span = pc.min_max(table["time"]).as_py()
    return span["min"], span["max"]
