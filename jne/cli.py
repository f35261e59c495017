"""The command line: `jne book`, `jne info`, `jne validate`, `jne prepare`."""

from __future__ import annotations

import json
import sys

import click

import jne


class _Commands(click.Group):
    """A group whose commands report a ValueError or OSError as one readable message and exit status 1."""

    def invoke(self, ctx: click.Context):
        try:
            return super().invoke(ctx)
        except (ValueError, OSError, ModuleNotFoundError) as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(jne.__version__)
def main():
    """How nonlinear are a voxel's responses? Jacobian-based nonlinearity of neural encoding models."""


@main.command()
@click.option("--params", default="demo", help="Parameter set: quick, demo, paper, or a YAML file of your own.")
@click.option("--data", metavar="FILE.nc", help="Dataset for all chapters.  [default: synthetic responses]")
@click.option("--out", metavar="DIR", help="Folder of the HTML.  [default: _build/html, _build/<dataset>/html]")
@click.option("--only", metavar="CHAPTER", multiple=True, help="Run this chapter only; may be given several times.")
def book(params, data, out, only):
    """Run the chapters and build the book, in a clone of the repository."""
    from jne.book import BookError, build_book

    try:
        build_book(params, data, out, only=only, report=click.echo)
    except BookError as error:
        raise click.ClickException(str(error)) from error


@main.command()
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")
def info(file, as_json):
    """Say what is in the dataset FILE: counts, layers, areas, noise ceiling, splits, licence, hash."""
    from jne.datasets.describe import describe, describe_text

    data = jne.load_dataset(file)
    click.echo(json.dumps(describe(data), indent=2) if as_json else describe_text(data))


@main.command()
@click.argument("file")
def validate(file):
    """List everything in FILE that breaks the dataset format; exit status 1 if anything does."""
    from jne.datasets.dataset import open_content
    from jne.datasets.validate import structure_problems, value_problems

    with open_content(file) as content:
        problems = structure_problems(content) + value_problems(content)
    for problem in problems:
        click.echo(f"- {problem}")
    if problems:
        raise click.ClickException(f"{file} breaks the format in {len(problems)} way{'s' * (len(problems) > 1)}")
    click.echo(f"{file} is a valid dataset.")


def _prepare_options(command):
    """Options that every `jne prepare` command has."""
    options = [
        click.option("--out", required=True, metavar="FILE.nc", help="Dataset file to write."),
        click.option("--drop-bad-voxels", is_flag=True, help="Leave out voxels that are constant or not finite."),
        click.option("--name", help="Name for titles.  [default: that of FILE.nc]"),
        click.option("--licence", help="Licence of the recordings, kept in the file."),
        click.option("--source", help="Where the recordings are from, kept in the file."),
        click.option("--seed", default=0, help="Seed of the split."),
        click.option("--test-fraction", default=0.2, help="Share of the stimuli to test on."),
        click.option("--validation-fraction", default=0.1, help="Share of the stimuli to stop the training on."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def _report(data):
    click.echo(repr(data))
    if dropped := data.attrs["n_dropped_voxels"]:
        click.echo(f"Left out: {dropped} voxels that are constant or not finite.")
    click.echo(f"Wrote {data.path}. Next: jne info {data.path}; jne book --data {data.path}")


@main.group()
def prepare():
    """Turn recordings into a dataset file (.nc) that the book and `jne.load_dataset` read."""


@prepare.command()
@click.option("--images", required=True, metavar="DIR|ZIP", help="Folder or zip of images.")
@click.option("--responses", required=True, metavar="FILE.npy", help="Responses, repeats averaged; either way round.")
@click.option("--repeats", metavar="FILE.npy", help="Single repeats (units, images, repeats), for the noise ceiling.")
@click.option("--units-first/--images-first", default=None, help="Needed where there are as many units as images.")
@click.option("--batch-size", type=int, help="Images at a time.  [default: 16 on the CPU, 256 on a GPU]")
@click.option("--device", default="auto", help="auto, cpu or cuda.")
@_prepare_options
def images(out, **options):
    """Make a dataset of IMAGES and the RESPONSES of voxels or neurons to them.

    The i-th response belongs to the i-th image in the order of the numbers in the file names: image2 comes before
    image10. Responses are an array (images, units) or (units, images), saved with numpy.save. The features are those
    of EfficientNet-Lite0, from early to late layers.

    \b
    Example:
      jne prepare images --images pictures.zip --responses rates.npy \\
          --repeats trials.npy --name "Monkey A, V4" --out monkey_a.nc
      jne book --data monkey_a.nc

    Repeats are (units, images, repeats) or (images, units, repeats), with NaN where there is no such repeat. Images
    with the same pixels go into the same split. Nothing is written if something is wrong with the input.
    """
    from jne.datasets.images import prepare_images

    _report(prepare_images(out=out, progress=sys.stderr.isatty(), **options))


@prepare.command()
@click.option("--input", "source_file", required=True, metavar="FILE", help="The arrays: .npz, .h5 or .hdf5.")
@click.option("--map", "mapping", required=True, metavar="ROLE=ARRAY,...", help="Which array is what.")
@click.option("--units-first/--stimuli-first", default=None, help="Needed where there are as many voxels as stimuli.")
@click.option("--mesh", help="Mesh that vertex counts on: fsLR-32k, fsaverage, ...")
@click.option("--default-layer", help="Layer used where none is named.  [default: all side by side]")
@_prepare_options
def arrays(source_file, mapping, **options):
    """Make a dataset of features, responses and labels that you already have as arrays.

    --map names what each array stands for. Needed are features (stimulus, feature), which may come several times, once
    for each layer, and responses (stimulus, voxel). Accepted are stimulus_id, split (train, validation, test) or fold
    (a number), category, thumbnail (stimulus, y, x, rgb), roi, hemisphere, vertex, level and noise_ceiling (each one
    value per voxel) and repeats (stimulus, repeat, voxel; NaN is no such repeat). A roi of numbers counts into
    roi_names.

    \b
    Example:
      jne prepare arrays --input study.npz --out study.nc \\
          --map features=clip_layer_9,responses=betas,roi=area,fold=run
      jne book --data study.nc

    With fold, accuracy is cross-validated: every stimulus is predicted by an encoder that saw nothing of its fold.
    """
    from jne.datasets.arrays import parse_map, prepare_arrays

    _report(prepare_arrays(source_file, parse_map(mapping), **options))


if __name__ == "__main__":
    main()
