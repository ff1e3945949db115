"""One sounding: its model, where the wavenumbers start, the fit, and what came of it as arrays."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import xarray as xr

from obsnet.constants import SPECIES
from obsnet.errors import FormatError, RangeError
from obsnet.typing import Floats
from obsnet.work.kept import Arrays
from retrieval.columns.pressure_weights import layer_weights
from retrieval.estimation.error_budget import error_budget
from retrieval.estimation.options import RetrievalOutcome
from retrieval.estimation.spectrum import (
    CURVED,
    LEVEL,
    NEARLY_LINEAR,
    gas_profile,
    retrieve_clear_sky,
    usable_channels,
)
from retrieval.fits.inputs import line_shape, open_tables, prior_of, solar_lines
from retrieval.fits.options import RetrieveTable
from retrieval.fits.plan import FitPlan, FitWindow
from retrieval.forward.air_files import AirLevels, layers_of
from retrieval.forward.atmosphere import Layers
from retrieval.forward.model import ClearSky, SpectralBand
from retrieval.forward.scattering import ScatteringLayer, ScatteringSky
from retrieval.forward.sun_motion import solar_doppler
from retrieval.spectra.spectrum import Sounding, Spectrum

__all__ = ["PARTS", "SPECTRA", "fit_sounding", "starting_shift"]

HELD = 1e-6  # prior deviation of the scale of O2 where the surface pressure is fitted instead
PARTS = ("noise", "smoothing", "interference")
SPECTRA = ("wavenumber", "window", "radiance", "noise", "used", "modelled")  # entries of the results
SAMPLES = 2  # of the search for a channel


def fit_sounding(plan: FitPlan, sounding: Sounding, air: AirLevels) -> Arrays:
    """Fit a sounding.

    Parameters
    ----------
    plan : FitPlan
        Of the run.
    sounding : Sounding
        From its file.
    air : AirLevels
        Above it.

    Returns
    -------
    dict of str to ndarray
        State and its characterisation, spectra, and profile and error parts of each gas that has columns.

    Raises
    ------
    RangeError, FormatError
        A spectrum or air that cannot be used; a start that is not found.
    """
    options = plan.options
    layers = layers_of(air, options.fit.layers, latitude=sounding.latitude, altitude=sounding.altitude)
    spectra = [
        _without(sounding.covering(w.low, w.high).between(w.low, w.high), options.exclude)
        for w in plan.windows
    ]
    noise = np.concatenate([_noise(s, options.fit.model_error) for s in spectra])
    gases = {gas: _prior_layers(plan, gas, layers) for gas in plan.gases}
    bands, starts = [], []
    for window, spectrum in zip(plan.windows, spectra, strict=True):
        band = _band(plan, window, spectrum, sounding)
        start = starting_shift(
            _model(plan, layers, gases, (band,), sounding),
            spectrum,
            options.fit.search,
            options.fit.continuum,
        )
        starts.append(start)
        bands.append(dataclasses.replace(band, channel=band.channel * (1.0 + start)))
    model = _model(plan, layers, gases, tuple(bands), sounding)
    if options.fit.layer:
        model = _under_layer(model, options)
    radiance = np.concatenate([s.radiance for s in spectra])
    use = np.concatenate([s.good for s in spectra])
    deviations = dict(options.fit.deviations)
    if plan.fits_pressure and "O2" in plan.gases:
        deviations.setdefault("O2_scale", HELD)
    solver = (CURVED if options.fit.layer else NEARLY_LINEAR).model_copy(
        update={"max_iterations": options.fit.max_iterations, "max_chi2": options.fit.max_chi2}
    )
    result = retrieve_clear_sky(
        model, radiance, noise, deviations=deviations, use=use, keep=["modelled"], options=solver
    )
    state = result["value"].values[0]
    names = model.names
    at = dict(zip(names, state.tolist(), strict=True))
    found: Arrays = {
        "names": np.array(names),
        **{
            name: result[name].values[0]
            for name in (
                "value", "prior", "prior_uncertainty", "uncertainty", "covariance", "noise_covariance",
                "averaging_kernel", "outcome", "iterations", "divergences", "degrees_of_freedom", "chi2", "channels",
            )
        },
        "wavenumber": np.concatenate([s.wavenumber for s in spectra]),
        "window": np.repeat(np.arange(len(spectra)), [len(s.wavenumber) for s in spectra]),
        "radiance": radiance,
        "noise": noise,
        "used": use & np.isfinite(radiance),
        "modelled": result["modelled"].values[0],
        "shift": np.array(
            [(1.0 + s) * (1.0 + at[f"shift_{w.name}"]) - 1.0 for s, w in zip(starts, plan.windows, strict=True)]
        ),
        "left_out": np.array(_left_out(spectra, str(result.attrs["channels_left_out"]))),
        "prior_deviations": np.array(result.attrs["prior_deviations"]),
        "not_modelled": np.array(result.attrs["not_modelled"]),
    }  # fmt: skip
    found["residual"] = _residuals(found, len(spectra))
    surface = at.get("surface_pressure", float(layers.pressure_edges[0]))
    found["pressure_edges"] = layers.pressure_edges * surface / layers.pressure_edges[0]
    found["specific_humidity"], found["gravity"] = layers.specific_humidity, layers.gravity
    found["surface_pressure"] = np.array([surface, layers.pressure_edges[0]])
    if int(result["outcome"].values[0]) not in (RetrievalOutcome.NOT_FINITE, RetrievalOutcome.NO_DATA):
        for gas in plan.gases:
            if gas in SPECIES:
                found |= _column(result, model, gas, found)
    return found


def _without(spectrum: Spectrum, ranges: dict[str, tuple[float, float]]) -> Spectrum:
    nu = spectrum.wavenumber
    faults = {name: (nu >= low) & (nu <= high) for name, (low, high) in ranges.items()}
    return dataclasses.replace(
        spectrum, faults={**spectrum.faults, **{n: f for n, f in faults.items() if f.any()}}
    )


def _band(plan: FitPlan, window: FitWindow, spectrum: Spectrum, sounding: Sounding) -> SpectralBand:
    options = plan.options
    doppler = solar_doppler(sounding.time, sounding.latitude, sounding.sun, sounding.sun_azimuth)
    return SpectralBand(
        window.name,
        spectrum.wavenumber,
        line_shape(options, window.name, spectrum, sounding),
        open_tables(tuple(path for _, path in window.tables)),
        continuum=options.fit.continuum,
        stretch=window.name in options.fit.stretch,
        offset=window.name in options.fit.offset,
        fluorescence=window.name in options.fit.fluorescence,
        solar=None if options.solar is None else solar_lines(options.solar),
        doppler=doppler,
    )


def _model(
    plan: FitPlan,
    layers: Layers,
    gases: dict[str, Floats],
    bands: tuple[SpectralBand, ...],
    sounding: Sounding,
) -> ClearSky:
    inside = {table.molecule for band in bands for table in band.tables}
    fit = plan.options.fit
    return ClearSky(
        layers,
        {gas: values for gas, values in gases.items() if gas in inside},
        bands,
        sounding.sun,
        view=sounding.view,
        profile=fit.profile if fit.profile in inside else None,
        surface_pressure=plan.fits_pressure,
        temperature=fit.temperature,
    )


def _under_layer(model: ClearSky, options: RetrieveTable) -> ScatteringSky:
    fit = options.fit
    layer = ScatteringLayer(fit.layer_height, fit.layer_depth, fit.layer_exponent, options.irradiance)
    clear = {f.name: getattr(model, f.name) for f in dataclasses.fields(model) if f.init}
    return ScatteringSky(**clear, layer=layer)


def _prior_layers(plan: FitPlan, gas: str, layers: Layers) -> Floats:
    given = prior_of(plan.options, gas)
    if given is None:
        return layers.water
    pressure, value = given
    return np.asarray(np.interp(-layers.pressure, -pressure, value))


def _noise(spectrum: Spectrum, model_error: float) -> Floats:
    """Return the standard deviation of each channel; that of one that is left out has no say."""
    if spectrum.noise is None:
        raise FormatError(f"{spectrum.path}: {spectrum.name} states no noise")
    good = spectrum.good
    noise = np.where(good, spectrum.noise, 1.0)
    usable, _ = usable_channels(np.where(good, spectrum.radiance, np.nan), noise)
    level = float(np.percentile(spectrum.radiance[usable], LEVEL))
    if not level > 0.0:
        raise RangeError(
            f"no light in {spectrum.name}: {LEVEL:g} % of the channels are at or below {level:g}"
        )
    return np.where(good, np.hypot(noise, model_error * level), level)


def _left_out(spectra: list[Spectrum], of_fit: str) -> str:
    """Return how many channels were left out for what, by the file and by the fit."""
    counts: dict[str, int] = {}
    for spectrum in spectra:
        for name, n in spectrum.left_out.items():
            counts[name] = counts.get(name, 0) + n
    for text in of_fit.split(", "):
        name, _, number = text.rpartition(" ")
        counts.setdefault(name, int(number))
    return json.dumps({name: n for name, n in counts.items() if n})


def starting_shift(model: ClearSky, spectrum: Spectrum, search: float, continuum: int) -> float:
    """Return the relative shift of the wavenumbers at which the model at its first guess is most like the spectrum.

    Parameters
    ----------
    model : ClearSky
        With one band, whose channels are those of the spectrum.
    spectrum : Spectrum
        Measured.
    search : float
        Shifts from -search to search are tried, a quarter of a channel apart.
    continuum : int
        Degree of the polynomial that is fitted with each.

    Raises
    ------
    FormatError
        The best is at the end of the range: another scale of wavenumbers, or a wrong line list.
    """
    if search == 0.0:
        return 0.0
    (band,) = model.bands
    nu = band.channel
    channel = float(np.median(np.diff(nu)))
    count = int(np.ceil(search * nu[-1] / (0.25 * channel)))
    shifts = np.linspace(-search, search, 2 * count + 1)
    low, high = nu[0] * (1.0 - search) - channel, nu[-1] * (1.0 + search) + channel
    dense = np.linspace(low, high, SAMPLES * int(np.ceil((high - low) / channel)) + 1)
    bare = dataclasses.replace(
        band, channel=dense, continuum=0, stretch=False, offset=False, fluorescence=False
    )
    probe = dataclasses.replace(model, bands=(bare,))
    light, _ = probe(probe.first_guess)
    middle, half = 0.5 * (nu[0] + nu[-1]), 0.5 * np.ptp(nu)
    powers = ((nu - middle) / half)[:, None] ** np.arange(continuum + 1)
    good = spectrum.good
    y = spectrum.radiance[good]
    left = []
    for shift in shifts:
        basis = (powers * np.interp(nu * (1.0 + shift), dense, light)[:, None])[good]
        coefficients, *_ = np.linalg.lstsq(basis, y, rcond=None)
        left.append(float(np.sum((y - basis @ coefficients) ** 2)))
    best = int(np.argmin(left))
    if best in (0, len(shifts) - 1):
        raise FormatError(
            f"{spectrum.path}: {band.name}: lines and spectrum do not meet within a relative shift of {search:g}; is "
            "the wavenumber scale right, and the line list of this range? (--fit-search widens it)"
        )
    return float(shifts[best])


def _residuals(found: Arrays, windows: int) -> Floats:
    """Return the root mean square of what the fit leaves in each window, by its `LEVEL` percentile."""
    out = np.full(windows, np.nan)
    for window in range(windows):
        inside = found["used"] & (found["window"] == window)
        y = found["radiance"][inside]
        if y.size:
            out[window] = np.sqrt(np.mean((y - found["modelled"][inside]) ** 2)) / np.percentile(y, LEVEL)
    return out


def _column(result: xr.Dataset, model: ClearSky, gas: str, found: Arrays) -> Arrays:
    """Return the profile of a gas, and the column's error by where it comes from, mole fractions."""
    profile = gas_profile(result, model, gas)
    out: Arrays = {
        f"{gas}_{name}": profile[name].values[0]
        for name in ("value", "prior", "covariance", "averaging_kernel")
    }
    weights = layer_weights(
        found["pressure_edges"], found["specific_humidity"], gravity=found["gravity"]
    ).weight
    place = model.elements(gas)
    prior = model.gases[gas]
    h = weights * prior if len(place) > 1 else np.array([np.sum(weights * prior)])
    parts = error_budget(
        found["averaging_kernel"],
        np.diag(found["prior_uncertainty"] ** 2),
        found["noise_covariance"],
        place,
        h,
    )
    out[f"{gas}_parts"] = np.array([getattr(parts, name)[0] for name in PARTS])
    return out
