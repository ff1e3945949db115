"""The contracts: what is refused, what is flagged, what comes back."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from obsnet import schema
from obsnet.constants import species
from obsnet.errors import RangeError, SchemaError
from obsnet.schema import Quality
from tests.obsnet.observations import columns, table


def test_quality_bits_are_distinct_and_named():
    assert len({int(f) for f in Quality}) == len(Quality)
    assert all(int(f).bit_count() == 1 for f in Quality)
    assert Quality.names(Quality.RANGE | Quality.SPIKE) == ["range", "spike"]
    assert Quality.names(0) == []


def test_table_has_the_contract_in_order():
    made = table(levels=3)
    assert made.column_names == schema.OBSERVATIONS.schema.names
    assert made.schema.metadata[b"obsnet:contract"] == b"observations"
    assert schema.unit_of(made) == "1e-6"
    assert pc.unique(made["species"]).to_pylist() == ["CO2"]


@given(
    hnp.arrays(
        np.float32, st.tuples(st.integers(1, 6), st.integers(1, 8)), elements=st.floats(-1e3, 1e3, width=32)
    )
)
def test_profiles_round_trip(values):
    np.testing.assert_array_equal(schema.profile_array(schema.profile_column(values)), values)
    chunked = pa.chunked_array([schema.profile_column(values), schema.profile_column(values)])
    np.testing.assert_array_equal(schema.profile_array(chunked), np.vstack([values, values]))


def test_profiles_of_several_lengths_are_refused():
    with pytest.raises(SchemaError, match="lengths \\[2, 3\\]"):
        schema.profile_array(pa.array([[1.0, 2.0], [1.0, 2.0, 3.0]], schema._PROFILE))
    assert schema.profile_array(pa.chunked_array([], type=schema._PROFILE)).shape == (0, 0)


@pytest.mark.parametrize(
    ("changes", "bit"),
    [
        ({"value": [np.nan, 410, 410, 410]}, Quality.RANGE),
        ({"value": [410e-6, 410, 410, 410]}, Quality.RANGE),
        ({"latitude": [np.nan, 0, 0, 0]}, Quality.GEOLOCATION),
        ({"latitude": [91, 0, 0, 0]}, Quality.GEOLOCATION),
        ({"longitude": [-999.0, 0, 0, 0]}, Quality.GEOLOCATION),
        (
            {"time": np.array(["NaT", "2019-01-01", "2019-01-01", "2019-01-01"], "datetime64[us]")},
            Quality.TIME,
        ),
        ({"land_fraction": [100, 1, 0, np.nan]}, Quality.RANGE),
        ({"land_fraction": [-0.5, 1.0000001, 0.3, np.nan]}, Quality.RANGE),
        ({"n": np.array([-1, 0, 1, 20])}, Quality.RANGE),
        ({"intake_height_m": [1e6, 10, -1, np.nan]}, Quality.GEOLOCATION),
        ({"uncertainty_systematic": [np.inf, 0, 1, np.nan]}, Quality.UNCERTAINTY),
        ({"prior_column": [-999.0, 400, 410, np.nan]}, Quality.OPERATOR),
        ({"corner_latitude": np.array([[9e36, 0, 1, 1], *[[0, 0, 1, 1]] * 3])}, Quality.GEOLOCATION),
        ({"corner_longitude": np.array([[9e36, 0, 1, 1], *[[180, 180, 181, 181]] * 3])}, Quality.GEOLOCATION),
        ({"time_start": np.array(["2030-01-01", *["2001-01-01"] * 3], "datetime64[us]")}, Quality.TIME),
        ({"time_end": np.array(["2001-01-01", "NaT", *["2030-01-01"] * 2], "datetime64[us]")}, Quality.TIME),
    ],
)
def test_impossible_rows_are_flagged_and_kept(changes, bit):
    made = table(kind="column", **changes)
    assert made["quality"].to_pylist() == [int(bit), 0, 0, 0]


@pytest.mark.parametrize("name", ["CO2", "CH4"])
@pytest.mark.parametrize("kind", ["column", "point"])
def test_the_limits_themselves_are_inside(name, kind):
    low, high = species(name).valid_range(kind)
    less, more = np.nextafter(low, -np.inf), np.nextafter(high, np.inf)
    made = table(species=name, kind=kind, value=[low, high, less, more])
    assert [bool(q & Quality.RANGE) for q in made["quality"].to_pylist()] == [False, False, True, True]
    for value in (less, more):
        wrong = made.set_column(
            made.schema.get_field_index("quality"), "quality", pa.array([0, 0, 0, 0], pa.uint32())
        )
        wrong = wrong.set_column(
            wrong.schema.get_field_index("value"), "value", pa.array([low, high, low, value])
        )
        with pytest.raises(RangeError, match="check the unit"):
            schema.check_observations(wrong)


def test_longitudes_come_inside():
    made = table(longitude=[190.0, 180.0, 359.0, -180.0])
    assert made["longitude"].to_pylist() == [-170.0, -180.0, -1.0, -180.0]


def test_a_flag_given_is_kept():
    made = table(quality=[Quality.PRODUCER, 0, 0, 0], value=[np.nan, 410, 410, 410])
    assert made["quality"].to_pylist()[0] == Quality.PRODUCER | Quality.RANGE


def test_missing_and_unknown_columns():
    good = table()
    with pytest.raises(SchemaError, match="lacks platform"):
        schema.check(good.drop_columns(["platform"]), schema.OBSERVATIONS)
    with pytest.raises(SchemaError, match="store.parquet: .*unknown column 'valeu'; nearest: 'value'"):
        schema.check(good.append_column("valeu", good["value"]), schema.OBSERVATIONS, "store.parquet")
    assert schema.check(good.drop_columns(["mode"]), schema.OBSERVATIONS)["mode"].null_count == 4


def test_types_and_nulls():
    good = table()
    text = good.set_column(good.column_names.index("value"), "value", pa.array(list("abcd")))
    with pytest.raises(SchemaError, match="observations.value is string"):
        schema.check(text, schema.OBSERVATIONS)
    holes = good.set_column(good.column_names.index("obs_id"), "obs_id", pa.array(["a", None, "b", "c"]))
    with pytest.raises(SchemaError, match="obs_id has 1 nulls"):
        schema.check(holes, schema.OBSERVATIONS)


def test_one_species_one_unit():
    both = pa.concat_tables(
        [table(), table(species="CH4", kind="column", value=[1800.0] * 4)], promote_options="permissive"
    )
    with pytest.raises(SchemaError, match="holds one species, found CH4, CO2"):
        schema.check_observations(both)
    wrong = table().replace_schema_metadata({b"obsnet:unit": b"1e-9"})
    with pytest.raises(SchemaError, match="CO2 values are kept in 1e-6, the table says 1e-9"):
        schema.check_observations(wrong)
    with pytest.raises(SchemaError, match="does not name the unit"):
        schema.check_observations(table().replace_schema_metadata({}))


def test_a_good_row_out_of_range_is_an_error():
    good = table(kind="column")
    bad = good.set_column(good.column_names.index("value"), "value", pa.array([410e-6] * 4))
    with pytest.raises(
        RangeError,
        match="marked for use span 0.00041 to 0.00041 ppm, outside 300 to 600; check the unit",
    ):
        schema.check_observations(bad)


def test_kernels_need_their_priors():
    good = table(levels=3)
    bare = good.drop_columns(["prior_profile"])
    with pytest.raises(SchemaError, match="also need prior_profile"):
        schema.check_observations(bare)


def test_kind_is_one_of_two():
    with pytest.raises(SchemaError, match="'column' or 'point', found 'cube'"):
        table(kind="cube")


@given(st.permutations(range(6)))
def test_order_of_rows_does_not_matter(order):
    base = columns(rows=6)
    mixed = {k: np.asarray(v)[list(order)] for k, v in base.items()}
    one = table(rows=6).sort_by("obs_id")
    other = schema.observation_table(
        mixed, species="CO2", kind="point", source="test_v1", file_id="f00d"
    ).sort_by("obs_id")
    assert one.equals(other)
