"""A miniature of THINGS-fMRI on disk: its file names, tables and its frame of responses, which were planted.

Synthetic, and small, with what the study's own files have and a reader may stumble over: labels kept as pickles beside
the numbers, tables called ``.tsv`` that have commas, a ceiling in percent, overlapping areas, 0 and 1 with gaps, a
column for each hemisphere, names of areas with a newline, names of pictures with digits, hyphens and underscores. As a
script it also writes the features:

    python tests/things_tree.py OUT [--names openneuro] [--dtype float64]
"""

from __future__ import annotations

import argparse
import pickle
from dataclasses import dataclass
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pandas as pd

SHAPE = (7, 8, 9)
AFFINE = np.array([[-2, 0, 0, 70], [0, 2, 0, -100], [0, 0, 2, -60], [0, 0, 0, 1.0]])
PRF = ("V1", "V2", "V3", "hV4", "VO1", "VO2", "LO1 (prf)", "LO2 (prf)", "TO1", "TO2", "V3b", "V3a")
LOCALIZERS = ("EBA", "FFA", "OFA", "STS", "PPA", "RSC", "TOS", "LOC")
GLASSER = ("glasser-V1", "glasser-FFC", "glasser-V3A", "glasser-a\n24pr")
CONCEPTS = ("dog", "camera1", "t-shirt", "ice_cream_bar", "ping-pong_table", "bell_pepper", "chest2", "mango")
N_SESSIONS, N_RUNS, N_TEST = 4, 2, 6
PER_RUN = 17
"""3 test pictures in each run, each once a session; the rest are training pictures, shown once."""
LAYERS = {"layer1": 9, "layer2": 14}


@dataclass
class Tree:
    root: Path
    subject: int
    trials: pd.DataFrame
    voxels: pd.DataFrame
    responses: np.ndarray  # (n_voxels, n_trials), as stored
    features: dict[str, np.ndarray]
    feature_ids: list[str]

    @property
    def path(self) -> Path:
        """The file of responses."""
        return next(self.root.rglob("*esponse*.h5"))


class WritesAFile:
    """Its pickle, when it is opened, writes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def make_tree(
    root: str | Path,
    *,
    subject: int = 1,
    names: str = "figshare",
    dtype: type = np.float32,
    version: int = 2,
    brainmask: bool = True,
    seed: int = 0,
) -> Tree:
    """Write the tree.

    Parameters
    ----------
    root : path
    subject : int
    names : {"figshare", "openneuro"}
    dtype : type
        Of the responses.
    version : int
        1 has neither concepts nor the areas of HCP-MMP1.0.
    brainmask : bool
    seed : int
    """
    root, rng = Path(root), np.random.default_rng(seed)
    trials = _trials(subject, rng)
    ids = sorted({Path(name).stem for name in trials["stimulus"]})
    more = [f"{concept}_{20 + i}n" for i, concept in enumerate(CONCEPTS * 5)]
    feature_ids = [*rng.permutation(ids).tolist(), *more]
    features = {name: rng.standard_normal((len(feature_ids), n)).astype(np.float32) for name, n in LAYERS.items()}
    inside = np.zeros(SHAPE, bool)
    inside[1:-1, 1:-1, 2:-2] = True
    voxels = _voxels(np.argwhere(inside), version, rng)
    rows = pd.Index(feature_ids).get_indexer([Path(name).stem for name in trials["stimulus"]])
    run = trials.groupby(["session", "run"], sort=False).ngroup().to_numpy()
    signal = features["layer2"][rows] @ rng.standard_normal((LAYERS["layer2"], len(voxels))) / 3
    values = signal + rng.standard_normal(signal.shape) + rng.normal(0, 2, (run.max() + 1, len(voxels)))[run]
    tree = Tree(root, subject, trials, voxels, values.T.astype(dtype), features, feature_ids)
    _write(tree, names, version)
    if brainmask:
        (root / "brainmasks").mkdir()
        nib.save(
            nib.Nifti1Image(inside.astype(np.uint8), AFFINE),
            root / f"brainmasks/sub-{subject:02d}_space-T1w_brainmask.nii.gz",
        )
    return tree


def write_features(tree: Tree, path: str | Path) -> Path:
    """Features of more pictures than were shown."""
    with h5py.File(path, "w") as file:
        file["stimulus_id"] = tree.feature_ids
        for name, values in tree.features.items():
            file[name] = values
        file.attrs["feature_model"] = "planted"
    return Path(path)


def write_frame(path: Path, values: np.ndarray, labels: object = "voxel_id, 0, 1, 2, ...") -> None:
    """What pandas writes of a frame in the format "fixed": a block of voxel ids, one of responses, pickled labels."""
    with h5py.File(path, "w") as file:
        group = file.create_group("ResponseData")
        group.attrs.update(CLASS="GROUP", pandas_type="frame", pandas_version="0.15.2", ndim=2, nblocks=2)
        for name in ("axis0", "block0_items", "block1_items"):
            pickled = group.create_dataset(name, (1,), h5py.vlen_dtype(np.uint8))
            pickled[0] = np.frombuffer(pickle.dumps(labels), np.uint8)
            pickled.attrs.update(CLASS="VLARRAY", PSEUDOATOM="object", kind="string")
        group["axis1"] = np.arange(len(values))
        group["block0_values"] = values
        group["block0_values"].attrs.update(CLASS="ARRAY", transposed=1)
        group["block1_values"] = np.arange(len(values))[:, None]


def zscored(tree: Tree, by: list[str]) -> np.ndarray:
    """Responses ``(n_trials, n_voxels)`` minus the mean of their group, over its population standard deviation."""
    frame = pd.DataFrame(tree.responses.T.astype(float)).groupby([tree.trials[name] for name in by])
    return frame.transform(lambda part: (part - part.mean()) / part.std(ddof=0)).to_numpy()


def _trials(subject: int, rng: np.random.Generator) -> pd.DataFrame:
    n_train = N_SESSIONS * N_RUNS * PER_RUN - N_SESSIONS * N_TEST
    train = [f"{CONCEPTS[i % len(CONCEPTS)]}_{1 + i // len(CONCEPTS):02d}s" for i in range(n_train)]
    test = [f"{CONCEPTS[i % len(CONCEPTS)]}_{13 + i // len(CONCEPTS)}n" for i in range(N_TEST)]
    train, rows = rng.permutation(train).tolist(), []
    for session in range(1, N_SESSIONS + 1):
        order = rng.permutation(test).tolist()
        for run in range(1, N_RUNS + 1):
            here = [("test", order.pop()) for _ in range(N_TEST // N_RUNS)]
            here += [("train", train.pop()) for _ in range(PER_RUN - len(here))]
            rows += [(*here[i], session, run) for i in rng.permutation(PER_RUN)]
    table = pd.DataFrame(rows, columns=["trial_type", "stimulus", "session", "run"])
    table["subject_id"], table["trial_id"] = subject, np.arange(len(table))
    table["concept"] = table["stimulus"].str.rsplit("_", n=1).str[0]
    table["stimulus"] += ".jpg"
    return table[["trial_type", "session", "run", "subject_id", "trial_id", "stimulus", "concept"]]


def _voxels(ijk: np.ndarray, version: int, rng: np.random.Generator) -> pd.DataFrame:
    n = len(ijk)
    table = pd.DataFrame(ijk, columns=["voxel_x", "voxel_y", "voxel_z"])
    table.insert(0, "subject_id", 1)
    table.insert(1, "voxel_id", np.arange(n))
    for name in ("nc_singletrial", "nc_testset"):
        table[name] = rng.uniform(0, 80, n)
    table["splithalf_corrected"], table["prf-eccentricity"] = rng.uniform(-1, 1, n), rng.uniform(0, 10, n)
    map_of = np.where(rng.random(n) < 0.5, rng.integers(0, len(PRF), n), -1)
    for i, name in enumerate(PRF):
        table[name] = np.where(map_of == i, 1.0, np.nan if name == "hV4" else 0.0)
    left = ijk[:, 0] < SHAPE[0] // 2
    for area in LOCALIZERS:
        here = rng.random(n) < 0.12
        table[f"l{area}"], table[f"r{area}"] = (here & left).astype(float), (here & ~left).astype(float)
    table.loc[rng.random(n) < 0.2, "rSTS"] = np.nan
    if version == 2:
        table["IT"] = (np.arange(n) % 3 == 0).astype(float)
        for i, name in enumerate(GLASSER):
            table[name] = (np.arange(n) % 5 == i).astype(float)
    return table


def _write(tree: Tree, names: str, version: int) -> None:
    trials = tree.trials if version == 2 else tree.trials.drop(columns="concept")
    name = f"sub-{tree.subject:02d}"
    if names == "figshare":
        folder = tree.root / "betas_csv"
        files = ["ResponseData.h5", "StimulusMetadata.csv", "VoxelMetadata.csv"]
        responses, stimuli, voxels = (folder / f"{name}_{file}" for file in files)
    else:
        folder = tree.root / "derivatives" / name
        files = ["voxel-wise-responses.h5", "stimulus-metadata.tsv", "voxel-metadata.tsv"]
        responses, stimuli, voxels = (folder / f"{name}_task-things_{file}" for file in files)
    folder.mkdir(parents=True)
    trials.to_csv(stimuli, index=False)
    tree.voxels.to_csv(voxels, index=False)
    write_frame(responses, tree.responses, WritesAFile(tree.root / "opened"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--names", default="figshare", choices=("figshare", "openneuro"))
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    options = parser.parse_args()
    tree = make_tree(options.out, names=options.names, dtype=np.dtype(options.dtype).type)
    write_features(tree, options.out / "features.h5")
    print(f"Wrote a miniature of THINGS-fMRI, with planted responses, to {options.out}")


if __name__ == "__main__":
    main()
