"""Images per second of `jne features` against the bare forward pass, EfficientNet-Lite0.

All see the same images in batches of the same size, in turn, so that what slows the machine slows all. ``bare`` gets
prepared batches from memory and keeps nothing; ``stream`` also reads, decodes and resizes the images, pools every layer
and writes the features file; ``call`` is all of `write_features`, which also loads the weights and looks at the images
twice. The figure is the median over rounds of the time of ``bare`` over that of ``stream``. Run it on an idle machine;
it writes ``results/features.json`` beside this file::

    python benchmarks/features.py --images images_190923.zip
"""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import torch
from tqdm import tqdm

from jne._backbones import load_backbone
from jne._files import code_hash, provenance, write_json
from jne._image_sets import open_images
from jne.datasets.feature_writer import FeatureWriter
from jne.features import stream_features, write_features

IMAGES = Path(__file__).parents[2] / "shared" / "data" / "v4" / "images_190923.zip"
RESULTS = Path(__file__).parent / "results" / "features.json"


def prepared(images, backbone, batch_size: int, device: torch.device) -> list[torch.Tensor]:
    """Every batch as the network's first layer takes it."""
    ready = []
    for start in range(0, len(images), batch_size):
        batch = np.stack([backbone.prepare(images[i]) for i in range(start, min(start + batch_size, len(images)))])
        x = torch.from_numpy(batch).to(device).permute(0, 3, 1, 2)
        ready.append((x.to(torch.float32, memory_format=torch.channels_last) - 127) / 128)
    return ready


def timed(function, device: torch.device) -> dict[str, float]:
    """Wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


@click.command(context_settings={"show_default": True})
@click.option("--images", default=str(IMAGES), help="Folder or zip of images.")
@click.option("--rounds", default=5, help="How often each is measured.")
@click.option("--batch-size", default=16, help="Images at a time.")
@click.option("--device", default="cpu", help="cpu or cuda.")
@click.option("--n-images", type=int, help="Only the first so many.")
@click.option("--out", default=str(RESULTS), help="JSON file to write.")
def main(images, rounds, batch_size, device, n_images, out):
    """Measure, and write the result with the machine that it belongs to."""
    torch_device, backbone = torch.device(device), load_backbone("efficientnet-lite0")
    backbone.to(torch_device)
    options = {"batch_size": batch_size, "device": device}
    with tempfile.TemporaryDirectory() as folder:
        select = Path(folder) / "ids.txt"
        select.write_text("\n".join(open_images(images).ids[:n_images]))
        chosen, features = open_images(images, [select]), Path(folder) / "features.h5"
        batches = prepared(chosen, backbone, batch_size, torch_device)
        widths = {name: values.shape[1] for name, values in next(stream_features(chosen, backbone, **options)).items()}

        def bare():
            with torch.inference_mode():
                for batch in batches:
                    for _ in backbone.network.activations(batch):
                        pass

        def stream():
            features.unlink(missing_ok=True)
            with FeatureWriter(features, chosen.ids, widths, backbone.attributes) as writer:
                for values in stream_features(chosen, backbone, **options):
                    writer.append(values)
                writer.finish()

        def call():
            features.unlink(missing_ok=True)
            write_features(images, features, select=[select], **options)

        methods = {"bare": bare, "stream": stream, "call": call}
        for method in methods.values():  # the first time also plans and allocates
            method()
        seconds = [
            {name: timed(method, torch_device) for name, method in methods.items()}
            for _ in tqdm(range(rounds), desc="rounds")
        ]
    ratios = {
        f"{name}_{kind}": [one["bare"][kind] / one[name][kind] for one in seconds]
        for name in ("stream", "call")
        for kind in ("wall", "cpu")
    }
    result = {
        "n_images": len(chosen),
        "batch_size": batch_size,
        "images_per_second": {
            name: len(chosen) / statistics.median(one[name]["wall"] for one in seconds) for name in methods
        },
        "ratio": statistics.median(ratios["stream_wall"]),
        "ratios": ratios,
        "machine": {"cpu": platform.processor(), "cores": os.cpu_count(), "threads": torch.get_num_threads()},
        "device": torch.cuda.get_device_name() if torch_device.type == "cuda" else "cpu",
        "code_hash": code_hash(),
        **provenance(),
    }
    write_json(result, out)
    rates = ", ".join(f"{name} {rate:.0f}" for name, rate in result["images_per_second"].items())
    medians = ", ".join(f"{name} {statistics.median(values):.3f}" for name, values in ratios.items())
    click.echo(f"{len(chosen)} images; images per second: {rates}; bare over ...: {medians}")


if __name__ == "__main__":
    main()
