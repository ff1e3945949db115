"""How granules are read: the choices that make a file's rows what they are."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from obsnet.constants import species as species_of
from obsnet.errors import ConfigError
from retrieval.ingest import VERSION
from retrieval.products.read import AVERAGED
from retrieval.superobs import VERSION as AVERAGING

if TYPE_CHECKING:
    from retrieval.superobs.average import Superobs

__all__ = ["IngestOptions"]


@dataclass(frozen=True)
class IngestOptions:
    """How granules are read; another choice means that a file must be read again.

    Parameters
    ----------
    sensor : str, optional
        Product; recognised by content without it.
    species : str, optional
        For files of several; the product's first by default.
    variant : str, optional
        E.g. ``"x2019"``: the same soundings on the other scale.
    screen : str, optional
        Name of a quality screen, or a TOML file.
    correction : str, optional
        TOML file of a bias correction (`retrieval.products.bias`).
    profiles : {"all", "good", "none"}
        Rows whose profiles are kept.
    extra : tuple of str
        Variables kept beside the store, see `retrieval.products.read.read_granule`.
    sensors : tuple of str
        Folders of the user's own sensor tables.
    superobs : Superobs, optional
        Average each granule's good soundings at once and keep only the super-observations; a window that two
        files share gives two of them.
    """

    sensor: str | None = None
    species: str | None = None
    variant: str | None = None
    screen: str | None = None
    correction: str | None = None
    profiles: str = "all"
    extra: tuple[str, ...] = ()
    sensors: tuple[str, ...] = ()
    superobs: Superobs | None = None

    def __post_init__(self) -> None:
        """Refuse what no file could be read with."""
        from retrieval.readers.sensors import sensor_named

        if self.superobs is not None and self.extra:
            raise ConfigError("extra variables are of soundings, of which super-observations keep none")

        if self.profiles not in ("all", "good", "none"):
            raise ConfigError(f"profiles {self.profiles!r}: choose all, good or none")
        if self.correction is not None and self.variant is not None:
            raise ConfigError(
                f"bias correction {self.correction} starts from the raw value: it cannot be combined with "
                f"variant {self.variant}"
            )
        if self.species is not None:
            species_of(self.species)
        if self.sensor is not None:
            sensor_named(self.sensor, self.sensors).for_species(self.species).for_variant(self.variant)

    @property
    def suffix(self) -> str:
        """What the source of the rows ends in."""
        return AVERAGED if self.superobs is not None else ""

    def fingerprint(self, sensor: str | None) -> str:
        """Return a short hash of how a file of this product is read; another one means it must be read again."""
        from retrieval.readers.sensors import load_sensors

        tables = [load_sensors(self.sensors).get(sensor or ""), *self.load()]
        own = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "superobs"}
        parts = [VERSION, own, *(t and t.model_dump(mode="json") for t in tables)]
        if self.superobs is not None:
            parts += [AVERAGING, self.superobs.describe()]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]

    def load(self) -> tuple[Any, Any]:
        """Return the screen and the bias correction the options name."""
        screen = correction = None
        if self.screen is not None:
            from retrieval.products.screening import find_screen

            screen = find_screen(self.screen)
        if self.correction is not None:
            from retrieval.products.bias import read_correction

            correction = read_correction(self.correction)
        return screen, correction
