"""Matched filters: identities, and truths that were drawn."""

import numpy as np
import pytest

from retrieval.matched_filter.filters import filter_spectra
from retrieval.matched_filter.linear import noise_taken
from retrieval.matched_filter.options import FilterSettings
from retrieval.matched_filter.strong import GrowthCurve
from retrieval.matched_filter.twin import CubeWorld, comb, make_cube

K = comb(20)


def background(n=600, seed=0, contrast=0.3):
    rng = np.random.default_rng(seed)
    x = np.linspace(-1, 1, len(K))
    light = 10.0 * (1.0 - 0.3 * x)
    bright = np.exp(contrast * rng.standard_normal(n) - 0.5 * contrast**2)
    out = bright[:, None] * light * (1.0 + 0.02 * rng.standard_normal(n)[:, None] * x)
    return out + 0.03 * rng.standard_normal(out.shape)


def settings(method="classical", **more):
    return FilterSettings(method=method, **more)


@pytest.mark.parametrize("amount", [-3000.0, 0.0, 1.0, 5000.0])
def test_the_response_to_a_unit_is_one(amount):
    """Of a pixel outside the statistics, x = mu + alpha t gives alpha exactly."""
    x = background()
    mu = x.mean(0)
    pixel = mu + amount * mu * K
    inside = np.arange(len(x) + 1) < len(x)
    made = filter_spectra(np.vstack([x, pixel]), K, settings(), inside)
    assert made.enhancement[-1] == pytest.approx(amount, abs=1e-8 * max(1.0, abs(amount)))


def test_brightness_has_no_say_where_it_is_corrected():
    """x = r (mu + alpha t): the classical filter gives about r alpha, the corrected one alpha."""
    x = background(5000)
    mu = x.mean(0)
    r = np.array([0.3, 0.6, 1.0, 1.7, 3.0])
    pixels = r[:, None] * mu * (1.0 + 4000.0 * K)
    both = np.vstack([x, pixels])
    inside = np.arange(len(both)) < len(x)
    classical = filter_spectra(both, K, settings(), inside).enhancement[-5:]
    albedo = filter_spectra(both, K, settings("albedo"), inside).enhancement[-5:]
    np.testing.assert_allclose(classical, 4000.0 * r, rtol=0.02, atol=60.0)
    np.testing.assert_allclose(albedo, 4000.0, rtol=0.02)


@pytest.mark.parametrize("method", ["classical", "albedo", "reweighted"])
def test_units_and_order_do_not_matter(method):
    x = background(seed=3)
    x[:30] *= np.exp(3000.0 * K)
    made = filter_spectra(x, K, settings(method))
    for same in (
        filter_spectra(1e4 * x, K, settings(method)),
        filter_spectra(np.ascontiguousarray(x[:, ::-1]), K[::-1], settings(method)),
    ):
        np.testing.assert_allclose(same.enhancement, made.enhancement, rtol=1e-6, atol=1e-4)
        np.testing.assert_allclose(same.error, made.error, rtol=1e-5)
    order = np.random.default_rng(1).permutation(len(x))
    mixed = filter_spectra(x[order], K, settings(method))
    np.testing.assert_allclose(mixed.enhancement, made.enhancement[order], rtol=1e-6, atol=1e-4)
    per_thousand = filter_spectra(x, 1e3 * K, settings(method))
    np.testing.assert_allclose(1e3 * per_thousand.enhancement, made.enhancement, rtol=1e-6, atol=1e-4)


def test_leaving_a_pixel_out_is_what_leaving_it_out_gives():
    """The closed form against covariances of all other pixels, the target held."""
    x = background(60)
    t = x.mean(0) * K
    made = filter_spectra(x, K, settings(shrinkage="none"))
    for i in (0, 7, 59):
        rest = np.delete(x, i, axis=0)
        w = np.linalg.solve(np.cov(rest.T, bias=True), t)
        assert made.enhancement[i] == pytest.approx((x[i] - rest.mean(0)) @ w / (t @ w), rel=1e-6)


def test_no_other_filter_of_unit_response_has_less_variance():
    x = background(20000, contrast=0.1)
    mu = x.mean(0)
    t = mu * K
    made = filter_spectra(x, K, settings(shrinkage="none"))
    assert made.enhancement.std() == pytest.approx(made.optimum, rel=0.01)
    rng = np.random.default_rng(5)
    w = np.linalg.solve(np.cov(x.T), t)
    w /= w @ t
    for _ in range(20):
        other = w * (1.0 + 0.2 * rng.standard_normal(len(w)))
        other /= other @ t
        assert ((x - mu) @ other).std() > made.optimum


def columns(world, number, seed=0):
    """Return spectra, truth and water of some columns that were drawn."""
    made = make_cube(world, K, seed)
    for c in range(number):
        yield made.radiance[:, c].astype(float), made.enhancement[:, c], made.water[:, c]


def test_a_plume_in_its_own_background_is_told_low_by_its_mean():
    """Classical: by the mean of the column, of plume and air alike. Reweighted: by a fraction of that."""
    world = CubeWorld(rows=3000, columns=1, contrast=0.0, materials=0.005, share=0.2, strength=1500.0)
    off = {"classical": [], "reweighted": []}
    means = []
    for seed in range(4):
        x, truth, _ = next(columns(world, 1, seed))
        means.append(truth.mean())
        for method, found in off.items():
            made = filter_spectra(x, K, settings(method)).enhancement
            found.append((made - truth)[truth == 0].mean())
    assert np.mean(off["classical"]) == pytest.approx(-np.mean(means), rel=0.1)
    assert abs(np.mean(off["reweighted"])) < 0.25 * np.mean(means)


def test_without_a_plume_nothing_is_found_but_noise():
    """No bias, the stated error is the scatter at every brightness, three of it are passed by 0.13 %."""
    z, alpha, bright = [], [], []
    for seed in range(8):
        for x, _, _ in columns(CubeWorld(rows=700, columns=4, strength=0.0), 4, seed):
            made = filter_spectra(x, K, settings("reweighted"))
            z.append(made.enhancement / made.error)
            alpha.append(made.enhancement)
            bright.append(made.brightness)
    z, bright = np.concatenate(z), np.concatenate(bright)
    assert abs(z.mean()) < 0.04
    assert z.std() == pytest.approx(1.0, abs=0.02)
    assert (z > 3.0).mean() == pytest.approx(0.00135, abs=0.0008)
    for low, high in ((0.0, 0.7), (0.7, 1.1), (1.1, 9.0)):
        assert z[(bright > low) & (bright < high)].std() == pytest.approx(1.0, abs=0.05)


def test_what_is_taken_from_noise_is_known():
    """Before it is put back; a band or twenty, the share is the same."""
    mean, variance = noise_taken(30)
    assert 0.05 < mean < 0.12
    assert 0.2 < variance < 0.35
    share = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        x = 10.0 + 0.03 * rng.standard_normal((20000, len(K)))
        made = filter_spectra(x, K, settings("reweighted", shrinkage="none"))
        # of what is left: the promise with the variance put back, without it
        share.append(made.sparse.mean() / (made.optimum / np.sqrt(1.0 + variance)))
        assert abs(made.enhancement.mean()) < 0.02 * made.optimum
    assert np.mean(share) == pytest.approx(mean, rel=0.05)


def test_a_planted_plume_is_recovered():
    found, true = [], []
    for seed in range(3):
        for x, truth, _ in columns(CubeWorld(rows=800, columns=6, strength=3000.0), 6, seed):
            made = filter_spectra(x, K, settings("reweighted"))
            at = truth > 1000.0
            found.append(made.enhancement[at])
            true.append(truth[at])
    ratio = np.concatenate(found).sum() / np.concatenate(true).sum()
    assert ratio == pytest.approx(1.0, abs=0.02)


def test_stripes_of_detectors_go_with_their_own_statistics():
    made = make_cube(CubeWorld(rows=400, columns=10, strength=0.0, stripes=0.03), K, 2)
    x = made.radiance.astype(float)
    together = filter_spectra(x.reshape(-1, len(K)), K, settings("albedo")).enhancement.reshape(400, 10)
    alone = np.stack([filter_spectra(x[:, c], K, settings("albedo")).enhancement for c in range(10)], axis=1)
    assert together.mean(axis=0).std() > 0.3 * alone.std()
    assert alone.mean(axis=0).std() < 0.03 * alone.std()
    assert alone.std() < 0.9 * together.std()


def test_the_sparse_estimate_is_never_negative():
    x, _, _ = next(columns(CubeWorld(rows=500, columns=1), 1))
    made = filter_spectra(x, K, settings("reweighted"))
    assert (made.sparse >= 0.0).all()
    assert 0.5 < (made.sparse == 0.0).mean() < 1.0
    assert np.isnan(filter_spectra(x, K, settings("albedo")).sparse).all()


def strongly(world, seeds, planted=None, curve=None):
    """Return estimates, errors, truths and refusals of the reweighted filter, one after the other."""
    found = []
    for seed in range(seeds):
        made = make_cube(world, K, seed, planted)
        for c in range(world.columns):
            one = filter_spectra(made.radiance[:, c].astype(float), K, settings("reweighted"), curve=curve)
            found.append((one.enhancement, one.error, made.enhancement[:, c], one.beyond))
    return (np.concatenate(part) for part in zip(*found, strict=True))


@pytest.mark.parametrize(("strength", "share"), [(5000.0, 0.05), (30000.0, 0.02), (40000.0, 0.2)])
def test_strong_plumes_are_told_whole(strength, share):
    """Recovery, intervals, and the quiet pixels beside them; a linear filter tells 11 % too little at 20,000."""
    world = CubeWorld(rows=700, columns=4, strength=strength, share=share)
    alpha, error, truth, beyond = strongly(world, 3)
    there, none = (truth > 3.0 * error) & ~beyond, truth == 0.0
    assert there.sum() > 0.7 * (truth > 0.0).sum()
    chance = np.sqrt((error[there] ** 2).sum()) / truth[there].sum()
    assert alpha[there].sum() / truth[there].sum() == pytest.approx(1.0, abs=0.015 + 2.0 * chance)
    assert (np.abs(alpha - truth)[there] < 1.96 * error[there]).mean() == pytest.approx(0.95, abs=0.035)
    z = (alpha / error)[none]
    assert abs(z.mean()) < 0.06
    assert z.std() == pytest.approx(1.0, abs=0.03)
    assert (z > 3.0).mean() == pytest.approx(0.00135, abs=0.0015)


def test_a_curve_of_growth_is_followed():
    """Half of each band full of lines twice as strong: ln T = ln((1 + exp(2 k alpha)) / 2)."""
    strength = np.array([1e3, 3e3, 1e4, 2e4, 4e4, 8e4])
    log = np.log(0.5 + 0.5 * np.exp(2.0 * strength[:, None] * K))
    curve = GrowthCurve(K, strength, log / strength[:, None])
    world = CubeWorld(rows=700, columns=2)
    truth = np.zeros((700, 2))
    truth[::30] = 20000.0
    made = make_cube(world, K, 1, truth)
    x = made.radiance.astype(float) * np.exp(
        np.log(0.5 + 0.5 * np.exp(2.0 * truth[..., None] * K)) - truth[..., None] * K
    )
    at = truth[:, 0] > 0.0
    told, low = (
        filter_spectra(x[:, 0], K, settings("reweighted"), curve=c).enhancement[at].mean()
        for c in (curve, None)
    )
    assert told == pytest.approx(20000.0, rel=0.01)
    assert low < 0.95 * 20000.0


FULL = CubeWorld(rows=1280, columns=2, strength=40000.0, share=0.5, contrast=0.1, materials=0.02, noise=0.005)


def test_what_is_too_strong_is_refused():
    """Deeper than intervals are known to hold; deep plumes that fill their own background."""
    _, _, truth, beyond = strongly(CubeWorld(rows=700, columns=2, strength=90000.0, share=0.05), 1)
    deep = truth > 1.1 * 0.9 / abs(K.min())
    assert beyond[deep].all()
    assert not beyond[truth < 0.9 * 0.9 / abs(K.min())].any()
    wide = comb(60)
    made = make_cube(FULL, wide, 1)
    one = filter_spectra(made.radiance[:, 0].astype(float), wide, settings("reweighted"))
    truth, seen = made.enhancement[:, 0], one.enhancement > 3.0 * one.error
    assert np.nanmean(one.enhancement[truth > 20000.0]) < 0.7 * truth[truth > 20000.0].mean()  # wrong,
    assert one.beyond[seen & (truth > 0.0)].all()  # and says so
