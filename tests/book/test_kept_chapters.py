"""A kept chapter is taken only as it was left."""

import pytest

from jne.book.chapters import _keep, _whole


@pytest.mark.parametrize("damage", ["a flip", "a file that is gone", "one more", "digests"])
def test_a_damaged_chapter_is_named_and_set_aside(tmp_path, damage):
    (tmp_path / "made/figures").mkdir(parents=True)
    (tmp_path / "made/trust.ipynb").write_text("{}")
    (tmp_path / "made/figures/1.svg").write_text("<svg/>")
    kept = tmp_path / "chapters/trust-0123"
    assert not _whole(kept)
    _keep(tmp_path / "made", kept)
    assert _whole(kept)
    {
        "a flip": lambda: (kept / "figures/1.svg").write_text("<svh/>"),
        "a file that is gone": lambda: (kept / "figures/1.svg").unlink(),
        "one more": lambda: (kept / "2.svg").write_text(""),
        "digests": lambda: (kept / "digests.json").write_text("{"),
    }[damage]()
    with pytest.warns(UserWarning, match=r"kept chapter: .*trust-0123.* set aside as trust-0123\.damaged"):
        assert not _whole(kept)
    assert not kept.exists() and (kept.parent / "trust-0123.damaged").is_dir()
