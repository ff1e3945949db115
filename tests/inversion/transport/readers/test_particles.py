"""Particles in Parquet: the same footprint as the one gridded from them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from inversion.transport.readers import ReaderOptions, Receptor, open_footprints, read
from obsnet.errors import FormatError
from obsnet.grid import Grid

GRID = Grid.regular(31, 44, 106, 124, 0.1, 0.1)
RECEPTOR = Receptor("2024-04-02T06:00:00", 39.9, 116.4, 10.0)


def write(path, **columns):
    base = {
        "age": [-1.0, -60.0, -61.0, -90.0],
        "particle": [1.0, 1.0, 2.0, 3.0],
        "lon": [116.1, 116.1, 116.3, 117.9],
        "lat": [39.1, 39.1, 39.3, 40.2],
        "foot": [0.3, 0.6, 0.9, 0.0],
    }
    pq.write_table(pa.table(base | columns), path)
    return path


def test_sums_over_cells_and_hours_over_the_number_of_particles(tmp_path):
    data = read(write(tmp_path / "p.parquet"), ReaderOptions(receptor=RECEPTOR))
    # the third particle felt nothing and counts
    assert data["sensitivity"].sum(("lat", "lon")).values.ravel() == pytest.approx([0.3, 0.3], rel=1e-6)
    stamps = data["step_start"].values.ravel().astype("datetime64[h]").astype(str)
    assert stamps.tolist() == ["2024-04-02T04", "2024-04-02T05"]
    assert data["sensitivity"].sel(lat=39.125, lon=116.125).values[0, 1] == pytest.approx(0.3)
    assert "3 particles" in data.attrs["notes"]


def test_the_name_may_say_the_receptor(tmp_path):
    path = write(tmp_path / "202404020600_116.2_39.2_10_traj.parquet")
    assert open_footprints(path).receptors["time"][0] == np.datetime64("2024-04-02T06:00")
    with pytest.raises(FormatError, match="give the receptor"):
        open_footprints(write(tmp_path / "particles.parquet"))


def test_what_leaves_the_grid_is_said(tmp_path):
    small = Grid.regular(39.0, 39.2, 116.0, 116.2, 0.1, 0.1)
    data = read(write(tmp_path / "p.parquet"), ReaderOptions(receptor=RECEPTOR, grid=small))
    assert float(data["sensitivity"].sum()) == pytest.approx(0.3)
    assert "50.0% of the sensitivity lies outside" in data.attrs["notes"]


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"age": [1.0, -60.0, -61.0, -90.0]}, "negative ones"),
        ({"foot": [0.3, np.nan, 0.9, 0.0]}, "1 of 4 rows lack a number"),
        ({"lat": [39.1, None, None, 40.2]}, "2 of 4 rows lack a number"),
    ],
)
def test_faulty_tables(tmp_path, columns, text):
    with pytest.raises(FormatError, match=text):
        read(write(tmp_path / "p.parquet", **columns), ReaderOptions(receptor=RECEPTOR))


@given(st.permutations(range(4)))
def test_the_order_of_rows_does_not_matter(tmp_path_factory, order):
    folder = tmp_path_factory.mktemp("p")
    table = pq.read_table(write(folder / "p.parquet"))
    pq.write_table(table.take(list(order)), folder / "q.parquet")
    one, two = (read(folder / f"{n}.parquet", ReaderOptions(receptor=RECEPTOR)) for n in "pq")
    np.testing.assert_allclose(one["sensitivity"], two["sensitivity"], rtol=1e-6)


def test_the_hourly_sums_are_those_of_the_footprint_made_of_them(sample_data):
    """STILT's own footprint of these particles is smoothed, which keeps the sum of each hour."""
    folder = sample_data / "transport/stilt_synthetic"
    options = ReaderOptions(receptor=RECEPTOR, grid=GRID)
    mine = read(folder / "synt_surf_100_particles.parquet", options)["sensitivity"].sum(("lat", "lon"))
    with xr.open_dataset(folder / "synt_surf_100_foot.nc", engine="netcdf4") as theirs:
        reference = theirs["foot"].sum(("lat", "lon")).values
    hours = mine.values.ravel()
    assert hours.size == reference.size == 24
    np.testing.assert_allclose(hours, reference, rtol=0.02, atol=2e-4)
    assert hours.sum() == pytest.approx(reference.sum(), rel=1e-3)
