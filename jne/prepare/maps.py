"""What `prepare_nifti` and `prepare_fsaverage` share: maps, their stimuli and features become a dataset file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from jne._core import check_unit, hdf5_stream, joined_sha256, parse_bytes, provenance, sha256
from jne.accuracy import noise_ceiling
from jne.datasets import EncodingDataset, load_dataset, open_content
from jne.features import FeatureFile
from jne.prepare.array_files import add_bad, unusable
from jne.prepare.brain_files import Maps
from jne.prepare.further import FurtherStimuli
from jne.prepare.levels import add_levels, given_levels, levels_there
from jne.prepare.map_blocks import BlockPlan, write_in_blocks
from jne.prepare.map_store import Store
from jne.prepare.splits import check_fractions, check_out, split_stimuli
from jne.prepare.stimulus_names import with_ids_of
from jne.prepare.table_columns import CATCH
from jne.prepare.trials import Trials, read_trials
from jne.prepare.zscores import check_zscore

_FEATURE_ATTRIBUTES = (
    "feature_model",
    "feature_weights_sha256",
    "feature_grids",
    "preprocessing",
    "preprocessing_sha256",
)


@dataclass(frozen=True)
class Options:
    """Options of every function that makes a dataset of maps; `jne prepare arrays` describes most of them.

    Attributes
    ----------
    further : int, optional
        Stimuli of the features file without responses to keep at most, by default twenty for each feature.
    max_memory : str or int
        Maps are worked on in blocks of voxels that fit into it, besides what the libraries take.
    zscore : {"none", "run", "session"}
        Whether maps are z-scored, each voxel within runs or sessions, before they are averaged.
    levels : str or dict, optional
        Area -> level of the hierarchy, such as ``V1=1,V2=2``, see `jne.prepare.levels.parse_levels`.
    id_column, split_column, run_column : str, optional
        Columns of the table of trials that say these, where they have other names.
    unit : str, optional
        What a response is of, in figures and texts: voxel, vertex, neuron, ...
    report : callable
        Called with lines that say what is done.
    """

    out: str | Path
    default_layer: str | None = None
    seed: int = 0
    test_fraction: float = 0.2
    validation_fraction: float = 0.1
    drop_bad_voxels: bool = False
    name: str | None = None
    licence: str | None = None
    source: str | None = None
    further: int | None = None
    max_memory: str | int = "4GB"
    zscore: str = "none"
    levels: str | Mapping[str, object] | None = None
    id_column: str | None = None
    split_column: str | None = None
    run_column: str | None = None
    unit: str | None = None
    report: Callable[[str], object] = lambda line: None

    def __post_init__(self):
        check_out(self.out)
        check_fractions(self.test_fraction, self.validation_fraction)
        parse_bytes(self.max_memory)
        check_zscore(self.zscore)
        given_levels(self.levels)
        check_unit(self.unit)

    def trials(self, path: str | Path, features: FeatureFile, files: Sequence[str]) -> Trials:
        """The table of trials, its stimuli called as the features file calls them; ``files`` are columns of files."""
        columns = {"id": self.id_column, "split": self.split_column, "run": self.run_column}
        return with_ids_of(features, read_trials(path, columns, files=files, report=self.report), self.report)

    def with_levels(self, voxels: xr.Dataset, **table: str | Path | None) -> xr.Dataset:
        """Voxels with the levels of their areas, where these are given; ``table`` is as in `given_levels`."""
        levels = given_levels(self.levels, **table)
        if self.levels is None and levels and "roi" in voxels:  # those of a table
            levels = levels_there(levels, voxels["roi"].values)
        return add_levels(voxels, levels, self.report)


@dataclass(frozen=True)
class Places:
    """Maps of a study, and the voxels of them that are kept.

    Attributes
    ----------
    readers : list of Maps
        Of each file.
    points : array of int ``(n_voxels,)``
        The kept voxels, as the readers take them.
    voxels : xarray.Dataset
        Variables ``(voxel, ...)``: roi, hemisphere, vertex, ijk.
    attrs : dict
        What the dataset's attributes say of them.
    """

    readers: list[Maps]
    points: np.ndarray
    voxels: xr.Dataset
    attrs: dict[str, str]


def check_layers(features: FeatureFile, voxels: xr.Dataset) -> None:
    taken = {"responses", "responses_repeats", "stimulus_id", "split", "category", "noise_ceiling", *voxels}
    if clash := sorted(taken & set(features.layers)):
        raise ValueError(f"features: {features.path} has a layer {clash[0]!r}, which names something else in a dataset")


def save_maps(
    store: Store,
    trials: Trials,
    features: FeatureFile,
    voxels: xr.Dataset,
    where: Path,
    options: Options,
    attrs: Mapping[str, str | int],
) -> EncodingDataset:
    """Average, split, check and write, a block of voxels at a time.

    Parameters
    ----------
    store : Store
        Maps ``(n_maps, n_voxels)``.
    trials, features
        What the maps are responses to.
    voxels : xarray.Dataset
        Variables ``(voxel, ...)``: roi, hemisphere, vertex, ijk.
    where : Path
        What errors name.
    options, attrs
    """
    check_layers(features, voxels)
    if n_catch := len(trials.shown) - len(trials.table):
        options.report(f"Left out: {n_catch} catch trials, without id or of split {CATCH}.")
    split = stimulus_split(trials, options)
    plan = BlockPlan(trials, split, features, store, options.max_memory)
    options.report(str(plan))
    further = FurtherStimuli.draw(features, features.stimulus_id, trials.ids, options.further, options.seed)
    further = further.without(features.index(trials.ids[split == "test"]))
    bad, ceiling = _look(store, trials, split, plan, where, options.drop_bad_voxels)
    small = {name: ("stimulus", values) for name, values in _of_stimuli(trials, split).items()}
    if ceiling is not None:
        small["noise_ceiling"] = "voxel", ceiling[~bad]
    dataset = xr.Dataset(
        {**small, **voxels.isel(voxel=~bad).data_vars, **further.variables()},
        attrs={
            "name": options.name or Path(options.out).stem,
            "synthetic": 0,
            "licence": options.licence or "not stated",
            "source": options.source or "not stated",
            "seed": options.seed,
            "n_maps": store.shape[0],
            "n_dropped_voxels": int(bad.sum()),
            "stimuli_file": trials.path.name,
            "stimuli_sha256": sha256(trials.path),
            "features_file": features.path.name,
            "features_sha256": features.sha256(),
            **{name: features.attrs[name] for name in _FEATURE_ATTRIBUTES if name in features.attrs},
            **({"default_layer": options.default_layer} if options.default_layer else {}),
            **({"unit": options.unit} if options.unit else {}),
            **({"zscore": options.zscore} if options.zscore != "none" else {}),
            **further.attributes(),
            **attrs,
            **provenance(),
        },
    )
    with hdf5_stream(options.out) as stream:
        write_in_blocks(stream, dataset, store, trials, split, features, plan, ~bad, further)
        if not stream.error:
            with open_content(stream.name, sealed=False) as content:
                EncodingDataset(content, options.out).check_values()
    return load_dataset(options.out)


def _of_stimuli(trials: Trials, split: np.ndarray) -> dict[str, np.ndarray]:
    category = trials.of_stimuli("category")
    found = {"stimulus_id": trials.ids, "split": split, **({} if category is None else {"category": category})}
    return {name: values.astype(object) for name, values in found.items()}


def _look(
    store: Store, trials: Trials, split: np.ndarray, plan: BlockPlan, where: Path, drop: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Which voxels cannot be used, and the noise ceiling of all, where the test stimuli have repeats."""
    n_voxels, test = store.shape[1], np.flatnonzero(split == "test")
    kinds = {"hold non-finite values": None, "are constant": None}
    kinds |= {f"are constant over the {part} stimuli": part for part in ("train", "test") if (split == part).sum() > 1}
    found = {what: np.zeros(n_voxels, bool) for what in kinds}
    ceiling = np.full(n_voxels, np.nan, np.float32)
    for block in plan.blocks:
        maps = store.read(block)
        responses = trials.average(maps)
        found["hold non-finite values"][block], found["are constant"][block] = unusable(responses)
        for what, part in kinds.items():
            if part:
                found[what][block] = unusable(responses[split == part])[1]
        if plan.n_repeats > 1:
            # Of the test stimuli, as they are what R² is computed on, and they may be repeated more often than others.
            ceiling[block] = noise_ceiling(trials.repeats(maps, test))
    bad = np.zeros(n_voxels, bool)
    for what, flags in found.items():
        add_bad(bad, flags, what, where, drop)
    return bad, ceiling if plan.n_repeats > 1 else None


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


def files_attributes(files: Sequence[Path]) -> dict[str, str]:
    """Which files of maps a dataset was made of."""
    return {"maps_files": f"{files[0].name} and {len(files) - 1} more", "maps_sha256": joined_sha256(files)}
