"""The covariance from held-out blocks: means are as uncertain as said, of known fields and of real days."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow.compute as pc
import pytest

from obsnet.errors import RangeError
from obsnet.grid import Grid
from retrieval.mapping.held_out_fit import fit_held_out
from retrieval.mapping.kriging import Samples, krige_cells, krige_points
from retrieval.mapping.mappers import KrigingMapper
from retrieval.mapping.scattered import Columns
from retrieval.mapping.settings import MapSettings
from retrieval.mapping.variogram import ProductSum
from retrieval.products.read import read_granule
from tests.retrieval.mapping.fields import START, draw, places

DAY = np.timedelta64(1, "D")


WIDE = {"lat": (0.0, 50.0), "lon": (60.0, 140.0), "days": 1.0}
GRID = Grid.regular(10, 40, 70, 130, 6, 10)


def sparse(seed, n=250, range_km=1500.0, **changes):
    """A sparse sensor: one day, 200 km between columns, a slow field and a little below every distance."""
    return draw(ProductSum(1.0, range_km, 1.0, 5.0, 1.0, 0.05), places(n, seed, **WIDE), seed, **changes)


@pytest.mark.parametrize("range_km", [150.0, 600.0, 2000.0])
def test_means_are_as_uncertain_as_said(range_km):
    """Truth known: means of 36 places in each of 30 cells, drawn with the columns; five fields."""
    model = ProductSum(1.0, range_km, 1.0, 5.0, 1.0, 0.0)
    z, known = [], []
    for seed in range(5):
        columns = places(250, seed, **WIDE)
        part = (np.arange(6) + 0.5) / 6
        lat, lon = (e[:-1, None] + np.diff(e)[:, None] * part for e in (GRID.lat_edges, GRID.lon_edges))
        shape = (*GRID.shape, 6, 6)
        inner = [
            np.broadcast_to(lat[:, None, :, None], shape).ravel(),
            np.broadcast_to(lon[None, :, None, :], shape).ravel(),
            np.full(36 * GRID.size, START + DAY // 2),
        ]
        samples, truth = draw(model, tuple(np.concatenate(p) for p in zip(columns, inner, strict=True)), seed)
        mean = truth[250:].reshape(*GRID.shape, 36).mean(axis=-1)
        mine = samples.take(np.arange(250))
        fit = fit_held_out(mine)
        for sd_factor, covariance, out in ((fit.error_scale**0.5, fit.model, z), (1.0, model, known)):
            scaled = Samples(*columns, mine.value, sd_factor * mine.uncertainty)
            found = krige_cells(scaled, covariance, GRID, START + DAY // 2, START + DAY // 2)
            out.append((found.mean - mean) / found.sd)
    covered, best = (np.mean(np.abs(np.array(x)) < 1.96) for x in (z, known))
    assert best == pytest.approx(0.95, abs=0.03)
    assert covered == pytest.approx(best, abs=0.03)


def test_a_field_that_varies_more_in_the_east_is_less_certain_there():
    """Three times the scatter in one half: either half is covered as said, which one variance for both cannot do."""
    even, covered, plain = [], [[], []], [[], []]
    for seed in range(4):
        known, asked = places(500, seed, **WIDE), places(150, 100 + seed, **WIDE)
        both = tuple(np.concatenate(p) for p in zip(known, asked, strict=True))
        samples, truth = draw(ProductSum(1.0, 800.0, 1.0, 5.0, 1.0, 0.02), both, seed)
        rough = np.where(both[1] > 100, 3.0, 1.0)
        fit = fit_held_out(
            Samples(*known, (rough * samples.value)[:500], (samples.uncertainty * rough**0)[:500])
        )
        even.append(fit.model.evenness)
        steady = replace(fit.model, evenness=np.inf)
        mine = Samples(
            *known, (rough * samples.value)[:500], np.sqrt(fit.error_scale) * samples.uncertainty[:500]
        )
        for model, out in ((fit.model, covered), (steady, plain)):
            found = krige_points(mine, model, *asked)
            inside = np.abs(found.mean - (rough * truth)[500:]) <= 1.96 * found.sd
            out[0].extend(inside[rough[500:] == 1])
            out[1].extend(inside[rough[500:] == 3])
    assert max(even) < 30
    calm, wild = map(np.mean, covered)
    assert (calm, wild) == pytest.approx((0.95, 0.95), abs=0.06)
    assert np.mean(plain[0]) - np.mean(plain[1]) > 0.05


def test_an_even_field_is_taken_for_one():
    samples, _ = sparse(3, 400, range_km=800.0)
    fit = fit_held_out(samples)
    assert fit.model.evenness > 30
    found = krige_cells(samples, fit.model, GRID, START, START + DAY)
    assert found.local.mean() == pytest.approx(1, abs=0.15)


def test_errors_that_are_misstated():
    """Columns that scatter by other than stated: what they scatter by, and the map, do not depend on the statement."""
    points = places(300, 7, **WIDE)
    samples, _ = draw(ProductSum(1.0, 800.0, 1.0, 5.0, 1.0, 0.01), points, 7, error=(0.3, 1.5))
    scatter, maps = [], []
    for factor in (0.25, 1.0, 4.0):
        fit = fit_held_out(Samples(*points, samples.value, samples.uncertainty / factor))
        sigma = np.sqrt(fit.error_scale) * samples.uncertainty / factor
        scatter.append(np.sqrt(fit.model.nugget + np.mean(sigma**2)))
        maps.append(
            krige_cells(
                Samples(*points, samples.value, sigma), fit.model, GRID, START, START + DAY, neighbours=32
            )
        )
    np.testing.assert_allclose(scatter, np.sqrt(np.mean(samples.uncertainty**2) + 0.01), rtol=0.15)
    for other in maps[::2]:
        np.testing.assert_allclose(other.sd, maps[1].sd, rtol=0.2)
        assert np.sqrt(np.mean((other.mean - maps[1].mean) ** 2)) < 0.25 * maps[1].sd.mean()


def test_noise_is_not_mapped_as_if_it_were_known():
    """No field at all: whatever is read into the noise, the range holds the truth, and the scatter is found."""
    z, scatter = [], []
    for seed in range(4):
        points = places(250, seed, **WIDE)
        noise = Samples(*points, np.random.default_rng(seed).normal(size=250), np.full(250, 0.5))
        fit = fit_held_out(noise)
        found = krige_cells(noise, fit.model, GRID, START, START + DAY)
        z.append(found.mean / found.sd)
        # what is the same everywhere on a day is a mean, no scatter
        scatter.append(fit.model.parameters[[0, 2, 5]].sum() + 0.25 * fit.error_scale)
    assert np.mean(np.abs(z) < 1.96) > 0.92
    assert np.mean(scatter) == pytest.approx(1.0, abs=0.15)


def test_the_same_again_and_for_any_order():
    samples, _ = sparse(1, 150)
    one = fit_held_out(samples)
    assert fit_held_out(samples) == one
    turned = fit_held_out(
        Samples(samples.latitude, samples.longitude - 360, samples.time, samples.value, samples.uncertainty)
    )
    assert turned.model.nugget == pytest.approx(one.model.nugget, rel=1e-3)


def test_bounds_that_were_hit_are_told():
    """Noise of which 30 times as much is stated: it is no field, and no factor makes up for that."""
    noise = sparse(1, n=150, range_km=3.0)[0]
    fit = fit_held_out(replace(noise, uncertainty=30.0 * noise.uncertainty))
    assert fit.model.at_bounds == ("range_km lowest", "error_scale lowest")


def test_too_few_blocks():
    samples = sparse(0, 40)[0].take(np.arange(3))
    with pytest.raises(RangeError, match="fewer than 20 blocks"):
        fit_held_out(samples)


def columns_of(paths):
    parts = []
    for path in paths:
        table = read_granule(path, profiles="none").table
        good = table.filter(pc.equal(table["quality"], 0))
        parts.append([good[n].to_numpy() for n in ("latitude", "longitude", "time", "value", "uncertainty")])
    joined = [np.concatenate(p) for p in zip(*parts, strict=True)]
    order = np.argsort(joined[2], kind="stable")
    joined[2] = joined[2].astype("datetime64[us]")
    return Columns(*(x[order] for x in joined))


@pytest.mark.parametrize(
    ("folder", "pattern", "species"),
    [
        ("acos_lite", "*0901*", "CO2"),
        ("acos_lite", "*0903*", "CO2"),
        ("gosat_ocpr", "*2012*", "CH4"),
        ("gosat_ocpr", "*2014*", "CH4"),
        ("tropomi_blended", "*02834*", "CH4"),
        ("tropomi_blended", "*02850*", "CH4"),
        ("tropomi_blended", "*02955*", "CH4"),
    ],
)
def test_real_days_are_covered(sample_data, folder, pattern, species):
    """Means of held-out blocks lie within the 95 % range as often as said, at four sizes of blocks."""
    columns = columns_of(sorted((sample_data / "satellite" / folder).glob(pattern)))
    mapper, inside, n = None, 0.0, 0
    for size in (2.5, 4.0):
        settings = MapSettings(
            species=species,
            grid="-60,90,-180,180,2.5",
            start="2000-01-01",
            stop="2000-01-02",
            block_degrees=size,
        )
        mapper = mapper or KrigingMapper(columns, settings)
        mapper.settings = settings
        for found in mapper.validate(columns):
            assert found.missing == 0
            assert found.coverage95 == pytest.approx(0.95, abs=0.02 + 1.96 * np.sqrt(0.0475 / found.n))
            inside, n = inside + found.n * found.coverage95, n + found.n
    assert inside / n == pytest.approx(0.95, abs=0.02)
