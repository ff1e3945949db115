"""Configuration: TOML in, frozen pydantic models out, every fault reported at once."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from obsnet.errors import ConfigError, nearest

__all__ = ["Options", "apply_overrides", "locate", "out_folder", "read_toml", "resolve_files", "validate"]


class Options(BaseModel):
    """Base of every table of options: frozen, no unknown keys."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        arbitrary_types_allowed=True,
        protected_namespaces=(),
    )


Model = TypeVar("Model", bound=BaseModel)


def read_toml(path: str | Path, overrides: Iterable[str] = ()) -> dict[str, Any]:
    """Read a TOML file and apply ``a.b=1`` overrides.

    Raises
    ------
    ConfigError
        The file is absent or not TOML (with line and column), or an override is malformed.
    """
    path = Path(path)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such configuration file") from None
    except (
        ValueError,
        RecursionError,
        OSError,
    ) as error:  # numbers of 5,000 digits, brackets in brackets, folders
        raise ConfigError(f"{path}: not a TOML file: {error}") from error
    return apply_overrides(data, overrides)


def apply_overrides(data: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Return a copy of nested tables with ``a.b=1`` assignments made.

    Parameters
    ----------
    data : mapping
        Nested tables.
    overrides : iterable of str
        ``key.path=value``; the value is TOML, or a bare string where it is no TOML.
    """
    result = _copy(data)
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set {text!r}: write it as table.key=value")
        try:
            parsed = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            parsed = value
        *tables, last = key.strip().split(".")
        place = result
        for table in tables:
            place = place.setdefault(table, {})
            if not isinstance(place, dict):
                raise ConfigError(f"--set {text!r}: {table} is a value, not a table")
        place[last] = parsed
    return result


def _copy(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {k: _copy(v) for k, v in data.items()}
    return [_copy(v) for v in data] if isinstance(data, list) else data


def validate(model: type[Model], data: Mapping[str, Any], where: str = "") -> Model:
    """Build a model from plain data, or report every fault, one line each.

    Parameters
    ----------
    model : type
        A subclass of `Options`.
    data : mapping
        From TOML.
    where : str
        File and table, put before each fault.

    Raises
    ------
    ConfigError
        One line a fault: the key, what was found, what is allowed, the nearest known key.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        lines = [
            _fault(model, fault, where) for fault in error.errors(include_url=False, include_context=False)
        ]
        raise ConfigError("\n".join(lines)) from error


def _fault(model: type[BaseModel], fault: Any, where: str) -> str:
    location = [str(part) for part in fault["loc"]]
    key = ".".join(location)
    place = f"{where}: " if where else ""
    if fault["type"] == "extra_forbidden":
        return f"{place}unknown key {key!r}{nearest(location[-1], _keys(model, location[:-1]))}"
    if fault["type"] == "missing":
        return f"{place}{key!r} is missing"
    said = fault["msg"].removeprefix("Value error, ")
    if isinstance(fault["input"], Mapping):  # a whole table, not one value
        return f"{place}{key}: {said}" if key else f"{place}{said}"
    return f"{place}{key} = {fault['input']!r}: {said}"


def _keys(model: type[BaseModel], location: list[str]) -> list[str]:
    """Return the keys known at a place inside a model."""
    for part in location:
        field = model.model_fields.get(part)
        if field is not None:  # else the name of one of several tables, or an index
            inner = _model_in(field.annotation)
            if inner is None:
                break
            model = inner
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model in an annotation such as ``Model | None`` or ``dict[str, Model]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for a in get_args(annotation) if (m := _model_in(a)) is not None), None)


def out_folder(case: Mapping[str, Any], folder: Path) -> Path:
    """Return the folder of a case's outputs, for commands that run one stage of it.

    Parameters
    ----------
    case : mapping
        The whole case, not validated; `obsnet.pipeline` reads the table ``[run]`` in full.
    folder : Path
        Of the case file.
    """
    run = case.get("run", {})
    return folder / (run.get("out", "run") if isinstance(run, Mapping) else "run")


def locate(name: str, folder: Path, out: Path) -> Path:
    """Return where an input is: in the run's folder if it was made there, else beside the case file."""
    path = Path(name).expanduser()
    if path.is_absolute():
        return path
    made = out / path
    return made if made.exists() else folder / path


def resolve_files(patterns: Iterable[str | Path], base: str | Path = ".") -> list[Path]:
    """Expand files, folders and globs into a sorted list without repeats.

    Parameters
    ----------
    patterns : iterable of str
        A file, a folder (all files below it, hidden ones skipped) or a glob such as ``"2019/*.nc4"``.
    base : path
        What relative patterns are relative to.

    Raises
    ------
    ConfigError
        A pattern matches nothing.
    """
    base = Path(base)
    found: set[Path] = set()
    for pattern in patterns:
        path = base / Path(pattern).expanduser()
        if path.is_dir():
            matches = [
                p
                for p in path.rglob("*")
                if p.is_file() and not any(x.startswith(".") for x in p.relative_to(path).parts)
            ]
        elif path.exists():
            matches = [path]
        else:
            anchor = Path(path.anchor) if path.is_absolute() else Path()
            matches = [p for p in anchor.glob(str(path.relative_to(anchor))) if p.is_file()]
        if not matches:
            raise ConfigError(f"no file matches {str(pattern)!r} (looked in {base.resolve()})")
        found.update(matches)
    return sorted(found)
