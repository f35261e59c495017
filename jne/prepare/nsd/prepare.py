"""`prepare_nsd`: one subject of NSD and features of its images become a dataset file."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr
from tqdm import tqdm

from jne._core import provenance, sha256
from jne.datasets import EncodingDataset
from jne.prepare.choices import check_choice
from jne.prepare.further import write_further
from jne.prepare.levels import add_levels, given_levels
from jne.prepare.nsd.assemble import write_dataset
from jne.prepare.nsd.categories import read_categories
from jne.prepare.nsd.ceiling import ceiling_from_ncsnr
from jne.prepare.nsd.estimate import Estimate
from jne.prepare.nsd.features import ImageFeatures, layer_of, scaled_as, stimulus_ids
from jne.prepare.nsd.given import read_given
from jne.prepare.nsd.layout import BETAS, DRAWN, SPACES, find_layout
from jne.prepare.nsd.rois import default_order, read_atlases
from jne.prepare.nsd.sessions import Presentations, prepare_session
from jne.prepare.nsd.space import read_space
from jne.prepare.nsd.trials import read_shared, read_trials, split_images
from jne.prepare.splits import check_out, one_at_out
from jne.prepare.zscores import check_zscore

CEILINGS = ("ncsnr", "repeats")
_NCSNR = "ncsnr is NSD's, of betas z-scored within sessions, over all images and sessions"
_ORIGIN = {
    "licence": "NSD data access agreement (naturalscenesdataset.org): not to be passed on",
    "source": "Natural Scenes Dataset, Allen et al. 2022, https://doi.org/10.1038/s41593-021-00962-x",
}
_SIMULATED = {"licence": "none needed: simulated", "source": "simulated responses in the file layout of NSD"}


@one_at_out
def prepare_nsd(
    root: str | Path,
    subject: int,
    features: str | Path,
    out: str | Path,
    *,
    space: str = SPACES[0],
    sessions: str | None = None,
    mask: str | None = None,
    betas: str = BETAS,
    zscore: str = "run",
    zscore_features: bool = False,
    default_layer: str | None = None,
    further: int | None = None,
    categories: str | Path | None = None,
    test_repeats: int = 3,
    n_train: int | None = None,
    n_validation: int | None = None,
    n_test: int | None = None,
    seed: int = 0,
    roi_order: Sequence[str] | None = None,
    atlases: Mapping[str, Sequence[str | Path]] | None = None,
    levels: str | Mapping[str, object] | None = None,
    noise_ceiling: str = "ncsnr",
    name: str | None = None,
    synthetic: bool = False,
    max_memory: str = "4GB",
    progress: bool = False,
    report: Callable[[str], object] = lambda line: None,
) -> EncodingDataset:
    """Make a dataset file of one subject of the Natural Scenes Dataset.

    Betas are read once, one session at a time, into work files beside ``out`` (``<out>.work``, removed at the end); an
    interrupted call goes on at the next session and gives the same file.

    Parameters
    ----------
    root : path
        NSD on disk: the folder that holds ``nsddata`` and ``nsddata_betas``.
    subject : int
        1 to 8.
    features : path
        Features of the images, see `jne.prepare.nsd.features.ImageFeatures`.
    out : path
        The file to write; ends in ``.nc``.
    space : {"func1pt8mm", "fsaverage"}
        Volume of the subject, or fsaverage surface.
    sessions : str, optional
        Such as ``"1-40"`` or ``"1-10,12"``; by default all of the subject.
    mask : str, optional
        ``brainmask`` (volume only), a region of the tree such as ``nsdgeneral``, or a file (for fsaverage ``lh.NAME``,
        with ``rh.NAME`` beside it); points above 0 are used. By default ``brainmask``, or all vertices.
    betas : str
        Folder of one version of the betas.
    zscore : {"run", "session", "none"}
        Within what betas are z-scored, with the population's standard deviation; ``none`` leaves percent signal change.
    zscore_features : bool
        Z-score features within each run over its trials and average over an image's presentations, as the paper's
        release does.
    default_layer : str, optional
        The layer that is used where none is named; without one, all layers side by side.
    further : int, optional
        Images of the features file that were not shown, whose features to keep, at most: a sample, by default of twenty
        for each feature of the widest layer. Where features are z-scored, theirs are by the average over all runs.
    categories : path, optional
        CSV with the columns ``nsdId`` and ``category``.
    test_repeats : int
        Test images are the shared images seen at least so often.
    n_train, n_validation, n_test : int, optional
        Number of images; by default all shared images test, the rest is split 8 : 1.
    seed : int
        Of the split, and of the sample of images that were not shown.
    roi_order : sequence of str, optional
        Atlases, the first of which names a voxel's ``roi``; by default `jne.prepare.nsd.rois.ROI_ORDER`, on fsaverage
        `jne.prepare.nsd.rois.SURFACE_ORDER`, after ``atlases``.
    atlases : dict, optional
        On fsaverage: ``left`` and ``right``, files of atlases that NSD does not have there, such as the masks
        ``lh.floc-faces_fsaverage_space.npy`` of the Algonauts Project 2023; see `jne.prepare.nsd.given.read_given`.
    levels : str or dict, optional
        Area -> level of the hierarchy, see `jne.prepare.levels.parse_levels`; others have theirs by name.
    noise_ceiling : {"ncsnr", "repeats"}
        From NSD's own ``ncsnr`` map, or from the repeats of the test images in the sessions used. Either way it is that
        of the average over the repeats. The map is of betas z-scored within sessions, whatever ``zscore`` is.
    name : str, optional
        For titles.
    synthetic : bool
        The tree holds simulated responses, and every figure is to say so.
    max_memory : str
        Refuse before the work starts if it needs more.
    progress : bool
        Draw progress bars with the time left.
    report : callable
        Called with lines that say what is done.

    Returns
    -------
    EncodingDataset
        Opened from the new file.

    Raises
    ------
    ValueError, OSError
        If a file is missing, damaged or does not fit, or memory or disk will not do; the message names the file and
        says what to change. Nothing is left under the name ``out``.
    """
    out, layout = check_out(out), find_layout(root, subject, space, betas)
    check_zscore(zscore)
    check_choice("noise_ceiling", noise_ceiling, CEILINGS)
    layout.need([layout.responses], "trials")
    layout.need([layout.design], "shared images")
    trials = read_trials(layout.responses, subject, sessions)
    sizes = {"test_repeats": test_repeats, "n_train": n_train, "n_validation": n_validation, "n_test": n_test}
    images = split_images(trials, read_shared(layout.design), **sizes, seed=seed)
    nsd_ids, shown = images["nsd_id"].to_numpy(), np.unique(trials["nsd_id"])
    paths = {session: layout.session(session) for session in trials["session"].unique().tolist()}
    layers = ImageFeatures(features, shown)
    check_choice("default_layer", default_layer, (None, *layers.layers))
    unseen = layers.further(further, seed)
    points = read_space(layout, mask)
    given = read_given(atlases, layout, points.points)
    voxel_variables, absent = read_atlases(layout, points.shapes, points.points, roi_order, given)
    voxels = xr.Dataset({name: ("voxel", values) for name, values in voxel_variables.items()})
    voxel_variables = {name: found.values for name, found in add_levels(voxels, given_levels(levels), report).items()}
    if noise_ceiling == "ncsnr":
        voxel_variables["noise_ceiling"] = ceiling_from_ncsnr(layout, points, images)
    stimulus_variables = {
        "stimulus_id": stimulus_ids(nsd_ids),
        "split": images["split"].to_numpy(object),
    }
    if categories is not None:
        stimulus_variables["category"] = read_categories(Path(categories), nsd_ids)

    folder = out.with_name(f"{out.name}.work")
    estimate = Estimate(trials, images, points, zscore, layers, len(unseen))
    if noise_ceiling == "ncsnr" and zscore != "session":
        report(f"Noise ceiling: {_NCSNR}; here zscore is {zscore}. For one of these betas: --noise-ceiling repeats")
    if layout.is_surface and (missing := [atlas for atlas in DRAWN if atlas not in given]):
        report(f"Not on fsaverage, but drawn on each subject's own surface: {', '.join(missing)}")
    report(str(estimate))
    estimate.check(out, folder, max_memory)
    if absent:
        report(f"Not in this tree, so left out: {', '.join(absent)}")
    report(f"Work files: {folder}. If interrupted, the same command goes on from them.")
    runs = {session: table["run"].to_numpy() for session, table in trials.groupby("session")}
    files = {
        session: prepare_session(folder, session, paths[session], points, runs[session], zscore)
        for session in tqdm(paths, desc="reading", unit=" sessions", disable=None if progress else True)
    }
    with Presentations(files, trials) as presentations:
        valid = presentations.valid
        if not valid.any():
            raise ValueError(f"mask: none of the {valid.size} {points.what} has data in every session; give another")
        unseen = unseen.without(layers.rows(images["nsd_id"][images["split"] == "test"]))
        small = xr.Dataset(
            {
                **{name: ("stimulus", values) for name, values in stimulus_variables.items()},
                **{name: ("voxel", values[valid]) for name, values in voxel_variables.items()},
                **points.variables(valid),
                **unseen.variables(),
            },
            attrs={
                "name": name or f"NSD subject {subject}, {space}",
                "subject": layout.subject_name,
                "synthetic": int(synthetic),
                **(_SIMULATED if synthetic else _ORIGIN),
                **layers.attributes(),
                **_file_attributes("categories", categories),
                **({"default_layer": default_layer} if default_layer else {}),
                "space": space,
                "betas": betas,
                "sessions": ",".join(map(str, paths)),
                "mask": points.mask,
                "zscore": zscore,
                "zscore_features": "run" if zscore_features else "none",
                **{key: value for key, value in sizes.items() if value is not None},
                "seed": seed,
                "roi_order": ",".join(roi_order or default_order(layout, given)),
                **({"own_atlases": ",".join(given)} if given else {}),
                "noise_ceiling_from": noise_ceiling,
                **({"noise_ceiling_note": _NCSNR} if noise_ceiling == "ncsnr" else {}),
                "n_trials": len(trials),
                "n_images_left_out": len(shown) - len(images),
                **unseen.attributes(),
                **presentations.attributes(),
                **provenance(),
            },
        )
        data = write_dataset(
            out,
            small,
            images,
            presentations,
            {layer: partial(layer_of, layers, layer, trials, nsd_ids, zscore_features) for layer in layers.layers},
            partial(
                write_further,
                further=unseen,
                scaled=lambda layer: scaled_as(layers, layer, trials, zscore_features),
            ),
            size=estimate.result_size(int(valid.sum())),
            units="percent signal change" if zscore == "none" else f"standard deviations within a {zscore}",
            repeats_ceiling=noise_ceiling == "repeats",
            progress=progress,
        )
    shutil.rmtree(folder)
    return data


def _file_attributes(kind: str, path: str | Path | None) -> dict[str, str]:
    return {} if path is None else {f"{kind}_file": Path(path).name, f"{kind}_sha256": sha256(path)}
