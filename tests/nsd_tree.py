"""A miniature of NSD on disk: its file names, types, ids and tables, with responses that were planted.

Synthetic, and small in everything but what may not be small: image ids run to 73,000, and fsaverage has its own number
of vertices, of which few have data. It has what NSD's own files have and a reader may stumble over: 19 columns with
gaps and very long numbers, small integer types, areas as float64, a slope of 0 and no qform, bytes behind the data of
an MGH file, NaN outside the brain, betas clipped to int16, and sessions in two formats. As a script it also writes the
features, so that a dataset can be made from it:

    python tests/nsd_tree.py OUT [--sessions 3] [--trials-per-run 6,5] [--shape 9,10,8]
"""

from __future__ import annotations

import argparse
import gzip
import re
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pandas as pd
from scipy.io import savemat

N_IMAGES, N_SHARED, N_RUNS, N_VERTICES = 73_000, 1000, 12, 163_842
BETAS = "betas_fithrf_GLMdenoise_RR"
LAYERS = {"block1": 10, "block2": 16}
CATEGORIES = ("faces", "bodies", "outdoor scenes", "food")
SURFACE = {"lh": slice(1000, 1120), "rh": slice(160_000, 160_090)}
"""Vertices with data; the first of the right hemisphere's lacks a session."""

AREAS = {
    "prf-visualrois": ["V1v", "V1d", "V2v", "V2d", "V3v", "V3d", "hV4"],
    "floc-faces": ["OFA", "FFA-1", "FFA-2", "mTL-faces", "aTL-faces"],
    "floc-places": ["OPA", "PPA", "RSC"],
    "floc-bodies": ["EBA", "FBA-1", "FBA-2", "mTL-bodies"],
    "floc-words": ["OWFA", "VWFA-1", "VWFA-2", "mfs-words", "mTL-words"],
    "streams": ["early", "midventral", "midlateral", "midparietal", "ventral", "lateral", "parietal"],
    "HCP_MMP1": ["V1", "MST", "V6", "V2", "V3", "V4", "V8", "4", "3b", "FEF", "PEF", "55b", "V3A", "RSC", "POS2", "V7"],
    "Kastner2015": [
        "V1v", "V1d", "V2v", "V2d", "V3v", "V3d", "hV4", "VO1", "VO2", "PHC1", "PHC2", "TO2", "TO1", "LO2", "LO1",
        "V3B", "V3A", "IPS0", "IPS1", "IPS2", "IPS3", "IPS4", "IPS5", "SPL1", "FEF",
    ],
}  # fmt: skip
"""Area names of each atlas, from number 1."""
ON_FSAVERAGE = ("streams", "Kastner2015", "HCP_MMP1")
"""The others are drawn on each subject's own surface."""
CLIP = 32767
"""The largest int16: what is larger is written so."""


@dataclass
class Subject:
    """What was planted in one subject; points are all voxels (x fastest) or the vertices with data."""

    trials: pd.DataFrame
    percent: dict[str, np.ndarray] = field(default_factory=dict)  # space -> (n_trials, n_points), before rounding
    ncsnr: dict[str, np.ndarray] = field(default_factory=dict)
    labels: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)  # space -> atlas -> numbers
    brainmask: np.ndarray | None = None
    nsdgeneral: np.ndarray | None = None
    lost: np.ndarray | None = None  # voxels without data in session 2
    clipped: np.ndarray | None = None  # (trial, voxel) of each clipped beta


@dataclass
class Tree:
    root: Path
    shape: tuple[int, int, int]
    shared: np.ndarray  # nsdIds, from 0
    features: dict[str, np.ndarray]  # of every image of the features file
    feature_ids: np.ndarray
    subjects: dict[int, Subject] = field(default_factory=dict)

    def vertices(self) -> np.ndarray:
        """Index of the vertices with data into both hemispheres together."""
        left, right = (np.arange(N_VERTICES)[here] for here in SURFACE.values())
        return np.concatenate([left, N_VERTICES + right])


def make_tree(
    root: str | Path,
    *,
    subjects: tuple[int, ...] = (1, 2),
    n_sessions: int = 3,
    trials_per_run: tuple[int, int] = (6, 5),
    shape: tuple[int, int, int] = (9, 10, 8),
    formats: tuple[str, ...] = (".nii.gz", "mixed"),
    surface: bool = True,
    seed: int = 0,
) -> Tree:
    """Write the tree; the volume betas of the i-th subject have the i-th format; mixed is HDF5 and NIfTI in turn.

    Parameters
    ----------
    root : path
    subjects : tuple of int
    n_sessions : int
    trials_per_run : tuple of int
        In odd and in even runs; NSD has (63, 62).
    shape : tuple of int
    formats : tuple of str
    surface : bool
        Write fsaverage betas as well.
    seed : int
    """
    root, rng = Path(root), np.random.default_rng(seed)
    ids = np.concatenate([[0, N_IMAGES - 1], 1 + rng.permutation(N_IMAGES - 2)])
    shared, others = np.sort(np.concatenate([ids[:1], ids[2 : N_SHARED + 1]])), np.append(ids[1], ids[N_SHARED + 1 :])
    n_trials = n_sessions * N_RUNS // 2 * sum(trials_per_run)
    pool = np.concatenate([shared, others[: len(subjects) * n_trials]])
    pool = rng.permutation(pool)
    features = {name: rng.standard_normal((len(pool), size)) for name, size in LAYERS.items()}
    features = {name: (3 + 2 * values).astype(np.float16) for name, values in features.items()}
    tree = Tree(root, shape, shared, features, pool)
    _write_experiment(tree)
    for i, number in enumerate(subjects):
        own = others[i * n_trials : (i + 1) * n_trials]
        subject = Subject(_trials(number, shared, own, n_sessions, trials_per_run, rng))
        tree.subjects[number] = subject
        _write_volume(tree, number, formats[i % len(formats)], rng)
        if surface:
            _write_surface(tree, number, rng)
    return tree


def write_features(tree: Tree, path: str | Path) -> Path:
    """Features of more images than were shown, in no order, as float16."""
    path = Path(path)
    if path.suffix == ".npz":
        np.savez(path, stimulus_id=tree.feature_ids, **tree.features)
        return path
    with h5py.File(path, "w") as file:
        file["stimulus_id"] = [f"nsd{i:05d}" for i in tree.feature_ids]
        for name, values in tree.features.items():
            file[name] = values
        file.attrs.update(feature_model="planted", preprocessing_sha256="0123")
    return path


def write_categories(tree: Tree, path: str | Path) -> Path:
    table = pd.DataFrame({"nsdId": tree.feature_ids, "category": [CATEGORIES[i % 4] for i in tree.feature_ids]})
    table.to_csv(path, index=False)
    return Path(path)


def zscored(percent: np.ndarray, trials: pd.DataFrame, by: str) -> np.ndarray:
    """Trials minus the mean of their run or session, over its population standard deviation, in float64."""
    result = np.empty(percent.shape)
    for rows in trials.groupby(["SESSION", "RUN"] if by == "run" else "SESSION").indices.values():
        part = percent[rows].astype(float)
        result[rows] = (part - part.mean(axis=0)) / part.std(axis=0, ddof=0)
    return result


def by_image(values: np.ndarray, trials: pd.DataFrame) -> dict[int, np.ndarray]:
    """Presentations of each nsdId, in the order of the experiment."""
    return {image - 1: values[rows] for image, rows in trials.groupby("73KID").indices.items()}


def kept_voxels(subject: Subject) -> np.ndarray:
    """Voxels of the brain mask with data in every session."""
    return np.setdiff1d(np.flatnonzero(subject.brainmask), subject.lost)


def planted_names(subject: Subject, space: str, atlas: str) -> np.ndarray:
    """Area of every point, ventral and dorsal parts as one; empty for none."""
    names = [re.sub("^(V[123])[vd]$", r"\1", name) for name in AREAS[atlas]]
    return np.array(["", *names])[np.maximum(subject.labels[space][atlas], 0)]


def nsd_ids(data) -> np.ndarray:
    """nsdId of every stimulus of a dataset."""
    return np.array([int(name.removeprefix("nsd")) for name in data.get("stimulus_id")])


_ANSWERS = (
    "ISOLD", "ISCORRECT", "RT", "CHANGEMIND", "MEMORYRECENT", "MEMORYFIRST", "ISOLDCURRENT", "ISCORRECTCURRENT",
)  # fmt: skip
"""Columns of what the subject answered, empty where there was no answer."""


def _trials(number, shared, own, n_sessions, trials_per_run, rng) -> pd.DataFrame:
    """Images seen once, twice and three times, shared ones too, in random order over all sessions."""
    per_session = N_RUNS // 2 * sum(trials_per_run)
    n = n_sessions * per_session
    n_often = min(len(shared) - 4, max(12, n // 9))
    # The first shared image has nsdId 0, the first of the own images nsdId 72999 (subject 1): both ends are used.
    shown = [
        *np.repeat(shared[:n_often], 3),
        *np.repeat(shared[n_often : n_often + 2], 2),
        *shared[n_often + 2 : n_often + 4],
    ]
    left, third = n - len(shown), (n - len(shown)) // 3
    shown += [*np.repeat(own[: third // 3], 3), *np.repeat(own[third // 3 : third // 3 + third // 2], 2)]
    start = third // 3 + third // 2
    shown += [*own[start : start + n - len(shown)]]
    assert left > 0 and len(shown) == n
    runs = np.concatenate([np.full(trials_per_run[(run + 1) % 2], run) for run in range(1, N_RUNS + 1)])
    answers = np.random.default_rng(number)  # so that what was planted does not depend on them
    missed, answer = answers.random(n) < 0.1, answers.integers(0, 2, n)
    digits = answers.integers(0, 10**14, n)
    return pd.DataFrame(
        {
            "SUBJECT": number,
            "SESSION": np.repeat(np.arange(1, n_sessions + 1), per_session),
            "RUN": np.tile(runs, n_sessions),
            "TRIAL": np.tile(
                np.concatenate([1 + np.arange((runs == run).sum()) for run in range(1, N_RUNS + 1)]), n_sessions
            ),
            "73KID": rng.permutation(shown) + 1,
            "10KID": answers.integers(1, 10_001, n),
            "TIME": [f"{days}.{digits:014d}" for days, digits in zip(738_000 + np.arange(n), digits, strict=True)],
            **{name: np.where(missed, np.nan, answer) for name in _ANSWERS},
            "TOTAL1": 1 * answer,
            "TOTAL2": 1 - answer,
            "BUTTON": np.where(missed, np.nan, 1 + answer),
            "MISSINGDATA": 0,
        }
    )


def _responses(tree: Tree, subject: Subject, n_points: int, rng) -> tuple[np.ndarray, np.ndarray]:
    """Percent signal change ``(n_trials, n_points)`` with offsets and gains of every run, and the planted ncsnr."""
    table = subject.trials
    rows = pd.Index(tree.feature_ids).get_indexer(table["73KID"] - 1)
    x = (tree.features["block2"][rows].astype(float) - 3) / 2
    weights = rng.standard_normal((x.shape[1], n_points)) / np.sqrt(x.shape[1])
    bent = np.abs(x @ rng.standard_normal((x.shape[1], n_points)) / np.sqrt(x.shape[1])) - np.sqrt(2 / np.pi)
    share = rng.uniform(0, 1, n_points)
    signal = np.sqrt(1 - share) * (x @ weights) + np.sqrt(share / (1 - 2 / np.pi)) * bent
    ncsnr = rng.uniform(0.3, 1.5, n_points)
    values = (signal * ncsnr + rng.standard_normal(signal.shape)) / np.sqrt(1 + ncsnr**2)
    run = table.groupby(["SESSION", "RUN"], sort=False).ngroup().to_numpy()
    gain, offset = rng.uniform(1.5, 3, (run.max() + 1, 1)), rng.normal(0.5, 1, (run.max() + 1, n_points))
    return gain[run] * values + offset[run], ncsnr


def _write_experiment(tree: Tree) -> None:
    folder = tree.root / "nsddata/experiments/nsd"
    folder.mkdir(parents=True, exist_ok=True)
    design = {"sharedix": (tree.shared[None] + 1).astype(np.int32), "masterordering": np.ones((1, 30_000), np.uint16)}
    savemat(folder / "nsd_expdesign.mat", {**design, "basiccnt": np.zeros((3, 40))})
    table = pd.DataFrame({"cocoId": np.arange(N_IMAGES) + 500_000, "nsdId": np.arange(N_IMAGES)})
    table["shared1000"] = np.isin(table["nsdId"], tree.shared)
    table.to_csv(folder / "nsd_stim_info_merged.csv")


def _write_volume(tree: Tree, number: int, ending: str, rng) -> None:
    subject, shape, n = tree.subjects[number], tree.shape, int(np.prod(tree.shape))
    folder = tree.root / f"nsddata/ppdata/subj{number:02d}"
    (folder / "behav").mkdir(parents=True)
    subject.trials.to_csv(folder / "behav/responses.tsv", sep="\t", index=False)
    brain = np.zeros(shape, bool)
    brain[1:-1, 1:-1, 1:-1] = True
    brain, cortex = brain.ravel(order="F"), rng.random(n) < 0.8
    cortex &= brain
    subject.brainmask, subject.nsdgeneral = brain, cortex & (rng.random(n) < 0.5)
    subject.lost = np.flatnonzero(brain)[[3, 40]]
    subject.percent["func1pt8mm"], subject.ncsnr["func1pt8mm"] = _responses(tree, subject, n, rng)
    subject.percent["func1pt8mm"][:, ~brain] = 0
    subject.percent["func1pt8mm"][np.ix_(subject.trials["SESSION"] == 2, subject.lost)] = 0
    _clip(subject)
    _volume(folder / "func1pt8mm/brainmask.nii.gz", brain.astype(np.int16), shape)
    rois = folder / "func1pt8mm/roi"
    _volume(rois / "nsdgeneral.nii.gz", np.where(cortex, subject.nsdgeneral, -1).astype(np.float32), shape)
    subject.labels["func1pt8mm"] = {}
    for atlas, names in AREAS.items():
        draw = np.random.default_rng(number) if atlas == "Kastner2015" else rng
        numbers = np.where(draw.random(n) < 0.5, draw.integers(1, len(names) + 1, n), 0)
        numbers = np.where(cortex, numbers, -1)
        subject.labels["func1pt8mm"][atlas] = numbers
        _volume(rois / f"{atlas}.nii.gz", numbers.astype(np.float64), shape)
        _write_names(tree.root / f"nsddata/freesurfer/subj{number:02d}/label/{atlas}.mgz.ctab", names)
    betas = tree.root / f"nsddata_betas/ppdata/subj{number:02d}/func1pt8mm/{BETAS}"
    _volume(betas / "ncsnr.nii.gz", np.where(brain, subject.ncsnr["func1pt8mm"], np.nan).astype(np.float32), shape)
    stored = np.round(subject.percent["func1pt8mm"] * 300).astype(np.int16)
    for session, here in subject.trials.groupby("SESSION").indices.items():
        packed = ending == ".hdf5" or (ending == "mixed" and session % 2 == 1)
        path = betas / f"betas_session{session:02d}{'.hdf5' if packed else '.nii.gz'}"
        if packed:
            with h5py.File(path, "w") as file:
                chunks = (len(here), 1, 1, 1)
                file.create_dataset("betas", data=stored[here].reshape(-1, *shape[::-1]), chunks=chunks)
        else:
            _volume(path, stored[here].T, (*shape, len(here)))


def _clip(subject: Subject) -> None:
    """Two betas of one voxel that were too large, and one of another that was too small."""
    often = kept_voxels(subject)[[5, 5, 17]]
    subject.clipped = np.array([[10, often[0]], [70, often[1]], [41, often[2]]])
    subject.percent["func1pt8mm"][tuple(subject.clipped.T)] = np.array([CLIP, CLIP, -CLIP - 1]) / 300


def _write_surface(tree: Tree, number: int, rng) -> None:
    subject, points = tree.subjects[number], tree.vertices()
    percent, ncsnr = _responses(tree, subject, len(points), rng)
    n_left = SURFACE["lh"].stop - SURFACE["lh"].start
    percent[subject.trials["SESSION"] == 2, n_left] = np.nan
    subject.percent["fsaverage"], subject.ncsnr["fsaverage"] = percent.astype(np.float32), ncsnr
    subject.labels["fsaverage"] = {}
    folder = tree.root / f"nsddata_betas/ppdata/subj{number:02d}/fsaverage/{BETAS}"
    sides = dict(zip(SURFACE, np.split(np.arange(len(points)), [n_left]), strict=True))
    for side, here in sides.items():
        _surface(folder / f"{side}.ncsnr.mgh", subject.ncsnr["fsaverage"][None, here], side)
        for session, rows in subject.trials.groupby("SESSION").indices.items():
            _surface(folder / f"{side}.betas_session{session:02d}.mgh", percent[np.ix_(rows, here)], side)
    labels = tree.root / "nsddata/freesurfer/fsaverage/label"
    for atlas in ON_FSAVERAGE:
        numbers = np.random.default_rng(len(atlas)).integers(0, len(AREAS[atlas]) + 1, len(points))
        subject.labels["fsaverage"][atlas] = numbers
        for side, here in sides.items():
            _surface(labels / f"{side}.{atlas}.mgz", numbers[None, here], side)
        _write_names(labels / f"{atlas}.mgz.ctab", AREAS[atlas])
    for side, here in sides.items():
        _surface(labels / f"{side}.nsdgeneral.mgz", (here % 2)[None], side)


def _write_names(path: Path, names: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{i} {name}\n" for i, name in enumerate(["Unknown", *names])))


def _volume(path: Path, flat: np.ndarray, shape: tuple) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(flat.reshape(shape, order="F"), None)
    image.set_sform(np.diag([1.8, 1.8, 1.8, 1]), code=1)
    image.set_qform(None, code=0)
    content = bytearray(image.to_bytes())
    content[112:120] = bytes(8)  # scl_slope and scl_inter: 0, which means that values are as stored
    path.write_bytes(gzip.compress(bytes(content), 1, mtime=0))


def _surface(path: Path, values: np.ndarray, side: str) -> None:
    """An MGH file of ``values (n_maps, n_vertices_with_data)``; zero elsewhere, as holes in the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".mgz":
        full = np.zeros((N_VERTICES, 1, 1), np.float32)
        full[SURFACE[side], 0, 0] = values[0]
        nib.save(nib.MGHImage(full, np.eye(4)), path)
        return
    header = nib.freesurfer.mghformat.MGHHeader()
    header.set_data_shape((N_VERTICES, 1, 1, len(values)))
    header.set_data_dtype(">f4")
    with path.open("wb") as file:
        header.writehdr_to(file)
        start = header.get_data_offset()
        for i, row in enumerate(values):
            file.seek(start + 4 * (i * N_VERTICES + SURFACE[side].start))
            file.write(row.astype(">f4").tobytes())
        file.truncate(start + 4 * len(values) * N_VERTICES)
        file.seek(0, 2)
        file.write(np.array([0, 0, 0, 0], ">f4").tobytes())  # TR, flip angle, TE and TI


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--sessions", type=int, default=3)
    parser.add_argument("--trials-per-run", default="6,5", help="in odd and even runs; NSD has 63,62")
    parser.add_argument("--shape", default="9,10,8", help="of the volume")
    parser.add_argument("--no-surface", action="store_true")
    options = parser.parse_args()
    trials, shape = (tuple(map(int, text.split(","))) for text in (options.trials_per_run, options.shape))
    tree = make_tree(
        options.out, n_sessions=options.sessions, trials_per_run=trials, shape=shape, surface=not options.no_surface
    )
    write_features(tree, options.out / "features.h5")
    write_categories(tree, options.out / "categories.csv")
    print(f"Wrote a miniature of NSD, with planted responses, to {options.out}")


if __name__ == "__main__":
    main()
