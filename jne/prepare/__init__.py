"""How a study's files become a dataset."""
