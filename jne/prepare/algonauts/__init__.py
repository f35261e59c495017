"""The Algonauts Project 2023 (Gifford et al. 2023), from its own files to a dataset file."""

from jne.prepare.algonauts.prepare import prepare_algonauts

__all__ = ["prepare_algonauts"]
