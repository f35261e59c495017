"""The encoding models: features of a stimulus to the responses of all voxels."""

from jne.encoders.base import Encoder
from jne.encoders.files import load_encoder
from jne.encoders.residual import ResidualEncoder, ResidualNetwork
from jne.encoders.ridge import RidgeEncoder
from jne.encoders.training import Training, check_training, training_arrays

__all__ = [
    "Encoder",
    "ResidualEncoder",
    "ResidualNetwork",
    "RidgeEncoder",
    "Training",
    "check_training",
    "load_encoder",
    "training_arrays",
]
