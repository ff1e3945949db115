"""Damage good files in every way and read them: one process an input, seeded, resumable.

Targets are taken in turn; each input is decided by the seed and its number alone, and read in a fork of a process that
has imported the readers. Results are appended to ``OUT/results.jsonl``; run again with the same OUT to go on. Inputs
that end in anything but an answer or one line are kept in ``OUT/bad``. Those that killed their process or took too long
are read again as the commands read files from outside, apart (`obsnet.work.isolated`), which must end in one line that
names the file. What was mended since is shown by ``--again``, which reads all that went wrong with the readers as they
are now.

    python scripts/fuzz.py OUT --inputs 10000 --workers 2
    python scripts/fuzz.py OUT --inputs 300 --targets "own: part" spectra
    python scripts/fuzz.py OUT --again              # after a mend: only what went wrong
    python scripts/fuzz.py OUT --table > table.md
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

MEMORY = 4 << 30  # bytes a process may take
SECONDS = 60  # of processor time
CONTAINED = ("killed", "memory", "hang")
OUTCOMES = ("read", "refused", "altered", "foreign", "killed", "memory", "hang")


def one(number: int, seed: int, good: list[Any], folder: Path, bad: Path) -> dict[str, object]:
    """Damage one file, read it in a process of its own, and say what became of it."""
    import numpy as np

    from tests.mutations import mutate

    rng = np.random.default_rng([seed, number])
    chosen = _choose(good, number, rng)
    root = folder / str(number)
    shutil.copytree(chosen.root, root)
    path = root / chosen.path.relative_to(chosen.root)
    what = mutate(chosen.path, path, rng)
    result = {"number": number, "target": chosen.target, "file": chosen.file, "mutation": what}
    result |= attempt(chosen, path, root, what)
    if result["outcome"] not in ("read", "refused"):
        shutil.copytree(root, bad / f"{number}-{result['outcome']}", dirs_exist_ok=True)
    shutil.rmtree(root, ignore_errors=True)
    return result


def attempt(chosen: Any, path: Path, root: Path, what: str) -> dict[str, object]:
    """Read a damaged file in a process of its own and say what became of it."""
    heard, said = os.pipe()
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(heard)
        _read(chosen, path, root, said, what)
    os.close(said)
    with os.fdopen(heard, "rb") as stream:
        text = stream.read().decode("utf-8", "replace")
    _, status, usage = os.wait4(child, 0)
    outcome, _, detail = text.partition("\n")
    if os.WIFSIGNALED(status):
        sent = os.WTERMSIG(status)
        outcome = "hang" if sent in (signal.SIGXCPU, signal.SIGALRM) else "killed"
        detail = signal.Signals(sent).name
    peak = usage.ru_maxrss * 1024
    if peak > MEMORY or "MemoryError" in detail:
        outcome = "memory"
    return {
        "outcome": outcome or "killed",
        "detail": detail[:2000],
        "seconds": round(time.monotonic() - start, 2),
        "peak_mib": round(peak / 2**20),
    }


def _choose(good: list[Any], number: int, rng: Any) -> Any:
    """Every target as often as another, whatever the number of its files."""
    targets = sorted({s.target for s in good})
    target = targets[number % len(targets)]
    mine = [s for s in good if s.target == target]
    return mine[int(rng.integers(0, len(mine)))]


def _read(chosen: Any, path: Path, root: Path, said: int, what: str) -> None:
    """Read the damaged file and say how it went; the process ends here."""
    from obsnet.errors import ObsnetError
    from tests.fuzz_targets import same

    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(10 * SECONDS)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    try:
        found = chosen.read(path, root)
        # what a library edited has lost its seal and is that program's
        sealed = chosen.target.startswith("own: ") and what != "edit_hdf5"
        answer = "altered" if sealed and not same(found, chosen.answer) else "read"
    except ObsnetError as error:
        text = str(error)
        one_line = "\n" not in text or type(error).__name__ == "ConfigError"
        answer = ("refused\n" if one_line else "foreign\nmore than one line: ") + text
    except BaseException as error:
        places = traceback.extract_tb(error.__traceback__)
        ours = [f"{Path(f.filename).name}:{f.lineno}" for f in places][-6:]
        answer = f"foreign\n{type(error).__name__}: {error} at {' '.join(ours)}"
    os.write(said, answer.encode("utf-8", "replace")[:60_000])
    os._exit(0)


def _prepare() -> None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")
    warnings.simplefilter("ignore")


def run(out: Path, inputs: int, seed: int, workers: int, targets: list[str] | None) -> None:
    """Work through the inputs that are not done."""
    from tests.fuzz_targets import seeds

    out.mkdir(parents=True, exist_ok=True)
    results = out / "results.jsonl"
    done = {r["number"] for r in _results(results)}
    todo = [n for n in range(inputs) if n not in done]
    if not todo:
        return
    with tempfile.TemporaryDirectory() as scratch:
        good = seeds(Path(scratch) / "good", targets)
        shares = [todo[k::workers] for k in range(workers)]
        children = []
        for share in shares:
            child = os.fork()
            if child == 0:
                place = Path(tempfile.mkdtemp(dir=scratch))
                for number in share:
                    result = one(number, seed, good, place, out / "bad")
                    with open(results, "a", encoding="utf-8") as stream:  # one write: lines do not mix
                        stream.write(json.dumps(result, ensure_ascii=False) + "\n")
                os._exit(0)
            children.append(child)
        for child in children:
            os.waitpid(child, 0)


def read_again(out: Path) -> None:
    """Read what ended in anything but an answer or one line again, with the readers as they are now."""
    from tests.fuzz_targets import seeds

    log = out / "again.jsonl"
    done = {r["number"] for r in _results(log)}
    wrong = [r for r in _results(out / "results.jsonl") if r["outcome"] not in ("read", "refused")]
    with tempfile.TemporaryDirectory() as scratch:
        targets = sorted({r["target"] for r in wrong})
        good = {(s.target, s.file): s for s in seeds(Path(scratch) / "good", targets)}
        for r in wrong:
            if r["number"] in done:
                continue
            root = out / "bad" / f"{r['number']}-{r['outcome']}"
            chosen = good[r["target"], r["file"]]
            result = {k: r[k] for k in ("number", "target", "file", "mutation")}
            result |= attempt(chosen, root / chosen.path.relative_to(chosen.root), root, r["mutation"])
            with open(log, "a", encoding="utf-8") as stream:
                stream.write(json.dumps(result, ensure_ascii=False) + "\n")


def read_apart(out: Path) -> None:
    """Read what killed its process, or took too long, as the commands do, and say how that ended."""
    from obsnet.errors import ObsnetError
    from obsnet.work.isolated import Limits, Worker
    from tests.fuzz_targets import read_like

    log = out / "apart.jsonl"
    done = {r["number"] for r in _results(log)}
    todo = [
        r for r in _results(out / "results.jsonl") if r["outcome"] in CONTAINED and r["number"] not in done
    ]
    for r in sorted(todo, key=lambda r: CONTAINED.index(r["outcome"])):  # what takes long comes last
        root = out / "bad" / f"{r['number']}-{r['outcome']}"
        with Worker(Limits(MEMORY, SECONDS)) as worker:
            try:
                worker.call(read_like, r["target"], r["file"], root)
                said = "read"  # a wild pointer may lead to bytes that are no harm
            except ObsnetError as error:
                said = str(error)
        with open(log, "a", encoding="utf-8") as stream:
            good = "\n" not in said and (said == "read" or Path(r["file"]).name in said)
            entry = {"number": r["number"], "target": r["target"], "contained": good, "said": said}
            stream.write(json.dumps(entry, ensure_ascii=False) + "\n")


def _results(path: Path) -> list[dict]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]


def table(out: Path) -> str:
    """Return what became of the inputs, a row a target."""
    found = _results(out / "results.jsonl")
    rows = collections.defaultdict(collections.Counter)
    peaks = collections.defaultdict(int)
    for r in found:
        rows[r["target"]][r["outcome"]] += 1
        peaks[r["target"]] = max(peaks[r["target"]], r["peak_mib"])
    apart = collections.Counter(r["target"] for r in _results(out / "apart.jsonl") if r["contained"])
    again = collections.Counter(
        r["target"] for r in _results(out / "again.jsonl") if r["outcome"] in ("read", "refused")
    )
    total = sum(rows.values(), collections.Counter())
    head = ("inputs", "read", "one line", "altered", "foreign", "killed", "over 4 GiB", "over 60 s")
    head += ("apart: one line", "again: one line", "MiB")
    lines = [f"| | {' | '.join(head)} |", "| --- |" + len(head) * " ---: |"]
    every = [(name, rows[name], apart[name], again[name], peaks[name]) for name in sorted(rows)]
    highest = max(peaks.values(), default=0)
    for name, counts, one, two, peak in [*every, ("all", total, apart.total(), again.total(), highest)]:
        numbers = " | ".join(str(counts[o]) for o in OUTCOMES)
        lines.append(f"| {name} | {sum(counts.values())} | {numbers} | {one} | {two} | {peak} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--targets", nargs="+", help="rows of the table; all by default")
    parser.add_argument("--again", action="store_true", help="read what went wrong again, and nothing else")
    parser.add_argument(
        "--table", action="store_true", help="print the table of what is there, and run nothing"
    )
    given = parser.parse_args()
    _prepare()
    if given.again:
        read_again(given.out)
    elif not given.table:
        run(given.out, given.inputs, given.seed, given.workers, given.targets)
        read_apart(given.out)
    print(table(given.out))


if __name__ == "__main__":
    main()
