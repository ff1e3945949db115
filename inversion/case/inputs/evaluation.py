"""Observations held back from an inversion, and how well it predicts them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy.sparse as sp

from inversion.case.options import WithholdOptions
from inversion.operators.covariance import DiagonalCovariance
from inversion.problem.posterior import Posterior
from inversion.problem.problem import Problem
from obsnet.errors import ConfigError, nearest
from obsnet.times import SEASONS, season
from obsnet.typing import Bools, Floats, Ints, Texts

__all__ = ["evaluate", "left_out", "orbits", "passes", "withheld"]

_COLUMNS = 256  # withheld rows at a time
_GAP_MINUTES = 20.0  # a satellite that is silent for longer has left the domain


def orbits(platform: npt.ArrayLike, time: npt.ArrayLike) -> Ints:
    """Return the number of the pass of each observation: a run without a gap of more than 20 minutes.

    Parameters
    ----------
    platform : array_like of str, shape (n,)
    time : array_like of datetime64, shape (n,)

    Returns
    -------
    ndarray of int64, shape (n,)
        Counted over all platforms, in order of platform and time.
    """
    names = np.unique(np.asarray(platform), return_inverse=True)[1]
    minutes = np.asarray(time).astype("datetime64[us]").astype(np.int64) / 6e7
    order = np.lexsort((minutes, names))
    new = np.ones(order.size, dtype=bool)
    new[1:] = (np.diff(names[order]) != 0) | (np.diff(minutes[order]) > _GAP_MINUTES)
    number = np.empty(order.size, dtype=np.int64)
    number[order] = np.cumsum(new) - 1
    return number


def passes(table: pa.Table) -> Texts:
    """Return what each observation was made in: the pass of a satellite, by its first time, or the station."""
    platform, kind = (table[n].to_numpy(zero_copy_only=False).astype(str) for n in ("platform", "kind"))
    time = table["time"].to_numpy().astype("datetime64[m]")
    number = orbits(platform, time)
    first = np.full(number.max(initial=-1) + 1, np.datetime64("9999-01-01", "m"))
    np.minimum.at(first, number, time)
    names = np.char.add(np.char.add(platform, " "), first[number].astype(str))
    return np.where(kind == "column", names, platform)


def withheld(table: pa.Table, rule: WithholdOptions) -> Bools:
    """Say which observations a rule holds back.

    Parameters
    ----------
    table : pyarrow.Table
        Observations.
    rule : WithholdOptions
        Platforms, sources, every n-th orbit, day or observation.

    Returns
    -------
    ndarray of bool

    Raises
    ------
    ConfigError
        A platform or source that is not there, or nothing left to invert.
    """
    platform, source = (table[n].to_numpy(zero_copy_only=False).astype(str) for n in ("platform", "source"))
    time = table["time"].to_numpy()
    held = np.zeros(len(table), dtype=bool)
    for given, labels, what in ((rule.platforms, platform, "platform"), (rule.sources, source, "source")):
        for name in given:
            if name not in labels:
                raise ConfigError(
                    f"[invert.withhold] no observation is of {what} {name!r}{nearest(name, set(labels))}"
                )
            held |= labels == name
    if rule.every:
        if rule.by == "orbit":
            number = orbits(platform, time)
        elif rule.by == "day":
            number = time.astype("datetime64[D]").astype(np.int64)
        else:
            number = np.arange(len(table))
        held |= number % rule.every == rule.every - 1
    if held.all():
        raise ConfigError(f"[invert.withhold] holds back all {held.size} observations")
    return held


def _seen(rows: Any, error: Any) -> Floats:
    """Return the diagonal of ``H C H'`` for some rows."""
    dense = rows.toarray() if sp.issparse(rows) else np.asarray(rows)
    out = np.empty(dense.shape[0])
    for start in range(0, out.size, 256):
        part = dense[start : start + 256]
        out[start : start + 256] = np.einsum("ij,ji->i", part, error(np.ascontiguousarray(part.T)))
    return out


def left_out(posterior: Posterior, group: str, weights: Any, names: Sequence[str]) -> pa.Table:
    """Predict each group of observations from all others, and say what the totals would be without it.

    Parameters
    ----------
    posterior : Posterior
        Of an exact method; nothing is solved again.
    group : str
        A key of ``problem.groups``.
    weights : array_like or sparse, shape (p, n_state)
        Totals.
    names : sequence of str
        Of the totals.

    Returns
    -------
    pyarrow.Table
        One row a group: ``n``, ``bias`` and ``rmse`` of observation minus prediction, ``chi_square`` (about 1 where the
        errors are right), and for each total ``shift_<name>``, total without the group minus total with it, and
        ``uncertainty_<name>`` without it, in the unit of the totals.
    """
    known = posterior.aggregate(weights).mean
    rows = []
    for part in posterior.leave_out(group, weights):
        assert part.totals is not None
        row: dict[str, Any] = {
            group: part.label,
            "n": part.residual.size,
            "bias": float(part.residual.mean()),
        }
        row |= {"rmse": float(np.sqrt(np.mean(part.residual**2))), "chi_square": part.chi_square}
        spread = np.sqrt(np.maximum(np.diagonal(part.totals.covariance), 0.0))
        for i, name in enumerate(names):
            row[f"shift_{name}"] = float(part.totals.mean[i] - known[i])
            row[f"uncertainty_{name}"] = float(spread[i])
        rows.append(row)
    return pa.Table.from_pylist(rows)


def evaluate(posterior: Posterior, whole: Problem, held: Bools, used: Bools, table: pa.Table) -> pa.Table:
    """Compare predictions of withheld observations before and after the inversion.

    Parameters
    ----------
    posterior : Posterior
        Solved without the withheld observations.
    whole : Problem
        All observations, with the same state.
    held, used : ndarray of bool, shape (n_obs,)
        Which were withheld, and which were solved with, in the posterior's order.
    table : pyarrow.Table
        Rows of `whole`.

    Returns
    -------
    pyarrow.Table
        One row a platform and season, then one a platform and ``all``: ``n``, ``bias``, ``rmse`` and ``chi_square``
        with ``_prior`` and ``_posterior``. Chi-square is the mean of the squared difference over its expected variance,
        about 1 where the errors are right: error of the observation, plus that of the predicted value, less twice
        their covariance, since errors with a memory tie withheld observations to those that were used.
    """
    test, table = whole.select(held), table.filter(pa.array(held))
    own = test.observation_error.diagonal()
    prior = test.observations - test.simulate(test.prior)
    after = test.observations - test.simulate(posterior.mean)
    tied = _tied(posterior, whole, np.flatnonzero(held), np.flatnonzero(used))
    spread = {
        "prior": own + _seen(test.jacobian, test.prior_error.matmul),
        "posterior": own + _seen(test.jacobian, posterior.covariance) - 2.0 * tied,
    }
    platform = table["platform"].to_numpy(zero_copy_only=False).astype(str)
    when = season(table["time"].to_numpy())
    rows = []
    for name in np.unique(platform):
        for part in (*[s for s in SEASONS if ((platform == name) & (when == s)).any()], "all"):
            at = (platform == name) & ((when == part) | (part == "all"))
            row: dict[str, Any] = {"platform": name, "season": part, "n": int(at.sum())}
            for which, difference in (("prior", prior), ("posterior", after)):
                d = difference[at]
                row[f"bias_{which}"] = float(d.mean())
                row[f"rmse_{which}"] = float(np.sqrt(np.mean(d**2)))
                row[f"chi_square_{which}"] = float(np.mean(d**2 / spread[which][at]))
            rows.append(row)
    return pa.Table.from_pylist(rows)


def _tied(posterior: Posterior, whole: Problem, held: Ints, used: Ints) -> Floats:
    """Return the covariance of each withheld error with its prediction's, diag(R_hu K' H_h'), shape (held,)."""
    if isinstance(whole.observation_error, DiagonalCovariance):
        return np.zeros(held.size)
    found = np.empty(held.size)
    for start in range(0, held.size, _COLUMNS):
        rows = held[start : start + _COLUMNS]
        unit = np.zeros((whole.n_obs, rows.size))
        unit[rows, np.arange(rows.size)] = 1.0
        moved = posterior.gain(whole.observation_error.matmul(unit)[used])
        h = whole.jacobian[rows]
        found[start : start + rows.size] = np.asarray(
            (h.multiply(moved.T)).sum(axis=1) if sp.issparse(h) else (np.asarray(h) * moved.T).sum(axis=1)
        ).ravel()
    return found
