"""Chapters as functions, pages, the build."""
