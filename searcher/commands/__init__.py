"""The command line. Each command has its own file, which is imported only when that command runs.

Exit codes: 0 success, 1 an error that is explained in one line, 2 wrong usage, 130 interrupted.
"""

import codecs
import io
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, TextIO

import click
from click.shell_completion import CompletionItem

from searcher import __version__
from searcher.commands.explaining import caused_by_interrupt, explained, one_line
from searcher.commands.shells import VARIABLE, complete
from searcher.errors import Interrupted

# Command name → one line of help, in the order in which `searcher --help` shows them. The module has the same name
# (`models` → searcher/commands/models.py) and contains a click command called `command`.
COMMANDS: dict[str, str] = {
    "demo": "Index the sample photos and run five queries on them.",
    "index": "Embed folders of photos. Later runs embed only what changed.",
    "watch": "Keep the library up to date while photos come and go.",
    "serve": "Open a page in the browser to search and look at photos.",
    "search": "Find photos that match a description, or look like an image.",
    "tag": "Add labels to the photos of the library.",
    "tags": "List the labels and the number of photos that have each.",
    "classify": "Label single photos. They need not be in the library.",
    "teach": "Define a label with a few example photos.",
    "duplicates": "List photos that are copies of one another. Nothing is deleted.",
    "status": "Show what the library contains.",
    "check": "Check the library for errors, and repair its index with --repair.",
    "export": "Write what you typed to a file: labels by hand, taught labels, folders.",
    "restore": "Add what `searcher export` wrote to a library.",
    "load": "Add what `searcher embed` wrote to a library.",
    "roots": "List the indexed folders, or say that one is now at another path.",
    "forget": "Remove a folder from the library. Its photos are not deleted.",
    "embed": "Embed millions of photos into Parquet files, here or on a cluster.",
    "models": "Manage the models on this machine.",
    "completion": "Print the script that makes a shell complete commands and labels.",
    "train": "Train image and text encoders on (image, caption) pairs.",
    "evaluate": "Measure a model: zero-shot accuracy, or recall on pairs.",
}

LOG_FORMAT = "%(relativeCreated)6d ms  %(name)s: %(message)s"


class _Interrupted(Exception):
    """The user pressed Ctrl-C while a command was running."""


class LazyGroup(click.Group):
    """A group that imports the module of a command only when the command is used. This keeps the start-up fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"searcher.commands.{cmd_name}")
        command: click.Command = module.command
        _accept_debug(command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands. Unlike click's own method, this imports none of them."""
        found = [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]
        return [*found, *super(click.Group, self).shell_complete(ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command line and end the process. An error becomes one line on stderr and an exit code."""
        if kwargs.get("standalone_mode") is False:
            return super().main(*args, **kwargs)
        if VARIABLE in os.environ:
            complete(self)
            sys.exit(0)
        kwargs.update(prog_name="searcher", standalone_mode=False)
        _open_closed_streams()
        for stream in (sys.stdout, sys.stderr):
            _print_names_as_they_are(stream)
        given = kwargs.get("args") or (args[0] if args else None) or sys.argv[1:]
        _exit(lambda: super(LazyGroup, self).main(*args, **kwargs), debug=_asks_for_debug(given))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise _Interrupted from error  # because click would print an empty line
        except Exception as error:
            if caused_by_interrupt(error):
                raise _Interrupted from error
            if not isinstance(error, BrokenPipeError):
                raise
            _drop_output()
            ctx.exit(0)


def _open_closed_streams() -> None:
    """Let a stream that the caller has closed (`>&-`) lead to the null device.

    Otherwise the next file that is opened would get its number, and with it whatever is printed.
    """
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 (open until the process ends)
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 (open until the process ends)


def _print_names_as_they_are(stream: TextIO) -> None:
    """Make `stream` print a name that is not UTF-8 as its bytes on disk. Without a locale, UTF-8 is used."""
    if isinstance(stream, io.TextIOWrapper):
        no_locale = codecs.lookup(stream.encoding).name == "ascii"
        stream.reconfigure(encoding="utf-8" if no_locale else None, errors="surrogateescape")


def _drop_output() -> None:
    """Send stdout to the null device, because its reader (`| head`) closed it.

    Otherwise Python would report an error when it flushes stdout at exit.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _accept_debug(command: click.Command) -> None:
    """Add --debug to a command, and to the commands of a group."""
    if not any(parameter.name == "debug" for parameter in command.params):
        help_text = "Print log records, and the traceback of an error."
        command.params.append(click.Option(["--debug"], is_flag=True, expose_value=False, help=help_text))
    if isinstance(command, click.Group):
        for child in command.commands.values():
            _accept_debug(child)


def _asks_for_debug(arguments: Sequence[str]) -> bool:
    """Whether --debug is among the options. It is needed before click has read them."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--debug" in options


def _exit(run: Callable[[], Any], debug: bool) -> NoReturn:
    """Call `run`, and end the process with the exit code for what it returned or raised."""
    if debug:
        logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, format=LOG_FORMAT)
    try:
        code = run()
        sys.stdout.flush()
    except Exception as error:
        if debug and not isinstance(error, click.exceptions.Exit):
            traceback.print_exc()
        _explain(error)
    except KeyboardInterrupt as error:
        _explain(error)
    sys.exit(code if isinstance(code, int) else 0)


def _explain(error: BaseException) -> NoReturn:
    """End the process with one line about an error, and its exit code."""
    if isinstance(error, _Interrupted | click.Abort | KeyboardInterrupt):
        if sys.stderr.isatty():
            print(file=sys.stderr)  # end the line on which the terminal shows ^C
        _fail("Interrupted. Completed work is kept. Run the same command again to continue.", 130, label="")
    if isinstance(error, Interrupted):
        _fail(one_line(str(error)), 130, label="")
    if isinstance(error, BrokenPipeError):
        _drop_output()
        sys.exit(0)
    _fail(*explained(error))


def _fail(message: str, code: int, label: str = "Error: ") -> NoReturn:
    print(label + message, file=sys.stderr)
    sys.exit(code)


@click.group(cls=LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="searcher")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Find your photos by describing them. Nothing leaves this machine."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        ctx.color = False
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


_accept_debug(main)
