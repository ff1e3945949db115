"""``obsnet design``: which station or orbit next, and what observations could ever test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inversion.study.words import say, written_line
from obsnet.case_file import CaseTable
from obsnet.command import Group, Shown, command
from obsnet.language import InLanguage, Language

if TYPE_CHECKING:
    from inversion.study.options import DetectCommand

__all__ = ["DesignCommand", "choose", "design", "detect"]

design = Group(
    "Network design: which station or orbit next (obsnet design CASE), what inventories could be tested for (detect).",
    {"choose": "inversion.commands.design:choose", "detect": "inversion.commands.design:detect"},
    default="choose",
)


class DesignCommand(CaseTable, InLanguage):
    """A case with a table ``[design]``."""


@command("inversion.commands.design:DesignCommand")
def choose(options: DesignCommand) -> Shown:
    """Rank candidate stations or orbits by what they would teach, and choose the best one after the other.

    Information (nats), degrees of freedom for signal and the error of province totals are all reported; one of
    them decides. The table [design.world] makes an idealised world; without it the footprints of the case's
    [invert] are used.
    """
    from inversion.study.designs.run_design import run_design
    from inversion.study.options import DesignOptions

    table, data, folder, out = options.open("design", DesignOptions)
    language = options.language
    written, summary = run_design(
        table, data, folder, out, lambda line: print(line, file=sys.stderr), language
    )
    return Shown(summary, _lines(summary, written, out, language))


@command("inversion.study.options:DetectCommand")
def detect(options: DetectCommand) -> Shown:
    """Say which discrepancies of provincial CO2 inventories existing and planned networks would find.

    For each province and system: the smallest discrepancy of the fossil total that the verdict of obsnet crosscheck
    finds with its power, in an idealised world with the errors that observations share. Without a case the built-in
    inventory and networks are taken, and what is assumed is printed. A run that was stopped goes on where it was.
    """
    from inversion.study.detect.run_detect import detect_lines, run_detect
    from inversion.study.options import DetectOptions
    from obsnet.config import apply_overrides, out_folder, read_toml, validate
    from obsnet.errors import ConfigError

    case = apply_overrides({} if options.case is None else read_toml(options.case), options.set)
    if options.case is not None and "detect" not in case:
        raise ConfigError(f"{options.case}: no table [detect]; there is: {', '.join(case) or 'nothing'}")
    folder = Path.cwd() if options.case is None else options.case.resolve().parent
    said = options.model_dump(include=options.model_fields_set & set(DetectOptions.model_fields))
    where = "[detect]" if options.case is None else f"{options.case.name} [detect]"
    chosen = validate(DetectOptions, case.get("detect", {}) | said, where)
    out = options.out or out_folder(case, folder)
    written, summary = run_detect(
        chosen, folder, out, options.language, lambda line: print(line, file=sys.stderr, flush=True)
    )
    lines = [*detect_lines(summary, options.language), written_line(written, out, options.language)]
    return Shown(summary, lines)


def _lines(summary: dict[str, Any], written: list[Path], out: Path, language: Language) -> Iterator[str]:
    for row in summary["choice"]:
        national = ""
        if "national_sd" in row:
            national = say("step China", language, sd=row["national_sd"], unit=row["unit"])
        yield say(
            "step",
            language,
            number=row["number"],
            added=say("existing", language) if row["number"] == 0 else row["added"],
            nats=row["information_nats"],
            dofs=row["dofs"],
            national=national,
        )
    if summary["tied_first"]:
        yield say("design ties", language, names=", ".join(summary["tied_first"]))
    yield written_line(written, out, language)
