"""What can go wrong on the way from packages to the matrix of real networks: formats, layouts, sides."""

import base64
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.numpy import save_file
from transformers import ResNetForImageClassification

from lead_hub.bench import REAL_MATRIX_FOLDER
from lead_hub.bench.matrix_files import read_checkpoints, read_runs, read_targets
from lead_hub.bench.stored_outputs import packed, read_outputs, stored_checkpoints
from tests.benchmarks.ground_truth.outputs import stored_rows
from tests.benchmarks.real_matrix import layouts, sides, texture_copies, thin_resnet
from tests.benchmarks.real_matrix.checkpoints import POOL, SOURCES, Checkpoint
from tests.benchmarks.real_matrix.finetuning import planned_runs
from tests.benchmarks.real_matrix.picture_credits import Credit, read_credits
from tests.benchmarks.real_matrix.pool import is_reset, shuffled
from tests.benchmarks.real_matrix.qt_resources import ResourceError, read_resources
from tests.benchmarks.real_matrix.sky_catalogue import SkyObject, galaxy_class, parse_catalogue, sky_class
from tests.benchmarks.real_matrix.targets import TARGETS


def resource_file(*, version: int) -> bytes:
    """A folder "a" with "b.txt" (plain) and "c.txt" (by zlib), put together by hand after Qt's description."""
    names = b"".join(struct.pack(">HI", len(name), 0) + name.encode("utf-16-be") for name in ("a", "b.txt", "c.txt"))
    packed = struct.pack(">I", 3) + zlib.compress(b"two")
    data = struct.pack(">I", 3) + b"one" + struct.pack(">I", len(packed)) + packed
    time = bytes(8) if version > 1 else b""
    root = struct.pack(">IHII", 0, 2, 1, 1) + time
    folder = struct.pack(">IHII", 0, 2, 2, 2) + time
    plain = struct.pack(">IHHHI", 8, 0, 0, 0, 0) + time
    zipped = struct.pack(">IHHHI", 8 + 16, 1, 0, 0, 7) + time
    head = 4 + 4 * (4 if version < 3 else 5)
    tree = root + folder + plain + zipped
    places = struct.pack(">4I", version, head + len(names) + len(data), head + len(names), head)
    return b"qres" + places + (bytes(4) if version > 2 else b"") + names + data + tree


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_resource_file_gives_its_files(version: int) -> None:
    assert read_resources(resource_file(version=version)) == {"a/b.txt": b"one", "a/c.txt": b"two"}


def test_other_files_are_no_resource_files() -> None:
    with pytest.raises(ResourceError, match="begins with"):
        read_resources(b"PK\x03\x04" + bytes(40))
    with pytest.raises(ResourceError, match="version"):
        read_resources(b"qres" + struct.pack(">4I", 9, 0, 0, 0))


def text(value: str) -> bytes:
    return struct.pack(">I", 2 * len(value)) + value.encode("utf-16-be")


def sky_record(*, kind: int, shape: str, ngc: int = 0, messier: int = 0) -> bytes:
    numbers = [ngc, 0, messier, *[0] * 11]
    return (
        struct.pack(">IddddI", 1, 0.0, 0.0, 99.0, 9.0, kind)
        + text(shape)
        + struct.pack(">ddIdddddd", *[0.0] * 2, 0, *[0.0] * 6)
        + struct.pack(">14I", *numbers)
        + text("")
        + bytes(8)
        + 7 * text("")
        + bytes(20)
    )


def test_a_picture_is_named_after_an_object_of_the_catalogue() -> None:
    records = sky_record(kind=0, shape="SAB(rs)bc", ngc=1300) + sky_record(kind=7, shape="V", messier=13)
    catalogue = parse_catalogue(text("3.16") + text("standard") + records)
    assert catalogue.named("n1300-vasey") == SkyObject(0, "SAB(rs)bc")
    assert catalogue.named("m13") == SkyObject(7, "V")
    assert catalogue.named("m13dumont") == SkyObject(7, "V")
    assert catalogue.named("n1300-1") is None, "a picture of several objects, or a part of one"
    assert catalogue.named("lmc_01") is None


def test_classes_of_the_sky() -> None:
    assert sky_class(SkyObject(11, "")) == "planetary_nebula"
    assert sky_class(SkyObject(5, "")) is None
    shapes = {"E2": "elliptical_or_lenticular", "SB(rs)0-": "elliptical_or_lenticular", "IB(s)m": "irregular"}
    shapes |= {"(R)SB(r)ab": "barred_spiral", "SAB(s)c": "weakly_barred_spiral", "SA(s)m": "ordinary_spiral"}
    for shape, expected in shapes.items():
        assert galaxy_class(SkyObject(0, shape)) == expected
    assert galaxy_class(SkyObject(0, "9")) is None
    assert galaxy_class(SkyObject(7, "E2")) is None


def test_a_tensorflow_kernel_gives_the_same_sums() -> None:
    """Against a convolution in plain loops over TensorFlow's order of axes."""
    chance = np.random.default_rng(0)
    kernel, picture = chance.normal(size=(3, 3, 2, 4)), chance.normal(size=(3, 3, 2))
    expected = [
        sum(picture[i, j, c] * kernel[i, j, c, o] for i in range(3) for j in range(3) for c in range(2))
        for o in range(4)
    ]
    weight = layouts.convolution_kernel(kernel, is_depthwise=False).double()
    found = torch.nn.functional.conv2d(torch.from_numpy(picture).permute(2, 0, 1)[None], weight)
    np.testing.assert_allclose(found.flatten(), expected, rtol=1e-5)


def test_a_depthwise_kernel_has_one_plane_a_channel() -> None:
    kernel = np.arange(18.0).reshape(3, 3, 2, 1)
    weight = layouts.convolution_kernel(kernel, is_depthwise=True)
    assert weight.shape == (2, 1, 3, 3)
    assert weight[1, 0, 2, 0] == kernel[2, 0, 1, 0]


def test_every_weight_of_a_mobilenet_has_its_place() -> None:
    network = timm.create_model("mobilenetv2_100", num_classes=3)
    expected = {name: tuple(weight.shape) for name, weight in network.state_dict().items()}
    theirs: dict[str, np.ndarray] = {"dense/kernel": np.zeros((1280, 3)), "dense/bias": np.zeros(3)}
    for layer, (convolution, norm) in layouts._mobilenet_layers().items():
        out, into, *sides_of_it = expected[f"{convolution}.weight"]
        is_depthwise = "depthwise" in layer
        shape = (*sides_of_it, out, 1) if is_depthwise else (*sides_of_it, into, out)
        theirs[f"{layer}/{'depthwise_kernel' if is_depthwise else 'kernel'}"] = np.zeros(shape)
        for name in layouts.BATCH_NORM:
            theirs[f"{layouts._norm_of(layer)}/{name}"] = np.zeros(expected[f"{norm}.weight"])
    renamed = layouts.mobilenet_v2(theirs, head="dense")
    assert {name: tuple(weight.shape) for name, weight in renamed.items()} == expected


def test_quantised_scripts_are_unpacked(tmp_path: Path) -> None:
    weights = [
        {
            "name": "a/kernel",
            "shape": [2, 2],
            "dtype": "float32",
            "quantization": {"min": -0.5, "scale": 0.25, "dtype": "uint8"},
        },
        {"name": "a/bias", "shape": [1], "dtype": "float32"},
    ]
    minified = json.dumps(weights).replace(" ", "").replace("0.", ".")
    for name in ("name", "shape", "dtype", "quantization", "min", "scale"):
        minified = minified.replace(f'"{name}":', f"{name}:")
    (tmp_path / "model.min.js").write_text(f"x={{weightsManifest:[{{paths:['group1-shard1of2'],weights:{minified}}}]}}")
    content = bytes([0, 1, 2, 4]) + struct.pack("<f", 7.5)
    for number, part in enumerate((content[:3], content[3:]), start=1):
        script = f'h.exports="{base64.b64encode(part).decode()}"'
        (tmp_path / f"group1-shard{number}of2.min.js").write_text(script)
    found = layouts.tensorflow_js(tmp_path)
    np.testing.assert_array_equal(found["a/kernel"], [[-0.5, -0.25], [0.0, 0.5]])
    np.testing.assert_array_equal(found["a/bias"], [7.5])


def test_a_reset_keeps_the_first_stages_and_nothing_behind() -> None:
    checkpoint = Checkpoint("x", "y", "lite0", "reset", 4)
    names = ["conv_stem.weight", "blocks.3.0.bn1.bias", "blocks.4.0.bn1.bias", "conv_head.weight", "bn2.weight"]
    assert [is_reset(name, checkpoint) for name in names] == [False, False, True, True, True]
    assert not is_reset("blocks.6.0.bn1.bias", Checkpoint("x", "y", "lite0"))


def test_a_thin_resnet_has_a_name_for_every_convolution_and_norms_that_only_add() -> None:
    network = ResNetForImageClassification(thin_resnet.thin_config(2))
    expected = {name.removesuffix(".convolution.weight") for name in network.state_dict() if "convolution" in name}
    assert {f"resnet.{name}" for name in thin_resnet.layer_names()} == expected
    kernel, bias = np.ones((4, 2, 1, 1), np.float32), np.array([0.5, -1.0, 2.0, 0.0], np.float32)
    norm = torch.nn.BatchNorm2d(4).eval()
    weights = thin_resnet.folded("x", kernel, bias)
    norm.load_state_dict(
        {name.removeprefix("x.normalization."): one for name, one in weights.items() if "norm" in name}
    )
    pixels = torch.rand(1, 4, 3, 3)
    torch.testing.assert_close(norm(pixels), pixels + torch.from_numpy(bias)[None, :, None, None])
    assert is_reset(
        "resnet.encoder.stages.2.layers.0.shortcut.convolution.weight", Checkpoint("x", "y", "z", "reset", 2)
    )


def test_shuffled_weights_are_the_same_numbers_elsewhere() -> None:
    weights = {"kernel": torch.arange(24.0).view(2, 3, 4), "bias": torch.arange(3.0)}
    changed = shuffled(weights)
    assert sorted(changed["kernel"].flatten()) == list(range(24))
    assert not torch.equal(changed["kernel"], weights["kernel"])
    assert torch.equal(changed["bias"], weights["bias"])


def textures(count: int) -> list[np.ndarray]:
    chance = np.random.default_rng(1)
    return [chance.integers(0, 256, size=(160, 160, 3), dtype=np.uint8) for _ in range(count)]


def test_a_texture_is_found_again_shifted_turned_mirrored_and_in_other_colours() -> None:
    pictures = textures(3)
    shifted = np.roll(pictures[0], (30, -47), axis=(0, 1))
    turned = np.rot90(pictures[1])
    mirrored = (0.3 * pictures[2][:, ::-1] + [90, 30, 0]).astype(np.uint8)
    found = texture_copies.same_textures([*pictures, shifted, turned, mirrored])
    assert found == [(0, 3), (1, 4), (2, 5)]


def test_no_photograph_stands_on_both_sides() -> None:
    pictures = textures(20)
    pictures += [np.roll(picture, 9, axis=0) for picture in pictures[:6]]
    labels = [["a", "b"][number % 2] for number in range(len(pictures))]
    kept = sides.without_copies(pictures, labels, are_textures=True)
    assert kept == list(range(20))
    parts = sides.split([labels[one] for one in kept], test_share=0.4, most_a_class=8, seed=0)
    assert not set(parts.train) & set(parts.test)
    assert (len(parts.train), len(parts.test)) == (2 * 5, 2 * 3)


README = """Copyright: A. Maker
Source: https://example.org/1
License: CC0-1.0
Files:
one.webp
b/two.webp

Copyright: Somebody Else
License: CC-BY-SA-4.0
Comments: cropping
Files: three.webp
"""


def test_a_readme_says_who_took_a_picture() -> None:
    found = read_credits({"x/README": README.encode(), "x/one.webp": b""})
    assert found == {
        "x/one.webp": Credit("A. Maker", "CC0-1.0", "https://example.org/1"),
        "x/b/two.webp": Credit("A. Maker", "CC0-1.0", "https://example.org/1"),
        "x/three.webp": Credit("Somebody Else", "CC-BY-SA-4.0", ""),
    }


def test_outputs_packed_into_bytes_are_read_as_they_were_to_half_a_step(tmp_path: Path) -> None:
    features = np.random.default_rng(0).normal(size=(7, 5)) * [1e-3, 1.0, 1e3, 0.0, 5.0] + 2
    codes, of_columns = packed(features)
    assert codes.dtype == np.uint8
    (tmp_path / "outputs").mkdir()
    tensors = {"labels": np.zeros(7, np.int16), "net.features": codes, "net.features.range": of_columns}
    save_file(tensors, tmp_path / "outputs/target.safetensors")
    found = read_outputs(tmp_path, "target", "net")
    assert found.logits is None
    half_steps = np.ptp(features, axis=0) / 255 / 2
    assert (np.abs(found.features - features) <= half_steps + 1e-6 * np.abs(features)).all()


def test_stored_rows_are_taken_from_every_class_in_turn() -> None:
    labels = np.repeat([0, 1, 2], [200, 30, 4])
    rows = stored_rows(labels, 120)
    assert np.bincount(labels[rows]).tolist() == [86, 30, 4]


def test_the_stored_matrix_holds_what_the_tables_name() -> None:
    assert [one.name for one in read_checkpoints(REAL_MATRIX_FOLDER)] == [checkpoint.name for checkpoint in POOL]
    targets = read_targets(REAL_MATRIX_FOLDER)
    assert [one.name for one in targets] == [target.name for target in TARGETS]
    for target in targets:
        assert stored_checkpoints(REAL_MATRIX_FOLDER, target.name) == {checkpoint.name for checkpoint in POOL}
        labels = read_outputs(REAL_MATRIX_FOLDER, target.name, POOL[0].name).labels
        assert len(np.unique(labels)) == target.n_classes
        assert 100 <= target.n_train <= 600
        assert 4 <= target.n_classes <= 20
    planned = {(run.target, run.checkpoint) for run in planned_runs()}
    assert {(run.target, run.checkpoint) for run in read_runs(REAL_MATRIX_FOLDER)} <= planned


def test_the_tables_name_everything_once() -> None:
    assert len({checkpoint.name for checkpoint in POOL}) == len(POOL) >= 12
    assert len({target.name for target in TARGETS}) == len(TARGETS) >= 6
    assert {checkpoint.package for checkpoint in POOL} <= SOURCES.keys()
