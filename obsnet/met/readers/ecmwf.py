"""ECMWF's 137 model levels, whose coefficients netCDF files from its archives do not carry.

Half levels ``p = a + b * sp``, from the top; full levels lie in the middle between two. As every GRIB message on these
levels has them (key ``pv``); IFS Documentation CY41R2, part III, section 2.2.1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from obsnet.typing import Floats

__all__ = ["full_levels", "known_coefficients"]

_NAMES = {"hybrid", "model_level", "nhym", "level", "lev"}
_FEWER = 91  # the next smaller set of levels in use: numbers up to it may belong to either

_A = """
    0.0 2.000365 3.102241 4.666084 6.827977 9.746966 13.605424 18.60893 24.985718 32.98571 42.879242 54.955463
    69.52058 86.89588 107.41574 131.4255 159.2794 191.33856 227.96895 269.53958 316.42075 368.98236 427.5925
    492.61603 564.41345 643.3399 729.74414 823.96783 926.3449 1037.2012 1156.8536 1285.6104 1423.7701 1571.6229
    1729.449 1897.5193 2076.096 2265.4316 2465.7705 2677.3481 2900.3914 3135.1194 3381.7437 3640.4683 3911.4905
    4194.9307 4490.8174 4799.1494 5119.895 5452.9907 5798.3447 6156.074 6526.947 6911.8706 7311.869 7727.412
    8159.354 8608.525 9076.4 9562.683 10065.979 10584.632 11116.662 11660.067 12211.548 12766.873 13324.669
    13881.331 14432.14 14975.615 15508.257 16026.115 16527.322 17008.79 17467.613 17901.621 18308.434 18685.719
    19031.29 19343.512 19620.043 19859.39 20059.932 20219.664 20337.863 20412.309 20442.078 20425.719 20361.816
    20249.512 20087.086 19874.025 19608.572 19290.227 18917.46 18489.707 18006.926 17471.84 16888.688 16262.047
    15596.695 14898.453 14173.324 13427.77 12668.258 11901.34 11133.305 10370.176 9617.516 8880.453 8163.375
    7470.3438 6804.422 6168.5312 5564.383 4993.797 4457.375 3955.961 3489.2344 3057.2656 2659.1406 2294.2422
    1961.5 1659.4766 1387.5469 1143.25 926.5078 734.9922 568.0625 424.41406 302.47656 202.48438 122.10156
    62.78125 22.835938 3.757813 0.0 0.0
"""
_B = """
    0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0
    0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0
    0.0000000382 0.0000067607 0.000024348 0.000058922 0.0001119143 0.0001985774 0.0003403797 0.0005615553
    0.0008896979 0.0013528055 0.001991838 0.0028571242 0.0039709536 0.0053778146 0.007133377 0.00926146
    0.011806022 0.0148156285 0.018318452 0.022354845 0.02696352 0.032176096 0.0380264 0.04454796 0.051773015
    0.059728414 0.06844825 0.07795831 0.08828574 0.09946167 0.11150465 0.12444813 0.13831289 0.15312503
    0.16891041 0.18568945 0.20349121 0.22233286 0.242244 0.2632419 0.28535402 0.30859846 0.3329391 0.3582542
    0.38436332 0.41112477 0.4383912 0.4660033 0.4938003 0.5216192 0.54930115 0.57669216 0.60364807 0.6300358
    0.65573597 0.680643 0.704669 0.72773874 0.74979657 0.77079755 0.79071677 0.80953604 0.8272561 0.84388113
    0.8594318 0.87392926 0.88740754 0.8999005 0.9114482 0.92209566 0.9318808 0.94085956 0.94906443 0.9565495
    0.9633517 0.9695134 0.9750784 0.9800716 0.9845419 0.9884995 0.991984 0.9950025 0.9976301 1.0
"""
_HALF = np.array([[float(word) for word in text.split()] for text in (_A, _B)])


def full_levels(numbers: Floats) -> Floats:
    """Return a (Pa) and b of full levels, shape (2, n), by their numbers from 1 at the top to 137 at the ground."""
    k = np.asarray(numbers, dtype=np.int64)
    return np.asarray(0.5 * (_HALF[:, k] + _HALF[:, k - 1]))


def known_coefficients(path: Path, variable: Any) -> tuple[Floats | None, str]:
    """Return coefficients of a vertical axis that counts ECMWF's 137 levels, and a note; None where it does not.

    Level numbers that end at 91 or above it may be of another set of levels and are not guessed at.
    """
    unit, values = getattr(variable, "units", None), np.asarray(variable[...], dtype=np.float64)
    if variable.name not in _NAMES or unit not in {None, "1", "level", "~"} or values.ndim != 1:
        return None, ""
    whole = bool((values == np.round(values)).all()) and values.size > 0 and values.min() >= 1.0
    if not whole or values.max() > 137.0 or np.unique(values).size < values.size:
        return None, ""
    if values.max() <= _FEWER:
        return None, ""
    return full_levels(
        values
    ), f"{path.name}: levels up to {values.max():.0f} taken as ECMWF's 137 model levels"
