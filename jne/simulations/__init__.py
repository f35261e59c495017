"""The experiments of the chapters on simulations: networks that are known, and voxels known only through noise."""

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
from jne.simulations.convergence import converge
from jne.simulations.fitted_networks import fit_networks, ranking_changes
from jne.simulations.inputs import clustered_bump, compare_readers, rewrite_features, sweep_features
from jne.simulations.networks import layer_subsets, survey_networks, survey_subsets
from jne.simulations.recovery import MEASURES, SHARES, bias_table, recover, recovery_table, simulated_voxels
from jne.simulations.units import jacobian_clouds, survey_units
from jne.simulations.varied_settings import FACTORS, TRUTHS, vary

__all__ = [
    "FACTORS",
    "MEASURES",
    "SHARES",
    "TRUTHS",
    "bias_table",
    "claimed_steps",
    "clustered_bump",
    "compare_readers",
    "contradictions",
    "converge",
    "fit_networks",
    "jacobian_clouds",
    "kendalls_w",
    "layer_subsets",
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
]
