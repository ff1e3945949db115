"""Rates: exact where the plume is what the methods think, rejected where it is not."""

import dataclasses

import numpy as np
import pytest

from retrieval.plume.images.detect import detect
from retrieval.plume.options import METHODS, DetectSettings, RateSettings
from retrieval.plume.rates.estimate import RateEstimate, judge, source_rates
from retrieval.plume.rates.reasons import REASONS, RejectReason, words_of
from retrieval.plume.winds import PlumeWind
from tests.retrieval.plume.scenes import make_scene, place

SOURCE = place("stack", 0.0, 0.0)
WIND = PlumeWind(4.0, 1.0, 0.4)


def told(scene, *, source=SOURCE, others=(), wind=WIND, settings=RateSettings()):
    found = detect(
        scene.value, scene.uncertainty, scene.spacing_km, DetectSettings(), scene.no2, scene.no2_uncertainty
    )
    return source_rates(scene, found, source, others, wind, settings)


def reasons_of(rates):
    return {e.method: e.reasons for e in rates.estimates}


@pytest.mark.parametrize("no2", [False, True])
@pytest.mark.parametrize(("u", "v"), [(4.0, 1.0), (-2.0, -5.0)])
def test_a_steady_gaussian_plume_gives_its_rate(u, v, no2):
    rates = told(make_scene(((0.0, 0.0, 1000.0),), u=u, v=v, no2=no2), wind=PlumeWind(u, v, 0.4))
    for e in rates.estimates:
        assert not e.reasons, words_of(e.reasons)
        assert e.rate == pytest.approx(1000.0, rel=0.06), e.method
        assert e.low < 1000.0 < e.high


def test_rates_are_proportional_to_wind_and_to_the_gas():
    scene = make_scene()
    one = told(scene)
    two = told(scene, wind=PlumeWind(8.0, 2.0, 0.8))
    for a, b in zip(one.estimates, two.estimates, strict=True):
        assert b.rate == pytest.approx(2.0 * a.rate)
        assert b.budget.wind == pytest.approx(2.0 * a.budget.wind)


def test_turning_the_image_over_changes_nothing():
    scene = make_scene(noise=0.3, seed=3)
    flipped = {
        f.name: getattr(scene, f.name)[::-1, ::-1]
        for f in dataclasses.fields(scene)
        if isinstance(getattr(scene, f.name), np.ndarray)
    }
    a, b = told(scene), told(dataclasses.replace(scene, **flipped))
    for x, y in zip(a.estimates, b.estimates, strict=True):
        assert y.rate == pytest.approx(x.rate, rel=0.02)  # the background's blocks begin at the first pixel


def test_errors_of_noise_are_what_rates_scatter_by():
    drawn = [told(make_scene(noise=0.5, seed=k)) for k in range(12)]
    for k, method in enumerate(("ime", "csf", "gauss")):
        values = np.array([r.estimates[k].rate for r in drawn])
        stated = np.median([r.estimates[k].budget.additive for r in drawn])
        assert 0.4 < values.std(ddof=1) / stated < 2.0, method
        assert abs(values.mean() - 1000.0) < 0.12 * 1000.0, method


@pytest.mark.parametrize("speed", [0.0, 0.5])
def test_no_wind_no_rate(speed):
    rates = told(make_scene(), wind=PlumeWind(speed, 0.0, 0.4))
    for reasons in reasons_of(rates).values():
        assert reasons & RejectReason.SLOW_WIND
    assert not rates.accepted
    if speed == 0:
        assert all(np.isnan(e.rate) for e in rates.estimates)


def test_a_wind_across_the_plume_is_not_believed():
    rates = told(make_scene(), wind=PlumeWind(-1.0, 4.0, 0.4))
    assert all(r & RejectReason.DIRECTION for r in reasons_of(rates).values())


def test_a_source_outside_the_swath_has_no_rate():
    rates = told(make_scene(), source=place("far", -120.0, 0.0))
    assert all(r & RejectReason.OUTSIDE for r in reasons_of(rates).values())
    assert not rates.accepted


def test_no_plume_no_rate_but_a_limit():
    rates = told(make_scene((), noise=0.5, seed=1))
    assert all(r & RejectReason.NOT_FOUND for r in reasons_of(rates).values())
    assert not rates.accepted
    limits = [e.limit for e in rates.estimates if np.isfinite(e.limit)]
    assert limits
    assert min(limits) > 10.0


def test_two_sources_on_one_line():
    plumes = ((0.0, 0.0, 1000.0), (25.0, 6.25, 1000.0))
    first, second = SOURCE, place("second", 25.0, 6.25)
    scene = make_scene(plumes, noise=0.3, seed=1)
    upwind = told(scene, others=(second,))
    assert upwind.layout.end < 25.0  # cut before the other adds to it
    assert upwind.layout.merged_with == ("second",)
    for e in upwind.accepted:
        assert e.rate == pytest.approx(1000.0, rel=0.35), e.method
    downwind = told(scene, source=second, others=(first,))
    assert all(r & RejectReason.MERGED for r in reasons_of(downwind).values())
    near = told(
        make_scene(((0.0, 0.0, 1000.0), (5.0, 1.25, 1000.0)), noise=0.3, seed=1),
        others=(place("near", 5.0, 1.25),),
    )
    assert all(r & RejectReason.MERGED for r in reasons_of(near).values())


def test_a_plume_behind_clouds_is_not_told():
    rates = told(make_scene(hide=lambda x, y: (x > 6) & (np.abs(y - 0.25 * x) < 9) & (x.round() % 16 < 11)))
    assert all(r & (RejectReason.GAPS | RejectReason.SHORT) for r in reasons_of(rates).values())


def test_a_rate_lost_in_its_errors_is_rejected():
    rates = told(make_scene(), wind=PlumeWind(4.0, 1.0, 3.0))
    for e in rates.estimates:
        assert e.reasons & RejectReason.UNCERTAIN
        assert e.high == np.inf


def test_methods_that_disagree_are_all_marked():
    estimates = told(make_scene()).estimates
    assert not any(e.reasons for e in judge(estimates, RateSettings()))
    off = (dataclasses.replace(estimates[0], rate=9000.0), *estimates[1:])
    assert all(e.reasons & RejectReason.DISAGREE for e in judge(off, RateSettings()))
    lame = (dataclasses.replace(off[0], reasons=RejectReason.GAPS), *estimates[1:])
    judged = judge(lame, RateSettings())  # one that is rejected already says nothing
    assert [bool(e.reasons) for e in judged] == [True, False, False, False]


def test_every_reason_has_words_in_both_languages():
    assert set(REASONS) == set(RejectReason)
    assert words_of(RejectReason.GAPS | RejectReason.MERGED, "zh").count("；") == 1
    assert set(METHODS) == {e.method for e in told(make_scene()).estimates}
    assert isinstance(told(make_scene()).estimates[0], RateEstimate)
