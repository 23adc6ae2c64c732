"""The program: its commands, its exit codes, and what becomes of errors.

Nothing here, and nothing at the top of a command's module, imports more than typer and the errors: help and
usage errors must not wait for onnx. A command imports what it needs when it runs.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
import traceback
import warnings
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from graphopt.cli.exits import BUG, DONE, FAILED, INTERRUPTED, USAGE
from graphopt.cli.recipe import Switchable
from graphopt.errors import GraphoptError, VerificationError

COMMANDS = ("optimize", "inspect", "passes", "compare", "evaluate", "bench", "why", "view", "init", "makefile")
"""In the order of the help. Each is a function in a module of its name."""
ABOUT = "A verified compiler for ONNX models: every rewrite is checked against what it promises about the numbers."
EPILOG = (
    "Exit codes: 0 done; 1 a check failed, or a limit was missed; 2 usage, or input that cannot be read; 3 done, but "
    "something was rolled back or unverified and --strict was given; 70 a bug in graphopt; 130 interrupted."
)


class Commands(TyperGroup):
    """Turns errors that are meant for the user into one sentence and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command. Raises typer.Exit with the code of an error that it has printed."""
        try:
            return super().invoke(ctx)
        except VerificationError as error:
            raise _told(str(error), FAILED) from error
        except GraphoptError as error:
            raise _told(str(error), USAGE) from error
        except BrokenPipeError:
            raise  # whoever read the output has seen enough
        except MemoryError as error:
            raise _told("there is not enough memory for this model", USAGE) from error
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            raise _told(f"{place}{error.strerror or error}", USAGE) from error


def _told(message: str, code: int) -> typer.Exit:
    """The exit to take after saying why."""
    from graphopt.cli.terminal import complain

    complain(message)
    return typer.Exit(code)


def application(*names: str) -> typer.Typer:
    """The program with these commands, or with all if none is named; the modules of others are not imported."""
    made = typer.Typer(
        name="graphopt",
        cls=Commands,
        help=ABOUT,
        epilog=EPILOG,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    made.callback()(_program)
    for name in names or COMMANDS:
        command = getattr(import_module(f"graphopt.cli.{name}"), name)
        made.command(cls=Switchable, epilog=EPILOG)(command)
    return made


def _print_version(wanted: bool) -> None:
    if wanted:
        from graphopt import __version__

        typer.echo(f"graphopt {__version__}")
        raise typer.Exit


def _program(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


def _end_at_once() -> NoReturn:
    """Leave with the code of an interrupt. Everything has been cleared away on the way here; what the interpreter would
    still do is not safe while threads run native code."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(INTERRUPTED)


def main() -> NoReturn:
    """Run the program with the arguments of this process, and end it with one of the exit codes."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ONNX Runtime would tell its maker of the models that it runs
    atexit.register(gc.freeze)  # the process ends with all that it holds: there is no garbage to be looked for
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    try:
        asked = [name for name in sys.argv[1:2] if name in COMMANDS]  # help, completion and typing errors take all
        application(*asked)(prog_name="graphopt")
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # nobody reads the help any more, as with `| head`
            from graphopt.cli.terminal import drop_output

            drop_output()
            sys.exit(DONE)
        if end.code == INTERRUPTED:
            _end_at_once()
        raise
    except KeyboardInterrupt:
        _end_at_once()
    except Exception:  # noqa: BLE001 - whatever it is, it is ours, and has a code of its own
        traceback.print_exc()
        typer.echo("graphopt: this is a bug in graphopt; please report it with the lines above", err=True)
        sys.exit(BUG)
    sys.exit(DONE)
