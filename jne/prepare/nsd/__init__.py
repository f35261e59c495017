"""The Natural Scenes Dataset (Allen et al. 2022), from its own files to a dataset file."""

from jne.prepare.nsd.prepare import prepare_nsd

__all__ = ["prepare_nsd"]
