"""`prepare_arrays`: features, responses and labels that someone already has become a dataset file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from jne._core import provenance, sha256
from jne.accuracy import noise_ceiling
from jne.datasets import EncodingDataset, save_dataset
from jne.prepare.array_files import mark_bad, to_float32
from jne.prepare.array_further import without_responses
from jne.prepare.array_labels import LABELS, as_labels, name_areas
from jne.prepare.array_sources import load_named
from jne.prepare.splits import check_fractions, check_out, one_at_out, split_stimuli

AXES = {
    "features": "stimulus, feature",
    "responses": "stimulus, voxel",
    "repeats": "stimulus, repeat, voxel",
    "stimulus_id": "stimulus",
    "further": "further stimulus, feature",
    "further_stimulus_id": "further stimulus",
    "split": "stimulus",
    "fold": "stimulus",
    "category": "stimulus",
    "thumbnail": "stimulus, y, x, rgb",
    "roi": "voxel",
    "roi_names": "area",
    "hemisphere": "voxel",
    "vertex": "voxel",
    "level": "voxel",
    "noise_ceiling": "voxel",
}
"""What an array of the input can stand for, with the axes that it needs."""


def parse_map(text: str) -> list[tuple[str, str]]:
    """Read ``features=a,features=b,responses=c`` as pairs of what it stands for and the array's name."""
    pairs = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        role, equals, name = part.partition("=")
        if not equals or not name:
            raise ValueError(f"map: {part!r} is not of the form ROLE=ARRAY, such as features=clip_layer_9")
        pairs.append((role.strip(), name.strip()))
    return pairs


@one_at_out
def prepare_arrays(
    source_file: str | Path,
    mapping: Sequence[tuple[str, str]],
    out: str | Path,
    *,
    units_first: bool | None = None,
    mesh: str | None = None,
    default_layer: str | None = None,
    further: int | None = None,
    seed: int = 0,
    test_fraction: float = 0.2,
    validation_fraction: float = 0.1,
    drop_bad_voxels: bool = False,
    name: str | None = None,
    licence: str | None = None,
    source: str | None = None,
) -> EncodingDataset:
    """Make a dataset file from the arrays of one ``.npz`` or HDF5 file.

    Parameters
    ----------
    source_file : path
        ``.npz`` (read without pickles) or ``.h5`` / ``.hdf5``.
    mapping : sequence of (role, array name)
        Roles are the keys of `AXES`; ``features`` may come several times, once for each layer, and the layer takes the
        array's name. ``features`` and ``responses`` are needed; without ``split`` and ``fold`` the stimuli are split by
        ``seed``. A ``roi`` of whole numbers is an index into ``roi_names``; NaN is no area. ``repeats`` are those of
        all stimuli, ``(n_stimuli, n_repeats, n_voxels)``, or of the test stimuli of ``split`` alone, in their order;
        those of the test stimuli give the noise ceiling (with ``fold``, those of all stimuli). ``further`` are features
        of stimuli without responses, one for each of ``features`` and in their order, and ``further_stimulus_id`` their
        ids.
    out : path
        The file to write; ends in ``.nc``.
    units_first : bool, optional
        Whether ``responses`` has voxels before stimuli; found from the counts where they differ.
    mesh : str, optional
        Of ``vertex``: fsLR-32k, fsaverage, ...
    default_layer : str, optional
        The layer that is used where none is named; without one, all layers side by side.
    further : int, optional
        Keep at most so many stimuli without responses; by default twenty for each feature of the widest layer. Those
        that have the id of a stimulus with responses, or the features of a test stimulus, are left out.
    seed, test_fraction, validation_fraction
        Of the split, where the input has none; the first also of the sample of further stimuli.
    drop_bad_voxels : bool
        Leave out voxels whose responses are constant or not finite, and say in the file how many.
    name, licence, source : str, optional
        Kept in the file.

    Returns
    -------
    EncodingDataset
        Opened from the new file.

    Raises
    ------
    ValueError
        If the input is not usable; the message names file, array and the numbers that disagree. Nothing is written.
    """
    out, path = check_out(out), Path(source_file)
    check_fractions(test_fraction, validation_fraction)
    arrays, layers, more = _read(path, mapping)
    n_stimuli = len(next(iter(layers.values())))
    responses = _orient(arrays.pop("responses"), n_stimuli, path, units_first)
    counts = {"stimulus": n_stimuli, "voxel": responses.shape[1]}
    arrays = as_labels(name_areas(arrays, path), path)
    repeats, given = arrays.pop("repeats", None), "split" in arrays
    for role, values in {**{f"features {layer}": v for layer, v in layers.items()}, **arrays}.items():
        _check_axes(role, values, counts, path)
    if "split" not in arrays and "fold" not in arrays:
        ids = arrays.get("stimulus_id", np.arange(n_stimuli))
        arrays["split"] = split_stimuli([str(i) for i in ids], test_fraction, validation_fraction, seed)
    if repeats is not None:
        arrays["repeats"] = _tested(repeats, arrays.get("split"), given, counts, path)
    unseen, n_unseen = without_responses(path, layers, more, arrays, further, seed)
    bad = np.zeros(responses.shape[1], bool)
    mark_bad(bad, responses, "", path, drop_bad_voxels)
    if "split" in arrays:
        for part in ("train", "test"):
            chosen = arrays["split"] == part
            if chosen.sum() > 1:
                mark_bad(bad, responses[chosen], f" over the {part} stimuli", path, drop_bad_voxels)
    content = _content(layers, responses, arrays, ~bad).assign(unseen)
    content.attrs = {
        "name": name or out.stem,
        "synthetic": 0,
        "licence": licence or "not stated",
        "source": source or "not stated",
        "seed": seed,
        "n_dropped_voxels": int(bad.sum()),
        "dropped_voxels": ", ".join(map(str, np.flatnonzero(bad))),
        "input_file": path.name,
        "input_sha256": sha256(path),
        "map": ",".join(f"{role}={array}" for role, array in mapping),
        **({"default_layer": default_layer} if default_layer else {}),
        **n_unseen,
        **provenance(),
    }
    if mesh and "vertex" in content:
        content["vertex"].attrs["mesh"] = mesh
    return save_dataset(content, out)


def _read(
    path: Path, mapping: Sequence[tuple[str, str]]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], list[np.ndarray]]:
    """Arrays by role, feature layers by name, and features of further stimuli in the order of the layers."""
    roles = [role for role, _ in mapping]
    for role in roles:
        if role not in AXES:
            raise ValueError(f"map: {role!r} is not a role; accepted are {', '.join(AXES)}")
        if role not in ("features", "further") and roles.count(role) > 1:
            raise ValueError(
                f"map: {role} is given {roles.count(role)} times; only features and further may come more than once"
            )
    for needed in ("features", "responses"):
        if needed not in roles:
            raise ValueError(f"map: {needed} is missing; add {needed}=NAME with NAME an array of {path}")
    found = load_named(path, [name for _, name in mapping])
    arrays = {role: found[name] for role, name in mapping if role not in ("features", "further")}
    more = [(f"further {name}", found[name]) for role, name in mapping if role == "further"]
    layers = {name.strip("/").replace("/", "_"): found[name] for role, name in mapping if role == "features"}
    for role, values in [
        *arrays.items(),
        *((f"features {name}", values) for name, values in layers.items()),
        *more,
    ]:
        if role.split()[0] not in (*LABELS, "roi_names") and values.dtype.kind not in "fiub":
            raise ValueError(f"{role}: the array of {path} has type {values.dtype}, needed: real numbers")
        if role.split()[0] in ("responses", "features", "further"):
            wanted = AXES[role.split()[0]]
            if values.ndim != 2 or not values.size:
                raise ValueError(
                    f"{role}: the array of {path} has shape {values.shape}; needed: ({wanted}), none empty"
                )
    return (
        arrays,
        {name: to_float32(values) for name, values in layers.items()},
        [to_float32(values) for _, values in more],
    )


def _orient(values: np.ndarray, n_stimuli: int, path: Path, units_first: bool | None) -> np.ndarray:
    """Responses as ``(n_stimuli, n_voxels)``, float32."""
    if units_first is None and values.shape == (n_stimuli, n_stimuli):
        raise ValueError(
            f"responses: the array of {path} has shape {values.shape}, as many voxels as stimuli, so say which comes "
            "first: --units-first or --stimuli-first (in Python units_first=True or False)"
        )
    axes = (0, 1) if units_first is None else (1,) if units_first else (0,)
    found = [axis for axis in axes if values.shape[axis] == n_stimuli]
    if not found:
        raise ValueError(
            f"responses: the array of {path} has shape {values.shape}, and the features have {n_stimuli} stimuli; "
            "one of its axes must be the stimuli"
        )
    return to_float32(values.T if found[0] == 1 else values)


def _check_axes(role: str, values: np.ndarray, counts: Mapping[str, int], path: Path) -> None:
    axes = AXES[role.split()[0]].split(", ")
    if values.ndim != len(axes):
        raise ValueError(f"{role}: the array of {path} has shape {values.shape}; needed: ({', '.join(axes)})")
    for axis, size in zip(axes, values.shape, strict=True):
        if axis in counts and size != counts[axis]:
            raise ValueError(
                f"{role}: the array of {path} has {size} along the {axis} axis, and there are {counts[axis]} "
                f"{'stimuli' if axis == 'stimulus' else 'voxels'}"
            )


def _tested(
    repeats: np.ndarray, split: np.ndarray | None, given: bool, counts: Mapping[str, int], path: Path
) -> np.ndarray:
    """Repeats of the stimuli that R² is computed on: of the test stimuli, or of all where there are folds.

    Parameters
    ----------
    repeats : array
        ``(n_stimuli, n_repeats, n_voxels)``, or of the test stimuli alone, in their order.
    split : array of str, optional
        None where there are folds.
    given : bool
        Whether the split is the input's own; to one that was drawn, repeats of some stimuli cannot belong.
    """
    n_test = None if split is None else int(np.count_nonzero(split == "test"))
    test_only = given and repeats.ndim == 3 and repeats.shape[0] == n_test
    if not test_only and repeats.ndim == 3 and repeats.shape[0] != counts["stimulus"]:
        what = (
            f", or of the {n_test} test stimuli" if given else "; for those of test stimuli alone, map a split as well"
        )
        raise ValueError(
            f"repeats: the array of {path} has {repeats.shape[0]} along the stimulus axis; needed: repeats of all "
            f"{counts['stimulus']} stimuli{what}"
        )
    _check_axes("repeats", repeats, {"voxel": counts["voxel"]}, path)
    return to_float32(repeats if split is None or test_only else repeats[split == "test"])


def _content(
    layers: Mapping[str, np.ndarray], responses: np.ndarray, arrays: Mapping[str, np.ndarray], kept: np.ndarray
) -> xr.Dataset:
    content = {layer: (("stimulus", f"feature_{layer}"), values) for layer, values in layers.items()}
    content["responses"] = ("stimulus", "voxel"), responses[:, kept]
    arrays = dict(arrays)
    arrays.setdefault("stimulus_id", np.array([f"stimulus{i:05d}" for i in range(len(responses))]))
    repeats = arrays.pop("repeats", None)
    for role, values in arrays.items():
        axes = AXES[role].split(", ")
        values = values[kept] if axes == ["voxel"] else values
        content[role] = axes, values.astype(object) if role in LABELS else values
    # Without any repeat of a stimulus that R² is computed on, nothing is known of how much of it is noise.
    if repeats is not None and (np.isfinite(repeats).sum(axis=1) > 1).any():
        repeats = repeats[..., kept]
        content["noise_ceiling"] = "voxel", noise_ceiling(repeats).astype(np.float32)
        if "split" in arrays:
            content["responses_repeats"] = ("test_stimulus", "repeat", "voxel"), repeats
    if "noise_ceiling" in arrays:
        # An estimate below zero, as split halves give, means that nothing reliable was found.
        content["noise_ceiling"] = "voxel", np.maximum(to_float32(arrays["noise_ceiling"][kept]), 0)
    return xr.Dataset(content)
