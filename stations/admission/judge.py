"""Admission of a station to a network: its requirements as a table, and for each a verdict with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from obsnet.config import Options, read_toml, validate
from obsnet.errors import ConfigError, FormatError, MissingVariableError, nearest
from obsnet.kind_tables import find_table, read_kinds
from obsnet.reading import door, read_csv
from stations.admission.base import Applicant, NotTestable, Outcome
from stations.admission.kinds import KINDS
from stations.record.intakes import one_series

__all__ = [
    "Admission",
    "Criterion",
    "Finding",
    "Requirements",
    "judge",
    "load_applicant",
    "load_requirements",
]

FOLDER = Path(__file__).with_name("requirements")


class RequirementsHead(Options):
    title: str = ""
    title_zh: str = ""
    note: str = ""
    note_zh: str = ""


class CriterionCommon(Options):
    kind: str
    label: str = ""
    label_zh: str = ""
    required: bool = True


class _Standard(Options):
    name: str
    grade: str
    value: float
    calibrated: date
    note: str = ""


class _Dossier(Options):
    """A station's own statement: what no record contains."""

    name: str
    files: tuple[str, ...]
    species: str | None = None
    scale: str | None = None
    site: str | None = None
    intake: float | None = None
    targets: str = ""
    comparison: str = ""
    responsible: str = ""
    note: str = ""
    calibrations: tuple[date, ...] = ()
    standards: tuple[_Standard, ...] = ()


@dataclass(frozen=True)
class Criterion:
    """One requirement."""

    kind: str
    label: str
    label_zh: str
    required: bool
    options: Options


@dataclass(frozen=True)
class Requirements:
    """A network's requirements."""

    name: str
    criteria: tuple[Criterion, ...]
    title: str
    title_zh: str
    note: str
    note_zh: str


@dataclass(frozen=True)
class Finding:
    """A requirement and what was found."""

    criterion: Criterion
    outcome: Outcome


@dataclass(frozen=True)
class Admission:
    """The verdict on one station.

    Attributes
    ----------
    station, species, file : str
        Who applies with what.
    first, last : str
        Days of the first and the last data; empty where no row has a time.
    findings : tuple of Finding
        In the order of the requirements.
    """

    station: str
    species: str
    file: str
    first: str
    last: str
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> str:
        """``pass`` when every required criterion passes, ``fail`` when one fails, else ``not testable``."""
        required = [f.outcome.verdict for f in self.findings if f.criterion.required]
        if "fail" in required:
            return "fail"
        return "not testable" if "not testable" in required else "pass"


def load_requirements(name: str | Path) -> Requirements:
    """Read a table of requirements: by name of one that comes with the package, or a TOML file of one's own.

    Raises
    ------
    ConfigError
        Every fault on its own line.
    """
    path = find_table(name, FOLDER, "table of requirements")
    data, entries = read_kinds(path, "criterion", CriterionCommon, KINDS)
    head = validate(RequirementsHead, data, path.name)
    criteria = tuple(
        Criterion(common.kind, common.label or common.kind, common.label_zh, common.required, own)
        for common, own in entries
    )
    return Requirements(path.stem, criteria, head.title or path.stem, head.title_zh, head.note, head.note_zh)


def load_applicant(path: str | Path) -> Applicant:
    """Read a station's dossier (TOML) with the files it names, or a bare data file.

    Parameters
    ----------
    path : path
        ``*.toml`` with ``name``, ``files`` and, where there are any, ``species, scale, site, intake, targets`` (CSV of
        ``time, bias`` or ``time, measured, assigned``, and ``sd``), ``comparison`` (a second record),
        ``calibrations`` (dates), ``[[standards]]`` (name, grade, value, calibrated), ``responsible``. Paths
        are relative to the dossier. Any other file is read as a record without dossier.

    Raises
    ------
    ConfigError, FormatError
        A faulty dossier, or a file of it that cannot be read.
    """
    from stations import read

    path = Path(path)
    if path.suffix != ".toml":
        record = one_series(read(path))
        return Applicant(str(record.attrs.get("site") or path.name), record)
    stated = validate(_Dossier, read_toml(path), path.name)
    if len(stated.files) != 1:
        raise ConfigError(f"{path.name}: files names one record, found {len(stated.files)}")
    said = {"scale": stated.scale, "site": stated.site, "intake": stated.intake}
    options = {k: v for k, v in said.items() if v is not None}
    record = one_series(read(path.parent / stated.files[0], stated.species, **options))
    targets = _targets(path.parent / stated.targets) if stated.targets else None
    comparison = read(path.parent / stated.comparison, record.attrs["species"]) if stated.comparison else None
    return Applicant(stated.name, record, stated.model_dump(), targets, comparison)


@door("a table of target runs")
def _targets(path: Path) -> np.ndarray:
    """Return target runs of a CSV as a structured array ``time, bias, sd``."""
    import pandas as pd

    table = read_csv(path, comment="#")
    if "bias" not in table and {"measured", "assigned"} <= set(table.columns):
        table["bias"] = table["measured"] - table["assigned"]
    for name in ("time", "bias"):
        if name not in table:
            raise MissingVariableError(
                f"{path}: target runs need the column {name!r}{nearest(name, table.columns)}"
            )
    try:
        time = pd.to_datetime(table["time"], utc=True, format="ISO8601").dt.tz_localize(None).to_numpy()
        bias = table["bias"].to_numpy(dtype=np.float64)
        sd = table["sd"].to_numpy(dtype=np.float64) if "sd" in table else np.full(bias.size, np.nan)
    except (ValueError, TypeError) as error:
        raise FormatError(
            f"{path}: a column of the target runs is not what it should be ({error})"
        ) from error
    runs = np.empty(bias.size, dtype=[("time", "datetime64[ns]"), ("bias", "f8"), ("sd", "f8")])
    runs["time"], runs["bias"], runs["sd"] = time.astype("datetime64[ns]"), bias, sd
    return runs[np.argsort(runs["time"], kind="stable")]


def judge(applicant: Applicant, requirements: Requirements) -> Admission:
    """Judge a station by every requirement.

    Parameters
    ----------
    applicant : Applicant
        See `load_applicant`.
    requirements : Requirements
        See `load_requirements`.
    """

    def outcome(criterion: Criterion) -> Outcome:
        try:
            return KINDS[criterion.kind].run(applicant, criterion.options)
        except NotTestable as reason:
            return reason.outcome

    findings = tuple(Finding(c, outcome(c)) for c in requirements.criteria)
    path = str(applicant.record.attrs.get("path", ""))
    return Admission(applicant.name, applicant.species, path, *_days(applicant), findings)


def _days(applicant: Applicant) -> tuple[str, str]:
    """Return the days of the first and the last value; empty where no value has a time."""
    time = applicant.record["time"].values[np.isfinite(applicant.record["value"].values)]
    time = time[~np.isnat(time)]
    return (str(time.min())[:10], str(time.max())[:10]) if time.size else ("", "")
