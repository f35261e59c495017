"""Stimuli of the synthetic cortex: categories, feature layers, and the hidden units that its vertices combine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jne._core import random_rotation, zscore
from jne.accuracy import remove_linear

CATEGORIES = ("faces", "bodies", "animals", "food", "words", "vehicles", "indoor scenes", "outdoor scenes")
SCENES = ("indoor scenes", "outdoor scenes")

LAYERS = {"layer1": (0.6, 0.4), "layer2": (0.3, 0.7), "layer3": (0.0, 1.0), "layer4": (0.3, 1.0)}
"""Layer -> (weight of its warped part, share of the latent dimensions that it keeps)."""
TRUE_LAYER = "layer3"

SPECTRUM_EXPONENT = 1.5
"""Variance of the i-th latent dimension is proportional to i ** -SPECTRUM_EXPONENT."""
SEPARATION = 4.0
"""Distance between any two category centres, in standard deviations within a category."""
N_UNITS = 32
UNGATED_SHARE = 0.1
"""How strongly a gated hidden unit still responds outside its category (1 is no gate)."""

_PURPOSES = (
    "world",
    "layers",
    "units",
    "train",
    "validation",
    "test",
    "linear",
    "nonlinear",
    "noise",
    "alpha",
    "ceiling",
)


def stream(purpose: str, *key: int) -> np.random.Generator:
    """Random generator of one purpose and key: what is drawn for one vertex never depends on another vertex."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([_PURPOSES.index(purpose), *key])))


@dataclass(frozen=True)
class Stimuli:
    """Stimuli of one subject, in the order train, validation, test.

    Attributes
    ----------
    identity, split, category : numpy.ndarray of str, ``(n_stimuli,)``
    layers : dict of numpy.ndarray
        Features of each layer, ``(n_stimuli, n_features)``, float32.
    posterior : numpy.ndarray, ``(n_stimuli, 8)``
        Probability of each category given the features of the true layer, under the model that made them.
    """

    identity: np.ndarray
    split: np.ndarray
    category: np.ndarray
    layers: dict[str, np.ndarray]
    posterior: np.ndarray

    def gate(self, category: str) -> np.ndarray:
        """Smooth gate of faces, bodies or scenes (indoor or outdoor), ``(n_stimuli,)``, in (0, 1)."""
        members = SCENES if category == "scenes" else (category,)
        return self.posterior[:, [CATEGORIES.index(member) for member in members]].sum(axis=1)


def draw_stimuli(seed: int, subject: int, counts: dict[str, int], n_features: int) -> Stimuli:
    """Draw the stimuli of a subject.

    Eight categories are Gaussian clusters of equal distance within the first dimensions of a latent space whose
    spectrum is a power law. The true layer is a rotation of that space, so that every feature mixes all dimensions.

    Parameters
    ----------
    seed : int
        The categories, the layers and the test stimuli depend on this only: all subjects see the same test stimuli.
    subject : int
        Redraws the training and validation stimuli.
    counts : dict
        Number of stimuli of each split.
    n_features : int
        Features per layer.

    Returns
    -------
    Stimuli
    """
    centres = _centres(stream("world", seed), n_features)
    parts, identity, split, members = [], [], [], []
    for name, count in counts.items():
        rng = stream(name, seed) if name == "test" else stream(name, seed, subject)
        member = rng.permutation(np.arange(count) % len(CATEGORIES))
        parts.append(centres[member] + rng.standard_normal((count, n_features)))
        members.append(member)
        owner = "shared" if name == "test" else f"subject{subject}"
        identity += [f"{owner}-{name}-{number:05d}" for number in range(count)]
        split += [name] * count
    white = np.concatenate(parts)
    logit = white @ centres.T
    posterior = np.exp(logit - logit.max(axis=1, keepdims=True))
    # Total variance is 1 + the centres' variance; known beforehand, so that a stimulus does not depend on the others.
    latent = white / np.sqrt(1 + (centres**2).mean(axis=0)) * np.sqrt(_spectrum(n_features))
    return Stimuli(
        identity=np.array(identity),
        split=np.array(split),
        category=np.array(CATEGORIES)[np.concatenate(members)],
        layers={name: _layer(latent, name, seed) for name in LAYERS},
        posterior=posterior / posterior.sum(axis=1, keepdims=True),
    )


def hidden_units(stimuli: Stimuli, seed: int, gate: str = "", layer: str = TRUE_LAYER) -> np.ndarray:
    """Responses of the library of hidden units, without their best linear fit.

    Each unit is an activation of a random direction of the layer's features. Its least-squares fit on these
    features and an intercept, over all stimuli, is removed.

    Parameters
    ----------
    stimuli : Stimuli
    seed : int
    gate : str
        Category whose gate multiplies every unit before the fit is removed; empty for none.
    layer : str
        The true layer of the vertices that combine these units.

    Returns
    -------
    numpy.ndarray, ``(N_UNITS, n_stimuli)``
        Unit variance, uncorrelated with every feature of the layer.
    """
    features = stimuli.layers[layer].astype(float)
    rng = stream("units", seed)
    drive = zscore(features @ rng.standard_normal((features.shape[1], N_UNITS)))
    shift = rng.uniform(-0.75, 0.75, N_UNITS)
    activations = (np.abs, np.square, _relu, _bump, _tanh, _softplus)
    units = np.stack([activations[k % len(activations)](drive[:, k] - shift[k]) for k in range(N_UNITS)], axis=1)
    if gate:
        units *= (UNGATED_SHARE + (1 - UNGATED_SHARE) * stimuli.gate(gate))[:, None]
    # The second pass removes what rounding left after the first.
    for _ in range(2):
        units = remove_linear(features, units)
    return (units / units.std(axis=0)).T


def _centres(rng: np.random.Generator, n_features: int) -> np.ndarray:
    """Corners of a regular simplex in the first dimensions, randomly turned, ``(8, n_features)``, mean zero."""
    n = len(CATEGORIES)
    corners = np.eye(n) - 1 / n
    out = np.zeros((n, n_features))
    out[:, :n] = corners @ random_rotation(rng, n) * SEPARATION / np.sqrt(2)
    return out


def _spectrum(n_features: int) -> np.ndarray:
    spectrum = np.arange(1, n_features + 1) ** -SPECTRUM_EXPONENT
    return spectrum * n_features / spectrum.sum()


def _layer(latent: np.ndarray, name: str, seed: int) -> np.ndarray:
    """Features of a layer, ``(n_stimuli, n_features)``: the latent space turned, cut and warped.

    The first latent dimensions are kept and turned; the warped part is a sine of other random directions.
    """
    n_features = latent.shape[1]
    warp, share_kept = LAYERS[name]
    rng = stream("layers", seed, list(LAYERS).index(name))
    kept = np.where(np.arange(n_features) < round(share_kept * n_features), latent, 0)
    turned = kept @ random_rotation(rng, n_features)
    phase = rng.uniform(0, 2 * np.pi, n_features)
    warped = np.sqrt(2) * np.sin(2 * latent @ random_rotation(rng, n_features) + phase)
    return (np.sqrt(1 - warp) * turned + np.sqrt(warp) * warped).astype(np.float32)


def _relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def _bump(x: np.ndarray) -> np.ndarray:
    return np.exp(-(x**2))


def _tanh(x: np.ndarray) -> np.ndarray:
    return np.tanh(1.5 * x)


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, 2 * x)
