"""Producers' flags in one vocabulary, `obsnet.schema.Quality`; a letter nobody documents means: do not use."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from obsnet.schema import Quality
from stations.record.record import Notes

__all__ = ["ICOS", "by_letter", "decode", "icos_quality", "noaa_quality"]

# ICOS ATC: U correct before manual control, O after it, R after backward propagation; N, K, H the opposites.
ICOS = {"U": 0, "O": 0, "R": 0, "N": Quality.PRODUCER, "K": Quality.PRODUCER, "H": Quality.PRODUCER}


def decode(flags: np.ndarray, meaning: Callable[[str], int | None], notes: Notes) -> np.ndarray:
    """Return quality bits of flags, each distinct one looked up once.

    Parameters
    ----------
    flags : ndarray of str, shape (rows,)
        As in the file.
    meaning : callable
        Bits of one flag, or None for a flag that is not documented.
    notes : Notes
        Counts the undocumented.
    """
    texts, inverse, counts = np.unique(flags, return_inverse=True, return_counts=True)
    bits = np.zeros(len(texts), np.uint32)
    for i, (text, count) in enumerate(zip(texts.tolist(), counts, strict=True)):
        known = meaning(text)
        if known is None:
            notes.warn(count, f"rows have the unknown flag {text!r}; taken as rejected")
        bits[i] = np.uint32(Quality.PRODUCER if known is None else known)
    return bits[inverse] if len(texts) else np.zeros(len(flags), np.uint32)


def by_letter(table: Mapping[str, int]) -> Callable[[str], int | None]:
    """Return the meaning of flags that are one letter of a table."""
    return lambda text: table.get(text.strip())


def icos_quality(flags: np.ndarray, notes: Notes) -> np.ndarray:
    """Read ICOS letters."""
    return decode(flags, by_letter(ICOS), notes)


def _noaa(text: str) -> int | None:
    if len(text) != 3:
        return None
    return (Quality.PRODUCER if text[0] != "." else 0) | (Quality.SELECTION if text[1] != "." else 0)


def noaa_quality(flags: np.ndarray, notes: Notes) -> np.ndarray:
    """Read NOAA's three characters: rejection, selection, information (``P`` = preliminary, still usable)."""
    preliminary = (
        np.char.endswith(flags, "P") & (np.char.str_len(flags) == 3) if len(flags) else np.zeros(0, bool)
    )
    notes.warn(preliminary.sum(), "rows are preliminary (third flag character P)")
    return decode(flags, _noaa, notes)
