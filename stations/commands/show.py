"""``obsnet station plot``, ``admit``, ``sites``: a record to look at, a station to judge or to look up."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from obsnet.errors import ObsnetError
from stations.commands.options import File, Json, Scale, Site, Species, load, notes

__all__ = ["admit", "plot", "sites"]

Picture = Annotated[str, typer.Option(help="overview, record, growth, season, diurnal or flags.")]
PictureOut = Annotated[Path, typer.Option("--out", help="*.png, *.svg or *.pdf.")]
Language = Annotated[str, typer.Option(help="auto (Chinese where a font is there), zh or en.")]
BaselineFlag = Annotated[bool, typer.Option("--baseline", help="Draw the robust baseline (REBS) too.")]
Dpi = Annotated[int, typer.Option(help="Of pixel formats.")]
Title = Annotated[str | None, typer.Option(help="Instead of site, species and scale.")]
Applicants = Annotated[list[Path], typer.Argument(help="Station dossiers (TOML), or bare station files.")]
Requirements = Annotated[str, typer.Option(help="Table of requirements: a name or a .toml file.")]
Folder = Annotated[
    Path | None, typer.Option("--out", help="Folder for admission.html, admission.csv, evidence.csv.")
]


def plot(
    file: File,
    out: PictureOut,
    picture: Picture = "overview",
    language: Language = "auto",
    baseline: BaselineFlag = False,
    dpi: Dpi = 150,
    title: Title = None,
    species: Species = None,
    site: Site = None,
    scale: Scale = None,
) -> None:
    """Draw record, fit, growth with its band, season, diurnal cycle or flags."""
    from obsnet.errors import ConfigError, nearest
    from stations.pictures.plots import plot_record

    if language not in {"auto", "zh", "en"}:
        raise ConfigError(f"--language {language!r}{nearest(language, ('auto', 'zh', 'en'))}")
    record = load(file, species, site, scale)
    found = plot_record(
        record, out, picture, language=language, baseline=baseline, dpi=dpi, title=title  # type: ignore[arg-type]
    )  # fmt: skip
    print(out)
    notes(found)


def admit(
    stations: Applicants,
    requirements: Requirements = "example_network",
    out: Folder = None,
    as_json: Json = False,
) -> None:
    """Judge stations by a network's requirements; exit code 1 where one does not pass."""
    from obsnet.output import emit
    from obsnet.store import write_text
    from stations.admission import judge as module

    needed = module.load_requirements(requirements)
    judged, bad = [], []
    for path in stations:
        try:
            judged.append(module.judge(module.load_applicant(path), needed))
        except ObsnetError as error:
            if len(stations) == 1:
                raise
            bad.append({"path": str(path), "error": str(error)})
    if out is not None:
        write_text(out / "admission.html", module.admission_html(judged, needed))
        write_text(out / "admission.csv", module.admission_csv(judged))
        write_text(out / "evidence.csv", module.evidence_csv(judged))
    if as_json:
        emit({"requirements": needed.name, "stations": module.admission_summary(judged), "bad": bad})
    else:
        for a in judged:
            print(f"{a.station} {a.species}: {module.VERDICTS_ZH[a.verdict]} {a.verdict}")
            for f in a.findings:
                o = f.outcome
                print(f"  {o.verdict:<13} {f.criterion.label}: {o.found or '-'} ({o.limit}) {o.reason}")
    notes([*(f"bad: {b['path']}: {b['error']}" for b in bad), *([needed.note] if needed.note else [])])
    failed = sum(a.verdict != "pass" for a in judged) + len(bad)
    if failed:
        notes([f"{failed} of {len(stations)} stations do not pass"])
        raise typer.Exit(1)


def sites(
    name: Annotated[str | None, typer.Argument(help="Code, name or alias; all stations without it.")] = None,
    as_json: Json = False,
) -> None:
    """List the station table: codes, checked positions, networks and their sources."""
    from dataclasses import asdict

    from obsnet.output import emit
    from stations.record import sites as table

    found = [table.site(name)] if name else list(table.sites().values())
    if as_json:
        emit({"sites": [asdict(s) for s in found]})
        return
    for s in found:
        height = "" if s.altitude_m is None else f"{s.altitude_m:g}"
        check = "" if s.verified else " (unverified)"
        names = f"{s.name} {s.name_zh}".strip()
        print(
            f"{s.code:<9} {s.latitude:8.4f} {s.longitude:9.4f} {height:>6}  {names}{check}; {', '.join(s.networks)}"
        )
        if name:
            print(f"  {s.country}, {s.setting}; {s.source}")
