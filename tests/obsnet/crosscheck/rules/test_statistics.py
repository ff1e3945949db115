"""Statistics beside the verdict: known answers, identities with the verdict, rates over drawn truths."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from obsnet.crosscheck.rules.published import is_national, requirement, self_check
from obsnet.crosscheck.rules.statistics import chi_square, common_error, negative_variance, plain_statistics
from obsnet.crosscheck.rules.verdict import judge
from obsnet.crosscheck.verdicts.table import Choices, check, compare, read_totals
from obsnet.regions import PROVINCES
from tests.obsnet.crosscheck.verdicts.test_table import inventory, posterior

ONE = np.eye(1)


def plain(t, var, i, s, kernel=0.9, prior=900.0, shared=0.0):
    found = plain_statistics(
        ONE, np.array([t]), np.array([var]), kernel * ONE, prior * ONE, np.array([i]), np.array([s]), shared
    )
    return [float(v[0]) for v in (found.z, found.e_n, found.log_ratio, found.log_ratio_sd)]


@pytest.mark.parametrize("small", [0.0, 1e-14])
def test_what_does_not_vary_varies_with_nothing(small):
    """(1, b) has the variance 1 + 2 b c + b^2 small, which is negative for b = -1 / c."""
    matrix = np.array([[1.0, 1e-4], [1e-4, small]])
    assert "a variance of zero with a covariance of 0.0001" in negative_variance(matrix, 1e-6)
    true = np.sqrt(small) * np.array([[0.0, 1.0], [1.0, 0.0]]) + np.diag([1.0, small])
    assert negative_variance(true, 1e-6) == ""


def test_z_and_en():
    z, e_n, *log = plain(110.0, 25.0, 100.0, 5.0)
    assert z == pytest.approx(10 / np.sqrt(50))
    assert e_n == pytest.approx(10 / np.hypot(10.0, 10.0))  # expanded uncertainties of 10 and 10
    assert np.isnan(log).all()


def test_an_inventory_that_was_the_prior():
    """C = 900, r = 100: A = 0.9, S = 90, and var(ta - tb) = A C = 810, not 990."""
    z = plain(110.0, 90.0, 100.0, 30.0, shared=1.0)[0]
    assert z == pytest.approx(10 / np.sqrt(810))
    assert plain(110.0, 90.0, 100.0, 30.0)[0] == pytest.approx(10 / np.sqrt(990))


def test_nothing_observed_and_the_inventory_is_the_prior():
    """A = 0: posterior and inventory are one number, the difference has no variance and z is nothing."""
    assert np.isnan(plain(100.0, 900.0, 100.0, 30.0, kernel=0.0, shared=1.0)[0])


def test_the_log_ratio_where_errors_are_large():
    *_, ratio, sd = plain(130.0, 65.0**2, 100.0, 10.0)
    assert ratio == pytest.approx(np.log(1.3))
    assert sd == pytest.approx(np.sqrt(np.log(1.25) + np.log(1.01)))
    assert np.isnan(plain(-130.0, 65.0**2, 100.0, 10.0)[2])


def together(n, d, noise, s, common):
    eye = np.eye(n)
    return chi_square(
        weights=eye,
        pattern=eye,
        prior=np.zeros(n),
        posterior=d,
        kernel=eye,
        noise=noise * eye,
        prior_covariance=900.0 * eye,
        inventory=np.zeros(n),
        inventory_covariance=common_error(np.full(n, s), common),
    )


def test_chi_square_in_closed_form():
    """V = 25 I + 16 J of three: inverse is (I - 16 / (25 + 48) J) / 25."""
    d = np.array([3.0, -1.0, 4.0])
    found = together(3, d, 25.0, 4.0, 1.0)
    assert found.value == pytest.approx((d @ d - 16 / 73 * d.sum() ** 2) / 25)
    assert found.freedom == 3
    assert together(3, d, 25.0, 4.0, 0.0).value == pytest.approx(d @ d / 41)
    # 7.815 is the 95 % quantile of three degrees of freedom
    at = np.sqrt(7.8147279 * 41 / 3) * np.ones(3)
    assert together(3, at, 25.0, 4.0, 0.0).p == pytest.approx(0.05, abs=1e-6)


def test_chi_square_of_what_is_wholly_correlated_has_fewer_degrees():
    found = together(3, np.full(3, 2.0), 0.0, 4.0, 1.0)
    assert (found.freedom, found.value) == (1, pytest.approx(0.25))


@pytest.mark.parametrize("shared", [0.0, 0.7])
def test_one_inventory_is_the_verdicts_test(shared):
    """Random kernel and covariances over four totals, of which two make up the tested region."""
    rng = np.random.default_rng(3)
    root = rng.standard_normal((4, 4))
    args = {
        "prior": rng.uniform(50, 100, 4),
        "posterior": rng.uniform(50, 100, 4),
        "noise": root @ root.T,
        "kernel": 0.5 * np.eye(4) + 0.2 * rng.standard_normal((4, 4)),
        "prior_covariance": 100 * np.eye(4) + 20.0,
    }
    w = np.array([[0.4, 0.6, 0, 0]])
    u = np.array([[1.0, 1, 0, 0]]) * (w @ args["prior_covariance"])
    found = chi_square(
        weights=w,
        pattern=u,
        inventory=np.array([90.0]),
        inventory_covariance=np.array([[81.0]]),
        shared=shared,
        **args,
    )
    one = judge(
        prior=args["prior"],
        posterior=args["posterior"],
        averaging_kernel=args["kernel"],
        noise_covariance=args["noise"],
        prior_covariance=args["prior_covariance"],
        inventory=np.array([90.0]),
        inventory_sd=np.array([9.0]),
        weights=w,
        pattern=u,
        shared=shared,
    )
    assert found.value == pytest.approx(float((one.difference / one.sd)[0] ** 2))
    assert found.freedom == 1


def test_rates_over_drawn_truths():
    """Eight provinces over three months, inventories that err together: p is uniform, and a wrong one is found."""
    path = Path(__file__).resolve().parents[4] / "scripts" / "calibrate_verdicts.py"
    spec = importlib.util.spec_from_file_location("calibrate_verdicts", path)
    script = importlib.util.module_from_spec(spec)
    sys.modules["calibrate_verdicts"] = script
    spec.loader.exec_module(script)
    world = script.World(regions=8, months=3, tau=2.0, error=0.07)
    made = script.invert(world)
    weights, own = script.weights_of(world, "year")
    scenario = script.Scenario("right", world, together=True)
    p, wrong = [], []
    for k in range(1500):
        one = script.draw(scenario, made, weights, np.random.default_rng([9, k]))
        args = {
            "weights": weights,
            "pattern": own * (weights @ made.covariance),
            "prior": made.prior,
            "posterior": one.posterior,
            "kernel": made.kernel,
            "noise": made.noise,
            "prior_covariance": made.covariance,
            "inventory_covariance": common_error(np.full(8, script.OWN_SD), 1.0),
        }
        p.append(chi_square(inventory=one.right, **args).p)
        wrong.append(chi_square(inventory=one.right + 40.0 * (np.arange(8) == 3), **args).p)
    del sys.modules["calibrate_verdicts"]
    rate = np.mean(np.array(p) < 0.05)
    assert rate == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 1500))
    assert np.mean(p) == pytest.approx(0.5, abs=4 / np.sqrt(12 * 1500))
    assert np.mean(np.array(wrong) < 0.05) > 0.9


def test_requirements():
    assert requirement(["370000"]) == 0.30
    assert requirement(list(PROVINCES)) == 0.10
    assert is_national(list(PROVINCES)[:30])
    assert not is_national(list(PROVINCES)[:29])
    assert not is_national([f"r{k}" for k in range(40)])


def test_a_run_that_is_surer_than_published():
    said = self_check(400.0)
    assert "± 400 Mt" in said.en
    assert "7,860 ± 1,130" in said.zh
    assert "[invert.error]" in said.en
    assert self_check(1000.0) is None
    assert self_check(float("nan")) is None


def test_the_published_numbers_are_those_of_the_country_table(sample_data):
    """OCO-2 v10 MIP, China, mean of 2015 to 2020."""
    import pandas as pd

    from obsnet.crosscheck.words import say

    path = sample_data / "posteriors" / "ceos_country_budgets" / "pilot_topdown_CO2_Budget_countries_v1.csv"
    table = pd.read_csv(path, skiprows=52) if not path.read_text().startswith('"Alpha') else pd.read_csv(path)
    row = table[(table["Alpha 3 Code"] == "CHN") & (table["Year"] == "mean")].iloc[0]
    text = say("surer than published", sd="1").en
    assert f"{row['LNLGIS NCE (TgCO2)']:,.0f} ± {row['LNLGIS NCE unc (TgCO2)']:,.0f}" in text
    assert f"fossil {row['FF (TgCO2)']:,.0f} ± {row['FF unc (TgCO2)']:,.0f}" in text


def test_in_the_table(tmp_path):
    found = check(read_totals(posterior(tmp_path / "p.nc")), inventory(value=[100.0, 200.0]))
    np.testing.assert_allclose(found.table["z"], [10 / np.sqrt(50), 20 / np.hypot(5, 10)])
    np.testing.assert_allclose(found.table["e_n"], found.table["z"] / 2)
    np.testing.assert_allclose(found.table["relative_sd"], [5 / 110, 5 / 220])
    assert found.table["requirement_met"].tolist() == ["yes", "yes"]
    said = found.statistics.set_index("statistic")
    # kernels of 0.9, errors of 5 and of 0.9 x 5 and 0.9 x 10
    variance = 25 + 0.81 * np.array([25.0, 100.0])
    expected = np.sum(np.array([10.0, 20.0]) ** 2 / variance)
    assert said.loc["chi_square_common_0", "value"] == pytest.approx(expected)
    assert said.loc["chi_square_common_0_freedom", "value"] == 2
    assert said.loc["is_the_prior", "value"] == 2
    assert said.loc["is_the_prior", "told"] == 1
    assert "requirement_met" in said.index
    assert "national_net_sd" not in said.index  # two provinces are no nation
    one = check(
        read_totals(tmp_path / "p.nc"),
        inventory(value=[100.0, 200.0]),
        choices=Choices(common=0.5, shared=1.0),
    ).statistics.set_index("statistic")
    assert "chi_square_common_0.5" in one.index
    assert one.loc["is_the_prior", "told"] == 0


def test_met_by_the_prior_only(tmp_path):
    table = compare(read_totals(posterior(tmp_path / "p.nc", response=0.2)), inventory())
    assert table["requirement_met"].tolist() == ["prior", "prior"]


def test_errors_in_common_make_sums_more_uncertain(tmp_path):
    from obsnet.crosscheck.compared.quantity import Sums

    totals, sd = read_totals(posterior(tmp_path / "p.nc")), {}
    for common in (0.0, 0.5, 1.0):
        choices = Choices(sums=Sums({"both": ["110000", "120000"]}), common=common)
        table = compare(totals, inventory(value=[100.0, 200.0]), choices=choices).set_index("region")
        sd[common] = table.loc["both", "inventory_sd"]
        assert f"errors correlated by {common:g}" in table.loc["both", "remark"]
    assert sd == pytest.approx({0.0: np.hypot(5, 10), 0.5: np.sqrt(175.0), 1.0: 15.0})


def test_a_nation_that_is_too_sure(tmp_path):
    """34 provinces whose net errors of 20 Mt are independent: 117 Mt for the nation."""
    made = read_totals(posterior(tmp_path / "p.nc"))
    n = len(PROVINCES)
    eye = np.eye(n)
    totals = replace(
        made,
        regions=tuple(PROVINCES),
        names={k: v[0] for k, v in PROVINCES.items()},
        prior=np.full(n, 100.0),
        posterior=np.full(n, 100.0),
        averaging_kernel=0.9 * eye,
        noise_covariance=25 * eye,
        prior_covariance=900 * eye,
        posterior_covariance=25 * eye,
        net_covariance=400 * eye,
    )
    said = check(totals, inventory()).statistics.set_index("statistic")
    assert said.loc["national_net_sd", "value"] == pytest.approx(20 * np.sqrt(34))
    assert "± 117 Mt" in said.loc["national_net_sd", "text"]
    assert said.loc["national_net_sd", "told"] == 1
    said = check(replace(totals, net_covariance=4e4 * eye), inventory()).statistics.set_index("statistic")
    assert said.loc["national_net_sd", "told"] == 0
    other = check(replace(totals, gas="CH4"), inventory(gas=["CH4", "CH4"])).statistics
    assert "national_net_sd" not in set(other["statistic"])
