"""Options of the commands that fit encoders: which layer, which seeds, which encoder, how much memory."""

from __future__ import annotations

from collections.abc import Callable

import click

_STUDY = (
    click.option(
        "--layer", help="Feature layer, or best: each voxel's own.  [default: the dataset's, or the best for all]"
    ),
    click.option("--seed", default=0, help="Seed of the encoders, and of whatever else is drawn."),
    click.option("--seeds", "n_seeds", default=2, help="Fits from different seeds, whose mean is measured."),
)
_ENCODER = (
    click.option("--hidden-size", default=1024, help="Width of the encoder."),
    click.option("--blocks", "n_blocks", default=2, help="Residual blocks of the encoder."),
    click.option("--activation", default="relu", help="Activation of the encoder."),
    click.option("--lr", default=1e-3, help="Learning rate."),
    click.option("--weight-decay", default=1e-2, help="Weight decay of AdamW."),
    click.option("--max-epochs", default=512, help="Most epochs of a fit."),
    click.option("--patience", default=8, help="Epochs without a better validation loss before a fit stops."),
    click.option("--device", default="auto", help="auto, cpu or cuda."),
    click.option("--max-memory", default="2GB", help="Memory to work in."),
)


def study_options(command: Callable) -> Callable:
    """``layer``, ``seed`` and ``n_seeds``."""
    return _with(_STUDY, command)


def fit_options(command: Callable) -> Callable:
    """``max_memory`` and the options of a `jne.ResidualEncoder`."""
    return _with(_ENCODER, command)


def _with(options: tuple[Callable, ...], command: Callable) -> Callable:
    for option in reversed(options):
        command = option(command)
    return command
