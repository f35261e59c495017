"""`FeatureWriter`: a features file written in pieces, which goes on after a kill where it stopped."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from jne._core import FORMAT_VERSION, atomic_path, plain


class FeatureWriter:
    """Writes a features file in pieces, into ``NAME.part`` until the last one is there.

    A process killed at any point leaves a ``.part`` file that the next writer of the same content goes on with.

    Parameters
    ----------
    path : path
        Ends in ``.h5`` or ``.hdf5``.
    stimulus_id : array of str ``(n_images,)``
    layers : dict
        Layer -> number of features.
    attrs : dict
        How the features are made. A ``.part`` file with other attributes, layers or ids is an error, and stays.
    dtype : {"float32", "float16"}

    Attributes
    ----------
    n_done : int
        Images that the file holds; the next piece begins there.
    """

    def __init__(
        self,
        path: str | Path,
        stimulus_id: np.ndarray,
        layers: Mapping[str, int],
        attrs: Mapping[str, str | int],
        dtype: str = "float32",
    ):
        self.path, self.part = Path(path), part_path(path)
        self.stimulus_id, self.dtype = np.asarray(stimulus_id, str), np.dtype(dtype)
        self.attrs = {**attrs, "dtype": self.dtype.name, "layers": ",".join(layers), "format_version": FORMAT_VERSION}
        if not self.part.exists():
            self._create(layers)
        try:
            self.file = h5py.File(self.part, "r+")
        except OSError as error:
            raise ValueError(
                f"out: {self.part}, left by an earlier run, cannot be opened: another process writes it, or it is "
                f"damaged ({error}). Wait for that process, or delete the file to start anew"
            ) from error
        self._compare()
        self.n_done = int(self.file.attrs["n_done"])

    def _create(self, layers: Mapping[str, int]) -> None:
        n = len(self.stimulus_id)
        needed = n * sum(layers.values()) * self.dtype.itemsize
        self.part.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.part.parent).free
        if needed > free:
            raise OSError(
                errno.ENOSPC,
                f"the features of {n} images need {needed / 1e9:.1f} GB, and {self.part.parent} has {free / 1e9:.1f} "
                "GB free; free some space, write somewhere else, or take float16",
            )
        with atomic_path(self.part) as new, h5py.File(new, "w") as file:
            file.create_dataset("stimulus_id", data=self.stimulus_id.astype(object), dtype=h5py.string_dtype())
            for name, width in layers.items():
                # All space at once: later writes change data in place, so a kill never breaks the file's structure.
                plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
                plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
                plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
                space = h5py.h5s.create_simple((n, width))
                h5py.h5d.create(file.id, name.encode(), h5py.h5t.py_create(self.dtype), space, plan)
            file.attrs.update(self.attrs)
            file.attrs["n_done"] = 0

    def _compare(self) -> None:
        """An error unless the part file was begun with the same content."""
        found = {name: plain(value) for name, value in self.file.attrs.items() if name != "n_done"}
        different = [name for name in {**self.attrs, **found} if self.attrs.get(name) != found.get(name)]
        ids = self.file["stimulus_id"].asstr()[...]
        if len(ids) != len(self.stimulus_id) or (ids != self.stimulus_id).any():
            different.append("stimulus_id")
        if different:
            self.file.close()
            name = different[0]
            values = "" if name == "stimulus_id" else f" ({found.get(name)!r}, now {self.attrs.get(name)!r})"
            raise ValueError(
                f"out: {self.part}, left by an earlier run, was begun with another {name}{values}; delete it to start "
                "anew, or write to another file"
            )

    def append(self, features: Mapping[str, np.ndarray]) -> None:
        """Write the next images: layer -> ``(n, n_features)``."""
        start, stop = self.n_done, self.n_done + len(next(iter(features.values())))
        for name, values in features.items():
            with np.errstate(over="ignore"):
                values = np.asarray(values).astype(self.dtype)
            if bad := int((~np.isfinite(values)).sum()):
                hint = "; take float32" if self.dtype.itemsize == 2 else ""
                raise ValueError(
                    f"layer {name} of images {start} to {stop - 1} holds {bad} values that are not finite as "
                    f"{self.dtype}{hint}"
                )
            self.file[name][start:stop] = values
        # Data first: a count never speaks of images that are not there.
        self.file.flush()
        self.file.attrs.modify("n_done", stop)
        self.file.flush()
        self.n_done = stop

    def finish(self) -> Path:
        """Give the whole file its name."""
        if self.n_done != len(self.stimulus_id):
            raise ValueError(f"{self.part} holds {self.n_done} of {len(self.stimulus_id)} images")
        self.file.close()
        os.replace(self.part, self.path)
        return self.path

    def __enter__(self) -> FeatureWriter:
        return self

    def __exit__(self, *error) -> None:
        self.file.close()


def part_path(path: str | Path) -> Path:
    """Where an unfinished features file lies until it is whole."""
    path = Path(path)
    return path.with_name(f"{path.name}.part")
