"""What a run's record says for its report: heading and notes that no later command can lose, and files by hash."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from obsnet.config import validate
from obsnet.language import Language, Words
from obsnet.reading import door
from obsnet.report.options import ReportOptions
from obsnet.report.sections.section import Section
from obsnet.report.words import term
from obsnet.run_words import in_both
from obsnet.stage_mark import read_mark

__all__ = ["inputs_section", "marks", "recorded", "said_section", "with_record"]

_HEAD = (term("stage"), term("file"), Words("sha256", "sha256"))
_ORDER = ("ingest", "superobs", "stations", "convert", "footprints", "invert", "crosscheck")
_SINGLE = 12  # files of a stage that are named one by one; more are counted, with one hash over all
_SAID_MOST = 12  # notes of a stage that are shown; run.json has all
_SAID = Words("What the stages said", "各步骤的说明")
_SAID_TEXT = Words(
    "What was assumed, changed, converted or left out on the way, in the words of each stage; with a number of files "
    "where it is not of all.",
    "各步骤所作的假定、改动、换算与剔除，均为其原话；只涉及部分文件时注明文件数。",
)
_SAID_HEAD = (term("stage"), Words("Note", "说明"))
_MORE = Words("and {n} more, in run.json", "另有 {n} 条，见 run.json")
_OF_FILES = Words("{note} (files: {n})", "{note}（文件数：{n}）")
_TITLE = Words("Methods and inputs", "方法与输入")
_TEXT = Words(
    "Every file that a stage read, by the sha256 of its content. Where a stage read many, the hash is over the sorted "
    "list of their names and hashes.",
    "各步骤所读文件及其内容的 sha256；文件较多时，为按名称排序的文件名与哈希列表的哈希。",
)
_VERSIONS = Words("Versions: {versions}.", "版本：{versions}。")
_COMMAND = Words("Command: {command}; configuration {config}.", "命令：{command}；配置 {config}。")
_WITHIN = Words(
    "This page was made within a run: its command, configuration and versions are in run.json beside it.",
    "本页在运行中生成：命令、配置与版本见同一文件夹中的 run.json。",
)
_NO_RECORD = Words(
    "This folder has no record of a run (run.json): only the files that were read here are named.",
    "此文件夹没有运行记录（run.json），仅列出本页所读的文件。",
)


@door("the record of a run")
def recorded(folder: Path) -> dict[str, Any]:
    """Return ``run.json`` of a folder; empty where there is none."""
    path = folder / "run.json"
    if not path.is_file():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    return content if isinstance(content, dict) else {}


def with_record(options: ReportOptions, folder: Path) -> ReportOptions:
    """Return options with what the run's ``[report]`` said wherever nothing was said now; its notes always stay.

    Parameters
    ----------
    options : ReportOptions
        As given.
    folder : Path
        Of the run's outputs.
    """
    record = recorded(folder)
    config, place = record.get("config", {}), str(record.get("case_folder", ""))
    table = config.get("report", {}) if isinstance(config, Mapping) else {}
    known = {k: v for k, v in table.items() if k in ReportOptions.model_fields}
    before = validate(ReportOptions, known, f"{folder / 'run.json'} [report]")
    if before.template is not None and "template" not in options.model_fields_set:
        before = before.model_copy(update={"template": folder / place / before.template.expanduser()})
    given = {k: getattr(options, k) for k in options.model_fields_set if k in ReportOptions.model_fields}
    for name in ("notes", "notes_zh"):
        given[name] = list(dict.fromkeys([*getattr(before, name), *getattr(options, name)]))
    return before.model_copy(update=given)


def marks(folder: Path) -> list[Path]:
    """Return the marks of the stages before the report, in their order."""
    found = [p for p in (folder / ".stages").glob("*.json") if p.stem != "report"]
    return sorted(found, key=lambda p: _place(p.stem))


def inputs_section(folder: Path, read: Mapping[str, Path], *, within_run: bool = False) -> Section:
    """Return the section of inputs: of each stage that left its mark, and of the files that the report read.

    Parameters
    ----------
    folder : Path
        Of the run's outputs.
    read : mapping of str to Path
        Files that the report read, by what they are called here.
    within_run : bool
        The run's record is written after its stages: what lies there now is of the run before.
    """
    from obsnet.content import sha256

    rows: list[tuple[str, ...]] = []
    for path in marks(folder):
        mark = read_mark(path)
        if mark is not None:
            rows += _stage_rows(path.stem, mark.source.get("inputs", {}))
    rows += [("report", name, sha256(path)) for name, path in read.items() if path.is_file()]
    record = {} if within_run else recorded(folder)
    text = [_TEXT]
    if within_run:
        text.append(_WITHIN)
    elif record:
        said = {
            "command": str(record.get("command", "")),
            "config": str(record.get("config_sha256", ""))[:12],
        }
        text.append(Words(*(t.format(**said) for t in _COMMAND)))
        versions = ", ".join(f"{k} {v}" for k, v in record.get("versions", {}).items())
        text.append(Words(*(t.format(versions=versions) for t in _VERSIONS)))
    else:
        text.append(_NO_RECORD)
    return Section(_TITLE, text, _HEAD, rows)


def said_section(folder: Path, attrs: Mapping[str, Any], language: Language) -> list[Section]:
    """Return the section of what the stages said of themselves; nothing where none said a word.

    Parameters
    ----------
    folder : Path
        Of the run's outputs, whose stages left marks.
    attrs : mapping
        Of the posterior file: what the inversion said of prior, errors and shares.
    """
    rows: list[tuple[str, ...]] = []
    notes = {path.stem: _notes(mark.record, language) for path in marks(folder) if (mark := read_mark(path))}
    told = "; ".join(str(attrs.get(k, "")) for k in ("prior_notes", "error_notes", "shares_notes"))
    notes["invert"] = [in_both(line).said(language) for line in re.split(r"; |\n", told) if line]
    for stage, lines in sorted(notes.items(), key=lambda pair: _place(pair[0])):
        rows += [(stage, line) for line in lines[:_SAID_MOST]]
        if len(lines) > _SAID_MOST:
            rows.append((stage, _MORE.said(language).format(n=len(lines) - _SAID_MOST)))
    return [Section(_SAID, [_SAID_TEXT], _SAID_HEAD, rows)] if rows else []


def _notes(record: Mapping[str, Any], language: Language) -> list[str]:
    found = record.get("notes", [])
    if isinstance(found, Mapping):
        said = _OF_FILES.said(language)
        return [said.format(note=in_both(str(k)).said(language), n=n) for k, n in found.items()]
    return [in_both(str(note)).said(language) for note in found]


def _place(stage: str) -> tuple[int, str]:
    return (_ORDER.index(stage) if stage in _ORDER else len(_ORDER), stage)


def _stage_rows(stage: str, inputs: Mapping[str, str | None]) -> list[tuple[str, ...]]:
    present = {name: value for name, value in sorted(inputs.items()) if value}
    if len(present) <= _SINGLE:
        return [(stage, name, str(value)) for name, value in present.items()]
    names = list(present)
    whole = hashlib.sha256("\n".join(f"{k} {v}" for k, v in present.items()).encode()).hexdigest()
    return [(stage, f"{names[0]} … {names[-1]} ({len(names)})", whole)]
