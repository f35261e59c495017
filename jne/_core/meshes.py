"""Surface meshes by their number of vertices."""

MESHES = {163842: "fsaverage", 40962: "fsaverage6", 10242: "fsaverage5", 2562: "fsaverage4", 32492: "fsLR-32k"}
"""Vertices of one hemisphere -> the template that has so many; no subject's own mesh does by chance."""

N_VERTICES = {name: number for number, name in MESHES.items()}
"""The same the other way round."""
