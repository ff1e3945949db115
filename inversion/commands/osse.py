"""``obsnet osse``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from obsnet.errors import ConfigError

__all__ = ["osse"]


def osse(
    case: Annotated[
        Path | None, typer.Argument(help="Case file with a table [osse], TOML.", show_default=False)
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the outputs.")] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", help="Override, e.g. --set osse.twins=500.")
    ] = None,
    networks: Annotated[bool, typer.Option("--networks", help="List the networks that come along.")] = False,
    observations: Annotated[
        Path | None,
        typer.Option(
            "--observations",
            help="Only write the observations that the networks of [osse.world] would make into this new store, "
            "for obsnet footprints.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Twin experiments: what an observing system would know of each province, and whether its errors hold.

    Truths are drawn from the prior, observed and solved, many times. The table [osse.world] makes an idealised
    world for networks that do not exist yet; without it the footprints of the case's [invert] are used.
    """
    from inversion.study.options import OsseOptions
    from inversion.study.run_osse import run_osse, write_observations
    from obsnet.config import out_folder, read_toml, validate
    from obsnet.output import emit

    if networks:
        _list_networks(as_json)
        return
    if case is None:
        raise ConfigError("give a case file with a table [osse], or --networks")
    data = read_toml(case, assignments or [])
    if "osse" not in data:
        raise ConfigError(f"{case}: no table [osse]; there is: {', '.join(data) or 'nothing'}")
    options = validate(OsseOptions, data["osse"], f"{case.name} [osse]")
    folder = case.resolve().parent
    if observations is not None:
        counts = write_observations(options, folder, observations)
        if as_json:
            emit({"store": str(observations), "observations": counts})
        else:
            print(f"{observations}: " + ", ".join(f"{n} of {k}" for k, n in counts.items()))
        return
    target = out or out_folder(data, folder)
    written, summary = run_osse(options, data, folder, target, lambda line: print(line, file=sys.stderr))
    if as_json:
        emit(summary)
        return
    for row in summary["scenarios"]:
        national = "" if row["national_sd"] is None else f"China {row['national_sd']:.4g} {row['unit']}, "
        print(
            f"{row['scenario']}: {row['observations']} observations, {national}"
            f"mean reduction {row['mean_reduction']:.0%}, "
            f"{row['inside_68']:.0%} and {row['inside_95']:.0%} of truths inside 68 % and 95 %"
        )
    print(f"written: {', '.join(p.name for p in written)} in {target}")


def _list_networks(as_json: bool) -> None:
    from inversion.study.network import presets, read_network
    from obsnet.output import emit

    rows = []
    for name in presets():
        network = read_network(name)
        rows.append({"name": name, "title": network.title, "species": list(network.random)} | {
            "sources": network.sources, "assumed": network.assumed
        })  # fmt: skip
    if as_json:
        emit({"networks": rows})
        return
    for row in rows:
        print(f"{row['name']:14s} {row['title']} ({', '.join(row['species'])})")
