"""The visual areas, and what moves values over the mesh."""

import numpy as np
import pytest

from jne.cortex import areas as cortex
from jne.cortex import mesh as _mesh


def test_cortex_without_medial_wall_has_the_grayordinates_of_the_hcp():
    assert [np.count_nonzero(cortex.mesh_areas(side) != "") for side in ("left", "right")] == [29696, 29716]


def test_the_parcellation_has_180_areas_per_hemisphere():
    for side in ("left", "right"):
        assert len(set(cortex.mesh_areas(side))) == 181  # and the medial wall


def test_every_vertex_has_an_area_and_a_level():
    whole = cortex.load_cortex()
    assert len(whole) == 9415
    assert set(whole.roi) == set(cortex.AREAS)
    assert set(whole.level) == set(cortex.LEVELS)
    for area in ("V1", "V2", "V3", "V4"):
        assert set(whole.level[whole.roi == area]) == {area}
    assert 0 <= whole.vertex.min() and whole.vertex.max() < 32492
    assert len({*zip(whole.hemisphere, whole.vertex, strict=True)}) == len(whole)


def test_scene_area_of_the_field_is_not_the_area_named_rsc():
    assert "RSC" not in cortex.AREAS
    assert set(cortex.CATEGORY_AREAS["scenes"]) == {"PHA1", "PHA2", "PHA3", "POS1", "DVT", "ProS"}
    assert all(cortex.AREAS[a][0] == "higher" for members in cortex.CATEGORY_AREAS.values() for a in members)


def test_areas_lists_vertices_of_both_hemispheres():
    table = cortex.areas()
    assert table.loc["V1", ["n_left", "n_right"]].tolist() == [831, 787]
    assert table[["n_left", "n_right"]].to_numpy().sum() == len(cortex.load_cortex())
    assert table.loc["FFC", "stands_for"] == "FFA"


def test_left_v1_lies_left_and_behind():
    coordinates = cortex.surface("midthickness", "left")[0][cortex.mesh_areas("left") == "V1"]
    x, y, _ = coordinates.mean(axis=0)
    assert -20 < x < 0 and y < -75  # the occipital pole, in millimetres


def test_flat_map_leaves_out_the_medial_wall():
    for side in ("left", "right"):
        coordinates, triangles = cortex.surface("flat", side)
        assert coordinates.shape == (32492, 2) and np.ptp(coordinates, axis=0).min() > 300
        assert (cortex.mesh_areas(side)[triangles] != "").all()


def test_sulcal_depth_is_low_in_the_insula_and_high_on_the_postcentral_gyrus(capfd):
    _mesh.sulcal_depth.cache_clear()
    depth = cortex.sulcal_depth("left")
    assert capfd.readouterr().err == ""  # nibabel has something to say about this file
    assert np.isnan(depth).sum() == 32492 - 29696
    area = cortex.mesh_areas("left")
    assert depth[area == "Ig"].mean() < -0.5 < 0.2 < depth[area == "1"].mean()


def test_neighbours_are_mutual_and_of_one_hemisphere():
    whole = cortex.load_cortex()
    graph = whole.adjacency
    assert (graph != graph.T).nnz == 0
    assert graph.diagonal().sum() == 0
    start, stop = graph.nonzero()
    assert (whole.hemisphere[start] == whole.hemisphere[stop]).all()
    full = np.asarray(_mesh.mesh_adjacency("left").sum(axis=1)).ravel()
    assert full.sum() == 2 * 3 * (32492 - 2)  # Euler: a closed triangle mesh has 3 (V - 2) edges


def test_smoothing_keeps_constants_and_joins_neighbours():
    assert np.allclose(cortex.smooth(np.full(32492, 2.5), "right", 8), 2.5)
    field = cortex.smooth(np.random.default_rng(0).standard_normal(32492), "right", 8)
    start, stop = _mesh.mesh_adjacency("right").nonzero()
    assert np.corrcoef(field[start], field[stop])[0, 1] > 0.9


def test_smoothing_has_about_the_width_asked_for():
    peak = np.flatnonzero(cortex.mesh_areas("left") == "PH")[100]
    bump = cortex.smooth(np.eye(1, 32492, peak)[0], "left", 8)
    coordinates = cortex.surface("midthickness", "left")[0]
    variance = (bump * ((coordinates - coordinates[peak]) ** 2).sum(axis=1)).sum() / 2
    assert 2.355 * np.sqrt(variance) == pytest.approx(8, rel=0.25)


def test_filling_returns_known_values_and_stays_in_area_and_hemisphere():
    whole = cortex.load_cortex()
    everything = (whole.vertex, whole.hemisphere)
    code = np.unique(np.char.add(whole.hemisphere, whole.roi), return_inverse=True)[1].astype(float)
    some = np.sort(np.random.default_rng(0).permutation(len(whole))[:2000])
    filled = cortex.fill_from_nearest(code[some], (whole.vertex[some], whole.hemisphere[some]), everything)
    assert np.array_equal(filled, code)
    rows = np.stack([code, 2 * code], axis=1)
    assert cortex.fill_from_nearest(rows, everything, everything).shape == (len(whole), 2)


def test_filling_leaves_nan_where_an_area_has_no_value():
    whole = cortex.load_cortex()
    known = whole.roi == "V1"
    everything = (whole.vertex, whole.hemisphere)
    v1 = (whole.vertex[known], whole.hemisphere[known])
    filled = cortex.fill_from_nearest(np.ones(known.sum()), v1, everything)
    assert np.array_equal(np.isfinite(filled), known)
    assert np.isfinite(cortex.fill_from_nearest(np.ones(known.sum()), v1, everything, same_area=False)).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cortex.surface("pial", "left"), "kind='pial'.*flat"),
        (lambda: cortex.mesh_areas("L"), "hemisphere='L'.*left or right"),
        (lambda: cortex.fill_from_nearest([1.0], ([32492], ["left"]), ([0], ["left"])), "0 to 32491"),
        (lambda: cortex.fill_from_nearest([1.0], ([1], ["lh"]), ([0], ["left"])), "lh.*left and right"),
        (lambda: cortex.fill_from_nearest([1.0, 2.0], ([1], ["left"]), ([0], ["left"])), "2 rows"),
    ],
)
def test_errors_say_what_was_given(call, message):
    with pytest.raises(ValueError, match=message):
        call()
