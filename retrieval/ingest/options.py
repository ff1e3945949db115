"""How granules are read: the options of ``obsnet ingest``, of ``[ingest]`` and of `ingest`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from obsnet.command import Flag
from obsnet.config import Options, read_toml, validate
from obsnet.constants import species as species_of
from retrieval.ingest import VERSION
from retrieval.superobs import VERSION as AVERAGING
from retrieval.superobs.options import Superobs

__all__ = ["IngestOptions", "IngestTable"]


_Averaging = Annotated[
    Annotated[Superobs, Tag("options")] | Annotated[Path, Tag("file")],
    Discriminator(lambda given: "file" if isinstance(given, str | Path) else "options"),
]


class IngestOptions(Options):
    """How granules are read; another choice means that a file must be read again.

    Examples
    --------
    >>> IngestOptions(x2019=True).variant
    'x2019'
    """

    sensor: str | None = Field(None, description="product, e.g. oco2_lite; recognised by content without it")
    species: str | None = Field(
        None, description="for files of several, e.g. CO of WFMD; the product's first otherwise"
    )
    variant: str | None = Field(
        None, description="another value of the same soundings, e.g. raw of s5p_ch4, x2019 of oco2_lite"
    )
    x2019: bool = Field(False, description="XCO2 on the WMO X2019 scale (Lite v10, v11): variant x2019")
    screen: str | None = Field(None, description="quality screen: a name, or a .toml of your own")
    correction: str | None = Field(None, description="bias correction (.toml) to apply to the raw values")
    profiles: Literal["all", "good", "none"] = Field("all", description="whose kernels and priors are kept")
    extra: tuple[str, ...] = Field(
        (), description="further variables kept beside the store: names, or * for all that the table lists"
    )
    sensors: tuple[str, ...] = Field((), description="folders of your own sensor tables")
    superobs: Annotated[_Averaging | None, Flag(form="FILE.toml")] = Field(
        None,
        description="average at once and keep no soundings: options of superobs, or a .toml with them; a window "
        "that two files share gives two super-observations",
    )

    @field_validator("extra", "sensors", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="before")
    @classmethod
    def _scale(cls, data: Any) -> Any:
        if not (isinstance(data, Mapping) and data.get("x2019") in (True, "true")):
            return data
        if data.get("variant") not in (None, "x2019"):
            raise ValueError(f"x2019 is a variant: it cannot be combined with variant {data['variant']}")
        return {**data, "variant": "x2019"}

    @model_validator(mode="after")
    def _sound(self) -> IngestOptions:
        if self.superobs is not None and self.extra:
            raise ValueError("extra variables are of soundings, of which super-observations keep none")
        if self.correction is not None and self.variant is not None:
            raise ValueError(
                f"bias correction {self.correction} starts from the raw value: it cannot be combined with "
                f"variant {self.variant}"
            )
        if self.species is not None:
            species_of(self.species)
        return self

    @property
    def averaging(self) -> Superobs | None:
        """How the soundings are averaged at once; from its file where one is named."""
        return _superobs_of(self.superobs) if isinstance(self.superobs, Path) else self.superobs

    @property
    def suffix(self) -> str:
        """What the source of the rows ends in."""
        from retrieval.products import AVERAGED

        return AVERAGED if self.superobs is not None else ""

    def beside(self, folder: Path) -> IngestOptions:
        """Return the options with files relative to a folder, that of the case for one."""

        def place(name: str | None) -> str | None:
            return str(folder / name) if name and name.endswith(".toml") else name

        own = {name: getattr(self, name) for name in IngestOptions.model_fields}
        superobs = self.superobs
        if isinstance(superobs, Path):
            superobs = _superobs_of(folder / superobs)
        return IngestOptions(
            **own
            | {
                "screen": place(self.screen),
                "correction": place(self.correction),
                "sensors": tuple(str(folder / s) for s in self.sensors),
                "superobs": superobs,
            }
        )

    def tables(self, folder: Path) -> list[Path]:
        """Return the files that the options name, relative to a folder: they decide what is read as much."""
        named = [n for n in (self.screen, self.correction) if n and n.endswith(".toml")]
        named += [str(self.superobs)] if isinstance(self.superobs, Path) else []
        own = [p for s in self.sensors for p in sorted((folder / s).glob("*.toml"))]
        return [*(folder / n for n in named), *own]

    def fingerprint(self, sensor: str | None) -> str:
        """Return a short hash of how a file of this product is read; another one means it must be read again."""
        from retrieval.readers.sensors import load_sensors

        tables = [load_sensors(self.sensors).get(sensor or ""), *self.load()]
        own = {n: getattr(self, n) for n in IngestOptions.model_fields if n not in {"superobs", "x2019"}}
        parts = [VERSION, own, *(t and t.model_dump(mode="json") for t in tables)]
        averaging = self.averaging
        if averaging is not None:
            parts += [AVERAGING, averaging.describe()]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]

    def load(self) -> tuple[Any, Any]:
        """Return the screen and the bias correction the options name.

        Raises
        ------
        ConfigError
            There is no such sensor, species, variant, screen or correction, or its table is faulty.
        """
        screen = correction = None
        if self.sensor is not None:
            from retrieval.readers.sensors import sensor_named

            sensor_named(self.sensor, self.sensors).for_species(self.species).for_variant(self.variant)
        if self.screen is not None:
            from retrieval.products.screening import find_screen

            screen = find_screen(self.screen)
        if self.correction is not None:
            from retrieval.products.bias import read_correction

            correction = read_correction(self.correction)
        return screen, correction


def _superobs_of(path: Path) -> Superobs:
    return validate(Superobs, read_toml(path), str(path))


class IngestTable(IngestOptions):
    """The table ``[ingest]`` of a case, and the command."""

    files: Annotated[list[str], Flag(positional=True)] = Field(
        min_length=1, description="granules, folders (all granules below) or globs"
    )
    store: Annotated[str, Flag(names=("--out",))] = Field(
        "store", description="folder of the observation store; made when absent"
    )
    mixed: bool = Field(False, description="allow several versions or scales in one store")
