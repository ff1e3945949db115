"""A bias pattern from a file: interpolation, formats, sizes, and what it does to totals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from inversion.study.options import OsseOptions, PatternOptions, WorldOptions
from inversion.study.osse.pattern import field_at, pattern_error, read_field
from inversion.study.osse.run_osse import run_osse
from inversion.study.worlds.world import StudyWorld
from obsnet.config import validate
from obsnet.errors import ConfigError, FormatError, RangeError
from obsnet.geotiff import write_geotiff
from obsnet.grid import Grid

SMALL = {"start": "2023-01-01", "stop": "2023-01-20", "cell_deg": 4.0, "south": 14.0, "north": 54.0}
GRID = Grid.regular(10.0, 60.0, 60.0, 150.0, 1.0, 1.0)
DAYS = np.array(["2023-01-01", "2023-01-11", "2023-01-21"], "datetime64[ns]")
Y, X = np.meshgrid(GRID.lat, GRID.lon, indexing="ij")
PLANE = 0.01 * X + 0.03 * Y


def write(folder, values, name="albedo.nc", lat=GRID.lat, lon=GRID.lon, time=None, extra=False):
    dims = ("lat", "lon") if time is None else ("time", "lat", "lon")
    coords = {"lat": lat, "lon": lon} | ({} if time is None else {"time": time})
    data = xr.Dataset({"albedo": (dims, values)}, coords)
    if extra:
        data["aerosol"] = data["albedo"] * 2.0
    data["lat"].attrs["units"], data["lon"].attrs["units"] = "degrees_north", "degrees_east"
    data.to_netcdf(folder / name)
    return folder / name


def places(n=50, seed=0):
    rng = np.random.default_rng(seed)
    time = np.datetime64("2023-01-01", "us") + (rng.random(n) * 19 * 86400e6).astype("timedelta64[us]")
    return rng.uniform(20, 50, n), rng.uniform(75, 135, n), time


def test_a_plane_is_interpolated_exactly(tmp_path):
    lat, lon, time = places()
    found = field_at(read_field(write(tmp_path, PLANE)), lat, lon, time)
    np.testing.assert_allclose(found, 0.01 * lon + 0.03 * lat, rtol=1e-12)


def test_a_course_in_time_is_interpolated_exactly(tmp_path):
    lat, lon, time = places()
    days = (DAYS - DAYS[0]) / np.timedelta64(1, "D")
    field = read_field(write(tmp_path, PLANE + days[:, None, None], time=DAYS))
    age = (time - np.datetime64("2023-01-01", "us")) / np.timedelta64(1, "D")
    np.testing.assert_allclose(field_at(field, lat, lon, time), 0.01 * lon + 0.03 * lat + age, rtol=1e-9)
    # half a step before the first time it still holds, later it does not
    edge = np.array(["2022-12-28", "2022-12-20", "2023-01-25", "2023-02-01"], "datetime64[us]")
    found = field_at(field, np.full(4, 30.5), np.full(4, 100.5), edge)
    assert np.isfinite(found).tolist() == [True, False, True, False]


def test_the_order_of_axes_and_the_longitudes_do_not_matter(tmp_path):
    lat, lon, time = places()
    plain = field_at(read_field(write(tmp_path, PLANE)), lat, lon, time)
    turned = write(tmp_path, PLANE[::-1], "turned.nc", lat=GRID.lat[::-1])
    np.testing.assert_allclose(field_at(read_field(turned), lat, lon, time), plain)
    world = Grid.regular(-90.0, 90.0, 0.0, 360.0, 1.0, 1.0)
    y, x = np.meshgrid(world.lat, np.mod(world.lon, 360.0), indexing="ij")
    whole = write(tmp_path, 0.01 * x + 0.03 * y, "whole.nc", lat=world.lat, lon=np.mod(world.lon, 360.0))
    np.testing.assert_allclose(field_at(read_field(whole), lat, lon, time), plain)
    tif = write_geotiff(PLANE, GRID, tmp_path / "a.tif", units="1", description="albedo", dtype="float64")
    np.testing.assert_allclose(field_at(read_field(tif), lat, lon, time), plain)


def test_missing_cells_take_no_part(tmp_path):
    values = PLANE.copy()
    values[20, 40] = np.nan  # 30.5N 100.5E
    field = read_field(write(tmp_path, values))
    now = np.array(["2023-01-05"], "datetime64[us]")
    # half way to the neighbour in the east, which alone has a value
    found = field_at(field, np.array([30.5]), np.array([101.0]), now)
    assert found[0] == pytest.approx(PLANE[20, 41])
    assert np.isnan(field_at(field, np.array([30.5]), np.array([100.5]), now)[0])
    assert np.isnan(field_at(field, np.array([61.0]), np.array([100.5]), now)[0])


def test_what_is_no_field_is_refused(tmp_path):
    with pytest.raises(FormatError, match="name a variable: albedo, aerosol"):
        read_field(write(tmp_path, PLANE, extra=True))
    with pytest.raises(FormatError, match="no variable 'albdo'; nearest: 'albedo'"):
        read_field(tmp_path / "albedo.nc", "albdo")
    assert read_field(tmp_path / "albedo.nc", "aerosol").values.max() == pytest.approx(2.0 * PLANE.max())
    with pytest.raises(FormatError, match="no such file"):
        read_field(tmp_path / "nothing.nc")
    (tmp_path / "text.tif").write_text("no picture")
    with pytest.raises(FormatError, match=r"text\.tif"):
        read_field(tmp_path / "text.tif")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"file": "a.nc"}, "size .* or per_unit"),
        ({"file": "a.nc", "size": 1.0, "per_unit": 2.0}, "one of them"),
        ({"file": "a.nc", "size": 1.0, "reference": 2.0}, "reference goes with per_unit"),
    ],
)
def test_faulty_tables(table, message):
    with pytest.raises(ConfigError, match=message):
        validate(PatternOptions, table)


def study():
    return StudyWorld(validate(WorldOptions, SMALL)).study(["oco2", "existing"], Path())


def test_the_error_has_the_size_and_the_slope_that_were_asked_for(tmp_path):
    write(tmp_path, PLANE)
    made = study()
    rows = made.observed["kind"].to_numpy(zero_copy_only=False).astype(str) == "column"
    lat, lon = (made.observed[n].to_numpy()[rows] for n in ("latitude", "longitude"))
    sized = pattern_error(PatternOptions(file="albedo.nc", size=0.7), made.observed, rows, tmp_path)
    assert (sized[~rows] == 0.0).all()
    assert sized[rows].mean() == pytest.approx(0.0, abs=1e-12)
    assert sized[rows].std() == pytest.approx(0.7)
    assert np.corrcoef(sized[rows], 0.01 * lon + 0.03 * lat)[0, 1] == pytest.approx(1.0)
    slope = PatternOptions(file="albedo.nc", per_unit=-2.0, reference=1.5)
    found = pattern_error(slope, made.observed, rows, tmp_path)[rows]
    np.testing.assert_allclose(found, -2.0 * (0.01 * lon + 0.03 * lat - 1.5), rtol=1e-9)
    write(tmp_path, np.ones_like(PLANE), "flat.nc")
    with pytest.raises(ConfigError, match="the same at all .* it has no pattern"):
        pattern_error(PatternOptions(file="flat.nc", size=1.0), made.observed, rows, tmp_path)
    write(tmp_path, PLANE[:25], "south.nc", lat=GRID.lat[:25])
    with pytest.raises(RangeError, match=r"south.nc has no value at \d+ of \d+ observations, first at"):
        pattern_error(PatternOptions(file="south.nc", size=1.0), made.observed, rows, tmp_path)


def test_osse_shows_stated_against_true_under_a_pattern(tmp_path):
    """A known answer: the error of a linear inversion is moved by the gain times the bias."""
    write(tmp_path, PLANE)
    options = validate(
        OsseOptions,
        {
            "world": SMALL,
            "twins": 400,
            "scenario": [
                {"name": "both", "networks": ["oco2", "existing"]},
                {"name": "now", "networks": ["existing"]},
            ],
            "truth": [{"name": "albedo", "pattern": [{"file": "albedo.nc", "size": 3.0, "of": ["oco2"]}]}],
        },
    )
    _, summary = run_osse(options, {}, tmp_path, tmp_path / "out")
    rows = {(r["scenario"], r["truth"]): r for r in summary["scenarios"]}
    biased, plain = rows["both", "albedo"], rows["both", "as assumed"]
    assert biased["national_sd"] == plain["national_sd"]
    made = study()
    pattern = PatternOptions(file="albedo.nc", size=3.0)
    error = pattern_error(pattern, made.observed, made.listed["oco2"], tmp_path)
    moved = float((made.weights[[-1]] @ made.solve(made.problem).gain(error))[0])
    assert abs(moved) > plain["national_sd"]
    assert biased["national_true_sd"] == pytest.approx(np.hypot(plain["national_sd"], moved), rel=0.1)
    china = next(
        r
        for r in summary["regions"]
        if r["scenario"] == "both" and r["truth"] == "albedo" and r["region"] == "national"
    )
    assert china["bias"] == pytest.approx(moved / plain["national_sd"], abs=0.2)
    assert china["coverage"] == "too sure"
    assert biased["totals_inside_95"] < 0.9
    # nobody told stations of it
    assert rows["now", "albedo"]["national_true_sd"] == rows["now", "as assumed"]["national_true_sd"]
    wrong = options.model_copy(
        update={
            "truth": [
                options.truth[0].model_copy(
                    update={"pattern": [PatternOptions(file="a.nc", size=1, of=["oco3"])]}
                )
            ]
        }
    )
    with pytest.raises(
        ConfigError, match=r"\[osse.truth.pattern\] of: there is no network 'oco3'; nearest: 'oco2'"
    ):
        run_osse(wrong, {}, tmp_path, tmp_path / "out")
