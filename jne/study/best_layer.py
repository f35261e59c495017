"""Each voxel in its best layer: chosen by a linear encoder, studied layer by layer, assembled voxel by voxel."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from sklearn.base import clone

from jne._core import check_held, hash_parameters, kept, one_at_a_time, provenance, results_dir, write_json
from jne.accuracy import bootstrap_r2, correlation_score, r2_score, significant_voxels, too_few_bootstraps
from jne.datasets import EncodingDataset, further_layers, leave_out, training_arrays
from jne.encoders import Encoder, RidgeEncoder
from jne.study.levels import with_levels
from jne.study.measuring import attributes_of, explained
from jne.study.settings import prototypes, study_parameters
from jne.study.study import Study, run_study
from jne.study.validation import with_area_share

RIDGE = {"alphas": tuple(10.0**exponent for exponent in range(-1, 7, 2)), "cv": 3}
"""Of the choice: layers are compared, not voxels predicted, so a coarse grid does, at a third of the price."""
LEAST_VOXELS = 5
"""A layer needs so many voxels to have encoders of its own."""

CHOICE = "lowest cross-validated error of ridge regression over training and validation stimuli"


@dataclass(frozen=True)
class BestLayerStudy(Study):
    """What `run_study` returns with ``layer="best"``: one result, assembled from a study of each layer's voxels.

    ``result`` is that of a `Study`, its voxels in the order of the dataset, with ``layer (voxel)``, the name of each
    voxel's layer. ``encoder`` and ``linear`` are None: every layer has its own, in ``studies``.

    Attributes
    ----------
    studies : dict
        Layer -> `Study` of the voxels that chose it, in the dataset's order of layers; layers that nobody chose are not
        in it.
    """

    studies: dict[str, Study]

    @property
    def parts(self) -> dict[str, Study]:
        return self.studies

    def voxels_of(self, layer: str) -> np.ndarray:
        return np.flatnonzero(self.result["layer"].values == layer)

    def crossfit(self, *args, **settings) -> xr.Dataset:
        return self._assembled(lambda part: part.crossfit(*args, **settings))

    def null(self, *args, **settings) -> xr.Dataset:
        return self._assembled(lambda part: part.null(*args, **settings))

    def variants(self, **settings) -> xr.Dataset:
        return self._assembled(lambda part: part.variants(**settings))

    def _assembled(self, measure: Callable[[Study], xr.Dataset]) -> xr.Dataset:
        # Significance is of all voxels together, and so are the result's other facts of a voxel.
        found = assemble({layer: measure(part) for layer, part in self.studies.items()}, self.voxels_of)
        same = [name for name in ("significant", "layer") if name in self.result]
        origin = {name: self.result.attrs[name] for name in ("data", "data_hash", "layer", "layer_choice")}
        return found.assign(self.result[same]).assign_attrs(origin)


def best_layers(data: EncodingDataset, *, random_state: int = 0) -> np.ndarray:
    """Choose each voxel's feature layer by how well a linear encoder predicts it.

    Ridge regression is cross-validated over the training and validation stimuli (`jne.RidgeEncoder`), and the layer
    with the lowest error wins, the first of equals. Test stimuli have no part in it. Of a dataset with folds these are
    all stimuli, cross-validated over its folds. A layer that fewer than `LEAST_VOXELS` chose leaves them to their next
    best: an encoder of so few voxels learns little, and costs as much as one of many.

    The encoder is linear, since a nonlinear one would find a layer best for what it bends; and it is a choice of this
    method: a voxel that is a nonlinear function of one layer and a linear one of the next is the next one's.

    Parameters
    ----------
    data : EncodingDataset
    random_state : int
        Seeds the cross-validation.

    Returns
    -------
    numpy.ndarray of str, ``(n_voxels,)``

    Examples
    --------
    >>> import numpy as np, jne
    >>> from jne.study import best_layers
    >>> options = {"thin": 64, "n_train": 300, "n_validation": 50, "n_test": 50, "cache": False}
    >>> data = jne.load_dataset("synthetic", layer="deepening", alpha="none", **options)
    >>> bool((best_layers(data) == data.get("true_layer")).mean() > 0.9)
    True
    """
    return _chosen(data, random_state, lambda layer: training_arrays(data, layer))


def _chosen(data: EncodingDataset, random_state: int, arrays_of: Callable) -> np.ndarray:
    if len(data.layers) == 1:
        return np.full(data.n_voxels, data.layers[0])
    ridge = RidgeEncoder(**RIDGE, random_state=random_state)
    losses = np.array([clone(ridge).fit(arrays_of(layer)).history_["cv_loss"] for layer in data.layers])
    while True:
        choice = np.argmin(losses, axis=0)
        counts = np.bincount(choice, minlength=len(losses))
        few = np.flatnonzero((counts > 0) & (counts < LEAST_VOXELS))
        if len(few) == 0 or np.count_nonzero(counts) == 1:
            return np.array(data.layers)[choice]
        losses[few[np.argmin(counts[few])]] = np.inf


def run_best_layer(
    data: EncodingDataset,
    *,
    seed: int,
    encoder: Encoder | type[Encoder],
    encoder_options: Mapping | None,
    n_bootstrap: int,
    q: float,
    folder: str | Path | None,
    wait: bool,
    linear: bool,
    **settings,
) -> BestLayerStudy:
    """`run_study` with ``layer="best"``, which see; ``settings`` go on to the study of each layer."""
    prototype = prototypes(encoder, dict(encoder_options or {}), seed)[0]
    known = {name: settings[name] for name in settings if name not in ("max_memory", "progress")}
    known |= {"seed": seed, "n_bootstrap": n_bootstrap, "q": q}
    parameters = study_parameters(data, "best", prototype, encoder_options, **known)
    home = Path(folder or results_dir() / "studies")
    own = home / hash_parameters(parameters)
    settings |= {"seed": seed, "encoder": encoder, "encoder_options": encoder_options, "folder": home}
    settings |= {"n_bootstrap": n_bootstrap, "q": q, "linear": linear}
    with one_at_a_time(own / "study.nc", wait=wait):
        choice = kept(own / "layers.nc", lambda: _choices(data, seed))
        layer = choice["layer"].values.astype(str)
        studies = _studies(data, layer, settings)
        complete = all(part.linear is not None for part in studies.values())

        def assembled() -> xr.Dataset:
            write_json(parameters, own / "parameters.json")
            results = {name: part.result for name, part in studies.items()}
            result = assemble(results, lambda name: np.flatnonzero(layer == name))
            result = with_levels(result.assign(_areas_of(results.values()).variables))
            result["layer"] = "voxel", layer.astype(object), {"layers": data.layers}
            if "fold_layer" in choice:
                result = result.assign(_nested_accuracy(data, choice, studies, parameters, settings.get("progress")))
                if "noise_ceiling" in result:
                    result["explained"] = explained(result)
            result["significant"] = "voxel", significant_voxels(result["p_value"].values, q)
            result["confirmed"] = "voxel", significant_voxels(result["validated_p_value"].values, q)
            attributes = attributes_of(parameters)
            if "fold_layer" in choice:
                attributes["evaluation"] = f"{result.attrs['evaluation']}, layers chosen without the fold"
            return result.assign_attrs(**attributes, layer_choice=CHOICE, **provenance())

        result = kept(own / ("study.nc" if complete else "nonlinear.nc"), assembled)
    if few := too_few_bootstraps(result["p_value"].values, n_bootstrap, q):
        warnings.warn(few, stacklevel=3)
    return BestLayerStudy(data, None, None, result, own, studies)


def _studies(data: EncodingDataset, layer: np.ndarray, settings: Mapping) -> dict[str, Study]:
    """The study of each layer's voxels, by layer."""
    studies = {}
    for name in [name for name in data.layers if name in layer]:
        with warnings.catch_warnings():
            # Of a layer's voxels alone; what matters is said of all together.
            warnings.filterwarnings("ignore", message=".*bootstraps are too few", category=UserWarning)
            studies[name] = run_study(_restricted(data, name, np.flatnonzero(layer == name)), name, **settings)
    return studies


def _restricted(data: EncodingDataset, layer: str, voxels: np.ndarray) -> EncodingDataset:
    """The dataset with one of its layers and some of its voxels."""
    if len(voxels) == data.n_voxels:
        return data
    further = further_layers(data.content)
    others = [name for name in data.layers if name != layer]
    content = data.content.drop_vars([*others, *(further[name] for name in others if name in further)])
    of_voxels = [name for name, variable in content.variables.items() if "voxel" in variable.dims]
    check_held(content[of_voxels].nbytes, f"{data.name}: its voxels")
    # Read whole before it is taken apart: one voxel at a time is slow to read from a compressed file.
    chosen = content[of_voxels].compute().isel(voxel=voxels)
    rest = content.drop_vars(of_voxels)
    return EncodingDataset(rest.merge(chosen).assign_attrs({**data.attrs, "name": data.name, "default_layer": layer}))


def assemble(parts: Mapping[str, xr.Dataset], voxels: Callable[[str], np.ndarray]) -> xr.Dataset:
    """One dataset over all voxels from those of each layer's voxels.

    Parameters
    ----------
    parts : mapping
        Layer -> dataset over ``voxel`` of the voxels with this layer.
    voxels : callable
        Layer -> places of its voxels among all, in the order of its part, ``(n_voxels_part,)``.

    Returns
    -------
    xarray.Dataset
        Every variable that all parts have, but for those over features, which differ by layer, and those without voxels
        that differ; attributes that all parts agree on.
    """
    order = np.argsort(np.concatenate([voxels(layer) for layer in parts]))
    first, *others = parts.values()
    joined = {}
    for name, variable in first.variables.items():
        if any("feature" in str(dim) for dim in variable.dims) or not all(name in other for other in others):
            continue
        pieces = [variable, *(other.variables[name] for other in others)]
        if "voxel" in variable.dims:
            # Not xarray's concat, which cuts text to the length of the first part's.
            axis = variable.dims.index("voxel")
            values = np.take(np.concatenate([piece.values for piece in pieces], axis), order, axis)
            values = values.astype(object) if values.dtype.kind == "U" else values
            joined[name] = xr.Variable(variable.dims, values, variable.attrs)
        elif all(variable.equals(piece) for piece in pieces):
            joined[name] = variable
    attributes = {name: value for name, value in first.attrs.items()
                  if all(np.array_equal(other.attrs.get(name), value) for other in others)}  # fmt: skip
    return xr.Dataset(joined, attrs=attributes)


def _areas_of(results: Iterable[xr.Dataset]) -> xr.Dataset:
    """What responses confirm by area: sums over the voxels of all layers, of each those significant among its own."""
    names = ["validated_area_products", "validated_area_predicted", "validated_products", "validated_predicted_sum"]
    parts = [result[names] for result in results if names[0] in result]
    if not parts:
        return xr.Dataset()
    first, *others = xr.align(*parts, join="outer", fill_value=0.0)
    return with_area_share(sum(others, first))


def _choices(data: EncodingDataset, seed: int) -> xr.Dataset:
    """``layer (voxel)``; of a dataset with folds also ``fold_layer (fold, voxel)``, chosen without each fold."""
    found = xr.Dataset({"layer": ("voxel", best_layers(data, random_state=seed).astype(object))})
    if data.folds is None or len(data.layers) == 1:
        return found
    Y, folds = data.responses("all"), data.folds
    labels = np.unique(folds)

    def without(number: int) -> np.ndarray:
        others = folds != labels[number]
        last = labels[number - 1]  # any of the rest: ridge regression takes it as one more fold
        return _chosen(data, seed, lambda layer: leave_out(
            data.features("all", layer)[others], Y[others], folds[others], validation=last))  # fmt: skip

    chosen = np.stack([without(number) for number in range(len(labels))]).astype(object)
    return found.assign(fold_layer=(("fold", "voxel"), chosen))


def _nested_accuracy(data, choice, studies, parameters, progress) -> dict:
    """What says how well a dataset with folds is predicted, its layers chosen without the fold that is predicted.

    The layer of a voxel is chosen from all stimuli, so that predictions in it would be of stimuli that had a part in
    the choice.
    """
    layers, Y = choice["fold_layer"].values.astype(str), data.responses("all")
    part = next(iter(studies.values()))
    predictions = _cross_predict(data, part.encoder, layers, Y, progress)
    accuracy = bootstrap_r2(Y, predictions, parameters["n_bootstrap"], random_state=parameters["seed"])
    found = dict(accuracy.data_vars) | {"correlation": ("voxel", correlation_score(Y, predictions))}
    if part.linear is not None:
        found["r2_linear"] = "voxel", r2_score(Y, _cross_predict(data, part.linear, layers, Y, progress))
    return found


def _cross_predict(data, encoder: Encoder, layers: np.ndarray, Y: np.ndarray, progress) -> np.ndarray:
    """As `Encoder.cross_predict`, each voxel of each fold from the layer it has there; ``layers (fold, voxel)``."""
    labels, predictions = np.unique(data.folds), np.empty_like(Y)
    for number, label in enumerate(labels):
        tested = data.folds == label
        following = labels[(number + 1) % len(labels)]
        for layer in np.unique(layers[number]):
            voxels = np.flatnonzero(layers[number] == layer)
            X = data.features("all", layer)
            arrays = leave_out(X[~tested], Y[~tested][:, voxels], data.folds[~tested], validation=following)
            fitted = clone(encoder).fit(arrays, progress=bool(progress))
            predictions[np.ix_(tested, voxels)] = fitted.predict(X[tested])
    return predictions
