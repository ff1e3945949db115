"""How places are written: degrees without a sign and the letter of their hemisphere."""

from __future__ import annotations

from obsnet.language import Words

__all__ = ["extent_text", "place_text", "place_words"]


def place_text(latitude: float, longitude: float, form: str = "g", gap: str = " ") -> str:
    """Return a place in one line; longitudes beyond 180 stay as the file has them.

    Examples
    --------
    >>> place_text(31.2, 121.5), place_text(-33.86, -151.2, ".1f", gap="")
    ('31.2 N 121.5 E', '33.9S 151.2W')
    """
    return f"{_degrees(latitude, 'NS', form, gap)} {_degrees(longitude, 'EW', form, gap)}"


def extent_text(south: float, north: float, west: float, east: float) -> tuple[str, str]:
    """Return from where to where an area reaches in latitude and in longitude.

    Examples
    --------
    >>> extent_text(15, 55, 70, 140), extent_text(-44, -10, -20, 30)
    (('15 to 55 N', '70 to 140 E'), ('44 S to 10 S', '20 W to 30 E'))
    """
    return _span(south, north, "NS"), _span(west, east, "EW")


def place_words(latitude: float, longitude: float, form: str = ".3f") -> Words:
    """Return a place as a page states it, in both languages.

    Examples
    --------
    >>> place_words(-33.86, 151.2).en, place_words(-33.86, 151.2, ".1f").zh
    ('33.860° S, 151.200° E', '南纬 33.9°，东经 151.2°')
    """
    lat, lon = abs(latitude), abs(longitude)
    south, west = _below(latitude, form), _below(longitude, form)
    return Words(
        f"{lat:{form}}° {'NS'[south]}, {lon:{form}}° {'EW'[west]}",
        f"{'北南'[south]}纬 {lat:{form}}°，{'东西'[west]}经 {lon:{form}}°",
    )


def _below(value: float, form: str) -> bool:
    """Say whether a value is written as one below zero: -0.0001 with two digits is not."""
    return float(format(value, form)) < 0.0


def _degrees(value: float, letters: str, form: str, gap: str = " ") -> str:
    return f"{abs(value):{form}}{gap}{letters[_below(value, form)]}"


def _span(low: float, high: float, letters: str) -> str:
    if low >= 0.0:
        return f"{low:g} to {_degrees(high, letters, 'g')}"
    return f"{_degrees(low, letters, 'g')} to {_degrees(high, letters, 'g')}"
