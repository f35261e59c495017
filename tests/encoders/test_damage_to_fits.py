"""Flips and cuts in the files of encoders and checkpoints."""

import numpy as np
import pytest
import torch
from damage import check_damage, plain

from jne._core import read_tensors, write_tensors
from jne.encoders import ResidualEncoder, load_encoder
from jne.encoders.checkpoints import Run, _read, _write


def write_encoder(path):
    X = np.random.default_rng(0).normal(size=(30, 4))
    ResidualEncoder(hidden_size=3, n_blocks=1, max_epochs=2).fit(X[:20], X[:20, :2], X[20:], X[20:, :2]).save(path)


def read_encoder(path):
    found = load_encoder(path)
    arrays = [found.x_mean_, found.x_scale_, found.y_mean_, found.y_scale_, found.covariance_]
    return plain([found.get_params(), found.layer_, found.history_, dict(found.module_.state_dict()), arrays])


def write_checkpoint(path):
    module = torch.nn.Linear(3, 2)
    best = {name: value.clone() for name, value in module.state_dict().items()}
    run = Run(module, torch.optim.Adam(module.parameters()), torch.Generator(), [0.1], [0.2], 0, best)
    _write(run, path)


def test_damage_to_an_encoder_is_told_or_changes_nothing(tmp_path):
    check_damage(tmp_path / "encoder.safetensors", write_encoder, read_encoder)


def test_damage_to_a_checkpoint_is_told_or_changes_nothing(tmp_path):
    check_damage(tmp_path / "fit.safetensors", write_checkpoint, lambda path: plain(_read(path)))


WRONG = {
    "no parameters": lambda header, tensors: header.pop("parameters"),
    "no layer": lambda header, tensors: header.pop("layer"),
    "no history": lambda header, tensors: header.pop("history"),
    "version is a text": lambda header, tensors: header.update(format_version="2"),
    "class is a list": lambda header, tensors: header.update({"class": []}),
    "parameters are a list": lambda header, tensors: header.update(parameters=[1]),
    "an unknown parameter": lambda header, tensors: header["parameters"].update(width=3),
    "size is a text": lambda header, tensors: header["parameters"].update(hidden_size="3"),
    "layer is a number": lambda header, tensors: header.update(layer=3),
    "history is a text": lambda header, tensors: header.update(history="long"),
    "no scale": lambda header, tensors: tensors.pop("x_scale_"),
    "scale of others": lambda header, tensors: tensors.update(y_scale_=torch.ones(7)),
    "metric of others": lambda header, tensors: tensors.update(covariance_=torch.eye(3)),
    "mean of whole numbers": lambda header, tensors: tensors.update(x_mean_=torch.zeros(4, dtype=torch.int64)),
    "weights of others": lambda header, tensors: tensors.update(
        {next(n for n in tensors if n[0] == "m"): torch.ones(1)}
    ),
    "more weights": lambda header, tensors: tensors.update({"module.other": torch.ones(1)}),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_an_encoders_file_of_another_form_is_named(tmp_path, wrong):
    path = tmp_path / "encoder.safetensors"
    write_encoder(path)
    header, tensors = read_tensors(path)
    WRONG[wrong](header, tensors)
    write_tensors(tensors, header, path, "here")
    with pytest.raises(ValueError, match=r"encoder: .*encoder\.safetensors .*cannot be read as an encoder's file"):
        load_encoder(path)
