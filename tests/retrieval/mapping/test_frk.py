"""Fixed-rank kriging: the algebra against dense matrices, EM that never falls, errors as large as said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obsnet.errors import RangeError, ResourceError
from obsnet.sphere import EARTH_RADIUS_KM, unit_vectors
from retrieval.mapping.bisquares import Bisquares, Resolution, make_basis
from retrieval.mapping.frk import FixedRank, _Block, fit_fixed_rank

BOX = (25.0, 40.0, 100.0, 120.0)
SMALL = make_basis(BOX, (0.0, 8.0), spacing_km=(1500.0, 700.0), spacing_days=4.0)


def places(n, seed, days=(0.0, 8.0)):
    rng = np.random.default_rng(seed)
    return rng.uniform(25, 40, n), rng.uniform(100, 120, n), rng.uniform(*days, n)


def world(n, seed, *, fine=0.04, basis=SMALL):
    """Return observations of a field that has the model, its truth and X."""
    rng = np.random.default_rng(seed)
    lat, lon, days = places(n, seed)
    s = basis.evaluate(lat, lon, days)
    parts = []
    for r, variance in zip(basis.resolutions, (1.0, 0.5), strict=True):
        block = _Block.start(r, variance)
        space, time = block.parts(800.0, 5.0)
        parts.append(np.linalg.cholesky(variance * np.kron(space, time)) @ rng.normal(size=len(r)))
    x = np.column_stack([np.ones(n), lat / 10])
    truth = x @ [410.0, -0.5] + s @ np.concatenate(parts) + np.sqrt(fine) * rng.normal(size=n)
    sigma = rng.uniform(0.2, 0.5, n)
    return (lat, lon, days), truth + sigma * rng.normal(size=n), sigma, truth, x


@given(st.integers(0, 10**6))
def test_basis_is_bisquares(seed):
    lat, lon, days = places(20, seed)
    s = SMALL.evaluate(lat, lon, days).toarray()
    assert s.shape == (20, len(SMALL))
    assert (s >= 0).all()
    assert (s <= 1).all()
    column = 0
    xyz = unit_vectors(lat, lon)
    for r in SMALL.resolutions:
        km = 2 * EARTH_RADIUS_KM * np.arcsin(np.linalg.norm(xyz[:, None] - r.centres[None], axis=2) / 2)
        space = np.where(km < r.radius_km, (1 - (km / r.radius_km) ** 2) ** 2, 0)
        lag = np.abs(days[:, None] - r.days[None]) / r.radius_days
        time = np.where(lag < 1, (1 - lag**2) ** 2, 0)
        full = (space[:, :, None] * time[:, None, :]).reshape(20, -1)
        np.testing.assert_allclose(s[:, column : column + len(r)], full, atol=1e-12)
        column += len(r)


def test_centres_cover_the_region():
    lat, lon, days = places(500, 0)
    s = SMALL.evaluate(lat, lon, days)
    assert (s.sum(axis=1) > 0.5).all()
    assert np.diff(s.indptr).min() > 3
    pacific = make_basis((-10, 10, 170, -170), (0, 0))
    assert (pacific.evaluate([0.0], [179.0], [0.0]).sum(axis=1) > 0.3).all()
    globe = make_basis((-90, 90, -180, 180), (0.0, 1.0), spacing_km=(4000.0,))
    assert len(np.unique(np.round(globe.resolutions[0].centres, 6), axis=0)) == len(
        globe.resolutions[0].centres
    )


def test_posterior_against_dense_kriging():
    """With no iteration the fit is kriging with covariance S K S' + fine + noise and a flat mean."""
    (lat, lon, days), z, sigma, _, x = world(80, 1)
    fit = fit_fixed_rank(SMALL, lat, lon, days, z, sigma, x, iterations=0)
    s = SMALL.evaluate(lat, lon, days).toarray()
    prior = np.zeros((len(SMALL), len(SMALL)))
    a = 0
    for r, p in zip(SMALL.resolutions, fit.lengths, strict=True):
        space, time = _Block.start(r, 1).parts(p["length_km"], p["length_days"])
        prior[a : a + len(r), a : a + len(r)] = p["variance"] * np.kron(space, time)
        a += len(r)
    data = s @ prior @ s.T + np.diag(fit.fine_variance + sigma**2)
    inverse = np.linalg.inv(data)
    beta_covariance = np.linalg.inv(x.T @ inverse @ x)
    beta = beta_covariance @ x.T @ inverse @ z
    np.testing.assert_allclose(fit.mean[-2:], beta, rtol=1e-7)
    np.testing.assert_allclose(fit.covariance[-2:, -2:], beta_covariance, rtol=1e-6)
    new = places(5, 99)
    s_new = SMALL.evaluate(*new).toarray()
    x_new = np.column_stack([np.ones(5), new[0] / 10])
    cross = s_new @ prior @ s.T
    mean = x_new @ beta + cross @ inverse @ (z - x @ beta)
    gap = x_new - cross @ inverse @ x
    smooth = s_new @ prior @ s_new.T - cross @ inverse @ cross.T + gap @ beta_covariance @ gap.T
    found, sd = fit.predict(*new, x_new)
    np.testing.assert_allclose(found, mean, atol=1e-6)
    np.testing.assert_allclose(sd, np.sqrt(np.diag(smooth) + fit.fine_variance), rtol=1e-6)
    # at an observed cell the fine scale is learnt too: the same by dense conditioning
    full = s @ prior @ s.T + fit.fine_variance * np.eye(80)
    gap = x - full @ inverse @ x
    dense_mean = x @ beta + full @ inverse @ (z - x @ beta)
    dense_sd = np.sqrt(np.diag(full - full @ inverse @ full + gap @ beta_covariance @ gap.T))
    found, sd = fit.predict(lat, lon, days, x, value=z, error=sigma)
    np.testing.assert_allclose(found, dense_mean, atol=1e-6)
    np.testing.assert_allclose(sd, dense_sd, rtol=1e-5)


def test_likelihood_is_the_restricted_one():
    (lat, lon, days), z, sigma, _, x = world(60, 2)
    one, two = (fit_fixed_rank(SMALL, lat, lon, days, z, s, x, iterations=0) for s in (sigma, 1.3 * sigma))

    def dense(fit, s_error):
        s = SMALL.evaluate(lat, lon, days).toarray()
        a, prior = 0, np.zeros((len(SMALL),) * 2)
        for r, p in zip(SMALL.resolutions, fit.lengths, strict=True):
            space, time = _Block.start(r, 1).parts(p["length_km"], p["length_days"])
            prior[a : a + len(r), a : a + len(r)] = p["variance"] * np.kron(space, time)
            a += len(r)
        data = s @ prior @ s.T + np.diag(fit.fine_variance + s_error**2)
        inverse = np.linalg.inv(data)
        middle = x.T @ inverse @ x
        beta = np.linalg.solve(middle, x.T @ inverse @ z)
        rest = z - x @ beta
        return -0.5 * (np.linalg.slogdet(data)[1] + np.linalg.slogdet(middle)[1] + rest @ inverse @ rest)

    difference = one.likelihood[0] - two.likelihood[0]
    assert difference == pytest.approx(dense(one, sigma) - dense(two, 1.3 * sigma), abs=1e-6)


@given(st.integers(0, 10**4))
@settings(max_examples=5)
def test_em_never_falls(seed):
    (lat, lon, days), z, sigma, _, x = world(150, seed)
    fit = fit_fixed_rank(SMALL, lat, lon, days, z, sigma, x, iterations=8, tolerance=-np.inf)
    assert len(fit.likelihood) == 9
    assert (np.diff(fit.likelihood) > -1e-6 * np.abs(fit.likelihood[0])).all()


def test_errors_are_as_large_as_said():
    (lat, lon, days), z, sigma, truth, x = world(900, 3)
    seen = np.arange(900) < 600
    fit = fit_fixed_rank(SMALL, lat[seen], lon[seen], days[seen], z[seen], sigma[seen], x[seen])
    mean, sd = fit.predict(lat[~seen], lon[~seen], days[~seen], x[~seen])
    score = (mean - truth[~seen]) / sd
    assert np.mean(np.abs(score) < 1.96) == pytest.approx(0.95, abs=0.035)
    assert np.sqrt(np.mean((mean - truth[~seen]) ** 2)) < 0.6 * truth.std()
    assert fit.fine_variance == pytest.approx(0.04, abs=0.025)


def test_errors_are_as_large_as_said_over_many_fields():
    size, covered = [], []
    for seed in range(12):
        (lat, lon, days), z, sigma, truth, x = world(900, seed)
        seen = np.arange(900) < 600
        fit = fit_fixed_rank(SMALL, lat[seen], lon[seen], days[seen], z[seen], sigma[seen], x[seen])
        mean, sd = fit.predict(lat[~seen], lon[~seen], days[~seen], x[~seen])
        size.append(np.std((mean - truth[~seen]) / sd))
        covered.append(np.mean(np.abs(mean - truth[~seen]) < 1.96 * sd))
    assert np.mean(size) == pytest.approx(1, abs=0.06)
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("factor", [0.3, 1.0, 5.0])
def test_misstated_errors_are_found_out_where_they_differ(factor):
    """Half the observations are ten times as noisy: their scatter tells by how much all are misstated."""
    (lat, lon, days), _, sigma, truth, x = world(900, 5, fine=0.02)
    sigma = sigma * np.where(np.arange(900) % 2, 1.0, 10.0)
    z = truth + sigma * np.random.default_rng(5).normal(size=900)
    fit = fit_fixed_rank(SMALL, lat, lon, days, z, factor * sigma, x, iterations=60)
    # from 0.3 and 5: the pull to what is stated keeps a part of the misstatement of so few
    assert 0.65 < np.sqrt(fit.error_scale) * factor < 1.6


def test_unseen_region_falls_back_to_the_prior():
    """Data in the west only: in the east the standard deviation is that of the field."""
    (lat, lon, days), z, sigma, _, x = world(400, 4)
    west = lon < 106
    fit = fit_fixed_rank(SMALL, lat[west], lon[west], days[west], z[west], sigma[west], x[west])
    _, near = fit.predict([30.0], [103.0], [4.0], [[1, 3.0]])
    _, far = fit.predict([30.0], [119.0], [4.0], [[1, 3.0]])
    assert far[0] > 2.5 * near[0]


def test_linear_in_the_values_for_given_parameters():
    (lat, lon, days), z, sigma, _, x = world(80, 5)
    one = fit_fixed_rank(SMALL, lat, lon, days, z, sigma, x, iterations=0)
    two = fit_fixed_rank(SMALL, lat, lon, days, z + 7.0, sigma, x, iterations=0)
    new = places(4, 6)
    design = np.column_stack([np.ones(4), new[0] / 10])
    np.testing.assert_allclose(two.predict(*new, design)[0] - one.predict(*new, design)[0], 7.0, atol=1e-6)


def test_prediction_in_pieces_is_the_same():
    (lat, lon, days), z, sigma, _, x = world(80, 7)
    fit = fit_fixed_rank(SMALL, lat, lon, days, z, sigma, x, iterations=1)
    assert isinstance(fit, FixedRank)
    whole = fit.predict(lat, lon, days, x)
    pieces = [fit.predict(lat[a], lon[a], days[a], x[a]) for a in (slice(0, 30), slice(30, 80))]
    for k in range(2):
        np.testing.assert_allclose(np.concatenate([p[k] for p in pieces]), whole[k], rtol=1e-12)


def test_a_fit_can_go_on_from_another():
    (lat, lon, days), z, sigma, _, x = world(100, 8)
    first = fit_fixed_rank(SMALL, lat, lon, days, z, sigma, x, iterations=6, tolerance=-np.inf)
    same = fit_fixed_rank(SMALL, lat, lon, days, z, sigma, x, iterations=0, start=first)
    assert same.likelihood[0] == pytest.approx(first.likelihood[-1], rel=1e-12)
    assert same.lengths == first.lengths
    np.testing.assert_allclose(same.mean, first.mean)


def test_means_of_groups_are_the_means_of_many_points():
    """Mean and variance by the dense posterior: the fine scale is shared inside a cell and free between cells."""
    (lat, lon, days), z, sigma, _, x = world(80, 11)
    fit = fit_fixed_rank(SMALL, lat, lon, days, z, sigma, x, iterations=3)
    new = places(7, 12)
    design = np.column_stack([np.ones(7), new[0] / 10])
    cell, offsets = np.array([0, 0, 1, 5, 5, 5, 6]), np.array([0, 3, 7])
    mean, sd = fit.predict_means(*new, design, cell, offsets)
    rows = np.column_stack([SMALL.evaluate(*new).toarray(), design])
    for g, part in enumerate((slice(0, 3), slice(3, 7))):
        average = rows[part].mean(axis=0)
        shares = np.unique(cell[part], return_counts=True)[1] / (part.stop - part.start)
        variance = average @ fit.covariance @ average + fit.fine_variance * np.sum(shares**2)
        assert mean[g] == pytest.approx(average @ fit.mean, rel=1e-10)
        assert sd[g] == pytest.approx(np.sqrt(variance), rel=1e-10)


def test_a_globe_of_functions_is_refused_before_memory_is_taken(monkeypatch):
    """At the usual spacing the globe has 25,000 functions; the refusal names the memory, and nothing is allocated."""
    import tracemalloc

    globe = make_basis((-90, 90, -180, 180), (0.0, 16.0))
    assert len(globe) > 20000
    monkeypatch.setattr("retrieval.mapping.frk.available_memory", lambda: 8 * 2**30)
    lat, lon, days = places(30, 0)
    tracemalloc.start()
    with pytest.raises(
        ResourceError, match=r"functions need \d+\.\d GiB of memory, 8\.0 GiB are free; take fewer functions"
    ):
        fit_fixed_rank(globe, lat, lon, days, np.ones(30), np.ones(30), np.ones((30, 1)))
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


def test_refusals():
    lat, lon, days = places(3, 0)
    with pytest.raises(RangeError, match="positive uncertainties"):
        fit_fixed_rank(SMALL, lat, lon, days, np.ones(3), np.zeros(3), np.ones((3, 1)))
    with pytest.raises(RangeError, match="3 observations cannot fit the 3"):
        fit_fixed_rank(SMALL, lat, lon, days, np.ones(3), np.ones(3), np.eye(3))
    with pytest.raises(RangeError, match="a basis needs a region"):
        make_basis((10, 0, 0, 10), (0, 1))
    assert len(Bisquares((Resolution(np.eye(3), 1.0, np.zeros(2), 1.0),))) == 6


def test_what_neighbours_share_is_in_the_mean_of_a_block():
    """The variance of a mean is that of the whole covariance matrix, and one column's stays what it was."""
    rng = np.random.default_rng(3)
    lat, lon = rng.uniform(20, 24, 40), rng.uniform(100, 104, 40)
    basis = make_basis((18, 26, 98, 106), (0.0, 1.0), spacing_km=(900.0,), spacing_days=4.0)
    ones, days = np.ones((40, 1)), np.zeros(40)
    fit = fit_fixed_rank(basis, lat, lon, days, rng.normal(400, 1, 40), np.full(40, 0.5), ones, iterations=3)
    offsets = np.array([0, 1, 40])
    where = lat, lon, days, ones, np.arange(40), offsets
    plain = fit.predict_means(*where)[1] ** 2
    for share in (0.3, 0.99):
        shared = fit.sharing(share, 150.0)
        whole = fit.fine_variance + fit.error_scale * fit.noise
        parts = shared.fine_variance + shared.shared_variance + shared.error_scale * shared.noise
        assert parts == pytest.approx(whole, rel=1e-12)
        xyz = unit_vectors(lat, lon)
        chord = EARTH_RADIUS_KM * np.linalg.norm(xyz[1:, None] - xyz[None, 1:], axis=2)
        covariance = shared.shared_variance * np.exp(-chord / 150.0) + shared.fine_variance * np.eye(39)
        found = shared.predict_means(*where)[1] ** 2
        assert found[1] - plain[1] == pytest.approx(covariance.mean() - fit.fine_variance / 39, rel=1e-9)
        one = shared.shared_variance + shared.fine_variance - fit.fine_variance
        assert found[0] - plain[0] == pytest.approx(one, rel=1e-9)
    assert shared.error_scale < fit.error_scale  # more than xi has
