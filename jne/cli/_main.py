"""The command `jne`: the group that every command joins."""

from __future__ import annotations

import click

import jne


class _Commands(click.Group):
    """A group whose commands report a ValueError or OSError as one readable message and exit status 1."""

    def invoke(self, ctx: click.Context):
        try:
            return super().invoke(ctx)
        except (ValueError, OSError, ModuleNotFoundError) as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(jne.__version__)
def main():
    """How nonlinear are a voxel's responses? Jacobian-based nonlinearity of neural encoding models."""
