"""Images per second of `jne features` against the bare forward pass, EfficientNet-Lite0.

All see the same images in batches of the same size, in turn, so that what slows the machine slows all.

* ``bare``: prepared batches from memory, nothing kept, in a process of its own where torch is as it comes;
* ``bare_kept``: the same where freed memory stays with the process, as `stream_features` keeps it on a CPU;
* ``stream``: also reads, decodes and resizes the images, pools every layer and writes the features file;
* ``call``: all of `write_features`, which also loads the weights and looks at the images twice.

The ratios are the time of a bare pass over that of ``stream`` or ``call``, round by round, and their medians. Run it on
an idle machine; it writes ``results/features.json`` beside this file::

    python benchmarks/features.py --images images_190923.zip
"""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path

import click
import numpy as np
import torch
from _common import machine
from tqdm import tqdm

from jne._core import code_hash, provenance, write_json
from jne.features import FeatureWriter, kept_memory, load_backbone, open_images, stream_features, write_features

IMAGES = Path(__file__).parents[2] / "shared" / "data" / "v4" / "images_190923.zip"
RESULTS = Path(__file__).parent / "results" / "features.json"


@lru_cache(maxsize=1)
def prepared(images: str, select: Path, batch_size: int, device: torch.device):
    """The network, and every batch as its first layer takes it."""
    backbone, chosen = load_backbone("efficientnet-lite0").to(device), open_images(images, [select])
    ready = []
    for start in range(0, len(chosen), batch_size):
        batch = np.stack([backbone.prepare(chosen[i]) for i in range(start, min(start + batch_size, len(chosen)))])
        x = torch.from_numpy(batch).to(device).permute(0, 3, 1, 2)
        ready.append((x.to(torch.float32, memory_format=torch.channels_last) - 127) / 128)
    return backbone.network, ready


def bare_pass(*which) -> dict[str, float]:
    """Seconds of the forward pass of the batches of `prepared`."""
    network, batches = prepared(*which)

    def forward():
        with torch.inference_mode():
            for batch in batches:
                for _ in network.activations(batch):
                    pass

    return timed(forward, which[-1])


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
    options = {"batch_size": batch_size, "device": device}
    own_process = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
    with tempfile.TemporaryDirectory() as folder, own_process as elsewhere:
        select = Path(folder) / "ids.txt"
        select.write_text("\n".join(open_images(images).ids[:n_images]))
        which = (images, select, batch_size, torch_device)
        chosen, features = open_images(images, [select]), Path(folder) / "features.h5"
        widths = {name: values.shape[1] for name, values in next(stream_features(chosen, backbone, **options)).items()}

        def bare_kept():
            with kept_memory():
                return bare_pass(*which)

        def stream():
            features.unlink(missing_ok=True)
            with FeatureWriter(features, chosen.ids, widths, backbone.attributes) as writer:
                for values in stream_features(chosen, backbone, **options):
                    writer.append(values)
                writer.finish()

        def call():
            features.unlink(missing_ok=True)
            write_features(images, features, select=[select], **options)

        methods = {
            "bare": lambda: elsewhere.submit(bare_pass, *which).result(),
            "bare_kept": bare_kept,
            "stream": lambda: timed(stream, torch_device),
            "call": lambda: timed(call, torch_device),
        }
        for method in methods.values():  # the first time also plans and allocates
            method()
        seconds = [{name: method() for name, method in methods.items()} for _ in tqdm(range(rounds), desc="rounds")]
    ratios = {
        f"{reference} over {name}, {kind}": [one[reference][kind] / one[name][kind] for one in seconds]
        for reference in ("bare", "bare_kept")
        for name in ("stream", "call")
        for kind in ("wall", "cpu")
    }
    result = {
        "n_images": len(chosen),
        "batch_size": batch_size,
        "images_per_second": {
            name: len(chosen) / statistics.median(one[name]["wall"] for one in seconds) for name in methods
        },
        "medians": {name: statistics.median(values) for name, values in ratios.items()},
        "ratios": ratios,
        "machine": machine(torch.get_num_threads()),
        "device": torch.cuda.get_device_name() if torch_device.type == "cuda" else "cpu",
        "code_hash": code_hash(),
        **provenance(),
    }
    write_json(result, out)
    rates = ", ".join(f"{name} {rate:.0f}" for name, rate in result["images_per_second"].items())
    click.echo(f"{len(chosen)} images; images per second: {rates}")
    for name, median in result["medians"].items():
        click.echo(f"{name}: {median:.3f}")


if __name__ == "__main__":
    main()
