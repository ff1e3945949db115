"""TCCON public netCDF on the observation contract: columns with kernels, dry priors and weights, surface first.

The two releases in use differ in nearly everything (`tccon_ggg2020`, `tccon_ggg2014`); here their columns
become records. CO2_X2019 of GGG2020 is a record of its own that comes only when it is named: beside CO2 it
would be the same spectra twice, on another scale.
"""

from __future__ import annotations

import re
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from obsnet.errors import FormatError
from obsnet.schema import Quality
from stations.readers import tccon_ggg2014, tccon_ggg2020
from stations.readers.choice import ALL, choose
from stations.readers.netcdf import File, opened
from stations.readers.tccon_column import Column, column_operator, in_unit
from stations.record.record import Notes, build, intervals
from stations.record.source import Source

if TYPE_CHECKING:
    from stations.record.rows import Rows

__all__ = ["read", "sniff"]

_SITE_AND_DAY = re.compile(r"(?<![A-Za-z])([a-z]{2})\d{8}(?!\d)")  # hw20230402_20230402.public.qc.nc
_RELEASES: dict[str, ModuleType] = {"ggg2020": tccon_ggg2020, "ggg2014": tccon_ggg2014}


def sniff(source: Source) -> bool:
    """Tell whether a netCDF file is TCCON's."""
    names = set(source.netcdf.variables) if source.netcdf else set()
    return (
        "time" in names
        and "pressure_weights" not in names
        and bool({"xco2", "xch4", "xco2_ppm", "xch4_ppm"} & names)
    )


def read(source: Source, species: str | None = None) -> list[Rows]:
    """Read a TCCON file; see `stations.readers.read`."""
    with opened(source) as file:
        release = next((r for r, module in _RELEASES.items() if module.gases(file)), "ggg2020")
        gases = _RELEASES[release].gases(file)
        wanted = choose(gases, species, source.where)
        if species == ALL:
            wanted = [g for g in gases if g != tccon_ggg2020.X2019]
        records = []
        for name in wanted:
            notes = file.notes_of_record()
            column = _RELEASES[release].column(file, name, notes)
            record = _record(source, file, column, name, release, notes)
            record.attrs["species_available"] = gases
            records.append(record)
        return records


def _record(source: Source, file: File, column: Column, name: str, release: str, notes: Notes) -> Rows:
    steps = np.diff(column.pressure, axis=1)
    if (steps > 0).sum() > (steps < 0).sum():
        raise FormatError(
            f"{source.where}: prior levels run from the top down; TCCON files begin at the surface"
        )
    quality = np.where(column.bad, np.uint32(Quality.OPERATOR), np.uint32(0))
    flag = file.raw("flag") if "flag" in file else np.zeros(len(column.stamp), np.int16)
    notes.warn((flag != 0).sum(), "rows are flagged by the producer")
    quality[flag != 0] |= np.uint32(Quality.PRODUCER)
    dataset = build(
        {
            "value": column.value,
            "uncertainty": column.error,
            "quality": quality,
            "quality_original": np.where(flag == 0, "", flag.astype(str)),
            "latitude": file.numbers("lat" if "lat" in file else "lat_deg"),
            "longitude": file.numbers("long" if "long" in file else "long_deg"),
            "altitude_m": _altitude(file),
        },
        species=name.partition("_")[0],
        unit=column.unit,
        scale=column.scale,
        when=intervals(column.stamp, "instant"),
        notes=notes,
        kind="column",
        extras=_operator(column, quality, notes) | column.extras,
        source=source,
        attrs={
            "site": _site(source, file),
            "site_name": file.attr("short_location") or file.attr("longName") or file.attr("long_name"),
            "network": "TCCON",
            "source": f"tccon_{release}_x{name.lower()}",
            "format": f"tccon_{release}",
            "dataset": file.attr("long_name") or source.name,
            "vertical": "level",
            **column.attrs,
        },
    )
    in_unit(dataset, column.unit)
    return dataset


def _altitude(file: File) -> Any:
    """Return the station's altitude in metres; kilometres where the file names no unit."""
    name = next((n for n in ("zobs", "zobs_km") if n in file), None)
    if name is None:
        return np.nan
    return file.numbers_in(name, "m") if file.of(name, "units") else 1000.0 * file.numbers(name)


def _site(source: Source, file: File) -> str:
    """Return the two letters that begin the name of the file, or where it was renamed, of the one it was made of."""
    for text in (source.name, file.attr("history")):
        if match := _SITE_AND_DAY.search(text):
            return match[1]
    return file.attr("long_name") or file.attr("longName") or source.name[:2]


def _operator(column: Column, quality: np.ndarray, notes: Notes) -> dict[str, Any]:
    profiles = {
        "averaging_kernel": column.kernel,
        "prior_profile": column.prior,
        "pressure_weight": column.weight,
        "pressure_levels": column.pressure,
    }
    found = column_operator(profiles, quality, notes) | {"operator_sum": column.operator_sum}
    return found if column.file_prior is None else found | {"prior_column_file": column.file_prior}
