"""The cortex: areas and their levels, the mesh of the surface, smooth maps on it, views of it."""

from jne.cortex.areas import AREAS, CATEGORY_AREAS, LEVELS, STANDS_FOR, load_cortex
from jne.cortex.atlases import (
    ATLAS_LEVELS,
    PAPER_AREAS,
    TIERS,
    area_level,
    area_levels,
    is_area,
    paper_areas,
    tiers,
)
from jne.cortex.level_order import LEVEL_NAMES, all_levels, early_levels, levels_by_name, ordered_levels
from jne.cortex.mesh import (
    HEMISPHERES,
    MESH,
    N_MESH_VERTICES,
    check_vertices,
    cortex_vertices,
    fill_from_nearest,
    mesh_areas,
    smooth,
    sulcal_depth,
    surface,
)
from jne.cortex.smooth_maps import area_covariances, covariance_weights, smoothed_covariances, volume_covariances
from jne.cortex.views import FLAT, FSAVERAGE, PIXEL, VIEWS, drawn_mesh, pixel_vertices

__all__ = [
    "AREAS",
    "ATLAS_LEVELS",
    "CATEGORY_AREAS",
    "FLAT",
    "FSAVERAGE",
    "HEMISPHERES",
    "LEVELS",
    "LEVEL_NAMES",
    "MESH",
    "N_MESH_VERTICES",
    "PAPER_AREAS",
    "PIXEL",
    "STANDS_FOR",
    "TIERS",
    "VIEWS",
    "all_levels",
    "area_covariances",
    "area_level",
    "area_levels",
    "check_vertices",
    "cortex_vertices",
    "covariance_weights",
    "drawn_mesh",
    "early_levels",
    "fill_from_nearest",
    "is_area",
    "levels_by_name",
    "load_cortex",
    "mesh_areas",
    "ordered_levels",
    "paper_areas",
    "pixel_vertices",
    "smooth",
    "smoothed_covariances",
    "sulcal_depth",
    "surface",
    "tiers",
    "volume_covariances",
]
