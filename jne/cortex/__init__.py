"""The cortex: areas and their levels, the mesh of the surface, smooth maps on it, views of it."""

from jne.cortex.areas import AREAS, CATEGORY_AREAS, LEVELS, STANDS_FOR, load_cortex
from jne.cortex.atlases import (
    ATLAS_LEVELS,
    PAPER_AREAS,
    TIERS,
    area_level,
    area_levels,
    paper_areas,
    tiers,
)
from jne.cortex.mesh import (
    HEMISPHERES,
    MESH,
    N_MESH_VERTICES,
    check_vertices,
    fill_from_nearest,
    mesh_areas,
    smooth,
    sulcal_depth,
    surface,
)
from jne.cortex.smooth_maps import area_covariances, covariance_weights, smoothed_covariances, volume_covariances
from jne.cortex.views import FSAVERAGE, VIEWS, drawn_mesh, pixel_vertices

__all__ = [
    "AREAS",
    "ATLAS_LEVELS",
    "CATEGORY_AREAS",
    "FSAVERAGE",
    "HEMISPHERES",
    "LEVELS",
    "MESH",
    "N_MESH_VERTICES",
    "PAPER_AREAS",
    "STANDS_FOR",
    "TIERS",
    "VIEWS",
    "area_covariances",
    "area_level",
    "area_levels",
    "check_vertices",
    "covariance_weights",
    "drawn_mesh",
    "fill_from_nearest",
    "load_cortex",
    "mesh_areas",
    "paper_areas",
    "pixel_vertices",
    "smooth",
    "smoothed_covariances",
    "sulcal_depth",
    "surface",
    "tiers",
    "volume_covariances",
]
