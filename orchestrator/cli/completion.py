"""`orchestrator completion`: the script that a shell reads so that it can ask us what to offer."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from orchestrator.cli.command import command
from orchestrator.cli.output import Output, note, write
from orchestrator.errors import UsageError

SHELLS = ("bash", "zsh", "fish")
PROGRAM = "orchestrator"
VARIABLE = "_ORCHESTRATOR_COMPLETE"
_INSTALL = {
    "bash": 'put  eval "$(orchestrator completion bash)"  into ~/.bashrc',
    "zsh": 'put  eval "$(orchestrator completion zsh)"  into ~/.zshrc, after compinit',
    "fish": "orchestrator completion fish > ~/.config/fish/completions/orchestrator.fish",
}


@command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def completion(ctx: click.Context, shell: str) -> None:
    """Write the completion script for SHELL: commands, options, workflows and instance ids.

    \b
    bash:  put  eval "$(orchestrator completion bash)"  into ~/.bashrc
    zsh:   put  eval "$(orchestrator completion zsh)"  into ~/.zshrc, after compinit
    fish:  orchestrator completion fish > ~/.config/fish/completions/orchestrator.fish
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(f"There is no completion for {shell}.")
    # click would start the installed bash to read its version; the script works from bash 4.4 on.
    script = kind(click.Command(PROGRAM), {}, PROGRAM, VARIABLE)
    text = script.source_template % script.source_vars()
    output = Output.of(ctx)
    output.record({"shell": shell, "script": text}, id=text, show=lambda: write(text))
    if output.for_people and output.to_terminal:
        note(f"To have it in every shell: {_INSTALL[shell]}")
