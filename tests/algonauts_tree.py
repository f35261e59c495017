"""A miniature of the Algonauts Project 2023 on disk: its file names, types and areas, with responses that were planted.

Synthetic, and small in everything but fsaverage, which has its own number of vertices, of which few are in the
challenge. The dictionaries of names are pickles that would write a file if they were opened. As a script it also writes
the features:

    python tests/algonauts_tree.py OUT
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
from things_tree import WritesAFile

N_VERTICES = 163_842
N_CHALLENGE = {"lh": 70, "rh": 80}
N_TRAIN, N_TEST = 90, 12
LAYERS = {"layer1": 8, "layer2": 12}
CLASSES = {
    "prf-visualrois": ["V1v", "V1d", "V2v", "V2d", "V3v", "V3d", "hV4"],
    "floc-bodies": ["EBA", "FBA-1", "FBA-2", "mTL-bodies"],
    "floc-faces": ["OFA", "FFA-1", "FFA-2", "mTL-faces", "aTL-faces"],
    "floc-places": ["OPA", "PPA", "RSC"],
    "floc-words": ["OWFA", "VWFA-1", "VWFA-2", "mfs-words", "mTL-words"],
    "streams": ["early", "midventral", "midlateral", "midparietal", "ventral", "lateral", "parietal"],
}


@dataclass
class Tree:
    root: Path
    folder: Path
    images: np.ndarray  # nsdIds, from 0, of the training pictures
    test_images: np.ndarray
    features: dict[str, np.ndarray]  # of both
    responses: dict[str, np.ndarray] = field(default_factory=dict)  # by hemisphere
    vertices: dict[str, np.ndarray] = field(default_factory=dict)
    labels: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)  # class -> hemisphere -> numbers


def make_tree(root: str | Path, *, subject: int = 1, seed: int = 0) -> Tree:
    """Write the tree; of the pictures there are only the names."""
    root, rng = Path(root), np.random.default_rng(seed)
    folder = root / f"subj{subject:02d}"
    ids = rng.permutation(np.arange(1, 72_999))[: N_TRAIN + N_TEST - 2]
    ids = np.concatenate([[0, 72_999], ids])
    images, test = np.sort(ids[:N_TRAIN]), np.sort(ids[N_TRAIN:])
    features = {name: rng.standard_normal((len(ids), n)).astype(np.float32) for name, n in LAYERS.items()}
    tree = Tree(root, folder, images, test, features)
    for part, numbers in (("training", images), ("test", test)):
        pictures = folder / f"{part}_split/{part}_images"
        pictures.mkdir(parents=True)
        for i, number in enumerate(numbers, 1):
            (pictures / f"{part.removesuffix('ing')}-{i:04d}_nsd-{number:05d}.png").touch()
    (folder / "training_split/training_fmri").mkdir()
    (folder / "roi_masks").mkdir()
    for side, n in N_CHALLENGE.items():
        weights = rng.standard_normal((LAYERS["layer2"], n)) / 3
        values = features["layer2"][:N_TRAIN] @ weights + rng.standard_normal((N_TRAIN, n))
        tree.responses[side] = values.astype(np.float32)
        np.save(folder / f"training_split/training_fmri/{side}_training_fmri.npy", tree.responses[side])
        tree.vertices[side] = np.sort(rng.permutation(N_VERTICES)[:n])
        inside = np.zeros(N_VERTICES, np.int64)
        inside[tree.vertices[side]] = 1
        np.save(folder / f"roi_masks/{side}.all-vertices_fsaverage_space.npy", inside)
        for name, areas in CLASSES.items():
            numbers = np.where(rng.random(n) < 0.5, rng.integers(1, len(areas) + 1, n), 0)
            tree.labels.setdefault(name, {})[side] = numbers
            np.save(folder / f"roi_masks/{side}.{name}_challenge_space.npy", numbers)
            whole = np.zeros(N_VERTICES, np.int64)
            whole[tree.vertices[side]] = numbers
            np.save(folder / f"roi_masks/{side}.{name}_fsaverage_space.npy", whole)
    for name in CLASSES:
        pickled = np.array({0: "Unknown", 1: WritesAFile(root / "opened")}, object)
        np.save(folder / f"roi_masks/mapping_{name}.npy", pickled, allow_pickle=True)
    return tree


def write_features(tree: Tree, path: str | Path, ids: list | None = None) -> Path:
    """Features of the training pictures, then of those of the test split, by the names of their files."""
    names = [f"train-{i:04d}_nsd-{n:05d}" for i, n in enumerate(tree.images, 1)]
    names += [f"test-{i:04d}_nsd-{n:05d}" for i, n in enumerate(tree.test_images, 1)]
    with h5py.File(path, "w") as file:
        file["stimulus_id"] = names if ids is None else ids
        for name, values in tree.features.items():
            file[name] = values
        file.attrs["feature_model"] = "planted"
    return Path(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    tree = make_tree(options.out)
    write_features(tree, options.out / "features.h5")
    print(f"Wrote a miniature of Algonauts 2023, with planted responses, to {options.out}")


if __name__ == "__main__":
    main()
