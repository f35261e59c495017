"""The encoding models: features of a stimulus to the responses of all voxels."""

from jne.encoders.base import load_encoder
from jne.encoders.residual import ResidualEncoder
from jne.encoders.ridge import RidgeEncoder

__all__ = ["ResidualEncoder", "RidgeEncoder", "load_encoder"]
