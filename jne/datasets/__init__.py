"""One subject's features and responses, from one file."""

from jne.datasets.dataset import EncodingDataset, load_dataset, save_dataset

__all__ = ["EncodingDataset", "load_dataset", "save_dataset"]
