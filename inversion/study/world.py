"""What a twin experiment or a design works on: a problem without observed values, and the totals of interest.

It comes from a case with footprints (the table ``[invert]``), or from an idealised world with networks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from inversion.operators.covariance import BlockDiagonalCovariance, Covariance, DiagonalCovariance
from inversion.operators.kernels import space_correlation, time_correlation
from inversion.operators.kronecker import KroneckerCovariance
from inversion.problem.problem import Problem
from inversion.problem.state import State, StateBlock
from inversion.study.idealised import Wind, idealised_footprints
from inversion.study.network import Sampling, read_network, sample
from inversion.study.options import WorldOptions
from obsnet.constants import SECONDS_PER_YEAR, species
from obsnet.errors import ConfigError, nearest
from obsnet.grid import Grid
from obsnet.times import as_utc, time_bins
from obsnet.typing import Floats, Ints

__all__ = ["DEFAULTS", "NATIONAL", "Study", "StudyWorld", "study_of_case"]

Report = Callable[[str], None]
NATIONAL = "national"
# Where a world says nothing: standard deviations by species, and why.
DEFAULTS = {
    "CO2": {
        "national_sd": (3664.0, "1 PgC a-1, spread of China's sink: Wang et al. 2023, doi:10.1016/j.scib.2023.07.010"),
        "inflow_sigma": (0.5, "assumed"),
        "point_error": (3.0, "assumed; residuals about smooth curves are 1.3 ppm at Waliguan, 8 ppm at Shangdianzi"),
        "column_error": (0.7, "assumed"),
    },
    "CH4": {
        "national_sd": (10.0, "half the range of published totals, 45 to 65 Tg"),
        "inflow_sigma": (5.0, "assumed"),
        "point_error": (20.0, "assumed"),
        "column_error": (8.0, "assumed"),
    },
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Study:
    """A problem and the totals that a study reports.

    Parameters
    ----------
    problem : Problem
        Observed values do not matter; groups ``platform``, ``orbit``, ``network`` or ``source``, ``month``.
    weights : scipy.sparse.csr_array, shape (totals, n_state)
        In Mt of the species a year.
    regions : tuple of str
        Codes of the totals; ``national`` is the sum of China's.
    names : dict of str to str
        Names for people.
    positions : dict of str to (lat, lon)
        Stations for the map.
    prior_total : ndarray, shape (totals,), or None
        Mt a-1; None in an idealised world, which has no prior flux.
    unit : str
        Of observations.
    notes : tuple of str
        Assumptions, for the report.
    """

    problem: Problem
    weights: sp.csr_array
    regions: tuple[str, ...]
    names: dict[str, str]
    positions: dict[str, tuple[float, float]]
    prior_total: Floats | None
    unit: str
    notes: tuple[str, ...]


class StudyWorld:
    """An idealised world: grid, wind, prior; networks are put into it.

    Parameters
    ----------
    options : WorldOptions
        The table ``[osse.world]`` or ``[design.world]``.
    """

    def __init__(self, options: WorldOptions) -> None:
        import shapely

        from obsnet.regions import PROVINCES, provinces
        from obsnet.splitting import flux_shares

        self.options = options
        self.start, self.stop = as_utc(options.start), as_utc(options.stop)
        if not self.start < self.stop:
            raise ConfigError(
                f"a world's start must lie before its stop, found {options.start} and {options.stop}"
            )
        cell = options.cell_deg
        self.grid = Grid.regular(options.south, options.north, options.west, options.east, cell, cell)
        edges = time_bins(self.start, self.stop, options.step)
        self.edges = np.concatenate([edges[edges < self.stop], [self.stop]])
        frame = provinces()
        self.names = {k: v[0] for k, v in PROVINCES.items()} | {NATIONAL: "China"}
        # There is no prior flux whose place could be known: cells are split by area.
        self.shares = flux_shares(frame, self.grid, {"flux": np.zeros(self.grid.shape)})
        box = shapely.box(options.west, options.south, options.east, options.north)
        land = shapely.union_all(frame.geometry.simplify(0.05).to_numpy())
        self.area = shapely.intersection(shapely.make_valid(land), box)
        self.gas = species(options.species)
        self.wind = Wind(options.transport, self.start, self.stop, options.seed)

    def setting(self, name: str) -> float:
        """Return a number of the world, given or by default."""
        value = getattr(self.options, name)
        return float(DEFAULTS[self.gas.name][name][0] if value is None else value)

    @property
    def weights(self) -> sp.csr_array:
        """Totals of provinces and China over the flux block, Mt a-1, shape (totals, bins * cells)."""
        area = self.shares.area("flux")[: len(self.shares.regions)]
        rows = sp.vstack([area, sp.csr_array(area.sum(axis=0)[None, :])], format="csr")
        seconds = np.diff(self.edges).astype("timedelta64[us]").astype(np.float64)
        share = sp.csr_array((seconds / seconds.sum())[None, :])
        return sp.csr_array(sp.kron(share, rows, format="csr") * (float(self.gas.unit) * self._mass))

    @property
    def _mass(self) -> float:
        """Mt a year of one mol s-1."""
        return self.gas.molar_mass * SECONDS_PER_YEAR * 1e-9

    def prior_error(self) -> KroneckerCovariance:
        """Return the prior error of the fluxes, in umol or nmol m-2 s-1, with the wanted national spread."""
        o = self.options
        inside = np.asarray(self.shares.regional("flux").sum(axis=0)).ravel()
        lat, lon = np.meshgrid(self.grid.lat, self.grid.lon, indexing="ij")
        middle = self.edges[:-1] + np.diff(self.edges) // 2
        error = KroneckerCovariance(
            np.tile(inside + o.outside * (1.0 - inside), middle.size),
            time_correlation(middle, o.correlation_days),
            space_correlation(lat.ravel(), lon.ravel(), o.correlation_km),
        )
        national = self.weights[[-1]].toarray()[0]
        spread = float(np.sqrt(national @ error.matmul(national)))
        return error.scaled((self.setting("national_sd") / spread) ** 2)

    def observe(self, networks: Sequence[str], folder: Path) -> tuple[Sampling, list[str]]:
        """Return what networks would observe, and what of them was assumed; shared stations are there twice.

        Parameters
        ----------
        networks : sequence of str
            Presets or files.
        folder : Path
            What files are relative to.
        """
        o = self.options
        parts, notes = [], []
        for name in dict.fromkeys(networks):
            network = read_network(name, folder)
            parts.append(
                sample(
                    network,
                    Path(name).stem,
                    species=self.gas.name,
                    start=self.start,
                    stop=self.stop,
                    area=self.area,
                    bounds=(o.south, o.north, o.west, o.east),
                    cell_deg=o.super_deg,
                    seed=o.seed,
                )
            )
            notes += [f"{network.title}: {k} assumed: {why}" for k, why in network.assumed.items()]
        return Sampling.join(parts), notes

    def study(self, networks: Sequence[str], folder: Path) -> Study:
        """Return the study of some networks together; parameters as of `observe`."""
        made, notes = self.observe(networks, folder)
        made = _without_repeats(made)
        _, first = np.unique(made.platform, return_index=True)
        positions = {
            str(made.platform[i]): (float(made.latitude[i]), float(made.longitude[i]))
            for i in first
            if not made.column[i]
        }
        problem = self._problem(made)
        assert problem.state is not None
        return Study(
            problem,
            problem.state.embed("flux", self.weights),
            (*self.shares.regions, NATIONAL),
            self.names,
            positions,
            None,
            self.gas.unit_name,
            tuple(dict.fromkeys([*self.notes(), *notes])),
        )

    def notes(self) -> list[str]:
        """Return what the world takes for granted."""
        found = ["idealised transport: networks can be compared, absolute numbers are no forecast"]
        for name, (value, why) in DEFAULTS[self.gas.name].items():
            if getattr(self.options, name) is None:
                found.append(f"{name} = {value:g}: {why}")
        return found

    def _problem(self, made: Sampling) -> Problem:
        o, bins = self.options, self.edges.size - 1
        h = idealised_footprints(
            made.latitude,
            made.longitude,
            made.time,
            made.column,
            grid=self.grid,
            time_edges=self.edges,
            wind=self.wind,
        )
        of_bin = np.searchsorted(self.edges, made.time, side="right") - 1
        inflow = sp.csr_array((np.ones(len(made)), (np.arange(len(made)), of_bin)), shape=(len(made), bins))
        average, first = _averages(made, o.station_days)
        model = np.where(made.column, self.setting("column_error"), self.setting("point_error"))[first]
        count = np.asarray(average.astype(bool).sum(axis=1)).ravel()
        variance = made.error[first] ** 2 / count + model**2
        middle = self.edges[:-1] + np.diff(self.edges) // 2
        flux = StateBlock(
            "flux",
            "flux",
            ("time", "cell"),
            {"time": middle, "cell": np.arange(self.grid.size)},
            "umol m-2 s-1" if self.gas.name == "CO2" else "nmol m-2 s-1",
        )
        blocks, matrices = [flux], [sp.csr_array(average @ h)]
        errors: list[Covariance] = [self.prior_error()]
        sigma = self.setting("inflow_sigma")
        if sigma > 0.0:
            blocks.append(
                StateBlock("inflow", "boundary", ("period",), {"period": middle}, self.gas.unit_name)
            )
            matrices.append(sp.csr_array(average @ inflow))
            errors.append(DiagonalCovariance(np.full(bins, sigma**2)))
        state = State(blocks)
        groups = {name: getattr(made, name)[first] for name in ("network", "platform", "orbit")}
        return Problem(
            sp.csr_array(sp.hstack(matrices, format="csr")),
            np.zeros(first.size),
            variance,
            np.zeros(state.size),
            BlockDiagonalCovariance(errors),
            state=state,
            groups=groups | {"month": made.time[first].astype("datetime64[M]").astype(str)},
        )


def _without_repeats(made: Sampling) -> Sampling:
    """Drop observations that two networks share: the same platform at the same time."""
    parts = (made.platform, made.time.astype(str), made.latitude.astype(str), made.longitude.astype(str))
    keys = parts[0]
    for part in parts[1:]:
        keys = np.char.add(np.char.add(keys, "@"), part)
    _, first = np.unique(keys, return_index=True)
    keep = np.sort(first)
    return Sampling(**{name: getattr(made, name)[keep] for name in Sampling.__dataclass_fields__})


def _averages(made: Sampling, days: int) -> tuple[sp.csr_array, Ints]:
    """Return the matrix that averages stations over days, and the first row behind each average."""
    day = made.time.astype("datetime64[D]").astype(np.int64)
    span = np.where(made.column, np.arange(len(made)) + 10**9, (day - day.min(initial=0)) // days)
    _, platform = np.unique(made.platform, return_inverse=True)
    keys = np.stack([span, np.where(made.column, 0, platform)])
    _, first, member, count = np.unique(
        keys, axis=1, return_index=True, return_inverse=True, return_counts=True
    )
    member = member.ravel()
    matrix = sp.csr_array(
        (1.0 / count[member], (member, np.arange(len(made)))), shape=(count.size, len(made))
    )
    return matrix, first


def study_of_case(options: Any, folder: Path, out: Path, sectors: Sequence[str], report: Report) -> Study:
    """Return the study of a case: its footprints, errors and prior, without its observed values.

    Parameters
    ----------
    options : InvertOptions
        The table ``[invert]``.
    folder, out : Path
        Of the case and of the run.
    sectors : sequence of str
        Whose totals are reported, summed; by default all that are solved.
    report : callable
        Takes lines for people.
    """
    from inversion.case.assemble import assemble
    from inversion.case.inputs import load
    from inversion.case.shares import read_shares
    from inversion.problem.time_bins import state_bins
    from inversion.problem.totals import total_weights

    if options.foreign is not None:
        raise ConfigError("a study needs footprints and a prior of its own, not [invert.foreign]")
    read = load(options, folder, out)
    shares, names, _ = read_shares(options, read.jacobian, read.prior, folder, out)
    made = assemble(
        options,
        read.jacobian,
        read.table,
        read.prior,
        shares=shares,
        counts=read.counts,
    )
    problem = made.problem
    assert problem.state is not None
    wanted = list(sectors) or list(made.solved)
    for name in wanted:
        if name not in made.solved:
            raise ConfigError(f"sector {name!r} is not solved{nearest(name, made.solved)}")
    totals = total_weights(
        problem.state,
        made.sectors,
        made.prior_mean,
        bins=made.bins,
        shares=shares,
        periods=state_bins(read.jacobian.time_edges, "all").edges,
        scale=made.flux_scale,
    )
    per_sector = len(shares.labels)
    mass = made.species.molar_mass * SECONDS_PER_YEAR * 1e-9
    g = mass * sum(
        totals.weights[made.sectors.index(s) * per_sector : made.sectors.index(s) * per_sector + per_sector]
        for s in wanted
    )
    regions = list(shares.labels)
    if options.regions is None:
        china = sp.csr_array(g[: len(shares.regions)].sum(axis=0)[None, :])
        g, regions = sp.vstack([g, china], format="csr"), [*regions, NATIONAL]
        names[NATIONAL] = "China"
    positions = _positions(made.observations)
    report(f"{problem.n_obs} observations x {problem.n_state} unknowns; totals of {', '.join(wanted)}")
    notes = (f"prior {read.prior.name}", *read.prior.notes, *shares.described, *shares.notes)
    return Study(
        problem,
        sp.csr_array(g),
        tuple(regions),
        names,
        positions,
        np.asarray(g @ problem.prior),
        made.species.unit_name,
        notes,
    )


def _positions(table: Any) -> dict[str, tuple[float, float]]:
    """Return (lat, lon) of the platforms that stand still."""
    platform, kind = (table[n].to_numpy(zero_copy_only=False).astype(str) for n in ("platform", "kind"))
    lat, lon = (table[n].to_numpy() for n in ("latitude", "longitude"))
    found = {}
    for name in np.unique(platform[kind == "point"]):
        at = (platform == name) & (kind == "point")
        if np.ptp(lat[at]) < 0.1 and np.ptp(lon[at]) < 0.1:
            found[str(name)] = (float(lat[at][0]), float(lon[at][0]))
    return found
