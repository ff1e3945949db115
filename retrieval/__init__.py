"""Satellite columns: granules to observations, super-observations and maps."""

from __future__ import annotations

from obsnet.public import keep_paths, lazy

__obsnet__ = True  # `obsnet doctor` tells this package from another of the same name

__all__ = [
    "ClearSky",
    "ColumnOperator",
    "RetrievalOutcome",
    "SolverOptions",
    "SpectralBand",
    "build_table",
    "clear_sky",
    "column_kernel",
    "column_table",
    "error_budget",
    "estimate",
    "exchange_prior",
    "filter_cube",
    "filter_spectra",
    "fts_shape",
    "gas_profile",
    "level_weights",
    "load_sensors",
    "make_layers",
    "make_map",
    "normalise_kernel",
    "open_cube",
    "open_table",
    "read_granule",
    "read_lines",
    "read_opus",
    "read_preprocessor",
    "read_solar_lines",
    "read_unit_absorption",
    "retrieve_clear_sky",
    "save_table",
    "super_observe",
    "tabulated_shape",
    "thinning_coefficient",
    "unit_absorption",
    "validate_stores",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "ClearSky": "retrieval.forward.model",
        "ColumnOperator": "retrieval.columns.column_operator",
        "RetrievalOutcome": "retrieval.estimation.options",
        "SolverOptions": "retrieval.estimation.options",
        "SpectralBand": "retrieval.forward.model",
        "build_table": "retrieval.forward.tables",
        "clear_sky": "retrieval.estimation.clear_sky",
        "column_kernel": "retrieval.columns.column_operator",
        "column_table": "retrieval.estimation.observations",
        "error_budget": "retrieval.estimation.error_budget",
        "estimate": "retrieval.estimation.estimate",
        "exchange_prior": "retrieval.columns.column_operator",
        "filter_cube": "retrieval.matched_filter.run",
        "filter_spectra": "retrieval.matched_filter.filters",
        "fts_shape": "retrieval.forward.instrument",
        "gas_profile": "retrieval.estimation.spectrum",
        "level_weights": "retrieval.columns.pressure_weights",
        "load_sensors": "retrieval.readers.sensors",
        "make_layers": "retrieval.forward.atmosphere",
        "make_map": "retrieval.mapping.maps",
        "normalise_kernel": "retrieval.columns.column_operator",
        "open_cube": "retrieval.matched_filter.cube",
        "open_table": "retrieval.forward.tables",
        "read_granule": "retrieval.products.read",
        "read_lines": "retrieval.forward.hitran",
        "read_opus": "retrieval.spectra.opus",
        "read_preprocessor": "retrieval.estimation.clear_sky",
        "read_solar_lines": "retrieval.forward.sun",
        "read_unit_absorption": "retrieval.matched_filter.target",
        "retrieve_clear_sky": "retrieval.estimation.spectrum",
        "save_table": "retrieval.forward.tables",
        "super_observe": "retrieval.superobs.average",
        "tabulated_shape": "retrieval.forward.instrument",
        "thinning_coefficient": "retrieval.superobs.errors",
        "unit_absorption": "retrieval.matched_filter.target",
        "validate_stores": "retrieval.validation.compare",
    },
)
keep_paths(
    {
        "retrieval.column_operator": "retrieval.columns.column_operator",
        "retrieval.pressure_weights": "retrieval.columns.pressure_weights",
    }
)
