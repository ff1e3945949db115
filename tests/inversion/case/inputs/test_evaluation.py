"""Withheld observations, ensembles, restart files and the diagnostics page."""

from __future__ import annotations

import json
import tomllib
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inversion import Problem, solve
from inversion.case.ensemble import Member, combine, member_options
from inversion.case.inputs.evaluation import evaluate, orbits, withheld
from inversion.case.options import InvertOptions, WithholdOptions
from inversion.case.outputs.restart import fingerprint, load_posterior, save_posterior
from inversion.case.run import run_invert, solve_case
from inversion.errors.likelihood import likelihood_surface
from inversion.operators.observation_error import MarkovError
from inversion.problem.posterior import Aggregate
from obsnet.cf import read_netcdf
from obsnet.errors import ConfigError, SolverError
from tests.inversion.case.test_files import CASE, case  # noqa: F401
from tests.inversion.cases import case as problem_case
from tests.inversion.world import make_world


def test_orbits_are_runs_without_a_gap():
    minute = np.timedelta64(1, "m")
    time = np.datetime64("2019-01-01", "s") + np.array([0, 5, 98, 99, 3, 30]) * minute
    platform = np.array(["A", "A", "A", "A", "B", "B"])
    assert orbits(platform, time).tolist() == [0, 0, 1, 1, 2, 3]
    # twenty minutes are still one pass, a second more is another
    edge = np.datetime64("2019-01-01", "s") + np.array([0, 1200, 2401]) * np.timedelta64(1, "s")
    assert orbits(["A"] * 3, edge).tolist() == [0, 0, 1]
    order = np.array([3, 5, 0, 2, 4, 1])
    assert orbits(platform[order], time[order]).tolist() == [1, 3, 0, 1, 2, 0]


@pytest.mark.parametrize(
    ("rule", "count"),
    [
        ({"platforms": ["AAA"]}, 30),
        ({"sources": ["test_column"]}, 20),
        ({"every": 5, "by": "observation"}, 12),
        ({"every": 2, "by": "day"}, 24),
        ({"platforms": ["AAA"], "sources": ["test_column"]}, 40),
    ],
)
def test_rules_hold_back(rule, count):
    assert withheld(make_world().table, WithholdOptions(**rule)).sum() == count


def test_faulty_rules_are_named():
    table = make_world().table
    with pytest.raises(ConfigError, match="no observation is of platform 'AAB'; nearest: 'AAA'"):
        withheld(table, WithholdOptions(platforms=["AAB"]))
    with pytest.raises(ConfigError, match="holds back all 60"):
        withheld(table, WithholdOptions(platforms=["AAA", "BBB"]))


def test_predictions_of_withheld_observations_are_as_good_as_they_claim():
    """Truth drawn from the prior: chi-square is 1 before and after, rmse falls."""
    c = problem_case("S")
    held = np.arange(c.problem.n_obs) % 4 == 0
    posterior = solve(c.problem.select(~held))
    n, every = int(held.sum()), held.size
    table = pa.table({"platform": ["S"] * every, "time": np.full(every, np.datetime64("2019-07-01", "us"))})
    (jja, everything) = evaluate(posterior, c.problem, held, ~held, table).to_pylist()
    assert (jja["season"], everything["season"]) == ("JJA", "all")
    assert jja["n"] == n
    assert jja["chi_square_posterior"] == pytest.approx(1.0, abs=0.3)
    assert 0.6 < jja["chi_square_prior"] < 1.6
    assert jja["rmse_posterior"] < 0.7 * jja["rmse_prior"]
    # the same as leaving the group out
    p = c.problem.with_(groups={"held": held.astype(int)})
    (_, left) = solve(p).leave_out("held")
    assert np.sqrt(np.mean(left.residual**2)) == pytest.approx(jja["rmse_posterior"], rel=1e-8)


def test_errors_with_a_memory_tie_what_is_withheld_to_what_was_used():
    """Every second hour withheld: neighbours share most of their error, and the stated spread must know."""
    rng, n = np.random.default_rng(0), 120
    tied = MarkovError(np.full(n, 0.01), np.ones(n), np.zeros(n), np.arange(n, dtype=float), 20.0)
    h = np.stack([np.ones(n), np.sin(np.arange(n) / 9.0)], axis=1)
    problem = Problem(h, np.zeros(n), tied, np.zeros(2), np.full(2, 4.0))
    held = np.arange(n) % 2 == 0
    table = pa.table({"platform": ["S"] * n, "time": np.full(n, np.datetime64("2019-07-01", "us"))})
    found = []
    for _ in range(300):
        y = h @ (2.0 * rng.standard_normal(2)) + tied.factor(rng.standard_normal(tied.factor_size))
        p = problem.with_(observations=y)
        found.append(evaluate(solve(p.select(~held)), p, held, ~held, table).to_pylist()[1])
    chi = np.array([f["chi_square_posterior"] for f in found])
    assert chi.mean() == pytest.approx(1.0, abs=4 * chi.std() / np.sqrt(chi.size))
    assert 4 * chi.std() / np.sqrt(chi.size) < 0.25


def members():
    one, two = np.array([[1.0, 0.5], [0.5, 2.0]]), np.eye(2)
    return [
        Member("base", "base", Aggregate(np.array([1.0, 2.0]), one), np.array([0.0, 0.0])),
        Member("other prior", "prior", Aggregate(np.array([3.0, 2.0]), two), np.array([0.0, 0.0])),
        Member("other wind", "met", Aggregate(np.array([2.0, 5.0]), one), np.array([3.0, 0.0])),
    ]


def test_the_spread_between_members_joins_the_covariance():
    c = combine(members())
    np.testing.assert_allclose(c.mean, [2.0, 3.0])
    np.testing.assert_allclose(c.between, [[1.0, 0.0], [0.0, 3.0]])
    np.testing.assert_allclose(c.within, [[1.0, 1 / 3], [1 / 3, 5 / 3]])
    np.testing.assert_allclose(c.covariance, c.within + c.between)
    np.testing.assert_allclose(c.test, [[3.0, 0.0], [0.0, 0.0]])
    assert c.axis_spread["prior"].tolist() == [2.0, 0.0]
    assert c.axis_spread["met"].tolist() == [1.0, 3.0]


def test_equal_members_add_nothing():
    same = [Member(str(i), "x", members()[0].totals, np.zeros(2)) for i in range(3)]
    np.testing.assert_allclose(combine(same).covariance, members()[0].totals.covariance)


def test_ensemble_faults_are_named():
    with pytest.raises(SolverError, match="two members or more, found 1"):
        combine(members()[:1])
    with pytest.raises(SolverError, match="different totals"):
        combine([members()[0], Member("x", "x", Aggregate(np.zeros(3), np.eye(3)), np.zeros(3))])
    with pytest.raises(ConfigError, match="'base' is given twice"):
        member_options({}, [{"name": "base", "axis": "x", "set": []}])


@pytest.mark.parametrize("method", ["dual", "primal", "cg"])
def test_a_posterior_is_kept_and_taken_up(tmp_path, method):
    c = problem_case("S")
    first = solve(c.problem, method)
    assert save_posterior(first, tmp_path / "restart.npz")
    again = load_posterior(tmp_path / "restart.npz", c.problem, "auto")
    assert again.stopping["restarted"]
    np.testing.assert_array_equal(again.mean, first.mean)
    np.testing.assert_array_equal(
        again.aggregate(c.regions).covariance, first.aggregate(c.regions).covariance
    )
    assert again.dofs == first.dofs
    assert load_posterior(tmp_path / "restart.npz", c.problem, "cg" if method == "dual" else "dual") is None
    other = c.problem.with_(observations=c.problem.observations + 1e-12)
    assert load_posterior(tmp_path / "restart.npz", other) is None
    (tmp_path / "restart.npz").write_bytes(b"PK\x03\x04 half a file")
    assert load_posterior(tmp_path / "restart.npz", c.problem) is None
    assert load_posterior(tmp_path / "nothing.npz", c.problem) is None


def test_the_fingerprint_is_of_everything():
    p = problem_case("T").problem
    known = fingerprint(p)
    assert fingerprint(p.with_(prior=p.prior.copy())) == known
    for change in (
        {"prior": p.prior * 1.1},
        {"prior_error": p.prior_error.scaled(1.1)},
        {"observation_error": p.observation_error.scaled(1.1)},
        {"background": 0.1},
        {"jacobian": p.jacobian * 1.1},
    ):
        assert fingerprint(p.with_(**change)) != known


MORE = """
[invert.withhold]
platforms = ["AAA"]

[[invert.ensemble.member]]
name = "low background"
axis = "background"
set = ["boundary.background=409.5"]

[[invert.ensemble.member]]
name = "points only"
axis = "instrument"
set = ["sources=['test_point']"]
"""


def held_of(folder):
    from obsnet.store import ObservationStore

    table = ObservationStore(folder.parent / "store").read("CO2")
    platform = table["platform"].to_numpy(zero_copy_only=False)
    return table["obs_id"].to_numpy(zero_copy_only=False)[platform == "AAA"].astype(str)


def solve_case_of(folder, *, without, held_back):
    options = {k: v for k, v in tomllib.loads(CASE + MORE)["invert"].items() if k not in without}
    return solve_case(
        InvertOptions.model_validate(options), folder.parent, folder, print, held_back=held_back
    )


@pytest.fixture(scope="module")
def full(case):  # noqa: F811
    options = InvertOptions.model_validate(tomllib.loads(CASE + MORE)["invert"])
    lines = []
    written, summary = run_invert(options, case, case / "full", lines.append)
    return case / "full", written, summary, lines


def test_one_command_withholds_and_runs_the_members(full):
    folder, written, summary, lines = full
    assert {p.name for p in written} == {
        "posterior.nc",
        "fit.parquet",
        "evaluation.parquet",
        "ensemble.nc",
        "inversion.html",
    }
    assert summary["counts"]["withheld"] == 30
    assert summary["observations"] == 30
    assert summary["evaluation"][0]["platform"] == "AAA"
    assert pq.read_table(folder / "evaluation.parquet").num_rows == 2
    data = read_netcdf(folder / "ensemble.nc")
    assert list(data["member"].values) == ["base", "low background", "points only"]
    assert list(data["axis"].values) == ["background", "instrument"]
    spread = data["total_covariance"] - data["within_covariance"]
    np.testing.assert_allclose(spread, data["between_covariance"], rtol=1e-9, atol=1e-6)
    assert "member points only (instrument)" in lines
    # the posterior's errors hold the spread, and members were refused what the base was
    base = solve_case_of(folder, without=("withhold", "ensemble"), held_back=held_of(folder))
    after = read_netcdf(folder / "posterior.nc")
    np.testing.assert_allclose(
        after["total_covariance"], base.totals.posterior.covariance + data["between_covariance"], rtol=1e-9
    )
    same = base.totals.same_sector
    np.testing.assert_allclose(
        after["total_test_covariance"],
        base.totals.test + np.where(same, data["test_covariance"], 0.0),
        rtol=1e-9,
    )
    assert "Ensemble" in (folder / "inversion.html").read_text(encoding="utf-8")


def test_withheld_observations_are_judged_by_the_errors_that_were_estimated(case, monkeypatch):  # noqa: F811
    plain = tomllib.loads(CASE)["invert"] | {"restart": False, "withhold": {"platforms": ["AAA"]}}
    assumed = InvertOptions.model_validate(plain | {"likelihood": {"use": True}})
    other = assumed.model_copy(
        update={"error": assumed.error.model_copy(update={"point": 2.5, "column": 2.5})}
    )
    seen = []

    def estimate(_options, made, _report):
        seen.append(made.problem.n_obs)
        return SimpleNamespace(options=other)

    monkeypatch.setattr("inversion.case.solving.estimate.estimate_errors", estimate)
    found = solve_case(assumed, case, case / "estimated", print)
    assert seen == [30]  # those held back have no say
    # the same as if the errors had been written into the case
    written, before = (
        solve_case(o.model_copy(update={"likelihood": None}), case, case / "estimated", print)
        for o in (other, assumed)
    )
    assert found.evaluation.equals(written.evaluation)
    assert not found.evaluation.equals(before.evaluation)


def test_the_second_run_starts_from_the_first(case):  # noqa: F811
    options = InvertOptions.model_validate(tomllib.loads(CASE)["invert"] | {"page": False})
    run_invert(options, case, case / "again")
    lines = []
    run_invert(options, case, case / "again", lines.append)
    assert any("solved before" in line for line in lines)


def test_a_run_that_was_killed_goes_on_with_every_member(case, tmp_path, monkeypatch):  # noqa: F811
    """Killed after the base and the members were solved, before anything was written."""
    options = InvertOptions.model_validate(tomllib.loads(CASE + MORE)["invert"] | {"page": False})

    def killed(*_arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("inversion.case.outputs.posterior_file.write_posterior", killed)
        with pytest.raises(KeyboardInterrupt):
            run_invert(options, case, tmp_path)
    assert not (tmp_path / "posterior.nc").exists()
    lines = []
    run_invert(options, case, tmp_path, lines.append)
    taken = [line for line in lines if line.startswith("solved before")]
    assert len(taken) == 1 + len(options.ensemble.member)
    assert (tmp_path / "posterior.nc").exists()


def test_the_page_is_whole_and_escaped(full):
    folder = full[0]
    text = (folder / "inversion.html").read_text(encoding="utf-8")
    assert text.count("data:image/png;base64,") == 4
    assert "http://" not in text
    assert "https://" not in text
    assert "<script" not in text
    for words in (
        "Fit by source",
        "各来源的拟合",
        "Information by component",
        "Withheld observations",
        "expected 1 ±",
        "told apart",
    ):
        assert words in text


@pytest.mark.parametrize("rows", [60, 500])
def test_the_likelihood_surface_is_the_evidence_of_each_pair(rows):
    p = problem_case("S").problem.select(np.arange(rows))
    surface = likelihood_surface(p, [0.5, 1.0, 3.0], [0.8, 1.0])
    for i, a in enumerate(surface.prior_factor):
        for j, b in enumerate(surface.observation_factor):
            changed = p.with_(
                prior_error=p.prior_error.scaled(a * a), observation_error=p.observation_error.scaled(b * b)
            )
            assert surface.log_evidence[i, j] == pytest.approx(solve(changed).log_evidence, rel=1e-9)


def test_the_likelihood_finds_errors_that_are_right():
    best = likelihood_surface(problem_case("S").problem).best
    assert best[0] == pytest.approx(1.0, rel=0.3)
    assert best[1] == pytest.approx(1.0, rel=0.1)


def test_names_from_files_cannot_inject(full, tmp_path):
    from inversion.page.page import write_page

    data = read_netcdf(full[0] / "posterior.nc")
    data.attrs["prior_name"] = "<script>alert(1)</script>"
    fit = pq.read_table(full[0] / "fit.parquet")
    text = write_page(tmp_path / "x.html", data, fit).read_text(encoding="utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert json.loads(data.attrs["observations_counts"])["withheld"] == 30


def test_leaving_platforms_out_is_in_a_file_beside(case, tmp_path):  # noqa: F811
    """Against running without them: totals of the domain, and chi-square of the prediction."""
    plain = tomllib.loads(CASE)["invert"] | {"page": False}
    _, summary = run_invert(InvertOptions.model_validate(plain), case, tmp_path / "all")
    rows = {r["platform"]: r for r in pq.read_table(tmp_path / "all" / "left_out.parquet").to_pylist()}
    assert set(rows) == {"AAA", "BBB"}
    data = read_netcdf(tmp_path / "all" / "posterior.nc")
    without = plain | {"withhold": {"platforms": ["AAA"]}}
    run_invert(InvertOptions.model_validate(without), case, tmp_path / "less")
    less = read_netcdf(tmp_path / "less" / "posterior.nc")
    mass = [d["region_total_mass"].sum(("region", "period")) for d in (data, less)]
    for sector in ("fossil", "biosphere"):
        shift = float(mass[1].sel(sector=sector) - mass[0].sel(sector=sector))
        assert rows["AAA"][f"shift_{sector}"] == pytest.approx(shift, rel=1e-6, abs=1e-9)
        own = less["total_sector"].values == sector
        factor = float(less["region_total_mass"][0, 0, 0] / less["region_total"][0, 0, 0])
        spread = factor * np.sqrt(less["total_covariance"].values[np.ix_(own, own)].sum())
        assert rows["AAA"][f"uncertainty_{sector}"] == pytest.approx(spread, rel=1e-6)
    held = pq.read_table(tmp_path / "less" / "evaluation.parquet").to_pylist()[-1]
    assert rows["AAA"]["rmse"] == pytest.approx(held["rmse_posterior"], rel=1e-6)
    assert rows["AAA"]["bias"] == pytest.approx(held["bias_posterior"], rel=1e-6)
    assert rows["AAA"]["n"] == held["n"] == summary["observations"] / 2


def test_sectors_that_are_seen_only_together_are_said_to_be(case, tmp_path):  # noqa: F811
    """Two sectors of the same pattern in space and time and the same errors: only their sum is observed."""
    twin = {"sigma": 3e-7, "correlation_km": 300}
    options = tomllib.loads(CASE)["invert"] | {"sector": {"fossil": twin, "biosphere": twin}, "step": "all"}
    lines = []
    run_invert(InvertOptions.model_validate(options), case, tmp_path, lines.append)
    data = read_netcdf(tmp_path / "posterior.nc")
    assert any(line.startswith("fossil cannot be told from biosphere") for line in lines)
    response = data["sector_response"].values
    assert response[0, 0] == pytest.approx(response[0, 1], rel=0.02)
    assert float(data["sector_correlation"][0, 1]) < -0.8
    page = (tmp_path / "inversion.html").read_text(encoding="utf-8")
    for words in (
        "biosphere cannot be told from fossil",
        "Without each station or satellite",
        "逐一剔除站点或卫星",
    ):
        assert words in page
    assert "观测只能约束上述分量之和" in page
