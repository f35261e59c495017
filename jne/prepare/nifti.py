"""`prepare_nifti`: one NIfTI map per stimulus, a mask and an atlas become a dataset file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jne.datasets import EncodingDataset
from jne.features import read_feature_file
from jne.prepare.cifti import is_cifti, locate_grayordinates
from jne.prepare.labels import read_label_names
from jne.prepare.map_groups import map_groups
from jne.prepare.map_names import expand, sessions_and_runs
from jne.prepare.map_store import MapStore
from jne.prepare.maps import Options, check_layers, files_attributes, save_maps
from jne.prepare.splits import one_at_out
from jne.prepare.trials import check_count, check_files
from jne.prepare.volumes import locate_volumes


@one_at_out
def prepare_nifti(
    stimuli: str | Path,
    features: str | Path,
    out: str | Path,
    *,
    maps: Sequence[str | Path] = (),
    mask: str | Path | None = None,
    atlas: str | Path | Sequence[str | Path] | None = None,
    atlas_names: str | Path | None = None,
    resample: bool = False,
    same_grid: bool = False,
    level_column: str | None = None,
    **options,
) -> EncodingDataset:
    """Make a dataset file from volumes, one map (of betas, z-scores, ...) per presented stimulus.

    Parameters
    ----------
    stimuli : path
        A CSV with a row per map, in their order: ``id``, and if known ``split``, ``category``, ``repeat``, ``session``
        and ``run``. Maps of one id are averaged, and kept for the test stimuli. Without the column ``split``, it is
        drawn at random; a row without id, or of split none, is a catch trial, and its map is left out. Or a ``.txt`` of
        picture names, one a line, see `jne.prepare.trial_lists.read_list`.
    features : path
        A features file with at least these ids, or a folder of thingsvision; see `jne.features.read_feature_file`.
    out : path
        The file to write; ends in ``.nc``.
    maps : paths
        Files with one map or several, one after the other: images (4-D or 3-D) of one grid, betas of GLMsingle
        (``.hdf5``, or MATLAB's ``.mat`` v7.3), whose grid is taken to be the mask's, or CIFTI (``.dscalar.nii``,
        ``.dtseries.nii``). A folder, or a pattern with ``*``, stands for its files in the order of session and run.
        None: the column ``map`` of the CSV names each row's file.
    mask : path, optional
        Voxels above 0 are kept. Without one, those that the atlas labels; of CIFTI without either, all.
    atlas : path or paths, optional
        Whole numbers; they become ``roi``. NaN is no area, nor is 0 unless the names call it something. Several are
        masks of one area each, named by their files (`jne.prepare.area_masks.area_name`). Of CIFTI, a ``.dlabel.nii``.
    atlas_names : path, optional
        What the numbers of the atlas mean, see `jne.prepare.labels.read_label_names`.
    resample : bool
        Bring mask and atlas to the grid of the maps, by nearest neighbour; else another grid is an error. At least nine
        tenths of their volume must be kept.
    same_grid : bool
        The maps lie on the grid of the mask (or of the atlas, without one), whatever their own affine says. Shapes must
        be equal. Some studies, such as BOLD5000, have betas whose affine is not that of the space they are in.
    level_column : str, optional
        Column of the table ``atlas_names`` with the level of each area; by default ``level``, if there is one.
    **options
        ``levels``: area -> level of the hierarchy, as a dict or as text, see `jne.prepare.levels.parse_levels`.
        ``id_column``, ``split_column``, ``run_column``: columns of the table that say these, where they have other
        names. Ids are looked for without folder and ending of an image where the features file does not have them.
        ``default_layer, seed, test_fraction, validation_fraction, drop_bad_voxels, name, licence, source`` as in
        `jne.prepare.prepare_arrays`; ``further``, ``max_memory`` and ``report`` as in `jne.prepare.prepare_nsd`;
        ``max_memory`` sets how many voxels are worked on at a time. ``zscore`` (none, run, session): z-score the maps
        within runs or sessions before they are averaged; these are columns of the table, or in the names of the files.

    Returns
    -------
    EncodingDataset
        ``ijk (voxel, axis)`` says where each voxel is in the grid whose shape and affine are its attributes. Of CIFTI,
        ``vertex`` and ``hemisphere`` say where those on the cortex are.

    Raises
    ------
    ValueError
        If files are missing or damaged, grids or counts disagree, or a stimulus has no features. Nothing is written.
    """
    settings = Options(out=out, **options)
    feature_file = read_feature_file(features)
    trials = settings.trials(stimuli, feature_file, () if maps else ("map",))
    files = expand(maps, "maps", settings.report) or trials.files("map")
    check_files(files, "maps")
    names = None if atlas_names is None else read_label_names(atlas_names)
    mask = None if mask is None else Path(mask)
    atlases = [Path(atlas)] if isinstance(atlas, str | Path) else [Path(one) for one in atlas or ()]
    if is_cifti(files[0]):
        if resample or same_grid:
            raise ValueError("resample, same_grid: CIFTI files name their vertices and voxels themselves; leave it out")
        places = locate_grayordinates(files, mask, atlases, names)
    else:
        grids = {"resample": resample, "same_grid": same_grid, "report": settings.report}
        places = locate_volumes(files, mask, atlases, names, **grids)
    voxels = settings.with_levels(places.voxels, atlas_names=atlas_names, column=level_column)
    shown = check_count(trials, sum(reader.count for reader in places.readers), "maps")
    check_layers(feature_file, voxels)
    named = sessions_and_runs(files, [reader.count for reader in places.readers])[shown]
    groups = map_groups(settings.zscore, trials, named, settings.report)
    attrs = files_attributes(files) | places.attrs
    with MapStore(Path(out), len(trials.table), len(places.points), groups) as store:
        store.fill(places.readers, places.points, shown)
        return save_maps(store, trials, feature_file, voxels, files[0], settings, attrs)
