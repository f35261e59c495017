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
        except (ValueError, OSError, ModuleNotFoundError) as error:
            raise click.ClickException(_printable(_sentence(error))) from error
        except Exception as error:
            from jne._core import is_out_of_memory, memory_sentence

            if not is_out_of_memory(error):
                raise
            # What libraries still do while Python ends fails in its turn, and has nothing to add.
            sys.unraisablehook = lambda _: None
            raise click.ClickException(memory_sentence(error)) from error


def _printable(text: str) -> str:
    from jne._core import printable

    return printable(text)


def _sentence(error: Exception) -> str:
    if not isinstance(error, OSError):
        return str(error)
    from jne._core import DiskFullError, is_full, is_out_of_memory, memory_sentence

    if is_out_of_memory(error):
        return memory_sentence(error)
    if isinstance(error, DiskFullError) or not is_full(error):
        return str(error)
    # Of a file that another library writes.
    return str(DiskFullError(Path(error.filename or "what was begun").absolute(), 0))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(jne.__version__)
def main():
    """How nonlinear are a voxel's responses? Jacobian-based nonlinearity of neural encoding models."""
