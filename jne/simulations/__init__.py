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
from jne.simulations.recovery import MEASURES, SHARES, bias_table, recover, recovery_table, simulated_voxels
from jne.simulations.responses import ACTIVATIONS, activation_label, activation_network, mix, mixed_response
from jne.simulations.units import jacobian_clouds, survey_units
from jne.simulations.varied_settings import FACTORS, TRUTHS, vary

__all__ = [
    "ACTIVATIONS",
    "FACTORS",
    "MEASURES",
    "SHARES",
    "TRUTHS",
    "activation_label",
    "activation_network",
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
    "jacobian_clouds",
    "kendalls_w",
    "layer_subsets",
    "mix",
    "mixed_response",
    "name_pairs",
    "name_violations",
    "order_agreement",
    "order_steps",
    "order_table",
    "ranking_changes",
    "recover",
    "recovery_table",
    "rewrite_features",
    "simulated_voxels",
    "survey_networks",
    "survey_subsets",
    "survey_units",
    "sweep_features",
    "vary",
    "wide_network",
]
