"""Figures: axes in, axes out; and the chapters' whole figures, one call each."""

from jne.measures import label_of, short_label
from jne.plotting import performance
from jne.plotting.areas import area_label, figure_areas, level_colors, plot_areas, plot_distribution, plot_levels
from jne.plotting.captions import each
from jne.plotting.characters import make_drawable
from jne.plotting.figures import figure_accuracy, figure_confound, figure_hierarchy, figure_map
from jne.plotting.grids import figure_grid, figure_scalars, result_label
from jne.plotting.idea import draw_idea
from jne.plotting.inputs import figure_clusters, figure_sweeps
from jne.plotting.layers import figure_best_layers, figure_depth
from jne.plotting.maps import plot_flatmap
from jne.plotting.networks import figure_fitted, figure_order
from jne.plotting.residual_networks import figure_amplitude, figure_residual
from jne.plotting.scatter import plot_accuracy, plot_against, plot_difference
from jne.plotting.selectivity import (
    figure_called,
    figure_categories,
    figure_profiles,
    plot_category_heatmap,
    plot_category_profile,
    plot_stimuli,
)
from jne.plotting.simulations import figure_activations, figure_units, plot_measure
from jne.plotting.style import PAGE_WIDTH, cannot_show, describe, page_pixels, remark, set_style, show, title
from jne.plotting.surfaces import figure_surfaces, has_surface, plot_surface, show_surface
from jne.plotting.tables import show_table, show_trends
from jne.plotting.trends import (
    figure_agreement,
    figure_layer_trends,
    figure_layers,
    figure_levels,
    figure_parts,
    figure_shares,
    figure_trends,
)
from jne.plotting.trust import (
    figure_bias,
    figure_blind_spots,
    figure_convergence,
    figure_followed,
    figure_recovery,
    figure_varied,
    plot_followed,
)
from jne.plotting.unit_windows import figure_kink, figure_windows
from jne.plotting.variants import figure_variants

__all__ = [
    "PAGE_WIDTH",
    "area_label",
    "cannot_show",
    "describe",
    "draw_idea",
    "each",
    "figure_accuracy",
    "figure_activations",
    "figure_agreement",
    "figure_amplitude",
    "figure_areas",
    "figure_best_layers",
    "figure_bias",
    "figure_blind_spots",
    "figure_called",
    "figure_categories",
    "figure_clusters",
    "figure_confound",
    "figure_convergence",
    "figure_depth",
    "figure_fitted",
    "figure_followed",
    "figure_grid",
    "figure_hierarchy",
    "figure_kink",
    "figure_layer_trends",
    "figure_layers",
    "figure_levels",
    "figure_map",
    "figure_order",
    "figure_parts",
    "figure_profiles",
    "figure_recovery",
    "figure_residual",
    "figure_scalars",
    "figure_shares",
    "figure_surfaces",
    "figure_sweeps",
    "figure_trends",
    "figure_units",
    "figure_variants",
    "figure_varied",
    "figure_windows",
    "has_surface",
    "label_of",
    "level_colors",
    "make_drawable",
    "page_pixels",
    "performance",
    "plot_accuracy",
    "plot_against",
    "plot_areas",
    "plot_category_heatmap",
    "plot_category_profile",
    "plot_difference",
    "plot_distribution",
    "plot_flatmap",
    "plot_followed",
    "plot_levels",
    "plot_measure",
    "plot_stimuli",
    "plot_surface",
    "remark",
    "result_label",
    "set_style",
    "short_label",
    "show",
    "show_surface",
    "show_table",
    "show_trends",
    "title",
]
