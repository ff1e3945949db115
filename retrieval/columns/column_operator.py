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

from obsnet.constants import species as species_of
from obsnet.errors import ObsnetError, RangeError, SchemaError
from obsnet.schema import profile_array
from obsnet.typing import Floats, Ints
from obsnet.units import conversion_factor
from retrieval.columns.pressure_weights import check_pressure, half_split
from retrieval.columns.vertical_remap import (
    interpolate_levels,
    interpolate_levels_adjoint,
    overlap_layers,
    overlap_layers_adjoint,
)

__all__ = [
    "ColumnOperator",
    "column_kernel",
    "dry_mole_fraction",
    "dry_weights",
    "exchange_prior",
    "level_kernel",
    "normalise_kernel",
    "prior_from_subcolumns",
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
        self,
        profile: npt.ArrayLike,
        pressure: npt.ArrayLike,
        *,
        surface: str = "scale",
        linear_in: str = "pressure",
    ) -> Floats:
        """Return the columns that model profiles would give.

        Parameters
        ----------
        profile : array_like, shape (rows, m)
            Dry mole fraction in the product's unit, surface first.
        pressure : array_like, shape (rows, m + 1) or (m + 1,) for layers, (rows, m) or (m,) for levels
            hPa, surface first. Layer products need the model's layer edges, level products the pressures
            at which the model's values stand.
        surface, linear_in : str
            See `overlap_layers` (layers) and `interpolate_levels` (levels).

        Returns
        -------
        ndarray of float64, shape (rows,)
            Above a model's highest level the prior stands.
        """
        if self.vertical == "layer":
            return self.forward(overlap_layers(profile, pressure, self.pressure, surface=surface))
        x, known = interpolate_levels(profile, pressure, self.pressure, linear_in=linear_in)
        return self.forward(np.where(known, x, self.prior_profile))

    def adjoint_model(
        self,
        sensitivity: npt.ArrayLike,
        pressure: npt.ArrayLike,
        *,
        surface: str = "scale",
        linear_in: str = "pressure",
    ) -> Floats:
        """Return d(s . X)/dx on the model's grid, shape (rows, m); the adjoint of `forward_model`."""
        lam = self.adjoint(sensitivity)
        if self.vertical == "layer":
            return overlap_layers_adjoint(lam, pressure, self.pressure, surface=surface)
        return interpolate_levels_adjoint(lam, pressure, self.pressure, linear_in=linear_in)

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


def level_kernel(layer_weight: npt.ArrayLike, layer_kernel: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Return weights and normalised kernel on levels that act as given ones do on layer means.

    Parameters
    ----------
    layer_weight, layer_kernel : array_like, shape (..., n - 1)
        f and a of the layers.

    Returns
    -------
    weight, kernel : ndarray of float64, shape (..., n)
        ``sum_i h_i a_i x_i == sum_l f_l a_l (x_l + x_{l+1}) / 2`` for every profile x on levels. The way
        back loses information: apply a level product on its own levels.
    """
    f, a = np.asarray(layer_weight, np.float64), np.asarray(layer_kernel, np.float64)
    weight = half_split(f)
    return weight, normalise_kernel(half_split(f * a), weight)


def prior_from_subcolumns(
    prior: npt.ArrayLike, dry_air: npt.ArrayLike, *, species: str, prior_unit: str, air_unit: str
) -> tuple[Floats, Floats]:
    """Return prior mole fractions and layer weights from partial columns.

    Parameters
    ----------
    prior : array_like, shape (..., n)
        Amount of the gas in each layer.
    dry_air : array_like, shape (..., n)
        Amount of dry air in each layer.
    species : str
        Formula; names the unit of the result.
    prior_unit, air_unit : str
        As in the file, e.g. ``"mol m-2"``; a prior that is a mole fraction is only converted.

    Returns
    -------
    profile, weight : ndarray of float64, shape (..., n)
        Dry mole fraction in the species' customary unit, and each layer's share of the dry air.

    Raises
    ------
    UnitError
        The prior is neither a mole fraction nor an amount like the air's.
    RangeError
        Air that is not positive, or a mean outside what the species' column may be (a wrong unit).
    """
    entry = species_of(species)
    air = np.asarray(dry_air, dtype=np.float64)
    if not (air > 0).all():
        raise RangeError(f"dry air of a layer must be positive, found {np.nanmin(air):g} {air_unit}")
    weight = air / air.sum(axis=-1, keepdims=True)
    amount = np.asarray(prior, dtype=np.float64)
    try:
        profile = amount * conversion_factor(prior_unit, entry.unit)
    except ObsnetError:
        profile = amount / air * conversion_factor(prior_unit, air_unit) / float(entry.unit)
    mean = np.sum(weight * profile, axis=-1)
    low, high = entry.column_range
    if not ((mean >= low) & (mean <= high)).all():
        raise RangeError(
            f"{entry.name} prior columns span {np.nanmin(mean):g} to {np.nanmax(mean):g} {entry.unit_name}, "
            f"outside {low:g} to {high:g}; check that the prior is in {prior_unit} and the air in {air_unit}"
        )
    return profile, weight


def dry_mole_fraction(wet: npt.ArrayLike, water: npt.ArrayLike) -> Floats:
    """Return ``x / (1 - w)`` from a mole fraction in moist air and that of water (mol/mol).

    Raises
    ------
    RangeError
        Water outside [0, 0.1]: in ppm or per cent, most likely.
    """
    return np.asarray(np.asarray(wet, np.float64) / (1.0 - _water(water)))


def dry_weights(wet_weight: npt.ArrayLike, water: npt.ArrayLike) -> Floats:
    """Return weights for dry profiles from an integration operator made for wet ones.

    ``sum w x_wet == sum w (1 - water) x_dry``: GGG2020's ``integration_operator`` is of the first kind.
    """
    return np.asarray(np.asarray(wet_weight, np.float64) * (1.0 - _water(water)))


def _water(water: npt.ArrayLike) -> Floats:
    w = np.asarray(water, dtype=np.float64)
    if not ((w >= 0) & (w <= 0.1)).all():
        raise RangeError(
            f"water must be a mole fraction within 0 and 0.1, found {np.nanmin(w):g} to {np.nanmax(w):g}"
        )
    return w
