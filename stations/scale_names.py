"""One spelling for each calibration scale: files write the same scale in a dozen ways."""

from __future__ import annotations

import re

__all__ = ["UNKNOWN", "canonical_scale", "is_known"]

UNKNOWN = "unknown"
# Scale families and the species they are defined for; '' means any species of the laboratory.
_WMO = {
    "X2007": "CO2", "X2019": "CO2", "X2004": "CH4", "X2004A": "CH4", "X2006": "N2O SF6", "X2006A": "N2O", "X2000": "N2O CO SF6",
    "X2004CO": "CO", "X2014": "SF6", "X2014A": "CO", "X2009": "H2", "X2005": "CO2", "X2003": "CO2", "X2001": "CO2",
    "X1993": "CO2", "X1995": "CO2", "X1997": "CO2", "X1999": "CO2", "X1987": "CO2", "X1974": "CO2", "X85": "CO2", "X83": "CO2",
}  # fmt: skip
_LABORATORY = re.compile(
    r"^(SIO|TU|CSIRO|NOAA|CMDL|METAS|UB|NIES|NIST|SOGE|WCC|MPI|KRISS|AES|NIWA|IMAU)[ _-]?(\d{2,4}[A-Z]?)$"
)
_WMO_NAME = re.compile(
    r"^(?:(?:WMO|NOAA|GAW)?[\s_/-]*)(?:([A-Z0-9]+?)[\s_/-]+)?X[\s_-]?((?:19|20)\d\d[A-Z]?|8[35])$"
)


def canonical_scale(text: str, species: str) -> str:
    """Return the one spelling of a scale: ``"WMO CO2 X2019"``, ``"SIO-16"``, ``"TU-87"``.

    Parameters
    ----------
    text : str
        ``"CO2_X2019"``, ``"WMO X2004A"``, ``"WMO-CH4-X2004A"``, ``"TU1987"`` ...
    species : str
        Formula; completes a WMO scale that does not name it.

    Returns
    -------
    str
        The text itself where the scale is not recognised, ``"unknown"`` where the file says nothing.
    """
    plain = text.strip().upper().replace("SCALE", "").strip(" .;,:()")
    if plain in {"", "UNKNOWN", "NA", "N/A", "NONE", "--", "-", "NOT KNOWN"}:
        return UNKNOWN
    match = _WMO_NAME.match(plain)
    if match:
        named = match.group(1)
        gas = named if named and named not in {"WMO", "NOAA", "GAW", "MOLE", "CCL"} else species
        return f"WMO {gas} X{match.group(2)}"
    match = _LABORATORY.match(plain)
    if match:
        laboratory, year = match.groups()
        # TU1987 and TU-87 are one scale
        year = year[2:] if re.fullmatch(r"(19|20)\d\d[A-Z]?", year) else year
        return f"{laboratory}-{year}" if laboratory != "NOAA" else f"NOAA{year}"
    return text.strip()


def is_known(scale: str) -> bool:
    """Tell whether a canonical name is a scale this package knows by name."""
    match = re.fullmatch(r"WMO (\w+) (X\w+)", scale)
    if match:
        return match.group(1) in _WMO.get(match.group(2), "").split() or scale in {
            "WMO CO X2004",
            "WMO N2O X2006",
        }
    return bool(
        re.fullmatch(
            r"(SIO|TU|CSIRO|METAS|UB|NIES|NIST|SOGE|WCC|MPI|KRISS|AES|NIWA|IMAU|CMDL)-\d\d[A-Z]?|NOAA\d\d[A-Z]?",
            scale,
        )
    )
