"""`prepare_things`: one subject of THINGS-fMRI and features of its pictures become a dataset file."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jne._core import format_bytes, sha256
from jne.datasets import EncodingDataset
from jne.features import read_feature_file
from jne.prepare.choices import check_choice
from jne.prepare.maps import Options, check_layers, save_maps
from jne.prepare.splits import check_out, one_at_out
from jne.prepare.things.layout import find_files
from jne.prepare.things.responses import ResponseRows
from jne.prepare.things.stimuli import read_stimuli
from jne.prepare.things.store import TrialStore
from jne.prepare.things.voxels import CEILING, Voxels
from jne.prepare.writing_time import duration, seconds_to_write
from jne.prepare.zscores import zscore_groups

CEILINGS = ("repeats", CEILING)
_NC_NOTE = f"{CEILING} is the study's own, in percent there, whatever the betas are z-scored within here"
_ORIGIN = {
    "licence": "CC0 (responses); the pictures have their own",
    "source": "THINGS-fMRI, Hebart et al. 2023, https://doi.org/10.7554/eLife.82580",
}
_SIMULATED = {"licence": "none needed: simulated", "source": "simulated responses in the file layout of THINGS-fMRI"}


@one_at_out
def prepare_things(
    root: str | Path,
    subject: int,
    features: str | Path,
    out: str | Path,
    *,
    rois: Sequence[str] | None = None,
    all_voxels: bool = False,
    roi_order: Sequence[str] | None = None,
    zscore: str = "run",
    categories: str | Path | None = None,
    noise_ceiling: str = "repeats",
    name: str | None = None,
    synthetic: bool = False,
    progress: bool = False,
    **options,
) -> EncodingDataset:
    """Make a dataset file of one subject of THINGS-fMRI.

    Of the responses only the rows of the wanted voxels are read, a few at a time, into work files beside ``out``
    (``<out>.work``, removed at the end); an interrupted call goes on from them and gives the same file. What the file
    of responses keeps as Python objects is never opened.

    Parameters
    ----------
    root : path
        A folder that holds, at any depth, ``sub-01_ResponseData.h5``, ``sub-01_StimulusMetadata.csv`` and
        ``sub-01_VoxelMetadata.csv`` as on figshare+, or the same under OpenNeuro's names; where
        ``sub-01_space-T1w_brainmask.nii.gz`` lies there too, voxels get its affine.
    subject : int
        1 to 3.
    features : path
        A features file with at least the pictures shown, by the names of their files without ending; see
        `jne.features.read_feature_file`.
    out : path
        The file to write; ends in ``.nc``.
    rois : sequence of str, optional
        Voxels to take: those in any of these areas, such as V1, FFA, OPA (the study's TOS), or ``glasser-FFC`` where
        the table has those of HCP-MMP1.0. By default those of all retinotopic areas and localizers.
    all_voxels : bool
        Take all voxels instead.
    roi_order : sequence of str, optional
        Areas overlap; the first of these gives a voxel's ``roi``, then come ``rois``, then
        `jne.prepare.things.voxels.ROI_ORDER`.
    zscore : {"run", "session", "none"}
        Within what single trials are z-scored before repeats are averaged, with the population's standard deviation.
    categories : path, optional
        CSV with the columns ``concept`` and ``category``; without it, the concept is the category.
    noise_ceiling : {"repeats", "nc_testset"}
        From the repeats of the test pictures, as they are z-scored here, or the study's own, divided by 100.
    name : str, optional
        For titles.
    synthetic : bool
        The files hold simulated responses, and every figure is to say so.
    progress : bool
        Draw a progress bar with the time left.
    **options
        ``levels, default_layer, seed, validation_fraction, drop_bad_voxels, further, max_memory`` and ``report`` as in
        `jne.prepare.prepare_nifti`. The seed draws the validation pictures, a tenth of those for training.

    Returns
    -------
    EncodingDataset
        Opened from the new file.

    Raises
    ------
    ValueError, OSError
        If a file is missing, damaged or does not fit, a picture has no features, or memory or disk will not do.
        Nothing is left under the name ``out``.
    """
    out = check_out(out)
    settings = Options(out=out, name=name or f"THINGS-fMRI subject {subject}", **options)
    check_choice("noise_ceiling", noise_ceiling, CEILINGS)
    files = find_files(root, subject)
    shown = read_stimuli(files.stimuli, subject, categories)
    groups = zscore_groups(shown.session, shown.run, zscore)
    feature_file = read_feature_file(features)
    feature_file.index(shown.trials.ids)
    voxels = Voxels(files.voxels)
    responses = ResponseRows(files.responses, voxels.n, shown.n_columns, files.voxels, files.stimuli)
    rows = voxels.select(rois, all_voxels)
    table = voxels.of_areas(rows, roi_order, rois)
    table = settings.with_levels(table)
    table["ijk"] = voxels.place(rows, files.brainmask)
    if noise_ceiling == CEILING:
        table["noise_ceiling"] = "voxel", voxels.ceiling(rows)
        settings.report(f"Noise ceiling: {_NC_NOTE}; divided by 100")
    check_choice("default_layer", settings.default_layer, (None, *feature_file.layers))
    check_layers(feature_file, table.drop_vars("noise_ceiling", errors="ignore"))
    settings.report(
        f"{len(rows)} of {voxels.n} voxels, {voxels.overlapping(rows)} of them in several areas; "
        f"{len(shown.column)} trials of {len(shown.trials.ids)} pictures in "
        f"{len(set(zip(shown.session.tolist(), shown.run.tolist(), strict=True)))} runs"
    )
    if files.brainmask is None:
        settings.report("Places are voxel indices only: there is no brain mask below root, whose affine would be taken")

    store = TrialStore(responses, rows, shown.column, groups, out.with_name(f"{out.name}.work"))
    n_test = int(np.count_nonzero(shown.trials.of_stimuli("split") == "test"))
    n_values = len(shown.trials.ids) + n_test * int(np.bincount(shown.trials.row).max())
    store.check_space(out, 4 * n_values * len(rows))
    settings.report(
        f"Work files: {store.folder}, {format_bytes(store.size)}. If interrupted, the same command goes on from them."
    )
    reading = store.start()
    writing = seconds_to_write(store, shown.trials, store.n_first)
    settings.report(
        f"It takes about {duration(reading + writing)} at the speed of the first voxels: {duration(reading)} to read "
        f"the others, {duration(writing)} to write the dataset."
    )
    store.fill(progress)
    attrs = {
        "subject": f"sub-{subject:02d}",
        "synthetic": int(synthetic),
        **(_SIMULATED if synthetic else _ORIGIN),
        "responses_file": files.responses.name,
        "voxels_file": files.voxels.name,
        "voxels_sha256": sha256(files.voxels),
        "zscore": zscore,
        "rois": "all voxels" if all_voxels else ",".join(rois or ("retinotopic areas and localizers",)),
        "roi_order": ",".join(roi_order or ("default",)),
        "noise_ceiling_from": noise_ceiling,
        **({"noise_ceiling_note": _NC_NOTE} if noise_ceiling == CEILING else {}),
        **({"categories_sha256": sha256(categories)} if categories else {}),
        "n_trials": len(shown.column),
    }
    data = save_maps(store, shown.trials, feature_file, table, files.responses, settings, attrs)
    shutil.rmtree(store.folder)
    return data
