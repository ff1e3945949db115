"""A spectrum and a clear-sky model to a result: which channels count, where to start, what the profile of a gas is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import xarray as xr

from obsnet.errors import ConfigError, RangeError, SchemaError, nearest
from obsnet.typing import Bools, Floats
from retrieval.estimation.estimate import estimate
from retrieval.estimation.options import SolverOptions
from retrieval.forward.model import ClearSky

__all__ = ["DEVIATIONS", "gas_profile", "retrieve_clear_sky", "usable_channels"]

# Prior standard deviations by the beginning of an element's name; those of continuum, offset and fluorescence are
# parts of the level of the spectrum.
DEVIATIONS: dict[str, float] = {
    "scale": 0.1,
    "layer": 0.05,
    "surface_pressure": 20.0,
    "temperature_offset": 5.0,
    "continuum": 2.0,
    "shift": 1e-5,
    "stretch": 1e-3,
    "offset": 0.05,
    "fluorescence": 0.05,
    "scattering_height": 0.2,
    "scattering_depth": 0.1,
    "scattering_exponent": 1.0,
}
# A clear sky's first step is nearly the last one; a layer's goes out of bounds unless it is held back.
NEARLY_LINEAR = SolverOptions(gamma=0.0, max_iterations=20)
CURVED = SolverOptions(gamma=10.0, max_iterations=30, max_divergences=10)
LEVEL = 95.0  # percentile of the radiance that stands for its continuum


def usable_channels(
    radiance: npt.ArrayLike, noise: npt.ArrayLike, *, saturation: float = np.inf
) -> tuple[Bools, dict[str, int]]:
    """Return which channels can be fitted, and how many are left out for what.

    Parameters
    ----------
    radiance : array_like, shape (channels,)
        Any unit.
    noise : array_like, shape (channels,) or ()
        Standard deviation in the same unit.
    saturation : float
        Radiance from which on the detector is full.

    Returns
    -------
    use : ndarray of bool, shape (channels,)
    counts : dict of str to int
        ``not_finite``, ``saturated``, ``negative`` (by more than five standard deviations of the noise: noise alone
        does not do that).

    Raises
    ------
    RangeError
        Noise that is not positive, or more than half of the channels left out: the spectrum is no spectrum.
    """
    y = np.asarray(radiance, dtype=np.float64)
    s = np.broadcast_to(np.asarray(noise, dtype=np.float64), y.shape)
    if not (s > 0.0).all():
        raise RangeError("noise must be positive and finite")
    with np.errstate(invalid="ignore"):
        faults = {"not_finite": ~np.isfinite(y), "saturated": y >= saturation, "negative": y < -5.0 * s}
    use = ~np.any(list(faults.values()), axis=0)
    counts = {name: int(fault.sum()) for name, fault in faults.items()}
    if use.sum() < 0.5 * y.size:
        told = ", ".join(f"{n} {name}" for name, n in counts.items() if n)
        raise RangeError(
            f"{y.size - int(use.sum())} of {y.size} channels cannot be used ({told}); look at the spectrum"
        )
    return use, counts


def retrieve_clear_sky(
    model: ClearSky,
    radiance: npt.ArrayLike,
    noise: npt.ArrayLike,
    *,
    deviations: Mapping[str, float] | None = None,
    use: npt.ArrayLike | None = None,
    saturation: float = np.inf,
    keep: Sequence[str] = (),
    options: SolverOptions | None = None,
) -> xr.Dataset:
    """Retrieve a state from a spectrum under a clear sky, or under a thin scattering layer.

    Parameters
    ----------
    model : ClearSky
        Of the sounding; a `ScatteringSky` has a layer.
    radiance : array_like, shape (channels,)
        Of all bands of the model, one after the other.
    noise : array_like, shape (channels,) or ()
        Standard deviation in the same unit.
    deviations : mapping of str to float, optional
        Prior standard deviations by element (``"CO2_scale"``) or kind of element; `DEVIATIONS` are the defaults.
    use : array_like of bool, optional
        False leaves a channel out.
    saturation : float
        See `usable_channels`.
    keep : sequence of str
        See `estimate`; the gain is always kept.
    options : SolverOptions, optional
        Settings; by default `NEARLY_LINEAR`, and `CURVED` for a layer.

    Returns
    -------
    xarray.Dataset
        Of `estimate`, with ``prior_uncertainty`` and the attributes ``clear_sky_only`` (1, of a layer 0),
        ``not_modelled``, ``line_mixing``, ``prior_deviations`` and ``channels_left_out``; of a layer also
        ``scattering_depth_physical``, 0 where the depth came out below zero.

    Raises
    ------
    SchemaError
        A spectrum of another length than the channels of the model.
    ConfigError
        A deviation of no element.
    """
    y = np.asarray(radiance, dtype=np.float64)
    channels = sum(len(b.channel) for b in model.bands)
    if y.shape != (channels,):
        raise SchemaError(f"the bands have {channels} channels, the spectrum {y.shape}")
    usable, counts = usable_channels(y, noise, saturation=saturation)
    if use is not None:
        usable = usable & np.asarray(use, dtype=bool)
    names, x_a = model.names, model.first_guess
    chosen = DEVIATIONS | dict(deviations or {})
    sigma = np.empty(len(names))
    for i, name in enumerate(names):
        sigma[i] = chosen[name] if name in chosen else chosen[_kind(name)]
    for name in deviations or {}:
        if name not in names and name not in DEVIATIONS:
            raise ConfigError(f"deviations: no element {name!r}{nearest(name, [*names, *DEVIATIONS])}")
    band_of = np.repeat(np.arange(len(model.bands)), [len(b.channel) for b in model.bands])
    for number, band in enumerate(model.bands):
        inside = usable & (band_of == number)
        level = float(np.percentile(y[inside], LEVEL)) if inside.any() else 1.0
        for i, name in enumerate(names):
            if name in band.elements and _kind(name) in ("continuum", "offset", "fluorescence"):
                sigma[i] *= level
                x_a[i] *= level
    result = estimate(
        model.forward,
        y,
        np.broadcast_to(np.asarray(noise, dtype=np.float64), y.shape) ** 2,
        x_a,
        np.diag(sigma**2),
        use=usable,
        bands=band_of,
        names=names,
        keep=sorted({*keep, "gain"}),
        options=options or (NEARLY_LINEAR if model.clear_sky_only else CURVED),
    )
    if "scattering_depth" in names:
        depth = result["value"].sel(state="scattering_depth")
        result = result.assign_attrs(scattering_depth_physical=int((depth >= 0.0).all()))
    kinds = {n if n in (deviations or {}) else _kind(n) for n in names}
    return result.assign(prior_uncertainty=(("sounding", "state"), sigma[None])).assign_attrs(
        clear_sky_only=int(model.clear_sky_only),
        not_modelled=model.not_modelled,
        line_mixing=model.line_mixing,
        prior_deviations=", ".join(f"{n} {chosen[n]:g}" for n in sorted(kinds)),
        channels_left_out=", ".join(f"{name} {n}" for name, n in counts.items()),
    )


def _kind(name: str) -> str:
    """Return the kind of an element: ``CO2_scale`` is a scale, ``continuum_1_weak`` a continuum."""
    for kind in DEVIATIONS:
        if name.startswith(kind) or name.endswith(f"_{kind}") or f"_{kind}_" in name:
            return kind
    raise ConfigError(f"no kind of element for {name!r}")


def gas_profile(result: xr.Dataset, model: ClearSky, gas: str) -> xr.Dataset:
    """Return the layers of a gas in the form of `estimate`'s results, for `column_table` with edges of layers.

    Parameters
    ----------
    result : xarray.Dataset
        Of `retrieve_clear_sky`, with ``gain``.
    model : ClearSky
        The same.
    gas : str
        One of the model's.

    Returns
    -------
    xarray.Dataset
        ``value``, ``prior``, ``covariance`` and ``averaging_kernel`` of the mole fractions of the layers and
        ``outcome``. Where a whole profile was scaled, each layer's truth still has its own part in the kernel: what
        the spectrum would have said of a change in that layer alone.
    """
    if gas not in model.gases:
        raise SchemaError(f"no gas {gas!r}{nearest(gas, model.gases)}")
    prior = model.gases[gas]
    place = model.elements(gas)
    spread = np.diag(prior) if len(place) > 1 else prior[:, None]  # d profile / d elements
    state = result["value"].values[0]
    layered = replace(model, profile=gas)
    at = dict(zip(model.names, state, strict=True))
    scale = state[place] if len(place) > 1 else np.full(len(prior), state[place[0]])
    full = np.array([at.get(n, np.nan) for n in layered.names])
    full[layered.elements(gas)] = scale
    _, jacobian = layered(full)
    by_layer: Floats = jacobian[:, layered.elements(gas)] / prior
    gain = np.nan_to_num(result["gain"].values[0][place])
    covariance = result["covariance"].values[0][np.ix_(place, place)]
    return xr.Dataset(
        {
            "value": (("sounding", "state"), (prior * scale)[None]),
            "prior": (("sounding", "state"), prior[None]),
            "covariance": (("sounding", "state", "state_2"), (spread @ covariance @ spread.T)[None]),
            "averaging_kernel": (("sounding", "state", "state_2"), (spread @ gain @ by_layer)[None]),
            "outcome": ("sounding", result["outcome"].values),
        },
        attrs=result.attrs,
    )
