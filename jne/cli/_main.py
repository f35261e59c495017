"""The command `jne`: the group that every command joins."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import click

import jne


class _Commands(click.Group):
    """A group whose commands report a ValueError or OSError as one readable message and exit status 1."""

    def invoke(self, ctx: click.Context):
        if isinstance(sys.stdout, io.TextIOWrapper):
            # A name of a file may hold what the terminal, or any text, cannot.
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except MemoryError as error:
            raise click.ClickException(f"there is not enough memory ({error or 'nothing more is known'})") from error
        except (ValueError, OSError, ModuleNotFoundError) as error:
            raise click.ClickException(_sentence(error)) from error


def _sentence(error: Exception) -> str:
    if not isinstance(error, OSError):
        return str(error)
    from jne._core import DiskFullError, is_full

    if isinstance(error, DiskFullError) or not is_full(error):
        return str(error)
    # Of a file that another library writes.
    return str(DiskFullError(Path(error.filename or "what was begun").absolute(), 0))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(jne.__version__)
def main():
    """How nonlinear are a voxel's responses? Jacobian-based nonlinearity of neural encoding models."""
