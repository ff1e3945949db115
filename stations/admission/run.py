"""What ``obsnet station admit`` does: read dossiers, judge, write the report."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from obsnet.atomic import write_text
from obsnet.errors import ConfigError, FormatError, ObsnetError
from obsnet.work.parallel import map_unordered, shard
from obsnet.work.progress import counted
from obsnet.work.work import Work
from stations.admission.judge import Admission, Requirements, judge, load_applicant, load_requirements
from stations.admission.options import AdmitTable
from stations.admission.report import admission_csv, admission_html, evidence_csv

__all__ = ["Admissions", "admit_stations"]


@dataclass(frozen=True)
class Admissions:
    """The requirements, the verdicts in the order of the applicants, and who could not be read."""

    requirements: Requirements
    judged: tuple[Admission, ...]
    bad: tuple[tuple[str, str], ...]

    @property
    def failed(self) -> int:
        """Applicants that do not pass, or could not be read."""
        return sum(a.verdict != "pass" for a in self.judged) + len(self.bad)


def admit_stations(options: AdmitTable, work: Work | None = None) -> Admissions:
    """Judge stations and write the report where asked.

    Raises
    ------
    ObsnetError
        The only station cannot be read; among several it is told in `Admissions.bad`. A report of a shard was asked
        for, which the next shard would replace.
    """
    if options.out is not None and work is not None and work.part is not None:
        raise ConfigError("a report is of all stations: leave --shard or --out out")
    needed = load_requirements(options.requirements)
    task = partial(_one, needed=needed)
    todo = shard(options.stations, work or Work())
    found: dict[Path, Admission | ObsnetError] = {}
    made = map_unordered(task, todo, work, enough=False, on_death=_died)
    for path, outcome in counted(made, "stations", len(todo)):
        if isinstance(outcome, ObsnetError) and len(options.stations) == 1:
            raise outcome
        found[path] = outcome
    ordered = [(path, found[path]) for path in todo]
    judged = tuple(a for _, a in ordered if isinstance(a, Admission))
    bad = tuple((str(path), str(e)) for path, e in ordered if isinstance(e, ObsnetError))
    if options.out is not None:
        write_text(options.out / "admission.html", admission_html(judged, needed))
        write_text(options.out / "admission.csv", admission_csv(judged))
        write_text(options.out / "evidence.csv", evidence_csv(judged))
    return Admissions(needed, judged, bad)


def _died(path: Path, reason: str) -> FormatError:
    return FormatError(f"{path}: {reason}")


def _one(path: Path, *, needed: Requirements) -> Admission | ObsnetError:
    try:
        return judge(load_applicant(path), needed)
    except ObsnetError as error:
        return error
