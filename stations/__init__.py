"""High-precision station records: every network's files to one defensible record."""

from __future__ import annotations

from obsnet.public import keep_paths, lazy

__obsnet__ = True  # `obsnet doctor` tells this package from another of the same name

__all__ = [
    "apply_budget",
    "apply_rules",
    "convert_scale",
    "curve_ensemble",
    "fit_record",
    "fit_water_correction",
    "read",
    "read_all",
    "standard_errors",
    "write_openghg",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "apply_budget": "stations.quality.budget",
        "apply_rules": "stations.quality.rules",
        "convert_scale": "stations.calibration.scales",
        "curve_ensemble": "stations.curve.errors",
        "fit_record": "stations.curve.many",
        "fit_water_correction": "stations.calibration.water",
        "read": "stations.readers",
        "read_all": "stations.readers",
        "standard_errors": "stations.curve.errors",
        "write_openghg": "stations.record.openghg_file",
    },
)
keep_paths(
    {
        "stations.curve_errors": "stations.curve.errors",
        "stations.fit_many": "stations.curve.many",
        "stations.water": "stations.calibration.water",
    }
)
