"""Footprints as a table of options asks for them: the stage and the command both come here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from inversion.transport.background.particle_ends import is_number
from inversion.transport.run.options import FootprintOptions
from inversion.transport.run.plan import estimate
from inversion.transport.run.run import Air, run_footprints
from obsnet.case_check import later
from obsnet.config import locate, resolve_files
from obsnet.errors import ConfigError, ObsnetError
from obsnet.met.glance import met_summary
from obsnet.work.isolated import apart
from obsnet.work.shards import require_finished
from obsnet.work.work import Work

__all__ = ["forecast", "inputs_of", "look", "run_table"]

_OUTSIDE = "outside the grid of fluxes"


def run_table(
    options: FootprintOptions,
    *,
    folder: Path,
    outputs: Path,
    work: Work,
    seed: int,
    replace: bool = False,
    report: Callable[[str], None] = lambda _line: None,
) -> dict[str, Any]:
    """Compute the footprints that a table asks for.

    Parameters
    ----------
    options : FootprintOptions
        The table.
    folder, outputs : path
        What inputs and outputs are relative to.
    work : Work
        How it is run.
    seed : int
        Of the random numbers, where the table has none.
    replace, report
        As in `inversion.transport.run.run.run_footprints`.

    Returns
    -------
    dict
        As `run_footprints`.
    """
    out = outputs / options.out
    if out.resolve() in {outputs.resolve(), folder.resolve(), *outputs.resolve().parents}:
        raise ConfigError(
            f"out = {options.out!r} is where other things are ({out.resolve()}); give footprints a folder of their own"
        )
    outside, without = 0, ""
    if options.receptors is not None:
        from inversion.transport.receptors.listed import read_places

        table = read_places(folder / Path(options.receptors).expanduser(), options.species)
    else:
        store = store_of(options, folder=folder, outputs=outputs)
        without = require_finished(store, allow=options.allow_missing)
        table, outside = _chosen(options, store)
    background = options.background
    if isinstance(background, str) and not is_number(background):
        background = str(folder / Path(background).expanduser())
    errors = tuple(
        error.model_copy(update={"flux": str(locate(error.flux, folder, outputs))})
        for error in options.errors
    )
    found = run_footprints(
        table,
        resolve_files(options.met, folder),
        out,
        grid=options.grid,
        step=options.step,
        settings=options.settings(seed),
        batch=options.batch,
        work=work,
        air=Air(background, options.background_uncertainty, options.endpoints),
        height=options.height,
        share=options.share,
        met_options=options.met_options,
        errors=errors,
        replace=replace,
        without=without,
        report=report,
    )
    if outside:
        found["skipped"] = {**found["skipped"], _OUTSIDE: found["skipped"].get(_OUTSIDE, 0) + outside}
    return found


def store_of(options: FootprintOptions, *, folder: Path, outputs: Path) -> Path:
    """Return the observation store that an earlier stage wrote, or the user's own."""
    name = Path(options.store or "observations").expanduser()
    inside = outputs / name
    return inside if inside.exists() else folder / name


def inputs_of(options: FootprintOptions, *, folder: Path, outputs: Path) -> list[Path]:
    """Return the files that the footprints depend on."""
    background = options.background
    extra = [background] if isinstance(background, str) and not is_number(background) else []
    extra += [str(locate(error.flux, folder, outputs)) for error in options.errors]
    if options.receptors is not None:
        return resolve_files([*options.met, *extra, options.receptors], folder)
    store = store_of(options, folder=folder, outputs=outputs)
    from obsnet.store import ObservationStore

    observations = ObservationStore(store).files(options.species, options.select.sources)
    return [*resolve_files([*options.met, *extra], folder), *observations]


def forecast(options: FootprintOptions, *, folder: Path, outputs: Path, seed: int, workers: int) -> list[str]:
    """Say how long all footprints will take, those that are done included; nothing where the store is not there yet."""
    if options.receptors is not None:
        from inversion.transport.receptors.listed import read_places

        count = swarms = len(read_places(folder / Path(options.receptors).expanduser(), options.species))
    else:
        store = store_of(options, folder=folder, outputs=outputs)
        if not store.is_dir():
            return []
        table, _ = _chosen(options, store)
        count, swarms = len(table), _swarms(options, table)
    parts = -(-count // options.batch)
    return [estimate(count, parts, options.settings(seed), workers, options.errors, swarms)]


def look(
    options: FootprintOptions, *, folder: Path, outputs: Path, before: Collection[str]
) -> Iterator[str | ObsnetError]:
    """Open the meteorology and count receptors, and say what a run would say; `before`: stages that come first.

    Yields
    ------
    str or ObsnetError
    """
    files = resolve_files(options.met, folder)
    yield f"meteorology: {len(files)} files, {apart(met_summary, files, options.met_options)}"
    background = options.background
    if isinstance(background, str) and not is_number(background):
        resolve_files([background], folder)
    if options.receptors is not None:
        from inversion.transport.receptors.listed import read_places

        count = len(read_places(folder / Path(options.receptors).expanduser(), options.species))
        yield f"{count} receptors in {options.receptors}"
        return
    store = store_of(options, folder=folder, outputs=outputs)
    if not store.is_dir():
        yield later(store, before)
        return
    table, outside = _chosen(options, store)
    swarms = _swarms(options, table)
    shared = f" from {swarms} shared swarms of particles" if swarms < len(table) else ""
    yield f"{len(table)} observations get footprints{shared}, {outside} lie outside the grid"


def _swarms(options: FootprintOptions, table: Any) -> int:
    """Return how many swarms of particles these observations have."""
    from inversion.transport.receptors.sharing import cells_of

    return len(set(cells_of(table, options.share))) if options.share > 0.0 else len(table)


def _chosen(options: FootprintOptions, store: Path) -> tuple[Any, int]:
    """Return the observations that get footprints, and how many lie outside the grid."""
    import pyarrow.dataset as ds

    from obsnet.store import ObservationStore

    if not store.is_dir():
        raise ConfigError(
            f"{store}: no observation store; say where to make footprints for, with store or receptors "
            "(--store, --receptors)"
        )
    where = None
    if options.select.kinds:
        where = ds.field("kind").isin(options.select.kinds)
    chosen: dict[str, Any] = {
        "source": options.select.sources,
        "start": options.start,
        "stop": options.stop,
        "good_only": options.good_only,
        "where": where,
    }
    observations = ObservationStore(store)
    table = observations.read(options.species, bounds=options.grid.bounds, **chosen)
    outside = len(observations.read(options.species, columns=["obs_id"], **chosen)) - len(table)
    return table, outside
