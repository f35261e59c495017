"""What a long command says on stderr while it works, with or without a terminal."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
import numpy as np

from jne._core import printable

if TYPE_CHECKING:
    from jne.datasets import EncodingDataset

_USUAL = (20, 100)
"""Epochs after which a fit usually stops."""
_TRIAL = 2
_FEWEST = 64
_OPERATIONS = 2e10
"""Of an epoch of the trial: about a second of a slow core. A larger fit is tried on some of its stimuli."""


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


def say(text: object) -> None:
    """A text on stdout, in which what steers a terminal is an escape: names from files may hold it."""
    click.echo(printable(str(text)))


def say_json(content: object) -> None:
    """The same for JSON, in which it is an escape of JSON's."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    text = re.sub(r"[\x7f-\x9f\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # a terminal's own escapes are none of JSON's
        text = json.dumps(content, indent=2)
    click.echo(text)


def tell(line: str) -> None:
    """A line on stderr."""
    click.echo(printable(line), err=True)


def layer_to_study(data: EncodingDataset, layer: str | None) -> str | None:
    """The layer given; without one, of a dataset that names none of several, the best for all, which is told."""
    from jne.encoders import best_single_layer

    if layer is None and data.default_layer is None and len(data.layers) > 1:
        layer = best_single_layer(data)
        tell(f"{data.name} names no layer; from {layer} a linear encoder predicts the validation stimuli best")
    return layer


def layers_of(data: EncodingDataset, layer: str | None) -> list[str | None]:
    """The layers that encoders may be fitted to: all where each voxel has its own, else the one."""
    return [*data.layers] if data.means_best(layer) else [layer]


def fits_of_study(data: EncodingDataset, layer: str | None, n_seeds: int) -> int:
    """How many encoders a study fits at most: each seed and the linear reference, with folds also without each."""
    n_folds = 0 if data.folds is None else len(np.unique(data.folds))
    return len(layers_of(data, layer)) * (n_seeds + 1) * (1 + n_folds)


def expected_time(data: EncodingDataset, layer: str | None, fits: int, encoder_options: Mapping) -> str:
    """How long so many fits take, from two epochs of the encoder, or of a part of its stimuli: a sentence."""
    from jne.datasets import training_arrays
    from jne.encoders import ResidualEncoder

    layers = layers_of(data, layer)
    X, Y, X_val, Y_val, _ = training_arrays(data, layers[-1])
    width = encoder_options["hidden_size"]
    weights = width * (X.shape[1] + Y.shape[1] + encoder_options["n_blocks"] * width)
    # The price of a full batch goes with its stimuli; those for validation have a third of the operations.
    part = min(1.0, _OPERATIONS / (6 * weights * (len(X) + len(X_val) / 3)))
    first = (values[: max(_FEWEST, int(part * len(values)))] for values in (X, Y, X_val, Y_val))
    first = [np.asarray(values) for values in first]
    trial = ResidualEncoder(**{**encoder_options, "max_epochs": _TRIAL})
    # What is read and prepared once, at the first fit of a process, is no part of an epoch.
    ResidualEncoder(**{**encoder_options, "max_epochs": 1}).fit(*(values[:_FEWEST] for values in first))
    start = time.monotonic()
    trial.fit(*first)
    epoch = (time.monotonic() - start) / _TRIAL * len(X) / len(first[0])
    usual = [min(epochs, encoder_options["max_epochs"]) for epochs in _USUAL]
    low, high = (_duration(fits * epoch * epochs) for epochs in usual)
    most = _duration(fits * epoch * encoder_options["max_epochs"])
    most_fits = f"up to {fits}" if len(layers) > 1 else f"{fits}"
    return (
        f"{most_fits} fits, {epoch:.2g} s an epoch: {low} to {high} if they stop after {usual[0]} to {usual[1]} "
        f"epochs, as they usually do, and at most {most}; what is done already is not done again"
    )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
