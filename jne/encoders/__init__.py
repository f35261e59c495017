"""The encoding models: features of a stimulus to the responses of all voxels."""

from jne.datasets import Training
from jne.encoders.base import Encoder
from jne.encoders.files import load_encoder
from jne.encoders.layer_choice import best_single_layer, layer_scores
from jne.encoders.mean import MeanEncoder
from jne.encoders.residual import ResidualEncoder, ResidualNetwork
from jne.encoders.ridge import RidgeEncoder

__all__ = [
    "Encoder",
    "MeanEncoder",
    "ResidualEncoder",
    "ResidualNetwork",
    "RidgeEncoder",
    "Training",
    "best_single_layer",
    "layer_scores",
    "load_encoder",
]
