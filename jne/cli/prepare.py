"""`jne prepare`: recordings to a dataset file."""

from __future__ import annotations

import sys

import click

from jne.cli._main import main
from jne.cli._telling import say


def _prepare_options(command):
    """Options that every `jne prepare` command has."""
    options = [
        click.option("--out", required=True, metavar="FILE.nc", help="Dataset file to write."),
        click.option("--drop-bad-voxels", is_flag=True, help="Leave out voxels that are constant or not finite."),
        click.option("--name", help="Name for titles.  [default: that of FILE.nc]"),
        click.option("--licence", help="Licence of the recordings, kept in the file."),
        click.option("--source", help="Where the recordings are from, kept in the file."),
        click.option("--unit", metavar="NAME", help="What a response is of, in figures: neuron, ...  [default: voxel]"),
        click.option("--seed", default=0, help="Seed of the split."),
        click.option("--test-fraction", default=0.2, help="Share of the stimuli to test on."),
        click.option("--validation-fraction", default=0.1, help="Share of the stimuli to stop the training on."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


_LEVELS = click.option(
    "--levels",
    metavar="AREA=LEVEL,...",
    help="Levels of areas, such as V1=1,V2=2; or areas alone, lowest first.  [default: by their names]",
)
_FURTHER = click.option(
    "--further",
    type=click.IntRange(0),
    metavar="N",
    help="Stimuli without responses whose features to keep, at most.  [default: 20 for each feature]",
)


def _refuse_zscore(context, option, given):
    if given is not None:
        raise click.ClickException(
            f"zscore: {context.info_name} reads responses that are averages over repeats from several runs, of which "
            "single runs cannot be z-scored any more. Z-score single trials, then average; or give them to `jne "
            "prepare arrays`, `nifti` or `fsaverage`"
        )


_ZSCORE = click.option(
    "--zscore",
    type=click.Choice(["none", "run", "session"]),
    default="none",
    help="Z-score single trials within these.",
)
_NO_ZSCORE = click.option("--zscore", hidden=True, expose_value=False, callback=_refuse_zscore)
"""Of commands that cannot: they say why."""


def _report(data):
    say(repr(data))
    if dropped := data.attrs["n_dropped_voxels"]:
        say(f"Left out: {dropped} voxels that are constant or not finite.")
    say(f"Wrote {data.path}. Next: jne info {data.path}; jne book --data {data.path}")


@main.group()
def prepare():
    """Turn recordings into a dataset file (.nc) that the book and `jne.load_dataset` read."""


@prepare.command()
@click.option("--images", required=True, metavar="DIR|ZIP", help="Folder or zip of images.")
@click.option("--responses", required=True, metavar="FILE.npy", help="Responses, repeats averaged; either way round.")
@click.option("--repeats", metavar="FILE.npy", help="Single repeats (units, images, repeats), for the noise ceiling.")
@click.option("--units-first/--images-first", default=None, help="Needed where there are as many units as images.")
@click.option(
    "--default-layer",
    metavar="NAME",
    help="Layer used where none is named; all: all side by side.  [default: from which a linear encoder predicts best]",
)
@click.option("--batch-size", type=int, help="Images at a time.  [default: 16 on the CPU, 256 on a GPU]")
@click.option("--device", default="auto", help="auto, cpu or cuda.")
@_NO_ZSCORE
@_prepare_options
def images(out, **options):
    """Make a dataset of IMAGES and the RESPONSES of voxels or neurons to them.

    The i-th response belongs to the i-th image in the order of the numbers in the file names: image2 comes before
    image10. Responses are an array (images, units) or (units, images), saved with numpy.save. The features are those
    of EfficientNet-Lite0, from early to late layers; the default layer is that from which a linear encoder, fitted to
    the training images, predicts the validation images best.

    \b
    Example:
      jne prepare images --images pictures.zip --responses rates.npy \\
          --repeats trials.npy --name "Monkey A, V4" --out monkey_a.nc
      jne book --data monkey_a.nc

    Repeats are (units, images, repeats) or (images, units, repeats), with NaN where there is no such repeat. Images
    with the same pixels go into the same split. Nothing is written if something is wrong with the input.
    """
    from jne.prepare import prepare_images

    _report(prepare_images(out=out, progress=sys.stderr.isatty(), report=say, **options))


@prepare.command()
@click.option(
    "--input", "source_file", required=True, metavar="FILE", help="The arrays: .npz, .h5, .hdf5, or .mat (v7.3)."
)
@click.option("--map", "mapping", required=True, metavar="ROLE=ARRAY,...", help="Which array is what.")
@click.option("--units-first/--stimuli-first", default=None, help="Needed where there are as many voxels as stimuli.")
@click.option("--mesh", help="Mesh that vertex counts on: fsLR-32k, fsaverage, ...")
@click.option("--default-layer", help="Layer used where none is named.  [default: all side by side]")
@_LEVELS
@_ZSCORE
@_FURTHER
@_prepare_options
def arrays(source_file, mapping, **options):
    """Make a dataset of features, responses and labels that you already have as arrays.

    --map names what each array stands for. Needed are features (stimulus, feature), which may come several times, once
    for each layer, and responses (stimulus, voxel). Accepted are stimulus_id, split (train, validation, test) or fold
    (a number), category, thumbnail (stimulus, y, x, rgb), roi, hemisphere, vertex, level and noise_ceiling (each one
    value per voxel) and repeats (stimulus, repeat, voxel; NaN is no such repeat), of all stimuli or, where split is
    mapped, of the test stimuli alone. run and session, one value for each stimulus, are for --zscore, where each row of
    responses is a single trial. A roi of numbers counts into roi_names; NaN is no area. Features of stimuli that
    have no responses are further (stimulus, feature), one for each of features and in their order, and
    further_stimulus_id.

    \b
    Example:
      jne prepare arrays --input study.npz --out study.nc \\
          --map features=clip_layer_9,responses=betas,roi=area,fold=run
      jne book --data study.nc

    A file of MATLAB, saved with -v7.3, has the axes that MATLAB shows. Its numbers of areas count into roi_names from
    1, and 0 is none; text is a cell array of characters.

    With fold, accuracy is cross-validated: every stimulus is predicted by an encoder that saw nothing of its fold.
    """
    from jne.prepare import parse_map, prepare_arrays

    _report(prepare_arrays(source_file, parse_map(mapping), report=say, **options))
