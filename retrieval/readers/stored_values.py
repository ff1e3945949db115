"""Arrays as files store them: text without padding, distinct numbers."""

from __future__ import annotations

import numpy as np

__all__ = ["distinct_numbers", "plain_text"]


def plain_text(stored: np.ndarray) -> np.ndarray:
    """Return text of any storage as a numpy string array without padding."""
    if stored.dtype.kind == "O":
        stored = np.array(
            [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in stored.ravel()]
        )
    elif stored.dtype.kind == "S":
        if stored.dtype.itemsize == 1 and stored.ndim == 2:  # characters along the last axis
            stored = np.ascontiguousarray(stored).view(f"S{stored.shape[1]}").ravel()
        stored = np.char.decode(stored, "utf-8", "replace")
    return np.char.strip(stored, " \0") if stored.size else stored.astype(str)


def distinct_numbers(stored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return distinct numbers and which of them each element is; without sorting where they are small."""
    if stored.dtype.itemsize == 1 and stored.dtype.kind in "iu":
        codes = stored.view(np.uint8)
        distinct = np.flatnonzero(np.bincount(codes, minlength=256)).astype(np.uint8)
        place = np.zeros(256, dtype=np.int32)
        place[distinct] = np.arange(len(distinct))
        return distinct.view(stored.dtype), place[codes]
    return np.unique(stored, return_inverse=True)
