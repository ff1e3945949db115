"""Transport and inversion: observations to gridded fluxes with their covariance.

The linear Gaussian problem ``y = H x + background + e`` with ``x ~ N(x_b, B)`` and ``e ~ N(0, R)`` is a
`Problem`; `solve` turns it into a `Posterior`. Everything else prepares the one or reads the other.
"""

from __future__ import annotations

from obsnet.public import keep_paths, lazy

__obsnet__ = True  # `obsnet doctor` tells this package from another of the same name

__all__ = [
    "BlockDiagonalCovariance",
    "Covariance",
    "DenseCovariance",
    "DiagonalCovariance",
    "Jacobian",
    "JacobianStore",
    "KroneckerCovariance",
    "Posterior",
    "Problem",
    "State",
    "choose_network",
    "gaspari_cohn",
    "open_footprints",
    "region_totals",
    "run_twins",
    "select_trend",
    "solve",
    "state_columns",
    "store_blocks",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "BlockDiagonalCovariance": "inversion.operators.covariance",
        "Covariance": "inversion.operators.covariance",
        "DenseCovariance": "inversion.operators.covariance",
        "DiagonalCovariance": "inversion.operators.covariance",
        "Jacobian": "inversion.jacobian.store",
        "JacobianStore": "inversion.jacobian.store",
        "KroneckerCovariance": "inversion.operators.kronecker",
        "Posterior": "inversion.problem.posterior",
        "Problem": "inversion.problem.problem",
        "State": "inversion.problem.state",
        "choose_network": "inversion.study.designs.design",
        "open_footprints": "inversion.transport.readers",
        "region_totals": "inversion.problem.totals",
        "run_twins": "inversion.study.osse.osse",
        "solve": "inversion.solvers.choose",
        "store_blocks": "inversion.operators.distributed",
        "state_columns": "inversion.solvers.localisation",
        "select_trend": "inversion.solvers.geostatistical",
        "gaspari_cohn": "inversion.solvers.localisation",
    },
)
keep_paths(
    {
        "inversion.design": "inversion.study.designs.design",
        "inversion.osse": "inversion.study.osse.osse",
    }
)
