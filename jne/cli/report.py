"""`jne report`."""

from __future__ import annotations

import sys

import click

from jne.cli._fitting import fit_options, study_options
from jne.cli._main import main
from jne.cli._telling import expected_time, fits_of_study, layer_to_study, layers_of, say, say_json, tell, telling


@main.command()
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")
@study_options
@click.option("--crossfit", is_flag=True, help="Also fit encoders to halves of the stimuli: about ten times as long.")
@click.option("--splits", "n_splits", default=2, help="Divisions of the stimuli in halves, for the cross-fitted share.")
@fit_options
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
    from jne.study import report, report_text, run_study

    with telling():
        data = load_dataset(file)
        layer = layer_to_study(data, layer)
        # Beside the study's, shuffled responses; of cross-fitting the halves, and each without its groups.
        more = 1 + (10 * n_splits if crossfit else 0)
        fits = fits_of_study(data, layer, n_seeds) + more * len(layers_of(data, layer))
        tell(expected_time(data, layer, fits, encoder_options))
        progress = sys.stderr.isatty()
        options = {"encoder_options": encoder_options, "max_memory": max_memory, "progress": progress}
        study = run_study(data, layer, seed=seed, n_seeds=n_seeds, **options)
        content = report(study, crossfit=crossfit, n_splits=n_splits, max_memory=max_memory, progress=progress)
    say_json(content) if as_json else say(report_text(content))
