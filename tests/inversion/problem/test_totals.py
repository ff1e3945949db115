"""Totals in strips: the numbers of the whole arrays, the exact covariance, the stated coverage, and a restart."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp

from inversion import DiagonalCovariance, KroneckerCovariance, Problem, solve
from inversion.case.outputs.restart import kept_arrays
from inversion.operators.covariance import BlockDiagonalCovariance
from inversion.operators.distributed import BlockJacobian
from inversion.problem.reduction import reduce_problem
from inversion.problem.state import State, StateBlock
from inversion.problem.totals import TotalWeights, region_totals
from tests.inversion.cases import dense_answer
from tests.inversion.world import EDGES, make_world, options

METHODS = {"dual": {}, "primal": {}, "cg": {"tolerance": 1e-11}}
PARTS = ("kernel", "noise", "pattern", "nuisance", "test")


@pytest.fixture(scope="module")
def world():
    return make_world(n=90)


@pytest.fixture(scope="module")
def made(world):
    return world.assemble(options(offset={"sigma": {"test_column": 1.0}}))


@pytest.fixture(scope="module")
def weights(world, made):
    return world.weights(made, EDGES[[0, 2, 4, 6]])  # periods share time bins, regions share cells


def whole(posterior, weights):
    """The same parts by their definitions, on full arrays of shape (totals, n_state)."""
    problem, state = posterior.problem, posterior.problem.state
    g, u = weights.weights.toarray(), weights.pattern.toarray()
    gain = posterior.totals_gain(weights.weights, problem.forward(problem.prior_error.matmul(g.T.copy()))).T
    rows = problem.adjoint(np.ascontiguousarray(gain.T)).T
    noise = gain @ problem.observation_error.matmul(np.ascontiguousarray(gain.T))
    n, sector = len(g), weights.sector_of
    covariance = {name: b.dense() for name, b in zip(state.names, problem.prior_error.blocks, strict=True)}
    pattern, nuisance, test = np.zeros((n, n)), np.zeros((n, n)), np.zeros((n, n))
    spread = {}
    for name in state.names:
        part = rows[:, state.span(name)]
        spread[name] = part @ covariance[name] @ part.T
        if state.block(name).kind != "flux":
            nuisance += spread[name]
    for number, name in enumerate(weights.sector):
        own, span = np.flatnonzero(sector == number), state.span(name)
        inside = rows[:, span] - rows[:, span] @ u[span][:, own] @ g[own][:, span]
        moved = inside @ covariance[name] @ inside.T
        pattern += moved
        block = np.ix_(own, own)
        test[block] = noise[block] + moved[block] + sum(spread[k][block] for k in state.names if k != name)
    off = rows - g
    after = off @ problem.prior_error.matmul(np.ascontiguousarray(off.T)) + noise
    return {
        "kernel": rows @ u,
        "noise": noise,
        "pattern": pattern,
        "nuisance": nuisance,
        "test": test,
    }, after


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("columns", [1, 3, 64])
def test_in_strips_is_as_a_whole(made, weights, method, columns, monkeypatch):
    posterior = solve(made.problem, method, **METHODS[method])
    parts, after = whole(posterior, weights)
    monkeypatch.setattr("inversion.problem.innovation.STRIP", 8.0 * made.problem.n_state * columns)
    monkeypatch.setattr("inversion.problem.totals.GROUP", 4 * columns)
    found = region_totals(posterior, weights)
    size = np.abs(found.prior.covariance).max()
    for name, expected in parts.items():
        # cg's blocks of right-hand sides are solved to 1e-8 each, to a little different numbers
        loose = 1e-7 if method == "cg" and columns < 64 else 1e-12
        scale = np.abs(expected).max() if name == "kernel" else size
        np.testing.assert_allclose(getattr(found, name), expected, rtol=0, atol=loose * scale, err_msg=name)
    np.testing.assert_allclose(found.posterior.covariance, after, rtol=0, atol=1e-12 * size)


@pytest.mark.parametrize("method", METHODS)
def test_covariance_and_mean_are_those_of_dense_algebra(made, weights, method):
    mean, covariance, kernel = dense_answer(made.problem)
    found = region_totals(solve(made.problem, method, **METHODS[method]), weights)
    g = weights.weights.toarray()
    size = np.abs(found.prior.covariance).max()
    np.testing.assert_allclose(found.posterior.covariance, g @ covariance @ g.T, rtol=0, atol=1e-11 * size)
    np.testing.assert_allclose(found.posterior.mean, g @ mean, rtol=0, atol=1e-9 * np.abs(g @ mean).max())
    np.testing.assert_allclose(found.kernel, g @ kernel @ weights.pattern.toarray(), atol=1e-7)


def test_intervals_of_totals_hold_what_they_say(made, weights):
    """4,000 truths from the prior, observed with error; the linear estimator that the strips of cg describe."""
    problem = made.problem
    posterior = solve(problem, "cg")
    found = region_totals(posterior, weights)
    g, rng, draws = weights.weights, np.random.default_rng(3), 4000
    seen = problem.forward(problem.prior_error.matmul(np.ascontiguousarray(g.toarray().T)))
    z = posterior.totals_gain(g, seen)
    truth = problem.prior_error.factor(rng.standard_normal((problem.prior_error.factor_size, draws)))
    noise = problem.observation_error.factor(
        rng.standard_normal((problem.observation_error.factor_size, draws))
    )
    miss = z.T @ (problem.forward(truth) + noise) - g @ truth
    sd = np.sqrt(np.diagonal(found.posterior.covariance))
    inside = np.mean(np.abs(miss) < 1.959964 * sd[:, None], axis=1)
    assert np.abs(inside - 0.95).max() < 4 * np.sqrt(0.95 * 0.05 / draws)
    # fossil fluxes have two time bins for three periods, so that some sums of totals are known exactly
    values, vectors = np.linalg.eigh(found.posterior.covariance)
    free = values > 1e-9 * values.max()
    whitened = vectors[:, free].T @ miss / np.sqrt(values[free])[:, None]
    np.testing.assert_allclose(np.cov(whitened), np.eye(np.count_nonzero(free)), atol=0.1)


class Killed(Exception):
    pass


def test_totals_go_on_from_what_is_kept(made, weights, tmp_path, monkeypatch):
    monkeypatch.setattr("inversion.problem.totals.GROUP", 7)
    posterior = solve(made.problem, "cg")
    expected = region_totals(posterior, weights)
    solved = []
    original = type(posterior).totals_gain

    def counted(self, *given):
        if len(solved) == 2 and not (tmp_path / "second").exists():
            raise Killed
        solved.append(1)
        return original(self, *given)

    monkeypatch.setattr(type(posterior), "totals_gain", counted)
    keep = kept_arrays(tmp_path / "kept", posterior)
    with pytest.raises(Killed):
        region_totals(posterior, weights, keep=keep)
    (tmp_path / "second").touch()
    again = region_totals(posterior, weights, keep=kept_arrays(tmp_path / "kept", posterior))
    assert len(solved) == 3  # two before, one after; 18 totals in groups of 6
    for name in PARTS:
        np.testing.assert_array_equal(getattr(again, name), getattr(expected, name))
    # a damaged file is made again, another posterior's is not taken
    file = min((tmp_path / "kept").glob("*.npy"))
    file.write_bytes(b"half")
    region_totals(posterior, weights, keep=keep)
    assert len(solved) == 4
    other = solve(made.problem.with_(observations=made.problem.observations + 1.0), "cg")
    region_totals(other, weights, keep=kept_arrays(tmp_path / "kept", other))
    assert len(solved) == 7


def random_basis(made, count):
    rng, rows = np.random.default_rng(count), {}
    for block in made.problem.state.blocks:
        if block.kind == "flux":
            label = rng.integers(0, count, block.size)
            rows[block.name] = sp.csr_array((np.ones(block.size), (label, np.arange(block.size))))
    return reduce_problem(made.problem, rows)


@pytest.mark.parametrize("method", METHODS)
def test_regions_in_the_place_of_cells(made, weights, method):
    posterior = random_basis(made, 9).solve(lambda p: solve(p, method, **METHODS[method]))
    parts, after = whole(posterior, weights)
    found = region_totals(posterior, weights)
    size = np.abs(found.prior.covariance).max()
    for name, expected in parts.items():
        scale = np.abs(expected).max() if name == "kernel" else size
        np.testing.assert_allclose(getattr(found, name), expected, rtol=0, atol=1e-11 * scale, err_msg=name)
    np.testing.assert_allclose(found.posterior.covariance, after, rtol=0, atol=1e-11 * size)


def test_what_is_kept_of_other_regions_is_not_taken(made, weights, tmp_path):
    """The problem in cells is the same one: its hash does not tell the bases apart."""
    for count in (5, 12):
        posterior = random_basis(made, count).solve(lambda p: solve(p, "cg"))
        found = region_totals(posterior, weights, keep=kept_arrays(tmp_path / "kept", posterior))
        np.testing.assert_array_equal(found.kernel, region_totals(posterior, weights).kernel)
    # nor does the folder grow with every change of the case
    assert len(list((tmp_path / "kept").iterdir())) == 1


def wide(n, cells, regions, times=3):
    """A problem of many cells and two sectors, and totals of stripes of cells."""
    rng = np.random.default_rng(0)
    m = times * cells
    labels = {"time": np.arange(times), "cell": np.arange(cells)}
    state = State([StateBlock(s, "flux", ("time", "cell"), labels, "1") for s in ("a", "b")])
    error = BlockDiagonalCovariance([DiagonalCovariance(rng.random(m) + 0.1) for _ in range(2)])
    h = sp.random_array((n, 2 * m), density=30 / m, rng=rng, format="csr")
    problem = Problem(h, rng.standard_normal(n), np.ones(n), np.zeros(2 * m), error, state=state)
    stripes = sp.csr_array((np.ones(cells), (np.arange(cells) * regions // cells, np.arange(cells))))
    one = sp.kron(sp.eye_array(times), stripes)
    order = np.arange(times * regions).reshape(times, regions).T.ravel()
    g = sp.csr_array(sp.block_diag([one.tocsr()[order]] * 2, format="csr"))
    unmixing = np.diag(1.0 / np.asarray(g.sum(axis=1)).ravel())
    names = tuple(f"r{i}" for i in range(regions))
    periods = np.datetime64("2020-01-01") + np.arange(times + 1)
    fixed = np.zeros(g.shape[0])
    return problem, TotalWeights(("a", "b"), names, periods, g, sp.csr_array(g.T), unmixing, fixed)


@pytest.mark.parametrize("method", ["dual", "cg"])
def test_memory_is_that_of_strips(method, monkeypatch):
    problem, weights = wide(n=60, cells=3_000, regions=25)
    posterior = solve(problem, method)
    array = 8 * weights.weights.shape[0] * problem.n_state
    assert array > 2e7
    region_totals(posterior, weights)  # compiles
    monkeypatch.setattr("inversion.problem.innovation.STRIP", 1e6)
    tracemalloc.start()
    found = region_totals(posterior, weights)
    posterior.aggregate(weights.weights)
    if method == "cg":
        posterior.variance()
        posterior.dofs_by_block()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.4 * array
    exact = solve(problem, "dual").aggregate(weights.weights)
    np.testing.assert_allclose(found.posterior.covariance, exact.covariance, atol=1e-8)


@pytest.mark.parametrize("kind", ["csr", "float32", "dense", "blocks"])
def test_a_part_of_the_state_alone(kind):
    rng = np.random.default_rng(1)
    h = sp.random_array((40, 90), density=0.3, rng=rng, format="csr")
    given = {
        "csr": h,
        "float32": h.astype(np.float32),
        "dense": h.toarray(),
        "blocks": BlockJacobian([h[:15], h[15:]], [15, 25], 90),
    }[kind]
    p = Problem(given, np.zeros(40), np.ones(40), np.zeros(90), np.ones(90))
    x = rng.standard_normal((33, 5))
    expected = h.toarray()[:, 20:53] @ x
    np.testing.assert_allclose(
        p.forward_part(x, slice(20, 53)), expected, atol=1e-6 if kind == "float32" else 1e-13
    )


def test_a_kronecker_prior_in_strips_and_threads(monkeypatch):
    """The product of a grid's correlation is the same number for any strip and count of threads."""
    from inversion.operators.kernels import grid_correlation

    rng = np.random.default_rng(2)
    space = grid_correlation(np.arange(20.0, 50.0), 0.5 * np.arange(70.0, 100.0), 300.0)
    b = KroneckerCovariance(
        rng.random(4 * 900) + 0.1, np.exp(-np.abs(np.subtract.outer(*[np.arange(4.0)] * 2))), space
    )
    x = rng.standard_normal((3600, 40))
    kept = x.copy()
    whole_product = b.matmul(x)
    np.testing.assert_array_equal(x, kept)
    monkeypatch.setattr("inversion.operators.kronecker._LARGE", 10)
    np.testing.assert_array_equal(b.matmul(x), whole_product)
    columns = np.column_stack([b.matmul(np.ascontiguousarray(x[:, i])) for i in range(40)])
    np.testing.assert_allclose(columns, whole_product, atol=1e-13)
    np.testing.assert_allclose(b.dense() @ x, whole_product, atol=1e-12)
