"""`jne prepare nifti` and `jne prepare fsaverage`: maps of a study, one per stimulus, to a dataset file."""

from __future__ import annotations

import click

from jne.cli.prepare import _FURTHER, _prepare_options, _report, prepare

_STIMULI = click.option(
    "--stimuli", required=True, metavar="FILE.csv", help="A row per map: id, split, category, repeat."
)
_FEATURES = click.option("--features", required=True, metavar="FILE", help="Features file (.h5 or .npz) of these ids.")
_NAMES = click.option(
    "--atlas-names", metavar="FILE", help="What numbers mean: CSV (index, name) or a table of labels."
)
_LAYER = click.option("--default-layer", help="Layer used where none is named.  [default: all side by side]")

_MEMORY = click.option("--max-memory", default="4GB", help="Work on as many voxels at a time as fit into it.")


@prepare.command()
@click.option("--maps", multiple=True, metavar="FILE.nii.gz", help="4-D or 3-D maps; may come several times.")
@_STIMULI
@_FEATURES
@click.option("--mask", metavar="FILE.nii.gz", help="Voxels above 0 are kept.  [default: those that the atlas labels]")
@click.option("--atlas", metavar="FILE.nii.gz", help="Areas as whole numbers; 0 is none.")
@_NAMES
@click.option("--resample", is_flag=True, help="Bring mask and atlas to the grid of the maps (nearest neighbour).")
@click.option("--same-grid", is_flag=True, help="Equal shapes: trust the affine of the mask, not that of the maps.")
@_LAYER
@_FURTHER
@_MEMORY
@_prepare_options
def nifti(stimuli, features, out, **options):
    """Make a dataset of volumes: one map (of betas, z-scores, ...) for each presented stimulus.

    STIMULI is a table with a row per map, in the order of the maps. Needed is the column id, which the features file
    must know; split (train, validation, test), category and repeat (a number) may be there. Repeats of an id are
    averaged; those of the test stimuli are kept, and the noise ceiling comes from them. Instead of --maps, a column map
    may name each row's file, relative to the table.

    \b
    Example:
      jne features --images stimuli/ --model clip-vit-base-patch32 --out clip.h5
      jne prepare nifti --maps betas.nii.gz --stimuli trials.csv --features clip.h5 \\
          --mask mask.nii.gz --atlas areas.nii.gz --atlas-names areas.csv --out study.nc
      jne book --data study.nc
    """
    from jne.prepare import prepare_nifti

    _report(prepare_nifti(stimuli, features, out, report=click.echo, **options))


@prepare.command()
@click.option("--left", multiple=True, metavar="FILE", help="Maps of the left hemisphere; may come several times.")
@click.option("--right", multiple=True, metavar="FILE", help="Maps of the right hemisphere.")
@_STIMULI
@_FEATURES
@click.option("--left-mask", metavar="FILE", help="Vertices above 0 are kept.  [default: labelled ones, or all]")
@click.option("--right-mask", metavar="FILE")
@click.option("--left-atlas", metavar="FILE", help="Areas: .annot, or whole numbers in GIFTI or MGH.")
@click.option("--right-atlas", metavar="FILE")
@_NAMES
@click.option("--mesh", help="Name of the mesh, where the number of vertices does not say it.")
@_LAYER
@_FURTHER
@_MEMORY
@_prepare_options
def fsaverage(stimuli, features, out, **options):
    """Make a dataset of surface data: one map for each presented stimulus, on fsaverage or another template.

    Files are MGH or GIFTI, one per hemisphere with all maps, or several in order; a hemisphere may be missing. The mesh
    (fsaverage, fsaverage5, fsLR-32k, ...) follows from the number of vertices. STIMULI is as for `jne prepare nifti`;
    instead of --left and --right its columns left and right may name each row's files.

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
    _report(prepare_fsaverage(stimuli, features, out, report=click.echo, **options))
