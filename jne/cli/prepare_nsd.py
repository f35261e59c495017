"""`jne prepare nsd`."""

from __future__ import annotations

import sys

import click

from jne.cli._telling import say
from jne.cli.prepare import _FURTHER, _LEVELS, prepare

# Those of jne.prepare.nsd, which takes a second to import.
SPACES, ZSCORES, CEILINGS = ("func1pt8mm", "fsaverage"), ("run", "session", "none"), ("ncsnr", "repeats")


@prepare.command()
@click.option("--root", required=True, metavar="DIR", help="NSD on disk: the folder with nsddata and nsddata_betas.")
@click.option("--subject", required=True, type=click.IntRange(1, 8), help="Subject, 1 to 8.")
@click.option("--features", required=True, metavar="FILE", help="Features of the images: .h5 or .npz.")
@click.option("--out", required=True, metavar="FILE.nc", help="Dataset file to write.")
@click.option("--space", type=click.Choice(SPACES), default="func1pt8mm", help="Volume or surface.")
@click.option("--sessions", metavar="LIST", help="Sessions, such as 1-40 or 1-10,12.  [default: all of the subject]")
@click.option("--mask", metavar="NAME|FILE", help="nsdgeneral or a file.  [default: brainmask, all vertices]")
@click.option("--betas", default="betas_fithrf_GLMdenoise_RR", metavar="FOLDER", help="Version of the betas.")
@click.option("--zscore", type=click.Choice(ZSCORES), default="run", help="Z-score betas within these.")
@click.option("--zscore-features", is_flag=True, help="Z-score features within runs, too, as the paper's release does.")
@click.option("--default-layer", metavar="NAME", help="Layer used where none is named.  [default: all side by side]")
@_FURTHER
@click.option("--categories", metavar="CSV", help="Table with the columns nsdId (from 0) and category.")
@click.option("--test-repeats", default=3, help="Test on the shared images that were seen at least so often.")
@click.option("--n-train", type=int, help="Images to train on.  [default: all that are left]")
@click.option("--n-validation", type=int, help="Images to stop the training on.  [default: a ninth of the rest]")
@click.option("--n-test", type=int, help="Images to test on.  [default: all that qualify]")
@click.option("--seed", default=0, help="Seed of the split.")
@click.option("--roi-order", metavar="A,B,...", help="Atlases; the first with an area gives a voxel's roi.")
@_LEVELS
@click.option(
    "--left-atlas",
    multiple=True,
    metavar="FILE",
    help="On fsaverage: areas that NSD has none of there, such as lh.floc-faces_fsaverage_space.npy of Algonauts 2023, "
    "or .annot, GIFTI or MGH. May come several times.",
)
@click.option("--right-atlas", multiple=True, metavar="FILE", help="The same of the right hemisphere, in one order.")
@click.option("--noise-ceiling", type=click.Choice(CEILINGS), default="ncsnr", help="From what it is taken.")
@click.option("--name", help="Name for titles.  [default: NSD subject N, SPACE]")
@click.option("--synthetic", is_flag=True, help="The tree holds simulated responses: say so in every figure.")
@click.option("--max-memory", default="4GB", help="Refuse to start if more would be needed.")
def nsd(roi_order, left_atlas, right_atlas, **options):
    """Make a dataset of one subject of the Natural Scenes Dataset.

    Reads NSD's own files, named as in its data manual: betas, responses.tsv, nsd_expdesign.mat, regions, ncsnr. What is
    missing is named, with the command that downloads it. Betas are z-scored within runs, repeats of an image averaged;
    the repeats of the test images are kept as well.

    \b
    Example:
      jne prepare nsd --root /data/nsd --subject 1 --mask nsdgeneral \\
          --features clip.h5 --zscore-features --default-layer layer9 \\
          --out subj01.nc
      jne book --params paper --data subj01.nc

    The features file holds one array (images, features) per layer, and stimulus_id: the nsdId of each row, which counts
    from 0 as in nsd_stim_info_merged.csv (73KID of responses.tsv is one more), as a number or as text: nsd00042. The
    names of NSD's own pictures, shared0007_nsd04424, count from 1 and are understood.

    Of images that have features and were not shown, a sample of features is kept (--further): an encoder's predictions
    of them make known what is linear in it. The features of all 73,000 images are needed for that.

    Test images are the shared images seen at least --test-repeats times; those seen less often are left out. The
    other images are split 8 : 1 into training and validation. Subjects have 40, 40, 32, 30, 40, 32, 40, 30 sessions.

    \b
    Areas: each atlas is kept, and roi takes the first of --roi-order, by default
      prf-visualrois,floc-faces,floc-places,floc-bodies,HCP_MMP1
      on fsaverage, where NSD has none of the drawn ones: Kastner2015,HCP_MMP1,streams, after --left-atlas, which
      takes the drawn ones as the Algonauts Project 2023 has them

    \b
    Disk, for 40 sessions and 10,000 images:
      brainmask    226,000 voxels     12 GB, and 14 GB more until it is done
      nsdgeneral    16,000 voxels    0.8 GB, and  1 GB more until it is done
      fsaverage    328,000 vertices   17 GB, and 41 GB more until it is done

    If interrupted, the same command goes on at the next session, with the same result.
    """
    from jne.prepare import prepare_nsd

    order = [atlas.strip() for atlas in roi_order.split(",")] if roi_order else None
    atlases = {"left": left_atlas, "right": right_atlas} if left_atlas or right_atlas else None
    data = prepare_nsd(roi_order=order, atlases=atlases, progress=sys.stderr.isatty(), report=say, **options)
    say(repr(data))
    if dropped := data.attrs["n_dropped_voxels"]:
        say(f"Left out: {dropped} voxels without data ({data.attrs['voxels_without_data']}).")
    if clipped := data.attrs["n_clipped_betas"]:
        say(
            f"Clipped: {clipped} betas, in {data.attrs['n_clipped_voxels']} voxels, are at the limit of what NSD's "
            "files can hold (109.2 %): they were larger."
        )
    if left := data.attrs["n_images_left_out"]:
        say(f"Left out: {left} images (shared ones seen too seldom to test on, or beyond --n-...).")
    say(f"Wrote {data.path}. Next: jne info {data.path}; jne book --data {data.path}")
