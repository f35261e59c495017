"""`jne prepare categories`: what NSD's images show, from COCO's annotations."""

from __future__ import annotations

import click

from jne.cli._telling import say
from jne.cli.prepare import prepare


@prepare.command()
@click.option("--stimuli", "stimulus_table", required=True, metavar="FILE.csv", help="NSD's nsd_stim_info_merged.csv.")
@click.option("--annotations", required=True, multiple=True, metavar="FILE.json", help="instances_train2017.json, ...")
@click.option("--out", required=True, metavar="FILE.csv", help="Table to write: nsdId, category, share.")
@click.option("--level", default="supercategory", help="supercategory (twelve) or name (eighty objects).")
@click.option("--minimum-share", default=0.1, help="Below this share of the image, the category is 'other'.")
def categories(**options):
    """Name what takes most of each image of NSD, from the COCO annotations of the picture that it was cut from.

    The table is what `jne prepare nsd` takes as --categories. COCO's instances know people, animals, food, vehicles and
    other objects, but neither faces nor indoor and outdoor scenes; a table of your own with the columns nsdId (from 0)
    and category does as well.

    \b
    Example:
      jne prepare categories --stimuli nsd_stim_info_merged.csv \\
          --annotations instances_train2017.json --annotations instances_val2017.json --out categories.csv
    """
    from jne.prepare import image_categories

    table = image_categories(**options)
    counts = ", ".join(f"{name} {count}" for name, count in table["category"].value_counts().items())
    say(f"{len(table)} images: {counts}")
    say(f"Wrote {options['out']}.")
