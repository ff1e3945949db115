"""How columns are fitted from files of spectra: options of ``obsnet retrieve``."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from obsnet.command import Flag
from obsnet.config import Options
from obsnet.language import InLanguage

__all__ = ["FitSettings", "RetrieveTable"]


class FitSettings(Options):
    """What is fitted, and how finely it is computed.

    Examples
    --------
    >>> FitSettings().layers
    30
    """

    surface_pressure: Literal["auto", "fit", "met"] = Field(
        "auto", description="fit: with O2, whose mole fraction is known; auto: fit where a window holds O2"
    )
    temperature: bool = Field(True, description="fit an offset of the temperature, the same at all heights")
    profile: str | None = Field(None, description="gas whose layers are scaled one by one")
    continuum: int = Field(3, ge=0, le=8, description="degree of the polynomial of each window's continuum")
    stretch: list[str] = Field(
        [], description="windows whose wavenumbers are stretched about the middle, beside their shift"
    )
    offset: list[str] = Field([], description="windows with a zero offset to fit")
    fluorescence: list[str] = Field([], description="windows with fluorescence of the ground to fit")
    layer: bool = Field(
        False, description="fit one thin layer that scatters: its height, optical depth and Angstrom exponent"
    )
    layer_height: float = Field(
        0.8, gt=0, le=1, description="of the first guess: pressure at the layer by that at the ground"
    )
    layer_depth: float = Field(0.05, ge=0, le=3, description="of the first guess, at 760 nm")
    layer_exponent: float = Field(1.0, description="of the first guess, Angstrom")
    deviations: dict[str, float] = Field(
        {}, description="prior standard deviation of an element or kind of element, e.g. CO2_scale=0.05"
    )
    model_error: float = Field(
        0.0,
        ge=0,
        lt=0.2,
        description="share of the continuum that is added in squares to the noise: what the model leaves",
    )
    search: float = Field(
        1e-4,
        ge=0,
        le=1e-3,
        description="relative shift of the wavenumbers within which the start is looked for; 0: none",
    )
    layers: int = Field(30, ge=5, le=200, description="of air")
    step: float | None = Field(
        None,
        gt=0,
        description="cm-1, of the spectra inside; half the narrowest Doppler half width by default",
    )
    log_pressure_step: float = Field(
        0.25, gt=0, le=1, description="between nodes of the tables of cross sections"
    )
    temperature_step: float = Field(20.0, gt=0, le=50, description="K, between nodes of the tables")
    max_iterations: int = Field(20, ge=1, description="steps")
    max_chi2: float = Field(
        1.4, gt=0, description="reduced chi2 of a window above which its fit is poor and the sounding suspect"
    )


class RetrieveTable(InLanguage):
    """The command ``obsnet retrieve``."""

    files: Annotated[list[str], Flag(positional=True)] = Field(
        description="spectra: GOSAT level 1 of ACOS, OCO L1bSc, OPUS; globs"
    )
    windows: dict[str, tuple[float, float]] = Field(
        min_length=1, description="what is fitted, by a name of yours, cm-1: NAME=LOW,HIGH; may be repeated"
    )
    lines: dict[str, tuple[Path, ...]] = Field(
        min_length=1,
        description="HITRAN files of a gas, of ranges that do not overlap: GAS=FILE,…; may be repeated",
    )
    isotopologues: dict[str, tuple[int, ...]] = Field(
        {}, description="which ones of a gas, e.g. CO2=1,2,3; the first by default"
    )
    exclude: dict[str, tuple[float, float]] = Field(
        {},
        description="wavenumbers that are left out of every window, e.g. where the lists lack a line, by a name of "
        "yours: NAME=LOW,HIGH; may be repeated",
    )
    mixing: dict[str, Path] = Field(
        {},
        description="first-order line mixing of a gas: GAS=FILE of wavenumber, lower_energy, mixing, exponent",
    )
    irradiance: dict[str, float] = Field(
        {},
        description="of the Sun in a window, in the unit of the radiance times sr, for --fit-layer: NAME=VALUE; may "
        "be repeated",
    )
    weakest: float = Field(
        0.0, ge=0, description="strength below which lines are left out, cm-1 / (molecule cm-2) at 296 K"
    )
    met: Path = Field(
        description="pressure, temperature and water above each sounding: ECMWF file of ACOS or OCO, netCDF, CSV"
    )
    prior: dict[str, str] = Field(
        {}, description="of CO2 (ppm), CH4 (ppb): a mole fraction, or a CSV of pressure_hpa, mole_fraction"
    )
    solar: Path | None = Field(
        None, description="solar line list of GGG; without one the Sun is taken for smooth"
    )
    path_difference: float | None = Field(
        None, gt=0, description="greatest optical path difference of a Fourier spectrometer, cm"
    )
    field_of_view: float | None = Field(
        None, ge=0, description="full angle of its field of view, rad, where neither file nor run log tell"
    )
    shapes: dict[str, Path] = Field(
        {},
        description="line shape of a window, CSV of offset_cm1, response: NAME=FILE; before what a file holds",
    )
    polarisation: Literal["mean", "P", "S"] = Field("mean", description="of GOSAT; mean: (P + S) / 2")
    run_log: Path | None = Field(None, description="GGG run log of OPUS files")
    a_band: Path | None = Field(
        None,
        description="A-band preprocessor file of OCO, or cloud screen of ACOS for GOSAT: marks cloudy soundings",
    )
    doas: Path | None = Field(None, description="IMAP-DOAS preprocessor file of OCO")
    fit: FitSettings = FitSettings()
    source: str | None = Field(
        None,
        pattern=r"^[\w.#-]+$",
        description="name of the rows' source in the store; clear_sky_1 by default, thin_layer_1 with --fit-layer",
    )
    chunk: int = Field(8, ge=1, description="soundings that are done and kept together")
    tables: Path | None = Field(
        None,
        description="folder of tables of cross sections, used again by later runs; OUT/tables by default",
    )
    spectra: bool = Field(
        True,
        description="keep spectra and fits of all soundings, not of the drawn ones alone; 60 kB a sounding",
    )
    pictures: int = Field(6, ge=0, description="soundings of each file that are drawn")
    out: Path = Field(Path("retrieved"), description="folder to write to")

    @property
    def rows_source(self) -> str:
        """Name of the rows' source in the store: rows of two models never have one name by default."""
        return self.source or ("thin_layer_1" if self.fit.layer else "clear_sky_1")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for what, ranges in (("windows", self.windows), ("exclude", self.exclude)):
            for name, (low, high) in ranges.items():
                if not 0.0 < low < high:
                    raise ValueError(
                        f"{what}: {name} goes from {low:g} to {high:g} cm-1; write NAME=LOW,HIGH"
                    )
        named = {f"fit.{what}": getattr(self.fit, what) for what in ("stretch", "offset", "fluorescence")}
        for what, names in {**named, "shapes": self.shapes, "irradiance": self.irradiance}.items():
            for name in names:
                if name not in self.windows:
                    raise ValueError(f"{what}: no window {name!r}; there is {', '.join(self.windows)}")
        spans = sorted((low, high, name) for name, (low, high) in self.windows.items())
        for (_, end, one), (begin, _, other) in itertools.pairwise(spans):
            if begin <= end:
                raise ValueError(
                    f"windows: {other} begins at {begin:g} and {one} ends at {end:g} cm-1; channels of both would "
                    "count twice"
                )
        for name, (low, high) in self.exclude.items():
            if not any(begin <= high and low <= end for begin, end, _ in spans):
                raise ValueError(f"exclude: {name}, {low:g} to {high:g} cm-1, lies in no window")
        for what, gases in (
            ("mixing", list(self.mixing)),
            ("isotopologues", list(self.isotopologues)),
            ("prior", list(self.prior)),
        ):
            for gas in gases:
                if gas not in self.lines:
                    raise ValueError(f"{what}: no lines of {gas!r}; there is {', '.join(self.lines)}")
        for gas, whose in (("H2O", "that of met"), ("O2", "known")):
            if gas in self.prior:
                raise ValueError(f"prior: of {gas} it is {whose}; none can be given")
        if self.irradiance and not self.fit.layer:
            raise ValueError("irradiance: used with fit.layer alone; give that too, or leave it out")
        dark = [name for name in self.windows if name not in self.irradiance]
        if self.fit.layer and dark:
            raise ValueError(f"fit.layer: irradiance of {', '.join(dark)} is missing; give NAME=VALUE")
        if self.fit.profile is not None and self.fit.profile not in self.lines:
            raise ValueError(
                f"fit.profile: no lines of {self.fit.profile!r}; there is {', '.join(self.lines)}"
            )
        if (self.path_difference is None) != (self.field_of_view is None):
            raise ValueError("path_difference and field_of_view go together")
        if self.doas is not None and self.a_band is None:
            raise ValueError("doas: soundings are those of the A-band file; give a_band too")
        return self
