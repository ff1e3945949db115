"""How often the truth lies in the 95 % range of a kriged mean: real days held out, and fields that are known.

    python scripts/calibrate_maps.py [--data DIR] [--part real|made|swaths] [--method kriging|frk] [--folds 10]
                                     [--draws 2] [--columns 3000] [--functions 500] [--shifts 1] [--only TEXT]

Real: the good columns of each satellite file of DIR/satellite and of days together, TROPOMI also as
super-observations, and a whole official TROPOMI orbit without flags and precision, of which 2 ppb is claimed.
Blocks of each size are held out in turn; mean, covariance, error factor and widening are fitted without the third of
the columns, by squares of 5 degrees, that they lie in.
Dense sets are thinned to --columns; --only takes the sets whose names hold a text (a regular expression). For
fixed-rank kriging the bisquares are as wide as some 500 of them (--functions) allow; the time grows with their cube.

With --shifts all is done that often, each time with the edges of the blocks elsewhere, so that a share depends less on
where they happen to lie; the same columns again are no new ones, which the effective number of blocks below knows
within a set (few misses tell it, so that it scatters). Between sets it does not: days together hold the columns of the
single days again, and the standard error of all blocks is too small for that.

How far a share may be off by chance depends on how many blocks there are, and errors of neighbouring blocks are
alike: their effective number is that with which shares in squares of 20 degrees and a day would scatter as they do,
from all sets together. Each set's share is held against the range in which 95 % of such shares would be.

Made: Gaussian fields of several ranges and nuggets, whose columns state errors as they are, a quarter or three times of
that, or at random; the truth is the field's mean over whole cells.

Swaths: fields of two ranges along tracks with gaps, true errors in part in common and stated ones drawn, held out as
real.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import time
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from scipy.stats import binom

from obsnet.grid import Grid
from obsnet.sphere import EARTH_RADIUS_KM, unit_vectors
from obsnet.store import ObservationStore
from obsnet.work.work import Work
from retrieval.ingest.options import IngestOptions
from retrieval.ingest.run import ingest
from retrieval.mapping.crossvalidation import block_numbers, cross_validate, fold_numbers, in_parts
from retrieval.mapping.kriging import krige_cells
from retrieval.mapping.mappers import FixedRankMapper, KrigingMapper, residuals
from retrieval.mapping.maps import read_columns
from retrieval.mapping.scattered import Columns
from retrieval.mapping.settings import MapSettings
from retrieval.mapping.variogram import ProductSum
from retrieval.superobs.options import Selection, Superobs
from retrieval.superobs.store import combine_store

SIZES = (1.0, 2.5, 5.0)
WINDOW_DAYS = 30  # of fixed-rank kriging
START = np.datetime64("2020-06-01", "us")
NOON = START + np.timedelta64(12, "h")


def settings(species):
    """Return settings whose grid is of no consequence here."""
    return MapSettings(
        species=species, grid="-90,90,-180,180,1", start="2020-06-01", stop="2020-06-02", method="kriging"
    )


def joined(parts):
    """Return columns together, in order of time."""
    names = ("latitude", "longitude", "time", "value", "uncertainty")
    whole = Columns(*(np.concatenate([getattr(c, n) for c in parts]) for n in names))
    return whole.take(np.argsort(whole.time, kind="stable"))


def thinned(columns, most):
    """Return at most so many of the columns."""
    if len(columns) <= most:
        return columns
    return columns.take(np.sort(np.random.default_rng(0).choice(len(columns), most, replace=False)))


def official_orbit(path):
    """Return a whole orbit of the official product: every value, bad ones too."""
    import h5py

    with h5py.File(path) as file:
        product = file["PRODUCT"]
        value, lat, lon = (product[n][0] for n in ("methane_mixing_ratio", "latitude", "longitude"))
        offset = product["delta_time"][0].astype(np.int64)
    good = (value > 1400) & (value < 2400)
    when = np.broadcast_to((START + offset.astype("timedelta64[ms]"))[:, None], value.shape)[good]
    return Columns(
        *(x[good].astype(float) for x in (lat, lon)), when, value[good].astype(float), np.full(len(when), 2.0)
    )


def real_sets(data, folder):
    """Yield name, species and columns."""
    store = ObservationStore(folder / "soundings")
    for sensor in ("acos_lite", "gosat_ocpr", "tropomi_blended"):
        ingest(sorted((data / sensor).iterdir()), store.path, IngestOptions(), work=Work(scheduler="serial"))
    for species in ("CO2", "CH4"):
        for source in store.sources(species):
            days = days_of(store, species, source)
            for day, columns in days:
                yield f"{source} {day}", species, columns
            if len(days) > 1:
                yield f"{source}, {len(days)} days", species, joined([c for _, c in days])
            if "blended" not in source:
                continue
            for errors, degrees in (("chen2023_ch4", 0.5), ("independent", 0.25)):
                made = ObservationStore(folder / f"{errors}-{degrees}")
                options = Superobs(
                    method="area", grid=f"-90,90,-180,180,{degrees}", errors=errors, transport=0.0
                )
                combine_store(store.path, made.path, Selection(species=species, sources=[source]), options)
                for day, columns in days_of(made, species, made.sources(species)[0]):
                    yield f"super-observations {errors} {degrees:g} {day}", species, columns
    for path in sorted((data / "tropomi_official").glob("l2ss_*.nc4")):
        yield "official orbit 07407, no flags", "CH4", official_orbit(path)


def days_of(store, species, source):
    """Return the columns of each day."""
    columns = read_columns(store, species, source, None, None)[0]
    columns = columns.take(np.argsort(columns.time, kind="stable"))
    day = columns.time.astype("datetime64[D]")
    return [(d, columns.take(day == d)) for d in np.unique(day)]


def fitted(columns, species, method, part, fits, functions):
    """Return for each part a function (training rows, held-out rows, offsets) -> (mean, sd) that never saw it.

    And the widening of each, and a few words of what was fitted.
    """
    foretellers, widened, words = [], [], []
    for k in range(fits):
        known = columns.take(part != k)
        if method == "kriging":
            mapper = KrigingMapper(known, settings(species))
            mapper.validate(known)
            foretell = partial(mapper.foretell, mapper.fit, columns)
            words.append(f"{mapper.fit.model.range_km:6.0f} {mapper.fit.error_scale**0.5:6.2f}")
        else:
            mapper = FixedRankMapper(known, regional(columns, species, functions))
            mapper.validate(known)
            foretell = partial(mapper.check, columns)
            words.append(f"{mapper.last.fine_variance**0.5:6.2f} {mapper.last.error_scale**0.5:6.2f}")

        def predict(training, held, offsets, foretell=foretell, widened=mapper.widened):
            mean, sd = foretell(training, held, offsets)
            return mean, widened * sd

        foretellers.append(predict)
        widened.append(mapper.widened)
    return foretellers, widened, words


def regional(columns, species, functions):
    """Return settings of fixed-rank kriging: cells of half a degree, and so many bisquares in the columns' area."""
    first = columns.longitude[0]
    lat, lon = columns.latitude, np.mod(columns.longitude - first + 180, 360) + first - 180
    south, west, north, east = (
        *(np.floor(x.min()) for x in (lat, lon)),
        *(np.ceil(x.max()) for x in (lat, lon)),
    )
    share = (np.sin(np.deg2rad(north)) - np.sin(np.deg2rad(south))) * np.deg2rad(east - west)
    narrow = max(400.0, float(EARTH_RADIUS_KM * np.sqrt(share / (0.7 * functions))))
    days = np.unique(columns.time.astype("datetime64[D]"))
    return MapSettings(
        species=species,
        grid=f"{max(south, -90)},{min(north, 90)},{west},{east},0.5",
        start=str(days[0]),
        stop=str(days[-1] + 1),
        method="frk",
        spacing_km=(4 * narrow, 2 * narrow, narrow),
        window_days=WINDOW_DAYS,
    )


def shifted(columns, k):
    """Return place and time of columns from which the k-th set of blocks is counted: steps that fill a block evenly."""
    south, west = (max(SIZES) * (k * step % 1.0) for step in (0.7548776662, 0.5698402910))
    return columns.latitude + south, columns.longitude + west, columns.time


def held_out(columns, degrees, part, functions, folds, shift):
    """Return errors of block means in standard deviations, and in which square of 20 degrees each lies.

    Each block is predicted from all others but those of its fold, with a mean, covariance, error factor and widening
    that were fitted to columns of other parts.
    """
    place = shifted(columns, shift)
    fold, block = (
        fold_numbers(*place, folds=folds, degrees=degrees, seed=1 + shift),
        block_numbers(*place, degrees),
    )
    found = cross_validate(in_parts(part, functions), columns.value, fold, block)
    order = np.concatenate([np.unique(block[fold == k]) for k in np.unique(fold)])
    first = np.unique(block, return_index=True)[1][order]
    there = np.isfinite(found.z)
    squares = block_numbers(columns.latitude, columns.longitude, columns.time, 20.0)
    return found.z[there], squares[first][there]


def crowding(every):
    """Return how many blocks count as one: how much more shares in squares scatter than those of independent blocks."""
    square = total = 0.0
    for z, where in every:
        off = (z <= 1.96) - 0.95
        square += np.sum(np.bincount(where, off) ** 2)
        total += np.sum(off**2)
    return max(square / total, 1.0)


def swaths(draws):
    """Yield name, species and columns of made fields along tracks, in errors that are not what is stated.

    A field of two ranges is seen along slanted tracks with gaps. Stated errors vary tenfold and more, as those of
    slivers of pixels; true ones are of one size, half of their variance in common within squares of half a degree.
    """
    for far, near in ((2000.0, 100.0), (800.0, 150.0), (400.0, 50.0)):
        for seed in range(draws):
            rng = np.random.default_rng(seed)
            lat, track = rng.uniform(15, 50, 1400), rng.integers(0, 3, 1400)
            lon = 85 + 14 * track - 0.25 * (lat - 30) + rng.uniform(-5, 5, 1400)
            clear = np.sin(lat / 1.7 + 2 * track) + np.sin(lon / 2.3) > -0.8
            lat, lon = lat[clear][:900], lon[clear][:900]
            xyz = unit_vectors(lat, lon)
            km = EARTH_RADIUS_KM * np.linalg.norm(xyz[:, None] - xyz, axis=2)
            field = np.exp(-km / far) + 0.7 * np.exp(-km / near) + 1e-6 * np.eye(len(km))
            square = np.unique(np.floor([2 * lat, 2 * lon]), axis=1, return_inverse=True)[1].ravel()
            noise = rng.normal(size=len(lat)) + rng.normal(size=square.max() + 1)[square]
            value = 400 + np.linalg.cholesky(field) @ rng.normal(size=len(km)) + 0.5 * noise
            stated = rng.lognormal(0.0, 1.2, len(lat))
            yield (
                f"ranges {far:g} and {near:g} km, draw {seed}",
                "CO2",
                Columns(lat, lon, np.full(len(lat), NOON), value, stated),
            )


def real(data, methods, folds, most, only, number_of_functions, shifts):
    """Print coverage of held-out means of real columns."""
    with tempfile.TemporaryDirectory() as folder:
        every_set = real_sets(data / "satellite", Path(folder))
        sets = [(n, s, len(c), thinned(c, most)) for n, s, c in every_set if re.search(only, n)]
    tabulate(sets, methods, folds, number_of_functions, shifts)


def tabulate(sets, methods, folds, number_of_functions, shifts):
    """Print coverage of held-out means of sets of columns."""
    for method in methods:
        every = {size: [] for size in SIZES}
        what = {"kriging": "range km, error x", "frk": "fine, error x"}[method]
        print(f"{method:52s} columns  {what:18s} widened   " + "   ".join(f"{s:g} deg (n)" for s in SIZES))
        for name, species, number, columns in sets:
            if method == "frk" and np.ptp(columns.time) > np.timedelta64(WINDOW_DAYS, "D"):
                print(
                    f"{name:52s} {number:7d}  days of different windows, each of which has a model of its own"
                )
                continue
            cells, stretched = {size: [] for size in SIZES}, []
            for k in range(shifts):
                part = fold_numbers(*shifted(columns, k), folds=3, degrees=max(SIZES), seed=3 + k)
                functions, widened, words = fitted(columns, species, method, part, 3, number_of_functions)
                stretched += widened
                for size in SIZES:
                    cells[size].append(held_out(columns, size, part, functions, folds, k))
            line = f"{name:52s} {number:7d}  {words[0]:18s} {np.median(stretched):7.2f}   "
            for size, found in cells.items():
                z, where = (np.concatenate(x) for x in zip(*found, strict=True))
                every[size].append((z, where))
                shares = [np.mean(one <= 1.96) for one, _ in found]
                line += f"{np.mean(z <= 1.96):.3f} ({len(z)})   "
                if shifts > 1:
                    line += f"[{min(shares):.3f} to {max(shares):.3f}]   "
            print(line, flush=True)
        for size, found in every.items():
            covered = np.array([np.mean(z <= 1.96) for z, _ in found])
            count, crowd = np.array([len(z) for z, _ in found]), crowding(found)
            effective = np.maximum(np.round(count / crowd), 1)
            low, high = (x / effective for x in binom.interval(0.95, effective.astype(int), 0.95))
            outside = (covered < low - 1e-9) | (covered > high + 1e-9)
            share, blocks = float(np.average(covered, weights=count)), count.sum()
            print(
                f"{size:g} degrees: mean of {len(found)} sets {covered.mean():.3f}, all {blocks} blocks {share:.3f} +- "
                f"{np.sqrt(0.0475 * crowd / blocks):.3f}, sets from {covered.min():.3f} to {covered.max():.3f}; "
                f"{crowd:.2f} blocks count as one, {outside.sum()} sets outside their 95 % range"
            )


def inside(grid, n):
    """Return n by n points of each cell, shapes (cells * n * n,), and their weights (cells, n * n)."""
    part = (np.arange(n) + 0.5) / n
    rows, columns = (e[:-1, None] + np.diff(e)[:, None] * part for e in (grid.lat_edges, grid.lon_edges))
    shape = (*grid.shape, n, n)
    lat = np.broadcast_to(rows[:, None, :, None], shape).ravel()
    lon = np.broadcast_to(columns[None, :, None, :], shape).ravel()
    return lat, lon, np.cos(np.deg2rad(lat)).reshape(grid.size, n * n)


def draw(model, n, error, rng):
    """Return columns of a Gaussian field, and the field's means over the cells of each grid."""
    cells = [inside(grid, k) for grid, k in GRIDS]
    lat, lon = (
        np.concatenate([rng.uniform(*span, n), *(c[axis] for c in cells)])
        for axis, span in ((0, (10, 50)), (1, (70, 130)))
    )
    xyz = unit_vectors(lat, lon)
    km = 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(0.5 - 0.5 * (xyz @ xyz.T), 0, 1)))
    field = np.linalg.cholesky(model.covariance(km, 0.0) + 1e-6 * np.eye(len(km))) @ rng.normal(size=len(km))
    truth, first = [], n
    for _, _, weight in cells:
        last = first + weight.size
        truth.append(400 + np.average(field[first:last].reshape(weight.shape), axis=1, weights=weight))
        first = last
    sigma = error * rng.lognormal(0.0, 0.4, n)
    noise = model.nugget**0.5 * rng.normal(size=n) + sigma * rng.normal(size=n)
    return Columns(lat[:n], lon[:n], np.full(n, NOON), 400 + field[:n] + noise, sigma), truth


STATED = {
    "as it is": lambda s, rng: s,
    "a quarter": lambda s, rng: s / 4,
    "three times": lambda s, rng: 3 * s,
    "at random": lambda s, rng: rng.lognormal(np.log(s.mean()), 1.0, len(s)),
}
GRIDS = ((Grid.regular(28, 33, 90, 110, 1, 2), 3), (Grid.regular(15, 45, 80, 120, 5, 5), 5))


def made(draws):
    """Print coverage of the means over cells of known fields."""
    print(
        "range km  nugget  "
        + "  ".join(f"{name:>17s}" for name in STATED)
        + "   (cells of 1 by 2 and of 5 degrees)"
    )
    every = []
    for length in (100.0, 400.0, 1500.0):
        for nugget in (0.02, 0.5):
            model, line = ProductSum(1.0, length, 1.0, 5.0, 1.0, nugget), []
            for state in STATED.values():
                z = [[], []]
                for seed in range(draws):
                    rng = np.random.default_rng(seed)
                    columns, truth = draw(model, 400, 0.7, rng)
                    columns = replace(columns, uncertainty=state(columns.uncertainty, rng))
                    mapper = KrigingMapper(columns, settings("CO2"))
                    mapper.validate(columns)
                    samples = residuals(columns, mapper.trend, mapper.fit.error_scale)
                    for k, (grid, _) in enumerate(GRIDS):
                        found = krige_cells(samples, mapper.fit.model, grid, NOON, NOON)
                        mean = found.mean + mapper.trend.at(
                            grid.lat[:, None], np.full((1, grid.shape[1]), NOON)
                        )
                        z[k].append(np.abs(mean.ravel() - truth[k]) / (mapper.widened * found.sd.ravel()))
                every.append([float(np.mean(np.array(x) <= 1.96)) for x in z])
                line.append("{:8.3f} {:8.3f}".format(*every[-1]))
            print(f"{length:8.0f}  {nugget:6.2f}  " + "  ".join(line), flush=True)
    mean, least, most = (f(every, axis=0).round(3) for f in (np.mean, np.min, np.max))
    print(f"mean {mean}, from {least} to {most}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = os.environ.get("OBSNET_SAMPLE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--part", choices=("real", "made", "swaths"))
    parser.add_argument("--method", choices=("kriging", "frk"))
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--columns", type=int, default=3000)
    parser.add_argument("--functions", type=int, default=500)
    parser.add_argument("--shifts", type=int, default=1)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    begin = time.process_time()
    if options.part in (None, "real"):
        real(
            options.data,
            [options.method] if options.method else ["kriging", "frk"],
            options.folds,
            options.columns,
            options.only,
            options.functions,
            options.shifts,
        )
    if options.part in (None, "swaths"):
        sets = [(name, s, len(c), c) for name, s, c in swaths(options.draws)]
        methods = [options.method] if options.method else ["kriging", "frk"]
        tabulate(sets, methods, options.folds, options.functions, options.shifts)
    if options.part in (None, "made"):
        made(options.draws)
    print(f"{time.process_time() - begin:.0f} processor s")


if __name__ == "__main__":
    main()
