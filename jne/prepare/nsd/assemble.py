"""The dataset file, written row by row: as much memory as a few images need, whatever the number of sessions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import h5netcdf
import numpy as np
import pandas as pd
import xarray as xr
from tqdm import tqdm

from jne._core import PatientFile, hdf5_stream, spans, to_stream
from jne.datasets import EncodingDataset, load_dataset, open_content
from jne.prepare.nsd.ceiling import ceiling_from_repeats
from jne.prepare.nsd.sessions import Presentations

ROWS = 16


def write_dataset(
    out: Path,
    small: xr.Dataset,
    images: pd.DataFrame,
    presentations: Presentations,
    layers: Mapping[str, Callable[[], np.ndarray]],
    add_features: Callable[[h5netcdf.File], None] = lambda file: None,
    *,
    size: int,
    units: str,
    repeats_ceiling: bool = False,
    progress: bool = False,
) -> EncodingDataset:
    """Write features, responses and repeats to a dataset file, whole or not at all.

    Parameters
    ----------
    out : Path
    small : xarray.Dataset
        Everything that fits into memory, with the attributes.
    images : pandas.DataFrame
        ``nsd_id``, ``split`` and ``count``, in the order of the file.
    presentations : Presentations
    layers : mapping of str to function
        Each returns ``(n_images, n_features)``; called one after the other.
    add_features : function
        Writes what else there is of features, to a file that has the layers.
    size : int
        Bytes that the file will have, about.
    units : str
        Of the responses.
    repeats_ceiling : bool
        Whether to compute ``noise_ceiling`` from the repeats of the test images.
    progress : bool

    Returns
    -------
    EncodingDataset
        Opened from the new file.
    """
    with hdf5_stream(out, size) as stream:
        to_stream(small, stream)
        with h5netcdf.File(stream, "r+") as file:
            for layer, read in layers.items():
                values = read()
                file.dimensions[f"feature_{layer}"] = values.shape[1]
                file.create_variable(layer, ("stimulus", f"feature_{layer}"), values.dtype, data=values)
                stream.raise_error()
                del values
            add_features(file)
            stream.raise_error()
            _write_responses(file, stream, images, presentations, units, progress)
            if repeats_ceiling:
                ceiling = ceiling_from_repeats(file["responses_repeats"])
                file.create_variable("noise_ceiling", ("voxel",), ceiling.dtype, data=ceiling)
        if not stream.error:
            with open_content(stream.name, sealed=False) as content:
                EncodingDataset(content, out)
    return load_dataset(out)


def _write_responses(
    file: h5netcdf.File,
    stream: PatientFile,
    images: pd.DataFrame,
    presentations: Presentations,
    units: str,
    progress: bool,
) -> None:
    """Averages of all images, and the repeats of the test images; NaN is no such repeat."""
    n_voxels, is_test = int(presentations.valid.sum()), (images["split"] == "test").to_numpy()
    n_repeats, first_test = int(images["count"][is_test].max()), int(np.argmax(is_test))
    file.dimensions["test_stimulus"], file.dimensions["repeat"] = int(is_test.sum()), n_repeats
    responses = file.create_variable("responses", ("stimulus", "voxel"), np.float32)
    responses.attrs["units"] = units
    repeats = file.create_variable("responses_repeats", ("test_stimulus", "repeat", "voxel"), np.float32)
    bar = tqdm(total=len(images), desc="writing", unit=" images", disable=None if progress else True)
    with bar:
        for rows in spans(len(images), ROWS):
            block = np.empty((rows.stop - rows.start, n_voxels), np.float32)
            for i, image in enumerate(images["nsd_id"].iloc[rows]):
                single = presentations.read(image)
                block[i] = single.mean(axis=0)
                if is_test[rows.start + i]:
                    missing = np.full((n_repeats - len(single), n_voxels), np.nan, np.float32)
                    repeats[rows.start + i - first_test] = np.concatenate([single, missing])
            responses[rows] = block
            stream.raise_error()
            bar.update(len(block))
