"""``masu completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from masu.cli.exit_codes import DONE
from masu.cli.grammar import verb
from masu.cli.notes import print_result
from masu.cli.values import Word

INSTALLING = {
    "bash": "echo 'eval \"$(masu completion bash)\"' >> ~/.bashrc",
    "zsh": "echo 'eval \"$(masu completion zsh)\"' >> ~/.zshrc  # below compinit",
    "fish": "masu completion fish > ~/.config/fish/completions/masu.fish",
}
"""What installs the script, by shell; it works from the next shell on."""


@verb(short_help="The script that completes verbs, options and words.")
@click.argument("shell", type=Word(tuple(INSTALLING)))
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print the script with which SHELL (bash, zsh or fish) completes verbs, options and their words.

    \b
    bash:  echo 'eval "$(masu completion bash)"' >> ~/.bashrc
    zsh:   echo 'eval "$(masu completion zsh)"' >> ~/.zshrc  (below compinit)
    fish:  masu completion fish > ~/.config/fish/completions/masu.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(context.find_root().command, {}, "masu", "_MASU_COMPLETE")
    print_result(f"# install: {INSTALLING[shell]}\n{script.source_template % script.source_vars()}")
    return DONE
