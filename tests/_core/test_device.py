"""Devices by name, without loading what needs none."""

import subprocess
import sys

import pytest
import torch

from jne._core.device import resolve_device


def test_auto_is_the_card_where_there_is_one():
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert resolve_device("cpu") == resolve_device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize(
    "device", ["gpu9", 3.5, pytest.param("cuda", marks=pytest.mark.skipif(torch.cuda.is_available(), reason="a card"))]
)
def test_other_names_are_refused(device):
    with pytest.raises(ValueError, match=rf"device={device!r}.*use 'auto'"):
        resolve_device(device)


def test_features_of_images_load_no_regression_library():
    script = "import sys, jne.features.extract; print('himalaya' in sys.modules, 'jne.encoders' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "False"]
