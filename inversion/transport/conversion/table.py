"""Ready footprints as the table ``[convert]`` of a case asks for them; made anew when what decides them changes."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inversion.transport.conversion import VERSION
from inversion.transport.conversion.convert import LOST, common_grid, convert_files, head_of, time_edges
from inversion.transport.conversion.matching import WANTED, receptor_names
from inversion.transport.conversion.options import ConvertSettings, ConvertTable
from inversion.transport.files.binning import sparse_tables
from inversion.transport.files.footprint import FootprintFile
from inversion.transport.readers import open_footprints
from inversion.transport.readers.curtain import background, read_curtain
from obsnet.atomic import write_text
from obsnet.case_check import few
from obsnet.config import locate, resolve_files
from obsnet.errors import ConfigError, ObsnetError
from obsnet.grid import Grid
from obsnet.store import ObservationStore
from obsnet.typing import Times
from obsnet.work.isolated import apart
from obsnet.work.shards import FOLDER, require_finished
from obsnet.work.work import Work

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["convert_table", "inputs_of", "look", "placed"]

_MARK = "convert.json"
_OWN = {_MARK, "meta.json", "sensitivity", "background", FOLDER}


def placed(options: ConvertTable, folder: Path) -> ConvertTable:
    """Return the table with the boundary file found beside the case."""
    if options.background is None:
        return options
    return options.model_copy(update={"background": folder / options.background.expanduser()})


def inputs_of(options: ConvertTable, *, folder: Path, outputs: Path) -> list[Path]:
    """Return the files that the footprints depend on."""
    store = ObservationStore(locate(options.store, folder, outputs))
    beside = [] if options.background is None else [folder / options.background.expanduser()]
    return [*resolve_files(options.files, folder), *beside, *store.files(options.species, None)]


def convert_table(
    options: ConvertTable, *, folder: Path, outputs: Path, work: Work, inputs: Mapping[str, str | None]
) -> dict[str, Any]:
    """Convert what a table names into a Jacobian; a run that was killed goes on with the files that are left.

    Parameters
    ----------
    options : ConvertTable
        The table.
    folder, outputs : Path
        What inputs and outputs are relative to.
    work : Work
        How it is run.
    inputs : mapping of str to str
        sha256 of every file that is read.

    Returns
    -------
    dict
        As of `inversion.transport.conversion.convert.convert_files`.

    Raises
    ------
    ConfigError
        The folder of the outputs holds something else, or no observation has a receptor.
    """
    out = outputs / options.out
    store = locate(options.store, folder, outputs)
    without = require_finished(store, allow=options.allow_missing)
    observations = ObservationStore(store).read(options.species, columns=list(WANTED))
    decides = {
        "version": VERSION,
        "options": options.model_dump(mode="json"),
        "inputs": dict(sorted(inputs.items())),
    }
    text = json.dumps({"made_of": hashlib.sha256(json.dumps(decides).encode()).hexdigest()})
    _make_room(out, text)
    settings = placed(options, folder)
    return convert_files(
        list(resolve_files(options.files, folder)),
        out,
        settings,
        observations=observations,
        work=work,
        without=without,
    )


def _make_room(out: Path, text: str) -> None:
    """Leave the folder as it is where it was made of the same; else empty it, if it is one of ours."""
    mark = out / _MARK
    if mark.exists() and mark.read_bytes() == text.encode():
        return
    if out.exists():
        strange = sorted(p.name for p in out.iterdir() if p.name not in _OWN)
        if strange or (any(out.iterdir()) and not mark.exists()):
            raise ConfigError(
                f"{out}: holds {', '.join(strange[:3]) or 'a Jacobian'} that [convert] did not make; give it "
                "a folder of its own (out)"
            )
        shutil.rmtree(out)
    write_text(mark, text)


def look(options: ConvertTable, *, folder: Path, outputs: Path, most: int) -> Iterator[str | ObsnetError]:
    """Open some files, bring one footprint of each onto the flux bins, and say what a run would say; writes nothing.

    Parameters
    ----------
    most : int
        Files to open, taken evenly.

    Yields
    ------
    str or ObsnetError
    """
    everything = resolve_files(options.files, folder)
    chosen = few(everything, most)
    if len(chosen) < len(everything):
        yield f"{len(chosen)} of {len(everything)} files opened"
    settings = placed(options, folder)
    opened: list[FootprintFile] = []
    for path in chosen:
        try:
            opened.append(apart(head_of, path, settings.reader))
        except ObsnetError as error:
            yield error
    if not opened:
        return
    grid = settings.grid or common_grid(opened)
    edges = time_edges(opened, settings.step, settings.start, settings.stop)
    curtain = None
    if settings.background is not None:
        curtain = read_curtain(settings.background, options.species, unit=settings.background_unit)
        yield f"background from {settings.background.name}, {curtain.sizes['time']} times"
    yield f"onto {grid!r}, {len(edges) - 1} time bins from {edges[0]} to {edges[-1]}"
    for head in opened:
        try:
            yield f"{head.path.name}: {apart(first_footprint, head.path, settings, grid, edges, curtain)}"
        except ObsnetError as error:
            yield error
    store = locate(options.store, folder, outputs)
    if store.exists():
        table = ObservationStore(store).read(options.species, columns=list(WANTED))
        matches = receptor_names(opened, table, settings.max_km, settings.max_minutes)
        yield f"{len(table) - matches.unmatched} of {len(table)} observations have a receptor in the files opened"
        yield from matches.notes


def first_footprint(
    path: Path, settings: ConvertSettings, grid: Grid, edges: Times, curtain: xr.Dataset | None
) -> str:
    """Say what the first footprint of a file comes to, or raise what a conversion would."""
    source = open_footprints(path, settings.reader)
    data = source.read(0, 1)
    binned = sparse_tables(data, grid, edges, unresolved=settings.unresolved)
    said = f"{source.format}, {len(source)} receptors, the first of {binned.total:.4g} in all"
    for reason, amount in binned.lost.items():
        if amount > 1e-6 * abs(binned.total):
            said += f", {100 * amount / binned.total:.1f} % {LOST[reason]}"
    if curtain is not None and len(data["obs_id"]):
        said += f", background {float(background(data, curtain)['background'].iloc[0]):.6g}"
    return said
