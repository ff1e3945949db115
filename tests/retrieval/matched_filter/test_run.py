"""Whole cubes: reasons, blocks, what is written, and what `obsnet plume detect` makes of it."""

import json

import numpy as np
import pytest
import typer
import xarray as xr
from typer.testing import CliRunner

from obsnet.errors import ConfigError, FormatError
from obsnet.work.work import Work
from retrieval.commands.plume import detect, filter_, rate
from retrieval.matched_filter.block import PixelReason, filter_block, groups_of
from retrieval.matched_filter.cube import open_cube
from retrieval.matched_filter.options import FilterSettings, FilterTable
from retrieval.matched_filter.run import filter_cube, run_filter
from retrieval.matched_filter.target import read_unit_absorption
from retrieval.matched_filter.twin import CubeWorld, comb, make_cube
from tests.obsnet.test_cf import check_with_compliance_checker
from tests.retrieval.matched_filter.files import (
    bands,
    places,
    target,
    write_envi,
    write_netcdf_cube,
    write_target,
)

K = comb(20)
NAMES = ("enhancement", "sparse", "error", "limit", "brightness", "reason")


def call(command, *arguments):
    app = typer.Typer()
    app.command()(command.function())
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_why_a_pixel_is_not_believed():
    made = make_cube(CubeWorld(rows=300, columns=1, strength=0.0, dark=0.1), K, 1)
    x = made.radiance
    x[3, 0, 5] = np.nan
    x[4, 0, 5] = -0.1
    x[5, 0, 5] = 900.0
    x[6, 0, ::2] *= 1.5
    found = filter_block(x, K, FilterSettings(saturation=500.0))
    reason = found.reason[:, 0]
    assert reason[3] == PixelReason.NO_DATA
    assert reason[4] == PixelReason.NEGATIVE
    assert reason[5] == PixelReason.SATURATED
    assert reason[6] == PixelReason.UNLIKE
    water = made.water[:, 0].copy()
    water[3:7] = False
    assert (reason[water] == PixelReason.DARK).all()
    assert np.isnan(found.enhancement[3:6]).all()
    others = np.flatnonzero(~made.water[:, 0])
    others = others[(others < 3) | (others > 6)]
    assert (reason[others] == 0).mean() > 0.99
    # a dark pixel is known less well, and says so
    assert np.median(found.error[water]) > 3.0 * np.median(found.error[others])


def test_no_pixel_without_a_value_is_without_a_reason():
    """Not even where nothing counts as dark: a hundredth of the light is no brightness to divide by."""
    made = make_cube(CubeWorld(rows=300, columns=1), K, 1)
    made.radiance[7] *= 0.01
    found = filter_block(made.radiance, K, FilterSettings(dark=0.0))
    assert np.isnan(found.enhancement[7, 0])
    assert found.reason[7, 0] & PixelReason.DARK
    assert np.isfinite(found.enhancement[found.reason == 0]).all()


def test_a_plume_is_not_unlike_the_background():
    made = make_cube(CubeWorld(rows=500, columns=1, strength=20000.0), K, 4)
    found = filter_block(made.radiance, K, FilterSettings())
    assert (found.reason[made.enhancement > 5000.0] == 0).all()


def test_too_few_pixels_tell_no_background():
    made = make_cube(CubeWorld(rows=40, columns=1), K, 1)
    found = filter_block(made.radiance, K, FilterSettings())
    assert (found.reason == PixelReason.NO_BACKGROUND).all()
    assert np.isnan(found.enhancement).all()


def test_a_band_that_is_dead_tells_none():
    made = make_cube(CubeWorld(rows=100, columns=1), K, 1)
    made.radiance[..., 4] = 3.0
    found = filter_block(made.radiance, K, FilterSettings())
    assert (found.reason == PixelReason.NO_BACKGROUND).all()


def test_groups():
    assert groups_of(10, 4) == [(0, 4), (4, 8), (8, 10)]
    assert groups_of(9, 4) == [(0, 4), (4, 9)]
    assert groups_of(3, 10) == [(0, 3)]


@pytest.mark.parametrize(("together", "scheduler"), [(1, "serial"), (4, "processes")])
def test_blocks_are_the_whole_bit_for_bit(tmp_path, together, scheduler):
    made = make_cube(CubeWorld(rows=150, columns=13), K, 5)
    cube = open_cube(write_envi(tmp_path / "a.hdr", made.radiance, bands()))
    settings = FilterSettings(together=together)
    whole = filter_cube(cube, [target()], settings, Work(scheduler="serial"))
    parts = filter_cube(cube, [target()], settings, Work(scheduler=scheduler, workers=2), block_mib=0.1)
    first, last = groups_of(13, together)[1]
    alone = filter_block(made.radiance[:, first:last], K, settings)
    for name in NAMES:
        np.testing.assert_array_equal(getattr(whole[0], name), getattr(parts[0], name))
        np.testing.assert_array_equal(getattr(whole[0], name)[:, first:last], getattr(alone, name))


def test_gases_side_by_side_are_those_alone(tmp_path):
    made = make_cube(CubeWorld(rows=150, columns=4), K, 6)
    cube = open_cube(write_netcdf_cube(tmp_path / "a.nc", made.radiance, bands()))
    ch4, co2 = target(), target(gas="CO2")
    part = type(co2)("CO2", co2.bands.within((2210.0, 2290.0)), co2.value[2:16], co2.air)
    both = filter_cube(cube, [ch4, part], FilterSettings(), Work(scheduler="serial"))
    for one, found in zip((ch4, part), both, strict=True):
        (alone,) = filter_cube(cube, [one], FilterSettings(), Work(scheduler="serial"))
        np.testing.assert_array_equal(alone.enhancement, found.enhancement)


def scene(folder, strength=6000.0):
    made = make_cube(CubeWorld(rows=120, columns=40, strength=strength, share=0.03), K, 7)
    write_netcdf_cube(folder / "a.nc", made.radiance, bands())
    write_target(folder / "ch4.csv")
    return made


def test_from_a_cube_to_plumes(tmp_path):
    made = scene(tmp_path)
    done = call(
        filter_, tmp_path / "a.nc", "--absorption", tmp_path / "ch4.csv", "--out", tmp_path / "e", "--json",
        "--scheduler", "serial",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    (row,) = said["cubes"]
    assert row["status"] == "done"
    assert row["pixels"] == 120 * 40
    assert "need not be CH4: a bright material that absorbs broadly" in row["notes"][-1]
    assert {p.name for p in (tmp_path / "e").iterdir()} == {"a_ch4.nc", "a_ch4.png", "filter_run.json"}
    found, broke = check_with_compliance_checker(
        tmp_path / "e" / "a_ch4.nc", "cf:1.11", tmp_path / "report.json"
    )
    assert not broke
    assert found["high_priorities"] == []
    with xr.open_dataset(tmp_path / "e" / "a_ch4.nc", engine="netcdf4") as data:
        alpha = data["enhancement"].values
        per = 1e9 * target().air.mole_fraction_per_ppm_m
        np.testing.assert_allclose(data["xch4"].values, 1900.0 + per * alpha, rtol=1e-6)
        np.testing.assert_allclose(data["xch4_uncertainty"], per * data["enhancement_uncertainty"], rtol=1e-6)
        np.testing.assert_allclose(
            data["detection_limit"], (3 + 1.64485) * data["enhancement_uncertainty"], rtol=1e-5
        )
        np.testing.assert_allclose(data["latitude"], places(alpha.shape)[0])
        assert json.loads(data.attrs["filter"])["method"] == "reweighted"
        assert "look at the surface under a plume" in data.attrs["comment"]
    strong = made.enhancement > 3000.0
    assert alpha[strong].sum() / made.enhancement[strong].sum() == pytest.approx(0.95, abs=0.05)
    done = call(
        detect, tmp_path / "e" / "a_ch4.nc", "--species", "CH4", "--out", tmp_path / "p", "--scheduler", "serial",
        "--detect-smoothing-km", "0.06", "--detect-background-km", "3", "--detect-margin-km", "0.2", "--no-pictures",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    with xr.open_dataset(tmp_path / "p" / "a_ch4_plumes.nc", engine="netcdf4") as data:
        plume = data["plume"].values > 0
    assert plume[strong].mean() > 0.95
    assert plume[made.enhancement == 0].mean() < 0.1


def options(folder, **more):
    given = {
        "cubes": [str(folder / "*.nc")],
        "absorption": [folder / "ch4.csv"],
        "out": folder / "e",
        "pictures": False,
    }
    return FilterTable(**{**given, **more})


def test_a_bad_cube_does_not_stop_others(tmp_path):
    scene(tmp_path)
    (tmp_path / "b.nc").write_bytes(b"nothing")
    done = call(filter_, tmp_path / "a.nc", tmp_path / "b.nc", "--absorption", tmp_path / "ch4.csv", "--out",
                tmp_path / "e", "--no-pictures", "--scheduler", "serial")  # fmt: skip
    assert done.exit_code == 1
    assert "a CH4: 4800 of 120 x 40 pixels" in done.stdout
    assert "b CH4: bad:" in done.stdout


def test_mistakes_are_told(tmp_path):
    made = scene(tmp_path)
    with pytest.raises(ConfigError, match="several tables of one gas"):
        run_filter(options(tmp_path, absorption=[tmp_path / "ch4.csv"] * 2))
    write_netcdf_cube(tmp_path / "a.nc", made.radiance, bands(), time=None)
    (row,) = run_filter(options(tmp_path)).rows
    assert "does not say when it was taken" in row["status"]
    assert (
        run_filter(options(tmp_path, time="2026-07-01T05:30"), Work(scheduler="serial")).rows[0]["status"]
        == "done"
    )
    write_target(tmp_path / "ch4.csv", 30)
    (row,) = run_filter(options(tmp_path, time="2026-07-01T05:30")).rows
    assert "10 of 30 bands are not those of the cube" in row["status"]


def test_a_worker_that_dies_is_a_fault_of_its_file(tmp_path, monkeypatch):
    """A file that vanishes between looking and reading is told by name."""
    made = make_cube(CubeWorld(rows=150, columns=4), K, 6)
    header = write_envi(tmp_path / "a.hdr", made.radiance, bands())
    cube = open_cube(header)
    header.with_suffix(".img").unlink()
    with pytest.raises(FormatError, match=r"a\.hdr"):
        filter_cube(cube, [read_unit_absorption(write_target(tmp_path / "k.csv"))], FilterSettings())


FINE = (
    "--species", "CH4", "--scheduler", "serial", "--no-pictures", "--detect-smoothing-km", "0.06",
    "--detect-background-km", "3", "--detect-margin-km", "0.2", "--rate-min-length-km", "0.4",
    "--rate-max-length-km", "3", "--rate-section-km", "0.2", "--rate-wind-error", "0.5",
)  # fmt: skip


def test_from_radiances_to_the_rate_of_a_known_plume(tmp_path):
    """0.8 kg s-1 in 4 m s-1 towards east-north-east, laid out by molar mass alone; then what is refused."""
    truth, wind, width = 0.8, np.array([3.7, 1.5]), 0.12
    shape = (200, 60)
    lat, lon = places(shape)
    at = lat[110, 12], lon[110, 12]
    east, north = (lon - at[1]) * 111195.0 * np.cos(np.deg2rad(38.0)), (lat - at[0]) * 111195.0
    speed = np.hypot(*wind)
    along, across = (east * wind[0] + north * wind[1]) / speed, (north * wind[0] - east * wind[1]) / speed
    sd = 60.0 + width * np.maximum(along, 0.0)
    mass = np.where(
        along > 0.0, truth / speed / np.sqrt(2.0 * np.pi) / sd * np.exp(-0.5 * (across / sd) ** 2), 0
    )
    made = make_cube(CubeWorld(rows=200, columns=60), K, 3, mass / (16.0425e-3 * target().air.density * 1e-6))
    write_netcdf_cube(tmp_path / "a.nc", made.radiance, bands())
    write_target(tmp_path / "ch4.csv")
    (tmp_path / "s.csv").write_text(f"source,latitude,longitude\nwell,{at[0]:.6f},{at[1]:.6f}\n")
    run_filter(options(tmp_path, cubes=[str(tmp_path / "a.nc")]), Work(scheduler="serial"))
    told = (tmp_path / "e" / "a_ch4.nc", "--sources", tmp_path / "s.csv", "--out", tmp_path / "p")
    done = call(rate, *told, *FINE, "--wind", "3.7,1.5", "--json")
    assert done.exit_code == 0, done.output
    rows = [r for r in json.loads(done.stdout)["rates"] if not r["quality"]]
    assert len(rows) >= 3
    for row in rows:
        assert row["rate_kg_s"] == pytest.approx(truth, rel=0.2)
        assert row["low95_kg_s"] < truth < row["high95_kg_s"]
    one = ("--rate-methods", "ime")
    twice = call(rate, *told, *FINE, *one, "--wind", "7.4,3.0")
    (row,) = [r for r in rows if r["method"] == "ime"]
    assert f"{2.0 * row['rate_kg_s']:.3g}" in twice.stdout  # twice the wind; not rounded to whole kg s-1
    coarse = call(rate, *told, *FINE[:5], *one, "--wind", "3.7,1.5")
    assert "pixels of 60 m" in coarse.stdout
    assert "--detect-smoothing-km 0.06" in coarse.stdout
    assert "needs one wind" in str(call(rate, *told, *FINE).exception)
    done = call(rate, *told, *FINE, "--wind", "3.7,1.5", "--names", "value=enhancement")
    assert "bad: " in done.stdout
    assert "1e-6 m" in done.stdout
    with xr.open_dataset(tmp_path / "e" / "a_ch4.nc", engine="netcdf4") as data:
        data.drop_vars(["latitude", "longitude"]).to_netcdf(tmp_path / "nowhere.nc")
    done = call(rate, tmp_path / "nowhere.nc", *told[1:], *FINE, "--wind", "3.7,1.5")
    assert "no latitude" in done.stdout
