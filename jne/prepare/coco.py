"""Categories of NSD's images from the COCO annotations of the pictures that they were cut from."""

from __future__ import annotations

import ast
import json
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import pandas as pd

from jne._core import RefusedError, listed, plain_file, read_table, read_text, write_text

OTHER = "other"
_COLUMNS = ("cocoId", "cocoSplit", "cropBox", "nsdId")


def image_categories(
    stimulus_table: str | Path,
    annotations: Sequence[str | Path],
    out: str | Path,
    *,
    level: str = "supercategory",
    minimum_share: float = 0.1,
) -> pd.DataFrame:
    """Name for each image of NSD what takes most of it, and write a CSV with the columns nsdId and category.

    The area of each annotated object is scaled by the share of its bounding box that lies inside NSD's square crop; the
    areas of a category are summed; the largest wins.

    Parameters
    ----------
    stimulus_table : path
        NSD's nsd_stim_info_merged.csv.
    annotations : paths
        COCO's instances_train2017.json and instances_val2017.json. Images of other splits get no category.
    out : path
        The CSV to write; ``nsdId`` counts from 0.
    level : {"supercategory", "name"}
        Twelve supercategories (person, animal, food, ...) or eighty objects (person, dog, pizza, ...).
    minimum_share : float
        Images of which the largest category takes less than this share are "other".

    Returns
    -------
    pandas.DataFrame
        ``nsdId``, ``category`` and ``share`` of the crop.

    Raises
    ------
    ValueError
        If a file is not what it should be, an image is not in the annotations, or an argument is not accepted.
    """
    if level not in ("supercategory", "name"):
        raise ValueError(f"level={level!r}; accepted: supercategory, name")
    if not 0 <= minimum_share <= 1:
        raise ValueError(f"minimum_share={minimum_share}; needed: 0 to 1")
    stimuli = _read_stimuli(Path(stimulus_table))
    sizes, objects = {}, defaultdict(list)
    splits = set()
    for path in map(Path, annotations):
        split, more_sizes, more_objects = _read_annotations(path, level)
        splits.add(split)
        sizes |= more_sizes
        for image, found in more_objects.items():
            objects[image] += found
    stimuli = stimuli[stimuli["cocoSplit"].isin(splits)]
    if stimuli.empty:
        raise ValueError(f"annotations: {stimulus_table} has no image of {', '.join(sorted(splits))}")
    if missing := [str(image) for image in stimuli["cocoId"] if image not in sizes]:
        raise ValueError(f"annotations: {len(missing)} of {len(stimuli)} COCO images are missing ({listed(missing)})")
    rows = []
    for stimulus in stimuli.itertuples():
        category, share = _largest(objects[stimulus.cocoId], *sizes[stimulus.cocoId], stimulus.cropBox)
        rows.append((stimulus.nsdId, category if share >= minimum_share else OTHER, share))
    table = pd.DataFrame(rows, columns=["nsdId", "category", "share"])
    write_text(table.round(4).to_csv(index=False), out)
    return table


def _largest(objects: Sequence[tuple], width: float, height: float, crop: tuple) -> tuple[str, float]:
    """The category with the largest area inside the crop, and its share of the crop."""
    top, bottom, left, right = crop
    x0, x1, y0, y1 = left * width, (1 - right) * width, top * height, (1 - bottom) * height
    areas: dict[str, float] = defaultdict(float)
    for category, area, (x, y, w, h) in objects:
        inside = max(0.0, min(x + w, x1) - max(x, x0)) * max(0.0, min(y + h, y1) - max(y, y0))
        areas[category] += area * inside / (w * h) if w * h else 0.0
    if not areas:
        return OTHER, 0.0
    # The name breaks a tie, so that the order of the annotations does not matter.
    category = max(sorted(areas), key=areas.get)
    return category, areas[category] / ((x1 - x0) * (y1 - y0))


def _read_stimuli(path: Path) -> pd.DataFrame:
    if not plain_file(path, "stimulus table").is_file():
        raise ValueError(f"stimulus table: there is no file {path}")
    try:
        table = read_table(path, "stimulus table", usecols=list(_COLUMNS))
        table["cropBox"] = [_crop_box(text) for text in table["cropBox"]]
    except RefusedError:
        raise
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, OverflowError) as error:
        raise ValueError(
            f"stimulus table: {path} cannot be read ({error}); needed: NSD's nsd_stim_info_merged.csv with the columns "
            f"{', '.join(_COLUMNS)}"
        ) from error
    return table


@lru_cache(4096)  # most images of NSD are cut in one of a few ways
def _crop_box(text: str) -> tuple[float, float, float, float]:
    """Shares of the picture cut off at the top, bottom, left and right."""
    box = tuple(float(value) for value in ast.literal_eval(text))
    if len(box) != 4 or min(box) < 0 or box[0] + box[1] >= 1 or box[2] + box[3] >= 1:
        raise ValueError(f"cropBox {text!r} is not four shares (top, bottom, left, right)")
    return box


def _read_annotations(path: Path, level: str) -> tuple[str, dict[int, tuple], dict[int, list[tuple]]]:
    """COCO split, size (width, height) of each image, and objects (category, area, box) of each image."""
    if not plain_file(path, "annotations").is_file():
        raise ValueError(f"annotations: there is no file {path}")
    try:
        content = json.loads(read_text(path, "annotations"))
        names = {category["id"]: category[level] for category in content["categories"]}
        sizes = {image["id"]: (image["width"], image["height"]) for image in content["images"]}
        objects = defaultdict(list)
        for found in content["annotations"]:
            box = [float(value) for value in found["bbox"]]
            if len(box) != 4 or isinstance(found["area"], str) or not isinstance(names[found["category_id"]], str):
                raise ValueError(f"an annotation of image {found['image_id']} has no area, box or named category")
            objects[found["image_id"]].append((names[found["category_id"]], float(found["area"]), box))
    except RefusedError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(
            f"annotations: {path} is not a COCO instances file ({type(error).__name__}: {error})"
        ) from error
    return path.stem.removeprefix("instances_"), sizes, objects
