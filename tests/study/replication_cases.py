"""Results in which every claim of the paper holds, but for what is changed; and small synthetic subjects."""

import numpy as np
import xarray as xr

from jne import EncodingDataset, load_dataset
from jne.cortex import area_levels
from jne.study.claims import Evidence

AREAS = ("V1", "V2", "V3", "hV4", "EBA", "PPA", "RSC", "OPA", "FFA-1", "FFA-2")
RISING = dict(zip(AREAS, (1.0, 1.3, 1.4, 1.5, 2.4, 1.9, 2.0, 1.8, 2.1, 2.2), strict=True))
CATEGORIES = ("faces", "food", "outdoor scenes", "vehicles")
PREFERRED = {"EBA": "faces", "FFA-1": "faces", "FFA-2": "faces", "PPA": "outdoor scenes", "RSC": "outdoor scenes"}
N_VOXELS, N_SAMPLES = 12, 80
ENCODER = {"hidden_size": 32, "lr": 0.01, "batch_size": 128, "max_epochs": 40}


def made_up(jne=RISING, validated=RISING, explained=0.5, preferred=PREFERRED, confirmed=PREFERRED, noise=0.1, seed=0):
    """A result as of `jne.run_study`: means of areas, one number for all or by area; the categories that they prefer;
    what keeps the two R² of V1 apart."""
    rng = np.random.default_rng(seed)
    roi = np.repeat(AREAS, N_VOXELS)
    n = len(roi)
    spread = np.tile(np.linspace(-0.1, 0.1, N_VOXELS), len(AREAS))
    of = lambda values: np.array([values[area] for area in roi]) if isinstance(values, dict) else np.full(n, values)  # noqa: E731
    ceiling = rng.permutation(np.linspace(0.3, 0.7, n))
    r2 = of(explained) * ceiling
    category = np.tile(CATEGORIES, N_SAMPLES // len(CATEGORIES))
    prefers = lambda table: np.array([[1.0 + 3 * (table.get(a) == c) for a in roi] for c in category])  # noqa: E731
    errors = rng.normal(scale=0.2, size=(2, N_SAMPLES, n))
    products = prefers(confirmed) + errors[0]
    share = of(validated) / 5
    linear = np.where(roi == "V1", rng.permutation(n) / n * noise, 0) + 0.9 * r2
    voxel = {"roi": roi.astype(object), "level": area_levels(roi).astype(object), "r2": r2, "r2_linear": linear,
             "significant": np.ones(n, bool), "noise_ceiling": ceiling, "explained": r2 / ceiling,
             "jne": of(jne) + spread, "validated_share": share, "validated_nonlinear": share * r2,
             "validated_predicted": r2}  # fmt: skip
    groups = roi[:, None] == np.array(AREAS)
    content = {name: ("voxel", values) for name, values in voxel.items()}
    content |= {"jne_ss": (("sample", "voxel"), prefers(preferred) + errors[1]),
                "category": ("sample", category.astype(object)),
                "validated_area_products": (("sample", "area"), products @ groups),
                "validated_area_share": ("area", (products @ groups).mean(axis=0) / N_VOXELS),
                "validated_area_predicted": ("area", np.full(len(AREAS), float(N_VOXELS)))}  # fmt: skip
    return xr.Dataset(content, {"area": np.array(AREAS, object)}, {"layer": "deep"})


def variants(seed=0, z=0.99, scaled=0.99):
    """Maps of the variants of JNE: correlated with it as given."""
    rng = np.random.default_rng(seed)
    jne, noise = rng.normal(size=(2, 400))
    mixed = lambda r: r * jne + np.sqrt(1 - r**2) * noise  # noqa: E731
    rs = {"jne_l2": 0.99, "jne_z_l1": z, "jne_z_l2": z, "jne_scaled_l1": scaled, "jne_scaled_l2": scaled}
    maps = {"jne": jne} | {name: mixed(r) for name, r in rs.items()}
    return xr.Dataset({name: ("voxel", values) for name, values in maps.items()})


def evidence(n=2, *, seed=None, best=None, scores=None, **changes):
    """Of ``n`` subjects; ``seed`` and ``best`` are changes of the other studies, or why there is none."""

    def of(more, first):
        if isinstance(more, str):
            return more
        return {f"subject {k}": made_up(**changes | (more or {}), seed=first + k) for k in range(n)}

    return Evidence(of({}, 0), of(seed, 10), of(best, 20), {"subject 0": variants(**scores or {})}, "deep", "0", "1")


def synthetic(subject=1, **options):
    """One of the synthetic subjects without a gate: its true layer alone and no places, which is little to fit."""
    sizes = {"thin": 64, "n_train": 1000, "n_validation": 80, "n_test": 120, "n_features": 16, "cache": False}
    data = load_dataset("synthetic", subject=subject, gate=False, **sizes | options)
    return EncodingDataset(
        data.content.drop_vars(["vertex", *(name for name in data.layers if name != data.default_layer)])
    )


def permuted(data, seed=0):
    """A dataset whose responses are those of other stimuli."""
    order = np.random.default_rng(seed).permutation(data.n_stimuli)
    responses = data.content["responses"].values[order]
    content = data.content.drop_vars("responses_repeats", errors="ignore")
    return EncodingDataset(content.assign(responses=(("stimulus", "voxel"), responses)))
