"""Receptor files: points, paths, columns by level, lines of sight; what is wrong with them; the commands they serve."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import xarray as xr

from inversion.jacobian.store import JacobianStore
from inversion.transport.check.worlds import plain_world, release
from inversion.transport.particles import tables
from inversion.transport.particles.settings import ParticleSettings
from inversion.transport.receptors.listed import from_places, read_places
from inversion.transport.receptors.releases import RELEASE
from inversion.transport.run.forward import forward
from obsnet.cli import main
from obsnet.constants import MOLAR_MASS_DRY_AIR
from obsnet.errors import ConfigError, FormatError, RangeError, SchemaError
from obsnet.grid import Grid
from obsnet.times import to_epoch
from tests.inversion.transport.worlds import bins, seconds, world
from tests.obsnet.met.worlds import era5

AT = {name: k for k, name in enumerate(RELEASE)}
HEAD = "obs_id,time,latitude,longitude,height_m"
POINT = "a,2020-06-03T12:00Z,30,115,50"


@pytest.fixture
def write(tmp_path):
    def make(*lines):
        path = tmp_path / "places.csv"
        path.write_text("\n".join(lines) + "\n")
        return path

    return make


def places(path, met=None, **options):
    met = world() if met is None else met
    return from_places(read_places(path, "CO2"), met, **{"particles": 100, "hours": 24.0, **options})


def test_a_row_is_a_point(write):
    found = places(write(HEAD + ",time_end", POINT + ",2020-06-03T13:00Z", "b,2020-06-03T12:00Z,31,116,10,"))
    assert found.obs_id.tolist() == ["a", "b"]
    first, second = found.releases
    assert tuple(first[:2]) == (seconds(60), seconds(61))
    assert tuple(second[:2]) == (seconds(60), seconds(60))
    assert (first[AT["z0"]], first[AT["count"]], first[AT["w0"]] + first[AT["w1"]]) == (50.0, 100.0, 1.0)


def test_names_may_be_left_to_the_file(write):
    found = read_places(write("time,latitude,longitude,height_m", POINT[2:], POINT[2:]), "CO2")
    assert found["obs_id"].to_pylist() == ["places:0", "places:1"]


def test_rows_of_one_name_are_a_path(write):
    rows = [
        "a,2020-06-03T12:00Z,30,115,500",
        "a,2020-06-03T12:30Z,30,116,500",
        "a,2020-06-03T14:00Z,31,116,900",
    ]
    found = places(write(HEAD, *rows))
    assert len(found) == 1
    assert found.releases.shape == (2, 12)
    assert found.releases[:, AT["count"]].tolist() == [25.0, 75.0]
    assert found.releases[:, [AT["w0"], AT["w1"]]].sum() == pytest.approx(1.0)
    assert found.releases[1, [AT["x0"], AT["x1"], AT["z0"], AT["z1"]]].tolist() == [116, 116, 500, 900]


def test_rows_with_weights_are_the_levels_of_a_column(write):
    rows = ["c,2020-06-03T12:00Z,30,115,100,0.3", "c,2020-06-03T12:00Z,30.1,115.2,3000,0.1"]
    found = places(write(HEAD + ",weight", *rows))
    assert found.releases[:, AT["count"]].tolist() == [75.0, 25.0]
    assert (found.releases[:, AT["w0"]] + found.releases[:, AT["w1"]]).tolist() == pytest.approx([0.3, 0.1])
    assert found.releases[1, [AT["y0"], AT["x0"]]].tolist() == [30.1, 115.2]


def test_lines_of_sight_lean_the_levels(write):
    rows = [f"c,2020-06-03T12:00Z,30,115,{z},0.5,60,90" for z in (0, 2000)]
    low, high = places(write(HEAD + ",weight,zenith,azimuth", *rows)).releases
    assert low[AT["x0"]] == 115.0
    metres = np.deg2rad(high[AT["x0"]] - 115.0) * 6371008.8 * np.cos(np.deg2rad(30.0))
    assert metres == pytest.approx(2000.0 * np.tan(np.deg2rad(60.0)), rel=1e-3)
    assert high[AT["y0"]] == pytest.approx(30.0)


def test_what_cannot_start_is_counted(write):
    rows = [
        "under,2020-06-03T12:00Z,30,115,-5",
        "far,2020-06-03T12:00Z,60,115,5",
        "early,2020-06-01T12:00Z,30,115,5",
        "high,2020-06-03T12:00Z,30,115,50000",
        "half,2020-06-03T12:00Z,30,115,5",
        "half,2020-06-03T13:00Z,60,115,5",
        POINT,
    ]
    found = places(write(HEAD, *rows))
    assert found.obs_id.tolist() == ["a"]
    assert found.skipped["under"] == "below ground (-5 m)"
    assert found.skipped["far"] == "outside the meteorology (60.00 N 115.00 E)"
    assert found.skipped["early"].startswith("needs meteorology from 2020-05-31T12")
    assert found.skipped["high"].startswith("above the meteorology (50000 m")
    assert found.skipped["half"] == found.skipped["far"]


@pytest.mark.parametrize(
    ("lines", "error", "text"),
    [
        (["time,latitude,longitude", "2020-06-03,1,2"], SchemaError, "lacks height_m"),
        ([HEAD + ",zenit", POINT + ",3"], SchemaError, "column 'zenit' is unknown; nearest: 'zenith'"),
        ([HEAD], SchemaError, "holds no receptor"),
        ([HEAD, "a,2016-12-31T23:59:60Z,30,115,5"], RangeError, r"row 1: time '2016-12-31T23:59:60Z' is not a time"),
        ([HEAD, POINT, "b,,30,115,5"], RangeError, "row 2 has no time"),
        ([HEAD, "a,2020-06-03,95,115,5"], RangeError, "row 1: latitude 95 is outside -90 to 90"),
        ([HEAD, "a,2020-06-03,north,115,5"], RangeError, "row 1: latitude 'north' is not a number"),
        ([HEAD, "a,2020-06-03,30,115,"], RangeError, "row 1: height_m '' is not a number"),
        ([HEAD, POINT, POINT], SchemaError, "2 rows whose times do not increase"),
        ([HEAD + ",weight", POINT + ",1", POINT + ","], SchemaError, "weights in some of its rows only"),
        ([HEAD + ",time_end", POINT + ",2020-06-01"], RangeError, "time_end comes before time"),
        ([HEAD + ",time_end", POINT + ",2020-06-05", "a,2020-06-04,30,116,50,"], SchemaError, "belongs to a point"),
        ([HEAD + ",amount_mol", POINT + ",5", "a,2020-06-03T13:00Z,30,116,50,6"], SchemaError, "amount_mol differs"),
        ([HEAD + ",zenith", POINT + ",30"], SchemaError, "needs both zenith and azimuth"),
        ([HEAD + ",zenith,azimuth", POINT + ",88,0"], RangeError, "zenith 88 is outside 0 to 85"),
    ],
)  # fmt: skip
def test_bad_files_say_what_is_wrong(write, lines, error, text):
    with pytest.raises(error, match=text):
        read_places(write(*lines), "CO2")


def test_files_that_are_not_there_or_no_table(tmp_path):
    with pytest.raises(FormatError, match="there is no such receptor file"):
        read_places(tmp_path / "none.csv", "CO2")
    (tmp_path / "a.parquet").write_bytes(b"nonsense")
    with pytest.raises(FormatError, match="cannot be read as CSV or Parquet"):
        read_places(tmp_path / "a.parquet", "CO2")


def test_parquet_is_read_alike(write, tmp_path):
    path = write(HEAD, POINT)
    frame = pd.read_csv(path)
    frame["time"] = pd.to_datetime(frame["time"])
    frame.to_parquet(tmp_path / "places.parquet")
    assert read_places(tmp_path / "places.parquet", "CO2").equals(read_places(path, "CO2"))


@pytest.fixture(scope="module")
def met_file(tmp_path_factory):
    return era5(tmp_path_factory.mktemp("met") / "a.nc", hours=range(25))


def test_the_command_makes_footprints_of_listed_places(met_file, write, tmp_path, capsys):
    rows = [
        "p,2020-06-01T12:00Z,25,105,30,,,",
        "f,2020-06-01T10:00Z,24,104,300,,,",
        "f,2020-06-01T11:00Z,25,106,300,,,",
        *(f"c,2020-06-01T13:00Z,25,105,{z},0.25,50,180" for z in (50, 1500)),
        "late,2020-06-09,25,105,30,,,",
    ]
    path = write(HEAD + ",weight,zenith,azimuth", *rows[:-1])
    out = tmp_path / "fp"
    command = ["footprints", "run", str(met_file), "--receptors", str(path), "--species", "CO2", "--hours", "6",
               "--grid", "22,29,102,110,1,1", "--step", "3h", "--particles", "20", "--scheduler", "serial",
               "--turbulence", "hanna", "--batch", "2", "--out", str(out), "--json"]  # fmt: skip
    with pytest.raises(SystemExit) as stop:
        main(command)
    assert stop.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["receptors"], found["skipped"], found["parts"]) == (3, {}, 2)
    jacobian = JacobianStore(out).read()
    assert sorted(jacobian.obs_id) == ["c", "f", "p"]
    shares = dict(zip(jacobian.obs_id, np.asarray(jacobian.boundary.sum(axis=1)).ravel(), strict=True))
    assert shares == pytest.approx({"c": 0.5, "f": 1.0, "p": 1.0})
    assert pq.read_table(out / "observations")["corner_time"].to_pylist()[0][0].hour == 10
    with pytest.raises(SystemExit):
        main([*command[:3], "--species", "CO2", "--grid", "22,29,102,110,1,1"])
    assert "observations: no observation store; say where" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*command, "--store", "x"])
    assert "give one of them" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*command[:-2], str(tmp_path / "storms"), "--convection", "emanuel"])
    assert "convection = 'emanuel' needs" in capsys.readouterr().err
    assert not (tmp_path / "storms" / "meta.json").exists()  # nobody is kept from the folder


def test_forward_mass_is_kept():
    """No wind, a layer deeper than the boundary layer: all that was given off is in the air below it."""
    met = plain_world(u=0.5, v=0.2, h=800.0, heat=100.0)
    grid = Grid.regular(22, 38, 102, 128, 0.5, 0.5)
    edges = np.datetime64("2024-04-01", "us") + np.arange(0, 25, 6).astype("timedelta64[h]")
    start = float(to_epoch(edges[0]))
    run = ParticleSettings(turbulence="hanna", hours=24.0, particles=200, direction=1, layer=2000.0)
    amounts = [3e6, 1e6]
    both = [release(n, start, 30.0, lon, 50.0, 200) for n, lon in (("a", 115.0), ("b", 120.0))]
    together = forward(met, type(both[0]).join(both, {}), amounts, grid, edges, run)
    # Particles stay below 800 m; density there, not over 2000 m, would make the difference.
    profile = 1.2 * np.exp(-np.linspace(0, 2000, 2001) / 9500.0)
    air = np.trapezoid(profile, dx=1.0) / MOLAR_MASS_DRY_AIR
    for period in together["mole_fraction"].values:
        assert (period * grid.cell_area * air).sum() == pytest.approx(4e6, rel=0.03)
    alone = [
        forward(met, r, [a], grid, edges, run)["mole_fraction"] for r, a in zip(both, amounts, strict=True)
    ]
    np.testing.assert_allclose(together["mole_fraction"], alone[0] + alone[1], rtol=1e-6, atol=1e-20)
    assert float(together["height"]) == 1000.0


def test_forward_needs_a_direction_and_a_layer():
    met = plain_world()
    place = release("a", seconds(1), 30.0, 115.0, 50.0, 5)
    for options in ({"direction": 1}, {"layer": 100.0}):
        run = ParticleSettings(turbulence="hanna", hours=1.0, **options)
        with pytest.raises(ConfigError, match="direction = 1 and a layer"):
            forward(met, place, [1.0], Grid.regular(22, 38, 102, 128, 1, 1), bins(), run)


def test_the_forward_command_writes_a_grid(met_file, write, tmp_path, capsys, monkeypatch):
    factors, factor = [], tables._together
    monkeypatch.setattr(tables, "_together", lambda *given: factors.append(factor(*given)) or factors[-1])
    head = HEAD + ",amount_mol"
    path = write(head, "a,2020-06-01T02:00Z,25,105,30,1000", "b,2020-06-01T03:00Z,25.5,106,30,500")
    out = tmp_path / "add.nc"
    command = ["footprints", "forward", str(met_file), "--sources", str(path), "--species", "CH4", "--hours", "5",
               "--grid", "22,29,102,110,0.5,0.5", "--particles", "50", "--out", str(out)]  # fmt: skip
    with pytest.raises(SystemExit) as stop:
        main(command)
    assert stop.value.code == 0
    captured = capsys.readouterr()
    assert "2 sources, 1500 mol, up to" in captured.out
    assert "meteorology: no roughness length" in captured.err
    with xr.open_dataset(out, engine="netcdf4") as data:
        assert "meteorology: no roughness length" in data.attrs["comment"]
        assert data["mole_fraction"].dims == ("time", "lat", "lon")
        assert data["mole_fraction"].attrs["units"] == "mol mol-1"
        assert data["mole_fraction"].attrs["substance"] == "CH4"
        assert data["time_bnds"].values[0, 0] == np.datetime64("2020-06-01T02:00")
        assert float(data["mole_fraction"].max()) > 0.0
        # A cell's error is at most its share times its source's factor, and no less where a single particle was.
        mean, error = data["mole_fraction"].values, data["mole_fraction_stderr"].values
        assert ((error > 0.0) == (mean > 0.0)).all()
        assert len(factors) == 2
        assert (error <= (1.0 + 1e-6) * max(factors) * mean).all()
    path = write(head, "a,2020-06-01T02:00Z,25,105,30,1000", "b,2020-06-01T03:00Z,25.5,106,-30,500")
    with pytest.raises(SystemExit) as stop:
        main([*command, "--json"])
    assert stop.value.code == 1
    found = json.loads(capsys.readouterr().out)
    assert found["skipped"] == {"b": "below ground (-30 m)"}
    assert (found["sources"], found["amount_mol"]) == (1, 1000.0)
    with xr.open_dataset(out, engine="netcdf4") as data:
        mean, error = data["mole_fraction"].values, data["mole_fraction_stderr"].values
        assert (error[mean > 0.0] / mean[mean > 0.0]).max() == pytest.approx(factors[-1], rel=1e-6)
    write(head, "b,2020-06-01T03:00Z,25.5,106,-30,500")
    with pytest.raises(SystemExit) as stop:
        main(command)
    assert stop.value.code == 2
    assert "no source can be followed: below ground (-30 m)" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*command[:4], str(write(HEAD, POINT)), *command[5:]])
    assert "lacks amount_mol" in capsys.readouterr().err
