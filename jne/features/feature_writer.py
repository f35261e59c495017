"""`FeatureWriter`: a features file written in pieces, which goes on after a kill where it stopped."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from jne._core import (
    FORMAT_VERSION,
    DamagedError,
    PatientFile,
    alone,
    encodable_attributes,
    hdf5_stream,
    need_space,
    open_hdf5,
    plain,
    plain_file,
    reading,
    reserve,
    seal,
    spans,
)
from jne.features.progress import LEFT, begin, digest_of_rows, read_progress, record_path

_BLOCK = 2**24
_ID, _HEADER = 64, 2**16
"""Bytes of a stimulus's name in the file, and of what else is in it, about."""


class FeatureWriter:
    """Writes a features file in pieces, into ``NAME.part`` until the last one is there.

    A process killed at any point leaves a ``.part`` file that the next writer of the same content goes on with.
    What it has is read again before it goes on and when it is finished, and compared with a digest of what was written.

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
        own = {"dtype": self.dtype.name, "layers": ",".join(layers), "format_version": FORMAT_VERSION}
        self.attrs = encodable_attributes({**attrs, **own})
        with ExitStack() as opening:
            opening.enter_context(alone(self.path))
            if not os.path.lexists(self.part):
                self._create(layers)
            with reading(self.part, "out", "an HDF5 file", LEFT):
                plain_file(self.part, "out")
                self._progress = read_progress(self.part, "out")
                open_hdf5(self.part, "out").close()
                self._stream = opening.enter_context(PatientFile(self.part, self.path))
                self._stream.truncate(self._progress.size)
                self.file = opening.enter_context(h5py.File(self._stream, "r+"))
                different = self._difference()
            if different:
                raise ValueError(
                    f"out: {self.part}, left by an earlier run, was begun with another {different}; delete it to start "
                    "anew, or write to another file"
                )
            self._check_rows()
            self._open = opening.pop_all()

    def _create(self, layers: Mapping[str, int]) -> None:
        n = len(self.stimulus_id)
        self.part.parent.mkdir(parents=True, exist_ok=True)
        needed = n * (sum(layers.values()) * self.dtype.itemsize + _ID) + _HEADER
        need_space(self.path, needed, ", or take float16")
        with hdf5_stream(self.part, needed, sealed=False) as stream:
            with h5py.File(stream, "w") as file:
                self._fill(file, layers)
            reserve(stream, stream.size)
            stream.raise_error()
            begin(self.part, stream, layers)

    def _fill(self, file: h5py.File, layers: Mapping[str, int]) -> None:
        n = len(self.stimulus_id)
        file.create_dataset("stimulus_id", data=self.stimulus_id.astype(object), dtype=h5py.string_dtype())
        for name, width in layers.items():
            # All space at once: later writes change data in place, so a kill never breaks the file's structure.
            plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
            space = h5py.h5s.create_simple((n, width))
            h5py.h5d.create(file.id, name.encode(), h5py.h5t.py_create(self.dtype), space, plan)
        file.attrs.update(self.attrs)

    def _difference(self) -> str:
        """In what the part file was begun otherwise, if in anything."""
        found = {name: plain(value) for name, value in self.file.attrs.items()}
        different = [name for name in {**self.attrs, **found} if self.attrs.get(name) != found.get(name)]
        ids = self.file["stimulus_id"].asstr()[...]
        if len(ids) != len(self.stimulus_id) or (ids != self.stimulus_id).any():
            different.append("stimulus_id")
        if not different:
            return ""
        name = different[0]
        return name if name == "stimulus_id" else f"{name} ({found.get(name)!r}, now {self.attrs.get(name)!r})"

    def _check_rows(self) -> None:
        """An error unless the rows that are there are those that were written."""
        with reading(self.part, "out", "an HDF5 file", LEFT):
            layers = [self.file[name] for name in self.attrs["layers"].split(",")]
            found, step = "", max(1, _BLOCK // sum(layer.dtype.itemsize * layer.shape[1] for layer in layers))
            for rows in spans(self.n_done, step):
                found = digest_of_rows(found, [layer[rows] for layer in layers])
            if found != self._progress.rows:
                raise DamagedError(f"out: {self.part} is damaged: its images are not those written. {LEFT}")

    @property
    def n_done(self) -> int:
        """Images that the file holds; the next piece begins there."""
        return self._progress.n_done

    def append(self, features: Mapping[str, np.ndarray]) -> None:
        """Write the next images: layer -> ``(n, n_features)``."""
        start, stop = self.n_done, self.n_done + len(next(iter(features.values())))
        written = {}
        for name, values in features.items():
            with np.errstate(over="ignore"):
                values = np.asarray(values).astype(self.dtype)
            if bad := int((~np.isfinite(values)).sum()):
                hint = "; take float32" if self.dtype.itemsize == 2 else ""
                raise ValueError(
                    f"layer {name} of images {start} to {stop - 1} holds {bad} values that are not finite as "
                    f"{self.dtype}{hint}"
                )
            self.file[name][start:stop] = written[name] = values
        # Data first: the record never speaks of images that are not there.
        self.file.flush()
        self._stream.raise_error()
        rows = digest_of_rows(self._progress.rows, [written[name] for name in self.attrs["layers"].split(",")])
        self._progress = replace(self._progress, n_done=stop, rows=rows)
        self._progress.write(self.part)

    def finish(self) -> Path:
        """Give the whole file its name."""
        if self.n_done != len(self.stimulus_id):
            raise ValueError(f"{self.part} holds {self.n_done} of {len(self.stimulus_id)} images")
        self._check_rows()
        self.file.close()
        seal(self._stream)
        self._stream.raise_error()
        os.replace(self.part, self.path)
        record_path(self.part).unlink()
        return self.path

    def __enter__(self) -> FeatureWriter:
        return self

    def __exit__(self, *error) -> None:
        self._open.close()


def part_path(path: str | Path) -> Path:
    """Where an unfinished features file lies until it is whole."""
    path = Path(path)
    return path.with_name(f"{path.name}.part")
