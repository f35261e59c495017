"""`EncodingDataset`: features of the stimuli and responses of the voxels of one subject, read from one file."""

from __future__ import annotations

import hashlib
import textwrap
from pathlib import Path

import numpy as np
import xarray as xr

from jne._core import (
    VOXEL,
    as_numbers,
    check_held,
    composed_each,
    n_bytes,
    open_netcdf,
    plain_file,
    plural,
    sha256,
    write_netcdf,
)
from jne.datasets.further import FURTHER, feature_layers, further_layers
from jne.datasets.validate import SPLITS, structure_problems, value_problems


class EncodingDataset:
    """Features and responses of one subject.

    Parameters
    ----------
    content : xarray.Dataset
        The variables of the file format (see the page *Data* of the book): one ``(stimulus, feature_<layer>)`` per
        feature layer, ``responses (stimulus, voxel)``, ``stimulus_id (stimulus)`` and either ``split (stimulus)`` or
        ``fold (stimulus)``. It may hold features of stimuli without responses.
    path : path, optional
        The file that it was read from; errors name it.

    Raises
    ------
    ValueError
        If a variable is missing or shapes disagree. Every problem is listed.

    Examples
    --------
    >>> import numpy as np, xarray as xr, jne
    >>> rng = np.random.default_rng(0)
    >>> content = xr.Dataset(
    ...     {
    ...         "deep": (("stimulus", "feature_deep"), rng.normal(size=(30, 4))),
    ...         "responses": (("stimulus", "voxel"), rng.normal(size=(30, 2))),
    ...         "split": ("stimulus", ["train"] * 20 + ["validation"] * 5 + ["test"] * 5),
    ...         "stimulus_id": ("stimulus", [f"image{i}" for i in range(30)]),
    ...     }
    ... )
    >>> data = jne.EncodingDataset(content)
    >>> data.features("train", "deep").shape, data.responses("test").shape
    ((20, 4), (5, 2))
    """

    def __init__(self, content: xr.Dataset, path: str | Path | None = None):
        self.content = content
        self.path = None if path is None else Path(path)
        problems = structure_problems(content)
        if problems:
            raise ValueError(f"{self._where}: not a valid dataset:\n- " + "\n- ".join(problems))

    @property
    def _where(self) -> str:
        return str(self.path) if self.path else "dataset in memory"

    @property
    def name(self) -> str:
        return str(self.content.attrs.get("name", self.path.stem if self.path else "unnamed"))

    @property
    def attrs(self) -> dict:
        return self.content.attrs

    @property
    def synthetic(self) -> bool:
        """Whether the responses were simulated; figures say so in their titles."""
        return bool(self.content.attrs.get("synthetic", 0))

    @property
    def layers(self) -> list[str]:
        """Names of the feature layers, in the order of the file."""
        return feature_layers(self.content)

    def means_best(self, layer: str | None) -> bool:
        """Whether a layer that is asked for is ``"best"``, each voxel's best one, which no layer here is called."""
        return layer == "best" and layer not in self.layers

    @property
    def default_layer(self) -> str | None:
        """The layer that is used where none is named; None stands for all layers side by side."""
        layer = self.content.attrs.get("default_layer")
        return layer if layer else (self.layers[0] if len(self.layers) == 1 else None)

    @property
    def n_voxels(self) -> int:
        return self.content.sizes["voxel"]

    @property
    def n_stimuli(self) -> int:
        return self.content.sizes["stimulus"]

    @property
    def n_further(self) -> int:
        """Stimuli without responses whose features are there."""
        return self.content.sizes.get(FURTHER, 0)

    @property
    def folds(self) -> np.ndarray | None:
        """Fold of each stimulus ``(n_stimuli,)`` where the file has folds instead of a split."""
        return self.get("fold")

    def stimuli(self, split: str) -> np.ndarray:
        """Indices of the stimuli of a split (train, validation, test or all)."""
        if split == "all":
            return np.arange(self.n_stimuli)
        if split not in SPLITS:
            raise ValueError(f"split={split!r} is not a split; use one of {', '.join(SPLITS)} or all")
        if "split" not in self.content:
            raise ValueError(
                f"{self._where} has folds, no split, so there are no {split} stimuli; use split='all', or an encoder's "
                "cross_predict"
            )
        return np.flatnonzero(self.content["split"].values.astype(str) == split)

    def features(self, split: str = "all", layer: str | None = None) -> np.ndarray:
        """Features of a split.

        Parameters
        ----------
        split : {"train", "validation", "test", "all"}
        layer : str, optional
            A layer's name; by default the dataset's default layer, or all layers side by side where it names none.

        Returns
        -------
        numpy.ndarray
            ``(n_samples, n_features)``, float32.
        """
        names, index = self._chosen(layer), self.stimuli(split)
        return np.concatenate([self._read(name, index) for name in names], axis=1)

    def further(self, layer: str | None = None) -> np.ndarray | None:
        """Features of stimuli without responses, for what needs predictions alone, such as `jne.validated_share`.

        Parameters
        ----------
        layer : str, optional
            As in `features`.

        Returns
        -------
        numpy.ndarray or None
            ``(n_further, n_features)``, float32; None where the file has none.
        """
        names, known = self._chosen(layer), further_layers(self.content)
        if not known:
            return None
        return np.concatenate([self._read(known[name]) for name in names], axis=1)

    def _chosen(self, layer: str | None) -> list[str]:
        """The layers whose features are read where this one is asked for."""
        layer = layer or self.default_layer
        if layer is not None and layer not in self.layers:
            raise ValueError(f"{self._where}: there is no layer {layer!r}; the layers are {', '.join(self.layers)}")
        return [layer] if layer else self.layers

    def responses(self, split: str = "all") -> np.ndarray:
        """Responses of a split, ``(n_samples, n_voxels)``, float32, in the file's units (repeats averaged)."""
        return self._read("responses", self.stimuli(split))

    def repeats(self) -> np.ndarray | None:
        """Single-repeat responses of the test stimuli, ``(n_test, n_repeats, n_voxels)``; NaN is no such repeat."""
        return self.get("responses_repeats")

    def get(self, name: str) -> np.ndarray | None:
        """Values of a variable such as ``roi`` or ``noise_ceiling``, or None where the file does not have it."""
        if name not in self.content:
            return None
        check_held(n_bytes(self.content[name].variable), f"{self._where}: {name}")
        values = self.content[name].values
        return composed_each(values.astype(str)) if values.dtype.kind in "OSUT" else values

    @property
    def hash(self) -> str:
        """SHA-256 of the file, or of the variables of a dataset in memory."""
        if self.path:
            return sha256(self.path)
        digest = hashlib.sha256(repr(sorted(self.attrs.items())).encode())
        for name in sorted(self.content.variables):
            values = self.content[name].values
            values = values.astype(str) if values.dtype.kind == "O" else values
            digest.update(f"{name}{values.shape}{values.dtype}".encode() + np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()

    def check_values(self) -> None:
        """Raise a ValueError that lists every non-finite or constant variable (reads the whole file)."""
        problems = value_problems(self.content)
        if problems:
            raise ValueError(f"{self._where}: bad values:\n- " + "\n- ".join(problems))

    def _read(self, name: str, index: np.ndarray | None = None) -> np.ndarray:
        chosen = self.content[name] if index is None else self.content[name].isel(stimulus=index)
        check_held(chosen.nbytes, f"{self._where}: {name}")
        values = as_numbers(chosen.values, f"{self._where}: {name}", np.float32)
        if not np.isfinite(values).all():
            bad = np.count_nonzero(~np.isfinite(values))
            raise ValueError(
                f"{self._where}: {name} holds {bad} non-finite values of {values.size}; `jne validate` lists where"
            )
        return values

    def __repr__(self) -> str:
        kind = "synthetic" if self.synthetic else "recorded"
        if "split" in self.content:
            counts = ", ".join(f"{split} {len(self.stimuli(split))}" for split in SPLITS)
        else:
            counts = f"{len(np.unique(self.folds))} folds"
        layers = ", ".join(f"{name} {self.content.sizes[f'feature_{name}']}" for name in self.layers)
        lines = [
            self.name,
            f"{kind} responses of {self.n_voxels} {plural(self.attrs.get('unit', VOXEL))}",
            f"{self.n_stimuli} stimuli: {counts}",
            f"features: {layers}" + (f"; also of {self.n_further} stimuli without responses" if self.n_further else ""),
        ]
        indents = {"initial_indent": "  ", "subsequent_indent": "    "}
        return "\n".join(["EncodingDataset", *(textwrap.fill(line, 76, **indents) for line in lines)])


def load_dataset(source: str | Path, **options) -> EncodingDataset:
    """Open a dataset file, or make the synthetic cortex.

    Parameters
    ----------
    source : str or path
        ``"synthetic"``, or the path of a dataset file (``.nc``). A file is read when its values are asked for.
    **options
        For ``"synthetic"`` only: see `jne.datasets.synthetic_cortex`.

    Returns
    -------
    EncodingDataset

    Raises
    ------
    FileNotFoundError, ValueError
        If the file does not exist, is not a dataset file, or breaks the format; the message says where.

    Examples
    --------
    >>> import jne
    >>> data = jne.load_dataset("synthetic", thin=64, n_train=200, n_validation=50, n_test=50, cache=False)
    >>> data.synthetic, data.features("test", "layer3").shape
    (True, (50, 64))
    """
    if str(source) == "synthetic":
        from jne.datasets.synthetic import synthetic_cortex

        return synthetic_cortex(**options)
    if options:
        raise ValueError(f"options {sorted(options)} go with 'synthetic' only, and the dataset is {str(source)!r}")
    return EncodingDataset(open_content(source), source)


def open_content(path: str | Path, *, deep: bool = False, sealed: bool = True) -> xr.Dataset:
    """Open a file's variables without checking them against the dataset format.

    It is compared with its digest where it is no larger than 1 GB, or ``deep``; ``sealed`` is False for a file that has
    none yet.
    """
    path = plain_file(path, "dataset")
    if not path.exists():
        raise FileNotFoundError(f"no dataset file {path}; give 'synthetic' or the path of a file made by `jne prepare`")
    content = open_netcdf(path, deep=deep, sealed=sealed)
    # Of the file, too: what a person makes of the content and writes with xarray has no digest.
    content.attrs.pop("format_version", None)
    return content


def save_dataset(data: EncodingDataset | xr.Dataset, path: str | Path) -> EncodingDataset:
    """Check a dataset and write it to ``path``, whole or not at all.

    Parameters
    ----------
    data : EncodingDataset or xarray.Dataset
    path : path
        Ends in ``.nc``.

    Returns
    -------
    EncodingDataset
        The dataset, opened from the new file.

    Raises
    ------
    ValueError
        If it breaks the format; nothing is written.

    Examples
    --------
    >>> import tempfile, jne
    >>> data = jne.load_dataset("synthetic", thin=64, n_train=200, n_validation=50, n_test=50, cache=False)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     saved = jne.save_dataset(data, f"{folder}/mine.nc")
    ...     saved.responses("test").shape == data.responses("test").shape
    True
    """
    data = data if isinstance(data, EncodingDataset) else EncodingDataset(data)
    data.check_values()
    write_netcdf(data.content, path, compress=True)
    return load_dataset(path)
