"""A nest and its mother domain make one footprint: nothing twice, nothing lost."""

from __future__ import annotations

import netCDF4
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inversion.jacobian.store import JacobianStore
from inversion.transport.conversion.convert import convert_files
from inversion.transport.conversion.nest import outside, pair_up
from inversion.transport.readers import ReaderOptions, open_footprints, read
from obsnet.constants import MOLAR_MASS_DRY_AIR
from obsnet.errors import GridError, MissingVariableError
from obsnet.grid import Grid
from obsnet.work.work import Work
from tests.inversion.transport import formats

MOTHER = Grid.regular(30, 36, 110, 117, 0.5, 0.5)
FINE = Grid.regular(30, 36, 110, 117, 0.1, 0.1)


@pytest.fixture
def pair(tmp_path):
    """FLEXPART's two files: the nest 32-34 N, 112-114 E at 0.1 degrees, the mother with the same air coarsely."""
    values = formats.field(5, 3)
    nest = np.zeros((1, 3, 20, 20), np.float32)
    for j in range(4):
        for i in range(4):
            # One fine cell in the corner of each coarse cell holds all of it.
            nest[0, :, 5 * j, 5 * i] = values[:, 4 + j, 4 + i]
    mother = formats.flexpart(tmp_path / "grid_time_20240402060000.nc", values[None])
    inner = formats.flexpart(
        tmp_path / "grid_time_nest_20240402060000.nc",
        nest,
        lat=32.05 + 0.1 * np.arange(20),
        lon=112.05 + 0.1 * np.arange(20),
    )
    return mother, inner, values


def total(path):
    return np.asarray(JacobianStore(path).read().matrix.sum(axis=0)).reshape(-1)


def test_a_nest_beside_its_mother_counts_nothing_twice(pair, tmp_path):
    mother, inner, values = pair
    report = convert_files(
        [mother, inner], tmp_path / "both", work=Work(scheduler="serial"), grid=FINE, step="1h"
    )
    assert (report["done"], report["failed"], report["observations"]) == (1, [], 1)
    assert any(note.startswith("joined with the finer grid") for note in report["notes"])
    convert_files([mother], tmp_path / "alone", work=Work(scheduler="serial"), grid=FINE, step="1h")
    both, alone = (total(tmp_path / name).reshape(3, *FINE.shape) for name in ("both", "alone"))
    assert both.sum() == pytest.approx(alone.sum(), rel=1e-5)
    inside = np.zeros(FINE.shape, bool)
    inside[20:40, 20:40] = True
    np.testing.assert_allclose(both[:, ~inside], alone[:, ~inside], rtol=1e-5, atol=1e-12)
    # Within the nest stands what the nest says: corners only.
    expected = values[:, 4:8, 4:8] * MOLAR_MASS_DRY_AIR / 150.0
    np.testing.assert_allclose(both[:, 20:40:5, 20:40:5], expected, rtol=2e-3)
    assert np.count_nonzero(both[:, inside]) == np.count_nonzero(expected)


def test_on_the_mothers_grid_nothing_changes(pair, tmp_path):
    mother, inner, _ = pair
    convert_files([inner, mother], tmp_path / "both", work=Work(scheduler="serial"), step="1h")
    convert_files([mother], tmp_path / "alone", work=Work(scheduler="serial"), step="1h")
    assert JacobianStore(tmp_path / "both").grid == MOTHER
    np.testing.assert_allclose(total(tmp_path / "both"), total(tmp_path / "alone"), rtol=1e-4, atol=1e-9)


def test_pairs_are_found_by_name(tmp_path):
    a, b = tmp_path / "grid_time_1.nc", tmp_path / "grid_time_nest_1.nc"
    assert pair_up([b, a, tmp_path / "grid_time_nest_2.nc"]) == {a: b}
    assert pair_up([b, tmp_path / "other" / "grid_time_1.nc"]) == {}


@given(st.floats(30.0, 32.0), st.floats(0.2, 3.5), st.floats(110.0, 113.0), st.floats(0.2, 3.5))
def test_what_is_left_is_the_area_outside(south, high, west, wide):
    """Of an even footprint per area stays the share of area that the nest leaves."""
    import xarray as xr

    area = MOTHER.cell_area
    frame = {
        f"{n}_bnds": ((n, "bnds"), np.stack([e[:-1], e[1:]], axis=1))
        for n, e in (("lat", MOTHER.lat_edges), ("lon", MOTHER.lon_edges))
    }
    data = xr.Dataset(
        {"sensitivity": (("receptor", "step", "lat", "lon"), area[None, None].astype(np.float64))},
        {"lat": MOTHER.lat, "lon": MOTHER.lon, **frame},
        {"source_file": "f"},
    )
    for name in ("lat", "lon"):
        data[name].attrs["bounds"] = f"{name}_bnds"
    inner = Grid(np.array([south, south + high]), np.array([west, west + wide]))
    left = float(outside(data, inner)["sensitivity"].sum())
    assert left == pytest.approx(area.sum() - inner.cell_area.sum(), rel=2e-3)


def test_nests_that_do_not_fit(pair, tmp_path):
    mother, inner, values = pair
    wide = Grid.regular(29, 34, 112, 114, 0.5, 0.5)
    with pytest.raises(
        GridError, match=r"the nest \(lat 29 to 34\) reaches beyond its mother domain \(30 to 36\)"
    ):
        outside(read(mother), wide)
    formats.flexpart(inner, np.zeros((1, 4, 12, 14), np.float32))
    report = convert_files([mother, inner], tmp_path / "hours", work=Work(scheduler="serial"), step="1h")
    assert "its hours are not those of its mother domain" in report["failed"][0]["error"]
    formats.flexpart(inner, np.repeat(values[None], 2, axis=0), releases=2)
    report = convert_files([mother, inner], tmp_path / "receptors", work=Work(scheduler="serial"), step="1h")
    assert "its receptors are not those of its mother" in report["failed"][0]["error"]
    holes = np.stack([values, np.full_like(values, np.nan)])
    formats.flexpart(mother, np.stack([values, values]), releases=2)
    formats.flexpart(inner, holes, releases=2)
    report = convert_files([mother, inner], tmp_path / "holes", work=Work(scheduler="serial"), step="1h")
    assert "lacks footprints that its mother domain" in report["failed"][0]["error"]
    formats.flexpart(mother, values[None])
    with netCDF4.Dataset(mother, "a") as nc:
        nc["spec001_mr"].decay = np.float32(1e-5)
    formats.flexpart(inner, values[None])
    report = convert_files([mother, inner], tmp_path / "loss", work=Work(scheduler="serial"), step="1h")
    assert "weighting or loss differ" in report["failed"][0]["error"]


def test_both_grids_of_a_real_nested_file(sample_data, tmp_path):
    path = sample_data / "transport/openghg/footprint_test.nc"
    low, high = open_footprints(path), open_footprints(path, ReaderOptions(part="high"))
    kept = float(outside(low.read(), high.grid)["sensitivity"].sum())
    report = convert_files(
        [path],
        tmp_path / "j",
        part="both",
        work=Work(scheduler="serial"),
        step="1D",
        unresolved="release",
    )
    assert report["failed"] == []
    assert report["total"] == pytest.approx(kept + float(high.read().sensitivity.sum()), rel=1e-5)
    # The nest holds what the outer grid holds there, so the sum stays.
    assert report["total"] == pytest.approx(float(low.read().sensitivity.sum()), rel=2e-3)


def test_a_near_field_of_the_last_hours_joins_foot1(tmp_path):
    """The fine grid stands in for the coarse one in the hours that it has, and nowhere else."""
    values = formats.field(8, 5)
    path = formats.foot1(tmp_path / "foot2024x04x02x06x33.40Nx113.30Ex00025.nc", values)
    lat, lon = 33.05 + 0.1 * np.arange(10), 113.05 + 0.1 * np.arange(10)
    near = np.zeros((2, 10, 10), np.float32)
    near[:, 3, 4] = [0.5, 0.7]
    formats.foot1(path, near, name="footnearfield1", lat=lat, lon=lon, mode="a")
    assert any("joined by convert" in note for note in open_footprints(path).notes)
    alone = read(path, ReaderOptions(part="high"))
    assert alone.sizes["step"] == 2
    assert float(alone.sensitivity.sum()) == pytest.approx(1.2)
    report = convert_files(
        [path],
        tmp_path / "j",
        part="both",
        grid=FINE,
        work=Work(scheduler="serial"),
        step="1h",
    )
    assert report["failed"] == []
    both = total(tmp_path / "j").reshape(5, *FINE.shape)
    inside = both[:, 30:40, 30:40]
    np.testing.assert_allclose(inside[3:], near, rtol=2e-3, atol=1e-9)
    convert_files([path], tmp_path / "coarse", grid=FINE, work=Work(scheduler="serial"), step="1h")
    coarse = total(tmp_path / "coarse").reshape(5, *FINE.shape)
    np.testing.assert_allclose(both[:3], coarse[:3], rtol=1e-6)
    inside[3:] = coarse[3:, 30:40, 30:40] = 0.0
    np.testing.assert_allclose(both[3:], coarse[3:], rtol=1e-5, atol=1e-9)
    plain = formats.foot1(tmp_path / "foot2024x04x02x06x33.40Nx113.30Ex00030.nc", values)
    with pytest.raises(MissingVariableError, match="footnearfield1 needs footnearfield1, footnearfield1lat"):
        open_footprints(plain, ReaderOptions(part="high"))
