"""`jne measure`."""

from __future__ import annotations

import json
import sys

import click

from jne.cli._fitting import fit_options, study_options
from jne.cli._main import main
from jne.cli._telling import expected_time, fits_of_study, layer_to_study, say, tell, telling


@main.command()
@click.argument("file")
@click.option("--out", required=True, metavar="DIR", help="Folder to write; new, empty, or of an earlier call.")
@study_options
@click.option("--mean-jacobian", "with_slopes", is_flag=True, help="Also write mean_jacobian.nc, (voxel, feature).")
@click.option("--overwrite", is_flag=True, help="Replace the results of another study that are in DIR.")
@fit_options
def measure(file, out, layer, seed, n_seeds, with_slopes, overwrite, max_memory, **encoder_options):
    """Measure every voxel of the dataset FILE, and write the numbers out for other programs.

    Fits the encoders as `jne report` does (what is in results/ already is not fitted again), and writes R², R² of the
    linear encoder, the noise ceiling, JNE, the relative deviation, the shares, p values, significance, and whatever
    else the study has for each voxel, as the kind of file that the data came in:

    \b
      volume           DIR/<variable>.nii.gz on the grid of the mask
      fsaverage, ...   DIR/<variable>_hemi-L.func.gii and _hemi-R.func.gii, or
                       DIR/lh.<variable>.mgh and rh.<variable>.mgh
      fsLR-32k         DIR/<variable>.dscalar.nii (GIFTI where it came as GIFTI)
      always           DIR/values.csv, one row a voxel: place, area, level, and
                       every number to its last digit
                       DIR/summary.json: medians and quartiles, parameters, and
                       the SHA-256 of the files
      on request       DIR/mean_jacobian.nc: the mean slope of each voxel along
                       each feature, response and feature z-scored

    Where there are no data, maps are NaN; truth values are 0 and 1. NIfTI and CIFTI hold float64 where the study does,
    GIFTI and MGH float32. Values of voxels that are not significant are written, too: mask them with significant.
    In the CSV a text that begins like a formula (=, +, -, @) has an apostrophe before it.

    DIR is written whole or not at all. Files in it that are not of this command are never replaced, and those of
    another study only with --overwrite.

    \b
    Examples:
      jne measure mydata.nc --out maps
      jne measure mydata.nc --out maps --layer best --seeds 3
      jne measure mydata.nc --out maps --hidden-size 256 --lr 0.003 --mean-jacobian
    """
    from jne.datasets import load_dataset
    from jne.study import check_folder, export_text, mean_jacobian, run_study, write_maps

    check_folder(out)
    with telling():
        data = load_dataset(file)
        layer = layer_to_study(data, layer)
        tell(expected_time(data, layer, fits_of_study(data, layer, n_seeds), encoder_options))
        working = {"max_memory": max_memory, "progress": sys.stderr.isatty()}
        study = run_study(data, layer, seed=seed, n_seeds=n_seeds, encoder_options=encoder_options, **working)
        slopes = mean_jacobian(study, **working) if with_slopes else None
        files = write_maps(study.result, out, mean_jacobian=slopes, overwrite=overwrite)
    say(export_text(json.loads(files[-1].read_text(encoding="utf-8")), out))
