"""The command line: one file a command, imported only when that command runs."""

from importlib import import_module

import click

from searcher import __version__

# command name → one line of help, in the order that `searcher --help` shows; the module has the same name
# (`models` → searcher/commands/models.py) and a click command called `command`.
COMMANDS: dict[str, str] = {
    "train": "Train aligned image and text encoders on (image, caption) pairs.",
}


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is asked for: start-up stays short."""

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


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="searcher")
def main() -> None:
    """Find your photos by describing them. Nothing leaves this machine."""
