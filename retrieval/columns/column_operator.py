r"""From a true or modelled profile to what the instrument would have reported, forward and adjoint.

In the docstrings h is the pressure weight, a the **normalised** averaging kernel, x_a the prior profile and
X_a the prior column: ``X = X_a + sum_i h_i a_i (x_i - x_a,i)`` (Rodgers and Connor 2003,
doi:10.1029/2002JD002299, eq. 15; Connor et al. 2008, doi:10.1029/2006JD008336). Profiles are surface first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from obsnet.errors import RangeError, SchemaError
from obsnet.schema import profile_array
from obsnet.typing import Floats, Ints
from retrieval.columns.pressure_weights import check_pressure
from retrieval.columns.vertical_remap import (
    average_levels,
    average_levels_adjoint,
    edges_between,
    overlap_layers,
    overlap_layers_adjoint,
)

__all__ = [
    "ColumnOperator",
    "column_kernel",
    "exchange_prior",
    "normalise_kernel",
]


@dataclass(frozen=True)
class ColumnOperator:
    """The observation operator of many soundings of one product.

    Parameters
    ----------
    pressure : ndarray, shape (rows, n) or (rows, n + 1)
        hPa, surface first: levels, or the edges of n layers.
    weight : ndarray, shape (rows, n)
        h, sums to one.
    kernel : ndarray, shape (rows, n)
        a, normalised: already divided by h.
    prior_profile : ndarray, shape (rows, n)
        x_a, dry mole fraction, in the unit of the observed column.
    prior_column : ndarray, shape (rows,)
        X_a in the same unit.
    vertical : {"level", "layer"}
        Whether values stand on levels or are layer means.

    Raises
    ------
    SchemaError
        Shapes that do not fit.
    RangeError
        Pressure that does not decrease (a profile top first) or is not in hPa, weights that do not sum to
        one within 1e-3.
    """

    pressure: Floats
    weight: Floats
    kernel: Floats
    prior_profile: Floats
    prior_column: Floats
    vertical: str

    def __post_init__(self) -> None:
        if self.vertical not in {"level", "layer"}:
            raise SchemaError(f"vertical is 'level' or 'layer', found {self.vertical!r}")
        for name in ("pressure", "weight", "kernel", "prior_profile", "prior_column"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        if self.weight.ndim != 2:
            raise SchemaError(f"weight must be (rows, n), found shape {self.weight.shape}")
        rows, n = self.weight.shape
        wanted = {
            "pressure": (rows, n + (self.vertical == "layer")),
            "kernel": (rows, n),
            "prior_profile": (rows, n),
            "prior_column": (rows,),
        }
        for name, shape in wanted.items():
            found = getattr(self, name).shape
            if found != shape:
                raise SchemaError(f"{name} must have shape {shape} for {self.vertical}s, found {found}")
        if rows == 0:
            return
        check_pressure(self.pressure, "pressure")
        with np.errstate(invalid="ignore"):
            off = ~(np.abs(self.weight.sum(axis=1) - 1.0) < 1e-3)
        if off.any():
            row = int(np.argmax(off))
            raise RangeError(
                f"row {row}: pressure weights sum to {self.weight[row].sum():.6g}, not 1; "
                "a kernel that is not normalised has the weights in it"
            )

    def __len__(self) -> int:
        return len(self.weight)

    @classmethod
    def from_table(cls, table: pa.Table) -> ColumnOperator:
        """Take the operator out of an observation table.

        Parameters
        ----------
        table : pyarrow.Table
            Column rows of one product, each with a kernel; see `obsnet.schema`. Where ``prior_column`` is
            null it is h . x_a.

        Raises
        ------
        SchemaError
            Rows without a kernel, levels mixed with layers, profiles of several lengths.
        """
        kinds = pc.unique(table["vertical"]).to_pylist()
        if len(table) and (len(kinds) != 1 or kinds[0] is None):
            raise SchemaError(
                f"an operator needs one kind of vertical grid, found {kinds}; read one source at a time"
            )
        vertical = kinds[0] if kinds else "level"
        weight, kernel, prior = (
            profile_array(table[name]).astype(np.float64)
            for name in ("pressure_weight", "averaging_kernel", "prior_profile")
        )
        pressure = profile_array(table["pressure_edges" if vertical == "layer" else "pressure_levels"])
        column = table["prior_column"].to_numpy().astype(np.float64)
        column = np.where(np.isnan(column), np.sum(weight * prior, axis=1), column)
        return cls(pressure.astype(np.float64), weight, kernel, prior, column, vertical)

    def take(self, rows: Ints) -> ColumnOperator:
        """Return the operator of some of the rows."""
        return ColumnOperator(
            self.pressure[rows],
            self.weight[rows],
            self.kernel[rows],
            self.prior_profile[rows],
            self.prior_column[rows],
            self.vertical,
        )

    def forward(self, profile: npt.ArrayLike) -> Floats:
        """Return the columns (rows,) that profiles (rows, n) on the product's own grid would give."""
        x = np.asarray(profile, dtype=np.float64)
        return np.asarray(
            self.prior_column + np.sum(self.weight * self.kernel * (x - self.prior_profile), axis=1)
        )

    def adjoint(self, sensitivity: npt.ArrayLike) -> Floats:
        """Return d(s . X)/dx, shape (rows, n), for sensitivities s (rows,) to the columns."""
        s = np.asarray(sensitivity, dtype=np.float64)
        return np.asarray(s[:, None] * self.weight * self.kernel)

    def forward_model(
        self, profile: npt.ArrayLike, pressure: npt.ArrayLike, *, surface: str = "scale"
    ) -> Floats:
        """Return the columns that model profiles would give.

        Parameters
        ----------
        profile : array_like, shape (rows, m)
            Means of the model's layers, dry mole fraction in the product's unit, surface first.
        pressure : array_like, shape (rows, m + 1) or (m + 1,), or (rows, m) or (m,) for level products
            hPa, surface first: edges of the layers, or their middles (`edges_between`). Give the edges where
            you know them.
        surface : {"scale", "clip"}
            What to do where the model's ground is not the product's, see `overlap_layers`.

        Returns
        -------
        ndarray of float64, shape (rows,)
            Both kinds of product conserve the model's column. Above a model's top the prior stands on levels;
            the highest layer is extended over layers.
        """
        if self.vertical == "layer":
            return self.forward(overlap_layers(profile, pressure, self.pressure, surface=surface))
        p = np.asarray(pressure, dtype=np.float64)
        if p.shape[-1] == np.asarray(profile).shape[-1]:
            p = edges_between(check_pressure(p, "model pressure"))
        part, covered = average_levels(profile, p, self.pressure, surface=surface)
        return self.forward(part + (1.0 - covered) * self.prior_profile)

    def adjoint_model(
        self, sensitivity: npt.ArrayLike, pressure: npt.ArrayLike, *, surface: str = "scale"
    ) -> Floats:
        """Return d(s . X)/dx on the model's layers, shape (rows, m); the adjoint of `forward_model`.

        Parameters
        ----------
        sensitivity : array_like, shape (rows,)
            s.
        pressure : array_like, shape (rows, m + 1) or (m + 1,)
            Edges of the model's layers; of middles take `edges_between`.
        surface : str
            See `forward_model`.
        """
        back = overlap_layers_adjoint if self.vertical == "layer" else average_levels_adjoint
        return back(self.adjoint(sensitivity), pressure, self.pressure, surface=surface)

    def with_prior(self, profile: npt.ArrayLike) -> ColumnOperator:
        """Return the operator with another prior x_c; its column changes by h . (x_c - x_a).

        The observed values must be changed with it: see `exchange_prior`.
        """
        x = np.broadcast_to(np.asarray(profile, dtype=np.float64), self.prior_profile.shape)
        column = self.prior_column + np.sum(self.weight * (x - self.prior_profile), axis=1)
        return ColumnOperator(self.pressure, self.weight, self.kernel, x, column, self.vertical)


def exchange_prior(value: npt.ArrayLike, operator: ColumnOperator, profile: npt.ArrayLike) -> Floats:
    """Return the columns that the retrieval would have given with another prior.

    Parameters
    ----------
    value : array_like, shape (rows,)
        Observed columns.
    operator : ColumnOperator
        Of the same rows.
    profile : array_like, shape (rows, n) or (n,)
        The new prior x_c on the product's grid, same unit.

    Returns
    -------
    ndarray of float64, shape (rows,)
        ``X + sum h (1 - a) (x_c - x_a)``; exchanging there and back is the identity.

    Notes
    -----
    Rodgers and Connor (2003), doi:10.1029/2002JD002299, eq. 10.
    """
    step = np.asarray(profile, dtype=np.float64) - operator.prior_profile
    return np.asarray(
        np.asarray(value, np.float64) + np.sum(operator.weight * (1.0 - operator.kernel) * step, axis=1)
    )


def column_kernel(weight: npt.ArrayLike, kernel_matrix: npt.ArrayLike) -> Floats:
    """Return the column kernel ``(hA)_j = sum_i h_i A_ij`` of a profile retrieval (not yet normalised).

    Parameters
    ----------
    weight : array_like, shape (..., n)
        h.
    kernel_matrix : array_like, shape (..., n, n)
        ``A_ij = d x_retrieved,i / d x_true,j``.
    """
    return np.asarray(
        np.einsum("...i,...ij->...j", np.asarray(weight, np.float64), np.asarray(kernel_matrix, np.float64))
    )


def normalise_kernel(column: npt.ArrayLike, weight: npt.ArrayLike) -> Floats:
    """Return ``a_i = (hA)_i / h_i``; 0 where a weight is 0 (levels that are not in use)."""
    response, h = np.broadcast_arrays(np.asarray(column, np.float64), np.asarray(weight, np.float64))
    return np.divide(response, h, out=np.zeros(response.shape), where=h != 0)
