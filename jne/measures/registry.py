"""Every measure in one place: what it is called, its unit, its definition, and what leaves it unchanged.

Results, tables, figures and pages look names and units up here. A new measure is an entry of `REGISTRY`, its
computation and its oracle in ``tests/oracles.py``; one without an entry is refused where results are made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

GRADIENT = "{z}response units per {z}feature unit"
"""Unit of a Jacobian's norm; ``{z}`` is "z-scored " where an encoder z-scores both."""
SQUARED_GRADIENT = f"({GRADIENT})^2"
SQUARED_RESPONSE = "squared {z}response units"
NUMBER = "1"


@dataclass(frozen=True)
class Measure:
    """What is known of a measure without its numbers."""

    key: str  # name of the variable in results; `crossfit_nonlinearity` drops the prefix of its two shares
    label: str  # name in tables and legends
    unit: str  # with ``{z}`` where it depends on whether responses and features are z-scored; see `unit_of`
    definition: str  # in one line, as the attribute ``long_name`` of results has it
    rotation: bool = True  # whether that of a function stays when features and their covariance are rotated
    short: str = ""  # name where there is little room; by default the label
    axis: str = ""  # name on an axis of its own, with the unit; by default the label
    signed: bool = False  # whether it turns its sign where the responses do
    terms: tuple[str, ...] = ()  # keys of numerator and denominator, sums of which make an area's value
    of: str = ""  # key of the measure that this one is of another function or other responses; empty where it is itself

    @property
    def response_power(self) -> int:
        """Responses times c (and with them the function fitted to them) are the measure times ``|c|`` to this power.

        Times the sign of c, too, where it is ``signed``.
        """
        return {NUMBER: 0, GRADIENT: 1}.get(self.unit, 2)

    def unit_of(self, zscored: bool) -> str:
        """The unit in words, of z-scored responses and features or of those in units of their own."""
        return self.unit.format(z="z-scored " if zscored else "")

    def read(self, norm: str, zscore: bool) -> Measure:
        """The entry of the same key where another norm is taken, or rows of the Jacobian are z-scored first."""
        if self.key not in READ:
            return self
        rows = "; rows of the Jacobian z-scored over features" if zscore else ""
        definition = self.definition.replace("L1", norm.upper()) + rows
        return replace(self, definition=definition, unit=NUMBER if zscore else self.unit)


READ = ("jne", "jne_ss", "deviation_sign", "mean_deviation", "gain", "relative")
"""Measures that follow the arguments ``norm`` and ``zscore_jacobian`` of `jne.nonlinearity`."""

# L1 norms change with the axes that features have; norms in the metric of their covariance do not.
REGISTRY = {entry.key: entry for entry in (
    Measure(
        "jne", "JNE, as published", GRADIENT,
        "JNE: standard deviation over samples of the L1 deviation of the Jacobian from its mean",
        rotation=False, short="JNE", axis="JNE (z-scored response / z-scored feature)",
    ),
    Measure(
        "jne_ss", "JNE-SS of a stimulus", SQUARED_GRADIENT,
        "JNE-SS: squared difference of a sample's L1 deviation from the mean L1 deviation", rotation=False,
    ),
    Measure(
        "deviation_sign", "sign of the L1 deviation less its mean", NUMBER,
        "whether a sample's L1 deviation is above (1) or below (-1) the mean L1 deviation", rotation=False,
    ),
    Measure(
        "mean_deviation", "mean L1 deviation", GRADIENT,
        "mean over samples of the L1 deviation of the Jacobian from its mean", rotation=False,
    ),
    Measure("gain", "gain", GRADIENT, "L1 norm of the mean Jacobian", rotation=False),
    Measure("relative", "relative L1 deviation", NUMBER, "mean deviation over gain", rotation=False),
    Measure(
        "mean_jacobian", "mean slope", GRADIENT, "mean of the Jacobian over samples, Jbar", rotation=False, signed=True,
    ),
    Measure(
        "feature_variance", "variance of a slope", SQUARED_GRADIENT,
        "variance over samples of the slope along a feature", rotation=False,
    ),
    Measure(
        "jne_l2", "JNE, L2 norm", GRADIENT,
        "standard deviation over samples of the L2 deviation of the Jacobian from its mean", short="L2",
    ),
    Measure(
        "jne_z_l1", "JNE, L1 norm, z-scored over features", NUMBER,
        "JNE of a Jacobian whose rows are z-scored over features at each sample",
        rotation=False, short="L1, z over features",
    ),
    Measure(
        "jne_z_l2", "JNE, L2 norm, z-scored over features", NUMBER,
        "the same with the L2 norm", rotation=False, short="L2, z over features",
    ),
    Measure(
        "jne_scaled_l1", "JNE, L1 norm, z-scored over samples and features", NUMBER,
        "JNE over the standard deviation of the Jacobian's entries over samples and features",
        rotation=False, short="L1, z over stimuli and features",
    ),
    Measure(
        "jne_scaled_l2", "JNE, L2 norm, z-scored over samples and features", NUMBER,
        "the same with the L2 norm", rotation=False, short="L2, z over stimuli and features",
    ),
    Measure(
        "gain_change", "gain change", GRADIENT,
        "standard deviation over samples of the L2 norm of the Jacobian itself (of dynamic STRFs)",
    ),
    Measure(
        "nonlinear_share", "nonlinear share", NUMBER, "(Q/2) / (Q/2 + Q0) in the metric of the feature covariance",
    ),
    Measure(
        "jne_by_seed", "JNE of each fit", GRADIENT, "JNE of each of several fits, which differ in their seed",
        rotation=False, of="jne",
    ),
    Measure(
        "nonlinear_share_by_seed", "nonlinear share of each fit", NUMBER,
        "nonlinear share of each of several fits, which differ in their seed", of="nonlinear_share",
    ),
    Measure(
        "jne_mean_model", "JNE of the mean model", GRADIENT,
        "JNE of the mean of several fits, which differ in their seed", rotation=False, of="jne",
    ),
    Measure(
        "nonlinear_share_mean_model", "nonlinear share of the mean model", NUMBER,
        "nonlinear share of the mean of several fits, which differ in their seed", of="nonlinear_share",
    ),
    Measure(
        "validated_share_mean_model", "validated share of the mean model", NUMBER,
        "validated share of the mean of several fits, which differ in their seed", of="validated_share",
    ),
    Measure(
        "jne_mean_of_fits", "mean of the fits' JNE", GRADIENT,
        "mean over several fits, which differ in their seed, of each one's JNE", rotation=False, of="jne",
    ),
    Measure(
        "nonlinear_share_mean_of_fits", "mean of the fits' nonlinear shares", NUMBER,
        "mean over several fits, which differ in their seed, of each one's nonlinear share", of="nonlinear_share",
    ),
    Measure(
        "validated_share_mean_of_fits", "mean of the fits' validated shares", NUMBER,
        "mean over several fits, which differ in their seed, of each one's validated share", of="validated_share",
    ),
    Measure(
        "crossfit_nonlinear", "cross-fitted C", SQUARED_RESPONSE,
        "C: mean over samples of <J1 - J1bar, J2 - J2bar> in the metric of the feature covariance",
    ),
    Measure(
        "crossfit_linear", "cross-fitted C0", SQUARED_RESPONSE,
        "C0: <J1bar, J2bar> in the metric of the feature covariance",
    ),
    Measure(
        "crossfit_residual", "covariance of residuals", SQUARED_RESPONSE,
        "covariance of two fits' predictions, each less its best linear map",
    ),
    Measure(
        "crossfit_predicted", "covariance of predictions", SQUARED_RESPONSE, "covariance of two fits' predictions",
    ),
    Measure("crossfit_share", "cross-fitted share", NUMBER, "cross-fitted share (C/2) / (C/2 + C0)"),
    Measure(
        "crossfit_prediction_share", "cross-fitted, predictions", NUMBER,
        "cross-fitted share from predictions, crossfit_residual / crossfit_predicted",
    ),
    Measure("reliable", "reliable", NUMBER, "whether C/2 + C0 is above zero (one-sided, 2.5 %, by its standard error)"),
    Measure(
        "crossfit_jne_ss", "cross-fitted JNE-SS", SQUARED_GRADIENT,
        "cross-fitted JNE-SS: product of two fits' L1 deviations, each less its mean over samples", rotation=False,
    ),
    Measure(
        "r2", "R², nonlinear encoder", NUMBER, "share of the variance over samples that is predicted",
        short="R²", axis="R²",
    ),
    Measure(
        "r2_linear", "R², linear encoder", NUMBER, "R² of the same encoder without its activation",
        short="R², linear", of="r2",
    ),
    Measure(
        "r2_linearised", "R², mean Jacobian", NUMBER,
        "R² of the mean-Jacobian model: mean prediction plus mean Jacobian times the features less their mean",
        short="R², mean Jacobian", of="r2",
    ),
    Measure(
        "r2_difference", "R²(nonlinear) − R²(linear)", NUMBER,
        "R² less that of the same encoder without its activation", of="r2",
    ),
    Measure(
        "prediction_share", "share from predictions", NUMBER,
        "share of the variance of predictions that their best linear map leaves",
    ),
    Measure(
        "validated_share", "validated share", NUMBER,
        "cov(y, r) / cov(y, f) of held-out responses y, a prediction f, and what the best linear map leaves of f, r",
        terms=("validated_nonlinear", "validated_predicted"),
    ),
    Measure(
        "validated_nonlinear", "confirmed nonlinear covariance", NUMBER, "cov(y, r) over the variance of y",
    ),
    Measure(
        "validated_predicted", "covariance with the prediction", NUMBER, "cov(y, f) over the variance of y",
    ),
    Measure(
        "null_share", "share, responses shuffled", NUMBER,
        "nonlinear share of an encoder fitted to responses shuffled over stimuli", of="nonlinear_share",
    ),
    Measure(
        "noise_ceiling", "noise ceiling", NUMBER, "largest R² that any model can reach, from repeats",
        axis="noise ceiling (share of variance)",
    ),
    Measure(
        "explained", "R² / noise ceiling", NUMBER, "share of the explainable variance that is predicted",
        axis="R² / noise ceiling", terms=("r2", "noise_ceiling"),
    ),
    Measure(
        "true_nonlinearity", "planted nonlinear share", NUMBER,
        "share of the variance of the noise-free response that no linear map of the features explains, as planted",
        short="planted share", of="prediction_share",
    ),
    Measure(
        "true_share", "1 − R², best linear map", NUMBER,
        "share of the variance of a known response that no linear map of its features explains", of="prediction_share",
    ),
)}  # fmt: skip
"""Key -> `Measure`, in the order in which results and tables list them."""


def known_measure(key: str) -> Measure:
    """The entry of a measure, or a ValueError where it has none."""
    if key not in REGISTRY:
        raise ValueError(
            f"measure {key!r} has no entry in jne/measures/registry.py; give it one, with label, unit and definition"
        )
    return REGISTRY[key]


def label_of(key: str) -> str:
    """A measure's name on an axis, with its unit; a name that is no measure's is returned as it is."""
    return (REGISTRY[key].axis or REGISTRY[key].label) if key in REGISTRY else key


def short_label(key: str) -> str:
    """A measure's name where there is little room; a name that is no measure's is returned as it is."""
    return (REGISTRY[key].short or REGISTRY[key].label) if key in REGISTRY else key
