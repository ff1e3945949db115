"""The two ways from scattered columns to a field: a trend with local kriging, and fixed-rank kriging."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from obsnet.errors import RangeError
from obsnet.grid import Grid
from obsnet.sphere import unit_vectors
from obsnet.typing import Bools, Floats, Ints
from retrieval.mapping.bisquares import make_basis
from retrieval.mapping.crossvalidation import (
    Each,
    HeldOut,
    HeldOutScores,
    Predict,
    block_numbers,
    cross_validate,
    fold_numbers,
    in_order,
    in_parts,
    judge,
    likeliest,
)
from retrieval.mapping.frk import (
    FixedRank,
    fit_fixed_rank,
    in_one_cell,
    mean_exponential,
    memory_gib,
)
from retrieval.mapping.gridding import BinStatistics, accumulate, bin_statistics, empty_bins
from retrieval.mapping.held_out_fit import HeldOutFit, fit_held_out
from retrieval.mapping.kriging import Samples, krige_cells, krige_means
from retrieval.mapping.scattered import Columns, average_cells, cell_and_period, days_after
from retrieval.mapping.trend import Trend, choose_terms, design, fit_trend

if TYPE_CHECKING:
    from retrieval.mapping.settings import MapSettings

__all__ = ["MAPPERS", "FixedRankMapper", "KrigingMapper", "Mapper", "residuals"]

_FEW = 10  # cells, with fewer of which no fixed-rank model is fitted
_SMALL = 0.4  # of a block: what a single column has to itself shows in blocks of few
_BELIEVED = 20  # errors as stated: kriging's covariance was itself found by held-out blocks
_PARTS = 3  # for which a covariance is fitted without them, where blocks are held out


class Mapper(Protocol):
    """What `make_map` needs of a method that was given all columns and the settings."""

    def period(
        self, columns: Columns, start: np.datetime64, stop: np.datetime64, where: Bools
    ) -> dict[str, npt.ArrayLike]:
        """Return ``value``, ``uncertainty`` and ``count`` (lat, lon) of one period, for the cells wanted at least."""
        ...

    def report(self) -> dict[str, Any]:
        """Return what was fitted."""
        ...

    def validate(self, columns: Columns, each: Each = ...) -> list[HeldOutScores]:
        """Return how well held-out blocks are predicted, and those twice as wide; widen what is said from now on.

        `each` applies a function to the folds, as `map` does.
        """
        ...


class KrigingMapper:
    """One trend and one covariance for all periods, kriging for each."""

    def __init__(self, columns: Columns, settings: MapSettings) -> None:
        self.settings = settings
        self.trend: Trend = fit_trend(columns.latitude, columns.time, columns.value)
        self.widened = 1.0
        self.fit: HeldOutFit = fit_held_out(residuals(columns, self.trend))

    def report(self) -> dict[str, Any]:
        """Return the trend and the covariance."""
        names = ("sill_space", "range_km", "sill_time", "range_days", "k", "nugget", "evenness")
        about: dict[str, Any] = {name: float(getattr(self.fit.model, name)) for name in names} | {
            "at_bounds": ", ".join(self.fit.model.at_bounds),
            "fitted_to": f"{self.fit.blocks} held-out block means",
            "error_scale": float(np.sqrt(self.fit.error_scale)),
        }
        return {"trend": {"terms": ", ".join(self.trend.terms)}, "variogram": about, "widened": self.widened}

    def period(
        self, columns: Columns, start: np.datetime64, stop: np.datetime64, where: Bools
    ) -> dict[str, npt.ArrayLike]:
        """Krige the cells of a period."""
        s = self.settings
        found = krige_cells(
            residuals(columns, self.trend, self.fit.error_scale),
            self.fit.model,
            s.grid,
            start,
            stop,
            where=where,
            neighbours=s.neighbours,
        )
        mean = self.trend.at(
            s.grid.lat[:, None], np.broadcast_to(start + (stop - start) // 2, (1, s.grid.shape[1]))
        )
        own = _own(columns, s, start, stop)
        return {"value": mean + found.mean, "uncertainty": self.widened * found.sd, "count": own.count[0]}

    def validate(self, columns: Columns, each: Each = map) -> list[HeldOutScores]:
        """Hold blocks out; each is foretold with a trend and a covariance that were fitted without it."""
        part = _parts(columns, self.settings)
        without = [self._without(columns.take(part != k)) for k in range(_PARTS)]
        predict = in_parts(part, [partial(self.foretell, fit, columns) for fit in without])
        held = (h for h, _, _ in _held_out(columns, self.settings, predict, each))
        self.widened, found = judge(*held, believed=_BELIEVED)
        return found

    def _without(self, known: Columns) -> HeldOutFit:
        """Return the covariance of some of the columns; that of all where they are too few."""
        try:
            trend = fit_trend(known.latitude, known.time, known.value, terms=self.trend.terms)
            return fit_held_out(residuals(known, trend), start=self.fit)
        except RangeError:
            return self.fit

    def foretell(
        self, fit: HeldOutFit, columns: Columns, training: Ints, held: Ints, offsets: Ints
    ) -> tuple[Floats, Floats]:
        """Return means of blocks of columns from others, and the standard deviation that the difference should have.

        Parameters
        ----------
        fit : HeldOutFit
            Covariance to take.
        columns : Columns
            All of them.
        training, held : ndarray of int64
            Rows of those that are foretold from, and of those of the blocks, each block's from one offset to the next.
        offsets : ndarray of int64, shape (blocks + 1,)

        Returns
        -------
        mean, sd : ndarray of float64, shape (blocks,)
            The columns' own errors are in the standard deviation.
        """
        known, asked = columns.take(training), columns.take(held)
        trend = fit_trend(known.latitude, known.time, known.value, terms=self.trend.terms)
        samples = residuals(known, trend, fit.error_scale)
        where = asked.latitude, asked.longitude, asked.time
        found = krige_means(samples, fit.model, *where, offsets, neighbours=self.settings.neighbours)
        count = np.diff(offsets)
        mean = np.add.reduceat(trend.at(asked.latitude, asked.time), offsets[:-1]) / count
        noise = fit.error_scale * np.add.reduceat(asked.uncertainty**2, offsets[:-1]) / count**2
        return mean + found.mean, np.sqrt(found.sd**2 + found.local * noise)


def residuals(columns: Columns, trend: Trend, error_scale: float = 1.0) -> Samples:
    """Return the columns with a trend taken off, their error variances times a factor."""
    return Samples(
        columns.latitude,
        columns.longitude,
        columns.time,
        columns.value - trend.at(columns.latitude, columns.time),
        np.sqrt(error_scale) * columns.uncertainty,
    )


class FixedRankMapper:
    """A fixed-rank model for each period, from the window around it."""

    def __init__(self, columns: Columns, settings: MapSettings) -> None:
        self.settings = settings
        self.last: FixedRank | None = None
        # of (columns, training, held, offsets)
        self.check: Callable[..., tuple[Floats, Floats]] | None = None
        self.widened = 1.0
        # see `FixedRank.sharing`
        self.shared = SHARED[0]

    def __getstate__(self) -> dict[str, Any]:
        """Return what a worker needs to map a period: no model, which is fitted there."""
        return {**self.__dict__, "last": None, "check": None}

    def report(self) -> dict[str, Any]:
        """Return the last period's model."""
        last = self.last
        if last is None:
            return {}
        return {
            "functions": len(last.basis),
            "memory_gib": memory_gib(len(last.basis)),
            "iterations": len(last.likelihood) - 1,
            "fine_variance": last.fine_variance,
            "error_scale": float(np.sqrt(last.error_scale)),
            "shared_variance": last.shared_variance,
            "shared_km": last.shared_km,
            "coefficient_factor": last.coefficient_factor,
            "resolutions": {str(i): dict(p) for i, p in enumerate(last.lengths)},
            "widened": self.widened,
        }

    def period(
        self, columns: Columns, start: np.datetime64, stop: np.datetime64, where: Bools
    ) -> dict[str, npt.ArrayLike]:
        """Fit the window of a period and predict its cells."""
        s = self.settings
        own = _own(columns, s, start, stop)
        terms = choose_terms(columns.latitude, columns.time)
        fit = self._fit(columns, terms, start, stop - start)
        if fit is None:
            nothing = np.full(s.grid.shape, np.nan)
            return {"value": nothing, "uncertainty": nothing, "count": own.count[0]}
        fit = self.last = fit.sharing(*self.shared)
        lat, lon = (x.ravel() for x in np.meshgrid(s.grid.lat, s.grid.lon, indexing="ij"))
        middle = np.broadcast_to(start + (stop - start) // 2, lat.shape)
        mean, sd = fit.predict(
            lat,
            lon,
            days_after(middle, start),
            design(terms, lat, middle, start),
            value=own.mean.ravel(),
            error=own.uncertainty.ravel(),
        )
        shape = s.grid.shape
        return {
            "value": mean.reshape(shape),
            "uncertainty": self.widened * sd.reshape(shape),
            "count": own.count[0].astype(float),
        }

    def _fit(
        self,
        columns: Columns,
        terms: tuple[str, ...],
        origin: np.datetime64,
        step: np.timedelta64,
        start: FixedRank | None = None,
    ) -> FixedRank | None:
        """Return the model of the period that begins at the origin; None where columns lie in too few cells."""
        s = self.settings
        cells = average_cells(columns, s.grid, origin, step, s.r) if len(columns) else columns
        if len(cells) < _FEW:
            return None
        when = days_after(cells.time, origin)
        south, north, west, east = s.grid.bounds
        if start is not None:
            basis, iterations = start.basis, 0
        else:
            basis = make_basis(
                (max(south - 2, -90), min(north + 2, 90), west, east),
                (float(when.min()), float(when.max())),
                spacing_km=s.spacing_km,
                spacing_days=s.spacing_days,
            )
            iterations = 25
        return fit_fixed_rank(
            basis,
            cells.latitude,
            cells.longitude,
            when,
            cells.value,
            cells.uncertainty,
            design(terms, cells.latitude, cells.time, origin),
            iterations=iterations,
            start=start,
        )

    def validate(self, columns: Columns, each: Each = map) -> list[HeldOutScores]:
        """Hold blocks out of the window that has most columns; each is foretold with covariances fitted without it."""
        s = self.settings
        window = np.timedelta64(round(s.window_days * 86400e6), "us")
        when, edges = np.sort(columns.time), s.time_edges
        number = np.searchsorted(when, edges[1:] + window) - np.searchsorted(when, edges[:-1] - window)
        from_middle = np.abs(np.arange(len(number)) - (len(number) - 1) / 2)
        k = np.lexsort((from_middle, -number))[0]
        origin, stop = edges[k], edges[k + 1]
        near = columns.take((columns.time >= origin - window) & (columns.time < stop + window))
        terms, step = choose_terms(near.latitude, near.time), stop - origin
        self.last = self._fit(near, terms, origin, step)
        if self.last is None:
            return [HeldOutScores(0, *(float("nan"),) * 6, len(near))] * 2
        self.check = partial(self._foretell, self.last, terms, origin, step)
        part = _parts(near, s)
        without = [self._fit(near.take(part != k), terms, origin, step) or self.last for k in range(_PARTS)]
        self.shared = SHARED[0]
        predict = in_parts(part, [partial(self._foretell, fit, terms, origin, step, near) for fit in without])
        held, more = [], []
        for found, rows, offsets in _held_out(near, s, predict, each, (_SMALL, 1.0, 2.0)):
            held.append(found)
            whose = part[rows[offsets[:-1]]]
            more.append(_shares(near.take(rows), found, offsets, without, whose, s.grid, origin, step))
        self.shared = SHARED[likeliest(held, more, doubt=_DOUBT)]
        self.widened, scores = judge(*held, more=more, doubt=_DOUBT)
        return scores[1:]

    def _foretell(
        self,
        fit: FixedRank,
        terms: tuple[str, ...],
        origin: np.datetime64,
        step: np.timedelta64,
        columns: Columns,
        training: Ints,
        held: Ints,
        offsets: Ints,
    ) -> tuple[Floats, Floats]:
        """Do as `KrigingMapper.foretell` with the covariance of a fit of the period that begins at the origin."""
        asked = columns.take(held)
        conditioned = self._fit(columns.take(training), terms, origin, step, start=fit)
        if conditioned is None:
            nothing = np.full(len(offsets) - 1, np.nan)
            return nothing, nothing
        conditioned = conditioned.sharing(*self.shared)
        mean, sd = conditioned.predict_means(
            asked.latitude,
            asked.longitude,
            days_after(asked.time, origin),
            design(terms, asked.latitude, asked.time, origin),
            cell_and_period(asked, self.settings.grid, origin, step),
            offsets,
        )
        return mean, np.sqrt(sd**2 + conditioned.error_scale * _own_errors(asked, offsets))


# of `FixedRank.sharing`: as if independent, then every other choice
SHARED = [
    (share, km, left, coefficients)
    for share, lengths in (
        (0.0, (1.0,)),
        *((share, (30.0, 100.0, 300.0, 1000.0)) for share in (0.1, 0.2, 0.4, 0.7, 1.0, 1.5)),
    )
    for km in lengths
    for left in (1.0, 0.05, 0.1, 0.2, 0.35, 0.6, 1.5)
    for coefficients in (1.0, 2.0, 4.0, 8.0)
]
# e-folds cost as much as an error of one standard deviation, a shared part as two numbers more (Akaike)
_DOUBT = np.array(
    [4.0 * (share > 0) + np.log(left) ** 2 + np.log(c) ** 2 for share, _, left, c in SHARED], np.float64
)


def _own_errors(asked: Columns, offsets: Ints) -> Floats:
    """Return the variance of the mean of independent errors as stated, shape (groups,)."""
    return np.asarray(np.add.reduceat(asked.uncertainty**2, offsets[:-1]) / np.diff(offsets) ** 2)


def _shares(
    asked: Columns,
    held: HeldOut,
    offsets: Ints,
    fits: list[FixedRank],
    whose: Ints,
    grid: Grid,
    origin: np.datetime64,
    step: np.timedelta64,
) -> Floats:
    """Return by how much the variances of means change where the rest is shared, (SHARED, groups).

    `whose` tells which of the fits foretold each group of columns as if what is left were independent.
    """
    xyz = unit_vectors(asked.latitude, asked.longitude)
    together = {km: mean_exponential(xyz, offsets, km) for km in {km for _, km, *_ in SHARED}}
    one, own = in_one_cell(cell_and_period(asked, grid, origin, step), offsets), _own_errors(asked, offsets)
    fine, scale, noise = np.array([(f.fine_variance, f.error_scale, f.noise) for f in fits])[whose].T
    rest = fine * one + scale * own
    smooth, typical = held.spread**2 - rest, fine + scale * noise
    return np.array(
        [
            (coefficients - 1.0) * smooth + (left - 1.0) * rest + share * typical * together[km]
            for share, km, left, coefficients in SHARED
        ]
    )


def _parts(columns: Columns, settings: MapSettings) -> Ints:
    """Return in which part each column lies; a block of either size lies in one."""
    place = (columns.latitude, columns.longitude, columns.time)
    return fold_numbers(*place, folds=_PARTS, degrees=2.0 * settings.block, seed=2)


def _own(columns: Columns, settings: MapSettings, start: np.datetime64, stop: np.datetime64) -> BinStatistics:
    """Return what lies in each cell in the period itself."""
    bins = accumulate(
        empty_bins(settings.grid, np.array([start, stop]), species=settings.species),
        time=columns.time,
        latitude=columns.latitude,
        longitude=columns.longitude,
        value=columns.value,
        uncertainty=columns.uncertainty,
    )
    return bin_statistics(bins, r=settings.r)


def _held_out(
    columns: Columns,
    settings: MapSettings,
    predict: Predict,
    each: Each,
    sizes: tuple[float, ...] = (1.0, 2.0),
) -> Iterator[tuple[HeldOut, Ints, Ints]]:
    """Hold out blocks of so many times the size asked for; with each the rows of its blocks and their offsets."""
    place = (columns.latitude, columns.longitude, columns.time)
    for size in (settings.block * times for times in sizes):
        fold, block = fold_numbers(*place, folds=settings.folds, degrees=size), block_numbers(*place, size)
        yield cross_validate(predict, columns.value, fold, block, each), *in_order(fold, block)


MAPPERS: dict[str, Callable[[Columns, MapSettings], Mapper]] = {
    "kriging": KrigingMapper,
    "frk": FixedRankMapper,
}
