"""Responses and networks of known nonlinearity, and what is tried on them."""

from jne.simulations.activation_order import (
    claimed_steps,
    contradictions,
    kendalls_w,
    name_pairs,
    name_violations,
    order_agreement,
    order_steps,
    order_table,
)
from jne.simulations.amplitude import amplitude_correlation, follow_amplitude
from jne.simulations.closed_forms import closed_form, wide_network
from jne.simulations.convergence import converge
from jne.simulations.fitted_networks import fit_networks, ranking_changes
from jne.simulations.inputs import (
    bump,
    clustered_bump,
    compare_readers,
    draw_features,
    rewrite_features,
    sweep_features,
)
from jne.simulations.networks import layer_subsets, survey_networks, survey_subsets
from jne.simulations.recovery import (
    MEASURES,
    OF_SEVERAL,
    SHARES,
    bias_table,
    power_law_features,
    recover,
    recovery_table,
    simulated_voxels,
)
from jne.simulations.residual_networks import LAWS, LAYOUTS, PLACES, ResidualNetwork, survey_residual
from jne.simulations.residual_tables import place_order, scale_changes, scale_means
from jne.simulations.responses import ACTIVATIONS, activation_label, activation_network, mix, mixed_response
from jne.simulations.unit_windows import PUBLISHED_ACTIVATIONS, kink_windows, unit_windows, window_jne
from jne.simulations.units import jacobian_clouds, survey_units
from jne.simulations.varied_settings import FACTORS, TRUTHS, vary

__all__ = [
    "ACTIVATIONS",
    "FACTORS",
    "LAWS",
    "LAYOUTS",
    "MEASURES",
    "OF_SEVERAL",
    "PLACES",
    "PUBLISHED_ACTIVATIONS",
    "SHARES",
    "TRUTHS",
    "ResidualNetwork",
    "activation_label",
    "activation_network",
    "amplitude_correlation",
    "bias_table",
    "bump",
    "claimed_steps",
    "closed_form",
    "clustered_bump",
    "compare_readers",
    "contradictions",
    "converge",
    "draw_features",
    "fit_networks",
    "follow_amplitude",
    "jacobian_clouds",
    "kendalls_w",
    "kink_windows",
    "layer_subsets",
    "mix",
    "mixed_response",
    "name_pairs",
    "name_violations",
    "order_agreement",
    "order_steps",
    "order_table",
    "place_order",
    "power_law_features",
    "ranking_changes",
    "recover",
    "recovery_table",
    "rewrite_features",
    "scale_changes",
    "scale_means",
    "simulated_voxels",
    "survey_networks",
    "survey_residual",
    "survey_subsets",
    "survey_units",
    "sweep_features",
    "unit_windows",
    "vary",
    "wide_network",
    "window_jne",
]
