"""Tracer experiments: scores with known answers, files that are refused, a made-up experiment whose answer is known."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inversion.transport.evaluation.datem import read_releases, read_samples
from inversion.transport.evaluation.options import EvaluateOptions
from inversion.transport.evaluation.run import evaluate
from inversion.transport.evaluation.scores import cumulative, scores
from obsnet.cli import main
from obsnet.errors import ConfigError, FormatError, RangeError, UnitError
from obsnet.grid import Grid
from tests.inversion.transport.worlds import START, world
from tests.obsnet.met.worlds import era5

GRID = Grid.regular(22, 38, 102, 128, 1, 1)
HEAD = "a made-up experiment\nyear mn dy  shr  dur   lat     lon    pg/m3     stn\n"


def release_file(
    path, *, start="20200601 060000", stop="20200601 120000", lat=30.25, lon=110.5, mass=340.0, **more
):
    """FLEXPART's RELEASES with one release."""
    (date1, time1), (date2, time2) = start.split(), stop.split()
    entries = {
        "IDATE1": date1, "ITIME1": time1, "IDATE2": date2, "ITIME2": time2, "LON1": lon, "LON2": lon, "LAT1": lat,
        "LAT2": lat, "Z1": 5.0, "Z2": 15.0, "ZKIND": 1, "MASS": mass, "PARTS": 1000, "COMMENT": '"made up"', **more,
    }  # fmt: skip
    body = "".join(f" {k:8s}= {v},\n" for k, v in entries.items() if v is not None)
    path.write_text(f"&RELEASES_CTRL\n NSPEC = 1,\n /\n&RELEASE\n{body} /\n")
    return path


def sample_file(path, rows, head=HEAD):
    """DATEM samples: (start, hhmm, latitude, longitude, value, station)."""
    lines = [
        f"{pd.Timestamp(t):%Y %m %d %H%M} {dur} {lat:.2f} {lon:.2f} {value:.3f} {station}"
        for t, dur, lat, lon, value, station in rows
    ]
    path.write_text(head + "\n".join(lines) + "\n")
    return path


def test_scores_of_known_pairs():
    """By hand: O = 1, 2, 4, 0; M = 2, 2, 0, 1; two zeros left out."""
    found = scores([1.0, 2.0, 4.0, 0.0, 0.0], [2.0, 2.0, 0.0, 1.0, 0.0])
    assert (found.pairs, found.both_zero) == (4, 1)
    assert found.fractional_bias == pytest.approx(2 * (1.25 - 1.75) / 3.0)
    assert found.figure_of_merit == pytest.approx(50.0)
    assert found.factor_2 == pytest.approx(50.0)
    # Up to 0: 1/4 and 1/4; to 1: 2/4, 2/4; to 2: 3/4, 4/4; to 4: both 1.
    assert found.ksp == pytest.approx(25.0)
    r = np.corrcoef([1, 2, 4, 0], [2, 2, 0, 1])[0, 1]
    assert found.correlation == pytest.approx(r)
    assert found.rank == pytest.approx(r**2 + 1 - abs(found.fractional_bias) / 2 + 0.5 + 0.75)
    assert found.nmse == pytest.approx(np.mean([1, 0, 16, 1]) / (1.75 * 1.25))


@given(
    st.lists(st.floats(0.0, 1e4), min_size=2, max_size=30).filter(lambda v: np.ptp(v) > 1e-3),
    st.floats(0.1, 10.0),
)
def test_scores_of_a_perfect_and_of_a_scaled_model(values, factor):
    measured = np.array(values)
    found = scores(measured, measured)
    assert found.rank == pytest.approx(4.0) or np.isnan(found.rank)
    scaled = scores(measured, factor * measured)
    assert scaled.fractional_bias == pytest.approx(2 * (factor - 1) / (factor + 1))
    assert (scaled.factor_2 == 100.0) == (0.5 <= factor <= 2.0)
    back = scores(factor * measured, measured)
    assert back.fractional_bias == pytest.approx(-scaled.fractional_bias)
    assert back.ksp == pytest.approx(scaled.ksp)


def test_scores_refuse_what_cannot_be_scored():
    with pytest.raises(RangeError, match="none of 2 samples is above 1"):
        scores([0.5, 0.0], [0.0, 1.0], threshold=1.0)
    with pytest.raises(RangeError, match="neither negative nor missing"):
        scores([1.0, np.nan], [1.0, 1.0])
    with pytest.raises(RangeError, match="as many modelled as measured"):
        scores([1.0], [1.0, 2.0])
    assert cumulative(np.array([1.0, 1.0]), np.array([2.0]))[1].tolist() == [1.0, 1.0]


def test_etex_is_read(sample_data):
    folder = sample_data / "transport" / "tracer"
    with pytest.raises(UnitError, match="called 'pm40', which names no unit of mass a volume; give it"):
        read_samples(folder / "etex1_meas-t1.txt")
    samples, notes = read_samples(folder / "etex1_meas-t1.txt", "pg/m3")
    assert len(samples) == 3105
    assert notes == []
    assert (samples["measured"] > 0).sum() == 941
    assert samples["measured"].max() == pytest.approx(1.257e-11)
    assert samples["start"][0] == np.datetime64("1994-10-23T15:00")
    assert samples["stop"][0] == np.datetime64("1994-10-23T18:00")
    (row,) = read_releases(folder / "etex1_RELEASES").to_dict("records")
    assert (row["mass"], row["bottom"], row["top"], row["latitude"]) == (3.4e5, 5.0, 15.0, 48.058)
    assert row["stop"] - row["start"] == pd.Timedelta("11h40min")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("2020 06 01 0600 0300 30.0 110.0 1.0", "line 3: a sample has 9 words, found 8"),
        ("2020 13 01 0600 0300 30.0 110.0 1.0 a", "line 3: "),
        ("2020 06 01 0660 0300 30.0 110.0 1.0 a", "'0660' is not hhmm"),
        ("2020 06 01 0600 0000 30.0 110.0 1.0 a", "takes no time"),
        ("2020 06 01 0600 0300 95.0 110.0 1.0 a", "is no place"),
        ("2020 06 01 0600 0300 30.0 110.0 nan a", "'nan' is not a number"),
        ("2020 06 01 0600 0300 30.0 110.0 -9.0 a", "all 1 samples are negative"),
        ("", "holds no sample"),
    ],
)
def test_samples_that_are_refused(tmp_path, line, said):
    path = tmp_path / "meas.txt"
    path.write_text(HEAD + line + "\n")
    with pytest.raises((FormatError, RangeError), match=said):
        read_samples(path)


def test_other_files_units_and_doubles_are_refused(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("time,value\n1,2\n")
    with pytest.raises(
        FormatError, match="no DATEM samples: the second line must name year mn dy shr dur lat lon"
    ):
        read_samples(path)
    row = ("2020-06-01T06:00", "0300", 30.0, 110.0, 1.0, "a")
    with pytest.raises(RangeError, match="station a has two samples"):
        read_samples(sample_file(path, [row, row]))
    sample_file(path, [row])
    with pytest.raises(UnitError, match="in pg/m3, not in ng/m3"):
        read_samples(path, "ng/m3")
    with pytest.raises(UnitError, match="dimensions differ"):
        read_samples(path, "ppt")
    sample_file(path, [row, (*row[:4], -1.0, "b")])
    assert read_samples(path)[1] == ["x.txt: 1 samples are negative, which stands for missing: left out"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"MASS": None}, "lacks MASS"),
        ({"MASS": "1.0, 2.0"}, "several species"),
        ({"MASS": 0.0}, "MASS = 0.0 kg"),
        ({"LON2": 111.0}, "an area"),
        ({"ZKIND": 2}, "heights must be above ground"),
        ({"Z1": 20.0}, "is no layer"),
        ({"IDATE2": "20200531"}, "before or when it begins"),
        ({"IDATE1": "2020061"}, "is no time"),
        ({"LAT1": "x"}, "could not convert"),
    ],
)
def test_releases_that_are_refused(tmp_path, change, said):
    with pytest.raises((FormatError, RangeError), match=said):
        read_releases(release_file(tmp_path / "RELEASES", **change))
    (tmp_path / "old").write_text("**\n1 2 3\n")
    with pytest.raises(FormatError, match="no namelist &RELEASE"):
        read_releases(tmp_path / "old")


def frames(tmp_path, rows, **release):
    samples, _ = read_samples(sample_file(tmp_path / "meas.txt", rows))
    return samples, read_releases(release_file(tmp_path / "RELEASES", **release))


def options(**more):
    given = {"met": ["x"], "samples": "s", "releases": "r", "grid": GRID, "released": 2000, "particles": 500}
    return EvaluateOptions(**{**given, **more})


def test_a_release_into_still_air_is_the_mass_over_its_cell(tmp_path):
    """Nothing moves: Q / (A layer) after the release, the share released so far before its end, nothing elsewhere."""
    rows = [
        ("2020-06-01T00:00", "0300", 30.25, 110.5, 0.0, "before"),
        ("2020-06-01T06:00", "0300", 30.25, 110.5, 1.0, "during"),
        ("2020-06-01T15:00", "0300", 30.25, 110.5, 1.0, "after"),
        ("2020-06-01T15:00", "0300", 32.25, 110.5, 1.0, "elsewhere"),
        ("2020-06-01T15:00", "0300", 50.00, 110.5, 1.0, "far"),
        ("2020-06-03T00:00", "0300", 30.25, 110.5, 1.0, "late"),
    ]
    samples, releases = frames(tmp_path, rows)
    table, left_out = evaluate(world(u=0.0, v=0.0), samples, releases, options(turbulence="none", hours=24.0))
    assert left_out == {
        "outside the meteorology": 1,
        "begins later after the releases than particles travel": 1,
    }
    area = GRID.cell_area.ravel()[GRID.index(30.25, 110.5)]
    # From 6 to 9 h of 6 to 12 h: a quarter of it is there on average.
    expected = 340.0 / (area * 100.0) * np.array([0.0, 0.25, 1.0, 0.0])
    assert table["station"].tolist() == ["before", "during", "after", "elsewhere"]
    np.testing.assert_allclose(table["forward"], expected, rtol=0.05)
    np.testing.assert_allclose(table["backward"], expected, rtol=0.05)


def test_a_stirred_layer_holds_its_share_both_ways(tmp_path):
    """Turbulence, still mean air, a wide cell: after ten hours the mass is even, in mass, within the boundary layer."""
    coarse = Grid(np.array([22.0, 26.0, 34.0, 38.0]), np.array([102.0, 106.0, 114.0, 128.0]))
    rows = [("2020-06-01T20:00", "0300", 30.25, 110.5, 1.0, "a")]
    samples, releases = frames(tmp_path, rows)
    h, scale = 800.0, 9500.0
    table, _ = evaluate(world(u=0.0, v=0.0, h=h, heat=100.0), samples, releases, options(grid=coarse))
    area = coarse.cell_area.ravel()[coarse.index(30.25, 110.5)]
    lowest = (1.0 - np.exp(-100.0 / scale)) / (1.0 - np.exp(-h / scale))
    expected = 340.0 * lowest / (area * 100.0)
    for way in ("forward", "backward"):
        noise = 3.0 * float(table[f"{way}_stderr"][0])
        assert 0.0 < noise < 0.2 * expected
        assert table[way][0] == pytest.approx(expected, abs=noise + 0.02 * expected)


def test_wind_takes_the_tracer_to_the_station(tmp_path):
    """A steady plume past a station: what is given off while air crosses the cell, over its lowest metres."""
    u, lat = 5.0, 30.5
    rows = [("2020-06-02T00:00", "0100", lat, 112.5, 1.0, "a")]
    samples, releases = frames(tmp_path, rows, lat=lat, lon=110.5, stop="20200602 060000")
    table, _ = evaluate(world(u=u, v=0.0), samples, releases, options(turbulence="none", hours=24.0))
    # A particle needs as long for the cell as it is wide: mean = rate * width / u over area * layer.
    width = GRID.cell_area.ravel()[GRID.index(lat, 112.5)] / 111194.9
    area = GRID.cell_area.ravel()[GRID.index(lat, 112.5)]
    expected = 340.0 / (24 * 3600.0) * width / u / (area * 100.0)
    np.testing.assert_allclose(table[["forward", "backward"]].to_numpy(), expected, rtol=0.03)


def test_releases_out_of_reach_are_refused(tmp_path):
    rows = [("2020-06-01T15:00", "0100", 30.5, 112.5, 1.0, "a")]
    samples, releases = frames(tmp_path, rows, lat=50.0)
    with pytest.raises(RangeError, match=r"release 'made up': outside the meteorology \(50.00 N"):
        evaluate(world(), samples, releases, options(turbulence="none"))
    samples, releases = frames(tmp_path, [(*rows[0][:2], 55.0, *rows[0][3:])])
    with pytest.raises(RangeError, match="no sample can be modelled: outside the meteorology"):
        evaluate(world(), samples, releases, options(turbulence="none"))


def test_the_command(tmp_path, capsys):
    met = era5(tmp_path / "a.nc", hours=range(25))
    lat, lon = 25.5, 106.5
    rows = [
        ("2020-06-01T01:00", "0100", lat, lon, 0.0, "a"),
        *(
            (f"2020-06-01T{h:02d}:00", "0100", lat, lon + d, 10.0 * (d + 1), f"s{d}")
            for h in (6, 7, 8)
            for d in (0, 1)
        ),
    ]
    sample_file(tmp_path / "meas.txt", rows)
    release_file(tmp_path / "RELEASES", start="20200601 040000", stop="20200601 080000", lat=lat, lon=lon)
    asked = ["footprints", "evaluate", str(met), "--samples", str(tmp_path / "meas.txt"), "--releases"]
    asked += [str(tmp_path / "RELEASES"), "--grid", "22,29,102,110,1,1", "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as stop:
        main([*asked, "--released", "2000", "--particles", "200", "--json"])
    assert stop.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert found["samples"] == 7
    assert found["scores"]["forward"]["samples"]["pairs"] == 6
    assert found["scores"]["backward"]["samples"]["both_zero"] == 1
    assert set(found["scores"]["backward"]["stations"]) >= {"rank", "ksp", "factor_5"}
    assert {p.name for p in (tmp_path / "out").iterdir()} >= {
        "samples.parquet",
        "scores.json",
        "evaluation.png",
    }
    with pytest.raises(SystemExit) as stop:
        main([*asked, "--unit", "ppt"])
    assert stop.value.code != 0
    assert capsys.readouterr().err.count("\n") == 1


def test_options_that_do_nothing_are_refused():
    with pytest.raises((ValueError, ConfigError), match="diffusivity"):
        options(diffusivity=5.0)
    assert np.datetime64("2020-06-01") == START
