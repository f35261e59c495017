"""`prepare_images`: pictures and the responses recorded to them become a dataset file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import xarray as xr
from PIL import Image

from jne._core import check_unit, listed, provenance, sha256
from jne.accuracy import noise_ceiling
from jne.datasets import EncodingDataset, save_dataset
from jne.features import ImageFiles, central_square
from jne.prepare.array_files import find_orientation, load_array, load_repeats, mark_bad, to_float32
from jne.prepare.splits import check_fractions, check_out, one_at_out, split_stimuli

THUMBNAIL_SIZE = 64
_ALL = "all"
"""In the place of a layer: all of them, side by side."""


@one_at_out
def prepare_images(
    images: str | Path,
    responses: str | Path,
    out: str | Path,
    *,
    repeats: str | Path | None = None,
    units_first: bool | None = None,
    seed: int = 0,
    test_fraction: float = 0.2,
    validation_fraction: float = 0.1,
    default_layer: str | None = None,
    drop_bad_voxels: bool = False,
    name: str | None = None,
    licence: str | None = None,
    source: str | None = None,
    unit: str | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    progress: bool = False,
    report: Callable[[str], object] = lambda line: None,
) -> EncodingDataset:
    """Make a dataset file from images and the responses of voxels or neurons to them.

    Everything is checked before the slow part, the features; the file is written last, whole or not at all.

    Parameters
    ----------
    images : path
        A folder or zip of images; their order is that of the numbers in their names.
    responses : path
        A ``.npy`` file, ``(n_images, n_units)`` or ``(n_units, n_images)``, repeats averaged. They stay in its units.
    out : path
        The file to write; ends in ``.nc``.
    repeats : path, optional
        A ``.npy`` file of the single repeats, ``(n_units, n_images, n_repeats)`` or ``(n_images, n_units,
        n_repeats)``; NaN stands for a repeat that does not exist. From it comes the noise ceiling of the averages.
    units_first : bool, optional
        Whether units come before images; found from the counts where it is not given, and needed where there are as
        many units as images.
    seed : int
        Of the split. Images with the same pixels go into the same split.
    test_fraction, validation_fraction : float
        Shares of the images.
    default_layer : str, optional
        The layer that is used where none is named, or ``"all"`` for all layers side by side. By default that from which
        a linear encoder predicts the validation images best, see `jne.encoders.best_single_layer`.
    drop_bad_voxels : bool
        Leave out units whose responses are not finite, or constant over all, the training or the test images, and say
        in the file how many; otherwise they are an error.
    name, licence, source : str, optional
        Kept in the file; ``name`` is by default that of the file.
    unit : str, optional
        What a response is of, in figures and texts: voxel, vertex, neuron, ...
    batch_size, device, progress
        As in `jne.extract_features`.
    report : callable
        Called with a line that says which layer is the default.

    Returns
    -------
    EncodingDataset
        Opened from the new file.

    Raises
    ------
    ValueError
        If the input is not usable; the message names the file, the variable and the numbers that disagree. Nothing is
        written.
    """
    # Here, so that `jne prepare --help` does not wait for torch.
    from jne.features import extract_features, load_backbone

    out, backbone = check_out(out), load_backbone("efficientnet-lite0")
    if default_layer not in (None, _ALL, *backbone.grids):
        raise ValueError(f"default_layer={default_layer!r}; accepted: {', '.join(backbone.grids)}, or {_ALL}")
    check_fractions(test_fraction, validation_fraction)
    check_unit(unit)
    files, path = ImageFiles(images), Path(responses)
    values = load_array(path, "responses", 2)
    units_first = find_orientation(values.shape, path, files, units_first)
    values = to_float32(values.T if units_first else values)
    trials = None
    if repeats is not None:
        trials = load_repeats(Path(repeats), values, path, units_first)
    bad = np.zeros(values.shape[1], bool)
    mark_bad(bad, values, "", path, drop_bad_voxels)
    identities, thumbnails = _scan(files)
    split = split_stimuli(identities, test_fraction, validation_fraction, seed)
    for part in ("train", "test"):
        mark_bad(bad, values[split == part], f" over the {part} images", path, drop_bad_voxels)

    features = extract_features(files, batch_size=batch_size, device=device, progress=progress)
    content = {layer: (("stimulus", f"feature_{layer}"), array) for layer, array in features.items()}
    content["responses"] = (("stimulus", "voxel"), values[:, ~bad])
    content["stimulus_id"] = ("stimulus", files.ids)
    content["split"] = ("stimulus", split)
    content["thumbnail"] = (("stimulus", "y", "x", "rgb"), thumbnails)
    if trials is not None:
        trials = trials[..., ~bad]
        content["noise_ceiling"] = ("voxel", noise_ceiling(trials).astype(np.float32))
        content["responses_repeats"] = (("test_stimulus", "repeat", "voxel"), trials[split == "test"])
    attrs = {
        "name": name or out.stem,
        "synthetic": 0,
        **({"unit": unit} if unit else {}),
        "licence": licence or "not stated",
        "source": source or "not stated",
        "seed": seed,
        "test_fraction": test_fraction,
        "validation_fraction": validation_fraction,
        "n_duplicate_images": len(identities) - len(set(identities)),
        "n_dropped_voxels": int(bad.sum()),
        "dropped_voxels": ", ".join(map(str, np.flatnonzero(bad))),
        "images_file": files.path.name,
        "images_sha256": files.sha256,
        "responses_file": path.name,
        "responses_sha256": sha256(path),
        **backbone.attributes,
        **provenance(),
    }
    if repeats is not None:
        attrs |= {"repeats_file": Path(repeats).name, "repeats_sha256": sha256(repeats)}
    data = EncodingDataset(xr.Dataset(content, attrs=attrs))
    return save_dataset(data.content.assign_attrs(_default_layer(data, default_layer, report)), out)


def _default_layer(data: EncodingDataset, wanted: str | None, report: Callable[[str], object]) -> dict[str, str]:
    """The attributes that name the layer, none for all side by side; says which and why."""
    from jne.encoders import layer_scores  # here, as it needs torch

    if wanted is not None:
        return {} if wanted == _ALL else {"default_layer": wanted, "default_layer_choice": "given"}
    scores = layer_scores(data)
    best = max(scores, key=scores.__getitem__)
    if np.isnan(scores[best]):
        report("Default layer: none, since no unit varies over the validation images; all layers side by side are used")
        return {}
    others = ", ".join(f"{layer} {score:.3f}" for layer, score in scores.items() if layer != best)
    report(
        f"Default layer: {best}, from which a linear encoder predicts the validation images best (mean R² "
        f"{scores[best]:.3f}; {others}). For another: --default-layer NAME, or {_ALL} for all side by side."
    )
    return {"default_layer": best, "default_layer_choice": "highest mean validation R² of ridge regression"}


def _scan(files: ImageFiles) -> tuple[list[int], np.ndarray]:
    """Decode every image once: a number that only equal pixels share, and a thumbnail; an error lists the bad ones."""

    size = (THUMBNAIL_SIZE, THUMBNAIL_SIZE)

    def look(index: int) -> tuple[str, np.ndarray] | ValueError:
        try:
            image = files[index]
        except ValueError as error:
            return error
        digest = hashlib.sha256(f"{image.size}".encode() + image.tobytes()).hexdigest()
        return digest, np.asarray(central_square(image).resize(size, Image.Resampling.BICUBIC))

    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        seen = list(pool.map(look, range(len(files))))
    if errors := [str(s) for s in seen if isinstance(s, ValueError)]:
        raise ValueError(f"images: {len(errors)} of {len(files)} cannot be used:\n- " + listed(errors))
    # Numbered by first appearance, so that the split does not depend on how a JPEG library rounds.
    numbers: dict[str, int] = {}
    identities = [numbers.setdefault(digest, len(numbers)) for digest, _ in seen]
    return identities, np.stack([thumbnail for _, thumbnail in seen])
