"""``obsnet config``: what a case file may hold, and whether one is right."""

from __future__ import annotations

from pydantic import Field

from obsnet.case_file import CaseFile
from obsnet.command import Group, Shown, command
from obsnet.errors import ConfigError

__all__ = ["CaseCheckOptions", "app", "check", "schema"]

app = Group(
    "Say what a case file may hold, and check one.",
    {"schema": "obsnet.commands.config:schema", "check": "obsnet.commands.config:check"},
)


class CaseCheckOptions(CaseFile):
    """A case, and how much of it is looked at."""

    only_file: bool = Field(False, description="check the case file alone; its inputs are not opened")


@command()
def schema() -> Shown:
    """Print the JSON schema of case files: one table a stage, for editors and for reading."""
    import json

    from obsnet.config import Options
    from obsnet.pipeline import RunOptions, load_stages
    from obsnet.work.work import Cluster

    tables: dict[str, type[Options]] = {"run": RunOptions, "cluster": Cluster}
    tables |= {name: stage.options for name, stage in sorted(load_stages().items())}
    content = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "obsnet case",
        "type": "object",
        "additionalProperties": False,
        "required": ["run"],
        "properties": {name: model.model_json_schema() for name, model in tables.items()},
    }
    return Shown(content, [json.dumps(content, indent=1, ensure_ascii=False)])


@command("obsnet.commands.config:CaseCheckOptions")
def check(options: CaseCheckOptions) -> Shown:
    """Check a case file, open what it reads, and say what a run would say: every fault, one line each."""
    from obsnet.case_check import check_inputs
    from obsnet.pipeline import read_case

    case, steps = read_case(options.read(), options.case)
    order = [stage.name for stage, _ in steps]
    found = [] if options.only_file else check_inputs(case, steps)
    lines = [f"[{part.stage}] {line}" for part in found for line in part.lines]
    faults = [f"[{part.stage}] {fault}" for part in found for fault in part.faults]
    if faults:
        raise ConfigError("\n".join([*(f"{options.case.name} {fault}" for fault in faults)]))
    said = f"{options.case}: good; stages in order: {', '.join(order)}"
    return Shown({"stages": order, "inputs": {p.stage: list(p.lines) for p in found}}, [*lines, said])
