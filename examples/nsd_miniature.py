"""From NSD's own files to the built book, on a miniature whose truth is known.

A synthetic tree with NSD's file names and formats is written, `jne prepare nsd` makes a dataset of it, what it made is
compared with what was planted, `jne replicate` says what of the paper's claims is in it, and `jne book` builds the book
on it. In a clone, after ``make setup``::

    .venv/bin/python examples/nsd_miniature.py

With NSD itself, the commands that this prints are all there is to do.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

import jne

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from nsd_tree import (
    AREAS,
    by_image,
    kept_voxels,
    make_tree,
    nsd_ids,
    planted_names,
    write_categories,
    write_features,
    zscored,
)

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "_build/nsd_miniature"


def jne_command(*arguments: str | Path) -> None:
    print("\n$ jne", shlex.join(map(str, arguments)), flush=True)
    subprocess.run([sys.executable, "-m", "jne.cli", *map(str, arguments)], check=True, cwd=ROOT)


def compare(tree, data) -> None:
    """Print how far the dataset is from what was planted; stop where it is further than rounding explains."""
    subject = tree.subjects[1]
    kept, trials, ids = kept_voxels(subject), subject.trials, nsd_ids(data)
    percent, test = subject.percent["func1pt8mm"][:, kept], data.stimuli("test")
    runs = trials.groupby(["SESSION", "RUN"]).indices.values()
    single = by_image(zscored(percent, trials, "run"), trials)
    planted = np.stack([single[image].mean(axis=0) for image in ids])
    repeats = np.stack([single[image] for image in ids[test]])
    ncsnr = subject.ncsnr["func1pt8mm"][kept] ** 2
    counts = (trials["73KID"] - 1).value_counts()
    expected = {image for image in tree.shared if counts.get(image, 0) >= 3}
    wrong = sum((data.get(f"roi_{a}") != planted_names(subject, "func1pt8mm", a)[kept]).sum() for a in AREAS)
    # Betas are stored in steps of 1/300 percent: half a step in the value and in the mean, over the smallest spread.
    step = 4 * 0.5 / 300 / min(percent[rows].std(axis=0).min() for rows in runs)
    found = {
        "responses (standard deviations)": (np.abs(data.responses() - planted).max(), step),
        "single repeats (standard deviations)": (np.abs(data.repeats() - repeats).max(), step),
        "noise ceiling": (np.abs(data.get("noise_ceiling") - 3 * ncsnr / (3 * ncsnr + 1)).max(), 1e-6),
        "area labels that differ": (wrong, 0),
        "test images that differ": (len(expected ^ set(ids[test])), 0),
    }
    print("\nLargest difference from what was planted, and what rounding explains:")
    for what, (difference, allowed) in found.items():
        print(f"  {what:<38} {difference:.2g} of {allowed:.2g}")
        if difference > allowed:
            sys.exit(f"{what}: not what was planted")


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    tree = make_tree(FOLDER / "nsd", subjects=(1,), trials_per_run=(63, 62), shape=(11, 13, 12), surface=False)
    features = write_features(tree, FOLDER / "features.h5")
    categories = write_categories(tree, FOLDER / "categories.csv")
    out = FOLDER / "miniature.nc"
    jne_command(
        *("prepare", "nsd", "--root", tree.root, "--subject", "1", "--features", features, "--zscore-features"),
        *("--default-layer", "block2", "--categories", categories, "--synthetic", "--name", "Miniature of NSD"),
        *("--out", out),
    )
    compare(tree, jne.load_dataset(out))
    jne_command("replicate", out, "--hidden-size", "32", "--lr", "0.01", "--max-epochs", "60", "--seeds", "1")
    jne_command("book", "--params", "quick", "--data", out)


if __name__ == "__main__":
    main()
