"""Super-observations as tables: what is averaged, what is refused, what averaging loses."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.errors import RangeError, ScaleError, SchemaError
from obsnet.grid import Grid
from obsnet.schema import Quality, profile_array
from obsnet.store import ObservationStore
from retrieval.columns.column_operator import ColumnOperator
from retrieval.superobs.average import groups_of, super_observe
from retrieval.superobs.groups import group_mean
from retrieval.superobs.options import Superobs
from tests.retrieval.soundings import START, make_table

GRID = Grid.regular(29, 35, 109, 112, 0.5, 0.5)
AREA = Superobs(method="area", grid=GRID)
TRACK = Superobs()


def column(table, name):
    return table[name].to_numpy()


@pytest.mark.parametrize("settings", [AREA, TRACK], ids=["area", "track"])
@pytest.mark.parametrize("vertical", ["level", "layer"])
def test_everything_is_averaged_with_the_same_weights(settings, vertical):
    table = make_table(vertical=vertical)
    result = super_observe(table, settings)
    groups, _ = groups_of(table, settings)
    pressure = "pressure_edges" if vertical == "layer" else "pressure_levels"
    for name in ("pressure_weight", "averaging_kernel", "prior_profile", pressure):
        expected = group_mean(profile_array(table[name]), groups)
        np.testing.assert_allclose(profile_array(result.table[name]), expected, rtol=1e-6)
    for name in ("value", "prior_column"):
        np.testing.assert_allclose(
            column(result.table, name), group_mean(column(table, name), groups), rtol=1e-12
        )
    np.testing.assert_array_equal(column(result.table, "n"), groups.size)
    assert set(column(result.table, "source")) == {"test_lite_superobs"}
    assert ColumnOperator.from_table(result.table).vertical == vertical


@pytest.mark.parametrize("settings", [AREA, TRACK], ids=["area", "track"])
def test_residual_of_averaging_is_what_it_says(settings):
    """Averaged operator less mean of the operators, on the mean prior and a plume; from the definition."""
    table = make_table()
    result = super_observe(table, settings)
    groups, _ = groups_of(table, settings)
    members, averaged = ColumnOperator.from_table(table), ColumnOperator.from_table(result.table)
    middle = averaged.pressure
    plume = averaged.prior_profile * (1 + 0.025 * (middle > 0.8 * middle[:, :1]))
    for name, profile in (("residual_prior", averaged.prior_profile), ("residual_plume", plume)):
        exact = np.empty(len(groups))
        for g in range(len(groups)):
            piece = slice(groups.offsets[g], groups.offsets[g + 1])
            each = members.take(groups.row[piece]).forward(np.broadcast_to(profile[g], (groups.size[g], 20)))
            exact[g] = groups.weight[piece] @ each
        np.testing.assert_allclose(column(result.report, name), averaged.forward(profile) - exact, atol=3e-4)
    found = result.residuals()
    assert found["residual_prior_max"] >= found["residual_prior_rms"] > 0


def test_identical_soundings_leave_no_residual():
    table = pa.concat_tables([make_table(1, seconds=1.0)] * 5)
    result = super_observe(table, TRACK)
    assert len(result.table) == 1
    assert result.residuals()["residual_plume_max"] < 1e-10
    assert column(result.table, "value")[0] == pytest.approx(column(table, "value")[0], rel=1e-15)


@given(st.integers(0, 10**6), st.sampled_from([AREA, TRACK, Superobs(errors="baker2022_co2")]))
def test_order_of_rows_does_not_matter(seed, settings):
    table = make_table(60, seed=seed % 50)
    order = np.random.default_rng(seed).permutation(60)
    one, two = super_observe(table, settings), super_observe(table.take(order), settings)
    assert one.table["obs_id"].to_pylist() == two.table["obs_id"].to_pylist()
    np.testing.assert_allclose(column(one.table, "value"), column(two.table, "value"), rtol=1e-14)
    np.testing.assert_allclose(column(one.table, "uncertainty"), column(two.table, "uncertainty"), rtol=1e-12)


def test_flagged_rows_are_left_out_and_counted():
    table = make_table(50, quality=np.where(np.arange(50) < 20, Quality.SCREEN, 0).astype(np.uint32))
    result = super_observe(table, TRACK)
    assert result.problems["flagged"] == 20
    assert column(result.table, "n").sum() == 30
    nothing = super_observe(table.slice(0, 10), TRACK)
    assert len(nothing.table) == len(nothing.report) == 0


def test_modes_surfaces_and_platforms_stay_apart():
    land = np.where(np.arange(80) % 2, 1.0, 0.0)
    mode = np.where(np.arange(80) % 4 < 2, "nadir", "glint")
    platform = np.where(np.arange(80) % 8 < 4, "OCO-2", "OCO-3")
    table = make_table(80, seconds=9.0, land_fraction=land, mode=mode, platform=platform)
    result = super_observe(table, Superobs(max_gap_s=10.0))
    assert len(result.table) == 8
    assert set(column(result.table, "n")) == {10}
    assert set(column(result.table, "land_fraction")) == {0.0, 1.0}
    assert sorted(set(result.table["mode"].to_pylist())) == ["glint", "nadir"]
    assert len(set(result.table["obs_id"].to_pylist())) == 8


def test_coast_is_a_class_of_its_own_and_missing_fractions_too():
    table = make_table(40, seconds=9.0, land_fraction=np.repeat([0.0, 0.5, 1.0, np.nan], 10))
    result = super_observe(table, Superobs(max_gap_s=10.0))
    kinds = sorted(i.rsplit(":", 1)[1] for i in result.table["obs_id"].to_pylist())
    assert kinds == ["OCO-2-nadir", "OCO-2-nadir-coast", "OCO-2-nadir-land", "OCO-2-nadir-sea"]


def test_without_modes_surfaces_or_profiles():
    plain = make_table(
        40, profiles=False, corners=False, mode=pa.nulls(40, pa.string()), land_fraction=np.full(40, np.nan)
    )
    result = super_observe(plain, TRACK)
    assert result.table["averaging_kernel"].null_count == len(result.table)
    assert result.residuals() == {}
    assert result.table["mode"].null_count == len(result.table)
    area = super_observe(plain, Superobs(method="area", grid=GRID, footprint_km=10.5))
    assert len(area.table) > 5


def test_place_and_time():
    table = make_table(400)
    area = super_observe(table, AREA).table
    cell = [int(i.split(":")[2]) for i in area["obs_id"].to_pylist()]
    np.testing.assert_array_equal(GRID.index(column(area, "latitude"), column(area, "longitude")), cell)
    start, middle, end = (
        column(area, c).astype("datetime64[us]") for c in ("time_start", "time", "time_end")
    )
    assert ((start <= middle) & (middle <= end)).all()
    assert profile_array(area["corner_latitude"]).shape[1] == 4


def test_mean_place_across_the_dateline():
    """The mean of 179.9 and -179.9 is the dateline, not Greenwich."""
    table = make_table(2, seconds=0.5, lat=(10.0, 10.0), longitude=np.array([179.9, -179.9]), corners=False)
    result = super_observe(table, TRACK)
    assert abs(column(result.table, "longitude")[0]) == pytest.approx(180, abs=1e-6)
    grid = Grid.regular(0, 20, 170, -170, 20, 20)
    wide = super_observe(table, Superobs(method="area", grid=grid, footprint_km=10.0)).table
    assert abs(column(wide, "longitude")[0]) == pytest.approx(180, abs=1e-6)


def test_time_of_exposures_is_kept():
    time = START + np.arange(4).astype("timedelta64[s]")
    second = np.timedelta64(1, "s")
    table = make_table(4, seconds=4.0, time=time, time_start=time - second, time_end=time + second)
    row = super_observe(table, Superobs(max_gap_s=9)).table
    assert column(row, "time_start")[0] == START - second
    assert column(row, "time_end")[0] == START + 4 * second
    assert column(row, "time")[0] == START + np.timedelta64(1500, "ms")


def test_uncertainty_shrinks_with_soundings_and_not_below_their_correlation():
    table = make_table(400, seconds=9.0, uncertainty=np.full(400, 0.8))
    loose, tight = (super_observe(table, Superobs(r=r)).table for r in (0.0, 0.3))
    assert column(loose, "uncertainty")[0] < 0.8 / np.sqrt(300)
    assert column(tight, "uncertainty")[0] == pytest.approx(0.8 * np.sqrt(0.3), rel=0.01)
    assert column(super_observe(table.slice(0, 1), TRACK).table, "uncertainty")[0] == pytest.approx(0.8)


def test_systematic_uncertainty_does_not_average_out():
    table = make_table(100, seconds=9.0, uncertainty_systematic=np.full(100, 0.25))
    assert column(super_observe(table, TRACK).table, "uncertainty_systematic")[0] == pytest.approx(0.25)


def test_spread_of_the_members():
    table = make_table(200, seconds=0.9)
    result = super_observe(table, TRACK)
    assert column(result.report, "spread")[0] == pytest.approx(column(table, "value").std(), rel=1e-9)
    assert column(result.report, "effective_n")[0] == pytest.approx(200)


def test_minimum_number():
    table = make_table(60, seconds=60.0)
    result = super_observe(table, Superobs(minimum=10))
    assert (column(result.table, "n") >= 10).all()
    total = column(result.table, "n").sum() + result.problems["in groups smaller than the minimum"]
    assert total == 60


def test_into_a_store_and_back(tmp_path):
    store = ObservationStore(tmp_path / "s")
    table = super_observe(make_table(), AREA).table
    store.write(table)
    again = store.read("CO2", source="test_lite_superobs")
    assert len(again) == len(table)
    assert pc.sum(again["n"]).as_py() == pc.sum(table["n"]).as_py()


def test_identifiers_depend_on_what_was_done():
    table = make_table()
    ids = [super_observe(table, s).table["file_id"][0].as_py() for s in (AREA, TRACK, Superobs(minimum=2))]
    assert len(set(ids)) == 3
    assert super_observe(table, TRACK).table["file_id"][0].as_py() == ids[1]


def test_real_tropomi_orbit(sample_data):
    """China's part of a real orbit at 0.5 degree: shares add up, kernels stay kernels."""
    import h5py

    with h5py.File(next((sample_data / "satellite/tropomi_blended").glob("*02850*"))) as file:
        get = {k: file[k][:] for k in file}
    time = np.array([t.decode().rstrip("Z") for t in get["time_utc"].ravel()], dtype="datetime64[us]")
    n = len(time)
    air = get["dry_air_subcolumns"][:, ::-1].astype(float)
    prior = get["methane_profile_apriori"][:, ::-1] / air * 1e9
    surface, step = get["surface_pressure"][:, None] / 100, get["pressure_interval"][:, None] / 100
    table = make_table(
        n,
        species="CH4",
        vertical="layer",
        source="blended",
        platform="S5P",
        time=time,
        latitude=get["latitude"],
        longitude=get["longitude"],
        value=get["methane_mixing_ratio_blended"],
        uncertainty=get["methane_mixing_ratio_precision"],
        corner_latitude=get["latitude_bounds"],
        corner_longitude=get["longitude_bounds"],
        pressure_edges=np.maximum(surface - step * np.arange(13), 0),
        pressure_weight=air / air.sum(axis=1, keepdims=True),
        averaging_kernel=get["column_averaging_kernel"][:, ::-1],
        prior_profile=prior,
        prior_column=np.full(n, np.nan),
    )
    grid = Grid.regular(18, 54, 73, 135, 0.5, 0.5)
    result = super_observe(table, Superobs(method="area", grid=grid, r=0.55, transport=4.5))
    assert column(result.report, "total_weight").sum() == pytest.approx(2442, rel=0.02)  # README
    assert (column(result.table, "uncertainty") > 4.5).all()
    assert 1800 < column(result.table, "value").mean() < 1900
    found = result.residuals()
    assert found["residual_prior_rms"] < 0.05
    assert found["residual_plume_max"] < 1.0
    kernel = profile_array(result.table["averaging_kernel"])
    assert kernel.min() > 0.2
    assert kernel.max() < 1.5


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: Superobs(method="grid"), ValueError, "'along-track' or 'area'"),
        (lambda: Superobs(method="area"), ValueError, "need a grid"),
        (lambda: Superobs(minimum=0), ValueError, "greater than or equal to 1"),
        (lambda: super_observe(make_table(5, corners=False), AREA), SchemaError, "no pixel corners"),
        (
            lambda: super_observe(pa.concat_tables([make_table(5), make_table(5, source="b")]), TRACK),
            SchemaError,
            "one source at a time, found test_lite, b",
        ),
        (
            lambda: super_observe(make_table(4, scale=["WMO-CO2-X2007", "WMO-CO2-X2019"] * 2), TRACK),
            ScaleError,
            "X2007 .* X2019",
        ),
        (
            lambda: super_observe(make_table(4, uncertainty=np.zeros(4)), TRACK),
            RangeError,
            "4 soundings have no",
        ),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error, match=text):
        call()
