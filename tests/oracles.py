"""Every measure as its definition reads, from dense Jacobians and whole arrays in float64: slow, large and plain.

Each function returns a dict from the key of a measure in `jne.measures.REGISTRY` to its value. Tests and benchmarks
compare with these.
"""

import copy

import numpy as np
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel


def dense_jacobian(model, X):
    """Jacobian of a module or function ``(n_samples, n_voxels, n_features)``, by reverse mode in float64."""
    if isinstance(model, nn.Module):
        model = copy.deepcopy(model).double()
    X = torch.as_tensor(X).double()
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        J = torch.func.vmap(torch.func.jacrev(lambda x: model(x[None])[0].reshape(-1)), chunk_size=8)(X)
    return J.detach().flatten(2).numpy()


def encoder_jacobian(encoder, X):
    """Jacobian of a fitted encoder's predictions, in the units of its responses and features."""
    mean, scale, gain = (np.asarray(v, float) for v in (encoder.x_mean_, encoder.x_scale_, encoder.y_scale_))
    return dense_jacobian(encoder.module_, (np.asarray(X, float) - mean) / scale) * gain[:, None] / scale


def sample_covariance(X):
    """Covariance of the flattened features of samples."""
    return np.atleast_2d(np.cov(np.asarray(torch.as_tensor(X).double().flatten(1)), rowvar=False))


def zscored(J, axis):
    """Entries less their mean over axes, over their standard deviation (population); NaN where that is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        sd = J.std(axis, keepdims=True)
        return (J - J.mean(axis, keepdims=True)) / np.where(sd > 1e-14 * np.abs(J).max(axis, keepdims=True), sd, np.nan)


def of_jacobian(J, sigma, norm="l1", zscore=False):
    """The measures of `jne.nonlinearity`, from a Jacobian ``(n, v, d)`` and the feature covariance ``(d, d)``."""
    mean = J.mean(0)
    Q = np.einsum("nvd,de,nve->v", J - mean, sigma, J - mean, optimize=True) / len(J)
    Q0 = np.einsum("vd,de,ve->v", mean, sigma, mean)
    Z = zscored(J, -1) if zscore else J
    delta, gain = (np.linalg.norm(A, ord=int(norm[1]), axis=-1) for A in (Z - Z.mean(0), Z.mean(0)))
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "jne": delta.std(0),
            "jne_ss": (delta - delta.mean(0)) ** 2,
            "deviation_sign": np.sign(delta - delta.mean(0)),
            "mean_deviation": delta.mean(0),
            "gain": gain,
            "relative": delta.mean(0) / gain,
            "nonlinear_share": (Q / 2) / (Q / 2 + Q0),
        }


def of_slopes(J):
    """What `jne.nonlinearity` gives of every feature, from a Jacobian ``(n, v, d)``."""
    return {"mean_jacobian": J.mean(0), "feature_variance": J.var(0)}


def of_variants(J):
    """The measures of `jne.measures.variants` beside JNE, from a Jacobian ``(n, v, d)``."""
    found = {}
    for number in (1, 2):
        for name, Z in {"": J, "_z": zscored(J, -1), "_scaled": zscored(J, (0, -1))}.items():
            found[f"jne{name}_l{number}"] = np.linalg.norm(Z - Z.mean(0), ord=number, axis=-1).std(0)
    return found | {"jne": found.pop("jne_l1"), "gain_change": np.linalg.norm(J, axis=-1).std(0)}


def left_by_a_linear_map(X, values):
    """Residuals of least squares on X and a constant."""
    design = np.column_stack([np.ones(len(X)), X])
    return values - design @ np.linalg.lstsq(design, values, rcond=None)[0]


def of_two_jacobians(one, two, sigma):
    """The Jacobians' part of `jne.crossfit_nonlinearity`, from two of them ``(n, v, d)`` at the same samples."""
    means, deviations = [J.mean(0) for J in (one, two)], [J - J.mean(0) for J in (one, two)]
    delta = [np.abs(d).sum(-1) for d in deviations]
    C = np.einsum("nvd,de,nve->v", deviations[0], sigma, deviations[1]) / len(one)
    C0 = np.einsum("vd,de,ve->v", means[0], sigma, means[1])
    return {
        "crossfit_nonlinear": C,
        "crossfit_linear": C0,
        "crossfit_share": (C / 2) / (C / 2 + C0),
        "crossfit_jne_ss": np.prod([d - d.mean(0) for d in delta], axis=0),
    }


def of_two_predictions(X, one, two):
    """The predictions' part of `jne.crossfit_nonlinearity`, from two fits' predictions ``(n, v)`` at X ``(n, d)``."""
    residuals, centred = [left_by_a_linear_map(X, P) for P in (one, two)], [P - P.mean(0) for P in (one, two)]
    residual = np.prod(residuals, axis=0).sum(0) / (len(X) - X.shape[1] - 1)
    predicted = np.prod(centred, axis=0).sum(0) / (len(X) - 1)
    return {
        "crossfit_residual": residual,
        "crossfit_predicted": predicted,
        "crossfit_prediction_share": residual / predicted,
    }


def of_groups(terms, deleted):
    """Where C/2 + C0 is two errors above zero, from ``(C, C0)`` and, group by group, those without it."""
    below, without = terms[0] / 2 + terms[1], np.stack([C / 2 + C0 for C, C0 in deleted])
    n = len(without)
    return {"reliable": below > 2 * np.sqrt((n - 1) / n * ((without - without.mean(0)) ** 2).sum(0))}


def of_predictions(X, Y, predictions):
    """What is known of predictions ``(n, v)`` of responses Y at features X."""
    return {
        "r2": 1 - ((Y - predictions) ** 2).sum(0) / ((Y - Y.mean(0)) ** 2).sum(0),
        "prediction_share": left_by_a_linear_map(X, predictions).var(0) / predictions.var(0),
    }


def of_noise(signal, noise_sd, n_repeats):
    """The noise ceiling of averages over repeats, from the signal ``(n, v)`` and the noise of one repeat."""
    return {"noise_ceiling": signal.var(0) / (signal.var(0) + noise_sd**2 / n_repeats)}


def of_validation(X, predictions, responses):
    """`jne.validated_share` of the last stimuli of X, those of ``responses``, each left out of its own linear map."""
    n, n_test = len(X), len(responses)
    design = np.column_stack([np.ones(n), X])
    whole = (design @ np.linalg.lstsq(design, predictions, rcond=None)[0])[-n_test:]
    rest = np.empty_like(responses)
    for place in range(n - n_test, n):
        others = np.delete(np.arange(n), place)
        slopes = np.linalg.lstsq(design[others], predictions[others], rcond=None)[0]
        rest[place - n + n_test] = predictions[place] - design[place] @ slopes
    y, linear = responses - responses.mean(0), whole - whole.mean(0)
    products = (y - (y * linear).sum(0) / (linear**2).sum(0) * linear) * rest
    f = predictions[-n_test:] - predictions[-n_test:].mean(0)
    nonlinear = products.mean(0) / y.var(0)
    predicted = (y * f).sum(0) / (n_test - 1) / y.var(0)
    t = products.mean(0) / (products.std(0, ddof=1) / np.sqrt(n_test))
    found = {"validated_nonlinear": nonlinear, "validated_predicted": predicted}
    return {**found, "validated_share": nonlinear / predicted, "t": t}
