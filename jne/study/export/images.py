"""Maps as the bytes of NIfTI, CIFTI, GIFTI and MGH files. Pure: nothing here writes a file."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from functools import lru_cache

import nibabel
import numpy as np
from nibabel.cifti2 import (
    Cifti2BrainModel,
    Cifti2Header,
    Cifti2Matrix,
    Cifti2MatrixIndicesMap,
    Cifti2NamedMap,
    Cifti2VertexIndices,
)
from nibabel.gifti import GiftiDataArray, GiftiImage, GiftiMetaData
from nibabel.nifti1 import Nifti1Extension

from jne.cortex import cortex_vertices
from jne.datasets import Surface, Volume

_LETTER = {"left": "L", "right": "R"}
_FREESURFER = {"left": "lh", "right": "rh"}
_STRUCTURE = {"left": "CortexLeft", "right": "CortexRight"}
_CIFTI = 32
"""Code of the extension of a NIfTI-2 file that holds the XML of CIFTI."""
_DESCRIPTION = 79
"""Characters that the header of a NIfTI file has for a description."""


def images(place: Volume | Surface, name: str, values: np.ndarray, text: str) -> Iterator[tuple[str, bytes, str]]:
    """The files of one map.

    Parameters
    ----------
    place : Volume or Surface
    name : str
        Of the variable.
    values : array of numbers ``(n_voxels,)``
    text : str
        What it is, for the header.

    Yields
    ------
    name : str
        Of the file.
    content : bytes
        The same for the same values.
    dtype : str
        Type of the numbers in it. GIFTI and MGH have no float64.
    """
    if isinstance(place, Volume):
        exact = _exact(values)
        yield f"{name}.nii.gz", _nifti(place, values.astype(exact), text), str(exact)
    elif place.files == "CIFTI":
        exact = _exact(values)
        yield f"{name}.dscalar.nii", _cifti(place, name, values.astype(exact)), str(exact)
    else:
        for side in place.sides:
            whole = place.fill(values, side, np.float32)
            if place.files == "MGH":
                yield f"{_FREESURFER[side]}.{name}.mgh", _mgh(whole), "float32"
            else:
                yield f"{name}_hemi-{_LETTER[side]}.func.gii", _gifti(whole, side, name), "float32"


def _exact(values: np.ndarray) -> np.dtype:
    """The floating type that holds the values as they are, and NaN."""
    return np.result_type(values.dtype, np.float32)


def _nifti(place: Volume, values: np.ndarray, text: str) -> bytes:
    image = nibabel.Nifti1Image(place.fill(values, values.dtype), place.affine)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = text.encode("ascii", "replace")[:_DESCRIPTION]
    return gzip.compress(image.to_bytes(), mtime=0)


def _cifti(place: Surface, name: str, values: np.ndarray) -> bytes:
    cortex = {side: cortex_vertices(side) for side in place.n_vertices}
    inside = all(np.isin(place.vertex[place.hemisphere == side], cortex[side]).all() for side in cortex)
    models, used = _cortex_models(tuple(place.n_vertices.items()), inside)
    rows = [place.fill(values, side, values.dtype)[used[side]] for side in used]
    matrix = Cifti2Matrix()
    matrix.append(Cifti2MatrixIndicesMap((0,), "CIFTI_INDEX_TYPE_SCALARS", maps=[Cifti2NamedMap(name)]))
    matrix.append(Cifti2MatrixIndicesMap((1,), "CIFTI_INDEX_TYPE_BRAIN_MODELS", maps=models))
    # As nibabel's Cifti2Image does, which takes a second to look at every vertex.
    header = nibabel.Nifti2Header()
    header.set_intent("NIFTI_INTENT_CONNECTIVITY_DENSE_SCALARS", name="ConnDenseScalar")
    header.extensions.append(Nifti1Extension(_CIFTI, Cifti2Header(matrix).to_xml()))
    header.set_data_dtype(values.dtype)
    header["pixdim"][:4] = 1
    return nibabel.Nifti2Image(np.concatenate(rows).reshape(1, 1, 1, 1, 1, -1), None, header).to_bytes()


@lru_cache(4)  # the vertices are taken one by one, which is most of what a map costs
def _cortex_models(
    n_vertices: tuple[tuple[str, int], ...], inside: bool
) -> tuple[list[Cifti2BrainModel], dict[str, np.ndarray]]:
    """What a CIFTI file says of its vertices, and these of each hemisphere."""
    models, found, start = [], {}, 0
    for side, n in n_vertices:
        # As every CIFTI file of this mesh has it; but nothing is left out where there are values on the medial wall.
        used = found[side] = cortex_vertices(side) if inside else np.arange(n)
        models.append(
            Cifti2BrainModel(
                index_offset=start,
                index_count=len(used),
                model_type="CIFTI_MODEL_TYPE_SURFACE",
                brain_structure=f"CIFTI_STRUCTURE_CORTEX_{side.upper()}",
                n_surface_vertices=n,
                vertex_indices=Cifti2VertexIndices(used.tolist()),
            )
        )
        start += len(used)
    return models, found


def _gifti(whole: np.ndarray, side: str, name: str) -> bytes:
    array = GiftiDataArray(whole, "NIFTI_INTENT_NONE", "NIFTI_TYPE_FLOAT32", meta=GiftiMetaData(Name=name))
    meta = GiftiMetaData(AnatomicalStructurePrimary=_STRUCTURE[side])
    return GiftiImage(meta=meta, darrays=[array]).to_bytes()


def _mgh(whole: np.ndarray) -> bytes:
    return nibabel.MGHImage(whole[:, None, None], np.eye(4)).to_bytes()
