"""What all shards of a run must have in common, such as one scale a species: the first to say it decides for all.

It stands beside the plan of the run (`obsnet.work.shards`) and goes with it: another run of all the same items may say
something else.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from obsnet.seal import read_json, sealed_json

__all__ = ["agreed"]


def agreed(plan: Path, what: str, value: str, where: str) -> tuple[str, str]:
    """Say what something is in this run, and return what it is in the whole folder.

    Parameters
    ----------
    plan : Path
        Folder of the run's plan.
    what : str
        ``"scale-CO2"``; fit for a file's name.
    value : str
        What it is here.
    where : str
        Of what, for people: the file that was read.

    Returns
    -------
    value, where : str
        What was said first, by whichever shard, node or earlier run whose plan stands, and of what; one that differs
        from the one given is for the caller to refuse.

    Raises
    ------
    FormatError
        What was said is damaged.
    """
    own = plan / f"agreed-{what}.json"
    if not own.exists():
        temporary = own.with_name(f".tmp-{secrets.token_hex(8)}-{own.name}")
        try:
            temporary.write_text(sealed_json({"value": value, "where": where}), encoding="utf-8")
            with contextlib.suppress(FileExistsError):
                os.link(temporary, own)  # of several at the same time one wins, whole
        finally:
            temporary.unlink(missing_ok=True)
    stage = plan.name.rpartition("-")[0]
    for said in [own, *sorted(plan.parent.glob(f"{stage}-*/{own.name}"))]:
        with contextlib.suppress(FileNotFoundError):  # given up in this moment
            found = read_json(said, sealed=True)
            if found["value"] != value:
                return found["value"], found["where"]
    return value, where
