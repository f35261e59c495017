"""THINGS-fMRI (Hebart et al. 2023), from its own files to a dataset file."""

from jne.prepare.things.prepare import prepare_things

__all__ = ["prepare_things"]
