"""Tests and tables: areas and levels, categories, subjects, maps that are compared."""

from jne.statistics.area_tables import (
    area_samples,
    area_share,
    area_table,
    category_table,
    headline,
    level_ranks,
    level_trend,
    partial_spearman,
    predicted_voxels,
    spearman,
)
from jne.statistics.confirmed_categories import confirmed_table, confirmed_test, double_centred
from jne.statistics.intraclass_correlation import intraclass_correlation
from jne.statistics.layer_confound import DEPTH_MEASURES, PREDICTED, depth_ratios, depth_table, depth_trends
from jne.statistics.map_agreement import agreement_table
from jne.statistics.selectivity import called_selective, calling_rates, can_test, interaction_test, shuffle_test
from jne.statistics.subject_tables import (
    area_intervals,
    area_recovery_table,
    effect_sizes,
    layer_table,
    level_trend_table,
    mean_table,
    pooled_table,
    subject_interval,
    table_effects,
)
from jne.statistics.tier_tests import exchanged_rate, voxel_test
from jne.statistics.trends import POOLED, smooth_null, table_trends, trend_test, trend_tests
from jne.statistics.variance_parts import PARTS, variance_parts
from jne.statistics.variants import followed_table, variant_correlations

__all__ = [
    "DEPTH_MEASURES",
    "PARTS",
    "POOLED",
    "PREDICTED",
    "agreement_table",
    "area_intervals",
    "area_recovery_table",
    "area_samples",
    "area_share",
    "area_table",
    "called_selective",
    "calling_rates",
    "can_test",
    "category_table",
    "confirmed_table",
    "confirmed_test",
    "depth_ratios",
    "depth_table",
    "depth_trends",
    "double_centred",
    "effect_sizes",
    "exchanged_rate",
    "followed_table",
    "headline",
    "interaction_test",
    "intraclass_correlation",
    "layer_table",
    "level_ranks",
    "level_trend",
    "level_trend_table",
    "mean_table",
    "partial_spearman",
    "pooled_table",
    "predicted_voxels",
    "shuffle_test",
    "smooth_null",
    "spearman",
    "subject_interval",
    "table_effects",
    "table_trends",
    "trend_test",
    "trend_tests",
    "variance_parts",
    "variant_correlations",
    "voxel_test",
]
