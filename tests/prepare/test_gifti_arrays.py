"""A func.gii with one array of two dimensions, in any order of its axes and of its bytes."""

import nibabel
import numpy as np
import pytest
from map_studies import make_study

from jne.prepare.surface import prepare_fsaverage


@pytest.mark.parametrize("ordering", ["C", "F"])
@pytest.mark.parametrize("turned", [False, True])
def test_maps_of_one_array(tmp_path, ordering, turned):
    study = make_study(tmp_path)
    maps = study.maps(2562)
    values = maps if turned else maps.T
    array = nibabel.gifti.GiftiDataArray(np.asarray(values, "f4", order=ordering), ordering=ordering)
    nibabel.save(nibabel.gifti.GiftiImage(darrays=[array]), tmp_path / "left.func.gii")
    given = {"maps": {"left": [tmp_path / "left.func.gii"]}}
    data = prepare_fsaverage(study.write_table(), tmp_path / "features.npz", tmp_path / "out.nc", **given)
    study.check(data, maps)
    np.testing.assert_array_equal(data.get("vertex"), np.arange(2562))


def test_two_sizes_of_meshes_are_refused(tmp_path):
    study = make_study(tmp_path)
    array = nibabel.gifti.GiftiDataArray(np.zeros((2562, 10242), "f4"))
    nibabel.save(nibabel.gifti.GiftiImage(darrays=[array]), tmp_path / "left.func.gii")
    given = {"maps": {"left": [tmp_path / "left.func.gii"]}}
    with pytest.raises(ValueError, match="one array of 2562 by 10242, both of which are numbers of vertices"):
        prepare_fsaverage(study.write_table(), tmp_path / "features.npz", tmp_path / "out.nc", **given)
