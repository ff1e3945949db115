"""Approach 1 against the worked example, approach 2 against exact moments, key categories, recalculations."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from obsnet.errors import FormatError, RangeError, SchemaError
from obsnet.inventory.uncertainty.approach1 import (
    approach1,
    approach1_table,
    lognormal_bounds,
    read_two_years,
)
from obsnet.inventory.uncertainty.key import key_categories, level_share, trend_share
from obsnet.inventory.uncertainty.meaning import half_width, relative_sd
from obsnet.inventory.uncertainty.montecarlo import province_covariance, province_draws, two_year_draws
from obsnet.inventory.uncertainty.recalculation import recalculated
from obsnet.inventory.uncertainty.report import key_lines
from obsnet.work.work import Work
from tests.obsnet.inventory.made import contract

WORKED = """category,gas,base,current,activity_uncertainty,factor_uncertainty
1.A.1 coal,CO2,400,520,5,7
1.A.3 diesel,CO2,60,90,7,2
2.A.1 cement,CO2,80,70,4,8
3.A,CH4,50,45,10,30
4.A,CH4,20,30,30,50
"""
# Columns G to M of the worked example, four digits.
COLUMNS = {
    "G": [8.6023, 7.2801, 8.9443, 31.6228, 58.3095],
    "H": [35.1030, 0.7531, 0.6877, 3.5525, 5.3682],
    "I": [0.04058, 0.02577, 0.04751, 0.02766, 0.00860],
    "J": [0.85246, 0.14754, 0.11475, 0.07377, 0.04918],
    "K": [0.2841, 0.0515, 0.3800, 0.8297, 0.4299],
    "L": [6.0278, 1.4606, 0.6491, 1.0433, 2.0865],
    "M": [36.4150, 2.1360, 0.5658, 1.7769, 4.5384],
}


@pytest.fixture
def worked(tmp_path):
    path = tmp_path / "worked.csv"
    path.write_text(WORKED, encoding="utf-8")
    return path


def test_worked_example(worked):
    found = approach1_table(read_two_years(worked))
    for column, values in COLUMNS.items():
        np.testing.assert_allclose(found.table[column], values, atol=6e-5)
    assert (found.base, found.current) == (610.0, 755.0)
    assert found.uncertainty == pytest.approx(6.7427, abs=5e-5)
    assert found.trend == pytest.approx(23.7705, abs=5e-5)
    assert found.trend_uncertainty == pytest.approx(6.7403, abs=5e-5)
    assert (found.lower, found.upper) == (-found.uncertainty, found.uncertainty)


def test_monte_carlo_of_the_worked_example(worked):
    """Within 0.05 points of two million draws: -6.66/+6.84 % and -6.43/+6.81 points."""
    drawn = two_year_draws(read_two_years(worked), draws=1_000_000, seed=3)
    low, high = (100 * (t / 755 - 1) for t in drawn.total)
    assert (low, high) == (pytest.approx(-6.66, abs=0.05), pytest.approx(6.84, abs=0.05))
    assert drawn.trend[0] - 23.7705 == pytest.approx(-6.43, abs=0.05)
    assert drawn.trend[1] - 23.7705 == pytest.approx(6.81, abs=0.05)


def test_command(worked):
    from obsnet import cli
    from obsnet.command import load

    app = cli._group(load("obsnet.commands.inventory:app"))
    done = CliRunner().invoke(app, ["uncertainty", str(worked), "--json"])
    data = json.loads(done.stdout)
    assert data["total_uncertainty"] == pytest.approx(6.7427, abs=5e-5)
    assert data["trend_uncertainty"] == pytest.approx(6.7403, abs=5e-5)
    done = CliRunner().invoke(app, ["uncertainty", str(worked), "--draws", "1000", "--language", "zh"])
    assert "蒙特卡罗" in done.stdout


def test_chinese_headings(tmp_path):
    path = tmp_path / "zh.csv"
    text = WORKED.replace(
        "category,gas,base,current,activity_uncertainty,factor_uncertainty",
        "类别,气体,基年,当年,活动数据不确定性,排放因子不确定性",
    )
    path.write_text(text, encoding="gbk")
    assert approach1_table(read_two_years(path)).uncertainty == pytest.approx(6.7427, abs=5e-5)


def test_correlations_between_years(worked):
    table = read_two_years(worked)
    assert table["factor_correlated"].all()
    assert not table["activity_correlated"].any()
    table["factor_correlated"] = False
    free = approach1_table(table)
    row = free.table.iloc[3]
    assert row["K"] == pytest.approx(row["J"] * 30 * math.sqrt(2))
    table["activity_correlated"] = True
    row = approach1_table(table).table.iloc[0]
    assert row["L"] == pytest.approx(row["I"] * 5)


_ROWS = st.lists(
    st.tuples(st.floats(1, 100), st.floats(1, 100), st.floats(0, 5), st.floats(0, 5)), min_size=2, max_size=6
)


def _trend_uncertainty(c, d, e, f):
    names = [str(k) for k in range(len(c))]
    return approach1(c, d, e, f, categories=names, gases=["CO2"] * len(c)).trend_uncertainty


@given(_ROWS)
def test_trend_is_the_sum_of_sensitivities(rows):
    """Factors shared by both years; both activities take the sensitivity of the current year, as the guidelines do."""
    c, d, e, f = map(np.array, zip(*rows, strict=True))
    derivative = (d * c.sum() - c * d.sum()) / c.sum() ** 2  # of D/C to a shared relative error
    squares = (derivative * f) ** 2 + 2 * (d / c.sum() * e) ** 2
    assert _trend_uncertainty(c, d, e, f) == pytest.approx(math.sqrt(squares.sum()), rel=0.02, abs=1e-6)


@given(_ROWS, st.floats(0.3, 3))
def test_trend_of_equal_growth_is_first_order_propagation(rows, growth):
    """Where all categories grow alike the two years' sensitivities are one, and shared factors drop out."""
    c, _, e, f = map(np.array, zip(*rows, strict=True))
    d = growth * c
    squares = (d / c.sum() * e) ** 2 + (d.sum() * c / c.sum() ** 2 * e) ** 2
    assert _trend_uncertainty(c, d, e, f) == pytest.approx(math.sqrt(squares.sum()), rel=0.02, abs=1e-6)


def test_wide_uncertainties_get_bounds_that_are_not_symmetric():
    found = approach1([10, 10], [10, 10], [150, 10], [150, 10], categories=["a", "b"], gases=["CH4", "CH4"])
    assert found.upper > -found.lower
    assert "Monte Carlo" in found.notes[0]
    rng = np.random.default_rng(1)
    sd = relative_sd(1.0, "95% half-width")
    sigma = math.sqrt(math.log1p(sd**2))
    draws = np.exp(sigma * rng.standard_normal(400_000) - sigma**2 / 2)
    np.testing.assert_allclose(
        np.quantile(draws, [0.025, 0.975]) - 1, np.array(lognormal_bounds(100.0)) / 100, atol=0.02
    )


def test_shares_for_percent_are_noticed():
    found = approach1([10], [10], [0.05], [0.1], categories=["a"], gases=["CO2"])
    assert "percent is wanted" in found.notes[0]


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("a,CO2,1,2,-5,3\n", RangeError, "activity_uncertainty of a is -5 %, below 0"),
        ("a,CO2,1,,5,3\n", RangeError, "current of a is missing"),
        ("a,CO2,1,many,5,3\n", RangeError, "'many' is not a number"),
        ("a,CO2,1,2,5,3\na,CO2,1,2,5,3\n", SchemaError, "category a of CO2 stands twice"),
        ("a,CO2,5,2,5,3\nb,CO2,-5,2,5,3\n", RangeError, "add up to 0"),
    ],
)
def test_faulty_tables(tmp_path, text, error, said):
    path = tmp_path / "t.csv"
    path.write_text(WORKED.splitlines()[0] + "\n" + text)
    with pytest.raises(error, match=said):
        approach1_table(read_two_years(path))


def test_missing_columns(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("category,gas,base\na,CO2,1\n")
    with pytest.raises(FormatError, match=r"lacks column current \(当年\), activity_uncertainty"):
        read_two_years(path)


def test_meanings_are_kept_apart():
    assert relative_sd(0.1, "sd") == 0.1
    assert half_width(relative_sd(0.1, "95% half-width")) == pytest.approx(0.1)
    with pytest.raises(SchemaError, match="needs its meaning"):
        relative_sd(0.1, "")


# --- provinces


def emissions(seed=0, provinces=31, fuels=20):
    return np.random.default_rng(seed).lognormal(1, 1, (provinces, fuels))


def test_shared_factors_do_not_average_out():
    """National sd = |sum E| x sigma_F in the limit of one factor; independent errors would be five times smaller."""
    e = emissions(fuels=1)
    shared = province_covariance(e, 0.0, 0.1)
    assert math.sqrt(shared.sum()) == pytest.approx(0.1 * e.sum())
    alone = province_covariance(e, 0.1, 0.0)
    assert math.sqrt(alone.sum()) < 0.5 * 0.1 * e.sum()
    correlation = shared / np.sqrt(np.outer(np.diag(shared), np.diag(shared)))
    np.testing.assert_allclose(correlation, 1.0)
    biased = province_covariance(emissions(), 0.0, 0.0, national_bias_sd=0.05)
    assert math.sqrt(biased.sum()) == pytest.approx(0.05 * emissions().sum())


@pytest.mark.parametrize("shape", ["normal", "lognormal"])
def test_draws_have_the_exact_covariance(shape):
    e = emissions(1, provinces=6, fuels=5)
    activity, factor = 0.1, np.array([0.05, 0.1, 0.2, 0.05, 0.3])
    drawn = province_draws(e, activity, factor, national_bias_sd=0.1, draws=60_000, seed=2, shape=shape)
    exact = province_covariance(e, activity, factor, national_bias_sd=0.1)
    np.testing.assert_allclose(drawn.totals.mean(axis=0), e.sum(axis=1), rtol=5e-3)
    scale = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    assert (np.abs(drawn.covariance - exact) / scale).max() < 0.04
    eigenvalues = np.linalg.eigvalsh(exact)
    assert eigenvalues.min() > 0


@pytest.mark.parametrize("shape", ["normal", "lognormal"])
def test_factors_that_err_together_between_fuels(shape):
    """Exact against draws; at 1 the relative errors of a province's fuels add, at 0 their squares do."""
    e = emissions(4, provinces=3, fuels=4)
    factor = np.array([0.1, 0.2, 0.05, 0.3])
    between = np.array([[1, 0.8, 0, 0], [0.8, 1, 0, 0], [0, 0, 1, 0.3], [0, 0, 0.3, 1.0]])
    exact = province_covariance(e, 0.1, factor, factor_correlation=between)
    drawn = province_draws(e, 0.1, factor, factor_correlation=between, draws=60_000, seed=5, shape=shape)
    scale = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    assert (np.abs(drawn.covariance - exact) / scale).max() < 0.04
    free = province_covariance(e, 0.1, factor)
    assert (np.abs(drawn.covariance - free) / scale).max() > 0.1  # the correlation tells
    together = province_covariance(e, 0.0, factor, factor_correlation=1.0)
    np.testing.assert_allclose(np.sqrt(np.diag(together)), e @ factor)
    alone = province_covariance(e, 0.0, factor)
    np.testing.assert_allclose(np.diag(alone), e**2 @ factor**2)


@pytest.mark.parametrize(
    ("correlation", "said"),
    [(np.eye(3), "found shape"), (-0.9, "no correlation"), (2 * np.eye(4), "1 on its diagonal")],
)
def test_no_correlation_of_factors(correlation, said):
    with pytest.raises((RangeError, SchemaError), match=said):
        province_covariance(emissions(fuels=4), 0.1, 0.1, factor_correlation=correlation)


def test_rows_that_share_a_factor_do_not_average_out(worked, tmp_path):
    """Two halves of coal under one factor are as uncertain as coal in one row; under two factors they are less so."""
    head = "category,gas,base,current,activity_uncertainty,factor_uncertainty,factor_group\n"
    half = "1.A.1 coal,CO2,50,100,0,10,{0}\n1.A.2 coal,CO2,50,100,0,10,{0}\n"
    found = {}
    for name in ("coal", ""):
        path = tmp_path / f"two{name}.csv"
        path.write_text(head + half.format(name), encoding="utf-8")
        table = read_two_years(path)
        found[name] = two_year_draws(table, draws=100_000, seed=1)
        assert any("share the factor 'coal'" in n for n in table.attrs["notes"]) == bool(name)
        assert approach1_table(table).uncertainty == pytest.approx(10 / math.sqrt(2))
    sd = relative_sd(0.1, "95% half-width")
    assert found["coal"].sd == pytest.approx(200 * sd, rel=0.01)
    assert found[""].sd == pytest.approx(200 * sd / math.sqrt(2), rel=0.01)
    assert found["coal"].trend == pytest.approx((100.0, 100.0))  # one factor in both years drops out
    path.write_text(head.replace("factor_group", "factor_group,factor_correlated") + half.format("coal,yes", 1)
                    .replace("coal,yes\n", "coal,no\n", 1), encoding="utf-8")  # fmt: skip
    with pytest.raises(FormatError, match="rows of factor_group coal differ in factor_correlated"):
        read_two_years(path)


def test_draws_do_not_depend_on_how_many_follow():
    e = emissions(3, 4, 3)
    few, many = (province_draws(e, 0.1, 0.1, draws=n, seed=7).totals for n in (1500, 4000))
    np.testing.assert_array_equal(few[:1000], many[:1000])


def test_percent_for_a_share():
    with pytest.raises(RangeError, match="shares, not percent"):
        province_draws(emissions(), 5.0, 0.1)


# --- key categories


def test_key_categories_of_the_worked_example(worked):
    table = read_two_years(worked)
    level = level_share(table["current"].to_numpy(float))
    trend = trend_share(table["base"].to_numpy(float), table["current"].to_numpy(float))
    np.testing.assert_allclose(level, [0.68874, 0.11921, 0.09272, 0.05960, 0.03974], atol=5e-6)
    np.testing.assert_allclose(trend, [0.04085, 0.02580, 0.04757, 0.02768, 0.00860], atol=5e-6)
    found = key_categories(table).set_index("category")
    assert found["level_rank"].idxmin() == "1.A.1 coal"
    assert found["trend_rank"].idxmin() == "2.A.1 cement"
    assert found["level_key"].tolist() == [True, True, True, True, False]
    assert not any(w in s for s in key_lines(found.reset_index(), "zh") for w in ("level", "trend"))
    weighted = key_categories(table, 2).set_index("category")
    np.testing.assert_allclose(weighted["level"], [0.501, 0.073, 0.070, 0.159, 0.196], atol=6e-4)
    assert weighted.loc["4.A", "level_rank"] == 2


def test_a_category_that_was_nothing_and_a_removal():
    trend = trend_share(np.array([10.0, 0.0]), np.array([10.0, 5.0]))
    assert trend[1] == pytest.approx(0.5)
    np.testing.assert_allclose(level_share(np.array([3.0, -1.0])), [0.75, 0.25])


# --- recalculation


def test_recalculations_are_listed_whatever_the_unit():
    old = contract(
        [
            ("110000", "2019", "CO2", "1.A", "IPCC2006", 100.0, "Mt"),
            ("110000", "2019", "CO2", "2.A", "IPCC2006", 5.0, "Mt"),
        ]
    )
    new = contract(
        [
            ("110000", "2019", "CO2", "1.A", "IPCC2006", 105000.0, "kt"),
            ("110000", "2019", "CO2", "2.C", "IPCC2006", 1.0, "Mt"),
        ]
    )
    found = recalculated(old, new).set_index("category")
    assert found.loc["1.A", "change"] == pytest.approx(5000.0)
    assert found.loc["2.A", "reason"] == "only in the old edition"
    assert found.loc["2.C", "reason"] == "only in the new edition"
    assert recalculated(old, old).empty


def test_a_change_is_split_into_activity_and_factor(tmp_path):
    from obsnet.inventory.account.compile import compile_inventory
    from obsnet.inventory.factors.choose import FactorBook
    from tests.obsnet.inventory.test_account import made

    balance = made(tmp_path)
    own = tmp_path / "mine.csv"
    own.write_text("quantity,item,value,unit\neffective,diesel,3.2,t CO2/t\n")
    a, b = (compile_inventory([balance], book) for book in (FactorBook(), FactorBook([own])))
    found = recalculated(a.inventory, b.inventory, a.trace, b.trace).set_index("category")
    assert (found["by_activity"] == 0).all()
    np.testing.assert_allclose(found["by_factor"], found["change"], rtol=1e-9)
    assert set(found["reason"]) == {"factor"}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            "1.A,CO2,460,610,5,7\n1.A.1,CO2,400,520,5,7\n",
            "1.A.1 of CO2 is a part of 1.A, which has a row too",
        ),
        ("1.A.1,CO2,400,520,5,7\n合计,CO2,400,520,5,7\n", "row 3: a total beside its categories"),
    ],
)
def test_rows_that_would_count_twice(tmp_path, rows, said):
    path = tmp_path / "t.csv"
    head = "category,gas,base,current,activity_uncertainty,factor_uncertainty\n"
    path.write_text(head + rows, encoding="utf-8")
    with pytest.raises(FormatError, match=said):
        read_two_years(path)
    path.write_text(head + "1.A.1,CO2,400,520,5,7\n1.A.1,CO2,60,90,7,2\n1.A,CH4,1,1,5,5\n")
    assert any("1.A.1 of CO2 stands more than once" in n for n in read_two_years(path).attrs["notes"])


def test_draws_are_the_same_bit_for_bit_wherever_they_are_made(worked):
    table, e = read_two_years(worked), emissions()
    here, there = (Work(scheduler=s, workers=2) for s in ("serial", "processes"))
    one, other = (two_year_draws(table, draws=25_000, seed=3, work=w) for w in (here, there))
    np.testing.assert_array_equal(one.categories, other.categories)
    for name in ("total", "trend", "mean", "trend_mean", "sd", "draws"):
        assert getattr(one, name) == getattr(other, name)
    one, other = (province_draws(e, 0.1, 0.2, draws=2_500, seed=7, work=w).totals for w in (here, there))
    np.testing.assert_array_equal(one, other)
    assert one.shape == (2_500, len(e))
