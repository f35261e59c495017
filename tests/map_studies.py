"""Small studies of maps in the formats of real ones, made in code, and what a dataset of them must hold.

The expected values are computed with pandas and SciPy, not with the package.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.stats

SHAPE = (5, 6, 4)
AFFINE = np.array([[-2.0, 0, 0, 90], [0, 2, 0, -126], [0, 0, 2, -72], [0, 0, 0, 1]])


@dataclass
class Study:
    """Trials of two sessions of two runs each.

    Attributes
    ----------
    folder : Path
        Has ``features.npz`` with two layers, and two pictures more than were shown.
    table : pandas.DataFrame
        ``name`` (of a file), ``id``, ``session``, ``run`` of each map, in order.
    features : pandas.DataFrame
        By id.
    """

    folder: Path
    table: pd.DataFrame
    features: pd.DataFrame

    def maps(self, n_points, seed=1):
        """Responses with drifts between runs, ``(n_maps, n_points)``, float32."""
        rng = np.random.default_rng(seed)
        shown = self.features.loc[self.table["id"]].to_numpy()
        drift = 3 * rng.normal(size=(2, 11, n_points))[self.table["session"] - 1, self.table["run"] - 1]
        noise = rng.normal(size=(len(shown), n_points))
        return (shown @ rng.normal(size=(shown.shape[1], n_points)) + drift + noise).astype("f4")

    def expected(self, maps, zscore=None, kept=None):
        """Responses and repeats by id, the test set, and the noise ceiling of its voxels."""
        table = self.table if kept is None else self.table[kept]
        frame = pd.DataFrame(np.asarray(maps, float), index=self.table.index).loc[table.index]
        if zscore:
            by = ["session", "run"] if zscore == "run" else ["session"]
            groups = table.groupby(by, sort=False).ngroup()
            frame = frame.groupby(groups, group_keys=False).apply(
                lambda part: pd.DataFrame(scipy.stats.zscore(part.to_numpy(), axis=0), index=part.index)
            )
            frame = frame.loc[table.index]
        counts = table["id"].value_counts()
        test = [identity for identity in table["id"].unique() if counts[identity] > 1]
        repeats = {identity: frame[(table["id"] == identity)].to_numpy() for identity in test}
        noise = np.mean([r.var(axis=0, ddof=1) for r in repeats.values()], axis=0)
        signal = np.maximum(np.concatenate(list(repeats.values())).var(axis=0, ddof=1) - noise, 0)
        ceiling = signal / (signal + noise * np.mean([1 / len(r) for r in repeats.values()]))
        return frame.groupby(table["id"], sort=False).mean(), repeats, ceiling

    def check(self, data, maps, zscore=None, kept=None):
        """Responses, split, repeats and ceiling of a dataset are those expected, to 1e-5; features are those given."""
        means, repeats, ceiling = self.expected(maps, zscore, kept)
        ids = list(data.get("stimulus_id"))
        assert ids == list(means.index)
        np.testing.assert_allclose(data.responses(), means.to_numpy(), rtol=1e-5, atol=1e-5)
        split = dict(zip(ids, data.get("split"), strict=True))
        assert {identity for identity, part in split.items() if part == "test"} == set(repeats)
        assert round(0.1 * (len(ids) - len(repeats))) == list(split.values()).count("validation")
        for found, identity in zip(data.repeats(), [i for i in ids if split[i] == "test"], strict=True):
            wanted = repeats[identity]
            np.testing.assert_allclose(found[: len(wanted)], wanted, rtol=1e-5, atol=1e-5)
            assert np.isnan(found[len(wanted) :]).all()
        np.testing.assert_allclose(data.get("noise_ceiling"), ceiling, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(data.features(layer="early"), self.features.loc[ids].to_numpy("f4"))
        assert set(data.get("further_stimulus_id")) == {"unseen_1", "unseen_2"}

    def write_table(self, columns=("id", "split"), name="trials.csv"):
        counts = self.table["id"].map(self.table["id"].value_counts())
        table = self.table.assign(split=np.where(counts > 1, "test", "train"))
        table[list(columns)].to_csv(self.folder / name, index=False)
        return self.folder / name


def make_study(folder, sizes=((11, 9), (10, 10)), seed=0):
    """Twenty-four pictures shown once, three four times and one of them three times, as BOLD5000 has them."""
    rng = np.random.default_rng(seed)
    names = [f"COCO_train2014_{i:012d}.jpg" for i in range(9)] + [f"n0144{i}_10026.JPEG" for i in range(8)]
    names += [f"airport{i}.jpg" for i in range(8)]
    shown = names + [names[i] for i in (0, 0, 0, 9, 9, 9, 17, 17, 17, 18, 18, 5, 5, 5, 6)]
    ids = [name.rsplit(".", 1)[0] for name in names]
    order = rng.permutation(len(shown))
    place = [(s + 1, r + 1) for s, runs in enumerate(sizes) for r, n in enumerate(runs) for _ in range(n)]
    table = pd.DataFrame({"name": [shown[i] for i in order]})
    table["id"] = [name.rsplit(".", 1)[0] for name in table["name"]]
    table["session"], table["run"] = zip(*place, strict=True)
    features = pd.DataFrame(rng.normal(size=(len(ids), 5)).astype("f4"), index=ids)
    more = rng.normal(size=(2, 5)).astype("f4")
    values = np.concatenate([more, features.to_numpy()[::-1]])
    stimulus_id = np.array(["unseen_1", "unseen_2", *ids[::-1]])
    np.savez(folder / "features.npz", stimulus_id=stimulus_id, early=values, late=values[:, :3])
    return Study(folder, table, features)
