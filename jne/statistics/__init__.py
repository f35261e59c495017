"""Tests and tables over areas and subjects."""
