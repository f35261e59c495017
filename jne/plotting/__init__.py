"""Figures: axes in, axes out; and the chapters' whole figures, one call each."""

from jne.measures import label_of, short_label
from jne.plotting import performance
from jne.plotting.areas import area_label, figure_areas, level_colors, plot_areas, plot_distribution, plot_levels
from jne.plotting.caption_texts import area_ends, change, level_ends, level_word, spreads, tier_means, trend_words
from jne.plotting.captions import each
from jne.plotting.characters import make_drawable
from jne.plotting.cluster_tables import (
    figure_cluster_areas,
    figure_cluster_maps,
    figure_scaled_null,
    plot_cluster_areas,
)
from jne.plotting.encoder_maps import figure_maps, figure_r2_maps, plot_cortex
from jne.plotting.figures import figure_accuracy, figure_confound, figure_hierarchy, figure_map
from jne.plotting.grids import figure_grid, figure_scalars, result_label
from jne.plotting.idea import draw_idea
from jne.plotting.inputs import figure_clusters, figure_sweeps
from jne.plotting.layers import figure_best_layers, figure_depth
from jne.plotting.maps import plot_flatmap
from jne.plotting.measure_maps import figure_measures
from jne.plotting.networks import figure_fitted, figure_order
from jne.plotting.paper_areas import figure_alike, figure_paper_areas, figure_r2_by_area
from jne.plotting.residual_networks import figure_amplitude, figure_residual, figure_scales
from jne.plotting.scatter import plot_accuracy, plot_against, plot_difference
from jne.plotting.scenario_trends import figure_scenario_trends
from jne.plotting.selectivity import (
    figure_called,
    figure_categories,
    figure_profiles,
    plot_category_heatmap,
    plot_category_profile,
    plot_stimuli,
)
from jne.plotting.simulations import figure_activations, figure_units, plot_measure
from jne.plotting.stimulus_clusters import figure_montage, figure_stimulus_clusters
from jne.plotting.strip import STRIP, draw_strip, figure_strip
from jne.plotting.style import (
    PAGE_WIDTH,
    SMALL,
    cannot_show,
    describe,
    not_shown,
    page_pixels,
    remark,
    say_data,
    say_first,
    set_style,
    show,
    title,
)
from jne.plotting.surface_page import show_surface
from jne.plotting.surfaces import figure_surfaces, has_surface, plot_surface
from jne.plotting.tables import show_table, show_trends
from jne.plotting.tiers import figure_tier_tests, figure_tiers, tier_colors
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
    "SMALL",
    "STRIP",
    "area_ends",
    "area_label",
    "cannot_show",
    "change",
    "describe",
    "draw_idea",
    "draw_strip",
    "each",
    "figure_accuracy",
    "figure_activations",
    "figure_agreement",
    "figure_alike",
    "figure_amplitude",
    "figure_areas",
    "figure_best_layers",
    "figure_bias",
    "figure_blind_spots",
    "figure_called",
    "figure_categories",
    "figure_cluster_areas",
    "figure_cluster_maps",
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
    "figure_maps",
    "figure_measures",
    "figure_montage",
    "figure_order",
    "figure_paper_areas",
    "figure_parts",
    "figure_profiles",
    "figure_r2_by_area",
    "figure_r2_maps",
    "figure_recovery",
    "figure_residual",
    "figure_scalars",
    "figure_scaled_null",
    "figure_scales",
    "figure_scenario_trends",
    "figure_shares",
    "figure_stimulus_clusters",
    "figure_strip",
    "figure_surfaces",
    "figure_sweeps",
    "figure_tier_tests",
    "figure_tiers",
    "figure_trends",
    "figure_units",
    "figure_variants",
    "figure_varied",
    "figure_windows",
    "has_surface",
    "label_of",
    "level_colors",
    "level_ends",
    "level_word",
    "make_drawable",
    "not_shown",
    "page_pixels",
    "performance",
    "plot_accuracy",
    "plot_against",
    "plot_areas",
    "plot_category_heatmap",
    "plot_category_profile",
    "plot_cluster_areas",
    "plot_cortex",
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
    "say_data",
    "say_first",
    "set_style",
    "short_label",
    "show",
    "show_surface",
    "show_table",
    "show_trends",
    "spreads",
    "tier_colors",
    "tier_means",
    "title",
    "trend_words",
]
