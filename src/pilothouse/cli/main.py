"""The `pilothouse` command: finds the commands that are installed and says errors in words."""

from __future__ import annotations

import gc
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from pilothouse.cli.lazy import LazyGroup
from pilothouse.cli.session import Session
from pilothouse.core.environment import prefer
from pilothouse.core.errors import PilothouseError, UserCodeError
from pilothouse.core.version import VERSION

INTERRUPTED = 130
DEFECT = 70

T = TypeVar("T")


@click.group(cls=LazyGroup, group="commands", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-C",
    "--project",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder of the project, in place of the current one; the project is found upward from it.",
)
@click.version_option(VERSION, prog_name="pilothouse", message="%(prog)s %(version)s")
@click.pass_context
def pilothouse(context: click.Context, project: Path | None) -> None:
    """Build a flow, try variants on data, judge them with sound statistics.

    Start with `pilothouse demo`, or `pilothouse init` for a project of your own.
    """
    _wake_collector()
    context.obj = context.with_resource(Session(project))


def main(arguments: list[str] | None = None) -> None:
    """Run one command and leave with its exit code.

    0: done. 1: done, but rows or the user's own code failed. 2: a mistake in what was given. 3: a model, disk or
    database failed. 70: a defect in Pilothouse. 130: stopped by the user.
    """
    if arguments is None:
        rest_collector()
        # To pyreqwest's allocator: memory that is free goes back at once, 10 to 15 MB of a gateway after a burst.
        prefer("MIMALLOC_PURGE_DELAY", "0")
    sys.exit(door(lambda: pilothouse.main(arguments, prog_name="pilothouse", standalone_mode=False)))


def door(command: Callable[[], Any]) -> int:
    """Run a command, say its errors in words, and return its exit code."""
    output = sys.stdout
    try:
        result = command()
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _say("stopped")
        return INTERRUPTED
    except SystemExit:
        # When the reader of our output went away (`... | head`), click puts another stream in place and leaves.
        if sys.stdout is not output:
            return 0
        raise
    except PilothouseError as error:
        return _tell(error)
    except Exception:  # noqa: BLE001 - the door: a defect of ours must be told as such
        traceback.print_exc()
        _say("this is a defect in Pilothouse, not in your project; please report it with the lines above")
        return DEFECT
    return result if isinstance(result, int) else 0


def rest_collector() -> None:
    """Collect no rubbish until the command is imported; for a process that does nothing but this command.

    What is imported stays: to look through it over and over while it grows, and once more when the process ends, is a
    quarter of a short command.
    """
    gc.disable()


def _wake_collector() -> None:
    """Collect from what comes from here on, where the collector rests; what is imported stays out of its sight."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def _tell(error: PilothouseError) -> int:
    if isinstance(error, UserCodeError) and error.traceback:
        sys.stderr.write(error.traceback.rstrip() + "\n")
    _say(str(error))
    return error.exit_code


def _say(text: str) -> None:
    mark = click.style("error:", fg="red", bold=True) if sys.stderr.isatty() else "error:"
    click.echo(f"{mark} {text}", err=True)
