"""Which rows are under test: everything that could be read in two ways is refused, and says how to settle it."""

import numpy as np
import pandas as pd
import pytest

from obsnet.crosscheck.compared.inventory_rows import RowChoice, choose_rows
from obsnet.errors import ConfigError, FormatError, RangeError, RegionError, SchemaError, UnitError

REGIONS = ("110000", "120000", "130000", "outside")
BASE = {
    "region": "110000",
    "period": "2015",
    "gas": "CO2",
    "category": "total",
    "terminology": "CEADs",
    "value": 89.0,
    "unit": "Mt",
    "uncertainty": 0.05,
    "source": "x",
    "edition": "y",
}


def table(*rows):
    """Return rows that differ from the base by the given columns."""
    return pd.DataFrame([BASE | row for row in rows])


TIANJIN = {"region": "120000", "value": 158.0}


def choose(frame, **choice):
    return choose_rows(frame, "CO2", "fossil", REGIONS, RowChoice(**choice))


def test_plain_totals():
    found = choose(table({}, TIANJIN))
    np.testing.assert_allclose(found.value, [89.0, 158.0, np.nan, np.nan])
    np.testing.assert_allclose(found.sd, [4.45, 7.9, np.nan, np.nan])
    assert (found.category, found.terminology, found.source, str(found.period)) == (
        "total",
        "CEADs",
        "x y",
        "2015",
    )
    assert not any(found.remarks.values())


REFUSED = {
    "co2 and c of one region": (
        ({}, {"gas": "C", "value": 30.0}, TIANJIN),
        SchemaError,
        r"rows of CO2 and of C \(110000 as C\).*--gas",
    ),
    "co2 and c of two regions": (({}, TIANJIN | {"gas": "C"}), SchemaError, r"CO2 and of C.*--gas"),
    "lower case carbon": (({}, TIANJIN | {"gas": " c "}), SchemaError, "CO2 and of C"),
    "a region twice, by terminology": (
        ({}, {"terminology": "IPCC2006"}, TIANJIN),
        ConfigError,
        r"mixes terminologies.*CEADs \(110000\), IPCC2006 \(110000\).*--terminology",
    ),
    "a region twice, the same": (({}, {"value": 90.0}, TIANJIN), SchemaError, "2 rows share region"),
    "a region twice, by spelling": (
        ({}, {"region": " 110000", "value": 90.0}),
        SchemaError,
        "2 rows share region",
    ),
    "a region twice, by the period's spelling": (
        ({}, {"period": "2015-01/2015-12", "value": 90.0, "source": "z"}),
        SchemaError,
        "2 totals for region 110000: 89 Mt of x; 90 Mt of z",
    ),
    "a region twice, by the category's spelling": (
        ({"category": "1.A"}, {"category": "1.A.", "value": 90.0}),
        SchemaError,
        "2 rows share region, period, gas, category",
    ),
    "total for some regions": (
        ({}, TIANJIN | {"category": "1.A"}, TIANJIN | {"category": "2.A", "value": 18.0}),
        ConfigError,
        r"not for 120000 \(120000 has 1.A, 2.A\).*--category total",
    ),
    "two terminologies": (
        ({"category": "4", "terminology": "IPCC2006"}, TIANJIN | {"category": "4", "terminology": "CRT"}),
        ConfigError,
        r"IPCC2006 \(110000\), CRT \(120000\)",
    ),
    "a terminology and none": (
        ({}, TIANJIN | {"terminology": ""}),
        ConfigError,
        r"CEADs .*\(none\) \(120000\)",
    ),
    "one category": (
        ({"category": "2.A.1"}, TIANJIN | {"category": "2.A.1"}),
        ConfigError,
        "category 2.A.1 only.*--category 2.A.1",
    ),
    "categories without a total": (
        ({"category": "energy"}, {"category": "waste"}),
        ConfigError,
        "categories energy, waste and no row 'total'.*--category",
    ),
    "a negative total": (({"value": -3.0},), RangeError, "110000 is negative.*--negative"),
    "several periods": (({}, TIANJIN | {"period": "2016"}), ConfigError, "choose a year: 2015, 2016"),
    "no uncertainty": (({"uncertainty": np.nan},), ConfigError, "states no uncertainty for 110000"),
    "uncertainty in percent": (({"uncertainty": 5.0},), RangeError, "row 2: uncertainty is above 3"),
    "uncertainty as text": (
        ({}, TIANJIN | {"uncertainty": "about 5"}),
        RangeError,
        "row 3: uncertainty is not a number",
    ),
    "uncertainty below 0": (({"uncertainty": -0.1},), RangeError, "row 2: uncertainty below 0"),
    "another gas": (({"gas": "CH4"},), ConfigError, "no row for CO2; it has CH4"),
    "equivalents": (({"gas": "CO2e"},), ConfigError, "no row for CO2; it has CO2E"),
    "no gas": (({"gas": None},), FormatError, "row 2: gas is empty"),
    "no category": (({}, TIANJIN | {"category": ""}), FormatError, "row 3: category is empty"),
    "no region": (({"region": np.nan},), FormatError, "row 2: region is empty"),
    "no number": (({"value": "many"},), RangeError, "row 2: value is not a number"),
    "an infinite value": (({"value": np.inf},), RangeError, "row 2: value is not a number"),
    "no time": (({"period": "last year"},), FormatError, "period 'last year' is no time"),
    "carbon in the unit": (({"unit": "Mt C"},), UnitError, "Mt C"),
    "no mass": (({"unit": "TJ"},), UnitError, "TJ"),
    "a strange region": (
        ({"region": "110001"},),
        RegionError,
        "'110001' is not in the inversion; nearest: '110000'",
    ),
    "outside": (({"region": "outside"},), RegionError, "'outside' is not in the inversion"),
    "a month's mass": (({"period": "2015-01"},), ConfigError, "may be meant a year or in that time.*--per"),
    "several years' mass": (({"period": "2015/2017"},), ConfigError, "Mt of 2015/2017 may be meant a year"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    rows, error, text = REFUSED[name]
    with pytest.raises(error, match=text):
        choose(table(*rows))


def test_order_of_rows_does_not_matter_for_a_refusal():
    """On the old code the last of two rows of one region won."""
    for rows in (({}, {"gas": "C", "value": 30.0}), ({"gas": "C", "value": 30.0}, {})):
        with pytest.raises(SchemaError, match="44/12 apart"):
            choose(table(*rows))


@pytest.mark.parametrize(
    ("rows", "choice", "value"),
    [
        (({}, {"gas": "C", "value": 30.0}), {"gas": "c"}, 30.0 * 44.0095 / 12.0107),
        (({}, {"gas": "C", "value": 30.0}), {"gas": "CO2"}, 89.0),
        (({}, {"terminology": "CRT", "value": 91.0}), {"terminology": "crt"}, 91.0),
        (({"category": "2.A.1", "value": 2.8},), {"category": "2.a.1"}, 2.8),
        (({}, {"period": "2016", "value": 95.0}), {"period": "2016"}, 95.0),
        (({}, {"period": "2016", "value": 95.0}), {"period": "2016-01/2016-12"}, 95.0),
        (({"value": -3.0},), {"negative": True}, -3.0),
        (({"period": "2015-01"},), {"per": "year"}, 89.0),
        (({"period": "2015-01", "unit": "Mt yr-1"},), {}, 89.0),
        (({"period": "2015-01", "value": 7.0},), {"per": "period"}, 7.0 * 365.2425 / 31),
        (({"value": 8900.0, "unit": "万吨"},), {}, 89.0),
        (({"gas": "C", "value": 30.0},), {}, 30.0 * 44.0095 / 12.0107),
    ],
)
def test_asked_for(rows, choice, value):
    found = choose(table(*rows), **choice)
    assert found.value[0] == pytest.approx(value)
    assert found.sd[0] == pytest.approx(0.05 * abs(value))


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        ({"gas": "CH4"}, "--gas 'CH4': the inversion is of CO2"),
        ({"category": "3"}, "no category '3'; there is: 'total'"),
        ({"terminology": "CEAD"}, "no terminology 'CEAD'; nearest: 'CEADs'"),
        ({"period": "2014"}, "no period '2014'; it has 2015"),
    ],
)
def test_choices_that_are_not_there(choice, text):
    with pytest.raises(ConfigError, match=text):
        choose(table({}), **choice)


def test_what_was_chosen_is_said():
    cement = {"category": "2.A.1", "terminology": "CRT"}
    frame = table(cement | {"uncertainty": None}, TIANJIN | cement | {"uncertainty": 0.0})
    found = choose(frame, category="2.A.1", uncertainty=0.2)
    assert [r.en for r in found.remarks["110000"]] == [
        "category 2.A.1 CRT of the inventory stands for the sector fossil",
        "uncertainty 20% given for it, the inventory states none",
    ]
    assert found.remarks["120000"][1].en == "the inventory states no error at all"
    assert (found.category, found.terminology) == ("2.A.1", "CRT")


def test_regions_that_have_something_else_say_what():
    frame = table({}, TIANJIN | {"category": "1.A"}, {"region": "130000", "period": "2014"})
    found = choose(frame, period="2015", category="total")
    assert found.absent["120000"].en == "no inventory of total 2015; it has CO2 1.A 2015"
    assert found.absent["130000"].en == "no inventory of total 2015; it has CO2 total 2014"
    assert "110000" not in found.absent


def test_columns_that_may_be_missing():
    frame = table({}).drop(columns=["category", "terminology", "source", "edition"])
    found = choose(frame)
    assert (found.category, found.terminology, found.source) == ("total", "", "")
    with pytest.raises(FormatError, match="lacks column unit"):
        choose(table({}).drop(columns="unit"))


def test_numbers_as_keys():
    found = choose(table({"region": 110000, "period": 2015}))
    assert found.value[0] == pytest.approx(89.0)
