"""`jne prepare algonauts`."""

from __future__ import annotations

import click

from jne.cli._telling import say
from jne.cli.prepare import _FURTHER, _LEVELS, _report, prepare


@prepare.command()
@click.option("--root", required=True, metavar="DIR", help="The folder that holds subj01 to subj08.")
@click.option("--subject", required=True, type=click.IntRange(1, 8), help="Subject, 1 to 8.")
@click.option("--features", required=True, metavar="FILE", help="Features of the pictures: .h5 or .npz.")
@click.option("--out", required=True, metavar="FILE.nc", help="Dataset file to write.")
@click.option("--test", metavar="FILE.txt", help="Pictures to test on, one a line.  [default: drawn by the seed]")
@click.option("--test-fraction", default=0.2, help="Share of the pictures to test on, where they are drawn.")
@click.option("--validation-fraction", default=0.1, help="Share of the pictures to stop the training on.")
@click.option("--seed", default=0, help="Seed of the split.")
@click.option("--left-ceiling", metavar="FILE.npy", help="Noise ceiling of each vertex, 0 to 1.  [default: not known]")
@click.option("--right-ceiling", metavar="FILE.npy", help="The same of the right hemisphere.")
@click.option("--roi-order", metavar="A,B,...", help="Classes of areas; the first with an area gives a vertex its roi.")
@_LEVELS
@click.option("--categories", metavar="CSV", help="Table with the columns nsdId (from 0) and category.")
@click.option("--default-layer", metavar="NAME", help="Layer used where none is named.  [default: all side by side]")
@_FURTHER
@click.option("--zscore", default="none", help="Only none: responses are z-scored within sessions, and averaged.")
@click.option("--drop-bad-voxels", is_flag=True, help="Leave out vertices that are constant or not finite.")
@click.option("--name", help="Name for titles.  [default: Algonauts 2023 subject N]")
@click.option("--synthetic", is_flag=True, help="The files hold simulated responses: say so in every figure.")
@click.option("--max-memory", default="1GB", help="Work on as many vertices at a time as fit into it.")
def algonauts(roi_order, left_ceiling, right_ceiling, **options):
    """Make a dataset of one subject of the Algonauts Project 2023, on fsaverage.

    Reads the files as they are downloaded: training_split and roi_masks of subj01 to subj08. Responses are averages
    over the repeats of NSD, z-scored within sessions. There are no single trials, so a noise ceiling can only be given.

    \b
    Example:
      jne features --images algonauts/subj01/training_split/training_images \\
          --model clip-vit-base-patch32 --out clip.h5
      jne prepare algonauts --root algonauts --subject 1 --features clip.h5 --out subj01.nc
      jne book --data subj01.nc

    Ids are nsd00013; features may be named so, by the number alone, or as the files are: train-0001_nsd-00013. Of
    pictures that have features and no responses, such as those of the test split, a sample is kept (--further).

    \b
    Areas: each class is kept, and roi takes the first of --roi-order, by default
      prf-visualrois,floc-faces,floc-places,floc-bodies,streams
    """
    from jne.prepare import prepare_algonauts

    ceilings = {name: path for name, path in (("left", left_ceiling), ("right", right_ceiling)) if path}
    order = [name.strip() for name in roi_order.split(",")] if roi_order else None
    _report(prepare_algonauts(roi_order=order, ceilings=ceilings or None, report=say, **options))
