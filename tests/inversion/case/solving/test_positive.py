"""Methods that keep sectors positive, from a case file to totals that crosscheck reads."""

import tomllib

import numpy as np
import pytest

from inversion.case.options import InvertOptions
from inversion.case.run import run_invert
from obsnet.cf import read_netcdf
from obsnet.config import validate
from obsnet.crosscheck.verdicts.table import read_totals
from obsnet.errors import ConfigError
from tests.inversion.case.test_files import CASE, case  # noqa: F401


def options(**changes):
    plain = tomllib.loads(CASE)["invert"] | {"page": False, "restart": False}
    return InvertOptions.model_validate(plain | changes)


@pytest.fixture(scope="module")
def gaussian(case, tmp_path_factory):  # noqa: F811
    out = tmp_path_factory.mktemp("gaussian")
    return read_netcdf(run_invert(options(), case, out)[0][0])


@pytest.mark.parametrize("method", ["lognormal", "truncated"])
def test_same_contract_same_totals(case, gaussian, tmp_path, method):  # noqa: F811
    lines = []
    table = {"draws": 1200, "chains": 4, "least": 50.0}
    written, summary = run_invert(options(method=method, **{method: table}), case, tmp_path, lines.append)
    data = read_netcdf(written[0])
    assert any(line.startswith(f"{method}: fossil") for line in lines)
    assert summary["method"].startswith(method)
    own = {"total_tested"} if method == "lognormal" else set()
    assert set(data.data_vars) - own == set(gaussian.data_vars)
    fossil = data["flux"].sel(sector="fossil").values
    assert (fossil >= 0).all()
    assert (data["flux_uncertainty"].values >= 0).all()
    totals = read_totals(written[0], "fossil")
    assert np.isfinite(totals.averaging_kernel).all()
    if own:  # what is tested is near the answer of normal errors
        at = data["total_sector"].values == "fossil"
        plain, sd = (
            gaussian[n].sel(sector="fossil").values.ravel()
            for n in ("region_total", "region_total_uncertainty")
        )
        assert (np.abs(data["total_tested"].values[at] - plain) < sd).all()
        np.testing.assert_allclose(totals.answer, totals.tested)
        assert np.abs(totals.answer - totals.posterior).max() > 0
    else:
        assert totals.answer is totals.posterior
    # totals are the draws' own, not the sum over a mode
    area = data["cell_area"].values
    weeks = np.diff(data["time_bnds"].values, axis=1).ravel().astype(float)
    whole = (fossil * area).sum(axis=(1, 2)) @ weeks / weeks.sum()
    assert float(data["region_total"].sel(sector="fossil").sum()) == pytest.approx(whole, rel=2e-3)
    # the prior of a lognormal sector keeps its mean; its spread is the relative one
    np.testing.assert_allclose(
        data["region_total_prior"].values, gaussian["region_total_prior"].values, rtol=1e-9, atol=1e-12
    )
    ratio = data["region_total_prior_uncertainty"].sel(sector="fossil").values[:2]
    known = gaussian["region_total_prior_uncertainty"].sel(sector="fossil").values[:2]
    np.testing.assert_allclose(ratio, known, rtol=0.15)
    # where errors are small beside the flux, so is the difference from the Gaussian answer
    apart = (data["region_total"] - gaussian["region_total"]).sel(sector="fossil").values[:2]
    spread = gaussian["region_total_uncertainty"].sel(sector="fossil").values[:2]
    assert (np.abs(apart) < 1.5 * spread).all()


def test_the_mode_within_bounds_is_a_picture_without_verdict(case, gaussian, tmp_path):  # noqa: F811
    """Elements are at zero, the file is whole, and crosscheck tests nothing with it."""
    from tests.inversion.case.solving.test_members import verdicts

    lines = []
    # nothing but the fossil flux can explain what is observed
    more = {
        "sector": {"fossil": {"relative": 2.0}, "biosphere": {"sigma": 1e-9}},
        "boundary": {"background": 410.0, "sigma": 0.01},
    }
    written, summary = run_invert(options(method="bounded", **more), case, tmp_path, lines.append)
    data = read_netcdf(written[0])
    assert set(gaussian.data_vars) == set(data.data_vars)
    fossil = data["flux"].sel(sector="fossil").values
    assert (fossil >= 0).all()
    assert int((fossil == 0).sum()) == summary["stopping"]["at_bound"] > 0
    (line,) = [line for line in lines if line.startswith("no verdict: the most likely fluxes within bounds")]
    assert "method truncated draws them" in line
    table = verdicts(written[0])
    assert set(table["verdict"]) == {"not testable"}
    assert table["reason"].str.contains("are not their mean").all()


def test_sectors_that_may_be_negative_are_refused(case, tmp_path):  # noqa: F811
    with pytest.raises(ConfigError, match="'biosphere' has negative cells in the prior"):
        run_invert(options(method="truncated", truncated={"sectors": ["biosphere"]}), case, tmp_path)
    with pytest.raises(ConfigError, match="'fosil' is not solved; nearest: 'fossil'"):
        run_invert(options(method="lognormal", lognormal={"sectors": ["fosil"]}), case, tmp_path)
    plain = tomllib.loads(CASE)["invert"] | {"method": "lognormal", "basis": {"kind": "quadtree"}}
    with pytest.raises(ConfigError, match=r"^\[invert\]: method lognormal solves cells"):
        validate(InvertOptions, plain, "[invert]")


def test_what_the_prior_is_taken_for_matters_and_is_said(case, tmp_path):  # noqa: F811
    found = {}
    for what in ("mean", "median"):
        lines = []
        table = {"prior": what, "draws": 400, "chains": 4, "least": 10.0}
        written, _ = run_invert(
            options(method="lognormal", lognormal=table), case, tmp_path / what, lines.append
        )
        assert any(f"taken for the {what}" in line for line in lines)
        found[what] = float(read_netcdf(written[0])["region_total_prior"].sel(sector="fossil").sum())
    assert found["median"] > 1.02 * found["mean"]


def test_totals_are_those_of_the_draws(case, tmp_path):  # noqa: F811
    """Not of the line through their middle, whose covariance is another."""
    from inversion.case.run import solve_case

    table = {"draws": 400, "chains": 4, "least": 10.0}
    solved = solve_case(options(method="lognormal", lognormal=table), case, tmp_path, lambda _line: None)
    own = solved.posterior.aggregate(solved.totals.weights.weights)
    np.testing.assert_array_equal(solved.totals.posterior.covariance, own.covariance)
    line = solved.posterior.system.covariance(solved.totals.weights.weights.toarray().T)
    assert not np.allclose(solved.totals.weights.weights @ line, own.covariance, rtol=0.01)
