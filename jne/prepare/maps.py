"""What `prepare_nifti` and `prepare_fsaverage` share: maps, their stimuli and features become a dataset file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from jne._core import listed, provenance, sha256
from jne.accuracy import noise_ceiling
from jne.datasets import EncodingDataset, save_dataset
from jne.features import FeatureFile
from jne.prepare.array_files import mark_bad
from jne.prepare.splits import check_fractions, check_out, split_stimuli
from jne.prepare.trials import Trials

_FEATURE_ATTRIBUTES = (
    "feature_model",
    "feature_weights_sha256",
    "feature_grids",
    "preprocessing",
    "preprocessing_sha256",
)


@dataclass(frozen=True)
class Options:
    """Options of every function that makes a dataset of maps; `jne prepare arrays` describes them."""

    out: str | Path
    default_layer: str | None = None
    seed: int = 0
    test_fraction: float = 0.2
    validation_fraction: float = 0.1
    drop_bad_voxels: bool = False
    name: str | None = None
    licence: str | None = None
    source: str | None = None

    def __post_init__(self):
        check_out(self.out)
        check_fractions(self.test_fraction, self.validation_fraction)


def check_layers(features: FeatureFile, voxels: xr.Dataset) -> None:
    taken = {"responses", "responses_repeats", "stimulus_id", "split", "category", "noise_ceiling", *voxels}
    if clash := sorted(taken & set(features.layers)):
        raise ValueError(f"features: {features.path} has a layer {clash[0]!r}, which names something else in a dataset")


def save_maps(
    maps: np.ndarray,
    trials: Trials,
    features: FeatureFile,
    voxels: xr.Dataset,
    where: Path,
    options: Options,
    attrs: Mapping[str, str | int],
) -> EncodingDataset:
    """Average, split, check and write.

    Parameters
    ----------
    maps : array ``(n_maps, n_voxels)``
    trials, features
        What the maps are responses to.
    voxels : xarray.Dataset
        Variables ``(voxel, ...)``: roi, hemisphere, vertex, ijk.
    where : Path
        What errors name.
    options, attrs
    """
    check_layers(features, voxels)
    split = stimulus_split(trials, options)
    responses = trials.average(maps)
    bad = np.zeros(responses.shape[1], bool)
    mark_bad(bad, responses, "", where, options.drop_bad_voxels)
    for part in ("train", "test"):
        if (chosen := split == part).sum() > 1:
            mark_bad(bad, responses[chosen], f" over the {part} stimuli", where, options.drop_bad_voxels)
    content = {
        layer: (("stimulus", f"feature_{layer}"), features.features(layer, trials.ids)) for layer in features.layers
    }
    content["responses"] = (("stimulus", "voxel"), responses[:, ~bad])
    content["stimulus_id"] = ("stimulus", trials.ids.astype(object))
    content["split"] = ("stimulus", split.astype(object))
    if (category := trials.of_stimuli("category")) is not None:
        content["category"] = ("stimulus", category.astype(object))
    repeats = trials.repeats(maps[:, ~bad], np.flatnonzero(split == "test"))
    if repeats is not None:
        content["responses_repeats"] = (("test_stimulus", "repeat", "voxel"), repeats)
        # Of the test stimuli, as they are what R² is computed on, and they may be repeated more often than the others.
        content["noise_ceiling"] = ("voxel", noise_ceiling(repeats).astype(np.float32))
    dataset = xr.Dataset(
        {**content, **voxels.isel(voxel=~bad).data_vars},
        attrs={
            "name": options.name or Path(options.out).stem,
            "synthetic": 0,
            "licence": options.licence or "not stated",
            "source": options.source or "not stated",
            "seed": options.seed,
            "n_maps": len(maps),
            "n_dropped_voxels": int(bad.sum()),
            "stimuli_file": trials.path.name,
            "stimuli_sha256": sha256(trials.path),
            "features_file": features.path.name,
            "features_sha256": sha256(features.path),
            **{name: features.attrs[name] for name in _FEATURE_ATTRIBUTES if name in features.attrs},
            **({"default_layer": options.default_layer} if options.default_layer else {}),
            **attrs,
            **provenance(),
        },
    )
    return save_dataset(dataset, options.out)


def stimulus_split(trials: Trials, options: Options) -> np.ndarray:
    """Split of each stimulus: the table's, or drawn; where the table names no validation stimuli, some of train."""
    split = trials.of_stimuli("split")
    if split is None:
        return split_stimuli(list(trials.ids), options.test_fraction, options.validation_fraction, options.seed)
    split = split.astype("U10")
    if "validation" not in split:
        train = np.flatnonzero(split == "train")
        n = max(1, round(options.validation_fraction * len(train)))
        split[np.random.default_rng(options.seed).permutation(train)[:n]] = "validation"
    return split


def read_label_names(path: str | Path) -> dict[int, str]:
    """Names of an atlas: a CSV or TSV with the columns index and name, or a FreeSurfer colour table."""
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"atlas names: there is no file {path}")
    try:
        if path.suffix in (".csv", ".tsv"):
            table = pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",", keep_default_na=False)
            return dict(zip(table["index"].astype(int), table["name"].astype(str), strict=True))
        lines = (line.split() for line in path.read_text().splitlines() if not line.lstrip().startswith("#"))
        return {int(line[0]): line[1] for line in lines if line}
    except (KeyError, ValueError, IndexError) as error:
        raise ValueError(
            f"atlas names: {path} cannot be read ({error}); needed: a .csv or .tsv with the columns index and name, or "
            "a FreeSurfer colour table (index, name, ...)"
        ) from error


def name_labels(labels: np.ndarray, names: Mapping[int, str] | None, path: Path) -> np.ndarray:
    """Area of each voxel from whole numbers; empty for 0 and below, and where the name says that it is none."""
    if not np.isfinite(labels).all() or (labels != np.round(labels)).any():
        raise ValueError(f"atlas: {path} holds values that are not whole numbers; needed: one label per voxel")
    labels = labels.astype(int)
    present = [int(label) for label in np.unique(labels) if label > 0]
    if names is not None and (unnamed := [str(label) for label in present if label not in names]):
        raise ValueError(f"atlas: {len(unnamed)} labels of {path} have no name ({listed(unnamed)})")
    area = np.full(labels.shape, "", object)
    for label in present:
        name = str(label) if names is None else names[label]
        area[labels == label] = "" if is_none(name) else name
    return area


def is_none(name: str) -> bool:
    """Whether an atlas means by this name that a place belongs to no area."""
    return name.casefold().replace("_", " ") in ("", "???", "unknown", "none", "background", "medial wall")


def joined_hash(files: Sequence[Path]) -> str:
    """SHA-256 of a file, or of several files' hashes in order."""
    hashes = [sha256(file) for file in files]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
