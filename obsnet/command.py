"""A command from its options: one pydantic model is the signature, the help and the check.

A stage's table and the command of the same name share the model, so that a name, a default, a bound and a word of
help stand once. A command is a function of the checked options that returns what to show::

    @command("retrieval.superobs.options:SuperobsTable", work=True)
    def superobs(options: SuperobsTable, work: Work) -> Shown:
        '''Combine soundings into super-observations with honest errors.'''

The model is named, not imported: ``obsnet --help`` shows the first line of every command and loads none of them.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from obsnet.flag import Flag

__all__ = ["Command", "Flag", "Group", "Shown", "command"]


@dataclass(frozen=True)
class Shown:
    """What a command has to say.

    Parameters
    ----------
    data : Any
        For ``--json``.
    lines : iterable of str
        For people, on standard output; read only where no JSON is asked for.
    notes : iterable of str
        On standard error, either way.
    failed : int
        Inputs that were bad; the exit code is 1 where there are any.
    """

    data: Any = None
    lines: Iterable[str] = ()
    notes: Iterable[str] = ()
    failed: int = 0


@dataclass(frozen=True)
class Command:
    """A function of options, and where its model is.

    Parameters
    ----------
    run : callable
        ``run(options)``, or ``run(options, work)``, to `Shown`.
    model : str
        ``module:Class`` of the options; empty for a command without any.
    work : bool
        Whether the command works through many items and takes the flags of `obsnet.work.work.Work`.
    """

    run: Callable[..., Shown]
    model: str
    work: bool = False

    @property
    def help(self) -> str:
        """Text of the function."""
        return inspect.getdoc(self.run) or ""

    def call(self, given: Mapping[str, Any], *, as_json: bool = False, quiet: bool = False) -> int:
        """Check what was given, run, show; return the exit code.

        Quiet, what is told while it runs is told to nobody but the run's journal; failures and errors are told.
        """
        import contextlib
        import os
        import sys

        from obsnet.config import validate
        from obsnet.output import emit
        from obsnet.work.work import Work

        models = ([load(self.model)] if self.model else []) + [Work] * self.work
        options = [validate(m, gather(m, given), self.run.__name__) for m in models]

        def show() -> int:
            with contextlib.ExitStack() as stack:
                if quiet:
                    nobody = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
                    stack.enter_context(contextlib.redirect_stderr(nobody))
                shown = self.run(*options)
            if as_json:
                emit(shown.data)
            else:
                for line in shown.lines:
                    print(line, flush=True)
            for line in shown.notes if shown.failed or not quiet else ():
                print(line, file=sys.stderr)
            return 1 if shown.failed else 0

        if not self.work:
            return show()
        from obsnet.work.mpi import run_where

        return run_where(options[-1], show, 0)

    def function(self) -> Callable[..., int]:
        """Return a function whose signature typer turns into options."""
        from obsnet.work.work import Work

        parameters = _parameters(load(self.model)) if self.model else []
        parameters += _parameters(Work) if self.work else []
        import typer

        json = inspect.Parameter(
            "as_json",
            inspect.Parameter.KEYWORD_ONLY,
            default=False,
            annotation=Annotated[bool, typer.Option("--json", help="Print JSON.")],
        )

        silence = inspect.Parameter(
            "quiet",
            inspect.Parameter.KEYWORD_ONLY,
            default=False,
            annotation=Annotated[
                bool, typer.Option("--quiet", help="Say nothing while it runs; failures are still said.")
            ],
        )

        def function(*, as_json: bool, quiet: bool, **given: Any) -> int:
            code = self.call({k: v for k, v in given.items() if _said(v)}, as_json=as_json, quiet=quiet)
            if code:
                raise typer.Exit(code)
            return code

        signature = inspect.Signature([*parameters, json, silence])
        function.__signature__ = signature  # type: ignore[attr-defined]
        function.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
        function.__doc__ = self.help
        return function


@dataclass(frozen=True)
class Group:
    """Commands under one name.

    Parameters
    ----------
    help : str
        One line.
    commands : mapping of str to str
        Name to ``module:attribute``; loaded when asked for.
    default : str
        Which of them is meant where the first word is none of them, so that ``obsnet design case.toml`` is
        ``obsnet design choose case.toml``; empty for none.
    """

    help: str
    commands: Mapping[str, str] = field(default_factory=dict)
    default: str = ""


def command(model: str = "", *, work: bool = False) -> Callable[[Callable[..., Shown]], Command]:
    """Make a command of a function of checked options; see `Command`."""
    return lambda run: Command(run, model, work)


def load(path: str) -> Any:
    """Return what ``module:attribute`` names."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


def _said(value: Any) -> bool:
    return value is not None and value not in ([], ())


def _parameters(model: Any, prefix: str = "") -> list[inspect.Parameter]:
    """Return a parameter for each field of a model; tables inside it become ``--table-field``."""
    import typer

    found: list[inspect.Parameter] = []
    for name, about in model.model_fields.items():
        flag, kind = _flag_of(about), _plain(about.annotation)
        if flag.hidden:
            continue
        if _is_table(kind):
            found += _parameters(kind, f"{prefix}{name}__")
            continue
        if not (flag.form or _sayable(kind)):
            continue
        python, word = (str, flag.form) if flag.form else _typed(kind)
        required = about.is_required() and not prefix
        text = about.description or ""
        if about.is_required():
            text += " [needed with others of its table]" if prefix else ""
        elif about.default not in (None, False, [], ()) and about.default_factory is None:
            text += f" [default: {_words(about.default)}]"
        decls = () if flag.positional else (_spelling(prefix + name, python, about.default), *flag.names)
        info: Any = (
            typer.Argument(help=text, metavar=name.upper(), show_default=False)
            if flag.positional
            else typer.Option(*decls, help=text, metavar=word, show_default=False)
        )
        found.append(
            inspect.Parameter(
                prefix + name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if required else None,
                annotation=Annotated[python if required else python | None, info],
            )
        )
    return sorted(found, key=lambda p: p.default is not inspect.Parameter.empty)


def _flag_of(about: Any) -> Flag:
    """Return how a field appears; its own word goes before that of its type."""
    return next((m for m in (*about.metadata, *_metadata(about.annotation)) if isinstance(m, Flag)), Flag())


def _metadata(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Annotated:
        return annotation.__metadata__
    return tuple(m for a in get_args(annotation) for m in _metadata(a))


def _is_table(kind: Any) -> bool:
    from pydantic import BaseModel

    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _spelling(name: str, python: Any, default: Any) -> str:
    text = "--" + name.replace("__", "-").replace("_", "-").rstrip("-")
    return f"{text}/--no-{text[2:]}" if python is bool and default is True else text


def _plain(annotation: Any) -> Any:
    """Take ``| None`` and `Annotated` off an annotation; a text that may stand for something else is text."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        rest = [_plain(a) for a in get_args(annotation) if a is not type(None)]
        return rest[0] if len(rest) == 1 else (str if all(_sayable(r) for r in rest) else Any)
    return annotation


def _sayable(kind: Any) -> bool:
    """Tell whether a value of a kind can be typed: numbers, words, lists and ``key=value`` of them."""
    if get_origin(kind) in (list, tuple, dict):
        return all(_sayable(_plain(a)) for a in get_args(kind) if a is not Ellipsis)
    if get_origin(kind) is Literal:
        return True
    return isinstance(kind, type) and (kind in (str, int, float, bool) or _path(kind))


def _path(kind: type) -> bool:
    from pathlib import Path

    return issubclass(kind, Path)


def _typed(kind: Any) -> tuple[Any, str | None]:
    """Return what typer reads and the word that stands for it in the help; pydantic does the checking."""
    if kind is bool:
        return bool, None
    if get_origin(kind) in (list, tuple):
        return list[str], _word(_plain(get_args(kind)[0]))
    if get_origin(kind) is dict:
        inner = _plain(get_args(kind)[1])
        several = get_origin(inner) in (list, tuple)
        return list[str], "NAME=" + (_word(_plain(get_args(inner)[0])) + ",…" if several else _word(inner))
    return str, _word(kind)


def _word(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return "[" + "|".join(map(str, get_args(kind))) + "]"
    return {int: "INTEGER", float: "NUMBER"}.get(kind, "TEXT")


def _words(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def gather(model: Any, given: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return what was typed as the tables of a model: lists from words with commas, tables from ``key=value``.

    Parameters
    ----------
    model : type of pydantic.BaseModel
        Whose fields were given.
    given : mapping
        By field name, with ``table__field`` for the fields of tables inside it.
    prefix : str
        Of the names of this table.
    """
    found: dict[str, Any] = {}
    for name, about in model.model_fields.items():
        flag, kind = _flag_of(about), _plain(about.annotation)
        if _is_table(kind):
            if inner := gather(kind, given, f"{prefix}{name}__"):
                found[name] = inner
        elif prefix + name in given:
            value = given[prefix + name]
            if get_origin(kind) in (list, tuple) and not (flag.form or flag.positional or flag.whole):
                value = [word.strip() for text in value for word in text.split(",")]
            elif get_origin(kind) is dict:
                value = _pairs(value, name)
                if get_origin(_plain(get_args(kind)[1])) in (list, tuple):
                    value = {k: [word.strip() for word in v.split(",")] for k, v in value.items()}
            found[name] = value
    return found


def _pairs(texts: Iterable[str], name: str) -> dict[str, str]:
    """Return ``NAME=VALUE`` by name; a name with two values is a mistake."""
    from obsnet.errors import ConfigError

    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            raise ConfigError(f"{_spelling(name, str, None)} {text!r}: write it as NAME=VALUE")
        if found.setdefault(key, value) != value:
            raise ConfigError(
                f"{_spelling(name, str, None)}: {key!r} is {found[key]!r} and {value!r}; say which"
            )
    return found
