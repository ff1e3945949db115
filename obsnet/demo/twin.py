"""Build the twin experiment: inputs as files, observations of the truth, the case that is run on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from obsnet.atomic import write_text
from obsnet.cf import flux_dataset, write_netcdf
from obsnet.demo.files import column_operator, write_lite, write_noaa_event
from obsnet.demo.network import Network, existing, idealised, satellite_days
from obsnet.demo.observe import Simulated
from obsnet.demo.weather import SURFACE_PRESSURE, make_weather, write_weather
from obsnet.demo.world import BACKGROUND_PPM, SETTINGS, DemoWorld, TwinSettings, make_world
from obsnet.errors import ConfigError
from obsnet.grid import Grid
from obsnet.regions import provinces
from obsnet.splitting import flux_shares
from obsnet.store import ObservationStore
from obsnet.times import later
from obsnet.typing import Bools, Floats
from obsnet.zonal import zonal_weights

__all__ = ["Twin", "make_twin"]

CELL = 1.25  # degrees
GRID = Grid.regular(17.0, 54.5, 73.0, 135.5, CELL, CELL)
START = np.datetime64("2019-01-08", "D")  # the flux bins before it begin on a multiple of three days
HOURS_BACK = 72
BIN_DAYS = 3.0
PARTICLES = 200
_BAD_SHARE = 0.1  # of soundings carry a bad flag and a wrong value, as real files do
_POINT_SD, _COLUMN_SD = 0.1, 0.7  # ppm, what the instruments claim and do


@dataclass(frozen=True)
class Twin:
    """A twin experiment on disk.

    Parameters
    ----------
    network : Network
        Who observes.
    world : DemoWorld
        The truth.
    days : int
        Observed days; fluxes begin three days before.
    seed : int
        Of every draw.
    soundings : list of dict
        Positions and times by day.
    settings : TwinSettings
        Assumptions of truth and inversion.
    """

    network: Network
    world: DemoWorld
    days: int
    seed: int
    soundings: list[dict[str, Any]]
    settings: TwinSettings

    @property
    def stop(self) -> np.datetime64:
        """End of the fluxes."""
        return later(START, self.days)

    def write_observations(
        self, folder: Path, simulated: Simulated | None = None, store: ObservationStore | None = None
    ) -> None:
        """Write granules and station text, unless they are there.

        Parameters
        ----------
        folder : Path
            Gets ``stations/`` and ``granules/``.
        simulated : Simulated, optional
            Values of the truth by obs_id; without it the files say when and where, and the background.
        store : ObservationStore, optional
            The store made of the files without values; gives each row its obs_id.
        """
        rng = np.random.default_rng([self.seed, 3])
        stations, columns = ({}, {}) if simulated is None or store is None else _identities(store)
        for site in self.network.sites:
            time = self._afternoons(site.longitude)
            keys = [stations.get((site.code, t)) for t in time]
            value = self._values(keys, simulated, self.settings.point_transport_sd, _POINT_SD, rng)
            path = folder / "stations" / f"co2_{site.code.lower()}_surface-flask_1_ccgg_event.txt"
            if path.exists():
                continue
            write_noaa_event(path, site, time, value, np.full(len(time), _POINT_SD), ["..."] * len(time))
        for number, day in enumerate(self.soundings):
            n = len(day["time"])
            operator = column_operator(n, SURFACE_PRESSURE / 100.0)
            ident = _sounding_ids(day["time"])
            keys = [columns.get(i) for i in ident]
            flag = (rng.random(n) < _BAD_SHARE).astype(np.int8)
            value = self._values(
                keys, simulated, self.settings.column_transport_sd, _COLUMN_SD, rng, flag == 0
            )
            value = value + flag * rng.normal(0.0, 6.0, n)
            stamp = later(START, number).astype(object).strftime("%y%m%d")
            path = folder / "granules" / f"oco2_LtCO2_{stamp}_TWIN_000000000000s.nc4"
            if path.exists():
                continue
            write_lite(
                path,
                time=day["time"],
                latitude=day["latitude"],
                longitude=day["longitude"],
                xco2=np.clip(value, 301.0, 599.0),
                uncertainty=np.full(n, _COLUMN_SD),
                flag=flag,
                operator=operator,
            )

    def _afternoons(self, longitude: float) -> NDArray[np.datetime64]:
        seconds = round((14.0 - longitude / 15.0) * 3600.0)
        days = START + np.arange(self.days)
        return np.asarray(days.astype("datetime64[us]") + np.timedelta64(seconds, "s"))

    def _values(
        self,
        keys: list[str | None],
        simulated: Simulated | None,
        transport: float,
        instrument: float,
        rng: np.random.Generator,
        good: Bools | None = None,
    ) -> Floats:
        """Return truth plus errors whose variances are the ones the inversion is told of.

        Rows that are not `good` have no footprint, hence no truth; they get the background.
        """
        noise = rng.standard_normal((2, len(keys)))
        if simulated is None:
            return np.full(len(keys), BACKGROUND_PPM)
        lost = [
            k for k, needed in zip(keys, np.ones(len(keys)) if good is None else good, strict=True) if needed
        ]
        lost = [k for k in lost if k not in simulated.value]
        if lost:
            raise ConfigError(
                f"{len(lost)} of {len(keys)} observations have no simulated value, first {lost[0]!r}"
            )
        value = np.array([simulated.value.get(str(k), BACKGROUND_PPM) for k in keys])
        scatter = np.array([simulated.scatter.get(str(k), 0.0) for k in keys])
        # The particles that made the truth scatter already; the rest of the transport error is drawn.
        drawn = np.sqrt(np.maximum(transport**2 - scatter**2, 0.0))
        return value + drawn * noise[0] + instrument * noise[1]

    def write_case(
        self, folder: Path, seed: int, *, workers: int | None, only_footprints: bool = False
    ) -> Path:
        """Write ``case.toml`` into a folder and return its path; its outputs go beside it."""
        from jinja2 import Environment, PackageLoader

        south, north, west, east = GRID.bounds
        wrong = f"{self.settings.planted_error:.0%}"
        environment = Environment(loader=PackageLoader("obsnet.demo", "."), autoescape=False)
        environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
        text = environment.get_template("case.toml.j2").render(
            weather="../input/weather.nc" if only_footprints else "input/weather.nc",
            only_footprints=only_footprints,
            scheduler="processes",
            workers=workers,
            seed=seed,
            south=south,
            north=north,
            west=west,
            east=east,
            dlat=CELL,
            dlon=CELL,
            bin_days=int(BIN_DAYS),
            hours=HOURS_BACK,
            particles=PARTICLES,
            background=BACKGROUND_PPM,
            sizes=self.settings,
            title=f"Twin experiment over China, {self.network.name} network",
            title_zh="中国区域孪生实验",
            notes=[
                f"Twin experiment, not an observation of the atmosphere: {self.network.note.en}.",
                f"Truth, weather and data are invented; one province's total is planted {wrong} too low.",
            ],
            notes_zh=[
                f"孪生实验，并非真实大气观测：{self.network.note.zh}。",
                f"真值、天气与数据均为虚构；一个省的清单值被设低 {wrong}。",
            ],
        )
        path = folder / "case.toml"
        write_text(path, text)
        return path


def _sounding_ids(time: NDArray[np.datetime64]) -> list[str]:
    stamp = time.astype("datetime64[ms]").astype(object)
    return [t.strftime("%Y%m%d%H%M%S") + f"{t.microsecond // 100000}{1 + k % 8}" for k, t in enumerate(stamp)]


def _identities(store: ObservationStore) -> tuple[dict[Any, str], dict[str, str]]:
    """Return obs_id by (station, time) and by sounding number."""
    table = store.read("CO2", columns=["obs_id", "kind", "platform", "time"])
    stations, columns = {}, {}
    rows = zip(
        *(table[c].to_pylist() for c in ("obs_id", "kind", "platform")), table["time"].to_numpy(), strict=True
    )
    for ident, kind, platform, time in rows:
        if kind == "point":
            stations[platform, time.astype("datetime64[us]")] = ident
        else:
            columns[ident.rsplit(":", 1)[-1]] = ident
    return stations, columns


def make_twin(
    folder: Path, *, network: str, days: int, seed: int, planted: str, settings: TwinSettings = SETTINGS
) -> Twin:
    """Draw the world and write everything that does not depend on what is observed.

    Parameters
    ----------
    folder : Path
        Inputs go to ``input/`` in it; those that are there are left alone.
    network : {"idealised", "existing"}
        Who observes.
    days : int
        How many, from 2019-01-08.
    seed : int
        Of every draw.
    planted : str
        Adcode of the province whose bottom-up total is 25 % too low.
    settings : TwinSettings
        Sizes of all errors.
    """
    rng = np.random.default_rng([seed, 2])
    frame = provinces()
    zones = zonal_weights(frame, GRID)
    # The prior's own grid is that of the inversion, so that its flux says no more than that it is on land.
    shares = flux_shares(frame, GRID, {"fossil": np.ones(GRID.shape)})
    bins = int(np.ceil((days + BIN_DAYS) / BIN_DAYS))
    world = make_world(
        GRID,
        list(frame.index),
        shares.area("fossil")[: len(frame)],
        zones.fraction,
        bins,
        BIN_DAYS,
        seed=seed,
        planted=planted,
        settings=settings,
    )
    place = idealised(frame, rng) if network == "idealised" else existing()
    land = frame.union_all().simplify(0.05)
    soundings = satellite_days(place, START + np.arange(days), land, rng)
    twin = Twin(place, world, days, seed, soundings, settings)
    inputs = folder / "input"
    hours = np.arange(-HOURS_BACK - 3, days * 24 + 3, 3)
    times = START.astype("datetime64[h]") + hours
    bounds = (GRID.lat_edges[0], GRID.lat_edges[-1], GRID.lon_edges[0], GRID.lon_edges[-1])
    if not (inputs / "weather.nc").exists():
        write_weather(make_weather(times, bounds, rng), inputs / "weather.nc")
    if not (inputs / "prior.nc").exists():
        _write_prior(world, inputs / "prior.nc")
    if not (inputs / "inventory.csv").exists():
        _write_inventory(world, settings, inputs / "inventory.csv")
    return twin


def _edges(world: DemoWorld) -> NDArray[np.datetime64]:
    step = np.timedelta64(round(BIN_DAYS * 86400), "s")
    return later(START, -3).astype("datetime64[us]") + step * np.arange(world.inflow.shape[1] + 1)


def _write_prior(world: DemoWorld, path: Path) -> None:
    bins = world.inflow.shape[1]
    fossil = np.tile(world.prior_fossil, (bins, 1))
    flux = np.stack([fossil, world.prior_biosphere], axis=1).reshape(bins, 2, *world.grid.shape)
    made = flux_dataset(
        flux,
        world.grid,
        _edges(world),
        sectors=["fossil", "biosphere"],
        substance="CO2",
        title="Prior of a twin experiment: the reported inventory on a grid, and a winter biosphere",
        summary="Synthetic: reported provincial totals as plants and areas, and winter respiration",
        source="obsnet demo",
        license="Apache-2.0",
    )
    write_netcdf(made, path)


def _write_inventory(world: DemoWorld, settings: TwinSettings, path: Path) -> None:
    from obsnet.inventory.table import mole_rate

    per_megatonne = mole_rate(1.0, "Mt", "CO2")
    lines = ["region,period,gas,category,terminology,value,unit,uncertainty,source,edition"]
    for code, rate in zip(world.regions, world.reported, strict=True):
        if np.isfinite(rate):
            lines.append(
                f"{code},2019,CO2,total,CEADs,{rate / per_megatonne:.3f},Mt,{settings.inventory_sd},"
                "CEADs 2019 with one province altered for a twin experiment,demo"
            )
    write_text(path, "\n".join(lines) + "\n")
