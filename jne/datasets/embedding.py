"""t-SNE of features, in one thread and from a start that is given; K-means of the places, and its silhouette."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from threadpoolctl import threadpool_limits

PERPLEXITY = 30
"""Of t-SNE, scikit-learn's default; a third of the stimuli where they are fewer than 90."""
START_SCALE = 1e-4
"""Standard deviation of the first axis at the start of t-SNE, as in scikit-learn."""
N_STARTS = 5
"""Of K-means, of which the best is kept."""


def embed(X: np.ndarray, n_dimensions: int, *, start: str = "pca", random_state: int = 0) -> np.ndarray:
    """Places of stimuli by t-SNE ``(n_stimuli, n_dimensions)``, from principal components or from random places.

    Parameters
    ----------
    X : array ``(n_stimuli, n_features)``
    n_dimensions : {1, 2}
    start : {"pca", "random"}
    random_state : int
        Seeds the random places.
    """
    from sklearn.manifold import TSNE  # here, so that who opens a dataset does not wait for it

    if start == "pca":
        U, S, _ = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
        places = U[:, :n_dimensions] * S[:n_dimensions]
        # Which end of a component comes first is the library's whim.
        places *= np.sign(places[np.abs(places).argmax(axis=0), np.arange(n_dimensions)])
        places *= START_SCALE / places[:, 0].std()
    elif start == "random":
        places = START_SCALE * np.random.default_rng(random_state).standard_normal((len(X), n_dimensions))
    else:
        raise ValueError(f"start={start!r}; use 'pca' or 'random'")
    perplexity = min(PERPLEXITY, (len(X) - 1) / 3)
    # Sums over threads would differ by their number, and t-SNE amplifies every difference.
    with threadpool_limits(1):
        tsne = TSNE(n_dimensions, perplexity=perplexity, init=places.astype(np.float32), random_state=random_state)
        return tsne.fit_transform(X.astype(np.float32))


def sort_places(places: np.ndarray, numbers: Sequence[int], *, random_state: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """K-means of places for several numbers of clusters, and how well each sorts them.

    Parameters
    ----------
    places : array ``(n_stimuli, n_dimensions)``
    numbers : sequence of int
    random_state : int

    Returns
    -------
    labels : array of int ``(len(numbers), n_stimuli)``
    silhouette : array ``(len(numbers),)``
        Mean over stimuli, -1 to 1.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    labels, scores = [], []
    with threadpool_limits(1):
        for k in numbers:
            labels.append(KMeans(k, n_init=N_STARTS, random_state=random_state).fit_predict(places))
            scores.append(silhouette_score(places, labels[-1]))
    return np.array(labels), np.array(scores)
