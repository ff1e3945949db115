"""Carbon observation toolkit: the ground floor that stations, retrieval and inversion share, and what stands on it.

Who may import whom is in pyproject.toml (import-linter) and in docs/architecture.md.
"""

from __future__ import annotations

from obsnet.public import lazy

__obsnet__ = True
__version__ = "0.1.0"

__all__ = [
    "Grid",
    "ObservationStore",
    "assign_points",
    "great_circle_km",
    "provinces",
    "read_flux",
    "read_netcdf",
    "region_code",
    "regrid_flux",
    "regrid_total",
    "zonal_weights",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Grid": "obsnet.grid",
        "ObservationStore": "obsnet.store",
        "assign_points": "obsnet.zonal",
        "great_circle_km": "obsnet.sphere",
        "provinces": "obsnet.regions",
        "read_flux": "obsnet.cf",
        "read_netcdf": "obsnet.cf",
        "region_code": "obsnet.regions",
        "regrid_flux": "obsnet.regrid",
        "regrid_total": "obsnet.regrid",
        "zonal_weights": "obsnet.zonal",
    },
)
