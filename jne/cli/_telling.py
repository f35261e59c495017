"""What a long command says on stderr while it works, with or without a terminal."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from jne.datasets import EncodingDataset

_USUAL = (20, 100)
"""Epochs after which a fit usually stops."""
_TRIAL = 2


@contextmanager
def telling() -> Iterator[None]:
    """Within it, what the package is at is told on stderr, with the seconds since the beginning."""
    start = time.monotonic()

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            tell(f"{time.monotonic() - start:6.0f} s  {record.getMessage()}")

    logger, handler = logging.getLogger("jne"), Lines(logging.INFO)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def tell(line: str) -> None:
    """A line on stderr."""
    click.echo(line, err=True)


def layer_to_study(data: EncodingDataset, layer: str | None) -> str | None:
    """The layer given; without one, of a dataset that names none of several, the best for all, which is told."""
    from jne.encoders import best_single_layer

    if layer is None and data.default_layer is None and len(data.layers) > 1:
        layer = best_single_layer(data)
        tell(f"{data.name} names no layer; from {layer} a linear encoder predicts the validation stimuli best")
    return layer


def expected_time(data: EncodingDataset, layer: str | None, fits: int, encoder_options: Mapping) -> str:
    """How long so many fits take, from two epochs of the encoder: a sentence."""
    from jne.encoders import ResidualEncoder

    few = [[0.0], [1.0], [2.0]]
    ResidualEncoder(hidden_size=1, max_epochs=1).fit(few, few, few, few)  # torch loads more of itself at the first fit
    start = time.monotonic()
    ResidualEncoder(**{**encoder_options, "max_epochs": _TRIAL}).fit(
        data, layer=data.layers[-1] if layer == "best" else layer
    )
    epoch = (time.monotonic() - start) / _TRIAL
    low, high = (_duration(fits * epoch * epochs) for epochs in _USUAL)
    most = _duration(fits * epoch * encoder_options["max_epochs"])
    return (
        f"{fits} fits, {epoch:.2g} s an epoch: {low} to {high} if they stop after {_USUAL[0]} to {_USUAL[1]} epochs, "
        f"as they usually do, and at most {most}; what is done already is not done again"
    )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
