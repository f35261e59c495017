"""`jne prepare things`."""

from __future__ import annotations

import sys

import click

from jne.cli._telling import say
from jne.cli.prepare import _FURTHER, _LEVELS, _report, prepare

# Those of jne.prepare, which takes a second to import.
ZSCORES, CEILINGS = ("run", "session", "none"), ("repeats", "nc_testset")


@prepare.command()
@click.option("--root", required=True, metavar="DIR", help="Folder with the files, such as betas_csv, at any depth.")
@click.option("--subject", required=True, type=click.IntRange(1, 3), help="Subject, 1 to 3.")
@click.option("--features", required=True, metavar="FILE", help="Features of the pictures: .h5 or .npz.")
@click.option("--out", required=True, metavar="FILE.nc", help="Dataset file to write.")
@click.option("--rois", metavar="A,B,...", help="Take the voxels of these areas.  [default: maps and localizers]")
@click.option("--all-voxels", is_flag=True, help="Take all voxels.")
@click.option("--roi-order", metavar="A,B,...", help="Areas overlap; the first of these gives a voxel's roi.")
@_LEVELS
@click.option("--zscore", type=click.Choice(ZSCORES), default="run", help="Z-score single trials within these.")
@click.option("--categories", metavar="CSV", help="Table with the columns concept and category.  [default: concepts]")
@click.option("--noise-ceiling", type=click.Choice(CEILINGS), default="repeats", help="From what it is taken.")
@click.option("--default-layer", metavar="NAME", help="Layer used where none is named.  [default: all side by side]")
@_FURTHER
@click.option("--validation-fraction", default=0.1, help="Share of the training pictures to stop the training on.")
@click.option("--seed", default=0, help="Seed of the draw of these.")
@click.option("--drop-bad-voxels", is_flag=True, help="Leave out voxels that are constant (by --zscore) or not finite.")
@click.option("--name", help="Name for titles.  [default: THINGS-fMRI subject N]")
@click.option("--synthetic", is_flag=True, help="The files hold simulated responses: say so in every figure.")
@click.option("--max-memory", default="1GB", help="Work on as many voxels at a time as fit into it.")
def things(rois, roi_order, **options):
    """Make a dataset of one subject of THINGS-fMRI.

    Reads the study's own files of single-trial responses: sub-01_ResponseData.h5, sub-01_StimulusMetadata.csv and
    sub-01_VoxelMetadata.csv of betas_csv.zip, or sub-01_task-things_voxel-wise-responses.h5 and its kin of OpenNeuro.
    Single trials are z-scored within runs, repeats of a picture averaged; the 100 test pictures keep their twelve
    repeats, from which the noise ceiling comes. The category of a picture is its concept.

    \b
    Example:
      jne features --images object_images --model clip-vit-base-patch32 --out clip.h5
      jne prepare things --root things_fmri --subject 1 --features clip.h5 --out sub01.nc
      jne book --data sub01.nc

    Ids are the names of the pictures without folder and ending: dog_12s. Of pictures that have features and were not
    shown, a sample of features is kept (--further): the features of all 26,107 pictures are worth having.

    \b
    Areas, of both hemispheres together; where they overlap the first counts:
      V1,V2,V3,hV4,OFA,FFA,STS,EBA,PPA,RSC,OPA,LOC,VO1,VO2,LO1,LO2,TO1,TO2,V3b,V3a
      OPA is the TOS of the study. Version 2 has IT, too, and 180 of HCP-MMP1.0, such as glasser-FFC, which come last.

    Places are voxel indices; where sub-01_space-T1w_brainmask.nii.gz lies below the folder, they get its affine.

    If interrupted, the same command goes on where it was, with the same result.
    """
    from jne.prepare import prepare_things

    lists = {"rois": rois, "roi_order": roi_order}
    options |= {name: [area.strip() for area in text.split(",")] if text else None for name, text in lists.items()}
    _report(prepare_things(progress=sys.stderr.isatty(), report=say, **options))
