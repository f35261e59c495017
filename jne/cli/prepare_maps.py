"""`jne prepare nifti` and `jne prepare fsaverage`: maps of a study, one per stimulus, to a dataset file."""

from __future__ import annotations

import click

from jne.cli._telling import say
from jne.cli.prepare import _FURTHER, _LEVELS, _ZSCORE, _prepare_options, _report, prepare

_STIMULI = click.option(
    "--stimuli",
    required=True,
    metavar="FILE",
    help="CSV with a row per map (id, split, category, repeat, session, run), or .txt with a picture a line.",
)


def _columns(command):
    """Options that say which column of the table is what."""
    for said in ("run", "split", "id"):
        text = f"Column of STIMULI that says the {said}.  [default: {said}]"
        command = click.option(f"--{said}-column", metavar="NAME", help=text)(command)
    return command


_FEATURES = click.option(
    "--features", required=True, metavar="FILE|DIR", help="Features (.h5, .npz, a folder of thingsvision) of these ids."
)
_NAMES = click.option(
    "--atlas-names", metavar="FILE", help="What numbers mean: CSV (index, name) or a table of labels."
)
_LEVEL_COLUMN = click.option(
    "--level-column", metavar="NAME", help="Column of --atlas-names with each area's level.  [default: level, if there]"
)
_LAYER = click.option("--default-layer", help="Layer used where none is named.  [default: all side by side]")

_MEMORY = click.option("--max-memory", default="4GB", help="Work on as many voxels at a time as fit into it.")


@prepare.command()
@click.option(
    "--maps",
    multiple=True,
    metavar="FILE|DIR|'*'",
    help="NIfTI, CIFTI or GLMsingle's .hdf5 or .mat; a pattern in quotes; a folder. May come several times.",
)
@_STIMULI
@_columns
@_FEATURES
@click.option("--mask", metavar="FILE.nii.gz", help="Voxels above 0 are kept.  [default: those that the atlas labels]")
@click.option(
    "--atlas",
    multiple=True,
    metavar="FILE",
    help="Areas as whole numbers (0 is none), or .dlabel.nii; several times: a mask of one area each.",
)
@_NAMES
@_LEVELS
@_LEVEL_COLUMN
@click.option("--resample", is_flag=True, help="Bring mask and atlas to the grid of the maps (nearest neighbour).")
@click.option("--same-grid", is_flag=True, help="Equal shapes: trust the affine of the mask, not that of the maps.")
@_LAYER
@_ZSCORE
@_FURTHER
@_MEMORY
@_prepare_options
def nifti(stimuli, features, out, **options):
    """Make a dataset of volumes: one map (of betas, z-scores, ...) for each presented stimulus.

    STIMULI is a table with a row per map, in the order of the maps. Needed is the column id, which the features file
    must know, with or without folder and ending of the picture; split (train, validation, test), category, repeat (a
    number), session and run may be there. Columns of other names are given by --id-column and its kin; those that are
    not used are named. Repeats of an id are averaged; those of the test stimuli are kept, and the noise ceiling comes
    from them. A row without id, or of split none, is a catch trial, whose map is left out. Instead of --maps, a column
    map may name each row's file, relative to the table. A .txt is a list of the pictures, one a line: those shown more
    than once are the test stimuli.

    Betas of GLMsingle have no grid of their own: theirs is that of the mask. Of CIFTI, vertices of the cortex and
    voxels below it are kept. Sessions and runs, which give the order of the files of a folder or pattern, and within
    which --zscore works, are read from names such as sub-01_ses-02_run-1_bold.nii.gz where the table does not say them.

    \b
    Example:
      jne features --images stimuli/ --model clip-vit-base-patch32 --out clip.h5
      jne prepare nifti --maps betas.nii.gz --stimuli trials.csv --features clip.h5 \\
          --mask mask.nii.gz --atlas areas.nii.gz --atlas-names areas.csv --out study.nc
      jne book --data study.nc
    """
    from jne.prepare import prepare_nifti

    options["atlas"] = options["atlas"][0] if len(options["atlas"]) == 1 else options["atlas"] or None

    _report(prepare_nifti(stimuli, features, out, report=say, **options))


@prepare.command()
@click.option("--left", multiple=True, metavar="FILE", help="Maps of the left hemisphere; may come several times.")
@click.option("--right", multiple=True, metavar="FILE", help="Maps of the right hemisphere.")
@_STIMULI
@_columns
@_FEATURES
@click.option("--left-mask", metavar="FILE", help="Vertices above 0 are kept.  [default: labelled ones, or all]")
@click.option("--right-mask", metavar="FILE")
@click.option("--left-atlas", metavar="FILE", help="Areas: .annot, or whole numbers in GIFTI or MGH.")
@click.option("--right-atlas", metavar="FILE")
@_NAMES
@_LEVELS
@_LEVEL_COLUMN
@click.option("--mesh", help="Name of the mesh, where the number of vertices does not say it.")
@_LAYER
@_ZSCORE
@_FURTHER
@_MEMORY
@_prepare_options
def fsaverage(stimuli, features, out, **options):
    """Make a dataset of surface data: one map for each presented stimulus, on fsaverage or another template.

    Files are MGH, GIFTI or GLMsingle's (.hdf5, .mat), one per hemisphere with all maps, or several in order; a
    hemisphere may be missing. The mesh (fsaverage, fsaverage5, fsLR-32k, ...) follows from the number of vertices.
    STIMULI is as for `jne prepare nifti`; instead of --left and --right its columns left and right may name each row's
    files.

    \b
    Example:
      jne prepare fsaverage --left lh.betas.mgh --right rh.betas.mgh --stimuli trials.csv \\
          --features clip.h5 --left-atlas lh.HCP-MMP1.annot --right-atlas rh.HCP-MMP1.annot --out study.nc
      jne book --data study.nc
    """
    from jne.prepare import prepare_fsaverage

    for plural, singular in (("maps", ""), ("masks", "_mask"), ("atlases", "_atlas")):
        given = {side: options.pop(f"{side}{singular}") for side in ("left", "right")}
        options[plural] = {side: value for side, value in given.items() if value} or None
    _report(prepare_fsaverage(stimuli, features, out, report=say, **options))
