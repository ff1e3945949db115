"""Through an inversion and its file: truths are drawn cell by cell, and verdicts keep their rates."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from inversion.case.outputs.posterior_file import posterior_dataset
from inversion.problem.totals import region_totals
from inversion.solvers.choose import solve
from obsnet.cf import write_netcdf
from obsnet.constants import SECONDS_PER_YEAR
from obsnet.crosscheck.rules.verdict import Rule
from obsnet.crosscheck.verdicts.table import Choices, compare, read_totals
from obsnet.errors import ConfigError
from tests.inversion.world import EDGES, make_world, options

MT = 0.0440095 * SECONDS_PER_YEAR * 1e-9  # Mt a year of one mol s-1 of CO2
NAMES = ["a", "b"]
LOOSE = Rule(detectable=9.0)
DAYS = "2019-01-01/2019-01-06"


def solved(folder, choice=None, periods=None, n=240, bad=0.0):
    """Solve the small world, of which the prior is true, write its file and read its fossil totals back."""
    world = make_world(n=n)
    made = world.assemble(choice or options())
    rng = np.random.default_rng(1)
    problem, error = made.problem, made.problem.observation_error
    y = problem.simulate(problem.prior) + error.factor(rng.standard_normal(error.factor_size))
    y[7] += bad
    made = replace(made, problem=replace(problem, observations=y))
    posterior = solve(made.problem)
    totals = region_totals(posterior, world.weights(made, periods))
    path = folder / "posterior.nc"
    data = posterior_dataset(made, posterior, totals, region_names={})
    write_netcdf(data, path)
    return made, posterior, totals, read_totals(path, "fossil")


def rows(value, period=DAYS, uncertainty=0.05):
    return pd.DataFrame(
        {
            "region": NAMES,
            "period": period,
            "gas": "CO2",
            "value": value,
            "unit": "Mt yr-1",
            "uncertainty": uncertainty,
        }
    )


def drawn(made, posterior, totals, draws, seed, more=None):
    """Draw states from the prior and observe them; return true and posterior fossil totals less the prior's, Mt."""
    rng = np.random.default_rng(seed)
    problem = made.problem
    g = MT * totals.weights.weights[: totals.weights.weights.shape[0] // 2]
    x = problem.prior_error.factor(rng.standard_normal((problem.prior_error.factor_size, draws)))
    error = problem.observation_error
    signal = problem.forward(x) + error.factor(rng.standard_normal((error.factor_size, draws)))
    if more is not None:
        signal += np.outer(more, rng.standard_normal(draws))
    return g @ x, g @ posterior.gain(signal)


@pytest.mark.parametrize("days", [0, 2, 6])
@pytest.mark.parametrize("tested", ["one day", "all days"])
def test_right_inventories_of_some_periods(tmp_path, days, tested):
    """Errors of the prior correlated over none, two or six periods; the old formula saw only the tested period."""
    sector = {
        "fossil": {"relative": 0.3, "correlation_km": 100, "step": "1D", "regional_relative": 0.3}
        | ({"correlation_days": days} if days else {}),
        "biosphere": {"sigma": 3e-7, "correlation_km": 300, "correlation_days": 5},
    }
    made, posterior, totals, read = solved(tmp_path, options(sector=sector), EDGES)
    period = "2019-01-03" if tested == "one day" else DAYS
    at = [2] if tested == "one day" else range(6)
    prior = np.array([read.prior.reshape(3, 6)[r, list(at)].mean() for r in (0, 1)])
    table = compare(read, rows(prior, period, 0.1), rule=LOOSE)
    true, after = drawn(made, posterior, totals, 4000, 5)
    pick = np.zeros((2, 18))
    for r in (0, 1):
        pick[r, [6 * r + p for p in at]] = 1.0 / len(at)
    rng = np.random.default_rng(8)
    off = pick @ true + (0.1 * prior)[:, None] * rng.standard_normal((2, true.shape[1]))
    d = pick @ after - table["response"].to_numpy()[:, None] * off
    z = d / table["difference_sd"].to_numpy()[:, None]
    rate = (np.abs(z) > 1.959964).mean(axis=1)
    assert rate == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 4000) + 0.004)
    # and the table's own difference is that d
    shown = replace(read, posterior=read.prior + after[:, 0])
    again = compare(shown, rows(prior + off[:, 0], period, 0.1 * prior / (prior + off[:, 0])), rule=LOOSE)
    np.testing.assert_allclose(again["difference"], d[:, 0], rtol=1e-6)


def test_a_prescribed_sector_that_is_wrong_is_no_alarm(tmp_path):
    """Its truth is off by a common factor; stated so, right inventories are condemned at the nominal rate."""
    choice = options(
        sector={
            "fossil": {"relative": 0.3, "regional_relative": 0.3},
            "biosphere": {"prescribed": True},
        }
    )
    made, posterior, totals, read = solved(tmp_path, choice)
    assert set(read.prescribed) == {"biosphere"}
    prior = read.prior[:2]
    assert (compare(read, rows(prior), rule=LOOSE)["verdict"] == "not testable").all()
    exact = compare(read, rows(prior), rule=LOOSE, choices=Choices(prescribed={"biosphere": 0.0}))
    # so large that it matters: three halves of what the difference scatters by without it
    share = 1.5 * float(np.max(exact["difference_sd"] / np.abs(read.prescribed["biosphere"][:2])))
    stated = compare(read, rows(prior), rule=LOOSE, choices=Choices(prescribed={"biosphere": share}))
    true, after = drawn(made, posterior, totals, 6000, 3, share * made.prescribed["biosphere"])
    own = (0.05 * prior)[:, None] * np.random.default_rng(4).standard_normal((2, 6000))
    rates = []
    for table in (exact, stated):
        d = after[:2] - table["response"].to_numpy()[:, None] * (true[:2] + own)
        rates.append((np.abs(d) > 1.959964 * table["difference_sd"].to_numpy()[:, None]).mean(axis=1))
    assert (rates[0] > 0.2).all()
    assert rates[1] == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 6000) + 0.004)


def test_a_row_that_is_off_by_80_ppm_is_no_verdict(tmp_path):
    """Truth is the prior, one row of 60 is wrong: the run does not fit its errors, and says where."""

    good, bad = (solved(tmp_path, n=60, bad=ppm)[3] for ppm in (0.0, 80.0))
    assert bad.fit.chi_square > 50
    assert 0.5 < good.fit.chi_square < 1.7
    prior = good.prior[:2]
    table = compare(good, rows(prior), rule=LOOSE)
    assert not table["verdict"].isin(["inconsistent", "not testable"]).any()
    table = compare(bad, rows(prior), rule=LOOSE)
    assert (table["verdict"] == "not testable").all()
    assert table["reason"].str.startswith("the run does not fit its own errors").all()
    assert table["reason"].str.contains("test_point").all()


def test_a_wrong_year_is_refused_and_a_part_of_it_not_comparable(tmp_path):
    read = solved(tmp_path)[3]
    with pytest.raises(ConfigError, match="inventory is of 2018"):
        compare(read, rows(read.prior[:2], "2018"))
    table = compare(read, rows(read.prior[:2], "2019"))
    assert table["reason"].str.startswith("not comparable: the inversion's 2019-01-01 to 2019-01-07").all()


def test_a_merged_set_keeps_its_rate(tmp_path):
    """Few observations and errors of the prior that reach over both regions: they are merged, and the sum is right."""
    sector = {
        "fossil": {"relative": 0.3, "correlation_km": 600, "regional_relative": 0.3},
        "biosphere": {"sigma": 3e-7, "correlation_km": 300, "correlation_days": 5},
    }
    made, posterior, totals, read = solved(tmp_path, options(sector=sector), n=20)
    prior = read.prior[:2]
    # whatever chi-square this one draw of twenty observations has
    table = compare(read, rows(prior), rule=LOOSE, choices=Choices(chi_square=(0.01, 9.0))).set_index(
        "region"
    )
    assert table.loc["a", "joint"] == "a+b"
    row = table.loc["a+b"]
    true, after = drawn(made, posterior, totals, 6000, 11)
    own = 0.05 * prior.sum() * np.random.default_rng(12).standard_normal(6000)
    d = after[:2].sum(axis=0) - row["response"] * (true[:2].sum(axis=0) + own)
    rate = (np.abs(d) > 1.959964 * row["difference_sd"]).mean()
    assert rate == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 6000) + 0.004)
