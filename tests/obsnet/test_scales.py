"""Calibration scales of observation tables: however they are spelled, several are counted and refused."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.errors import ScaleError
from obsnet.scales import one_scale, scale_counts, single_scale


def table(*scales):
    return pa.table({"scale": pa.array(scales, pa.string())})


@pytest.mark.parametrize(
    ("scales", "one"),
    [
        (("X2019", "WMO CO2 X2019", "co2_x2019", None, "unknown", ""), "X2019"),
        (("WMO CH4 X2004A", "X2004A"), "X2004A"),
        (("TU-87", "tu-87"), "TU-87"),
        ((None, "unknown"), None),
        ((), None),
    ],
)
def test_one_scale_in_several_spellings(scales, one):
    assert one_scale(table(*scales), "rows") == one
    assert one_scale(pa.table({"scale": table(*scales)["scale"].dictionary_encode()}), "rows") == one


def test_several_are_counted_and_the_text_says_how_to_mend_it():
    rows = table(*["X2007"] * 3, "WMO CO2 X2019", *[None] * 2)
    assert scale_counts(rows) == {"X2007": 3, "X2019": 1, "": 2}
    with pytest.raises(ScaleError) as refused:
        one_scale(rows, "CO2 observations of store")
    assert str(refused.value) == (
        "CO2 observations of store are on several calibration scales: X2007 (3 rows), X2019 (1 rows); 2 rows name "
        "none. Name sources of one scale only, or bring them to one: satellites with `obsnet ingest --x2019`, "
        "stations with `obsnet station scale --to X2019`"
    )


@pytest.mark.parametrize("pair", [("X2004", "X2004A"), ("X2019", "SIO-16"), ("X2019", "uncalibrated")])
def test_near_names_are_different_scales(pair):
    with pytest.raises(ScaleError):
        one_scale(table(*pair), "rows")


@given(st.lists(st.sampled_from(["X2007", "WMO CO2 X2007", "X2019", "SIO-16", None, ""]), max_size=20))
def test_counts_add_up_and_order_does_not_matter(scales):
    counts = scale_counts(table(*scales))
    assert sum(counts.values()) == len(scales)
    assert counts == scale_counts(table(*reversed(scales)))
    named = {s for s in counts if s}
    if len(named) > 1:
        with pytest.raises(ScaleError):
            single_scale(counts, "rows")
    else:
        assert single_scale(counts, "rows") == (named.pop() if named else None)
