"""``obsnet config``: what a case file may hold, and whether one is right."""

from __future__ import annotations

from obsnet.case_file import CaseFile
from obsnet.command import Group, Shown, command

__all__ = ["app", "check", "schema"]

app = Group(
    "Say what a case file may hold, and check one.",
    {"schema": "obsnet.commands.config:schema", "check": "obsnet.commands.config:check"},
)


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


@command("obsnet.case_file:CaseFile")
def check(options: CaseFile) -> Shown:
    """Check a case file: every fault, one line each."""
    from obsnet.pipeline import read_case

    _, steps = read_case(options.read(), options.case)
    order = [stage.name for stage, _ in steps]
    return Shown({"stages": order}, [f"{options.case}: good; stages in order: {', '.join(order)}"])
