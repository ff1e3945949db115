"""What wind errors do to observations: a closed form, many independent runs, and on into an inversion."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inversion.case.blocks.model_error import error_parts
from inversion.case.inputs.reading import with_transport_error
from inversion.case.options import ErrorOptions, InvertOptions
from inversion.jacobian.store import JacobianStore
from inversion.transport.particles.settings import ParticleSettings
from inversion.transport.particles.simulate import simulate
from inversion.transport.particles.wind_error import wind_error_waves
from inversion.transport.run.options import WindErrorOptions
from inversion.transport.run.run import run_footprints
from inversion.transport.run.transport_error import transport_error
from obsnet.cf import flux_dataset, write_netcdf
from obsnet.cli import main
from obsnet.config import validate
from obsnet.constants import MOLAR_MASS_DRY_AIR
from obsnet.errors import ConfigError, FormatError, SchemaError
from obsnet.grid import Grid
from obsnet.sphere import METRES_PER_DEGREE
from obsnet.store import ObservationStore
from obsnet.work.work import Work
from tests.inversion.transport.run.test_run import table
from tests.inversion.transport.worlds import bins, receptors, world
from tests.obsnet.met.worlds import era5

FINE = Grid.regular(24, 36, 106, 124, 0.25, 0.25)
T0 = np.datetime64("2020-06-01", "us")
SERIAL = Work(scheduler="serial")


def error(**more):
    given = {
        "speed": 1.0,
        "hours": 3.0,
        "km": 1e7,
        "metres": 1e7,
        "flux": "x",
        "members": 400,
        "particles": 2,
    }
    return WindErrorOptions(**{**given, **more})


def slope(grid, n, per_degree=1.0):
    """A flux that grows evenly northward."""
    return np.tile(np.repeat(5.0 + per_degree * (grid.lat - 30.0), grid.lon.size), (n, 1))


def twice_integrated(hours, time_scale, steps=1200):
    """Variance of the integral over time of where an Ornstein-Uhlenbeck wind of unit variance takes air, h4."""
    t = (np.arange(steps) + 0.5) * hours / steps
    share = (hours - t) * hours / steps
    return share @ np.exp(-np.abs(t[:, None] - t) / time_scale) @ share


def test_a_flux_that_grows_evenly_has_a_closed_form():
    """c = k sum f(y) dt with f linear: variance (k b)^2 times that of the integral of the way."""
    hours, h = 10.0, 1000.0
    run = ParticleSettings(turbulence="none", hours=hours, timestep=300.0)
    met, rows = (
        world(u=0.0, v=0.0, h=h, hours=48),
        Grid(np.linspace(28.0, 32.0, 201), np.array([106.0, 124.0])),
    )
    found = transport_error(
        met, receptors(at=40.0, z=20.0, count=1), rows, bins(48), run, error(), slope(rows, 8)
    )
    depth = 0.5 * h
    mean = 1.2 * 9500.0 / depth * (1.0 - np.exp(-depth / 9500.0))
    per_second = MOLAR_MASS_DRY_AIR / (depth * mean)
    expected = (per_second * 3600.0**2 * 1.0 / METRES_PER_DEGREE) ** 2 * twice_integrated(hours, 3.0)
    value, sigma = (found[n][0].as_py() for n in ("transport_variance", "transport_variance_stderr"))
    assert sigma == pytest.approx(
        expected * np.sqrt(2.0 / 399), rel=0.3
    )  # both halves are the same: no turbulence
    assert value == pytest.approx(expected, abs=4.0 * sigma)


def test_the_statement_is_what_many_independent_runs_show():
    """Members with many particles each and other fields: their variance, less that of the particles' number."""
    met, place = world(u=6.0, v=2.0, heat=80.0, hours=48), {"at": 40.0, "z": 30.0}
    run = ParticleSettings(turbulence="hanna", hours=10.0, seed=1)
    statistics = {"speed": 2.0, "hours": 4.0, "km": 150.0, "metres": 800.0}
    flux = slope(FINE, 8, 2.0)
    stated = transport_error(
        met, receptors(2, **place, count=10), FINE, bins(48), run, error(**statistics, members=100), flux
    ).to_pandas()
    members, count = 150, 60
    brute = run.but(seed=77)
    values, noise = np.empty(members), np.empty(members)
    for m in range(members):
        waves = wind_error_waves(error(**statistics), 1234, m)
        found = simulate(
            met, receptors(**place, count=count, names=[f"m{m}"]), FINE, bins(48), brute, waves=waves
        ).sensitivity.to_pandas()
        felt = flux[found["time_bin"], found["cell"]]
        values[m] = (found["sensitivity"] * felt).sum()
        noise[m] = ((found["stderr"] * felt) ** 2).sum()
    independent = values.var(ddof=1) - noise.mean()
    spread = values.var(ddof=1) * np.sqrt(2.0 / members)
    for row in stated.itertuples():
        assert row.transport_variance > 4.0 * row.transport_variance_stderr / np.sqrt(2.0)
        off = row.transport_variance - independent
        assert abs(off) < 4.0 * np.hypot(row.transport_variance_stderr, spread)


def test_the_stated_error_of_the_variance_holds():
    """Of twenty statements of few members as many hold the mean of all within two standard errors as should."""
    met = world(u=6.0, v=2.0, hours=48)
    run = ParticleSettings(turbulence="mixed-layer", hours=10.0)
    found = transport_error(
        met,
        receptors(1, at=40.0, z=30.0, count=8),
        FINE,
        bins(48),
        run,
        error(speed=2.0, km=150.0, metres=800.0, members=800),
        slope(FINE, 8, 2.0),
    )
    truth = found["transport_variance"][0].as_py()
    held = []
    for seed in range(20):
        few = transport_error(
            met,
            receptors(1, at=40.0, z=30.0, count=8),
            FINE,
            bins(48),
            run.but(seed=100 + seed),
            error(speed=2.0, km=150.0, metres=800.0, members=50),
            slope(FINE, 8, 2.0),
        )
        value, sigma = (few[n][0].as_py() for n in ("transport_variance", "transport_variance_stderr"))
        held.append(abs(value - truth) < 2.0 * sigma)
    assert sum(held) >= 16


def test_no_error_gives_no_variance():
    """The two halves share nothing: 0 within the stated error, on either side."""
    met = world(u=6.0, heat=80.0, hours=48)
    run = ParticleSettings(turbulence="hanna", hours=5.0)
    found = transport_error(
        met, receptors(8, at=40.0, z=30.0, count=10), FINE, bins(48), run, error(speed=0.0, members=20), slope(FINE, 8)
    ).to_pandas()  # fmt: skip
    off = found["transport_variance"] / found["transport_variance_stderr"]
    assert off.abs().max() < 4.0
    assert off.min() < 0.0 < off.max()


GRID = Grid.regular(22, 29, 102, 110, 1, 1)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Meteorology, a prior flux and an observation store."""
    folder = tmp_path_factory.mktemp("case")
    era5(folder / "a.nc", hours=range(25))
    cube = np.broadcast_to(1e-6 * (5.0 + 4.0 * (GRID.lat[:, None] - 25.0)), (2, 1, *GRID.shape)).copy()
    edges = T0 + np.array([-24, 12, 48]).astype("timedelta64[h]")
    data = flux_dataset(
        cube, GRID, edges, substance="CO2", sectors=["all"], title="p", summary="s", source="s", license="CC0"
    )
    write_netcdf(data, folder / "prior.nc")
    ObservationStore(folder / "observations").write(table())
    return folder


def go(files, out, **options):
    given = {"grid": GRID, "step": "3h", "batch": 3, "work": SERIAL}
    run = ParticleSettings(turbulence="mixed-layer", hours=6.0, particles=20, seed=4)
    return run_footprints(table(), [files / "a.nc"], out, **{**given, "settings": run, **options})


def stated(files, **more):
    given = {"speed": 2.0, "hours": 3.0, "km": 100.0, "metres": 500.0, "members": 10, "particles": 8}
    return WindErrorOptions(**{**given, "flux": str(files / "prior.nc"), **more})


def test_footprints_beside_it_are_the_plain_ones(files, tmp_path):
    go(files, tmp_path / "plain")
    found = go(files, tmp_path / "fp", errors=(stated(files),))
    assert any("wind error: 2 m s-1 over 3 h, 100 km and 500 m as stated" in note for note in found["notes"])
    one, two = (JacobianStore(tmp_path / n).read() for n in ("plain", "fp"))
    np.testing.assert_array_equal(one.matrix.toarray(), two.matrix.toarray())
    parts = sorted((tmp_path / "fp" / "transport_error").iterdir())
    rows = pa.concat_tables([pq.ParquetFile(p).read() for p in parts]).to_pandas()
    assert sorted(rows["obs_id"]) == [f"s:{k}" for k in range(7)]
    assert (rows["members"] == 10).all()
    assert rows["transport_variance"].max() > 0.0
    # Another batch, another order: the same numbers.
    go(files, tmp_path / "again", errors=(stated(files),), batch=7)
    again = pq.ParquetFile(next((tmp_path / "again" / "transport_error").iterdir())).read().to_pandas()
    merged = rows.merge(again, on="obs_id")
    np.testing.assert_allclose(merged["transport_variance_x"], merged["transport_variance_y"], rtol=1e-9)


def test_what_decides_is_kept_and_refused(files, tmp_path):
    go(files, tmp_path / "fp", errors=(stated(files),))
    assert go(files, tmp_path / "fp", errors=(stated(files),))["made"] == 0
    for other in ((stated(files, speed=3.0),), ()):
        with pytest.raises(ConfigError, match="holds footprints of other wind_error"):
            go(files, tmp_path / "fp", errors=other)


def test_inflow_varies_too(files, tmp_path):
    """Air whose background depends on where it came from: more variance than by the flux alone."""
    import xarray as xr

    from inversion.transport.run.run import Air

    lat, lon, level = np.arange(20.0, 31.0), np.arange(98.0, 115.0), [1000.0, 500.0, 100.0]
    shape = (len(level), lat.size, lon.size)
    values = np.broadcast_to(400.0 + 20.0 * (lat[:, None] - 25.0) + 0.0 * lon, shape).astype(float)
    field = xr.DataArray(values, dims=("level", "latitude", "longitude"),
                         coords={"level": ("level", level, {"units": "hPa"}), "latitude": lat, "longitude": lon},
                         attrs={"units": "ppm"}, name="co2")  # fmt: skip
    cube = field.expand_dims(time=np.array(["2020-05-30", "2020-06-03"], "datetime64[ns]"))
    cube.to_netcdf(tmp_path / "field.nc")
    variance = []
    for name, air in (("a", Air()), ("b", Air(background=str(tmp_path / "field.nc")))):
        go(files, tmp_path / name, errors=(stated(files),), air=air)
        parts = sorted((tmp_path / name / "transport_error").iterdir())
        variance.append(np.concatenate([pq.ParquetFile(p).read()["transport_variance"] for p in parts]))
    assert np.median(variance[1]) > 2.0 * np.median(variance[0])


def test_an_inversion_takes_it_as_error(files, tmp_path, capsys):
    """Case file, both stages: R is what was stated, hypot the rest, and the observations weigh less."""
    (tmp_path / "case.toml").write_text(f'''
[run]
name = "t"
out = "run"
[footprints]
met = ["{files / "a.nc"}"]
store = "{files / "observations"}"
species = "CO2"
grid = "22,29,102,110,1,1"
step = "3h"
hours = 6
particles = 20
[footprints.wind_error]
speed = 2.0
hours = 3
km = 100
metres = 500
flux = "{files / "prior.nc"}"
members = 10
particles = 8
[invert]
species = "CO2"
store = "{files / "observations"}"
footprints = "footprints"
prior = "{files / "prior.nc"}"
step = "all"
[invert.sector.all]
relative = 0.5
correlation_km = 100
[invert.boundary]
background = 400.0
[invert.error]
point = 0.3
transport = "footprints/transport_error"
correlation_hours = 0
monte_carlo = false
''')
    with pytest.raises(SystemExit) as stop:
        main(["run", str(tmp_path / "case.toml")])
    said = capsys.readouterr()
    assert stop.value.code == 0, said.err
    assert "wind error: 2 m s-1" in said.err
    assert "error.transport: " in said.err
    run = next((tmp_path / "run").glob("**/transport_error")).parent
    rows = with_transport_error(table(), run / "transport_error")
    choice = ErrorOptions(point=0.3, transport="x", correlation_hours=0.0)
    parts = error_parts(choice, rows)
    wind = np.maximum(rows["transport_variance"].to_numpy(), 0.0)
    np.testing.assert_allclose(parts.covariance().diagonal(), 1.0 + 0.3**2 + wind)
    assert wind.max() > 0.0


def test_the_command(files, tmp_path, capsys):
    asked = ["footprints", "run", str(files / "a.nc"), "--store", str(files / "observations"), "--species", "CO2",
             "--grid", "22,29,102,110,1,1", "--step", "3h", "--hours", "6", "--particles", "20",
             "--out", str(tmp_path / "fp"), "--wind-error-speed", "2", "--wind-error-hours", "3",
             "--wind-error-km", "100", "--wind-error-metres", "500", "--wind-error-members", "8"]  # fmt: skip
    with pytest.raises(SystemExit) as stop:
        main(asked)
    assert stop.value.code == 2
    assert "flux" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        main([*asked, "--wind-error-flux", str(files / "prior.nc"), "--scheduler", "serial", "--json"])
    assert stop.value.code == 0
    assert json.loads(capsys.readouterr().out)["receptors"] == 7
    assert list((tmp_path / "fp" / "transport_error").glob("*.parquet"))
    asked[asked.index(str(tmp_path / "fp"))] = str(tmp_path / "both")
    more = ["--mixing-height-error-relative", "0.4", "--mixing-height-error-hours", "6",
            "--mixing-height-error-km", "150", "--mixing-height-error-members", "8",
            "--mixing-height-error-flux", str(files / "prior.nc"),
            "--wind-error-flux", str(files / "prior.nc")]  # fmt: skip
    with pytest.raises(SystemExit) as stop:
        main([*asked, *more, "--scheduler", "serial"])
    assert stop.value.code == 0
    said = capsys.readouterr().err
    assert "mixing height error: 0.4 of ln h over 6 h and 150 km as stated, 8 members" in said
    assert "convection: none" in said
    rows = pq.ParquetFile(next((tmp_path / "both" / "transport_error").glob("*.parquet"))).read().to_pandas()
    parts = rows["wind_variance"] + rows["mixing_height_variance"]
    np.testing.assert_allclose(rows["transport_variance"], parts)
    assert rows["mixing_height_variance"].max() > 0.0


def test_fluxes_that_do_not_fit_are_refused_before_any_work(files, tmp_path):
    edges = T0 + np.array([0, 3]).astype("timedelta64[h]")
    for substance, when, said in (("CH4", None, "a flux of CH4"), ("CO2", edges, "the prior flux covers")):
        times = T0 + np.array([-24, 48]).astype("timedelta64[h]") if when is None else when
        cube = np.ones((len(times) - 1, 1, *GRID.shape)) * 1e-9
        if when is not None:
            times, cube = (
                np.append(times, times[-1] + np.timedelta64(1, "h")),
                np.ones((2, 1, *GRID.shape)) * 1e-9,
            )
        data = flux_dataset(cube, GRID, times, substance=substance, sectors=["all"], title="p", summary="s",
                            source="s", license="CC0")  # fmt: skip
        write_netcdf(data, tmp_path / "bad.nc")
        with pytest.raises(ConfigError, match=said):
            go(files, tmp_path / "fp", errors=(stated(files, flux=str(tmp_path / "bad.nc")),))
        assert not (tmp_path / "fp" / "plan.json").exists()


def test_files_of_transport_errors_that_do_not_fit_are_refused(tmp_path):
    good = pa.table({"obs_id": [f"s:{k}" for k in range(7)], "transport_variance": np.arange(7.0)})
    pq.write_table(good, tmp_path / "good.parquet")
    rows = with_transport_error(table(), tmp_path / "good.parquet")
    np.testing.assert_array_equal(rows["transport_variance"], np.arange(7.0))
    for bad, said in (
        (good.slice(0, 5), "no transport_variance of 2 of 7 observations, the first 's:5'"),
        (pa.concat_tables([good, good]), "7 observations occur more than once"),
        (good.set_column(1, "transport_variance", pa.array([np.nan] * 7)), "no transport_variance of 7"),
        (good.rename_columns(["obs_id", "sigma"]), "lacks transport_variance"),
    ):
        pq.write_table(bad, tmp_path / "bad.parquet")
        with pytest.raises(SchemaError, match=said):
            with_transport_error(table(), tmp_path / "bad.parquet")
    with pytest.raises(FormatError, match="no transport errors there"):
        with_transport_error(table(), tmp_path / "nothing")
    with pytest.raises(ConfigError, match="is for observations with footprints"):
        error_parts(ErrorOptions(point=1.0, transport="x"), table())
    asked = {"species": "CO2", "store": "s", "footprints": "f", "prior": "p", "sector": {"a": {"relative": 1.0}},
             "error": {"point": 1.0, "transport": "t"}, "likelihood": {}}  # fmt: skip
    with pytest.raises(ConfigError, match="take error out of likelihood.estimate"):
        validate(InvertOptions, asked)
