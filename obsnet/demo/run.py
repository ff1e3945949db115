"""Run the twin experiment: see the truth once, then treat its files like anybody's."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from obsnet import __version__
from obsnet.config import read_toml
from obsnet.crosscheck.table import read_table
from obsnet.demo.observe import simulate
from obsnet.demo.twin import make_twin
from obsnet.errors import ConfigError, nearest
from obsnet.pipeline import contents_of, inputs_of, read_case, run_case
from obsnet.provenance import record, write_record
from obsnet.store import ObservationStore, write_text

__all__ = ["run_demo"]

_NETWORKS = ("idealised", "existing")


def run_demo(
    out: Path,
    *,
    network: str,
    planted: str,
    days: int,
    seed: int,
    workers: int | None,
    say: Callable[[str], None],
) -> tuple[dict[str, Any], Any]:
    """Make the world, observe it, and run the case on the files; what is done already is not done again.

    Parameters
    ----------
    out : Path
        Folder for inputs and outputs.
    network : {"idealised", "existing"}
        Who observes.
    planted : str
        Adcode of the province whose bottom-up total is wrong.
    days : int
        Observed days.
    seed : int
        Of the world; the particles of the truth and of the inversion are seeded apart from it and each other.
    workers : int, optional
        Processes.
    say : callable
        Takes one line of progress.

    Returns
    -------
    dict, pandas.DataFrame
        Run record, table of verdicts.
    """
    if network not in _NETWORKS:
        raise ConfigError(f"--network {network!r}{nearest(network, _NETWORKS)}")
    start = time.monotonic()
    _claim(out, {"network": network, "planted": planted, "days": days, "seed": seed, "version": __version__})
    say("writing the invented world …")
    twin = make_twin(out, network=network, days=days, seed=seed, planted=planted)
    say("observing the truth …")
    truth = out / "truth"
    truth_seed, model_seed = 2 * seed + 1000, 2 * seed + 1001

    def run(folder: Path, run_seed: int, **more: bool) -> tuple[dict[str, Any], Any, Any]:
        path = twin.write_case(folder, run_seed, workers=workers, **more)
        data = read_toml(path)
        case, steps = read_case(data, path)
        contents = contents_of(case)
        results = run_case(case, steps, report=lambda line: say(f"  {line}"), contents=contents)
        inputs = [inputs_of(case, stage, options, contents) for stage, options in steps]
        return results, data, {k: v for found in inputs for k, v in found.items()}

    twin.write_observations(truth / "input")
    run(truth, truth_seed, only_footprints=True)
    seen = simulate(truth / "footprints", twin.world)
    twin.write_observations(out / "input", seen, ObservationStore(truth / "store"))
    say("running the case on the files …")
    results, data, inputs = run(out, model_seed)
    table = read_table(out / "provinces.csv")
    content = record(
        command=f"obsnet demo --out {out} --network {network} --planted {planted} --days {days}"
        f" --seed {seed}",
        config=data,
        inputs=inputs,
        seeds={"world": seed, "truth_particles": truth_seed, "model_particles": model_seed},
        stages=results,
        network=twin.network.note,
        planted=planted,
        verdicts=dict(zip(table["region"], table["verdict"], strict=True)),
        seconds=round(time.monotonic() - start, 1),
    )
    write_record(out / "run.json", content)
    return content, table


def _claim(out: Path, settings: dict[str, Any]) -> None:
    """Mark a folder as that of one twin experiment, or refuse one that holds another."""
    mark = out / "demo.json"
    if not mark.exists():
        write_text(mark, json.dumps(settings, indent=1))
        return
    there = json.loads(mark.read_text(encoding="utf-8"))
    differ = [k for k, v in settings.items() if there.get(k) != v]
    if differ:
        k = differ[0]
        raise ConfigError(
            f"{out} holds another twin experiment ({k} {there.get(k)!r}, now {settings[k]!r}); "
            "take another folder or delete it"
        )
