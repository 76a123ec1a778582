"""From published weights to loaded networks, in miniature: everything that fits, and nothing that does not."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from models.__main__ import main
from models.errors import WeightsCorrupt, WeightsMissing
from models.face.musetalk import conversion
from models.face.musetalk.config import MuseTalkConfig, Version
from models.face.musetalk.conversion import convert, is_converted, read_tensors
from models.face.musetalk.latents import LatentEncoder
from models.face.musetalk.manifest import FILES, converted_directory
from models.face.musetalk.networks import (
    UNET,
    UNET_COMMON,
    VAE,
    VAE_COMMON,
    assemble,
    build_taesd,
    build_unet,
    build_vae,
    build_whisper,
    laid_out,
)
from models.face.musetalk.random_weights import fill_randomly
from models.face.musetalk.weights import load_encoder, load_networks

torch.set_num_threads(1)

OLD_NAMES = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


class Quiet:
    """A view that remembers what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.done: dict[str, tuple[int, int]] = {}

    def update(self, model: str, done_bytes: int, total_bytes: int) -> None:
        self.done[model] = (done_bytes, total_bytes)

    def say(self, line: str) -> None:
        self.lines.append(line)

    def __enter__(self) -> "Quiet":
        return self

    def __exit__(self, *_: object) -> None:
        pass


def filled(network: nn.Module, seed: int) -> Any:
    network.to_empty(device="cpu")
    fill_randomly(network, torch.Generator().manual_seed(seed))
    return network


class Published:
    """Tiny networks with the names, folders and formats of the published ones."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.unet, self.old_unet = (filled(build_unet("tiny"), seed) for seed in (1, 2))
        self.vae, self.taesd = filled(build_vae("tiny"), 3), filled(build_taesd("tiny"), 4)
        self.whisper = filled(build_whisper("tiny"), 5)
        for model in ("musetalk-1.5", "musetalk-1.0", "sd-vae-ft-mse", "taesd", "whisper-tiny"):
            (directory / model).mkdir(parents=True)
        torch.save(self.unet.state_dict(), directory / "musetalk-1.5/unet.pth")
        torch.save(self.old_unet.state_dict(), directory / "musetalk-1.0/pytorch_model.bin")
        told = json.dumps({"_class_name": "UNet2DConditionModel", **UNET_COMMON, **UNET["tiny"]})
        for version in ("1.5", "1.0"):
            (directory / f"musetalk-{version}/musetalk.json").write_text(told)
        save_file(old_names(self.vae.state_dict()), directory / "sd-vae-ft-mse/diffusion_pytorch_model.safetensors")
        (directory / "sd-vae-ft-mse/config.json").write_text(json.dumps(VAE_COMMON | VAE["tiny"]))
        save_file(self.taesd.state_dict(), directory / "taesd/diffusion_pytorch_model.safetensors")
        heard = {f"model.encoder.{name}": tensor for name, tensor in self.whisper.state_dict().items()}
        spoken = {"model.decoder.embed_positions.weight": torch.zeros(4, 4)}
        save_file(heard | spoken, directory / "whisper-tiny/model.safetensors")
        (directory / "whisper-tiny/config.json").write_text(json.dumps(self.whisper.config.to_dict(), default=str))


def old_names(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    renamed = {}
    for name, tensor in tensors.items():
        for new, old in OLD_NAMES.items():
            name = name.replace(f".attentions.0.{new}.", f".attentions.0.{old}.")
        renamed[name] = tensor
    return renamed


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    return Published(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="module")
def converted(published: Published, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with weights of both versions, converted; only to be read."""
    weights = tmp_path_factory.mktemp("weights") / "weights"
    shutil.copytree(published.directory, weights)
    convert("1.5", weights, size="tiny", view=Quiet())
    convert("1.0", weights, size="tiny", view=Quiet())
    return weights


@pytest.fixture
def weights(published: Published, tmp_path: Path) -> Path:
    """Published weights that a test may spoil."""
    return Path(shutil.copytree(published.directory, tmp_path / "weights"))


@pytest.fixture
def spoilt(converted: Path, tmp_path: Path) -> Path:
    """Converted weights of 1.5 that a test may spoil."""
    shutil.copytree(converted_directory(converted, "1.5"), converted_directory(tmp_path, "1.5"))
    return tmp_path


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(9))


def same(one: nn.Module, other: nn.Module) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.allclose(ours[name], theirs[name], atol=1e-6) for name in ours)


@pytest.mark.parametrize("version", ["1.5", "1.0"])
@pytest.mark.parametrize("decoder", ["sd", "taesd"])
def test_what_is_loaded_is_what_was_published_in_half_precision(
    version: Version, decoder: Any, published: Published, converted: Path
) -> None:
    loaded = load_networks(converted, version=version, decoder=decoder)
    layers: list[Any] = [
        build_unet("tiny"),
        build_vae("tiny") if decoder == "sd" else build_taesd("tiny"),
        build_whisper("tiny"),
    ]
    sources = [
        published.unet if version == "1.5" else published.old_unet,
        published.vae if decoder == "sd" else published.taesd,
        published.whisper,
    ]
    for layer, source in zip(layers, sources, strict=True):
        layer.to_empty(device="cpu").load_state_dict(
            {name: tensor.half().float() for name, tensor in source.state_dict().items()}
        )
    expected = assemble(*layers, None, MuseTalkConfig(version, decoder))
    assert same(loaded.mouth, expected.mouth)
    assert same(loaded.decoder, expected.decoder)
    assert same(loaded.audio, expected.audio)
    assert loaded.encoder is None
    assert loaded.config == expected.config
    latents, windows = noise(1, 8, 32, 32), noise(1, 50, 384)
    with torch.inference_mode():
        drawn = loaded.decoder(loaded.mouth(latents, windows))
        assert torch.allclose(drawn, expected.decoder(expected.mouth(latents, windows)), atol=1e-5)


def test_the_encoder_is_loaded_by_itself(published: Published, converted: Path) -> None:
    vae = build_vae("tiny").to_empty(device="cpu")
    vae.load_state_dict({name: tensor.half().float() for name, tensor in published.vae.state_dict().items()})
    assert same(load_encoder(converted), laid_out(LatentEncoder(vae)))


def test_networks_are_ready_to_run_in_the_type_asked_for(converted: Path) -> None:
    networks = load_networks(converted, dtype=torch.float16, pos_enc=False, final_layer_norm=False, edge="repeat")
    assert networks.dtype == torch.float16
    assert networks.mouth.positions is None
    assert networks.config == MuseTalkConfig(pos_enc=False, final_layer_norm=False, edge="repeat")
    assert networks.mouth.conv_in.weight.is_contiguous(memory_format=torch.channels_last)
    for network in (networks.mouth, networks.decoder, networks.audio, load_encoder(converted, dtype=torch.float16)):
        assert not network.training
        assert {(tensor.dtype, tensor.requires_grad) for tensor in network.parameters()} == {(torch.float16, False)}


def test_a_conversion_writes_half_precision_and_says_what_it_was_made_from(converted: Path) -> None:
    directory = converted_directory(converted, "1.5")
    manifest = json.loads((directory / "manifest.json").read_text())
    assert (
        {path.name for path in directory.iterdir()}
        == {*FILES, "manifest.json"}
        == {*manifest["files"], "manifest.json"}
    )
    for name in FILES:
        assert {tensor.dtype for tensor in load_file(directory / name).values()} == {torch.float16}
    assert manifest["model"] == "musetalk-1.5"
    assert len(manifest["sources"]["musetalk-1.5/unet.pth"]) == 64
    assert manifest["licences"]["musetalk-1.5"] == "CreativeML OpenRAIL-M"
    assert manifest["versions"].keys() == {"torch", "diffusers", "transformers", "safetensors"}
    heard = load_file(directory / "whisper.safetensors")
    assert not [name for name in heard if "decoder" in name]
    assert not [name for name in load_file(directory / "taesd.safetensors") if not name.startswith("decoder.")]
    assert len({path.stat().st_mode for path in directory.iterdir()}) == 1
    assert not list(converted.glob(".converting-*"))


def test_a_conversion_tells_the_licences_and_how_far_it_is(weights: Path) -> None:
    view = Quiet()
    convert("1.5", weights, size="tiny", view=view)
    licence = next(line for line in view.lines if line.startswith("musetalk-1.5: licence CreativeML OpenRAIL-M."))
    assert "must be passed on" in licence
    assert "https://" in licence
    assert view.done.keys() == {"musetalk-1.5", "sd-vae-ft-mse", "taesd", "whisper-tiny"}
    assert all(done == total > 0 for done, total in view.done.values())
    assert "unet.pth is not read any more and may be deleted" in view.lines[-1]


def test_what_is_converted_stays_and_needs_the_published_weights_no_more(spoilt: Path) -> None:
    view = Quiet()
    before = (converted_directory(spoilt, "1.5") / "manifest.json").stat().st_mtime_ns
    assert convert("1.5", spoilt, size="tiny", view=view) == converted_directory(spoilt, "1.5")
    assert (converted_directory(spoilt, "1.5") / "manifest.json").stat().st_mtime_ns == before
    assert "converted already" in view.lines[0]


def test_damaged_conversions_are_made_anew(weights: Path) -> None:
    directory = convert("1.5", weights, size="tiny", view=Quiet())
    flip_a_byte(directory / "vae.safetensors")
    assert not is_converted("1.5", weights)
    convert("1.5", weights, size="tiny", view=Quiet())
    assert is_converted("1.5", weights)
    assert not list(weights.glob(".converting-*"))


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_what_was_not_fetched_is_named_with_the_command_that_fetches_it(weights: Path) -> None:
    (weights / "taesd/diffusion_pytorch_model.safetensors").unlink()
    (weights / "musetalk-1.5/unet.pth").unlink()
    with pytest.raises(
        WeightsMissing, match=r"musetalk-1\.5, taesd are .* run `python -m models convert --fetch musetalk-1\.5`"
    ):
        convert("1.5", weights, size="tiny", view=Quiet())


def test_missing_weights_are_fetched_when_that_is_asked_for(
    published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def fetch(names: tuple[str, ...], directory: Path, **_: object) -> None:
        asked.extend(names)
        shutil.copytree(published.directory, directory)

    monkeypatch.setattr(conversion, "fetch", fetch)
    convert("1.0", tmp_path / "weights", size="tiny", view=Quiet(), fetch_first=True)
    assert asked == ["musetalk-1.0", "sd-vae-ft-mse", "taesd", "whisper-tiny"]
    assert is_converted("1.0", tmp_path / "weights")
    asked.clear()
    convert("1.0", tmp_path / "weights", size="tiny", view=Quiet(), fetch_first=True)
    assert not asked


def test_a_full_disk_is_seen_before_anything_is_written(weights: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"has 1 MB free, but 2\d\d MB are needed; make room"):
        convert("1.5", weights, size="tiny", view=Quiet(), free_bytes=lambda _: 1_000_000)
    assert not converted_directory(weights, "1.5").exists()


def without_one(tensors: dict[str, Tensor]) -> None:
    del tensors["conv_in.weight"]


def with_one_more(tensors: dict[str, Tensor]) -> None:
    tensors["extra.weight"] = torch.zeros(1)


def with_another_name(tensors: dict[str, Tensor]) -> None:
    tensors["module.conv_in.weight"] = tensors.pop("conv_in.weight")


def with_another_shape(tensors: dict[str, Tensor]) -> None:
    tensors["conv_in.weight"] = torch.zeros(32, 4, 3, 3)


def too_large(tensors: dict[str, Tensor]) -> None:
    tensors["conv_in.weight"] = torch.full_like(tensors["conv_in.weight"], 1e6)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (without_one, "of 686 weights 1 missing, such as conv_in.weight"),
        (with_one_more, "of 686 weights 1 unknown, such as extra.weight"),
        (with_another_name, "1 missing, such as conv_in.weight; 1 unknown, such as module.conv_in.weight"),
        (with_another_shape, "1 of another shape, such as conv_in.weight"),
        (too_large, "conv_in.weight in .* does not fit into half precision"),
    ],
)
def test_weights_of_another_network_are_refused(
    spoil: Callable[[dict[str, Tensor]], None], told: str, weights: Path, published: Published
) -> None:
    tensors = dict(published.unet.state_dict())
    spoil(tensors)
    torch.save(tensors, weights / "musetalk-1.5/unet.pth")
    with pytest.raises(WeightsCorrupt, match=told):
        convert("1.5", weights, size="tiny", view=Quiet())
    assert not converted_directory(weights, "1.5").exists()
    assert not list(weights.glob(".converting-*"))


def test_the_description_of_another_network_is_refused(weights: Path) -> None:
    (weights / "sd-vae-ft-mse/config.json").write_text(json.dumps(VAE_COMMON | VAE["tiny"] | {"latent_channels": 16}))
    with pytest.raises(WeightsCorrupt, match=r"config.json describes another network .* \(latent_channels\)"):
        convert("1.5", weights, size="tiny", view=Quiet())


class Malicious:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("way", ["zip", "old", "pickle"])
def test_a_pickle_that_wants_to_run_something_is_refused_and_does_not(way: str, tmp_path: Path) -> None:
    path, trace = tmp_path / "unet.pth", tmp_path / "trace"
    held = {"conv_in.weight": torch.zeros(1), "evil": Malicious(trace)}
    if way == "pickle":
        path.write_bytes(pickle.dumps(Malicious(trace)))
    else:
        torch.save(held, path, _use_new_zipfile_serialization=way == "zip")
    with pytest.raises(WeightsCorrupt, match="wants to run something when it is opened and was refused"):
        read_tensors(path)
    assert not trace.exists()


@pytest.mark.parametrize("name", ["unet.pth", "unet.bin", "unet.safetensors"])
def test_weights_are_read_from_every_published_format_and_damage_is_seen(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    tensors = {"weight": noise(300, 300)}
    save_file(tensors, path) if name.endswith("safetensors") else torch.save(tensors, path)
    assert torch.equal(read_tensors(path)["weight"], tensors["weight"])
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(WeightsCorrupt, match=f"{name} (is damaged|wants to run something)"):
        read_tensors(path)


def test_weights_in_the_format_before_zip_are_read(tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    torch.save({"weight": noise(3, 3)}, path, _use_new_zipfile_serialization=False)
    assert torch.equal(read_tensors(path)["weight"], noise(3, 3))


def test_a_checkpoint_that_holds_more_than_weights_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {"weight": noise(3, 3)}, "step": 3}, tmp_path / "unet.pth")
    with pytest.raises(WeightsCorrupt, match="does not hold the weights of one network"):
        read_tensors(tmp_path / "unet.pth")


def test_nothing_converted_is_one_sentence_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"run `python -m models convert --fetch musetalk-1.5`\.$"):
        load_networks(tmp_path)


def test_only_files_that_the_manifest_names_are_loaded(spoilt: Path) -> None:
    flip_a_byte(converted_directory(spoilt, "1.5") / "unet.safetensors")
    with pytest.raises(WeightsCorrupt, match=r"unet\.safetensors in .* is not the file that its manifest names"):
        load_networks(spoilt)
    (converted_directory(spoilt, "1.5") / "vae.safetensors").unlink()
    with pytest.raises(WeightsCorrupt, match=r"vae\.safetensors in .* is not the file that its manifest names"):
        load_encoder(spoilt)


def another_model(manifest: dict[str, Any]) -> None:
    manifest["model"] = "musetalk-1.0"


def another_format(manifest: dict[str, Any]) -> None:
    manifest["format"] = 99


def a_file_elsewhere(manifest: dict[str, Any]) -> None:
    manifest["files"]["../unet.safetensors"] = manifest["files"].pop("unet.safetensors")


def no_files(manifest: dict[str, Any]) -> None:
    del manifest["files"]


def an_unknown_size(manifest: dict[str, Any]) -> None:
    manifest["size"] = "huge"


@pytest.mark.parametrize("change", [another_model, another_format, a_file_elsewhere, no_files, an_unknown_size])
def test_a_manifest_that_was_tampered_with_is_refused(change: Callable[[dict[str, Any]], None], spoilt: Path) -> None:
    path = converted_directory(spoilt, "1.5") / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    with pytest.raises(WeightsCorrupt, match=r"manifest.json is not one that this program writes; run"):
        load_networks(spoilt)


def test_files_of_another_size_than_the_manifest_says_do_not_fit(spoilt: Path) -> None:
    path = converted_directory(spoilt, "1.5") / "manifest.json"
    path.write_text(path.read_text().replace('"tiny"', '"full"'))
    with pytest.raises(WeightsCorrupt, match=r"unet\.safetensors in .* does not fit this program"):
        load_networks(spoilt)


def test_the_program_converts(
    weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def tiny(version: Version, directory: Path, **options: Any) -> Path:
        return convert(version, directory, size="tiny", view=Quiet(), **options)

    monkeypatch.setattr(conversion, "convert", tiny)
    assert main(["convert", "--dir", str(weights)]) == 0
    assert main(["convert", "musetalk-1.0", "--dir", str(weights)]) == 0
    assert is_converted("1.5", weights)
    assert is_converted("1.0", weights)
    shutil.rmtree(weights)
    assert main(["convert", "--dir", str(weights)]) == 1
    assert "run `python -m models convert --fetch musetalk-1.5" in capsys.readouterr().err


def test_converting_without_the_extra_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "models.face.musetalk.conversion", None)
    assert main(["convert", "--dir", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("Converting needs the package")
