"""The problem of a Jacobian that another system made."""

from __future__ import annotations

from typing import Any

import numpy as np

from inversion.case.options import ForeignOptions
from inversion.jacobian.foreign import ForeignJacobian
from inversion.operators.covariance import (
    BlockDiagonalCovariance,
    Covariance,
    DiagonalCovariance,
    LowRankCovariance,
    SumCovariance,
)
from inversion.problem.problem import Problem
from inversion.problem.state import State, StateBlock
from obsnet.errors import UnitError
from obsnet.typing import Floats

__all__ = ["foreign_problem"]


def foreign_problem(data: ForeignJacobian, options: ForeignOptions) -> tuple[Problem, dict[str, Any]]:
    """Make a problem of a ready-made Jacobian, or refuse.

    Parameters
    ----------
    data : ForeignJacobian
        From `read_foreign`.
    options : ForeignOptions
        Errors, and whether bad rows may be set aside.

    Returns
    -------
    Problem, dict
        Scale factors with prior 1; a report of what was set aside and changed.

    Raises
    ------
    UnitError
        Rows or variables in another unit, each named, unless they may be set aside.
    """
    faults = [*data.faults, *(f"{b.file} row {b.row} ({b.label}): {b.reason}" for b in data.bad)]
    if faults and not options.set_aside_bad_rows:
        shown = "\n".join(faults[:20]) + (f"\n… and {len(faults) - 20} more" if len(faults) > 20 else "")
        rows = f"{len(data.bad)} of {data.value.size} rows cannot be in {data.unit} like the others"
        variables = f"{len(data.faults)} variable{'s' * (len(data.faults) > 1)} in another unit"
        what = " and ".join([rows] * bool(data.bad) + [variables] * bool(data.faults))
        raise UnitError(f"{what}:\n{shown}\nmend the file, or go on without them: --set-aside-bad-rows")
    if data.whitened and (options.model_error or options.mean_offset):
        raise UnitError(
            f"{data.system} results have their observations' errors in them: take out model_error and mean_offset"
        )
    bad = {(b.file, b.row) for b in data.bad}
    keep = np.array([(f, int(r)) not in bad for f, r in zip(data.file, data.row, strict=True)])
    if not keep.any():
        raise UnitError("no row is left: all are in another unit than the rest")
    h = np.concatenate([data.matrix, data.boundary], axis=1)[keep]
    blocks = [StateBlock("flux", "other", ("region",), {"region": np.arange(data.matrix.shape[1])}, "1")]
    errors: list[Covariance] = [DiagonalCovariance(np.full(data.matrix.shape[1], options.prior_relative**2))]
    if data.boundary.shape[1]:
        count = data.boundary.shape[1]
        blocks.append(StateBlock("boundary", "boundary", ("side",), {"side": np.arange(count)}, "1"))
        errors.append(DiagonalCovariance(np.full(count, options.boundary_relative**2)))
    own = (data.error**2 + data.model_error**2)[keep]
    problem = Problem(
        h,
        data.value[keep],
        _error(own, options.model_error or 0.0, options),
        np.ones(h.shape[1]),
        BlockDiagonalCovariance(errors),
        # What scale factors of 1 do not explain stays as it is.
        background=data.simulated[keep] - h.sum(axis=1),
        state=State(blocks),
        groups={"source": data.label[keep], "file": data.file[keep]},
        obs_id=np.array([f"{f}:{r}" for f, r in zip(data.file[keep], data.row[keep], strict=True)]),
    )
    model_error = 0.0 if data.whitened else options.model_error
    if model_error is None:
        model_error = _likely_model_error(problem, own, options)
        problem = problem.with_(observation_error=_error(own, model_error, options))
    report = {
        "model_error": model_error,
        "model_error_estimated": options.model_error is None and not data.whitened,
        "system": data.system,
        "unit": data.unit,
        "rows": int(data.value.size),
        "used": int(keep.sum()),
        "set_aside": [vars(b) for b in data.bad],
        "converted": list(data.faults),
        "notes": list(data.notes),
    }
    return problem, report


def _error(own: Floats, model_error: float, options: ForeignOptions) -> Covariance:
    independent = DiagonalCovariance(own + model_error**2)
    if options.mean_offset <= 0.0:
        return independent
    common = LowRankCovariance(np.ones((own.size, 1)), [[options.mean_offset**2]])
    return SumCovariance(independent, common)


def _likely_model_error(problem: Problem, own: Floats, options: ForeignOptions) -> float:
    """Return the model error of the greatest marginal likelihood: what misfits are too large by."""
    from scipy.optimize import minimize_scalar

    from inversion.solvers.choose import solve

    scale = float(np.sqrt(np.mean(problem.innovation**2)))

    def loss(log_error: float) -> float:
        error = _error(own, float(np.exp(log_error)), options)
        return -solve(problem.with_(observation_error=error)).log_evidence

    low, high = np.log(1e-3 * scale), np.log(3.0 * scale)
    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 0.01})
    return float(np.exp(found.x))
