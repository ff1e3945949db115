"""Satellite columns: granules to observations, super-observations and maps."""

from __future__ import annotations

from obsnet.public import keep_paths, lazy

__obsnet__ = True  # `obsnet doctor` tells this package from another of the same name

__all__ = [
    "ColumnOperator",
    "Outcome",
    "SolverOptions",
    "column_kernel",
    "column_table",
    "error_budget",
    "estimate",
    "exchange_prior",
    "level_weights",
    "load_sensors",
    "make_map",
    "normalise_kernel",
    "read_granule",
    "super_observe",
    "thinning_coefficient",
    "validate_stores",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "ColumnOperator": "retrieval.columns.column_operator",
        "Outcome": "retrieval.estimation.options",
        "SolverOptions": "retrieval.estimation.options",
        "column_kernel": "retrieval.columns.column_operator",
        "column_table": "retrieval.estimation.observations",
        "error_budget": "retrieval.estimation.error_budget",
        "estimate": "retrieval.estimation.estimate",
        "exchange_prior": "retrieval.columns.column_operator",
        "level_weights": "retrieval.columns.pressure_weights",
        "load_sensors": "retrieval.readers.sensors",
        "make_map": "retrieval.mapping.maps",
        "normalise_kernel": "retrieval.columns.column_operator",
        "read_granule": "retrieval.products.read",
        "super_observe": "retrieval.superobs.average",
        "thinning_coefficient": "retrieval.superobs.errors",
        "validate_stores": "retrieval.validation.compare",
    },
)
keep_paths(
    {
        "retrieval.column_operator": "retrieval.columns.column_operator",
        "retrieval.pressure_weights": "retrieval.columns.pressure_weights",
    }
)
