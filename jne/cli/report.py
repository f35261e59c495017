"""`jne report`."""

from __future__ import annotations

import json
import sys

import click

from jne.cli._main import main
from jne.cli._telling import expected_time, tell, telling


@main.command()
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")
@click.option(
    "--layer", help="Feature layer, or best: each voxel's own.  [default: the dataset's, or the best for all]"
)
@click.option("--seed", default=0, help="Seed of the encoders and of the cross-fitting.")
@click.option("--seeds", "n_seeds", default=2, help="Fits from different seeds, whose mean is measured.")
@click.option("--crossfit", is_flag=True, help="Also fit encoders to halves of the stimuli: about ten times as long.")
@click.option("--splits", "n_splits", default=2, help="Divisions of the stimuli in halves, for the cross-fitted share.")
@click.option("--hidden-size", default=1024, help="Width of the encoder.")
@click.option("--blocks", "n_blocks", default=2, help="Residual blocks of the encoder.")
@click.option("--activation", default="relu", help="Activation of the encoder.")
@click.option("--lr", default=1e-3, help="Learning rate.")
@click.option("--weight-decay", default=1e-2, help="Weight decay of AdamW.")
@click.option("--max-epochs", default=512, help="Most epochs of a fit.")
@click.option("--patience", default=8, help="Epochs without a better validation loss before a fit stops.")
@click.option("--device", default="auto", help="auto, cpu or cuda.")
@click.option("--max-memory", default="2GB", help="Memory to work in.")
def report(file, as_json, layer, seed, n_seeds, crossfit, n_splits, max_memory, **encoder_options):
    """Say how far the numbers of the dataset FILE can be trusted.

    Fits the encoders (by default as the paper's release does), and prints medians and quartiles of prediction accuracy,
    noise ceiling, JNE, the nonlinear share, the share that held-out responses confirm and the share that shuffled
    responses would give; how far fits from different seeds agree; what follows the noise ceiling or how well a voxel is
    predicted; and warnings in words. Everything is kept in results/, so that an interrupted or repeated call goes on
    from there.

    \b
    Examples:
      jne report mydata.nc
      jne report mydata.nc --hidden-size 256 --lr 0.003 --json > report.json
      jne report mydata.nc --layer best --seeds 3
    """
    from jne.datasets import load_dataset
    from jne.encoders import best_single_layer
    from jne.study import report, report_text, run_study

    with telling():
        data = load_dataset(file)
        if layer is None and data.default_layer is None and len(data.layers) > 1:
            layer = best_single_layer(data)
            tell(f"{data.name} names no layer; from {layer} a linear encoder predicts the validation stimuli best")
        tell(expected_time(data, layer, n_seeds, encoder_options, crossfit=crossfit, n_splits=n_splits))
        progress = sys.stderr.isatty()
        options = {"encoder_options": encoder_options, "max_memory": max_memory, "progress": progress}
        study = run_study(data, layer, seed=seed, n_seeds=n_seeds, **options)
        content = report(study, crossfit=crossfit, n_splits=n_splits, max_memory=max_memory, progress=progress)
    click.echo(json.dumps(content, indent=2, ensure_ascii=False) if as_json else report_text(content))
