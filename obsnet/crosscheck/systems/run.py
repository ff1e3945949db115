"""From files of systems to the two tables of a comparison."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from obsnet.crosscheck.systems.ceos import is_ceos, read_ceos
from obsnet.crosscheck.systems.estimate import SystemEstimate, without_zeros
from obsnet.crosscheck.systems.grids import files_of, read_grids
from obsnet.crosscheck.systems.options import ComparisonOptions, SystemOptions, read_word
from obsnet.crosscheck.systems.own import read_own
from obsnet.crosscheck.systems.paris import is_paris, read_paris
from obsnet.crosscheck.systems.spread import common_ground, spread_table, systems_table
from obsnet.errors import ConfigError
from obsnet.work.progress import progress

__all__ = ["ComparedSystems", "compare_systems", "read_system"]


@dataclass(frozen=True, eq=False)
class ComparedSystems:
    """Two tables and what is to be said of them.

    Parameters
    ----------
    systems, spread : pandas.DataFrame
        See `obsnet.crosscheck.systems.spread`.
    notes : tuple of str
        What was read as what, what systems share.
    """

    systems: Any
    spread: Any
    notes: tuple[str, ...]


def read_system(options: SystemOptions, regions: Any = None) -> list[SystemEstimate]:
    """Read one system, or the several that its file holds.

    Parameters
    ----------
    options : SystemOptions
        Files and how to read them.
    regions : callable, optional
        Returns the polygons for gridded systems; called only where they are needed.

    Raises
    ------
    ConfigError
        No such preset.
    """
    preset = options.preset or _sniff(options)
    if preset == "paris":
        found = read_paris(options.path, options.name, sector=options.sector or "total", gas=options.gas)
        return [replace(found, quantity=options.quantity or found.quantity)]
    if preset == "ceos":
        return read_ceos(options.path, options.name, quantity=options.quantity)
    if preset == "own":
        return [read_own(options.path, options.name, sector=options.sector, quantity=options.quantity)]
    return read_grids(options, regions())


def _sniff(options: SystemOptions) -> str:
    """Find out which layout a file has."""
    from obsnet.opening import open_netcdf4
    from obsnet.reading import reading

    first = files_of(options.path)[0]
    if not first.lower().endswith((".nc", ".nc4")):
        try:
            with open(first, encoding="utf-8-sig") as stream:
                head = stream.readline(100_000)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{first}: cannot be read as a table ({error}); say its preset") from error
        if is_ceos(head):
            return "ceos"
        raise ConfigError(f"{first}: no layout known here; say its preset (NAME=PRESET:PATH)")
    with reading(first, "netCDF"), open_netcdf4(first) as data:
        if str(getattr(data, "obsnet_contract", "")).startswith("posterior"):
            return "own"
        return "paris" if is_paris(data.variables) else "grid"


def compare_systems(options: ComparisonOptions) -> ComparedSystems:
    """Read all systems and set their totals side by side.

    Examples
    --------
    >>> compare_systems(CompareOptions(systems=["a=a.nc", "b=b.nc"], period=["2023"])).spread  # doctest: +SKIP
    """
    polygons: list[Any] = []

    def regions() -> Any:
        if not polygons:
            from obsnet.regions import provinces, read_regions

            if options.regions is None:
                polygons.append(provinces())
            elif options.key is None:
                raise ConfigError(f"{options.regions}: say with --key which column names its regions")
            else:
                polygons.append(read_regions(options.regions, options.key))
        return polygons[0]

    estimates = []
    with progress(len(options.systems), "systems") as advance:
        for word in options.systems:
            estimates += [without_zeros(e) for e in read_system(read_word(word), regions)]
            advance(1)
    notes = [f"{e.system}: {n}" for e in estimates for n in e.notes]
    table, said = systems_table(
        estimates, options.period, options.region, between=options.between, unresolved=options.unresolved
    )
    lost = table[table["resolved"] == False]  # noqa: E712
    for (system, cell), group in lost.groupby(["system", "cell"], sort=False):
        names = ", ".join(dict.fromkeys(group["name_en"]))
        said.append(f"{system}: cells of {cell} do not resolve {names}")
    kinds = table[["gas", "quantity"]].drop_duplicates()
    if len(kinds) > 1:
        listed = ", ".join(f"{g} {q}" for g, q in kinds.itertuples(index=False))
        said.append(f"different quantities are not set beside each other: {listed}")
    if table["periods"].max() > 1:
        said.append(
            f"errors of a system's periods taken as {options.between}; sd_common is what common errors would give"
        )
    return ComparedSystems(
        table, spread_table(table), (*dict.fromkeys(notes), *said, *common_ground(estimates))
    )
