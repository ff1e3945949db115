"""An annual inventory meets an annual total; anything else is asked for and said."""

from itertools import pairwise

import numpy as np
import pytest

from obsnet.crosscheck.compared.periods import TimeChoice, match_periods
from obsnet.errors import ConfigError
from obsnet.inventory.period import Period, read_period


def bounds(*edges):
    times = [np.datetime64(e, "us") for e in edges]
    return [Period(a, b) for a, b in pairwise(times)]


YEAR = bounds("2015-01-01", "2016-01-01")
MONTHS = bounds(*(f"2015-{m:02d}-01" for m in range(1, 13)), "2016-01-01")
TWO_YEARS = bounds("2015-01-01", "2017-01-01")
WEEKS = bounds(*(np.datetime64("2014-12-29") + 7 * np.arange(54)))


def match(there, stated, asked=None, **choice):
    return match_periods(there, read_period(stated), asked, TimeChoice(**choice))


@pytest.mark.parametrize(
    ("there", "stated", "periods"),
    [
        (YEAR, "2015", (0,)),
        (MONTHS, "2015", tuple(range(12))),
        (MONTHS, "2015-03", (2,)),
        (MONTHS, "2015-06/2015-08", (5, 6, 7)),
    ],
)
def test_periods_that_make_up_the_inventorys(there, stated, periods):
    found = match(there, stated)
    assert found.periods == periods
    assert not found.barred.en
    assert not found.remarks
    assert not found.profiled


def test_weeks_nearly_make_up_a_year():
    found = match(WEEKS, "2015")
    assert len(found.periods) == 53
    assert found.remarks[0].en == "the inversion's 2014-12-29 to 2016-01-04 stands for the inventory's 2015"
    assert not found.barred.en


@pytest.mark.parametrize(
    ("there", "stated", "asked"),
    [
        (MONTHS[:1], "2015", None),  # January only
        (MONTHS[:11], "2015", None),
        (MONTHS, "2015", (0,)),
        (MONTHS, "2015", (5, 6, 7)),
        (YEAR, "2015-01", None),  # a month's inventory and a year's inversion
        (TWO_YEARS, "2015", None),
        (YEAR, "2014/2016", None),
    ],
)
def test_another_time_is_not_comparable_unless_a_profile_is_stated(there, stated, asked):
    found = match(there, stated, asked)
    assert found.barred.en.startswith("not comparable")
    assert "--profile" in found.barred.en
    flat = match(there, stated, asked, profile="flat")
    assert not flat.barred.en
    assert flat.profiled
    assert flat.remarks[0].en.endswith("as if its rate were the same all the time, taken as exact")
    doubted = match(there, stated, asked, profile="flat", profile_uncertainty=0.1)
    assert doubted.remarks[0].en.endswith("(± 10%)")


def test_the_priors_profile_needs_the_whole_time():
    found = match(MONTHS, "2015", (5, 6, 7), profile="prior")
    assert found.periods == (5, 6, 7)
    assert found.whole == tuple(range(12))
    with pytest.raises(ConfigError, match="known for 2015-01-01 to 2015-02-01 only"):
        match(MONTHS[:1], "2015", profile="prior")


def test_another_year():
    with pytest.raises(ConfigError, match="inventory is of 2019, the inversion of 2015: .*--other-year"):
        match(YEAR, "2019")
    found = match(MONTHS, "2019", other_year=True)
    assert found.periods == tuple(range(12))
    assert found.remarks[0].en == "inventory of 2019 held against the inversion's 2015"
    assert match(MONTHS, "2019-07", other_year=True).periods == (6,)
    january = match(MONTHS[:1], "2019", other_year=True)
    assert january.barred.en
    with pytest.raises(ConfigError, match="of that time"):
        match(MONTHS, "2015-01", (5,))


def test_a_winter_of_another_year_meets_the_winter():
    there = bounds("2014-11-01", "2014-12-01", "2015-01-01", "2015-02-01", "2015-03-01")
    assert match(there, "2018-12/2019-02", other_year=True).periods == (1, 2, 3)
