"""Twenty truths: claimed uncertainties are true, and false alarms stay at the stated rate.

Footprints are computed twice, from the same observations with other particles: one set makes the truth, the
other inverts it, so the scatter of the particles is part of what is tested.
"""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from inversion.case.assemble import assemble
from inversion.case.inputs.reading import load
from inversion.case.inputs.shares import read_shares
from inversion.case.options import InvertOptions
from inversion.operators.covariance import SumCovariance
from inversion.problem.time_bins import state_bins
from inversion.problem.totals import region_totals, total_weights
from inversion.solvers.choose import solve
from obsnet.config import read_toml, validate
from obsnet.crosscheck.rules.verdict import Rule, judge
from obsnet.demo.twin import make_twin
from obsnet.demo.world import SETTINGS
from obsnet.pipeline import read_case, run_case

SEEDS = 20
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """Two problems on the same observations: footprints of the truth, footprints of the model."""
    folder = tmp_path_factory.mktemp("twin")
    twin = make_twin(folder, network="idealised", days=6, seed=7, planted="410000")
    twin.write_observations(folder / "input")
    made = []
    for name, seed in (("truth", 1), ("model", 2)):
        path = twin.write_case(folder, seed, workers=None)
        data = read_toml(path, [f"run.out={name}"])
        case, steps = read_case({k: data[k] for k in ("run", "ingest", "stations", "footprints")}, path)
        run_case(case, steps)
        options = validate(InvertOptions, data["invert"])
        found = load(options, folder, case.out)
        made.append((options, found.jacobian, found.table, found.prior, found.counts))
    shares, _, _ = read_shares(made[1][0], made[1][1], made[1][3], folder, folder)
    problems = [
        assemble(options, jacobian, table, prior, shares=shares, counts=counts)
        for options, jacobian, table, prior, counts in made
    ]
    # R without the particles' scatter: what is drawn as instrument and transport error
    bare = made[0][0].model_copy(update={"error": made[0][0].error.model_copy(update={"monte_carlo": False})})
    quiet = assemble(bare, *made[0][1:4], shares=shares, counts=made[0][4])
    jacobian = made[1][1]
    model = problems[1]
    weights = total_weights(
        model.problem.state,
        model.sectors,
        model.prior_mean,
        bins=model.bins,
        shares=shares,
        periods=state_bins(jacobian.time_edges, "all").edges,
        scale=model.flux_scale,
    )
    return SimpleNamespace(
        truth=problems[0].problem, quiet=quiet.problem, model=model.problem, weights=weights
    )


@pytest.fixture(scope="module")
def experiments(twins):
    """Draw truths from the prior, observe them, invert; totals of the fossil sector."""
    truth, model, weights = twins.truth, twins.model, twins.weights
    claimed = twins.quiet.observation_error.diagonal()
    # What the truth's own particles scatter is drawn already; only the rest of the claimed error is added.
    scatter = truth.observation_error.diagonal() - claimed
    drawn = np.sqrt(np.maximum(claimed - scatter, 0.0))
    assert (scatter < claimed).mean() > 0.97
    first = solve(model, method="dual")
    totals = region_totals(first, weights)
    fossil = np.flatnonzero(weights.sector_of == 0)
    g = weights.weights[fossil]
    errors, posteriors, truths = [], [], []
    prior_error = truth.prior_error
    for seed in range(SEEDS):
        rng = np.random.default_rng([99, seed])
        x = truth.prior + prior_error.factor(rng.standard_normal(prior_error.factor_size))
        y = truth.simulate(x) + drawn * rng.standard_normal(truth.n_obs)
        # Linear: the gain does not depend on the observations.
        mean = model.prior + first.gain(y - model.simulate(model.prior))
        errors.append(g @ (mean - x))
        posteriors.append(g @ mean)
        truths.append(g @ x)
    return SimpleNamespace(
        errors=np.array(errors),
        posterior=np.array(posteriors),
        truth=np.array(truths),
        prior=g @ model.prior,
        totals=totals,
        fossil=fossil,
        weights=weights,
        first=first,
    )


def emitting(experiments):
    """Return the provinces that have an inventory."""
    prior = experiments.prior
    return np.flatnonzero(prior[:-1] > 0.002 * prior.sum())


def test_the_gain_is_the_solver(twins, experiments):
    """The shortcut above is the same as solving again."""
    model = twins.model
    y = model.simulate(1.1 * model.prior)
    again = solve(replace(model, observations=y), method="dual")
    np.testing.assert_allclose(
        again.mean,
        model.prior + experiments.first.gain(y - model.simulate(model.prior)),
        rtol=1e-6,
        atol=1e-9,
    )


def test_claimed_uncertainties_are_true(experiments):
    there = emitting(experiments)
    sd = np.sqrt(np.diag(experiments.totals.posterior.covariance)[experiments.fossil])[there]
    z = experiments.errors[:, there] / sd
    per_seed = (z**2).mean(1)
    error = per_seed.std(ddof=1) / np.sqrt(SEEDS)
    assert per_seed.mean() == pytest.approx(1.0, abs=3.5 * error + 0.03)
    assert error < 0.12
    assert abs(z.mean()) < 0.25


def test_the_observations_teach(experiments):
    """Uncertainties that are true because nothing was learnt would pass the test above."""
    there = emitting(experiments)
    before = experiments.truth - experiments.prior
    assert (experiments.errors[:, there] ** 2).sum() < 0.25 * (before[:, there] ** 2).sum()


RULE = Rule(alpha=0.1, detectable=1.0)


def verdicts(experiments, seed, inventory, own):
    """Judge inventories of one truth."""
    totals, square = experiments.totals, np.ix_(experiments.fossil, experiments.fossil)
    return judge(
        prior=experiments.prior,
        posterior=experiments.posterior[seed],
        averaging_kernel=totals.kernel[square],
        noise_covariance=totals.test[square],
        prior_covariance=totals.prior.covariance[square],
        inventory=inventory,
        inventory_sd=own,
        rule=RULE,
    )


def own_sd(experiments, seed):
    return SETTINGS.inventory_sd * np.abs(experiments.truth[seed])


def rate(hits, tests):
    """Return a rate and its standard error; regions of one truth are correlated: a third of the tests count."""
    return hits / tests, np.sqrt(0.25 / (tests / 3))


def test_false_alarms_stay_at_the_stated_rate(experiments):
    """Every region in turn has a right inventory while all others are off as the prior allows."""
    there = emitting(experiments)
    alarms = tests = 0
    for seed in range(SEEDS):
        rng = np.random.default_rng([55, seed])
        own = own_sd(experiments, seed)
        for r in there:
            inventory = np.full(len(own), np.nan)
            inventory[r] = experiments.truth[seed, r] + own[r] * rng.standard_normal()
            found = verdicts(experiments, seed, inventory, own)
            if found.verdict[r] != "not testable":
                tests += 1
                alarms += found.p_value[r] < RULE.alpha
    assert tests > 200
    # regions of one truth are correlated: allow for a third of the tests being independent
    assert alarms / tests < RULE.alpha + 3 * np.sqrt(RULE.alpha * (1 - RULE.alpha) / (tests / 3))
    assert alarms / tests > RULE.alpha / 4


def test_wrong_inventories_of_others_accuse_nobody(experiments):
    """Every second inventory is times 1.5; the others are right and are condemned no more often than stated."""
    there = emitting(experiments)
    alarms = tests = found_wrong = wrong_tests = 0
    for seed in range(SEEDS):
        rng = np.random.default_rng([56, seed])
        own = own_sd(experiments, seed)
        inventory = np.full(len(own), np.nan)
        inventory[there] = (experiments.truth[seed] + own * rng.standard_normal(len(own)))[there]
        wrong = np.zeros(len(own), dtype=bool)
        wrong[there[::2]] = True
        found = verdicts(experiments, seed, np.where(wrong, 1.5, 1.0) * inventory, own)
        names = np.array([str(v) for v in found.verdict])
        tests += (~wrong & (names != "not testable")).sum()
        alarms += (~wrong & (names == "inconsistent")).sum()
        wrong_tests += (wrong & (names != "not testable")).sum()
        found_wrong += (wrong & (names == "inconsistent")).sum()
    assert tests > 60
    assert alarms / tests < RULE.alpha + 3 * np.sqrt(RULE.alpha * (1 - RULE.alpha) / (tests / 3))
    assert found_wrong > 0.3 * wrong_tests


def test_what_is_off_by_its_minimum_is_found_with_the_stated_power(experiments):
    there = emitting(experiments)
    hits = tests = 0
    for seed in range(SEEDS):
        rng = np.random.default_rng([57, seed])
        own = own_sd(experiments, seed)
        right = np.full(len(own), np.nan)
        right[there] = (experiments.truth[seed] + own * rng.standard_normal(len(own)))[there]
        smallest = verdicts(experiments, seed, right, own).minimum_detectable
        for r in there[np.isfinite(smallest[there])]:
            inventory = np.where(np.arange(len(own)) == r, right + smallest, right)
            found = verdicts(experiments, seed, inventory, own)
            if found.verdict[r] != "not testable":
                tests += 1
                hits += found.verdict[r] == "inconsistent"
    share, error = rate(hits, tests)
    assert tests > 200
    assert share == pytest.approx(RULE.power, abs=3 * error)


def test_the_prior_error_has_a_regional_part(twins):
    """The draw above must move whole provinces, or the test of totals would be empty."""
    assert any(isinstance(b, SumCovariance) for b in twins.model.prior_error.blocks)
