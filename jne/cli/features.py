"""`jne features`: images to a features file."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from jne.cli._main import main
from jne.cli._telling import say


@main.command()
@click.option("--images", required=True, metavar="DIR|ZIP|HDF5", help="Folder or zip of images, or nsd_stimuli.hdf5.")
@click.option("--out", required=True, metavar="FILE.h5", help="Features file to write.")
@click.option(
    "--model",
    default="efficientnet-lite0",
    metavar="MODEL",
    help="efficientnet-lite0, clip-vit-base-patch32, vit-base-patch16-224, a folder that transformers saved, or a hub "
    "name OWNER/MODEL.",
)
@click.option("--select", multiple=True, metavar="FILE", help="Only the images with these ids; may come several times.")
@click.option("--dtype", default="float32", help="float32 or float16 (half the space, three digits).")
@click.option("--batch-size", type=int, help="Images at a time.  [default: 16 on the CPU, 256 on a GPU]")
@click.option("--device", default="auto", help="auto, cpu or cuda.")
def features(out, **options):
    """Write the features of IMAGES after every block of a network.

    A vision transformer gives layer1 to layerN, the [CLS] token after each block; a network without that token, and
    EfficientNet-Lite0, give averages over places. The file holds one array per layer, the stimulus ids (image names
    without folder and ending; in nsd_stimuli.hdf5 the places counting from 0), and what made them. It is what
    `jne prepare nifti`, `fsaverage` and `nsd` take as --features.

    --select takes a text file with one id a line, or NSD's responses.tsv of a subject: 10,000 images, not 73,000.

    \b
    Example:
      hf download openai/clip-vit-base-patch32
      jne features --images nsd_stimuli.hdf5 --model clip-vit-base-patch32 \\
          --select nsddata/ppdata/subj01/behav/responses.tsv --out clip_subj01.h5

    An interrupted run leaves FILE.h5.part; the same command goes on from there. Nothing is downloaded.
    """
    from jne.features import part_path, write_features

    if (part := part_path(out)).exists():
        say(f"Going on with {part}.")
    written = write_features(out=out, progress=sys.stderr.isatty(), **options)
    layers = ", ".join(f"{name} ({width})" for name, width in written.layers.items())
    say(f"{len(written.stimulus_id)} images, {written.attrs['feature_model']}: {layers}")
    say(f"Wrote {written.path} ({Path(written.path).stat().st_size / 1e6:.1f} MB).")
