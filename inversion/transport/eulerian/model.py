"""A small Eulerian tracer model with its exact adjoint, for tests and twin experiments.

Finite volumes on a latitude-longitude domain with open sides. The unknown is the mole fraction x of each
cell; air moves between cells with given molar flows that balance in every cell, so a uniform x stays
uniform. One step is a Strang sequence of one-dimensional sweeps (east, north, up, north, east; Strang 1968,
doi:10.1137/0705041), each with a linear second-order face value (Fromm 1968,
J. Comput. Phys. 3, 176) or first-order upwind, then emission into the lowest layer and implicit
vertical exchange. There is no limiter: the model is linear, each sweep is a sparse matrix, and the adjoint
is the product of their transposes, exact to rounding.

Symbols in the kernels: `x` mole fraction (ppm), `air` content of a cell (mol), `flow` air through a face
(mol s-1), `dt` step (s).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from inversion.jacobian.store import UNIT, Jacobian
from inversion.transport.eulerian.air_flow import Atmosphere
from obsnet.errors import RangeError
from obsnet.schema import SIDES
from obsnet.typing import Floats, Ints, Texts

__all__ = ["EulerianModel", "Gradient", "Observation"]

Scheme = Literal["fromm", "upwind"]
_COURANT = 0.9


class Observation(NamedTuple):
    """What is seen: the state at a time edge, weighted over cells.

    Parameters
    ----------
    obs_id : str
        Identity.
    edge : int
        Index into ``time_edges``, 1 to n_time.
    weight : ndarray, shape (n_level, nlat, nlon)
        One cell of weight 1 for a station; pressure weight times averaging kernel down a column.
    """

    obs_id: str
    edge: int
    weight: Floats


class Gradient(NamedTuple):
    """Derivatives of observations, or of one sum over them; the last dimension counts observations.

    Parameters
    ----------
    flux : ndarray, shape (n_time, nlat, nlon, n)
        With respect to fluxes in umol m-2 s-1: ppm per that.
    inflow : ndarray, shape (n_time, n_boundary, n)
        With respect to the mole fraction outside each outer face.
    initial : ndarray, shape (n_level, nlat, nlon, n)
        With respect to the initial state.
    """

    flux: Floats
    inflow: Floats
    initial: Floats


class _Interval(NamedTuple):
    """One time interval, made ready: matrices of the sweeps in order, and the vertical exchange."""

    steps: int
    dt: float
    sweeps: list[tuple[sparse.csr_array, sparse.csr_array]]  # state, inflow
    lower: Floats  # (n_level, n_column): elimination factors
    pivot: Floats
    off: Floats  # (n_level - 1, n_column)


class EulerianModel:
    """Forward and adjoint integration.

    Parameters
    ----------
    atmosphere : Atmosphere
        Air and motion.
    scheme : {"fromm", "upwind"}
        Second order, or first order and positive.
    courant : float
        Largest share of a cell's air that leaves it through one pair of faces in one step.
    """

    def __init__(
        self, atmosphere: Atmosphere, *, scheme: Scheme = "fromm", courant: float = _COURANT
    ) -> None:
        self.atmosphere, self.scheme = atmosphere, scheme
        self.shape = atmosphere.air.shape
        self.n_time = len(atmosphere.time_edges) - 1
        nz, ny, nx = self.shape
        # Outer faces: all of the western side, eastern, southern, northern; level by level.
        self.n_boundary = 2 * nz * (ny + nx)
        self._up = atmosphere.up
        self._seconds = np.diff(atmosphere.time_edges) / np.timedelta64(1, "s")
        self._intervals = [self._prepare(t, courant) for t in range(self.n_time)]

    def side_of_boundary(self) -> Texts:
        """Return the side of each outer face, in the order of `inflow`."""
        nz, ny, nx = self.shape
        return np.repeat(["west", "east", "south", "north"], [nz * ny, nz * ny, nz * nx, nz * nx])

    def _prepare(self, t: int, courant: float) -> _Interval:
        a = self.atmosphere
        flows = (a.east[t], a.north[t], self._up[t])
        fastest = max(_fastest(flow, a.air, axis) for flow, axis in zip(flows, (2, 1, 0), strict=True))
        steps = max(1, int(np.ceil(fastest * self._seconds[t] / courant)))
        dt = float(self._seconds[t]) / steps
        air, sweeps = a.air, []
        order = ((0, 2, 0.5), (1, 1, 0.5), (2, 0, 1.0), (1, 1, 0.5), (0, 2, 0.5))
        for which, axis, share in order:
            state, outer, air = _sweep(flows[which], air, axis, share * dt, self.scheme)
            sweeps.append((state, self._place_inflow(outer, axis)))
        # Rounding aside the air is what it was: continuity. What is left goes into no cell's balance.
        return _Interval(steps, dt, sweeps, *_exchange(a.air, a.exchange[t], dt))

    def _place_inflow(self, outer: sparse.csr_array, axis: int) -> sparse.csr_array:
        """Widen a sweep's inflow matrix (low faces, then high faces) to all outer faces."""
        nz, ny, _ = self.shape
        first = {2: 0, 1: 2 * nz * ny}
        if axis == 0:  # ground and lid are closed
            return sparse.csr_array((outer.shape[0], self.n_boundary))
        wide = sparse.coo_array(outer)
        at = (wide.coords[0], wide.coords[1] + first[axis])
        return sparse.csr_array(sparse.coo_array((wide.data, at), shape=(outer.shape[0], self.n_boundary)))

    def forward(self, flux: Floats, inflow: Floats, initial: Floats) -> Iterator[tuple[int, Floats]]:
        """Integrate and yield the state at each time edge.

        Parameters
        ----------
        flux : ndarray, shape (n_time, nlat, nlon)
            Surface flux of each interval, umol m-2 s-1, upward positive.
        inflow : ndarray, shape (n_time, n_boundary)
            Mole fraction outside each outer face, ppm; counts where air flows in.
        initial : ndarray, shape (n_level, nlat, nlon)
            ppm.

        Yields
        ------
        (int, ndarray of shape (n_level, nlat, nlon))
            Index of the time edge, from 0, and the state there.
        """
        x = np.array(initial, dtype=np.float64).reshape(-1)
        n_column = self.atmosphere.grid.size
        area, lowest = self.atmosphere.grid.cell_area.ravel(), self.atmosphere.air[0].ravel()
        yield 0, x.reshape(self.shape).copy()
        for t, interval in enumerate(self._intervals):
            source = interval.dt * np.asarray(flux[t]).ravel() * area / lowest
            pushed = [outer @ inflow[t] for _, outer in interval.sweeps]
            for _ in range(interval.steps):
                for (state, _), add in zip(interval.sweeps, pushed, strict=True):
                    x = state @ x + add
                x[:n_column] += source
                x = _solve(interval, x.reshape(self.shape[0], n_column, 1) * self._air()).reshape(-1)
            yield t + 1, x.reshape(self.shape).copy()

    def _air(self) -> Floats:
        return self.atmosphere.air.reshape(self.shape[0], -1, 1)

    def observe(
        self, observations: list[Observation], flux: Floats, inflow: Floats, initial: Floats
    ) -> Floats:
        """Return the observations' values, ppm, shape (len(observations),)."""
        out = np.zeros(len(observations))
        for edge, x in self.forward(flux, inflow, initial):
            for i, o in enumerate(observations):
                if o.edge == edge:
                    out[i] = np.vdot(o.weight, x)
        return out

    def adjoint(self, observations: list[Observation]) -> Gradient:
        """Return the derivative of each observation with respect to all inputs.

        Parameters
        ----------
        observations : list of Observation
            All are integrated backward together; memory is that of as many states.
        """
        n, n_column = len(observations), self.atmosphere.grid.size
        area, lowest = self.atmosphere.grid.cell_area.ravel(), self.atmosphere.air[0].ravel()
        flux = np.zeros((self.n_time, n_column, n))
        inflow = np.zeros((self.n_time, self.n_boundary, n))
        state = np.zeros((int(np.prod(self.shape)), n))
        for t in range(self.n_time - 1, -1, -1):
            for i, o in enumerate(observations):
                if not 1 <= o.edge <= self.n_time:
                    raise RangeError(
                        f"observation {o.obs_id!r} is at edge {o.edge}, not within 1 and {self.n_time}"
                    )
                if o.edge == t + 1:
                    state[:, i] += o.weight.ravel()
            interval = self._intervals[t]
            back = [(s.T.tocsr(), b.T.tocsr()) for s, b in interval.sweeps]
            for _ in range(interval.steps):
                # The exchange matrix is symmetric, so its adjoint solves first and weighs with the air
                # afterwards.
                state = (_solve(interval, state.reshape(self.shape[0], n_column, n)) * self._air()).reshape(
                    -1, n
                )
                flux[t] += (interval.dt * area / lowest)[:, None] * state[:n_column]
                for transition, outer in reversed(back):
                    inflow[t] += outer @ state
                    state = transition @ state
        return Gradient(flux.reshape(self.n_time, *self.shape[1:], n), inflow, state.reshape(*self.shape, n))

    def jacobian(self, observations: list[Observation], *, batch: int = 64) -> Jacobian:
        """Return the Jacobian of observations, in the contract that inversions read.

        Parameters
        ----------
        observations : list of Observation
            Any order.
        batch : int
            How many are integrated backward together.

        Returns
        -------
        Jacobian
            Boundary shares are sums over each side's faces by interval; ``inside`` is the share of the
            initial state, in the first bin. At a station all shares sum to 1.
        """
        sides, names = self.side_of_boundary(), list(SIDES)
        rows, shares = [], []
        for start in range(0, len(observations), batch):
            part = self.adjoint(observations[start : start + batch])
            n = part.flux.shape[-1]
            rows.append(part.flux.reshape(-1, n).T.astype(np.float32))
            share = np.zeros((n, len(SIDES), self.n_time))
            for side in ("north", "east", "south", "west"):
                share[:, names.index(side)] = part.inflow[:, sides == side].sum(axis=1).T
            share[:, names.index("inside"), 0] = part.initial.reshape(-1, n).sum(axis=0)
            shares.append(share.reshape(n, -1))
        return Jacobian(
            matrix=sparse.csr_array(np.concatenate(rows)),
            obs_id=np.array([o.obs_id for o in observations], dtype=np.str_),
            grid=self.atmosphere.grid,
            time_edges=self.atmosphere.time_edges,
            unit=UNIT,
            boundary=sparse.csr_array(np.concatenate(shares)),
        )


def _fastest(flow: Floats, air: Floats, axis: int) -> float:
    """Return the largest share of a cell's air that leaves through one face in a second."""
    n = air.shape[axis]
    low, high = (np.take(flow, range(s, n + s), axis=axis) for s in (0, 1))
    return float((np.maximum(np.maximum(-low, 0.0), np.maximum(high, 0.0)) / air).max())


def _sweep(
    flow: Floats, air: Floats, axis: int, dt: float, scheme: Scheme
) -> tuple[sparse.csr_array, sparse.csr_array, Floats]:
    """Return a one-dimensional sweep as matrices, and the air after it.

    Parameters
    ----------
    flow : ndarray
        Through the faces across `axis`, one more than cells.
    air : ndarray, shape (n_level, nlat, nlon)
        Before the sweep.

    Returns
    -------
    state : csr_array, shape (cells, cells)
        New mole fractions from old.
    outer : csr_array, shape (cells, 2 * faces of one side)
        New mole fractions from those outside the low and the high side.
    air : ndarray
        After the sweep.
    """
    shape, n = air.shape, air.shape[axis]
    number = np.arange(air.size).reshape(shape)
    f, m, cell = (np.moveaxis(a, axis, 0).reshape(a.shape[axis], -1) for a in (flow, air, number))
    after = m + dt * (f[:-1] - f[1:])
    rows, columns, values = [cell], [cell], [m / after]
    outside: list[tuple[Ints, Ints, Floats]] = []
    line = np.arange(cell.shape[1])
    slope = np.zeros_like(m)
    if scheme == "fromm":
        # Slope over a cell, in air as the coordinate; none where a neighbour is missing.
        slope[1:-1] = m[1:-1] / (0.5 * m[:-2] + m[1:-1] + 0.5 * m[2:])
    for k in range(n + 1):
        for sign, donor in ((1.0, k - 1), (-1.0, k)):
            flux = np.where(sign * f[k] > 0.0, f[k], 0.0) * dt
            if not flux.any():
                continue
            takers = [(j, s) for j, s in ((k, 1.0), (k - 1, -1.0)) if 0 <= j < n]
            if not 0 <= donor < n:
                taker, s = takers[0]
                side = 0 if donor < 0 else 1
                outside.append((cell[taker], side * line.size + line, s * flux / after[taker]))
                continue
            # Face value: donor + half of what is left of its slope after the part that leaves.
            half = 0.5 * sign * (1.0 - np.abs(flux) / m[donor]) * slope[donor]
            pieces = [(donor, np.ones_like(half))]
            if scheme == "fromm" and 0 < donor < n - 1:
                pieces += [(donor + 1, half), (donor - 1, -half)]
            for taker, s in takers:
                for source, weight in pieces:
                    rows.append(cell[taker][None])
                    columns.append(cell[source][None])
                    values.append((s * flux * weight / after[taker])[None])
    state = sparse.coo_array(
        (_flat(values), (_flat(rows), _flat(columns))), shape=(air.size, air.size)
    ).tocsr()
    at, faces, amounts = (
        zip(*outside, strict=True) if outside else ([np.zeros(0, int)], [np.zeros(0, int)], [np.zeros(0)])
    )
    outer = sparse.coo_array(
        (np.concatenate(amounts), (np.concatenate(at), np.concatenate(faces))),
        shape=(air.size, 2 * line.size),
    ).tocsr()
    lined = after.reshape(n, *(s for a, s in enumerate(shape) if a != axis))
    return sparse.csr_array(state), sparse.csr_array(outer), np.ascontiguousarray(np.moveaxis(lined, 0, axis))


def _flat(arrays: list[npt.NDArray]) -> npt.NDArray:
    return np.concatenate([a.ravel() for a in arrays])


def _exchange(air: Floats, exchange: Floats, dt: float) -> tuple[Floats, Floats, Floats]:
    """Eliminate ``air + dt * L``, with L the symmetric exchange between layers, for all columns.

    Returns
    -------
    lower, pivot, off : ndarray
        Factors of the Thomas algorithm.
    """
    nz = air.shape[0]
    m = air.reshape(nz, -1)
    e = dt * exchange.reshape(nz - 1, m.shape[1])
    diagonal = m.copy()
    diagonal[:-1] += e
    diagonal[1:] += e
    pivot, lower = np.empty_like(m), np.zeros_like(m)
    pivot[0] = diagonal[0]
    for k in range(1, nz):
        lower[k] = -e[k - 1] / pivot[k - 1]
        pivot[k] = diagonal[k] + lower[k] * e[k - 1]
    return lower, pivot, -e


def _solve(interval: _Interval, right: Floats) -> Floats:
    """Solve the eliminated system for right-hand sides (n_level, n_column, n)."""
    x = right.copy()
    nz = x.shape[0]
    for k in range(1, nz):
        x[k] -= interval.lower[k][:, None] * x[k - 1]
    x[-1] /= interval.pivot[-1][:, None]
    for k in range(nz - 2, -1, -1):
        x[k] = (x[k] - interval.off[k][:, None] * x[k + 1]) / interval.pivot[k][:, None]
    return x
