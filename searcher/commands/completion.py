"""`searcher completion`: prints the script that makes a shell complete commands, options and labels."""

import click

from searcher.commands.shells import SHELLS, script


@click.command()
@click.argument("shell", type=click.Choice(list(SHELLS)))
def command(shell: str) -> None:
    """Print the script that makes SHELL complete `searcher`: commands, options, labels, models, folders and files.

    \b
    bash:  add this line to ~/.bashrc
           eval "$(searcher completion bash)"
    zsh:   add this line to ~/.zshrc, after compinit
           eval "$(searcher completion zsh)"
    fish:  run this once
           searcher completion fish > ~/.config/fish/completions/searcher.fish
    """
    click.echo(script(shell), nl=False)
