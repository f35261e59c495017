"""Folders of models that others made: no code in them runs, no file outside is opened, nothing is asked for."""

import json
import os
import pickle
import shutil
import zipfile

import pytest
import torch
from conftest import no_longer_than
from safetensors.torch import load_file, save_file

from jne.features.vision_transformers import TransformersBackbone

transformers = pytest.importorskip("transformers", reason="needs pip install -e '.[clip]'")

CANARY = "the text of a file that nobody named"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "vit"
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    transformers.ViTModel(transformers.ViTConfig(**sizes, image_size=16, patch_size=8)).save_pretrained(folder)
    transformers.ViTImageProcessorPil(size={"height": 16, "width": 16}).save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """A question is answered with yes; whatever would wait is told so."""
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    with no_longer_than(30):
        yield


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def shards(folder, name):
    """Weights in two files, of which the second is called ``name``."""
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    (folder / "model.safetensors").unlink()
    save_file({names[0]: tensors[names[0]]}, folder / "one.safetensors", {"format": "pt"})
    two = folder.parent / "two.safetensors" if isinstance(name, str) and "two" in name else folder / "two.safetensors"
    save_file({key: tensors[key] for key in names[1:]}, two, {"format": "pt"})
    weight_map = dict.fromkeys(names, name) | {names[0]: "one.safetensors"}
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def code(folder, path, kind, **values):
    text = f"import os\nos.mkdir({str(folder / 'ran')!r})\nfrom transformers import *\nclass Own(ViTConfig): pass\n"
    (folder / "own.py").write_text(text)
    change(folder / path, auto_map={kind: "own.Own"}, **values)


def other_code(folder):
    """Code of another folder."""
    (folder.parent / "other").mkdir()
    code(folder.parent / "other", folder / "config.json", "AutoConfig")
    change(folder / "config.json", model_type="unheard", auto_map={"AutoConfig": f"{folder.parent}/other--own.Own"})


def adapter(folder):
    shutil.copytree(folder, folder.parent / "other")
    values = {"peft_type": "LORA", "base_model_name_or_path": str(folder.parent / "other")}
    (folder / "adapter_config.json").write_text(json.dumps(values))


def pipe(name):
    def make(folder):
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return make


def runs(folder):
    class Runs:
        def __reduce__(self):
            return os.mkdir, (str(folder / "ran"),)

    (folder / "model.safetensors").unlink()
    torch.save({"weight": Runs()}, folder / "pytorch_model.bin")


def old_pickle(folder):
    class Runs:
        def __reduce__(self):
            return os.mkdir, (str(folder / "ran"),)

    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Runs()))


def packed_bin(folder):
    """A file of weights that unpacks to more than it is."""
    torch.save(load_file(folder / "model.safetensors"), folder / "plain.bin")
    (folder / "model.safetensors").unlink()
    with zipfile.ZipFile(folder / "plain.bin") as old:
        with zipfile.ZipFile(folder / "pytorch_model.bin", "w", zipfile.ZIP_DEFLATED) as new:
            for info in old.infolist():
                new.writestr(info.filename, old.read(info))
            new.writestr("plain/data/999", bytes(100_000_000))


def large(name, size):
    def make(folder):
        (folder / name).unlink(missing_ok=True)
        with (folder / name).open("wb") as file:
            file.truncate(size)

    return make


OUTSIDE = r"names the file .* needed: the name of a file in that folder"
CODE = r"needs code"
HOSTILE = {
    "shard above": (lambda f: shards(f, "../two.safetensors"), OUTSIDE),
    "absolute shard": (lambda f: shards(f, str(f.parent / "two.safetensors")), OUTSIDE),
    "shard in a folder": (lambda f: shards(f, "x/../../two.safetensors"), OUTSIDE),
    "shard of Windows": (lambda f: shards(f, "..\\two.safetensors"), OUTSIDE),
    "shard is the folder": (lambda f: shards(f, "."), OUTSIDE),
    "shard is nothing": (lambda f: shards(f, ""), OUTSIDE),
    "shard is a number": (lambda f: shards(f, 3), OUTSIDE),
    "shard is a list": (lambda f: shards(f, ["a"]), OUTSIDE),
    "shard is a pickle": (lambda f: shards(f, "two.bin"), OUTSIDE),
    "shard is the password file": (lambda f: shards(f, "/etc/passwd"), OUTSIDE),
    "no map": (lambda f: (shards(f, "a"), (f / "model.safetensors.index.json").write_text("{}")), "has no weight_map"),
    "map of nothing": (
        lambda f: (shards(f, "a"), (f / "model.safetensors.index.json").write_text('{"weight_map": {}}')),
        "has no weight_map",
    ),
    "index is no JSON": (
        lambda f: (shards(f, "a"), (f / "model.safetensors.index.json").write_text("{")), "cannot be read as JSON"
    ),
    "own configuration": (lambda f: code(f, "config.json", "AutoConfig", model_type="unheard"), CODE),
    "own model": (
        lambda f: code(f, "config.json", "AutoModel", model_type="distilbert"), "DistilBertModel does not take images"
    ),
    "own processor": (
        lambda f: code(f, "preprocessor_config.json", "AutoImageProcessor", image_processor_type="Own"), CODE
    ),
    "code of another folder": (other_code, CODE),
    "other weights": (
        lambda f: (shutil.copyfile(f / "model.safetensors", f.parent / "two.safetensors"),
                   change(f / "config.json", transformers_weights="../two.safetensors")), "transformers_weights",
    ),
    "attention from the hub": (lambda f: change(f / "config.json", attn_implementation="someone/kernel"), CODE),
    "attention below": (lambda f: change(f / "config.json", attn_implementation={"": "someone/kernel:own"}), CODE),
    "another backbone": (lambda f: change(f / "config.json", backbone="../other"), "names another model"),
    "a backbone of timm": (lambda f: change(f / "config.json", architecture="local-dir:/etc"), "names another model"),
    "adapter": (adapter, "adapter_config.json"),
    "pipe as configuration": (pipe("config.json"), "is a pipe"),
    "pipe as processor": (pipe("preprocessor_config.json"), "is a pipe"),
    "pipe as other processor": (pipe("processor_config.json"), "is a pipe"),
    "pipe as adapter": (pipe("adapter_config.json"), "is a pipe"),
    "pipe as generation": (pipe("generation_config.json"), "is a pipe"),
    "pipe as weights": (pipe("model.safetensors"), "is a pipe"),
    "pickle that runs": (runs, "more than tensors"),
    "old pickle that runs": (old_pickle, "more than tensors"),
    "packed weights": (packed_bin, "limit is 50 MB"),
    "large configuration": (large("config.json", 10**11), "limit is 50 MB"),
    "large weights": (large("model.safetensors", 10**11), "limit is 50 MB"),
    "configuration is a list": (lambda f: (f / "config.json").write_text("[1]"), "is no JSON object"),
    "deep configuration": (lambda f: (f / "config.json").write_text("[" * 10**5), "cannot be read as JSON"),
    "configuration is not UTF-8": (lambda f: (f / "config.json").write_bytes(b'{"\xff": 1}'), "cannot be read as JSON"),
    "wide layers": (lambda f: change(f / "config.json", hidden_size=10**6), "limit is 50 MB"),
    "many layers": (lambda f: change(f / "config.json", num_hidden_layers=10**7), "layers"),
}  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_folders_are_refused_in_a_sentence(model, tmp_path, monkeypatch, kind):
    monkeypatch.setenv("JNE_MAX_MEMORY", "50MB")
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    shutil.copytree(model, tmp_path / "vit")
    (tmp_path / "canary").write_text(CANARY)
    make, message = HOSTILE[kind]
    make(tmp_path / "vit")
    with pytest.raises(ValueError, match=message) as told:
        TransformersBackbone(str(tmp_path / "vit"))
    assert CANARY not in str(told.value) and "trust_remote_code" not in str(told.value)
    assert not [path for path in tmp_path.rglob("ran")]


def test_links_and_shards_of_the_folder_are_read(model, tmp_path):
    """As the hub's client keeps them: links to blobs beside the folder."""
    expected = TransformersBackbone(str(model)).network.state_dict()
    shutil.copytree(model, tmp_path / "vit")
    shards(tmp_path / "vit", "other.safetensors")
    (tmp_path / "vit/two.safetensors").rename(tmp_path / "vit/other.safetensors")
    (tmp_path / "blobs").mkdir()
    for path in list((tmp_path / "vit").iterdir()):
        path.rename(tmp_path / "blobs" / path.name)
        path.symlink_to(f"../blobs/{path.name}")
    (tmp_path / "vit/tf_model.h5").symlink_to("../blobs/that is not there")
    found = TransformersBackbone(str(tmp_path / "vit")).network.state_dict()
    assert all(torch.equal(found[name], values) for name, values in expected.items())
