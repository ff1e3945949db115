"""Inverse problems with known answers, and the real ones of the sample data."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np


def linear(seed=0, rows=4, n=5, m=30, shared=True):
    """A linear forward model with correlated priors: forward, y, variance, x_a, S_a, K, truths."""
    rng = np.random.default_rng(seed)
    jacobian = rng.normal(size=(rows, m, n)) * np.geomspace(1e-3, 1e3, n)
    root = rng.normal(size=(1 if shared else rows, n, n)) / np.geomspace(1e-3, 1e3, n)[:, None]
    covariance = root @ np.swapaxes(root, 1, 2) + np.eye(n) * 1e-2 / np.geomspace(1e-6, 1e6, n)
    prior = rng.normal(size=n) / np.geomspace(1e-3, 1e3, n)
    draws = np.linalg.cholesky(covariance) @ rng.normal(size=(rows, n, 1))
    truth = prior + draws[..., 0]
    variance = rng.uniform(0.05, 0.2, (rows, m))
    y = np.einsum("rmn,rn->rm", jacobian, truth) + rng.normal(size=(rows, m)) * np.sqrt(variance)

    def forward(state, which):
        return np.einsum("rmn,rn->rm", jacobian[which], state), jacobian[which]

    return forward, y, variance, prior, covariance[0] if shared else covariance, jacobian, truth


def five(state, which):
    """The non-linear least squares of the OCO solver's own test: the answer is 1, 2, 3, 4, 5."""
    del which
    rows = len(state)
    jacobian = np.zeros((rows, 10, 5))
    for i in range(5):
        jacobian[:, i, i] = 2.0 * state[:, i]
    for channel, entries in enumerate(
        ({0: 1, 1: 1}, {1: 1, 2: 1}, {1: 2, 3: 1}, {3: 2, 4: -1}, {2: 2, 3: 1}), start=5
    ):
        for element, value in entries.items():
            jacobian[:, channel, element] = value
    sums = np.einsum("rmn,rn->rm", jacobian[:, 5:], state)
    return np.concatenate([state**2, sums], axis=1), jacobian


FIVE = np.array([1.0, 4.0, 9.0, 16.0, 25.0, 3.0, 5.0, 8.0, 3.0, 10.0])


def decay(seed=1, rows=3, n=4, m=60, noise=0.01):
    """Transmission exp(-B x): a mildly non-linear spectrum."""
    rng = np.random.default_rng(seed)
    shape = np.abs(rng.normal(size=(m, n))) * 0.4
    truth = 1.0 + 0.3 * rng.normal(size=(rows, n))

    def forward(state, which):
        del which
        spectrum = np.exp(-np.einsum("rn,mn->rm", state, shape))  # the same bits in any batch
        return spectrum, -spectrum[..., None] * shape

    y = forward(truth, None)[0] + noise * rng.normal(size=(rows, m))
    return forward, y, np.full((rows, m), noise**2), np.ones(n), 0.09 * np.eye(n), truth


def saved_state(sample_data: Path) -> dict[str, np.ndarray]:
    """Arrays of the saved state of the OCO solver, by the name that stands above each."""
    found = {}
    text = (sample_data / "retrieval/oe_cases/connor_save.txt").read_text()
    for name, body in re.findall(r"^#\s*([^\n]+?)\s*\n((?:[^#\n].*\n|\n)*)", text, re.MULTILINE):
        if "[" in body:
            shape = [int(last) + 1 for last in re.findall(r"\(0,(-?\d+)\)", body)]
            numbers = np.array(body[body.index("[") + 1 : body.index("]")].split(), dtype=float)
            if numbers.size == np.prod(shape):
                found[name] = numbers.reshape(shape)
    return found


ACOS = [
    "retrieval/acos_oco2/oco2_target_20141018_expected_l2.h5",
    "retrieval/acos_oco2/l2_2012061617570404.h5",
    "retrieval/acos_gosat/expected/l2_20100223034944.h5",
    "retrieval/acos_gosat/expected/l2_20100411193547.h5",
    "retrieval/acos_gosat/expected/l2_20100831023103.h5",
    "satellite/acos_full_retrieval/l2_20090827005603.h5",
]


def acos(sample_data: Path, name: str) -> dict[str, np.ndarray]:
    """Results of one real ACOS retrieval, with ``elements``, the places of its CO2 profile (top first)."""
    import h5py

    with h5py.File(sample_data / name) as file:
        found = {k: np.asarray(v)[0] for k, v in file["RetrievalResults"].items()}
        for key in ("state_vector_names", "state_vector_result", "state_vector_apriori"):
            found[key] = np.asarray(file["RetrievedStateVector"][key])[0]
    found["elements"] = np.flatnonzero([b"CO2 VMR" in n for n in found["state_vector_names"]])
    return found
