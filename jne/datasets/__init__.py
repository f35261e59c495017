"""One subject's features and responses: the class, its file, its validation, and the synthetic cortex."""

from jne.datasets.dataset import EncodingDataset, load_dataset, open_content, save_dataset
from jne.datasets.describe import describe, describe_text
from jne.datasets.embedding import embed, sort_places
from jne.datasets.further import FURTHER, FURTHER_ID, RowDigests, further_layers, further_name
from jne.datasets.notes import dataset_notes
from jne.datasets.places import SURFACE_FILES, Surface, Volume, place_of, volume_of
from jne.datasets.stimulus_clusters import can_cluster, cluster_stimuli
from jne.datasets.synthetic import synthetic_cortex
from jne.datasets.synthetic_areas import planted_profile, thinned_vertices
from jne.datasets.training import Training, check_training, leave_out, training_arrays
from jne.datasets.validate import (
    CARRIED_STIMULUS_VARIABLES,
    CARRIED_VOXEL_VARIABLES,
    MINIMUM_TEST_STIMULI,
    SPLITS,
    STIMULUS_VARIABLES,
    VOXEL_VARIABLES,
    structure_problems,
    value_problems,
)

__all__ = [
    "CARRIED_STIMULUS_VARIABLES",
    "CARRIED_VOXEL_VARIABLES",
    "FURTHER",
    "FURTHER_ID",
    "MINIMUM_TEST_STIMULI",
    "SPLITS",
    "STIMULUS_VARIABLES",
    "SURFACE_FILES",
    "VOXEL_VARIABLES",
    "EncodingDataset",
    "RowDigests",
    "Surface",
    "Training",
    "Volume",
    "can_cluster",
    "check_training",
    "cluster_stimuli",
    "dataset_notes",
    "describe",
    "describe_text",
    "embed",
    "further_layers",
    "further_name",
    "leave_out",
    "load_dataset",
    "open_content",
    "place_of",
    "planted_profile",
    "save_dataset",
    "sort_places",
    "structure_problems",
    "synthetic_cortex",
    "thinned_vertices",
    "training_arrays",
    "value_problems",
    "volume_of",
]
