"""Transport and inversion: observations to gridded fluxes with their covariance.

The linear Gaussian problem ``y = H x + background + e`` with ``x ~ N(x_b, B)`` and ``e ~ N(0, R)`` is a
`Problem`; `solve` turns it into a `Posterior`. Everything else prepares the one or reads the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__obsnet__ = True  # `obsnet doctor` tells this package from another of the same name

__all__ = [
    "BlockDiagonalCovariance",
    "Covariance",
    "DenseCovariance",
    "DiagonalCovariance",
    "KroneckerCovariance",
    "Posterior",
    "Problem",
    "State",
    "solve",
]

_HOMES = {
    "BlockDiagonalCovariance": "inversion.covariance",
    "Covariance": "inversion.covariance",
    "DenseCovariance": "inversion.covariance",
    "DiagonalCovariance": "inversion.covariance",
    "KroneckerCovariance": "inversion.kronecker",
    "Posterior": "inversion.posterior",
    "Problem": "inversion.problem",
    "State": "inversion.state",
    "solve": "inversion.solvers.choose",
}

if TYPE_CHECKING:
    from inversion.covariance import (
        BlockDiagonalCovariance,
        Covariance,
        DenseCovariance,
        DiagonalCovariance,
    )
    from inversion.kronecker import KroneckerCovariance
    from inversion.posterior import Posterior
    from inversion.problem import Problem
    from inversion.solvers.choose import solve
    from inversion.state import State


def __getattr__(name: str) -> Any:
    # Commands import this package; the solvers and scipy come only when they are asked for.
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'inversion' has no attribute {name!r}")
