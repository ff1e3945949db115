"""A run that does not fit its errors gives no verdict; one that does is not refused."""

import numpy as np
import pytest

from obsnet.crosscheck.compared.fit import Fit, SourceFit, chi_square_bounds, judge_fit


def fit(chi, n=60, *sources):
    return Fit(chi, n, sources)


def test_bounds():
    """The 99.9 % range of a chi-square (here by Wilson and Hilferty), or 0.5 to 1.25 where that is wider."""
    assert chi_square_bounds(60)[1] == pytest.approx((1 - 2 / 540 + 3.2905 * np.sqrt(2 / 540)) ** 3, abs=0.01)
    assert chi_square_bounds(20)[0] == pytest.approx((1 - 2 / 180 - 3.2905 * np.sqrt(2 / 180)) ** 3, abs=0.01)
    assert chi_square_bounds(10**6) == (0.5, 1.25)


@pytest.mark.parametrize(
    ("chi", "good"), [(173, False), (1.0, True), (0.05, False), (float("nan"), False), (1.4, True)]
)
def test_chi_square(chi, good):
    found = judge_fit(fit(chi))
    assert bool(found.barred.en) is not good
    if not good:
        assert found.barred.en.startswith("the run does not fit its own errors (chi-square")
        assert "卡方" in found.barred.zh


def test_it_says_where_to_look():
    found = judge_fit(fit(173.0, 60, SourceFit("good", 30, 3, 0.9), SourceFit("bad_station", 30, 3, 200.0)))
    assert found.barred.en.index("bad_station") < found.barred.en.index("good")
    assert "fit.parquet" in found.barred.en


def test_one_source_of_few_rows_is_seen_where_the_mean_hides_it():
    few = SourceFit("few", 10, 1, 25.0)
    found = judge_fit(fit(1.2, 5000, SourceFit("many", 4990, 400, 0.92), few))
    assert found.barred.en.startswith("the run does not fit its own errors: residuals of few")
    milder = judge_fit(fit(1.02, 5000, SourceFit("many", 4990, 400, 0.92), SourceFit("few", 40, 4, 3.0)))
    assert not milder.barred.en
    assert milder.remarks[0].en.startswith("look at few (3.33 times the squared errors)")


def test_bounds_that_were_asked_for_are_remarked():
    found = judge_fit(fit(3.0), (0.5, 5.0))
    assert not found.barred.en
    assert (found.low, found.high) == (0.5, 5.0)
    assert found.remarks[0].en == "chi-square 3 accepted within 0.5 to 5 as asked; expected 0.50 to 1.71"
    assert judge_fit(fit(6.0), (0.5, 5.0)).barred.en


def test_a_file_without_chi_square_is_remarked():
    found = judge_fit(Fit(None, 0, ()))
    assert not found.barred.en
    assert found.remarks[0].en.startswith("the file states no chi-square")


@pytest.mark.parametrize("together", [0.0, 0.9])
def test_right_runs_are_let_through_whatever_is_correlated(together):
    """d' S^-1 d is chi-square distributed with correlated observation errors too; sources scatter as one mode."""
    rng = np.random.default_rng(4)
    n, draws = 60, 3000
    jacobian = rng.uniform(0, 1, (n, 4))
    half = np.repeat([0, 1], n // 2)
    r = (1 - together) * np.eye(n) + together * np.equal.outer(half, half)
    s = jacobian @ jacobian.T + r
    d = np.linalg.cholesky(s) @ rng.standard_normal((n, draws))
    solved = np.linalg.solve(s, d)
    chi = (d * solved).sum(0) / n
    residual = r @ solved
    influence = 1.0 - np.einsum("ij,ji->i", r, np.linalg.inv(s))
    refused = 0
    for k in range(draws):
        sources = [
            SourceFit(str(g), n / 2, influence[half == g].sum(), np.mean(residual[half == g, k] ** 2))
            for g in (0, 1)
        ]
        refused += bool(judge_fit(Fit(chi[k], n, tuple(sources))).barred.en)
    assert refused / draws < 0.01
