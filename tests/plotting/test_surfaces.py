"""Inflated surfaces: the right vertices are seen from the right side, and the page to turn needs no network."""

import base64
import json
import re
import shutil
import subprocess
import zlib

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
import xarray as xr
from PIL import Image
from scipy.ndimage import binary_fill_holes

from jne.cortex import drawn_mesh, load_cortex, pixel_vertices
from jne.plotting.surface_page import show_surface, surface_page
from jne.plotting.surfaces import figure_surfaces, has_surface, on_surface, plot_surface

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def result():
    cortex = load_cortex()
    chosen = np.arange(0, len(cortex), 12)
    content = {
        name: ("voxel", getattr(cortex, name)[chosen].astype(kind))
        for name, kind in (("roi", object), ("hemisphere", object), ("level", object), ("vertex", int))
    }
    content["jne"] = "voxel", (cortex.roi[chosen] == "V1").astype(float)
    content["significant"] = "voxel", cortex.roi[chosen] != "V2"
    return xr.Dataset(content, attrs={"synthetic": 1, "data": "test", "layer": "deep", "seed": 0})


@pytest.mark.parametrize(
    ("side", "view", "axis", "sign"),
    [
        ("left", "lateral", 0, -1),
        ("left", "medial", 0, 1),
        ("right", "lateral", 0, 1),
        ("right", "medial", 0, -1),
        ("left", "ventral", 2, -1),
        ("right", "posterior", 1, -1),
    ],
)
@pytest.mark.parametrize("mesh", ["fsLR-32k", "fsaverage5"])
def test_a_view_shows_its_side(mesh, side, view, axis, sign):
    vertex, facing = pixel_vertices(mesh, side, view)
    seen = vertex >= 0
    coordinates = drawn_mesh(mesh, side).coordinates
    hidden = np.setdiff1d(np.arange(len(coordinates)), vertex[seen])
    near, far = coordinates[np.unique(vertex[seen]), axis].mean(), coordinates[hidden, axis].mean()
    assert sign * (near - far) > 5
    assert (facing[seen] > 0).all() and facing.max() <= 1.0001
    assert (binary_fill_holes(seen) == seen).mean() > 0.999


def test_anterior_is_left_in_the_lateral_view_of_the_left_hemisphere():
    vertex, _ = pixel_vertices("fsLR-32k", "left", "lateral")
    rows, columns = np.nonzero(vertex >= 0)
    coordinates = drawn_mesh("fsLR-32k", "left").coordinates[vertex[rows, columns]]
    assert np.corrcoef(columns, coordinates[:, 1])[0, 1] < -0.99
    assert np.corrcoef(rows, coordinates[:, 2])[0, 1] < -0.99


def test_thinned_vertices_fill_their_areas_and_only_them(result):
    place = (result["vertex"].values, result["hemisphere"].values)
    values, significant = on_surface(result["jne"].values, result["significant"].values, *place, side="right")
    areas = drawn_mesh("fsLR-32k", "right").areas
    assert set(values[areas == "V1"]) == {1.0} and set(values[areas == "MT"]) == {0.0}
    assert np.isnan(values[~np.isin(areas, result["roi"].values.astype(str))]).all()
    assert not significant[areas == "V2"].any() and significant[areas == "V1"].all()


def test_finer_icosahedra_are_drawn_on_their_first_vertices():
    vertex = np.array([3, 10241, 10242, 163841])
    values, significant = on_surface(
        [1.0, 2.0, 3.0, 4.0], np.ones(4, bool), vertex, ["left"] * 4, mesh="fsaverage", side="left"
    )
    assert len(values) == 10242 and np.isfinite(values).sum() == 2
    assert (values[3], values[10241]) == (1, 2) and significant[[3, 10241]].all()
    with pytest.raises(ValueError, match="fsaverage5 has the indices 0 to 10241"):
        on_surface([1.0], [True], [10242], ["left"], mesh="fsaverage5")
    with pytest.raises(ValueError, match="mesh='civet' has no surface here"):
        drawn_mesh("civet", "left")
    # The first vertices of fsaverage are those of fsaverage5: twelve of the icosahedron, far apart.
    corners = drawn_mesh("fsaverage", "left").coordinates[:12]
    assert np.linalg.norm(corners[:, None] - corners, axis=2)[np.triu_indices(12, 1)].min() > 20


def test_what_is_not_significant_is_grey(result):
    place = (result["vertex"].values, result["hemisphere"].values)
    arrays = on_surface(result["jne"].values, result["significant"].values, *place)
    ax = plot_surface(*arrays, view="medial")
    image = np.asarray(ax.images[0].get_array())
    vertex, facing = pixel_vertices("fsLR-32k", "left", "medial")
    areas = drawn_mesh("fsLR-32k", "left").areas[vertex]
    inside = (areas == "V2") & (image[..., :3].min(axis=2) > 0.3)  # without the borders
    saturation = np.ptp(image[..., :3], axis=2)
    assert inside.sum() > 100 and saturation[inside].max() < 1e-6
    assert np.median(saturation[areas == "V1"]) > 0.3
    assert (image[vertex < 0, 3] == 0).all() and facing.shape == vertex.shape


def test_the_figure_has_a_row_per_measure_and_says_what_it_is(result):
    figure = figure_surfaces(result, ("jne", "absent"))
    images = [ax for ax in figure.axes if ax.images]
    assert len(images) == 4 and [ax.get_title() for ax in images] == ["lateral", "medial", "ventral", "posterior"]
    assert figure.get_suptitle().startswith("Synthetic responses")
    assert re.search(r"not significant; \d+ of 4,\d+ vertices were fitted", figure.get_supxlabel())


@pytest.fixture(scope="module")
def page(result):
    return surface_page(result.assign(r2=2 * result["jne"] - 1), ("jne", "absent", "r2"))


def test_the_page_to_turn_holds_the_mesh_the_values_and_the_areas(page):
    facts = json.loads(re.search(r"facts = (\{.*\}), packed", page)[1])
    content = zlib.decompress(base64.b64decode(re.search(r'packed = "([^"]*)"', page)[1]))
    words = iter(np.frombuffer(content, "<u2"))
    assert [measure["name"] for measure in facts["measures"]] == ["JNE", "R²"]
    assert (facts["measures"][1]["min"], facts["measures"][1]["max"]) == (-1, 1)
    for part in facts["parts"]:
        drawn = drawn_mesh("fsLR-32k", part["side"])
        n, m = part["vertices"], part["triangles"]
        places = np.fromiter(words, "<u2", 3 * n).view("<i2").reshape(n, 3) / facts["scale"]
        np.testing.assert_allclose(places - places.mean(0), drawn.coordinates - drawn.coordinates.mean(0), atol=0.011)
        steps = np.fromiter(words, "<u2", 3 * m).reshape(m, 3)
        np.testing.assert_array_equal(np.cumsum(steps, axis=0, dtype="<u2"), drawn.triangles)
        for high in (65533, 65533):  # JNE 1 and R² 1 in V1, each the largest of its measure
            codes = np.fromiter(words, "<u2", n)
            assert set(codes[drawn.areas == "V1"]) == {high} and set(codes[drawn.areas == "MT"]) == {0}
            assert set(codes[drawn.areas == "V2"]) == {65534} and set(codes[drawn.areas == ""]) == {65535}
        assert [facts["areas"][k] for k in np.fromiter(words, "<u2", n)] == list(drawn.areas)
        assert np.isin(np.fromiter(words, "<u2", n), [188, 234]).all()
    assert next(words, None) is None
    with pytest.raises(ValueError, match="none of them, only "):
        surface_page(xr.Dataset({"r2": ("voxel", [0.1])}), ("jne",))


def test_a_name_from_data_ends_no_script():
    vertex = np.arange(4)
    content = {"vertex": ("voxel", vertex, {"mesh": "fsaverage5"}), "hemisphere": ("voxel", ["left"] * 4)}
    content |= {"jne": ("voxel", [0.1, 0.2, 0.3, 0.4]), "roi": ("voxel", ["</script><b>@DATA@", "V1", "V1", "V1"])}
    page = surface_page(xr.Dataset(content), "jne")
    assert page.count("</script>") == 1 and "\\u003c/script>\\u003cb>@DATA@" not in page.partition("packed")[2]
    assert json.loads(re.search(r"facts = (\{.*\}), packed", page)[1])["areas"] == ["", "</script><b>@DATA@", "V1"]


def test_the_page_to_turn_fetches_nothing(page):
    assert "Synthetic responses" in page
    assert not re.findall(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="?https?://', page)


def test_the_page_is_a_file_of_its_own_in_a_lazy_frame(result, page, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr("jne.plotting.surface_page.display", shown.append)
    monkeypatch.setattr("jne.plotting.surface_page.surface_page", lambda result, measures: page)
    monkeypatch.setenv("JNE_PAGE_FOLDER", str(tmp_path))
    show_surface(result, "jne")
    (file,) = (tmp_path / "_static/views").iterdir()
    frame = shown[0]._repr_html_()
    assert f"../_static/views/{file.name}" in frame and 'loading="lazy"' in frame and 'title="Inflated cortex' in frame
    assert len(frame) < 1000 and 1e5 < file.stat().st_size < 3e6


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
def test_a_browser_draws_it_in_its_frame(page, tmp_path):
    (tmp_path / "page.html").write_text(page)
    (tmp_path / "frame.html").write_text('<iframe src="page.html" width="760" height="460" loading="lazy"></iframe>')
    options = "--headless --no-sandbox --use-gl=angle --use-angle=swiftshader --enable-unsafe-swiftshader".split()
    options += ["--disable-background-networking", "--no-first-run", "--disable-sync", "--window-size=800,520"]
    options += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=20000"]
    picture = tmp_path / "picture.png"
    command = [CHROMIUM, *options, f"--screenshot={picture}", (tmp_path / "frame.html").as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    pixels = np.asarray(Image.open(picture).convert("RGB"), float)
    brain = pixels[:, :560]  # left of the colour bar
    yellow, violet = (brain[..., 0] > 1.5 * brain[..., 2] + 40).sum(), (brain[..., 2] > 1.5 * brain[..., 1] + 20).sum()
    assert yellow > 500 and violet > 500


def test_fsaverage_is_drawn_and_the_figure_says_how():
    rng = np.random.default_rng(0)
    vertex = rng.choice(163842, 4000, replace=False)
    content = {"vertex": ("voxel", vertex, {"mesh": "fsaverage"}), "jne": ("voxel", rng.random(4000))}
    content["hemisphere"] = "voxel", np.array(["left", "right"] * 2000, object)
    result = xr.Dataset(content)
    assert has_surface(result) and not has_surface(result.drop_vars("hemisphere"))
    figure = figure_surfaces(result, ("jne",))
    assert figure.get_supxlabel() == "fsaverage drawn on fsaverage5: every vertex that both have"
    result["vertex"].attrs["mesh"] = "civet"
    assert not has_surface(result)
