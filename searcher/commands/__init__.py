"""The command line: one file a command, imported only when that command runs.

Exit codes: 0 done, 1 an error explained in one line, 2 wrong usage, 130 interrupted.
"""

import codecs
import io
import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, NoReturn, TextIO

import click

from searcher import __version__
from searcher.errors import SearcherError

# command name → one line of help, in the order that `searcher --help` shows; the module has the same name
# (`models` → searcher/commands/models.py) and a click command called `command`.
COMMANDS: dict[str, str] = {
    "demo": "Index the sample photos and search them: see it work.",
    "index": "Embed folders of photos; run again, only what changed is embedded.",
    "search": "Find photos by a description, or by a photo like them.",
    "tag": "Label the whole library: which of these are in each photo, or which one?",
    "tags": "List the labels and how many photos have them.",
    "classify": "Label loose photos.",
    "teach": "Make a label from a few example photos.",
    "status": "Say what the library holds.",
    "check": "Check that the library is sound; --repair mends what can be derived.",
    "forget": "Take a folder out of the library (its photos stay untouched).",
    "models": "List the models, import one, look at one.",
    "train": "Train aligned image and text encoders on (image, caption) pairs.",
    "evaluate": "Measure a model: zero-shot accuracy, or recall of pairs.",
}


class _Interrupted(Exception):
    """Ctrl-C while a command ran."""


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is asked for, so that start-up stays short."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"searcher.commands.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command line as a process does: errors become one line on stderr and an exit code."""
        if kwargs.get("standalone_mode") is False:
            return super().main(*args, **kwargs)
        kwargs.update(prog_name="searcher", standalone_mode=False)
        for stream in (sys.stdout, sys.stderr):
            _print_names_as_they_are(stream)
        _exit(lambda: super(LazyGroup, self).main(*args, **kwargs))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise _Interrupted from error  # click would print an empty line
        except Exception as error:
            if _caused_by_interrupt(error):
                raise _Interrupted from error
            if not isinstance(error, BrokenPipeError):
                raise
            _drop_output()
            ctx.exit(0)


def _caused_by_interrupt(error: BaseException | None) -> bool:
    """Whether Ctrl-C is at the bottom of it: in the import of a native module it surfaces as ImportError."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _print_names_as_they_are(stream: TextIO) -> None:
    """A name that is not UTF-8 is printed as the bytes it has on disk; without a locale, UTF-8 is assumed."""
    if isinstance(stream, io.TextIOWrapper):
        no_locale = codecs.lookup(stream.encoding).name == "ascii"
        stream.reconfigure(encoding="utf-8" if no_locale else None, errors="surrogateescape")


def _drop_output() -> None:
    """The reader of our output (`| head`) has what it wanted: let stdout lead nowhere, so that Python does
    not complain when it flushes it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _exit(run: Callable[[], Any]) -> NoReturn:
    """End the process with the exit code that belongs to what `run` returned or raised."""
    try:
        code = run()
        sys.stdout.flush()
    except click.UsageError as error:
        help_hint = f" See: {error.ctx.command_path} --help" if error.ctx else ""
        _fail(error.format_message() + help_hint, 2)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except (_Interrupted, click.Abort, KeyboardInterrupt):
        if sys.stderr.isatty():
            print(file=sys.stderr)  # behind the terminal's ^C
        _fail("Interrupted; what was done is kept, and the same command goes on from there.", 130, label="")
    except SearcherError as error:
        _fail(str(error), 1)
    except BrokenPipeError:
        _drop_output()
        sys.exit(0)
    except OSError as error:  # a full disk, a folder that may not be written …
        where = f": {os.fsdecode(error.filename)}" if error.filename else ""
        _fail(f"{error.strerror or error}{where}", 1)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int, label: str = "Error: ") -> NoReturn:
    print(label + " ".join(message.split()), file=sys.stderr)
    sys.exit(code)


@click.group(cls=LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="searcher")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Find your photos by describing them. Nothing leaves this machine."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
