"""`prepare_algonauts`: one subject of the Algonauts Project 2023 and features of its pictures become a dataset file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from jne._core import N_VERTICES, listed, read_text, sha256
from jne.datasets import EncodingDataset
from jne.features import read_feature_file
from jne.prepare.algonauts.layout import SIDES, Layout
from jne.prepare.algonauts.store import VertexStore
from jne.prepare.array_files import load_array
from jne.prepare.choices import check_choice
from jne.prepare.maps import Options, check_layers, save_maps
from jne.prepare.nsd.categories import read_categories
from jne.prepare.nsd.features import nsd_ids, stimulus_ids
from jne.prepare.nsd.rois import first_areas
from jne.prepare.splits import check_out, one_at_out
from jne.prepare.trials import Trials
from jne.prepare.writing_time import duration, seconds_to_write

ROI_ORDER = ("prf-visualrois", "floc-faces", "floc-places", "floc-bodies", "streams")
"""The first of these in which a vertex has an area gives its ``roi``."""
_ORIGIN = {
    "licence": "NSD data access agreement (naturalscenesdataset.org): not to be passed on",
    "source": "Algonauts Project 2023, Gifford et al. 2023, https://doi.org/10.48550/arXiv.2301.03198, of the Natural "
    "Scenes Dataset, Allen et al. 2022, https://doi.org/10.1038/s41593-021-00962-x",
}
_SIMULATED = {"licence": "none needed: simulated", "source": "simulated responses in the file layout of Algonauts 2023"}


@one_at_out
def prepare_algonauts(
    root: str | Path,
    subject: int,
    features: str | Path,
    out: str | Path,
    *,
    test: str | Path | None = None,
    ceilings: Mapping[str, str | Path] | None = None,
    roi_order: Sequence[str] | None = None,
    categories: str | Path | None = None,
    zscore: str = "none",
    name: str | None = None,
    synthetic: bool = False,
    **options,
) -> EncodingDataset:
    """Make a dataset file of one subject of the Algonauts Project 2023, on fsaverage.

    Its responses are averages over the repeats of NSD, z-scored within sessions; there are no single trials, and no
    responses to the pictures of its test split. Names of areas are known here: the pickled ``mapping_*.npy`` are never
    opened.

    Parameters
    ----------
    root : path
        The folder that holds ``subj01`` to ``subj08``, as they are downloaded.
    subject : int
        1 to 8.
    features : path
        A features file with at least the training pictures, called by the nsdId, which counts from 0 (a number, or
        ``nsd00013``), or as their files are, ``train-0001_nsd-00013``. Of others, such as those of the test split, a
        sample is kept.
    out : path
        The file to write; ends in ``.nc``.
    test : path, optional
        Text with the test pictures, one a line, called in any of these ways; without it they are drawn.
    ceilings : dict, optional
        ``left`` and ``right``: ``.npy`` of the noise ceiling of each vertex, of the challenge or of fsaverage, from 0
        to 1; NaN is not known. Without them there is no noise ceiling.
    roi_order : sequence of str, optional
        Classes of areas, the first of which gives a vertex's ``roi``; by default `ROI_ORDER`.
    categories : path, optional
        CSV with the columns ``nsdId`` and ``category``.
    zscore : {"none"}
        Anything else is refused: see above.
    name : str, optional
        For titles.
    synthetic : bool
        The files hold simulated responses, and every figure is to say so.
    **options
        ``levels, default_layer, seed, test_fraction, validation_fraction, drop_bad_voxels, further, max_memory`` and
        ``report`` as in `jne.prepare.prepare_nifti`.

    Returns
    -------
    EncodingDataset
        Opened from the new file.

    Raises
    ------
    ValueError
        If a file is missing, damaged or does not fit the others, or a picture has no features. Nothing is written.
    """
    if zscore != "none":
        raise ValueError(
            f"zscore={zscore!r}: responses of Algonauts 2023 are z-scored within sessions already, then averaged over "
            "repeats, and there are no single trials; accepted: none. For other betas take NSD's own (jne prepare nsd)"
        )
    out = check_out(out)
    settings = Options(out=out, name=name or f"Algonauts 2023 subject {subject}", **options)
    layout = Layout.of(root, subject)
    images = layout.nsd_ids()
    store = VertexStore([layout.responses(side) for side in SIDES])
    if store.shape[0] != len(images):
        raise ValueError(
            f"responses: {layout.responses('lh')} has {store.shape[0]} rows, and {layout.pictures} {len(images)} "
            "pictures; download both again"
        )
    file = read_feature_file(features)
    file = replace(file, stimulus_id=stimulus_ids(nsd_ids(file.stimulus_id, file.path)).astype(str))
    table = pd.DataFrame({"id": stimulus_ids(images)})
    if (twice := table["id"].duplicated()).any():
        raise ValueError(f"images: {layout.pictures} holds picture {table['id'][twice].iloc[0]} twice")
    file.index(table["id"])
    if test is not None:
        table["split"] = np.where(_chosen(Path(test), images), "test", "train")
    if categories is not None:
        table["category"] = read_categories(Path(categories), images)
    trials = Trials.of(layout.responses("lh"), table)
    voxels = _voxels(layout, dict(zip(SIDES, store.widths, strict=True)), roi_order, ceilings, settings)
    check_choice("default_layer", settings.default_layer, (None, *file.layers))
    check_layers(file, voxels.drop_vars("noise_ceiling", errors="ignore"))
    settings.report(
        f"{len(images)} pictures, {' and '.join(map(str, store.widths))} vertices of the left and right hemisphere; "
        f"writing takes about {duration(seconds_to_write(store, trials))}"
    )
    if ceilings is None:
        settings.report("Noise ceiling: not known, as there are no single trials; give one with --left-ceiling")
    attrs = {
        "subject": layout.folder.name,
        "synthetic": int(synthetic),
        **(_SIMULATED if synthetic else _ORIGIN),
        "stimuli_file": layout.pictures.name,
        "stimuli_sha256": hashlib.sha256("\n".join(table["id"]).encode()).hexdigest(),
        "space": "fsaverage",
        "zscore": "session, before repeats were averaged",
        "roi_order": ",".join(roi_order or ROI_ORDER),
        **({"test_file": Path(test).name, "test_sha256": sha256(test)} if test else {}),
        **({"categories_sha256": sha256(categories)} if categories else {}),
    }
    return save_maps(store, trials, file, voxels, layout.responses("lh"), settings, attrs)


def _voxels(
    layout: Layout,
    widths: dict[str, int],
    roi_order: Sequence[str] | None,
    ceilings: Mapping[str, str | Path] | None,
    settings: Options,
) -> xr.Dataset:
    """Place, areas and noise ceiling of the vertices of both hemispheres."""
    vertices = {side: layout.vertices(side, width) for side, width in widths.items()}
    areas = layout.areas(widths)
    if unknown := [name for name in roi_order or () if name not in areas]:
        raise ValueError(f"roi_order: {layout.folder} has no class {unknown[0]!r}; it has {', '.join(areas) or 'none'}")
    order = [name for name in roi_order or ROI_ORDER if name in areas]
    variables = {f"roi_{name}": values for name, values in areas.items()}
    if order:
        variables["roi"], variables["level"] = first_areas(areas, order)
    variables["hemisphere"] = np.repeat(np.array(list(SIDES.values()), object), list(widths.values()))
    variables["vertex"] = np.concatenate(list(vertices.values())).astype(np.int32)
    if ceilings is not None:
        if set(ceilings) != set(SIDES.values()):
            raise ValueError(f"ceilings: given for {listed(sorted(ceilings))}; needed: left and right")
        parts = [_ceiling(Path(ceilings[name]), vertices[side]) for side, name in SIDES.items()]
        variables["noise_ceiling"] = np.concatenate(parts)
    dataset = xr.Dataset({name: ("voxel", values) for name, values in variables.items()})
    dataset["vertex"].attrs["mesh"] = "fsaverage"
    return settings.with_levels(dataset)


def _ceiling(path: Path, vertices: np.ndarray) -> np.ndarray:
    values = load_array(path, "noise ceiling", 1)
    if len(values) not in (len(vertices), N_VERTICES["fsaverage"]):
        raise ValueError(
            f"noise ceiling: {path} has {len(values)} values; needed: {len(vertices)}, the vertices of the challenge, "
            f"or {N_VERTICES['fsaverage']}"
        )
    values = values if len(values) == len(vertices) else values[vertices]
    if (outside := (values < 0) | (values > 1)).any():
        percent = "; they seem to be percent: divide by 100" if np.nanmax(values) > 2 else ""
        raise ValueError(
            f"noise ceiling: {np.count_nonzero(outside)} values of {path} are outside 0 to 1 (largest: "
            f"{np.nanmax(values):g}){percent}"
        )
    return np.asarray(values, np.float32)


def _chosen(path: Path, images: np.ndarray) -> np.ndarray:
    """Which images a list names ``(n_images,)``."""
    if not path.is_file():
        raise ValueError(f"test: there is no file {path}; needed: text with a picture a line")
    names = [Path(line.strip()).stem for line in read_text(path, "test").splitlines() if line.strip()]
    if not names:
        raise ValueError(f"test: {path} is empty; needed: a picture a line")
    wanted = nsd_ids(names, path, "test:")
    if len(missing := np.setdiff1d(wanted, images)):
        raise ValueError(
            f"test: {len(missing)} pictures of {path} are none of the {len(images)} with responses (first: nsdId "
            f"{missing[0]}, counted from 0)"
        )
    return np.isin(images, wanted)
