"""An idealised world: grid, wind, prior; networks are put into it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from inversion.case.blocks.block import Block
from inversion.case.blocks.model_error import error_parts
from inversion.case.blocks.nuisance import offset_blocks
from inversion.case.blocks.shared_errors import shared_blocks, shared_notes
from inversion.case.options import ErrorOptions
from inversion.operators.covariance import BlockDiagonalCovariance, DiagonalCovariance
from inversion.operators.kernels import space_correlation, time_correlation
from inversion.operators.kronecker import KroneckerCovariance
from inversion.problem.problem import Problem
from inversion.problem.state import State, StateBlock
from inversion.problem.time_bins import TimeBins
from inversion.study.idealised import Wind, idealised_footprints
from inversion.study.options import MissingOptions, WorldOptions
from inversion.study.study import Study
from inversion.study.words import NATIONAL
from inversion.study.worlds.network import read_network
from inversion.study.worlds.sampling import Sampling, sample
from inversion.study.worlds.virtual import observed_table
from obsnet.config import apply_overrides, validate
from obsnet.constants import SECONDS_PER_YEAR, species
from obsnet.errors import ConfigError
from obsnet.grid import Grid
from obsnet.places import place_text
from obsnet.times import as_utc, time_bins
from obsnet.typing import Floats, Texts

__all__ = ["DEFAULTS", "StudyWorld", "once"]

# What a truth cannot change: who observes what, and the cells.
_FIXED = (
    "species",
    "south",
    "north",
    "west",
    "east",
    "cell_deg",
    "start",
    "stop",
    "step",
    "super_deg",
    "seed",
)
# Where a world says nothing: standard deviations by species, and why.
DEFAULTS = {
    "CO2": {
        "national_sd": (3664.0, "1 PgC a-1, spread of China's sink: Wang et al. 2023, doi:10.1016/j.scib.2023.07.010"),
        "inflow_sigma": (0.5, "assumed"),
        "point": (3.0, "assumed; residuals about smooth curves are 1.3 ppm at Waliguan, 8 ppm at Shangdianzi"),
        "column": (0.7, "assumed"),
    },
    "CH4": {
        "national_sd": (10.0, "half the range of published totals, 45 to 65 Tg"),
        "inflow_sigma": (5.0, "assumed"),
        "point": (20.0, "assumed"),
        "column": (8.0, "assumed"),
    },
}  # fmt: skip


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

        cell = options.cell_deg
        self.grid = Grid.regular(options.south, options.north, options.west, options.east, cell, cell)
        frame = provinces()
        self.names = {k: v[0] for k, v in PROVINCES.items()} | {NATIONAL: "China"}
        # There is no prior flux whose place could be known: cells are split by area.
        self.shares = flux_shares(frame, self.grid, {"flux": np.zeros(self.grid.shape)})
        box = shapely.box(options.west, options.south, options.east, options.north)
        land = shapely.union_all(frame.geometry.simplify(0.05).to_numpy())
        self.area = shapely.intersection(shapely.make_valid(land), box)
        self.gas = species(options.species)
        self._begin(options)

    def _begin(self, options: WorldOptions) -> None:
        """Take options that leave cells and species as they are: time and wind are theirs."""
        self.options = options
        self.start, self.stop = as_utc(options.start), as_utc(options.stop)
        if not self.start < self.stop:
            raise ConfigError(
                f"a world's start must lie before its stop, found {options.start} and {options.stop}"
            )
        edges = time_bins(self.start, self.stop, options.step)
        self.edges = np.concatenate([edges[edges < self.stop], [self.stop]])
        seconds = np.diff(self.edges).astype("timedelta64[us]").astype(np.float64) / 1e6
        self.bins = TimeBins(self.edges, np.arange(seconds.size), seconds)
        self.wind = Wind(options.transport, self.start, self.stop, options.seed)

    def over(self, start: np.datetime64, stop: np.datetime64) -> StudyWorld:
        """Return this world in another time."""
        other = copy(self)
        other._begin(self.options.model_copy(update={"start": str(start), "stop": str(stop)}))
        return other

    def changed(self, assignments: Sequence[str]) -> StudyWorld:
        """Return this world with something else set; its cells, time and networks stay.

        Raises
        ------
        ConfigError
            An assignment that is none, or that would change what is observed.
        """
        plain = self.options.model_dump(exclude_unset=True)
        options = validate(WorldOptions, apply_overrides(plain, assignments), "[osse.truth] set")
        for name in _FIXED:
            if getattr(options, name) != getattr(self.options, name):
                raise ConfigError(f"[osse.truth] set {name}: truths are of the same observations and cells")
        other = copy(self)
        other._begin(options)
        return other

    def setting(self, name: str) -> float:
        """Return a number of the world, given or by default."""
        value = getattr(self.options, name)
        return float(DEFAULTS[self.gas.name][name][0] if value is None else value)

    @property
    def model_error(self) -> ErrorOptions:
        """The error of the model, where nothing is said by default."""
        error = self.options.error
        known = {n: DEFAULTS[self.gas.name][n][0] for n in ("point", "column") if getattr(error, n) is None}
        return error.model_copy(update=known)

    @property
    def weights(self) -> sp.csr_array:
        """Totals of provinces and China over the flux block, Mt a-1, shape (totals, bins * cells)."""
        area = self.shares.area("flux")[: len(self.shares.regions)]
        rows = sp.vstack([area, sp.csr_array(area.sum(axis=0)[None, :])], format="csr")
        share = sp.csr_array((self.bins.seconds / self.bins.seconds.sum())[None, :])
        return sp.csr_array(sp.kron(share, rows, format="csr") * (float(self.gas.unit) * self.mass))

    @property
    def mass(self) -> float:
        """Mt a year of one mol s-1."""
        return self.gas.molar_mass * SECONDS_PER_YEAR * 1e-9

    def prior_error(self) -> KroneckerCovariance:
        """Return the prior error of the fluxes, in umol or nmol m-2 s-1, with the wanted national spread."""
        o = self.options
        inside = np.asarray(self.shares.regional("flux").sum(axis=0)).ravel()
        lat, lon = np.meshgrid(self.grid.lat, self.grid.lon, indexing="ij")
        middle = self.bins.middle
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

    def study(self, networks: Sequence[str], folder: Path, missing: Sequence[MissingOptions] = ()) -> Study:
        """Return the study of some networks together; parameters as of `observe`, and sources beside the prior."""
        made, notes = self.observe(networks, folder)
        alone, keys = once(made), _identity(made)
        listed = {
            str(name): np.isin(_identity(alone), keys[made.network == name])
            for name in np.unique(made.network)
        }
        _, first = np.unique(alone.platform, return_index=True)
        positions = {
            str(alone.platform[i]): (float(alone.latitude[i]), float(alone.longitude[i]))
            for i in first
            if not alone.column[i]
        }
        problem, errors = self.problem(
            alone, lambda h: [Block(self.fluxes("flux"), h, self._missing(missing), self.prior_error())]
        )
        assert problem.state is not None
        return Study(
            problem,
            problem.state.embed("flux", self.weights),
            (*self.shares.regions, NATIONAL),
            self.names,
            positions,
            None,
            self.gas.unit_name,
            tuple(dict.fromkeys([*self.notes(alone), *errors, *notes])),
            observed_table(alone),
            listed,
        )

    def notes(self, made: Sampling) -> list[str]:
        """Return what the world takes for granted of these observations."""
        found = ["idealised transport: networks can be compared, absolute numbers are no forecast"]
        there = {"point": not made.column.all(), "column": bool(made.column.any())}
        for name, (value, why) in DEFAULTS[self.gas.name].items():
            given = self.options.error if name in there else self.options
            if getattr(given, name) is None and there.get(name, True):
                found.append(f"{'error.' if name in there else ''}{name} = {value:g}: {why}")
        return found

    def fluxes(self, name: str) -> StateBlock:
        """Return a block of the state that is a flux of every cell in every time bin."""
        unit = "umol m-2 s-1" if self.gas.name == "CO2" else "nmol m-2 s-1"
        coords = {"time": self.bins.middle, "cell": np.arange(self.grid.size)}
        return StateBlock(name, "flux", ("time", "cell"), coords, unit)

    def problem(
        self,
        made: Sampling,
        solved: Callable[[sp.csr_array], list[Block]],
        no2_error: float = 0.0,
        no2_hours: float = np.inf,
    ) -> tuple[Problem, tuple[str, ...]]:
        """Return the problem of these observations, and what its errors have in common.

        Parameters
        ----------
        made : Sampling
            Who observes where and when.
        solved : callable
            From the sensitivities to the fluxes (n_obs, bins * cells) to blocks of the state.
        no2_error, no2_hours : float
            Model error and lifetime of NO2, where that is observed.
        """
        bins = self.bins.size
        h = idealised_footprints(
            made.latitude,
            made.longitude,
            made.time,
            made.column,
            grid=self.grid,
            time_edges=self.edges,
            wind=self.wind,
            lifetime_hours=np.where(made.no2, no2_hours, np.inf),
        )
        blocks = solved(h)
        sigma = self.setting("inflow_sigma")
        if sigma > 0.0:
            of_bin = np.searchsorted(self.edges, made.time, side="right") - 1
            there = (~made.no2).astype(np.float64)  # what flows in holds no fresh NO2
            inflow = sp.csr_array((there, (np.arange(len(made)), of_bin)), shape=(len(made), bins))
            unknown = StateBlock(
                "inflow", "boundary", ("period",), {"period": self.bins.middle}, self.gas.unit_name
            )
            blocks.append(Block(unknown, inflow, np.zeros(bins), DiagonalCovariance(np.full(bins, sigma**2))))
        table = observed_table(made)
        own = {str(name): no2_error for name in np.unique(made.network[made.no2])}
        model = self.model_error
        errors = error_parts(model.model_copy(update={"source": {**model.source, **own}}), table)
        blocks += offset_blocks(self.options.offset, table, self.gas)
        shared = shared_blocks(self.options.offset, errors, table, self.gas)
        blocks += shared
        groups = {name: getattr(made, name) for name in ("network", "platform", "orbit")}
        month, day = (made.time.astype(f"datetime64[{unit}]").astype(str) for unit in "MD")
        problem = Problem(
            sp.csr_array(sp.hstack([b.matrix for b in blocks], format="csr")),
            np.zeros(len(made)),
            errors.covariance(),
            np.concatenate([b.mean for b in blocks]),
            BlockDiagonalCovariance([b.error for b in blocks]),
            state=State([b.block for b in blocks]),
            groups=groups | {"month": month, "day": day},
        )
        return problem, (*errors.notes, *shared_notes(self.options.offset, shared))

    def _missing(self, sources: Sequence[MissingOptions]) -> Floats:
        """Return the fluxes of sources that the prior lacks, in the unit of the state, shape (bins * cells,)."""
        flux = np.zeros((self.edges.size - 1, *self.grid.shape))
        for one in sources:
            row = int(np.searchsorted(self.grid.lat_edges, one.latitude, side="right")) - 1
            column = int(np.searchsorted(self.grid.lon_edges, one.longitude, side="right")) - 1
            if not (0 <= row < self.grid.shape[0] and 0 <= column < self.grid.shape[1]):
                raise ConfigError(
                    f"a missing source at {place_text(one.latitude, one.longitude, gap='')} is outside of the world"
                )
            whole = float(self.gas.unit) * self.mass * float(self.grid.cell_area[row, column])
            flux[:, row, column] += one.amount / whole
        return flux.ravel()


def once(made: Sampling) -> Sampling:
    """Return observations, those that several networks share a single time."""
    _, first = np.unique(_identity(made), return_index=True)
    return made.take(np.sort(first))


def _identity(made: Sampling) -> Texts:
    """Return what tells observations apart: platform, time and place."""
    parts = (made.platform, made.time.astype(str), made.latitude.astype(str), made.longitude.astype(str))
    keys = parts[0]
    for part in parts[1:]:
        keys = np.char.add(np.char.add(keys, "@"), part)
    return keys
