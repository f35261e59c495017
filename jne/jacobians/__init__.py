"""Derivatives of any torch model, sample by sample."""
