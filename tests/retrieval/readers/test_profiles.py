"""Identities of the operator and its orientation: what a reader must catch, row by row and for a whole file."""

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.errors import FormatError
from obsnet.schema import Quality, profile_array
from retrieval.products.read import read_granule
from retrieval.readers import profile_kernel as k
from retrieval.readers import profile_loops
from retrieval.readers.profiles import (
    check_identities,
    kernel_fault,
    orientation_fault,
    turned_kernel,
)
from tests.retrieval import synthetic


def operator(n=50, seed=0, **shape):
    rng = np.random.default_rng(seed)
    pressure, weight, kernel, prior = (a.astype(np.float32) for a in synthetic.column(n, rng, **shape))
    return pressure, weight, kernel, prior


def lite_with(tmp_path, n=40, **changes):
    variables, attributes = synthetic.lite(n)
    variables["xco2_quality_flag"] = (np.zeros(n, np.int8), {})
    for name, change in changes.items():
        values, own = variables[name]
        variables[name] = (change(values.copy()), own)
    return read_granule(synthetic.write(tmp_path / "a.nc4", variables, attributes))


def operator_rows(granule):
    return np.flatnonzero(granule.table["quality"].to_numpy() & int(Quality.OPERATOR)).tolist()


def put(row, value, level=None):
    def change(values):
        values[row if level is None else (row, level)] = value
        return values

    return change


@pytest.mark.parametrize(
    ("name", "change", "text"),
    [
        ("pressure_weight", put(3, 0.5, 4), "1 rows: pressure weights sum to 1 only within"),
        ("pressure_levels", put(3, 5000.0, 4), "1 rows: pressure is not monotone"),
        ("xco2_averaging_kernel", put(3, -999999.0, 4), "1 rows: missing values"),
        ("co2_profile_apriori", put(3, np.nan, 4), "1 rows: missing values"),
        ("co2_profile_apriori", put(3, 0.0, 19), "1 rows: missing values"),
        ("xco2_apriori", put(3, 405.0), "1 rows: weights . prior differ from the prior column by up to"),
    ],
)
def test_a_broken_row_is_flagged_and_the_fault_named(tmp_path, name, change, text):
    granule = lite_with(tmp_path, **{name: change})
    assert operator_rows(granule) == [3]
    assert any(note.startswith(text) for note in granule.notes), granule.notes


def test_negative_weights_are_a_fault_even_where_they_sum_to_one(tmp_path):
    def change(values):
        values[5, 4] -= 0.2
        values[5, 5] += 0.2
        return values

    granule = lite_with(tmp_path, pressure_weight=change, xco2_apriori=lambda v: v)
    assert operator_rows(granule) == [5]
    assert any("negative pressure weights" in note for note in granule.notes)


def test_reversed_pressures_flag_the_whole_granule(tmp_path):
    granule = lite_with(tmp_path, pressure_levels=lambda v: v[:, ::-1])
    assert operator_rows(granule) == list(range(40))
    assert any("the order is the reverse of what the sensor table says" in note for note in granule.notes)


def test_reversed_weights_pass_the_casual_check_and_are_still_caught(tmp_path):
    variables, _ = synthetic.lite(40)
    h, x = variables["pressure_weight"][0], variables["co2_profile_apriori"][0]
    casual = (h[:, ::-1] * x).sum(1) - variables["xco2_apriori"][0]
    assert np.abs(casual).max() < 0.0205  # within the tolerance of h . x_a
    granule = lite_with(tmp_path, pressure_weight=lambda v: v[:, ::-1])
    assert operator_rows(granule) == list(range(40))
    assert any("pressure weights run against the pressures" in note for note in granule.notes)


def test_reversed_weights_of_the_real_day_are_caught(sample_data):
    path = sample_data / "satellite" / "acos_lite" / "acos_LtCO2_090901_v205205_B9213A_200310212449s.nc4"
    table = read_granule(path).table
    p, h, x = (profile_array(table[c]) for c in ("pressure_levels", "pressure_weight", "prior_profile"))
    clean = np.zeros(len(p), dtype=bool)
    assert orientation_fault(p, h, x, clean) == ""
    assert "run against the pressures" in orientation_fault(p, h[:, ::-1], x, clean)
    flipped = np.abs((h[:, ::-1] * x).sum(1) - table["prior_column"].to_numpy())
    assert flipped.mean() < 0.02  # what makes it a trap


def test_reversed_methane_prior_is_caught():
    pressure, weight, _, _ = operator(layers=True, levels=13)
    prior = np.tile(np.linspace(1900, 300, 12, dtype=np.float32), (50, 1))
    clean = np.zeros(50, dtype=bool)
    assert orientation_fault(pressure, weight, prior, clean) == ""
    assert "prior is far higher at the top" in orientation_fault(pressure, weight, prior[:, ::-1], clean)


def test_uneven_layers_tell_reversed_weights_at_once():
    pressure = np.tile(np.float32([1000, 900, 600, 100, 0.1]), (5, 1))
    share = -np.diff(pressure) / (pressure[:, :1] - pressure[:, -1:])
    prior = np.full_like(share, 400.0)
    clean = np.zeros(5, dtype=bool)
    assert orientation_fault(pressure, share, prior, clean) == ""
    assert "run against" in orientation_fault(pressure, share[:, ::-1], prior, clean)


def test_nothing_is_said_where_no_row_is_sound():
    assert orientation_fault(*(operator(4)[i] for i in (0, 1, 3)), np.ones(4, dtype=bool)) == ""


NAMES = ("pressure_levels", "pressure_weight", "xch4_averaging_kernel", "ch4_profile_apriori")


def sunk(variables, row, levels, fills):
    """Put the lowest levels of a sounding below the ground, by name of what is put there."""
    weight = variables["pressure_weight"][0]
    weight[row, :levels] = 0.0
    weight[row] /= weight[row].sum()
    for name, fill in fills.items():
        variables[name][0][row, :levels] = fill


@pytest.mark.parametrize("layers", [False, True])
@pytest.mark.parametrize(
    "fills",
    [
        dict.fromkeys(NAMES, np.nan),
        dict.fromkeys(NAMES[1:], np.nan),  # pressures go on below the ground
        dict.fromkeys(NAMES[:3], np.nan),  # so does the prior
        {"pressure_weight": np.nan},
        {"xch4_averaging_kernel": np.nan},  # and the weight is 0
        dict.fromkeys(NAMES, 0.0),
    ],
)
def test_lowest_levels_that_are_fills_under_a_whole_column_are_left_out(tmp_path, fills, layers):
    """GOSAT OCPR fills levels below the ground; whatever is a fill there, the others are the column."""
    variables, attributes = synthetic.cci("ch4", layers=layers)
    whole = {name: variables[name][0].copy() for name in NAMES}
    sunk(variables, 3, 2, fills)
    path = synthetic.write(
        tmp_path / f"ESACCI-GHG-L2-CH4-GOSAT-{'SRFP' if layers else 'OCPR'}-20141205-fv7.2.nc",
        variables,
        attributes,
    )
    granule = read_granule(path)
    assert operator_rows(granule) == []
    weight, pressure, kernel, prior = (
        profile_array(granule.table[n])
        for n in (
            "pressure_weight",
            "pressure_edges" if layers else "pressure_levels",
            "averaging_kernel",
            "prior_profile",
        )
    )
    share = whole["pressure_weight"][3, 2:] / whole["pressure_weight"][3, 2:].sum()
    np.testing.assert_allclose(weight[3], np.append(share, [0, 0]), rtol=1e-6)
    np.testing.assert_array_equal(pressure[3, :-2], whole["pressure_levels"][3, 2:])
    assert 0 <= pressure[3, -1] < pressure[3, -2] < pressure[3, -3]
    np.testing.assert_array_equal(kernel[3, :-2], whole["xch4_averaging_kernel"][3, 2:])
    np.testing.assert_allclose(
        granule.table["prior_column"][3].as_py(), share @ whole["ch4_profile_apriori"][3, 2:], rtol=1e-6
    )
    np.testing.assert_array_equal(prior[4], whole["ch4_profile_apriori"][4])
    assert any(n.startswith("1 rows have fewer active levels") for n in granule.notes)


@pytest.mark.parametrize("layers", [False, True])
def test_slots_that_are_fills_above_a_whole_column_are_left_out(tmp_path, layers):
    """Of one sounding the highest two, of another the highest and the lowest."""
    variables, attributes = synthetic.cci("ch4", layers=layers)
    whole = {name: variables[name][0].copy() for name in NAMES}
    for row, below, above in ((3, 0, 2), (4, 1, 1)):
        n = variables["pressure_weight"][0].shape[1]
        weight = variables["pressure_weight"][0]
        weight[row, :below], weight[row, n - above :] = 0.0, 0.0
        weight[row] /= weight[row].sum()
        whole["pressure_weight"][row] = weight[row]
        for name in NAMES:
            values = variables[name][0]
            values[row, :below], values[row, values.shape[1] - above :] = np.nan, np.nan
    name = f"ESACCI-GHG-L2-CH4-GOSAT-{'SRFP' if layers else 'OCPR'}-20141205-fv7.2.nc"
    granule = read_granule(synthetic.write(tmp_path / name, variables, attributes))
    assert operator_rows(granule) == []
    levels = "pressure_edges" if layers else "pressure_levels"
    for row, below in ((3, 0), (4, 1)):
        inside = slice(below, n - 2 + below)
        for column, name, last in (
            ("pressure_weight", "pressure_weight", 0),
            ("averaging_kernel", "xch4_averaging_kernel", 0),
            ("prior_profile", "ch4_profile_apriori", 0),
            (levels, "pressure_levels", int(layers)),
        ):
            found = profile_array(granule.table[column])[row]
            end = slice(below, n - 2 + below + last)
            np.testing.assert_allclose(found[: n - 2 + last], whole[name][row, end], rtol=1e-6)
        pressure = profile_array(granule.table[levels])[row]
        assert (np.diff(pressure) < 0).all()
        assert pressure[-1] >= 0
        np.testing.assert_allclose(
            granule.table["prior_column"][row].as_py(),
            whole["pressure_weight"][row, inside] @ whole["ch4_profile_apriori"][row, inside],
            rtol=1e-6,
        )


@pytest.mark.parametrize(("rows", "factor"), [(slice(None), 1e-3), ([7], 0.1)])
def test_a_prior_in_another_unit_than_it_says(tmp_path, rows, factor):
    variables, attributes = synthetic.cci("ch4")
    variables["ch4_profile_apriori"][0][rows] *= np.float32(factor)
    path = synthetic.write(tmp_path / "ESACCI-GHG-L2-CH4-GOSAT-OCPR-20141205-fv7.2.nc", variables, attributes)
    if rows == [7]:
        assert operator_rows(read_granule(path)) == rows
        return
    with pytest.raises(
        FormatError, match=r"prior columns of gosat_ocpr are 1\.\d+ ppb .median.*times 1e\+3 it would"
    ):
        read_granule(path)


def test_fills_that_take_air_away_are_a_fault(tmp_path):
    """Weights of the others that fall short of 1, a level that has weight, or a fill aloft."""
    variables, attributes = synthetic.cci("ch4")
    pressure, weight, kernel, prior = (variables[name][0] for name in NAMES)
    for values in (pressure, weight, kernel, prior):
        values[9, 0] = np.nan  # air is missing
    kernel[10, 0] = np.nan  # a level of the column
    sunk(variables, 11, 1, dict.fromkeys(NAMES, np.nan))
    kernel[11, 5] = np.nan
    path = synthetic.write(tmp_path / "ESACCI-GHG-L2-CH4-GOSAT-OCPR-20141205-fv7.2.nc", variables, attributes)
    assert operator_rows(read_granule(path)) == [9, 10, 11]


def test_parts_of_different_length_make_the_granule_bad(tmp_path):
    with pytest.raises(FormatError, match="the kernel has 20 levels but there are 19 of weights, not 20"):
        lite_with(tmp_path, pressure_weight=lambda v: v[:, 1:])


@given(st.integers(0, 2**32 - 1), st.booleans(), st.integers(3, 30))
def test_sound_operators_have_no_fault(seed, layers, levels):
    pressure, weight, kernel, prior = operator(20, seed, layers=layers, levels=levels)
    column = (weight.astype(float) * prior).sum(1)
    faults, dot = check_identities(pressure, weight, kernel, prior, column)
    assert faults == {}
    np.testing.assert_allclose(dot, column, rtol=1e-12)


@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 19),
    st.sampled_from(["weight", "pressure", "kernel", "prior", "column"]),
)
def test_one_bad_row_is_found_and_no_other(seed, row, which):
    pressure, weight, kernel, prior = operator(20, seed)
    column = (weight.astype(float) * prior).sum(1)
    arrays = {"weight": weight, "pressure": pressure, "kernel": kernel, "prior": prior, "column": column}
    if which == "column":
        column[row] *= 1.001
    elif which == "pressure":
        pressure[row, 7] = pressure[row, 3]
    elif which == "weight":
        weight[row] *= 1.01
    else:
        arrays[which][row, 5] = np.nan
    faults, _ = check_identities(pressure, weight, kernel, prior, column)
    assert [np.flatnonzero(m).tolist() for m in faults.values()] == [[row]]


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_orient_equals_numpy(seed, flip):
    rng = np.random.default_rng(seed)
    stored = rng.choice(np.float32([1.5, -999999.0, 9.96921e36, np.nan]), (7, 5))
    found = stored.copy()
    k.orient(found, np.float32([-999999.0, 9.96921e36]), flip)
    wanted = np.where((stored == np.float32(-999999)) | (stored == np.float32(9.96921e36)), np.nan, stored)
    np.testing.assert_array_equal(found, wanted[:, ::-1] if flip else wanted)


def test_kernels_that_hold_the_weights_already_are_caught(tmp_path):
    variables, _ = synthetic.lite(40)
    weight = variables["pressure_weight"][0]
    granule = lite_with(tmp_path, xco2_averaging_kernel=lambda v: v * weight)
    assert operator_rows(granule) == list(range(40))
    assert any("they hold the pressure weights already" in note for note in granule.notes)


def test_both_kernels_of_the_real_l2_standard_are_told_apart(sample_data):
    path = next((sample_data / "satellite" / "acos_l2s").glob("*.h5"))
    with h5py.File(path) as file:
        plain, normalised = (file[f"RetrievalResults/xco2_avg_kernel{n}"][()] for n in ("", "_norm"))
    clean = np.zeros(len(plain), dtype=bool)
    assert kernel_fault(normalised, clean) == ""
    assert "hold the pressure weights already" in kernel_fault(plain, clean)


def test_few_layers_cannot_tell():
    assert kernel_fault(np.full((5, 4), 0.3), np.zeros(5, dtype=bool)) == ""
    assert kernel_fault(np.full((5, 20), 0.05), np.ones(5, dtype=bool)) == ""


@pytest.fixture(scope="module")
def odd_profiles():
    """Profiles of twelve thousand rows, some with each kind of fault."""
    rng = np.random.default_rng(3)
    rows, levels = 12_000, 20
    pressure = np.sort(rng.uniform(0, 1000, (rows, levels)), axis=1)[:, ::-1].astype(np.float32)
    weight = rng.dirichlet(np.ones(levels), rows).astype(np.float32)
    kernel = rng.normal(1, 0.3, (rows, levels)).astype(np.float32)
    prior = rng.normal(400, 3, (rows, levels)).astype(np.float32)
    column = (weight.astype(np.float64) * prior).sum(axis=1) * rng.choice([1.0, 1.0, 1.01], rows)
    column[:50] = np.nan
    pressure[100:200] = pressure[100:200, ::-1]
    weight[200:300, 3], weight[200:300, 4] = weight[200:300, 3:5].sum(axis=1) + np.float32(0.01), -0.01
    weight[300:400, 0] += np.float32(0.01)
    for values in (pressure, weight, kernel, prior):
        places = rng.integers(0, rows, 600), rng.integers(0, levels, 600)
        values[places] = rng.choice(np.float32([np.nan, np.inf, -1, 0, 1e5]), 600)
    return pressure, weight, kernel, prior, column


def test_arrays_and_loops_find_the_same_faults(odd_profiles):
    limits = (1e-3, 2e-3, 10.0, 1000.0)
    few = k.check(*odd_profiles, *limits)
    many = profile_loops.check(*odd_profiles, *limits)
    assert np.unique(few[0]).size == 8
    assert np.array_equal(few[0], many[0])
    for one, other in zip(few[1:], many[1:], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("flip", [False, True])
def test_arrays_and_loops_turn_alike(odd_profiles, flip):
    fills = np.float32([-1.0, 1e5])
    for values in odd_profiles[:4]:
        few, many = values.copy(), values.copy()
        k.orient(few, fills, flip)
        profile_loops.orient(many, fills, flip)
        assert np.array_equal(few, many, equal_nan=True)
        assert np.isnan(few).sum() > np.isnan(values).sum()


@pytest.mark.parametrize(
    ("name", "kernel"),
    [
        ("acos_lite/acos_LtCO2_090903*", "xco2_averaging_kernel"),
        ("gosat_ocpr/*20141205*", "xch4_averaging_kernel"),
        ("tropomi_blended/*_02834_*", "column_averaging_kernel"),
    ],
)
def test_a_kernel_turned_alone_gives_itself_away_on_real_files(sample_data, tmp_path, name, kernel):
    path = next((sample_data / "satellite").glob(name))
    sound = read_granule(path)
    assert not any("kernels are higher" in note for note in sound.notes)
    turned = tmp_path / path.name
    turned.write_bytes(path.read_bytes())
    turned.chmod(0o644)
    with h5py.File(turned, "r+") as file:
        file[kernel][...] = file[kernel][...][..., ::-1]
    granule = read_granule(turned)
    assert len(operator_rows(granule)) == granule.table.num_rows
    assert any("they run against the pressures" in note for note in granule.notes)


def test_kernels_of_a_product_nobody_knows_are_asked_about():
    _, weight, _, _ = operator(layers=True, levels=13)
    falling = np.tile(np.linspace(1.0, 0.5, 12, dtype=np.float32), (len(weight), 1))
    clean = np.zeros(len(weight), dtype=bool)
    assert turned_kernel(weight, falling, clean) == turned_kernel(weight, np.ones_like(falling), clean) == ""
    assert "higher at the top than at the ground" in turned_kernel(weight, falling[:, ::-1], clean)
