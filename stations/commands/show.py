"""``obsnet station plot``, ``admit``, ``sites``: a record to look at, a station to judge or to look up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from obsnet.command import Shown, command

if TYPE_CHECKING:
    from obsnet.work.work import Work
    from stations.admission.judge import Admission
    from stations.admission.options import AdmitTable
    from stations.pictures.options import PlotTable
    from stations.record.options import SiteQuery

__all__ = ["admit", "plot", "sites"]


@command("stations.pictures.options:PlotTable")
def plot(options: PlotTable) -> Shown:
    """Draw record, fit, growth with its band, season, diurnal cycle or flags."""
    from stations.pictures.plots import plot_file

    notes = plot_file(options)
    return Shown({"picture": str(options.out), "notes": notes}, [str(options.out)], notes)


@command("stations.admission.options:AdmitTable", work=True)
def admit(options: AdmitTable, work: Work) -> Shown:
    """Judge stations by a network's requirements; exit code 1 where one does not pass."""
    from stations.admission.report import admission_summary
    from stations.admission.run import admit_stations

    done = admit_stations(options, work)
    data = {
        "requirements": done.requirements.name,
        "stations": admission_summary(done.judged),
        "bad": [{"path": path, "error": error} for path, error in done.bad],
    }
    notes = [f"bad: {path}: {error}" for path, error in done.bad]
    notes += [done.requirements.note] if done.requirements.note else []
    if done.failed:
        notes.append(f"{done.failed} of {len(done.judged) + len(done.bad)} stations do not pass")
    return Shown(data, _verdicts(done.judged), notes, failed=done.failed)


def _verdicts(judged: tuple[Admission, ...]) -> Iterator[str]:
    from stations.admission.report import VERDICTS_ZH

    for a in judged:
        days = f", data {a.first} to {a.last}" if a.first else ""
        yield f"{a.station} {a.species}: {VERDICTS_ZH[a.verdict]} {a.verdict}{days}"
        for f in a.findings:
            o = f.outcome
            yield f"  {o.verdict:<13} {f.criterion.label}: {o.found or '-'} ({o.limit}) {o.reason}"


@command("stations.record.options:SiteQuery")
def sites(options: SiteQuery) -> Shown:
    """List the station table: codes, checked positions, networks and their sources."""
    from dataclasses import asdict

    from stations.record import sites as table

    found = [table.site(options.name)] if options.name else list(table.sites().values())
    return Shown({"sites": [asdict(s) for s in found]}, _listed(found, bool(options.name)))


def _listed(found: list[Any], fully: bool) -> Iterator[str]:
    for s in found:
        height = "" if s.altitude_m is None else f"{s.altitude_m:g}"
        check = "" if s.verified else " (unverified)"
        names = f"{s.name} {s.name_zh}".strip()
        yield (
            f"{s.code:<9} {s.latitude:8.4f} {s.longitude:9.4f} {height:>6}  {names}{check}; {', '.join(s.networks)}"
        )
        if fully:
            yield f"  {s.country}, {s.setting}; {s.source}"
