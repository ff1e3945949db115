"""The one door: collects every package's commands and turns user mistakes into one line.

A command is a typer app or a function, declared as an entry point of the group ``obsnet.commands``. Only the
command that is called is imported.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import click

from obsnet import __version__
from obsnet.errors import ObsnetError, nearest

__all__ = ["emit", "main"]


class _Lazy(click.Group):
    """A group whose commands are entry points, loaded when asked for."""

    def _points(self) -> dict[str, Any]:
        from importlib.metadata import entry_points

        return {e.name: e for e in entry_points(group="obsnet.commands")}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._points())

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        point = self._points().get(name)
        return None if point is None else _command(name, point.load())

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self._points():
            raise click.UsageError(f"no command {args[0]!r}{nearest(args[0], self._points())}", ctx)
        return super().resolve_command(ctx, args)


def _command(name: str, target: Any) -> click.Command:
    """Make a click command of a typer app or of a plain function with typer options."""
    import typer

    if not isinstance(target, typer.Typer):
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command(name)(target)
        target = app
    command = typer.main.get_command(target)
    command.name = name
    return command


@click.group(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help="Carbon observation: granules and station records to emissions, tested against inventories.",
)
@click.version_option(__version__, prog_name="obsnet")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def _root(debug: bool) -> None:
    if debug:
        os.environ["OBSNET_DEBUG"] = "1"


def emit(data: Any) -> None:
    """Print data as JSON on standard output; NaN and infinity become null, times ISO 8601."""
    print(json.dumps(_plain(data), indent=1, ensure_ascii=False, allow_nan=False))


def _plain(value: Any) -> Any:
    """Turn numpy and path values into what JSON has."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(v) for v in value]
    if hasattr(value, "tolist") and not isinstance(value, str):
        kind = getattr(getattr(value, "dtype", None), "kind", "")
        return _plain(value.astype(str).tolist() if kind in "mM" else value.tolist())
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    return value if isinstance(value, int | str | bool | type(None)) else str(value)


def main(args: list[str] | None = None) -> None:
    """Run the command line; exit 0 done, 1 some inputs failed, 2 a mistake of the user."""
    from obsnet.doctor import stolen_names

    taken = stolen_names()
    if taken:
        print("obsnet: " + "; ".join(taken), file=sys.stderr)
        raise SystemExit(2)
    # Shared file systems refuse HDF5 locks; one thread a process leaves the cores to the workers.
    os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")
    try:
        _root.main(args=args, prog_name="obsnet", standalone_mode=False)
    except click.exceptions.Exit as stop:
        raise SystemExit(stop.exit_code) from None
    except click.ClickException as mistake:
        mistake.show()
        raise SystemExit(2) from None
    except (click.Abort, KeyboardInterrupt):
        print("obsnet: interrupted; run the same command again to go on", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except ObsnetError as error:
        if os.environ.get("OBSNET_DEBUG"):
            raise
        for line in str(error).splitlines():
            print(f"obsnet: {line}", file=sys.stderr)
        raise SystemExit(2) from None
    except Exception as error:
        if os.environ.get("OBSNET_DEBUG"):
            raise
        print(f"obsnet: internal error: {type(error).__name__}: {error}", file=sys.stderr)
        print("obsnet: run again with `obsnet --debug …` and report the traceback", file=sys.stderr)
        raise SystemExit(70) from None
