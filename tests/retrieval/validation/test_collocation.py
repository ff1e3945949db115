"""Collocation: the adjustment in closed form, the boxes and times, and what must not be compared."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.errors import ConfigError, RangeError, ScaleError, SchemaError
from obsnet.schema import Quality
from obsnet.times import later
from retrieval.columns.column_operator import ColumnOperator
from retrieval.validation.collocation import PAIRS, as_satellite_sees, collocate, sites_of
from retrieval.validation.options import Criteria
from tests.retrieval.ground import SITES, make_ground, make_overpasses
from tests.retrieval.soundings import START, make_table

GROUND = make_ground()
OVERPASSES = make_overpasses()


def with_values(table, values):
    return table.set_column(table.column_names.index("value"), "value", pa.array(values))


def column(table, name):
    return table[name].to_numpy()


@pytest.mark.parametrize("vertical", ["level", "layer"])
def test_a_satellite_that_sees_the_sites_air_has_no_bias(vertical):
    """Each sounding is the operator on the site's scaled profile, plus 0.7: the pairs find 0.7 and no more."""
    soundings = make_overpasses(vertical=vertical)
    operator = ColumnOperator.from_table(soundings)
    times, sites = column(soundings, "time"), column(soundings, "latitude")
    values = np.empty(len(soundings))
    for name, (lat, _, _) in SITES.items():
        for day in range(4):
            mine = (np.abs(sites - lat) < 1) & (
                times.astype("datetime64[D]") == later(START.astype("datetime64[D]"), day)
            )
            about = np.array([p == name for p in GROUND["platform"].to_pylist()])
            about &= column(GROUND, "time").astype("datetime64[D]") == later(
                START.astype("datetime64[D]"), day
            )
            rows = np.flatnonzero(mine)
            values[rows] = as_satellite_sees(GROUND.filter(pa.array(about)), operator.take(rows)) + 0.7
    pairs = collocate(with_values(soundings, values), GROUND)
    assert len(pairs) == 8
    np.testing.assert_allclose(column(pairs, "satellite") - column(pairs, "reference"), 0.7, atol=1e-9)
    # without the adjustment the kernels' difference would be taken for a bias
    raw = column(pairs, "satellite") - column(pairs, "reference_raw")
    assert np.abs(raw - 0.7).max() > 0.05


@given(st.floats(0.98, 1.02))
def test_adjustment_in_closed_form(gamma):
    """One site row, priors uniform: X_a,s + sum h a (gamma x_a,g - x_a,s) by hand."""
    ground = GROUND.slice(0, 1)
    uniform = np.full((1, 44), 405.0, dtype=np.float32)
    at = ground.column_names.index("prior_profile")
    ground = ground.set_column(at, "prior_profile", pa.array(list(uniform), pa.list_(pa.float32())))
    ground = with_values(ground, [405.0 * gamma])
    operator = ColumnOperator.from_table(make_table(6))
    expected = operator.prior_column + np.sum(
        operator.weight * operator.kernel * (405.0 * gamma - operator.prior_profile), axis=1
    )
    np.testing.assert_allclose(as_satellite_sees(ground, operator), expected, rtol=1e-6)


def test_perfect_kernels_leave_the_sites_own_column():
    """a = 1 on the site's own levels: the adjustment gives the site's value back."""
    ground = GROUND.slice(0, 1)
    profile = ColumnOperator.from_table(ground)
    np.testing.assert_allclose(as_satellite_sees(ground, profile), column(ground, "value"), rtol=1e-6)


def test_pairs_hold_what_they_say():
    pairs = collocate(OVERPASSES, GROUND)
    assert pairs.schema.equals(PAIRS)
    assert pairs["site"].to_pylist() == ["HF"] * 4 + ["XH"] * 4
    assert (np.diff(column(pairs, "time")[:4]) > np.timedelta64(23, "h")).all()
    assert set(column(pairs, "n_satellite")) == {30}
    assert set(column(pairs, "n_reference")) == {20}
    np.testing.assert_allclose(column(pairs, "altitude_difference_m"), [16.0] * 4 + [14.0] * 4)
    assert (column(pairs, "distance_km") < 30).all()
    first = OVERPASSES.slice(0, 30)
    assert column(pairs, "satellite")[0] == pytest.approx(column(first, "value").mean(), rel=1e-14)
    assert column(pairs, "satellite_sd")[0] == pytest.approx(column(first, "value").std(ddof=1), rel=1e-12)


def test_box_time_and_number():
    far = {"HF": (31.9 + 3, 117.2, 0.0), "XH": (39.8, 116.9 + 6, 0.0)}
    assert len(collocate(make_overpasses(far), GROUND)) == 0
    assert len(collocate(make_overpasses(far), GROUND, Criteria(half_latitude=4, half_longitude=7))) == 8
    late = GROUND.set_column(
        GROUND.column_names.index("time"),
        "time",
        pa.array(column(GROUND, "time") + np.timedelta64(3, "h"), pa.timestamp("us")),
    )
    assert len(collocate(OVERPASSES, late)) == 0
    assert len(collocate(OVERPASSES, late, Criteria(hours=4.0))) == 8
    assert len(collocate(make_overpasses(n=4), GROUND)) == 0
    assert len(collocate(make_overpasses(n=4), GROUND, Criteria(minimum=4))) == 8
    assert len(collocate(OVERPASSES, GROUND, Criteria(minimum_reference=21))) == 0


def test_target_mode_has_half_an_hour():
    pairs = collocate(make_overpasses(mode=["target"] * 30), GROUND)
    wide = collocate(make_overpasses(mode=["target"] * 30), GROUND, Criteria(hours_by_mode={}))
    assert (column(pairs, "n_reference") <= column(wide, "n_reference")).all()
    narrow = collocate(make_overpasses(mode=["target"] * 30), GROUND, Criteria(hours_by_mode={"target": 0.1}))
    assert (column(narrow, "n_reference") < 20).all()


def test_altitude():
    assert len(collocate(OVERPASSES, GROUND, Criteria(altitude_m=10.0))) == 0
    assert len(collocate(OVERPASSES, GROUND, Criteria(altitude_m=15.0))) == 4
    unknown = make_overpasses().set_column(
        OVERPASSES.column_names.index("altitude_m"), "altitude_m", pa.nulls(len(OVERPASSES), pa.float64())
    )
    assert len(collocate(unknown, GROUND, Criteria(altitude_m=10.0))) == 8


def test_modes_and_gaps_make_separate_pairs():
    mode = np.where(np.arange(30) % 2, "nadir", "glint")
    pairs = collocate(make_overpasses(mode=mode), GROUND)
    assert sorted(pc.unique(pairs["mode"]).to_pylist()) == ["glint", "nadir"]
    assert len(pairs) == 16
    later = make_overpasses(seconds=3000.0)
    assert len(collocate(later, GROUND, Criteria(gap_minutes=1, minimum=1))) > 8


def test_box_across_the_dateline():
    site = {"FJ": (10.0, 179.0, 30.0)}
    east = {"FJ": (10.0, -179.5, 30.0)}
    pairs = collocate(make_overpasses(east, longitude=np.full(30, -179.5)), make_ground(site))
    assert len(pairs) == 4
    assert (column(pairs, "distance_km") < 200).all()


def test_order_of_rows_does_not_matter():
    order = np.random.default_rng(0).permutation(len(OVERPASSES))
    one, two = collocate(OVERPASSES, GROUND), collocate(OVERPASSES.take(order), GROUND)
    assert one["site"].equals(two["site"])
    np.testing.assert_allclose(column(one, "reference"), column(two, "reference"), rtol=1e-12)


def test_flagged_rows_are_left_out():
    bad = make_overpasses(quality=np.full(30, Quality.SCREEN, np.uint32))
    assert len(collocate(bad, GROUND)) == 0
    assert collocate(OVERPASSES, GROUND.slice(0, 0)).num_rows == 0


def test_without_adjustment():
    plain = make_overpasses(profiles=False)
    pairs = collocate(plain, GROUND, adjust="none")
    np.testing.assert_array_equal(column(pairs, "reference"), column(pairs, "reference_raw"))
    with pytest.raises(SchemaError, match="240 rows of the satellite have no averaging_kernel"):
        collocate(plain, GROUND)


def test_real_tccon_profiles(sample_data):
    """Harwell seen by a perfect operator on ACOS-like levels: within 0.3 ppm of the site's own columns."""
    import h5py

    with h5py.File(next((sample_data / "satellite/tccon").glob("hw*.nc"))) as file:
        get = {
            k: file[k][:].astype(float) for k in ("xco2", "prior_co2", "prior_h2o", "prior_pressure", "time")
        }
        index = file["prior_index"][:] if "prior_index" in file else np.arange(len(get["time"]))
    dry = (get["prior_co2"] / (1 - get["prior_h2o"]))[index]
    pressure = get["prior_pressure"][index] * 1013.25
    from retrieval.columns.pressure_weights import level_weights

    n = len(dry)
    weight = level_weights(pressure).weight
    ground = make_ground({"HW": (51.57, -1.32, 142.0)}, days=1, per_day=n)
    for name, values in (("prior_profile", dry), ("pressure_levels", pressure), ("pressure_weight", weight)):
        at = ground.column_names.index(name)
        ground = ground.set_column(
            at, name, pa.array(list(values.astype(np.float32)), pa.list_(pa.float32()))
        )
    ground = with_values(ground, get["xco2"])
    levels = pressure[0, 0] * np.linspace(1, 1e-4, 20)
    satellite = make_table(
        40,
        averaging_kernel=np.ones((40, 20)),
        pressure_levels=np.tile(levels, (40, 1)),
        pressure_weight=np.tile(level_weights(levels).weight, (40, 1)),
        prior_column=np.full(40, np.nan),
    )
    seen = as_satellite_sees(ground, ColumnOperator.from_table(satellite))
    assert np.abs(seen - get["xco2"].mean()).max() < 0.3


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: collocate(OVERPASSES, GROUND, adjust="prior"), ConfigError, "'prior'"),
        (
            lambda: collocate(OVERPASSES, make_ground(species="CH4")),
            SchemaError,
            "satellite in 1e-6, reference in 1e-9",
        ),
        (
            lambda: collocate(OVERPASSES, make_ground(scale="WMO CO2 X2019")),
            ScaleError,
            "satellite on X2007, reference on X2019",
        ),
        (
            lambda: collocate(pa.concat_tables([make_table(9), make_table(9, source="b")]), GROUND),
            SchemaError,
            "satellite comes from several sources",
        ),
        (
            lambda: sites_of(
                pa.concat_tables([make_ground({"A": (1.0, 1, 1)}), make_ground({"A": (2.0, 1, 1)})])
            ),
            RangeError,
            "site A moves from 1.000 to 2.000",
        ),
        (lambda: Criteria(hours=0), ValueError, "greater than 0"),
        (lambda: Criteria(minimum=0), ValueError, "greater than or equal to 1"),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error, match=text):
        call()
