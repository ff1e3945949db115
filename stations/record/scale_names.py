"""One spelling for each calibration scale: files write the same scale in a dozen ways."""

from __future__ import annotations

import re

from obsnet.constants import SPECIES

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
# Who keeps WMO's scales, or writes their names before it; "NOAA/ESRL 2007" and "CCL X2019" are WMO's.
_KEEPERS = {"WMO", "NOAA", "GAW", "ESRL", "GML", "GMD", "CMDL", "CCGG", "CCL", "CENTRAL", "LABORATORY"}
_GASES = "|".join(sorted(SPECIES, key=len, reverse=True))
_OF_ITS_OWN = {"NOAA04"}  # published under this name; `scales.toml` leads to WMO's
_SCRIPPS = re.compile(r"^(?:SCRIPPS|SIO) ?X(\d\d[A-Z]?)$")
_ABOVE = {"WMO", "GAW", "NOAA", "AGAGE"}  # who may be named before the laboratory whose scale it is
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
    if wmo := _wmo(plain, species):
        return wmo
    if match := _LABORATORY.match(_plainly(plain, species)):
        laboratory, year = match.groups()
        year = year[2:] if len(year) > 3 else year  # TU1987 is TU-87
        return f"NOAA{year}" if laboratory == "NOAA" else f"{laboratory.replace('TOHOKU', 'TU')}-{year}"
    return text.strip()


def _plainly(plain: str, species: str) -> str:
    """Return laboratory and year of ``NOAA/CMDL 83``, ``NIES 94 CH4`` and their kind; the text itself of others."""
    words = [w for w in re.split(r"[ /_-]+", _apart(plain)) if w not in {species.upper(), "UNIVERSITY"}]
    while len(words) > 1 and words[0] in _ABOVE and re.match(_LABORATORIES, words[1]):
        del words[0]
    return "-".join(words)


def _wmo(plain: str, species: str) -> str | None:
    """Return the name of a WMO scale: a year, its X or its keeper or both, perhaps the gas, in any order."""
    words = re.split(r"[ /_-]+", _apart(plain))
    years = [w for w in words if re.fullmatch(rf"X?{_YEAR}", w)]
    others = [w for w in words if w not in years]
    gases = [w for w in others if w not in _KEEPERS]
    if len(years) != 1 or len(gases) > 1 or any(g not in SPECIES and g != species.upper() for g in gases):
        return None
    crossed, year = years[0][0] == "X", years[0].lstrip("X")
    name = f"WMO {''.join(gases) or species} X{year}"
    if crossed:
        # Scripps has an X08A and an X12 of its own: two digits are WMO's only where WMO's name or table says so.
        return name if len(year) > 3 or "WMO" in others or is_known(name) else None
    if len(others) == len(gases) or "".join(words) in _OF_ITS_OWN:
        return None
    # Without an X a name is WMO's where its table has that year.
    return next((n for n in (name, name.replace(" X", " X20")) if is_known(n)), None)


def _apart(plain: str) -> str:
    """Return a name with blanks between keeper, gas and year, and none after the X of a year."""
    plain = re.sub(r"\bX[ _-](?=\d)", "X", plain)
    plain = re.sub(rf"\b({'|'.join(_KEEPERS)})(?=X?\d|(?:{_GASES})(?:X\d|\b))", r"\1 ", plain)
    plain = re.sub(rf"\b({_GASES})(?=X\d)", r"\1 ", plain)
    return re.sub(rf"\b(X\d{{4}}[A-Z]?)(?=(?:{_GASES})\b)", r"\1 ", plain)


def is_known(scale: str) -> bool:
    """Tell whether a canonical name is that of a scale, and not merely kept as the file wrote it."""
    match = re.fullmatch(r"WMO (\w+) (X\w+)", scale)
    if match:
        return match[2] in _WMO.get(match[1], "").split()
    plain = scale.upper()
    return scale in {UNKNOWN, UNCALIBRATED} or any(form.match(plain) for form in (_LABORATORY, _SCRIPPS))
