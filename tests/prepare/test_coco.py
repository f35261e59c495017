"""Categories of NSD's images on miniature annotations."""

import json

import pandas as pd
import pytest
from click.testing import CliRunner

from jne.cli import main
from jne.prepare.coco import image_categories

CATEGORIES = [
    {"id": 1, "name": "person", "supercategory": "person"},
    {"id": 17, "name": "cat", "supercategory": "animal"},
    {"id": 18, "name": "dog", "supercategory": "animal"},
    {"id": 59, "name": "pizza", "supercategory": "food"},
]


def annotation(image, category, bbox, fill=1.0):
    return {"image_id": image, "category_id": category, "bbox": bbox, "area": fill * bbox[2] * bbox[3]}


@pytest.fixture
def coco(tmp_path):
    """Wide pictures of 200 x 100; NSD's crop is a square of 100 x 100."""
    images = [{"id": i, "width": 200, "height": 100} for i in (11, 12, 13, 14)]
    train = [
        # 11: the person is larger, but outside the crop, which is the left half.
        annotation(11, 1, [100, 0, 100, 100]),
        annotation(11, 59, [10, 10, 50, 50]),
        # 12: half of the person's box is inside: 2,000 of 4,000; cat and dog together have 2,400, each 1,200.
        annotation(12, 1, [60, 0, 80, 50]),
        annotation(12, 17, [0, 60, 40, 30]),
        annotation(12, 18, [50, 60, 40, 30]),
        # 13: 9 % of the crop.
        annotation(13, 59, [0, 0, 30, 30]),
    ]
    val = [annotation(21, 1, [0, 0, 100, 100], fill=0.5), annotation(21, 1, [0, 0, 0, 0])]
    for split, pictures, found in (
        ("train", images, train),
        ("val", [{"id": 21, "width": 100, "height": 200}], val),
    ):
        content = {"images": pictures, "annotations": found, "categories": CATEGORIES}
        (tmp_path / f"instances_{split}2017.json").write_text(json.dumps(content))
    rows = [
        (11, "train2017", "(0, 0, 0, 0.5)", 0),
        (12, "train2017", "(0, 0, 0, 0.5)", 1),
        (13, "train2017", "(0, 0, 0, 0.5)", 2),
        (14, "train2017", "(0, 0, 0, 0.5)", 3),
        (21, "val2017", "(0.25, 0.25, 0, 0)", 4),
    ]
    pd.DataFrame(rows, columns=["cocoId", "cocoSplit", "cropBox", "nsdId"]).assign(loss=0.0).to_csv(
        tmp_path / "nsd.csv"
    )
    return tmp_path


def run(folder, *splits, **options):
    files = [folder / f"instances_{split}2017.json" for split in splits or ("train", "val")]
    return image_categories(folder / "nsd.csv", files, folder / "out.csv", **options)


def test_the_largest_category_inside_the_crop_wins(coco):
    table = run(coco)
    assert list(table["nsdId"]) == [0, 1, 2, 3, 4]
    assert list(table["category"]) == ["food", "animal", "other", "other", "person"]
    # The last: half the box is filled (5,000), and half of it lies in the crop of 10,000.
    assert list(table["share"]) == pytest.approx([0.25, 0.24, 0.09, 0, 0.5 * 0.5])
    written = pd.read_csv(coco / "out.csv")
    pd.testing.assert_frame_equal(written, table, check_dtype=False)


def test_single_objects_and_another_limit(coco):
    table = run(coco, level="name", minimum_share=0.05)
    assert list(table["category"]) == ["pizza", "person", "pizza", "other", "person"]


def test_images_of_other_splits_are_left_out(coco):
    assert list(run(coco, "val")["nsdId"]) == [4]


def test_the_command_counts_and_writes(coco):
    files = [word for s in ("train", "val") for word in ("--annotations", str(coco / f"instances_{s}2017.json"))]
    words = ["prepare", "categories", "--stimuli", str(coco / "nsd.csv"), *files, "--out", str(coco / "c.csv")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0 and "5 images: other 2, " in result.output, result.output
    assert list(pd.read_csv(coco / "c.csv")["category"]) == list(run(coco)["category"])


def edit_table(old, new):
    return lambda f: (f / "nsd.csv").write_text((f / "nsd.csv").read_text().replace(old, new))


def edit_json(**values):
    def edit(folder):
        for path in folder.glob("instances_*.json"):
            content = json.loads(path.read_text())
            for annotation in content["annotations"]:
                annotation.update(values)
            path.write_text(json.dumps(content))

    return edit


BAD = {
    "no table": (lambda f: (f / "nsd.csv").unlink(), {}, "no file .*nsd.csv"),
    "no column": (edit_table("cropBox", "crop"), {}, "cannot be read .*cropBox"),
    "bad crop": (edit_table("(0, 0, 0, 0.5)", "(0, 0, 0.6, 0.5)"), {}, "is not four shares"),
    "crop runs code": (edit_table("(0, 0, 0, 0.5)", "print(1)"), {}, "cannot be read"),
    "not JSON": (lambda f: (f / "instances_val2017.json").write_text("{"), {}, "val2017.json is not a COCO instances"),
    "crop of many signs": (edit_table("(0, 0, 0, 0.5)", "-" * 10**5 + "1"), {}, "cannot be read"),
    "crop is a number": (edit_table('"(0, 0, 0, 0.5)"', "3"), {}, "cannot be read"),
    "deep JSON": (lambda f: (f / "instances_val2017.json").write_text("[" * 10**5), {}, "is not a COCO instances"),
    "area is a text": (edit_json(area="3"), {}, "no area, box or named category"),
    "box of three": (edit_json(bbox=[1, 2, 3]), {}, "no area, box or named category"),
    "category is a mapping": (edit_json(category_id={"a": 1}), {}, "is not a COCO instances file .TypeError"),
    "a list": (lambda f: (f / "instances_val2017.json").write_text("[1]"), {}, "is not a COCO instances file"),
    "captions": (
        lambda f: (f / "instances_val2017.json").write_text('{"images": [], "annotations": []}'),
        {},
        "val2017.json is not a COCO instances file .KeyError: 'categories'",
    ),
    "an image is missing": (edit_table("14,train2017", "99,train2017"), {}, r"1 of 5 COCO images are missing \(99\)"),
    "no image of the split": (edit_table("2017", "2014"), {}, "has no image of train2017, val2017"),
    "level": (lambda f: None, {"level": "id"}, "level='id'; accepted"),
    "share": (lambda f: None, {"minimum_share": 2}, "minimum_share=2"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_named_and_nothing_is_written(coco, kind):
    spoil, options, message = BAD[kind]
    spoil(coco)
    with pytest.raises(ValueError, match=message):
        run(coco, **options)
    assert not (coco / "out.csv").exists()
