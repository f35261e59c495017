"""Categories of the images, from a table of the user's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jne._core import RefusedError, read_table
from jne.prepare.nsd.trials import N_IMAGES

NO_CATEGORY = "no category"


def read_categories(path: Path, images: np.ndarray) -> np.ndarray:
    """Category of each image ``(n_images,)`` from a CSV with the columns ``nsdId`` (from 0) and ``category``."""
    try:
        table = read_table(
            path, "categories", usecols=["nsdId", "category"], dtype={"category": str}, keep_default_na=False
        )
        table["nsdId"] = table["nsdId"].astype(int)
    except RefusedError:
        raise
    except (OSError, ValueError) as error:
        raise ValueError(
            f"categories: {path} cannot be read: {error}. Needed: a CSV with the columns nsdId (from 0) and category"
        ) from error
    if (twice := table["nsdId"].duplicated()).any():
        raise ValueError(
            f"categories: {path} has {int(twice.sum())} images more than once (first: nsdId "
            f"{table['nsdId'][twice].iloc[0]})"
        )
    found = table.set_index("nsdId")["category"].reindex(images).replace("", None)
    if found.isna().all():
        raise ValueError(f"categories: {path} has none of the {len(images)} images; its nsdId must count from 0")
    if (outside := ~table["nsdId"].between(0, N_IMAGES - 1)).any():
        raise ValueError(
            f"categories: {path} has nsdId {table['nsdId'][outside].iloc[0]}; needed: 0 to {N_IMAGES - 1} (73KID "
            "counts from 1: subtract 1)"
        )
    return found.fillna(NO_CATEGORY).to_numpy(object)
