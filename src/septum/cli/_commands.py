"""The command line: `septum`, and where each of its commands is."""

from __future__ import annotations

import os
from importlib import import_module, metadata
from typing import Final, NamedTuple

import click
from click.shell_completion import add_completion_class

from septum.cli._completion import BashWithColons

add_completion_class(BashWithColons)


class Address(NamedTuple):
    """Where a command is.

    Attributes:
        place: "module:name" of the click command; imported when it is run, or asked for help.
        summary: One sentence for `septum --help`, which so imports no command.
    """

    place: str
    summary: str


COMMANDS: Final[dict[str, Address]] = {
    # One line a command, in the order in which `septum --help` shows them.
    "check": Address("septum.cli._check:check", "Find what is wrong with the definitions of a module or package."),
    "graph": Address("septum.cli._graph:graph", "Draw a definition, with heat from a recording if you like."),
    "run": Address("septum.cli._run:run", "Run a machine in this terminal and talk to it."),
    "runs": Address("septum.cli._runs:runs", "List the runs that recordings, spans or events tell of."),
    "replay": Address("septum.cli._replay:replay", "Read recorded runs back: step through them, check them, run them again."),
    "coverage": Address("septum.cli._coverage:coverage", "List what production does that no test does, and the reverse."),
    "doctor": Address("septum.cli._doctor:doctor", "Say what telemetry is made of here, and what is wrong."),
    "version": Address("septum.cli._version:version", "Say which Septum this is, and on what it stands."),
}


class Commands(click.Group):
    """A group that imports a command when it is needed, so that each starts quickly and asks only for its own packages."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of all commands, in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Return the command of this name, imported; None if there is none.

        Raises:
            click.ClickException: A package that the command needs is not installed.
        """
        address = COMMANDS.get(cmd_name)
        if address is None:
            return None
        module, _, name = address.place.partition(":")
        try:
            command: click.Command = getattr(import_module(module), name)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] == "septum":
                raise
            raise click.ClickException(f'septum {cmd_name} needs {error.name}; install it with: pip install "septum[cli]"') from None
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the names and summaries of all commands, none of which is imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, address.summary) for name, address in COMMANDS.items()])


_EXAMPLES = """\b
Is there anything wrong with my states?
  septum check app.states
What do they look like?
  septum graph app.states:Idle --format text
What do they do?
  septum run app.states:Idle
Completion, for bash (zsh and fish likewise):
  eval "$(_SEPTUM_COMPLETE=bash_source septum)"
"""


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EXAMPLES)
@click.version_option(metadata.version("septum"), prog_name="septum")
@click.pass_context
def septum(ctx: click.Context) -> None:
    """Look after the state machines of a service.

    Colours are for terminals; NO_COLOR=1 takes them away, FORCE_COLOR=1 brings them everywhere.
    """
    # Both are conventions, of no-color.org and force-color.org; set and empty is as unset.
    if os.environ.get("NO_COLOR"):
        ctx.color = False
    elif os.environ.get("FORCE_COLOR"):
        ctx.color = True
