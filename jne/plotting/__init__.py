"""Figures: axes in, axes out; and the chapters' whole figures, one call each."""

from jne.plotting.areas import area_label, level_colors, plot_areas, plot_levels
from jne.plotting.figures import figure_accuracy, figure_confound, figure_hierarchy, figure_map
from jne.plotting.maps import plot_flatmap
from jne.plotting.scatter import plot_accuracy, plot_against
from jne.plotting.selectivity import plot_category_heatmap, plot_category_profile, plot_stimuli
from jne.plotting.simulations import plot_activations, plot_measure
from jne.plotting.style import PAGE_WIDTH, cannot_show, remark, set_style, show, title
from jne.plotting.trust import figure_blind_spots, figure_recovery, plot_followed

__all__ = [
    "PAGE_WIDTH",
    "area_label",
    "cannot_show",
    "figure_accuracy",
    "figure_blind_spots",
    "figure_confound",
    "figure_hierarchy",
    "figure_map",
    "figure_recovery",
    "level_colors",
    "plot_accuracy",
    "plot_activations",
    "plot_against",
    "plot_areas",
    "plot_category_heatmap",
    "plot_category_profile",
    "plot_flatmap",
    "plot_followed",
    "plot_levels",
    "plot_measure",
    "plot_stimuli",
    "remark",
    "set_style",
    "show",
    "title",
]
