"""``obsnet osse``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from inversion.study.words import ASSUMED, say, written_line
from obsnet.case_file import CaseTable
from obsnet.command import Flag, Shown, command
from obsnet.language import InLanguage, Language

if TYPE_CHECKING:
    from obsnet.work.work import Work

__all__ = ["OsseCommand", "osse"]


class OsseCommand(CaseTable, InLanguage):
    """A case with a table ``[osse]``, or a question that needs none."""

    case: Annotated[Path | None, Flag(positional=True)] = Field(  # type: ignore[assignment]
        None, description="case file with a table [osse], TOML"
    )
    networks: bool = Field(False, description="list the networks that come along")
    observations: Path | None = Field(
        None,
        description="only write the observations that the networks of [osse.world] would make into this new store, "
        "for obsnet footprints",
    )

    @model_validator(mode="after")
    def _something(self) -> OsseCommand:
        if self.case is None and not self.networks:
            raise ValueError("give a case file with a table [osse], or --networks")
        return self


@command("inversion.commands.osse:OsseCommand", work=True)
def osse(options: OsseCommand, work: Work) -> Shown:
    """Twin experiments: what an observing system would know of each province, and whether its errors hold.

    Truths are drawn from the prior, observed and solved, many times. The table [osse.world] makes an idealised
    world for networks that do not exist yet; without it the footprints of the case's [invert] are used.
    """
    from inversion.study.options import OsseOptions
    from inversion.study.osse.run_osse import run_osse, write_observations
    from inversion.study.worlds.network import describe_presets

    if options.networks:
        rows = describe_presets(options.language)
        lines = [f"{r['name']:14s} {r['title']} ({', '.join(r['species'])})" for r in rows]
        return Shown({"networks": rows}, lines)
    table, data, folder, out = options.open("osse", OsseOptions)
    if options.observations is not None:
        counts = write_observations(table, folder, options.observations)
        found = ", ".join(f"{n} of {k}" for k, n in counts.items())
        store = str(options.observations)
        return Shown({"store": store, "observations": counts}, [f"{store}: {found}"])
    language = options.language
    report = partial(print, file=sys.stderr)
    written, summary = run_osse(table, data, folder, out, report, language, work)
    return Shown(summary, _lines(summary, written, out, language))


def _lines(summary: dict[str, Any], written: list[Path], out: Path, language: Language) -> Iterator[str]:
    for row in summary["scenarios"]:
        stated, true = row["national_sd"], row["national_true_sd"]
        national = ""
        if stated is not None:
            national = say("scenario China", language, stated=stated, true=true, unit=row["unit"])
        yield say(
            "scenario",
            language,
            name=row["scenario"],
            truth=say(ASSUMED, language) if row["truth"] == ASSUMED else row["truth"],
            n=row["observations"],
            dofs=row["dofs"],
            national=national,
            reduction=row["mean_reduction"],
            low=row["inside_68"],
            high=row["inside_95"],
        )
    for truth in dict.fromkeys(row["truth"] for row in summary["scenarios"]):
        rows = [r for r in summary["scenarios"] if r["truth"] == truth]
        if len(rows) > 1:
            rows.sort(key=lambda r: int(r["rank"].rstrip("=")))
            yield say(
                "order",
                language,
                truth=say(ASSUMED, language) if truth == ASSUMED else truth,
                order=", ".join(f"{r['rank']} {r['scenario']}" for r in rows),
                twins=summary["twins"],
            )
    yield written_line(written, out, language)
