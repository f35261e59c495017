"""Figures of clusters draw what they are given, with and without pictures, categories, areas and places."""

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
import xarray as xr

from jne import plotting
from jne.cortex import load_cortex
from jne.statistics import cluster_areas, min_max, shuffled_areas

N = 24


@pytest.fixture
def clusters():
    rng = np.random.default_rng(0)
    label = np.stack([np.arange(N) % 2, np.arange(N) % 3])
    return xr.Dataset(
        {
            "place": (("seed", "stimulus", "axis"), rng.normal(size=(2, N + 4, 2))),
            "position": (("seed", "stimulus"), [np.arange(N + 4.0)[::-1]] * 2),
            "tested": ("stimulus", np.arange(N + 4) < N),
            "silhouette": (("seed", "k"), [[0.2, 0.5], [0.4, 0.1]]),
            "label": (("seed", "k", "sample"), np.stack([label, label])),
            "by_silhouette": ("seed", [3, 2]),
            "chosen": ("seed", [3, 3]),
            "sample_of": (("subject", "stimulus_of_subject"), [np.arange(N)]),
        },
        {"seed": [0, 1], "k": [2, 3], "start": ("seed", ["pca", "random"]), "subject": ["subject 1"]},
    )


@pytest.fixture
def result():
    cortex = load_cortex()
    chosen = np.arange(0, len(cortex), 60)
    rng = np.random.default_rng(0)
    content = {name: ("voxel", getattr(cortex, name)[chosen].astype(object)) for name in ("roi", "hemisphere")}
    content["vertex"] = "voxel", cortex.vertex[chosen]
    content["significant"] = "voxel", np.arange(len(chosen)) % 4 > 0
    content["jne_ss"] = ("sample", "voxel"), rng.random((N, len(chosen)))
    content["category"] = "sample", np.array([str(1 + i % 3) for i in range(N)], object)
    return xr.Dataset(content, attrs={"synthetic": 1})


def test_clusters_categories_and_silhouettes(clusters, result):
    figure = plotting.figure_stimulus_clusters(clusters, result)
    sorted_, categories, silhouette = figure.axes
    assert sorted_.get_title() == "3 clusters" and [t.get_text() for t in sorted_.texts] == ["1", "2", "3"]
    assert len(categories.collections) == 1 + 3 and not categories.texts  # one of those that are not tested
    marked = [line.get_xdata()[0] for line in silhouette.lines if line.get_marker() not in ("None", "")]
    assert marked == [3, 2]
    assert len(plotting.figure_stimulus_clusters(clusters, result.drop_vars("category")).axes) == 2


def test_the_order_is_that_of_the_axis_with_pictures_or_without(clusters, result):
    pictures = np.arange(N, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    figure = plotting.figure_montage(clusters, result.assign(thumbnail=(("sample", "y", "x", "rgb"), pictures)))
    shown = [ax.images[0].get_array()[0, 0, 0] for ax in figure.axes]
    assert shown == list(range(N))[::-1]
    assert [ax.get_title() for ax in figure.axes[:3]] == ["3", "2", "1"]  # of stimuli 23, 22, 21
    by_cluster, by_category = plotting.figure_montage(clusters, result).axes
    rows = by_cluster.collections[0].get_offsets()[:, 1]
    np.testing.assert_array_equal(rows, (np.arange(N)[::-1]) % 3)
    (alone,) = plotting.figure_montage(clusters, result.drop_vars("category")).axes
    assert alone.get_ylabel() == by_cluster.get_ylabel() == "cluster" and by_category.get_ylabel() == "category"


def test_tables_scaled_and_not_for_every_subject(result):
    table = cluster_areas(result, paper=True)
    figure = plotting.figure_cluster_areas({"one": table, "two": 2 * table}, result)
    drawn = [ax.collections[0].get_array() for ax in figure.axes if ax.get_label() != "<colorbar>"]
    for found, expected in zip(drawn, [min_max(table), table, min_max(table), 2 * table], strict=True):
        np.testing.assert_allclose(found, expected)
    assert figure.get_suptitle().startswith("Synthetic")


def test_maps_are_on_one_scale_or_become_areas(result):
    figure = plotting.figure_cluster_maps(result, ["1", "3"])
    bars = [ax for ax in figure.axes if ax.get_label() == "<colorbar>"]
    assert [bar.get_ylabel() for bar in bars] == ["cluster 1", "cluster 3"] and bars[0].get_ylim() == bars[1].get_ylim()
    ax = plotting.figure_cluster_maps(result.drop_vars("vertex"), ["1", "3"]).axes[0]
    assert ax.collections[0].get_array().shape == cluster_areas(result)[["1", "3"]].shape


def test_what_is_counted_is_drawn(result):
    table, shuffled = cluster_areas(result), shuffled_areas(result, 3)
    figure = plotting.figure_scaled_null({"data": table, "gate off": table}, shuffled, result)
    n_high = next(ax for ax in figure.axes if ax.get_xlabel() == "cells at 0.8 or more")
    points = n_high.collections[0].get_offsets()[:, 0]
    np.testing.assert_array_equal(points, [(min_max(one) >= 0.8).to_numpy().sum() for one in shuffled])
    assert [label.get_text() for label in n_high.get_yticklabels()] == ["data", "gate off", "shuffled"]
