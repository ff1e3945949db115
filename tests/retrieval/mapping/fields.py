"""Made-up fields whose covariance is known."""

from __future__ import annotations

import numpy as np

from obsnet.sphere import EARTH_RADIUS_KM, unit_vectors
from retrieval.mapping.kriging import Samples
from retrieval.mapping.variogram import ProductSum

START = np.datetime64("2020-06-01", "us")
MODEL = ProductSum(1.0, 400.0, 0.5, 4.0, 0.6, 0.05)


def places(n, seed, *, lat=(25.0, 40.0), lon=(100.0, 120.0), days=10.0):
    rng = np.random.default_rng(seed)
    when = START + np.round(rng.uniform(0, days, n) * 86400e6).astype("timedelta64[us]")
    return rng.uniform(*lat, n), rng.uniform(*lon, n), when


def covariance(model, one, two=None):
    """Return the dense covariance of points (latitude, longitude, time); not by way of the kernels."""
    two = one if two is None else two
    a, b = unit_vectors(*one[:2]), unit_vectors(*two[:2])
    distance = EARTH_RADIUS_KM * np.arccos(np.clip(a @ b.T, -1, 1))
    days = (one[2][:, None] - two[2][None]) / np.timedelta64(1, "D")
    return model.covariance(distance, days)


def draw(model, points, seed, *, error=(0.2, 0.6)):
    """Return samples of a Gaussian field with measurement errors, and the field itself."""
    rng = np.random.default_rng(seed)
    n = len(points[0])
    factor = np.linalg.cholesky(covariance(model, points) + (model.nugget + 1e-9) * np.eye(n))
    truth = factor @ rng.normal(size=n)
    sigma = rng.uniform(*error, n)
    return Samples(*points, truth + sigma * rng.normal(size=n), sigma), truth
