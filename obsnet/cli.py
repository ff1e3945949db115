"""The one door: collects every package's commands and turns user mistakes into one line.

A command is a typer app or a function, declared as an entry point of the group ``obsnet.commands``. Only the
command that is called is imported.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from obsnet import __version__
from obsnet.command import Command, Group, load
from obsnet.errors import ConfigError, DependencyError, Exit, ObsnetError, nearest
from obsnet.job import job_id

__all__ = ["main"]


class _Lazy(TyperGroup):
    """A group whose commands are loaded when asked for; their list shows first lines and builds no options."""

    def _places(self) -> dict[str, str]:
        """Return ``module:attribute`` by name."""
        from importlib.metadata import entry_points

        return {e.name: e.value for e in entry_points(group="obsnet.commands")}

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(self._places())

    def get_command(self, ctx: Any, name: str) -> Any:
        return _command(name, self._target(name))

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        rows = [(name, _first_line(self._target(name))) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def _target(self, name: str) -> Any:
        place = self._places().get(name)
        if place is None:
            raise ObsnetError(f"no command {name!r}{nearest(name, self._places())}")
        try:
            return load(place)
        except (ImportError, AttributeError) as error:
            return _broken(name, f"{place} cannot be loaded: {error}")


class _Once(TyperCommand):
    """A command that refuses an option given twice, of which click would take the last without a word."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for option, times in Counter(order).items():
            if times > 1 and option.param_type_name == "option" and not (option.multiple or option.is_eager):
                raise ConfigError(f"{max(option.opts, key=len)} is given {times} times; give it once")
        return super().parse_args(ctx, args)


def _group(group: Group) -> Any:
    class Members(_Lazy):
        def _places(self) -> dict[str, str]:
            return dict(group.commands)

        def list_commands(self, ctx: Any) -> list[str]:
            return list(group.commands)

        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            if group.default and args and args[0] not in (*group.commands, *ctx.help_option_names):
                args = [group.default, *args]
            return super().parse_args(ctx, args)

    app = typer.Typer(
        cls=Members, add_completion=False, rich_markup_mode=None, no_args_is_help=True, help=group.help
    )
    app.callback()(lambda: None)
    return app


def _command(name: str, target: Any) -> Any:
    """Make a command of ours, of a typer app, or of a plain function with typer options."""
    if isinstance(target, Group):
        target = _group(target)
    elif not isinstance(target, typer.Typer):
        function = target.function() if isinstance(target, Command) else target
        target = typer.Typer(add_completion=False, rich_markup_mode=None)
        target.command(name, cls=_Once)(function)
    command = typer.main.get_command(target)
    command.name = name
    return command


def _first_line(target: Any) -> str:
    text = target.info.help if isinstance(target, typer.Typer) else getattr(target, "help", target.__doc__)
    return str(text or "").strip().partition("\n")[0]


def _broken(name: str, why: str) -> Any:
    def fail() -> None:
        raise DependencyError(f"command {name!r}: {why}")

    fail.__doc__ = f"({why})"
    return fail


app = typer.Typer(
    cls=_Lazy,
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help="Carbon observation: granules and station records to emissions, tested against inventories.",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"obsnet {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if debug:
        os.environ["OBSNET_DEBUG"] = "1"


def main(args: list[str] | None = None) -> None:
    """Run the command line; it ends with a code of `obsnet.errors.Exit`."""
    from obsnet.install import stolen_names
    from obsnet.work.termination import orderly_end

    taken = stolen_names()
    if taken:
        print("obsnet: " + "; ".join(taken), file=sys.stderr)
        raise SystemExit(Exit.MISTAKE)
    # a batch system ends jobs that may go on; a person who ends a process has done so
    with orderly_end(Exit.AGAIN if job_id() else Exit.TERMINATED):
        _main(args)


def _main(args: list[str] | None) -> None:
    # Shared file systems refuse HDF5 locks; one thread a process leaves the cores to the workers.
    os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")
    try:
        code = typer.main.get_command(app).main(args=args, prog_name="obsnet", standalone_mode=False)
        raise SystemExit(code if isinstance(code, int) else 0)
    except (typer.Abort, KeyboardInterrupt):
        print("obsnet: interrupted; run the same command again to go on", file=sys.stderr)
        raise SystemExit(Exit.INTERRUPTED) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except Exception as error:
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # of whichever click typer brings
            error.show()
            raise SystemExit(error.exit_code) from None
        if os.environ.get("OBSNET_DEBUG"):
            raise
        raise SystemExit(_explain(error)) from None


def _explain(error: Exception) -> int:
    """Print an error as a user should see it and return the exit code."""
    if isinstance(error, ObsnetError):
        for line in str(error).splitlines():
            print(f"obsnet: {line}", file=sys.stderr)
        return error.exit_code
    if isinstance(error, MemoryError):
        print(f"obsnet: not enough memory: {error or 'the machine has no more'}", file=sys.stderr)
        return Exit.AGAIN
    if isinstance(error, OSError) and error.errno is not None:
        from obsnet.atomic import DISK_ERRORS

        print(f"obsnet: {error.filename or 'the disk'}: {error.strerror}", file=sys.stderr)
        return Exit.AGAIN if error.errno in DISK_ERRORS else Exit.MISTAKE
    print(f"obsnet: internal error: {type(error).__name__}: {error}", file=sys.stderr)
    print("obsnet: run again with `obsnet --debug …` and report the traceback", file=sys.stderr)
    return Exit.INTERNAL
