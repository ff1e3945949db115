"""Columns of a cell share particles: a footprint depends on its column and cell alone, and is what its own would be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from inversion.transport.particles.settings import ParticleSettings
from inversion.transport.particles.simulate import simulate
from inversion.transport.receptors.releases import from_observations
from inversion.transport.receptors.sharing import cells_of, check_width, from_neighbours, in_cells
from obsnet.errors import ConfigError
from obsnet.grid import Grid
from tests.inversion.transport.receptors.test_releases import HATS, LEVELS, column, points
from tests.inversion.transport.worlds import START, bins, world

GRID = Grid.regular(22, 38, 102, 128, 1, 1)
WHEN = START + np.timedelta64(60, "h")


def columns(places, *, seconds=0, kernel=None, names=None):
    """Columns at places (latitude, longitude), some seconds apart."""
    lat, lon = np.array(places, float).T
    n = lat.size
    kernel = np.ones(LEVELS.size) if kernel is None else kernel
    time = WHEN + (seconds * np.arange(n)).astype("timedelta64[s]")
    names = names or [f"c{k}" for k in range(n)]
    return column(kernel, HATS, LEVELS, n=n, latitude=lat, longitude=lon, time=time, obs_id=names)


def shared(table, met=None, *, particles=200, km=50.0, hours=24.0, **more):
    return from_neighbours(table, met or world(), particles=particles, hours=hours, km=km, **more)


def felt(found, name, bins_=None):
    """The footprint of one receptor on the grid."""
    rows = found.sensitivity.filter(pa.compute.equal(found.sensitivity["obs_id"], name)).to_pandas()
    out = np.zeros(GRID.shape)
    np.add.at(out.ravel(), rows["cell"].to_numpy(), rows["sensitivity"].to_numpy())
    return out


# Two places of one cell of 50 km, and one of the next.
NEAR = [(29.82, 115.02), (29.92, 115.14), (29.82, 116.02)]


def test_columns_of_a_cell_and_a_minute_share_and_others_do_not():
    table = columns([*NEAR, NEAR[0]], seconds=0)
    cells = cells_of(table, 50.0)
    assert cells[0] == cells[1] == cells[3] != cells[2]
    later = cells_of(columns([NEAR[0], NEAR[0]], seconds=61), 50.0)
    assert later[0] != later[1]
    assert cells_of(points(), 50.0) == points()["obs_id"].to_pylist()
    # Either side of the date line, and round the pole, cells are cells.
    sides = cells_of(columns([(10.0, 179.99), (10.0, -179.99), (10.0, 180.0), (89.99, 5.0)]), 50.0)
    assert sides[0] != sides[1] == sides[2]


def test_every_column_keeps_its_weight_whatever_its_levels():
    kernel = np.linspace(1.2, 0.4, LEVELS.size)
    for table in (
        columns(NEAR, kernel=kernel),
        column(kernel[:3], [0.3, 0.5, 0.2], [1000.0, 700.0, 300.0, 0.0], layered=True),
    ):
        met = world()
        alone = from_observations(table, met, particles=200, hours=24.0)
        together = shared(table, met)
        own = {
            name: alone.releases[a:b, 9:11].sum()
            for name, a, b in zip(alone.obs_id, alone.offsets[:-1], alone.offsets[1:], strict=True)
        }
        found = simulate(met, together, GRID, bins(), ParticleSettings(turbulence="none", hours=24.0))
        ends = found.endpoints.to_pandas().groupby("obs_id")["weight"].sum()
        for name, known in zip(together.obs_id, together.known, strict=True):
            assert ends[name] == pytest.approx(own[name], rel=1e-12)
            assert known == alone.known[alone.obs_id.tolist().index(name)]


@pytest.mark.parametrize("turbulence", ["mixed-layer", "hanna", "stilt"])
def test_in_even_wind_neighbours_feel_the_same_moved_by_their_distance(turbulence):
    """One cell of fluxes to the east and north, the footprint is the same one cell to the east and north."""
    met = world(u=5.0, v=2.0)
    place = (30.1, 115.1)
    table = columns([place, (place[0] + 1.0, place[1] + 1.0)])
    run = ParticleSettings(turbulence=turbulence, hours=12.0, particles=60)
    found = simulate(met, shared(table, met, particles=60, km=600.0, hours=12.0), GRID, bins(), run)
    one, other = felt(found, "c0"), felt(found, "c1")
    assert one.sum() > 0.0
    np.testing.assert_allclose(other[1:, 1:], one[:-1, :-1], rtol=1e-5, atol=1e-7)
    assert len(set(found.receptors["particles_of"].to_pylist())) == 1


@pytest.mark.parametrize("turbulence", ["mixed-layer", "hanna"])
def test_a_footprint_does_not_depend_on_who_shares_its_cell(turbulence):
    met = world()
    run = ParticleSettings(turbulence=turbulence, hours=12.0, particles=40)

    def of(table):
        return simulate(met, shared(table, met, particles=40, hours=12.0), GRID, bins(), run)

    together, alone = of(columns(NEAR)), of(columns(NEAR[:1]))
    for name in ("sensitivity", "background", "receptors", "endpoints"):
        rows = getattr(together, name)
        assert rows.filter(pa.compute.equal(rows["obs_id"], "c0")).equals(getattr(alone, name))


def test_points_release_their_own_particles():
    met, table = world(), pa.concat_tables([columns(NEAR), points()], promote_options="default")
    run = ParticleSettings(turbulence="mixed-layer", hours=12.0, particles=40)
    mixed = simulate(met, shared(table, met, particles=40, hours=12.0), GRID, bins(), run)
    own = simulate(met, from_observations(points(), met, particles=40, hours=12.0), GRID, bins(), run)
    name = own.receptors["obs_id"][0].as_py()
    for kind in ("sensitivity", "receptors"):
        rows = getattr(mixed, kind)
        assert rows.filter(pa.compute.equal(rows["obs_id"], name)).equals(getattr(own, kind))


def test_shared_and_own_particles_agree_within_their_noise():
    """Twelve seeds of each: totals and their scatter; the stated error is the scatter."""
    met = world()
    kernel = np.linspace(1.1, 0.7, LEVELS.size)
    table = columns(NEAR[:2], kernel=kernel)
    totals = {"own": [], "shared": []}
    stated = []
    for seed in range(12):
        run = ParticleSettings(turbulence="hanna", hours=12.0, particles=150, seed=seed)
        for name, those in (
            ("own", from_observations(table, met, particles=150, hours=12.0)),
            ("shared", shared(table, met, particles=150, hours=12.0)),
        ):
            found = simulate(met, those, GRID, bins(), run).receptors
            totals[name].append(found["total"].to_numpy())
            if name == "shared":
                stated.append(found["total_stderr"].to_numpy())
    own, mine = (np.array(totals[n]) for n in ("own", "shared"))
    error = np.sqrt(own.var(axis=0, ddof=1) / 12 + mine.var(axis=0, ddof=1) / 12)
    assert (np.abs(own.mean(axis=0) - mine.mean(axis=0)) < 4.0 * error).all()
    # A stratified release scatters less than its stated error says; 12 seeds know a deviation to a fifth.
    assert (mine.std(axis=0, ddof=1) < 1.8 * np.mean(stated, axis=0)).all()
    # In even wind the particles of a cell err alike for all its columns.
    assert np.corrcoef(mine.T)[0, 1] > 0.9 > abs(np.corrcoef(own.T)[0, 1])


def test_nothing_is_lost_at_the_edge_of_the_domain():
    met = world(u=0.0)
    grid = Grid.regular(22, 38, 102, 115.2, 0.4, 0.4)
    table = columns([(30.02, 115.02), (30.12, 115.15)])
    domain = (22.0, 38.0, 102.0, 115.2)
    run = ParticleSettings(turbulence="hanna", hours=6.0, particles=60)
    found = simulate(met, shared(table, met, particles=60, hours=6.0, domain=domain), grid, bins(), run)
    cells = found.sensitivity.to_pandas().groupby("obs_id")["sensitivity"].sum()
    for row in found.receptors.to_pylist():
        assert cells[row["obs_id"]] == pytest.approx(row["total"], rel=1e-5)


def test_what_cannot_be_modelled_is_skipped_as_without_sharing():
    table = columns([*NEAR, (60.0, 115.0)])
    together, alone = shared(table), from_observations(table, world(), particles=20, hours=24.0)
    assert together.skipped == alone.skipped != {}
    assert sorted(together.obs_id) == sorted(alone.obs_id)


def test_wider_cells_than_the_weather_are_refused():
    met = world()
    with pytest.raises(ConfigError, match=r"share = 500 km is more than the meteorology's nodes lie apart"):
        check_width(500.0, met)
    check_width(10.0, met)


def test_observations_of_a_cell_stand_together():
    table = columns([NEAR[0], NEAR[2], NEAR[1]], names=["a", "b", "c"])
    cells = cells_of(in_cells(table, 50.0), 50.0)
    assert cells[0] == cells[1] or cells[1] == cells[2]
    assert set(in_cells(table, 50.0)["obs_id"].to_pylist()) == {"a", "b", "c"}


def test_on_real_hills_at_night_moved_paths_are_those_of_the_columns(sample_data):
    """ERA5 over southern Germany: as alike as two seeds of own particles; paths that are not moved are not."""
    from obsnet.met import open_met

    met = open_met([sample_data / "transport" / "met" / "era5_regrid.nc"])
    grid = Grid.regular(46.0, 49.4, 8.5, 11.7, 0.05, 0.05)
    when = np.datetime64("2025-05-01T01:58", "us")
    north, east = np.meshgrid(48.4 + 0.02 * np.arange(4), 9.9 + 0.03 * np.arange(4))
    n, hours, seeds = north.size, 1.9, 4
    table = column(
        np.linspace(1.0, 0.8, LEVELS.size), HATS, LEVELS, n=n, latitude=north.ravel(), longitude=east.ravel(),
        time=np.full(n, when), obs_id=[f"c{k:02}" for k in range(n)],
    )  # fmt: skip
    edges = when.astype("datetime64[h]") + np.arange(-2, 2).astype("timedelta64[h]")
    settings = {"particles": 400, "hours": hours}
    check_width(5.0, met)
    moved = from_neighbours(table, met, km=5.0, **settings)
    assert 1 < len(moved.swarms) < n
    still = replace(moved, shared=tuple(replace(s, shifts=0.0 * s.shifts) for s in moved.shared))
    maps = {}
    for name, those in (
        ("own", from_observations(table, met, **settings)),
        ("moved", moved),
        ("still", still),
    ):
        maps[name] = np.zeros((seeds, n, grid.size))
        for seed in range(seeds):
            run = ParticleSettings(turbulence="hanna", seed=seed, **settings)
            rows = simulate(met, those, grid, edges.astype("datetime64[us]"), run).sensitivity.to_pandas()
            at = rows["obs_id"].str[1:].astype(int).to_numpy()
            np.add.at(maps[name][seed], (at, rows["cell"].to_numpy()), rows["sensitivity"].to_numpy())
    totals = {name: m.sum(axis=2) for name, m in maps.items()}
    scatter = totals["own"].std(axis=0, ddof=1).mean() / totals["own"].mean()
    assert abs(totals["moved"].mean() / totals["own"].mean() - 1.0) < 2.0 * scatter
    shapes = {name: m / m.sum(axis=2, keepdims=True) for name, m in maps.items()}
    overlap = {
        name: np.minimum(shape, np.roll(shapes["own"], 1, axis=0)).sum(axis=2).mean()
        for name, shape in shapes.items()
    }
    assert overlap["moved"] > overlap["own"] - 0.03
    assert overlap["still"] < overlap["own"] - 0.1
