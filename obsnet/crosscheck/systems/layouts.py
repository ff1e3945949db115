"""Layouts of gridded posteriors as their makers publish them; none was tried on a file of theirs, which is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["LAYOUTS", "Layout"]


@dataclass(frozen=True)
class Layout:
    """What a maker's files are like.

    Parameters
    ----------
    gas : str
        Formula.
    variables : tuple of str
        Added up.
    quantity : str
        What their sum is.
    source : str
        Where the layout is described.
    units : str
        Taken where a file states none.
    basis : {"substance", "carbon"} or None
        Whose mass a mass flux is.
    systems : str
        Dimension along which whole systems stand, each to be compared for itself; empty where a file is of one.
    members : str
        Dimension along which the members of its ensemble stand; empty where it has none.
    """

    gas: str
    variables: tuple[str, ...]
    quantity: str
    source: str
    units: str = ""
    basis: Literal["substance", "carbon"] | None = None
    systems: str = ""
    members: str = ""


LAYOUTS = {
    "cams": Layout(
        "CO2", ("flux_apos_bio", "flux_foss"), "NCE",
        "CAMS global inversion, monthly surface flux files (ADS, cams-global-greenhouse-gas-inversion)",
        units="kgC m-2 month-1", basis="carbon",
    ),
    "carbontracker": Layout(
        "CO2", ("bio_flux_opt", "fire_flux_imp", "fossil_flux_imp"), "NCE",
        "NOAA CarbonTracker CT2022 documentation, flux1x1 files", units="mol m-2 s-1",
    ),
    "cheereio": Layout(
        "CH4", ("EmisCH4_Total",), "total",
        "CHEEREIO, combined_HEMCO_diagnostics.nc of its postprocessing (Pendergrass et al. 2023, "
        "doi:10.5194/gmd-16-4793-2023)", basis="substance", members="Ensemble",
    ),
    "cte": Layout(
        "CO2", ("biosphere_flux_optimized", "fire_flux_imposed", "fossil_flux_imposed"), "NCE",
        "CarbonTracker Europe, ICOS Carbon Portal, file specification of GCB2023", units="mol m-2 s-1",
    ),
    "gcb": Layout(
        "CO2", ("land_flux_only_fossil_cement_adjusted",), "NBE",
        "Global Carbon Budget, gridded fluxes of its inversions (CAMS, CarbonTracker, GCASv2, GONGGA and others), ICOS "
        "Carbon Portal", units="PgC m-2 yr-1", basis="carbon", systems="ensemble_member",
    ),
    "imi": Layout(
        "CH4", (), "total",
        "Integrated Methane Inversion 2, gridded_posterior.nc and HEMCO diagnostics (Varon et al. 2022, "
        "doi:10.5194/gmd-15-5787-2022)",
    ),
}  # fmt: skip
