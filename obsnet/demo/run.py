"""Run the twin experiment: see the truth once, then treat its files like anybody's."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from obsnet import __version__
from obsnet.atomic import write_text
from obsnet.config import read_toml
from obsnet.crosscheck.verdicts.table import read_table
from obsnet.demo.observe import simulate
from obsnet.demo.options import DemoOptions
from obsnet.demo.twin import make_twin
from obsnet.errors import ConfigError
from obsnet.pipeline import contents_of, inputs_of, read_case, run_case
from obsnet.provenance import record, write_record
from obsnet.seal import read_json
from obsnet.store import ObservationStore

__all__ = ["run_demo"]


def run_demo(options: DemoOptions, *, say: Callable[[str], None]) -> tuple[dict[str, Any], Any]:
    """Make the world, observe it, and run the case on the files; what is done already is not done again.

    Parameters
    ----------
    options : DemoOptions
        Folder, network, planted province, days, seed of the world (the particles of the truth and of the inversion are
        seeded apart from it and each other), workers.
    say : callable
        Takes one line of progress.

    Returns
    -------
    dict, pandas.DataFrame
        Run record, table of verdicts.
    """
    out, seed = options.out, options.seed
    what = options.model_dump(mode="json", include={"network", "planted", "days", "seed"})
    start = time.monotonic()
    _claim(out, {**what, "version": __version__})
    say("writing the invented world …")
    twin = make_twin(out, **what)
    say("observing the truth …")
    truth = out / "truth"
    truth_seed, model_seed = 2 * seed + 1000, 2 * seed + 1001

    def run(folder: Path, run_seed: int, **more: bool) -> tuple[dict[str, Any], Any, Any]:
        path = twin.write_case(folder, run_seed, workers=options.workers, **more)
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
    single = table[table["kind"] == "region"]
    content = record(
        command=f"obsnet demo --out {out} " + " ".join(f"--{k} {v}" for k, v in what.items()),
        config=data,
        inputs=inputs,
        seeds={"world": seed, "truth_particles": truth_seed, "model_particles": model_seed},
        stages=results,
        network=twin.network.note.en,
        planted=options.planted,
        planted_truth=round(twin.world.true_total(options.planted), 3),
        verdicts=dict(zip(single["region"], single["verdict"], strict=True)),
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
    there = read_json(mark)
    differ = [k for k, v in settings.items() if there.get(k) != v]
    if differ:
        k = differ[0]
        raise ConfigError(
            f"{out} holds another twin experiment ({k} {there.get(k)!r}, now {settings[k]!r}); "
            "take another folder or delete it"
        )
