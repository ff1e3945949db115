"""Satellite columns: granules to observations, super-observations and maps."""

from __future__ import annotations

from obsnet.public import keep_paths, lazy

__obsnet__ = True  # `obsnet doctor` tells this package from another of the same name

__all__ = [
    "Band",
    "ClearSky",
    "ColumnOperator",
    "Outcome",
    "SolverOptions",
    "build_table",
    "clear_sky",
    "column_kernel",
    "column_table",
    "error_budget",
    "estimate",
    "exchange_prior",
    "gas_profile",
    "level_weights",
    "load_sensors",
    "make_layers",
    "make_map",
    "normalise_kernel",
    "read_granule",
    "read_lines",
    "read_opus",
    "read_preprocessor",
    "retrieve_clear_sky",
    "super_observe",
    "thinning_coefficient",
    "validate_stores",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "ColumnOperator": "retrieval.columns.column_operator",
        "Band": "retrieval.forward.model",
        "ClearSky": "retrieval.forward.model",
        "Outcome": "retrieval.estimation.options",
        "SolverOptions": "retrieval.estimation.options",
        "column_kernel": "retrieval.columns.column_operator",
        "build_table": "retrieval.forward.tables",
        "clear_sky": "retrieval.estimation.clear_sky",
        "column_table": "retrieval.estimation.observations",
        "error_budget": "retrieval.estimation.error_budget",
        "estimate": "retrieval.estimation.estimate",
        "gas_profile": "retrieval.estimation.spectrum",
        "make_layers": "retrieval.forward.atmosphere",
        "read_lines": "retrieval.forward.hitran",
        "read_opus": "retrieval.forward.opus",
        "read_preprocessor": "retrieval.estimation.clear_sky",
        "retrieve_clear_sky": "retrieval.estimation.spectrum",
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
