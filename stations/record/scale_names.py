"""One spelling for each calibration scale: files write the same scale in a dozen ways."""

from __future__ import annotations

import re

__all__ = ["UNCALIBRATED", "UNKNOWN", "canonical_scale", "is_known"]

UNKNOWN = "unknown"
UNCALIBRATED = "uncalibrated"
_SILENT = {"", "UNKNOWN", "NA", "N/A", "NONE", "--", "-", "NOT KNOWN", "NOT"}
# WMO scales by substance: those of the WMO Central Calibration Laboratories' scale tables.
_WMO = {
    "CO2": "X85 X87 X93 X2003 X2005 X2007 X2019",
    "CH4": "X2004 X2004A",
    "N2O": "X2000 X2006 X2006A",
    "CO": "X2000 X2004 X2014 X2014A",
    "SF6": "X2000 X2006 X2014",
    "H2": "X2009",
}
_YEAR = r"(?:19|20)?\d\d[A-Z]?"
_GAS = r"[A-Z]+[0-9]*[A-Z]*[0-9]*"
_WMO_FORMS = (
    # "WMO CO2 X2019", "CO2_X2019", "WMO-X2004A", "WMO CH4-X2004A", "X2007"
    re.compile(
        rf"^(?:(?:WMO|NOAA|GAW|ESRL|GML)[ /_-]*)*(?:(?P<gas>{_GAS})[ /_-]+)?X[ _-]?(?P<year>{_YEAR})$"
    ),
    # "CO2_WMO_X2019"
    re.compile(rf"^(?P<gas>{_GAS})[ /_-]+(?:WMO|NOAA|GAW)[ /_-]+X[ _-]?(?P<year>{_YEAR})$"),
    # "NOAA 2004A CH4"
    re.compile(rf"^(?:NOAA|WMO)[ _-]X?(?P<year>{_YEAR})[ _-](?P<gas>{_GAS})$"),
)
# "NOAA-2006A", "WMO CO 2014A", "NOAA/ESRL 2007": WMO's where its table has that year, for NOAA keeps these scales.
_WITHOUT_X = re.compile(
    r"^(?:(?:WMO|NOAA|GAW|ESRL|GML)[ /_-]*)+(?:(?P<gas>[A-Z]+\d*[A-Z]*\d?)[ /_-]+)?(?P<year>(?:19|20)\d\d[A-Z]?)$"
)
_SCRIPPS = re.compile(r"^(?:SCRIPPS|SIO) ?X(\d\d[A-Z]?)$")
_LABORATORIES = "SIO|TU|TOHOKU|CSIRO|CMDL|NOAA|METAS|EMPA|UB|NIES|SCRIPPS|KRISS"
_LABORATORY = re.compile(rf"^({_LABORATORIES})[ _-]?({_YEAR})$")


def canonical_scale(text: str, species: str) -> str:
    """Return the one spelling of a scale: ``"WMO CO2 X2019"``, ``"SIO-16"``, ``"TU-87"``.

    Parameters
    ----------
    text : str
        ``"CO2_X2019"``, ``"WMO X2004A"``, ``"NOAA 2004A CH4"``, ``"TU1987"`` …
    species : str
        Formula; completes a WMO scale that does not name it.

    Returns
    -------
    str
        The text itself where the scale is not recognised, ``"unknown"`` where the file says nothing.
    """
    plain = re.sub(r"\b(MOLE FRACTION|CALIBRATION|SCALE|SERIES)\b", "", text.upper())
    plain = re.sub(r"\(.*\)", "", plain) if plain.count("(") == 1 and plain.strip()[0] != "(" else plain
    plain = " ".join(plain.split()).strip(" .;,:()")
    if plain in _SILENT:
        return UNKNOWN
    if plain == UNCALIBRATED.upper():
        return UNCALIBRATED
    if match := _SCRIPPS.match(plain):
        return f"Scripps X{match[1]}"
    for form in _WMO_FORMS:
        match = form.match(plain)
        if match:
            name = f"WMO {match['gas'] or species} X{match['year']}"
            # Scripps has an X08A and an X12 of its own: two digits are WMO's only where WMO's name or table says so.
            return name if len(match["year"]) > 3 or "WMO" in plain or is_known(name) else text.strip()
    if (match := _WITHOUT_X.match(plain)) and is_known(
        name := f"WMO {match['gas'] or species} X{match['year']}"
    ):
        return name
    match = _LABORATORY.match(plain)
    if match:
        laboratory, year = match.groups()
        year = year[2:] if len(year) > 3 else year  # TU1987 is TU-87
        return f"NOAA{year}" if laboratory == "NOAA" else f"{laboratory.replace('TOHOKU', 'TU')}-{year}"
    return text.strip()


def is_known(scale: str) -> bool:
    """Tell whether a canonical name is that of a scale, and not merely kept as the file wrote it."""
    match = re.fullmatch(r"WMO (\w+) (X\w+)", scale)
    if match:
        return match[2] in _WMO.get(match[1], "").split()
    plain = scale.upper()
    return scale in {UNKNOWN, UNCALIBRATED} or any(form.match(plain) for form in (_LABORATORY, _SCRIPPS))
