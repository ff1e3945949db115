"""Counter-based random numbers: a value depends on its key and counter only, never on who asks or when.

The generator is Philox4x32 with ten rounds (Salmon et al. 2011, doi:10.1145/2063384.2063405). The key is the
run's seed and the receptor's name; the counter is (particle, step, draw, purpose). So results are the same for
any number of threads, workers, batches or receptors.
"""

from __future__ import annotations

import hashlib

import numba
import numpy as np

from obsnet.typing import Floats

__all__ = ["key_of", "normal", "philox", "uniform"]

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_MASK = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_TO_UNIT = 2.0**-32


def key_of(seed: int, name: str) -> int:
    """Return the 64-bit key of a receptor.

    Parameters
    ----------
    seed : int
        Of the run.
    name : str
        ``obs_id``.
    """
    digest = hashlib.blake2b(name.encode(), digest_size=8, key=str(int(seed)).encode()).digest()
    return int.from_bytes(digest, "little")


@numba.njit(cache=True, error_model="numpy")
def philox(
    key: np.uint64, particle: np.uint64, step: np.uint64, draw: np.uint64, purpose: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """Return four independent 32-bit words (held in 64 bits) of a key and counter."""
    k0, k1 = key & _MASK, key >> _HALF
    c0, c1, c2, c3 = particle, step, draw, purpose
    for _ in range(10):
        a, b = _M0 * c0, _M1 * c2
        c0, c1, c2, c3 = (b >> _HALF) ^ c1 ^ k0, b & _MASK, (a >> _HALF) ^ c3 ^ k1, a & _MASK
        k0, k1 = (k0 + _W0) & _MASK, (k1 + _W1) & _MASK
    return c0, c1, c2, c3


@numba.njit(cache=True, error_model="numpy")
def uniform(word: np.uint64) -> float:
    """Return a number in the open interval (0, 1)."""
    return (np.float64(word) + 0.5) * _TO_UNIT


# Ziggurat of Marsaglia & Tsang (2000, doi:10.18637/jss.v005.i08) with 256 layers of equal area.
_R, _V = 3.6541528853610088, 0.00492867323399


def _layers() -> tuple[Floats, Floats]:
    """Return layer edges x (257, falling to 0) and exp(-x^2 / 2) there."""
    x = np.zeros(257)
    x[0], x[1] = _V / np.exp(-0.5 * _R * _R), _R
    for i in range(2, 256):
        x[i] = np.sqrt(-2.0 * np.log(_V / x[i - 1] + np.exp(-0.5 * x[i - 1] ** 2)))
    x[256] = 0.0
    return x, np.exp(-0.5 * x**2)


_X, _F = _layers()
_MANTISSA = 2.0**-23


@numba.njit(cache=True, error_model="numpy")
def normal(
    word: np.uint64, key: np.uint64, particle: np.uint64, step: np.uint64, purpose: np.uint64
) -> float:
    """Return a standard normal number.

    Parameters
    ----------
    word : uint64
        One of `philox`'s words: enough in 98.8 % of cases.
    key, particle, step, purpose : uint64
        Where further words come from; `purpose` must be the caller's own.
    """
    layer = np.int64(word & np.uint64(255))
    x = np.float64(word >> np.uint64(9)) * _MANTISSA * _X[layer]
    if x >= _X[layer + 1]:
        x = _slow(word, key, particle, step, purpose)
    return -x if word & np.uint64(256) else x


@numba.njit(cache=True)
def _slow(word: np.uint64, key: np.uint64, particle: np.uint64, step: np.uint64, purpose: np.uint64) -> float:
    """Return the size of a normal number whose first word fell outside its layer's safe part."""
    draw = np.uint64(1)
    layer = np.int64(word & np.uint64(255))
    x = np.float64(word >> np.uint64(9)) * _MANTISSA * _X[layer]
    in_tail = False
    while True:
        a, b, c, _ = philox(key, particle, step, draw, purpose ^ (word << np.uint64(3)) & _MASK)
        draw += np.uint64(1)
        if in_tail or layer == 0:
            in_tail = True  # the base strip owes a number of the tail: only another tail may replace it
            tail, height = -np.log(uniform(a)) / _R, -np.log(uniform(b))
            if 2.0 * height > tail * tail:
                return _R + tail
            continue
        if _F[layer] + uniform(a) * (_F[layer + 1] - _F[layer]) < np.exp(-0.5 * x * x):
            return x
        layer = np.int64(c & np.uint64(255))
        x = np.float64(c >> np.uint64(9)) * _MANTISSA * _X[layer]
        if x < _X[layer + 1]:
            return x
