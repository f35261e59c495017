"""`prepare_arrays`: features, responses and labels that someone already has become a dataset file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from jne._core import check_unit, provenance, sha256
from jne.accuracy import noise_ceiling
from jne.datasets import EncodingDataset, save_dataset
from jne.prepare.array_files import check_belong, mark_bad, to_float32
from jne.prepare.array_further import without_responses
from jne.prepare.array_labels import LABELS, as_labels, name_areas
from jne.prepare.array_roles import AXES, check_axes, of_tested, orient, read_mapped
from jne.prepare.array_zscores import zscored
from jne.prepare.levels import add_levels, given_levels
from jne.prepare.matlab_arrays import MATLAB_ENDING, counted_from_zero
from jne.prepare.splits import check_fractions, check_out, one_at_out, split_stimuli


@one_at_out
def prepare_arrays(
    source_file: str | Path,
    mapping: Sequence[tuple[str, str]],
    out: str | Path,
    *,
    units_first: bool | None = None,
    mesh: str | None = None,
    levels: str | Mapping[str, object] | None = None,
    default_layer: str | None = None,
    zscore: str = "none",
    further: int | None = None,
    seed: int = 0,
    test_fraction: float = 0.2,
    validation_fraction: float = 0.1,
    drop_bad_voxels: bool = False,
    name: str | None = None,
    licence: str | None = None,
    source: str | None = None,
    unit: str | None = None,
    report: Callable[[str], object] = lambda line: None,
) -> EncodingDataset:
    """Make a dataset file from the arrays of one ``.npz``, HDF5 or MATLAB file.

    Parameters
    ----------
    source_file : path
        ``.npz`` (read without pickles), ``.h5`` / ``.hdf5``, or MATLAB's ``.mat`` of version 7.3: its arrays have the
        shape that MATLAB shows, numbers of areas count from 1 with 0 for none, and cells of text are text.
    mapping : sequence of (role, array name)
        Roles are the keys of `jne.prepare.array_roles.AXES`; ``features`` may come several times, once for each layer,
        and the layer takes the array's name. ``features`` and ``responses`` are needed; without ``split`` and ``fold``
        the stimuli are split by ``seed``. A ``roi`` of whole numbers is an index into ``roi_names``; NaN is no area.
        ``repeats`` are those of all stimuli, ``(n_stimuli, n_repeats, n_voxels)``, or of the test stimuli of ``split``
        alone, in their order; those of the test stimuli give the noise ceiling (with ``fold``, those of all stimuli).
        ``further`` are features of stimuli without responses, one for each of ``features`` and in their order, and
        ``further_stimulus_id`` their ids.
    out : path
        The file to write; ends in ``.nc``.
    units_first : bool, optional
        Whether ``responses`` has voxels before stimuli; found from the counts where they differ.
    mesh : str, optional
        Of ``vertex``: fsLR-32k, fsaverage, ...
    levels : str or dict, optional
        Area -> level of the hierarchy, instead of the role ``level``; see `jne.prepare.levels.parse_levels`.
    default_layer : str, optional
        The layer that is used where none is named; without one, all layers side by side.
    zscore : {"none", "run", "session"}
        Z-score responses, which are single trials then, within what the roles ``run`` and ``session`` say.
    further : int, optional
        Keep at most so many stimuli without responses; by default twenty for each feature of the widest layer. Those
        that have the id of a stimulus with responses, or the features of a test stimulus, are left out.
    seed, test_fraction, validation_fraction
        Of the split, where the input has none; the first also of the sample of further stimuli.
    drop_bad_voxels : bool
        Leave out voxels whose responses are constant or not finite, and say in the file how many.
    name, licence, source : str, optional
        Kept in the file.
    unit : str, optional
        What a response is of, in figures and texts: voxel, vertex, neuron, ...
    report : callable
        Called with lines that say what is done.

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
    check_unit(unit)
    arrays, layers, more = read_mapped(path, mapping)
    n_stimuli = len(next(iter(layers.values())))
    responses = orient(arrays.pop("responses"), n_stimuli, path, units_first)
    counts = {"stimulus": n_stimuli, "voxel": responses.shape[1]}
    if path.suffix == MATLAB_ENDING:
        arrays = counted_from_zero(arrays, path, mesh, report)
    arrays = as_labels(name_areas(arrays, path), path)
    arrays |= _levels(arrays, levels, report)
    repeats, given = arrays.pop("repeats", None), "split" in arrays
    for role, values in {**{f"features {layer}": v for layer, v in layers.items()}, **arrays}.items():
        check_axes(role, values, counts, path)
    responses = zscored(responses, arrays, zscore, path, averaged=repeats is not None)
    if "split" not in arrays and "fold" not in arrays:
        ids = arrays.get("stimulus_id", np.arange(n_stimuli))
        arrays["split"] = split_stimuli([str(i) for i in ids], test_fraction, validation_fraction, seed)
    if repeats is not None:
        arrays["repeats"] = of_tested(repeats, arrays.get("split"), given, counts, path)
        tested = responses[arrays["split"] == "test"] if "split" in arrays else responses
        check_belong(arrays["repeats"], tested, path, "the responses")
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
        **({"unit": unit} if unit else {}),
        "licence": licence or "not stated",
        "source": source or "not stated",
        "seed": seed,
        "n_dropped_voxels": int(bad.sum()),
        "dropped_voxels": ", ".join(map(str, np.flatnonzero(bad))),
        "input_file": path.name,
        "input_sha256": sha256(path),
        "map": ",".join(f"{role}={array}" for role, array in mapping),
        **({"default_layer": default_layer} if default_layer else {}),
        **({"zscore": zscore} if zscore != "none" else {}),
        **n_unseen,
        **provenance(),
    }
    if mesh and "vertex" in content:
        content["vertex"].attrs["mesh"] = mesh
    return save_dataset(content, out)


def _levels(
    arrays: Mapping[str, np.ndarray], levels: str | Mapping[str, object] | None, report: Callable[[str], object]
) -> dict[str, np.ndarray]:
    """The role ``level`` as given for areas; none where nothing is given."""
    if not (given := given_levels(levels)):
        return {}
    if "level" in arrays:
        raise ValueError("levels: the map names an array for level, too; one of the two says the levels of the areas")
    found = add_levels(
        xr.Dataset({name: ("voxel", arrays[name]) for name in ("roi",) if name in arrays}), given, report
    )
    return {"level": found["level"].values}


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
