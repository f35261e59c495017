"""Vision models saved by transformers: the [CLS] token, or the mean over places, after every block."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError

from jne._core import RefusedError, check_held, install_extra, is_out_of_memory, sha256
from jne.features.backbones import SAME_SIZE, preprocessing_attributes
from jne.features.model_folders import CONFIGS, check_model_folder, check_weights, shards

_LOCAL = {"local_files_only": True, "trust_remote_code": False}
_ERRORS = (OSError, ValueError, RuntimeError, KeyError, ImportError, MemoryError, SafetensorError)
_TOWERS = ("vision_model", "vision_tower", "image_model", "visual")
"""What the part for images is called, where it does not say what it takes."""
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")


class TransformersBackbone:
    """A vision model and its image processor, from a local folder or from what the hub's client has downloaded.

    Nothing is downloaded here, and no code is run that is in the folder or that it names. Layers are named ``layer1``
    (after the first block) to ``layerN``; the embedding before the first block is left out, because its [CLS] token is
    the same for every image.

    Parameters
    ----------
    model : str
        A folder, or a name ``OWNER/MODEL`` on the hub.
    layers : sequence of str, optional
        By default all.

    Raises
    ------
    ModuleNotFoundError
        If transformers is not installed.
    ValueError
        If the weights are missing (the message has the command that downloads them), damaged, or those of another
        kind of model; or the folder needs code, or files that are not in it.
    """

    def __init__(self, model: str, layers: Sequence[str] | None = None):
        _need_transformers()
        folder = _folder(model)
        weights = _weight_files(folder, model)
        self.network = _load(folder, weights[0].suffix == ".safetensors", model)
        self.processor = _load_processor(folder, model)
        self.cls = any(name.endswith(("cls_token", "class_embedding")) for name, _ in self.network.named_parameters())
        known = [f"layer{i + 1}" for i in range(_n_blocks(self.network, self.processor, model))]
        if unknown := [name for name in layers or () if name not in known]:
            raise ValueError(f"layers names {unknown[0]!r}; {model} has {', '.join(known)}")
        self.wanted = list(layers or known)
        kind = "[CLS] token" if self.cls else "mean over places"
        self.attributes = {
            "feature_model": f"{Path(model).name} ({kind} after each block)",
            "feature_weights_sha256": _hash(weights),
            **preprocessing_attributes(json.dumps(self.processor.to_dict(), sort_keys=True, default=str)),
        }

    def prepare(self, image: Image.Image) -> np.ndarray:
        """Resized, cropped and scaled as the model's own processor says, ``(3, y, x)``, float32."""
        return np.asarray(self.processor(images=image, return_tensors="np")["pixel_values"][0], np.float32)

    def to(self, device: torch.device) -> TransformersBackbone:
        self.network.to(device)
        return self

    def layers(self, batch: torch.Tensor) -> dict[str, torch.Tensor]:
        try:
            states = self.network(pixel_values=batch, output_hidden_states=True).hidden_states[1:]
        except (ValueError, RuntimeError) as error:
            if is_out_of_memory(error):
                raise
            raise ValueError(
                f"the model fails on images of {' x '.join(map(str, batch.shape[2:]))} pixels, as its image processor "
                f"gives them ({error}). {SAME_SIZE}"
            ) from error
        return {name: self._pool(states[int(name.removeprefix("layer")) - 1]) for name in self.wanted}

    def _pool(self, state: torch.Tensor) -> torch.Tensor:
        if state.ndim == 4:  # a convolutional network's map (n, channels, y, x)
            return state.mean(dim=(2, 3))
        return state[:, 0] if self.cls else state.mean(dim=1)


def _need_transformers() -> None:
    try:
        import transformers  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"features of CLIP and ViT need the package transformers, which is not installed; {install_extra('clip')}",
            name="transformers",
        ) from error


def _folder(model: str) -> Path:
    """The folder of the model's files; for a hub name that of the newest download."""
    if Path(model).is_dir():
        return Path(model)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError) as error:
        raise ValueError(
            f"model {model} is neither a folder nor among the downloaded models. {_download(model)}"
        ) from error


def _download(model: str) -> str:
    return (
        f"Download it on a machine with internet: hf download {model} --exclude '*.h5' --exclude '*.msgpack' (with "
        "--local-dir DIR into a folder, which can be carried to another machine and given as the model)"
    )


def _weight_files(folder: Path, model: str) -> list[Path]:
    check_model_folder(folder, model)
    _need_files(folder, CONFIGS, model)
    found = next((folder / name for name in _WEIGHTS if os.path.lexists(folder / name)), None)
    if found is None:
        raise ValueError(f"model {model}: {folder} has no weights ({' or '.join(_WEIGHTS)}). {_download(model)}")
    files = shards(found, model) if found.suffix == ".json" else [found]
    check_weights(files, model)
    _need_files(folder, [file.name for file in files], model)
    return files


def _need_files(folder: Path, names: Sequence[str], model: str) -> None:
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise ValueError(f"model {model}: {folder} has no {' and no '.join(missing)}. {_download(model)}")


def _hash(files: Sequence[Path]) -> str:
    """SHA-256 of the weight file; of several, that of their hashes in the order of their names."""
    hashes = [sha256(file) for file in files]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def _load(folder: Path, safetensors: bool, model: str) -> torch.nn.Module:
    from transformers import AutoConfig, AutoModel, CLIPVisionModel

    # weights_only: a .bin file may hold tensors and nothing that runs.
    options = {"use_safetensors": safetensors, "weights_only": True, "output_loading_info": True, **_LOCAL}
    try:
        with _quiet(), _no_code(folder, model):
            config = AutoConfig.from_pretrained(folder, **_LOCAL)
            # A CLIP folder holds an image and a text tower; only the first is wanted.
            clip = config.model_type in ("clip", "clip_vision_model")
            with torch.device("meta"):  # where arrays have a size and take no memory
                config = getattr(config, "vision_config", config) if clip else config
                sketch = CLIPVisionModel(config) if clip else AutoModel.from_config(config, trust_remote_code=False)
            size = sum(4 * parameter.numel() for parameter in sketch.parameters())
            check_held(size, f"model {model}: what {folder}/config.json describes")
            network, found = (CLIPVisionModel if clip else AutoModel).from_pretrained(folder, **options)
    except RefusedError:
        raise
    except UnpicklingError as error:
        # Without torch's text, which advises to load it all the same.
        raise ValueError(
            f"model {model}: the weights in {folder} cannot be loaded: the file holds more than tensors, or is damaged"
        ) from error
    except _ERRORS as error:
        raise ValueError(f"model {model}: the weights in {folder} cannot be loaded ({error})") from error
    prefix, tower = _image_tower(network, model)
    own = {name.removeprefix(prefix) for name in found["missing_keys"] if name.startswith(prefix)}
    # A pooling layer that the weights lack stays random, and is never used.
    if missing := sorted(name for name in own if not name.startswith("pooler.")):
        raise ValueError(
            f"model {model}: the weights in {folder} lack {len(missing)} arrays of {type(network).__name__} (first: "
            f"{missing[0]}); they are those of another kind of model"
        )
    return tower.eval().requires_grad_(False).float()


def _image_tower(network: torch.nn.Module, model: str) -> tuple[str, torch.nn.Module]:
    """What takes images and nothing else, the whole model or one of its towers, and what its names begin with."""
    for name, module in network.named_modules():
        inputs = list(inspect.signature(module.forward).parameters.values())
        needed = [
            item.name for item in inputs if item.default is item.empty and item.kind is item.POSITIONAL_OR_KEYWORD
        ]
        takes = getattr(module, "main_input_name", None) == "pixel_values" or name.split(".")[-1] in _TOWERS
        if takes and inputs[0].name == "pixel_values" and set(needed) <= {"pixel_values"}:
            return f"{name}." if name else "", module
    raise ValueError(f"model {model}: {type(network).__name__} does not take images alone, and no part of it does")


@contextmanager
def _no_code(folder: Path, model: str) -> Iterator[None]:
    """In place of transformers' question whether to run code of the folder, or its advice to."""
    try:
        yield
    except ValueError as error:
        if "trust_remote_code" not in str(error):
            raise
        raise RefusedError(
            f"model {model}: {folder} needs code that comes with it (auto_map in its config.json or "
            "preprocessor_config.json), which is not run; needed: a model that transformers itself knows"
        ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' bars and its report of unused weights, which are the text tower and the classifier."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _load_processor(folder: Path, model: str):
    from transformers import AutoImageProcessor

    try:
        # Pillow's resizing, also where torchvision is installed: the features must not depend on that.
        with _no_code(folder, model):
            return AutoImageProcessor.from_pretrained(folder, **_LOCAL, backend="pil")
    except RefusedError:
        raise
    except (OSError, ValueError, ImportError) as error:
        raise ValueError(f"model {model}: {folder}/preprocessor_config.json cannot be used ({error})") from error


def _n_blocks(network: torch.nn.Module, processor, model: str) -> int:
    """Number of blocks, from one grey image: not every kind of model says it in the same place."""
    size = getattr(network.config, "image_size", None)
    side = size if isinstance(size, int) else 256
    grey = Image.new("RGB", tuple(size) if isinstance(size, list | tuple) else (side, side), (127, 127, 127))
    pixels = processor(images=grey, return_tensors="pt")["pixel_values"]
    try:
        with torch.inference_mode():
            return len(network(pixel_values=pixels, output_hidden_states=True).hidden_states) - 1
    # Of a folder whose parts do not fit, or a model that is made otherwise than all others.
    except (ValueError, TypeError, RuntimeError, AttributeError) as error:
        shape = " x ".join(map(str, pixels.shape[2:]))
        raise ValueError(
            f"model {model}: {type(network).__name__} gives no layers of an image of {shape} pixels, as its image "
            f"processor gives it ({type(error).__name__}: {error}). {SAME_SIZE}"
        ) from error
