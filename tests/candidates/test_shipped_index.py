"""The index that comes with lead-hub: every fact of it against timm's registry or a page that names the checkpoint."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import timm
import transformers

from lead_hub.candidates import IndexQuery, read_candidates, read_model_index
from lead_hub.candidates.index_query import PRESETS, query_index
from lead_hub.candidates.model_index import IndexEntry, shipped_model_index
from lead_hub.checkpoint_outputs.depths import FAMILY_BLOCKS, FAMILY_BLOCKS_BY_SETTINGS
from lead_hub.labelled_images.rgb import STORED_SHORT_SIDE_PX
from tests.candidates.timm_facts import INDEX, built, registered, timm_entries

ENTRIES = read_model_index(shipped_model_index()).entries
TIMM = timm_entries(read_model_index(shipped_model_index()))
# The file as it is, without our reader.
LINES: list[dict[str, Any]] = json.loads(INDEX.read_text(encoding="utf-8"))["candidates"]

# Where a checkpoint of transformers is named: a file of the installed transformers, or a page; the page tells the
# licence, None where there is none that does.
HUB = "https://huggingface.co"
NAMED_AT: dict[str, tuple[str, str | None]] = {
    "facebook/dinov2-small": (f"{HUB}/facebook/dinov2-small/tree/main", "apache-2.0"),
    "facebook/dinov2-base": (f"{HUB}/facebook/dinov2-base/tree/c73891fc3a90e8fe9ffead361cec7058e0319f03", "apache-2.0"),
    "facebook/dinov2-with-registers-small": (f"{HUB}/facebook/dinov2-with-registers-small", None),
    "facebook/dinov2-with-registers-base": ("models/dinov2_with_registers/modeling_dinov2_with_registers.py", None),
    "google/vit-base-patch16-224-in21k": (f"{HUB}/google/vit-base-patch16-224-in21k/tree/main", "apache-2.0"),
    "google/vit-base-patch16-224": (f"{HUB}/google/vit-base-patch16-224/tree/main", "apache-2.0"),
    "microsoft/swin-tiny-patch4-window7-224": (f"{HUB}/microsoft/swin-tiny-patch4-window7-224/tree/main", "apache-2.0"),
    "microsoft/resnet-50": (f"{HUB}/microsoft/resnet-50/tree/0fe442794ea5bd246134a8e9481aaceed764b953", "apache-2.0"),
}


def ids(lines: list[dict[str, Any]]) -> list[str]:
    return [line["id"] for line in lines]


def asked(query: IndexQuery) -> list[str]:
    return [entry.id for entry in query_index(query).candidates]


def chosen_for(name: str) -> list[dict[str, Any]]:
    return [line for line in LINES if name in line.get("chosen_for", [])]


def test_both_places_hold_the_same_index() -> None:
    assert shipped_model_index().read_bytes() == INDEX.read_bytes()


def test_two_hundred_checkpoints_of_many_families() -> None:
    assert 195 <= len(ENTRIES) <= 210
    assert len(set(ids(LINES))) == len(LINES)
    families = {entry.family for entry in ENTRIES}
    assert len(families) >= 50
    expected = {"dinov3", "dinov2", "pe", "tipsv2", "radio", "aimv2", "siglip", "clip", "beit", "deit", "eva"}
    expected |= {"mobilenetv4", "repvit", "tinyvit", "fastvit", "hgnet_v2", "efficientvit", "caformer", "convformer"}
    expected |= {"maxvit", "davit", "hiera", "convnext", "convnextv2", "swin", "swinv2", "regnet", "resnet", "bit"}
    expected |= {"nfnet", "levit", "pvt", "focalnet", "efficientnet", "vit", "resnest", "mobilenet_v3"}
    assert expected <= families
    assert max(Counter(families).values()) <= len(ENTRIES) / 10


def test_what_an_expert_would_try_first_is_there() -> None:
    """By checkpoint: a family's name is kept by its older members as well."""
    expected = {
        *("vit_small_patch16_dinov3.lvd1689m", "vit_base_patch16_dinov3.lvd1689m", "convnext_tiny.dinov3_lvd1689m"),
        *("vit_pe_core_base_patch16_224.fb", "vit_pe_spatial_base_patch16_512.fb", "eva02_base_patch14_224.mim_in22k"),
        *("vit_base_patch14_reg1_tipsv2.webli", "vit_so400m_patch16_radio_v4.c_radio", "beit3_base_patch16_224.pt"),
        *("aimv2_large_patch14_224.apple_pt_dist", "vit_base_patch16_siglip_224.v2_webli", "davit_tiny.msft_in1k"),
        *("deit3_base_patch16_224.fb_in22k_ft_in1k", "mobilenetv4_conv_medium.e500_r256_in1k"),
        *("repvit_m1_1.dist_450e_in1k", "tiny_vit_21m_224.dist_in22k_ft_in1k", "fastvit_mci2.apple_mclip2_dfndr2b"),
        *("hgnetv2_b4.ssld_stage2_ft_in1k", "efficientvit_b2.r256_in1k", "caformer_s18.sail_in22k_ft_in1k"),
        *("maxvit_tiny_tf_224.in1k", "hiera_small_abswin_256.sbb2_e200_in12k_ft_in1k"),
    }
    assert {f"timm/{name}" for name in expected} <= set(ids(LINES))


def test_images_are_kept_as_large_as_any_checkpoint_wants_them() -> None:
    settings = [timm.get_pretrained_cfg(entry.id.removeprefix("timm/")) for entry in TIMM]
    assert 384 < max(max(found.input_size) for found in settings if found) <= STORED_SHORT_SIDE_PX


def test_one_recipe_of_a_network_and_a_pretraining() -> None:
    """The same architecture comes twice only where it learnt from something else."""
    seen = Counter((entry.architecture, entry.pretraining) for entry in TIMM)
    assert [pair for pair, count in seen.items() if count > 1] == []


@pytest.mark.slow
@pytest.mark.parametrize("entry", TIMM, ids=lambda entry: str(entry.id))
def test_timm_lists_the_checkpoint(entry: IndexEntry) -> None:
    name = entry.id.removeprefix("timm/")
    assert name in timm.list_pretrained()
    pretrained_cfg = timm.get_pretrained_cfg(name)
    assert pretrained_cfg.hf_hub_id == entry.id
    assert pretrained_cfg.license
    assert entry == registered(entry)


# What only the network itself tells takes 0.4 s a checkpoint.
@pytest.mark.slow
@pytest.mark.parametrize("entry", TIMM, ids=lambda entry: str(entry.id))
def test_the_network_is_as_large_as_the_index_says_and_its_blocks_are_known(entry: IndexEntry) -> None:
    facts = built(entry)
    assert (facts.parameters, facts.multiply_adds) == (entry.parameters, entry.multiply_adds)
    assert facts.features == (1, facts.announced_features)
    # Whoever is ranked without being named is asked at several depths, and so is every other but one.
    if entry.architecture == "hrnet_w18":
        assert "default" not in entry.chosen_for
        assert facts.asked_blocks == "none: no rule says where the blocks of HighResolutionNet are"
        return
    assert facts.asked_blocks.startswith("blocks 1, ")
    assert len(facts.depths) == 4
    assert {shape[0] for shape in facts.depths} == {1}


def test_checkpoints_of_transformers_are_asked_at_several_depths() -> None:
    families = {line["model_type"] for line in LINES if line["library"] == "transformers"}
    assert families <= set(FAMILY_BLOCKS) | set(FAMILY_BLOCKS_BY_SETTINGS)


@pytest.mark.parametrize(
    ("checkpoint", "millions", "billions"),
    [
        # As their papers print them: parameters, multiply-adds at the size of their evaluation.
        ("timm/resnet50.a1_in1k", 25.6, 4.1),  # He et al. 2016 in PyTorch's form, stride in the 3 x 3 convolution
        ("timm/vit_base_patch16_224.augreg2_in21k_ft_in1k", 86.6, 17.6),  # Touvron et al. 2021, table 5
        ("timm/convnext_tiny.fb_in1k", 28.6, 4.5),  # Liu et al. 2022, table 1
        ("timm/swin_base_patch4_window7_224.ms_in22k_ft_in1k", 88, 15.4),  # Liu et al. 2021, table 1
        ("timm/efficientnet_b0.ra4_e3600_r224_in1k", 5.3, 0.39),  # Tan and Le 2019, table 2
        ("timm/mobilenetv2_100.ra_in1k", 3.4, 0.3),  # Sandler et al. 2018, table 4
    ],
)
def test_sizes_are_those_of_the_papers(checkpoint: str, millions: float, billions: float) -> None:
    (line,) = [line for line in LINES if line["id"] == checkpoint]
    assert line["parameters"] / 1e6 == pytest.approx(millions, rel=0.04)
    assert line["multiply_adds"] / 1e9 == pytest.approx(billions, rel=0.04)


def test_every_checkpoint_of_transformers_is_named_somewhere() -> None:
    lines = {line["id"]: line for line in LINES if line["library"] == "transformers"}
    assert set(lines) == set(NAMED_AT)
    sources = Path(transformers.__file__).parent
    for checkpoint, (place, licence) in NAMED_AT.items():
        assert lines[checkpoint].get("licence") == licence, checkpoint
        if place.startswith(HUB):
            assert place.removeprefix(f"{HUB}/").startswith(checkpoint)
        else:
            assert f'"{checkpoint}"' in (sources / place).read_text(encoding="utf-8")
        architecture, model_type = lines[checkpoint]["architecture"], lines[checkpoint]["model_type"]
        assert getattr(transformers, architecture).config_class.model_type == model_type


def test_how_each_was_pretrained_agrees_with_what_kind_that_is() -> None:
    marks = {
        "supervised": ("supervised", "distilled from CLIP and supervised"),
        "weakly supervised": ("semi-weakly", "weakly", "Noisy Student"),
        "self-supervised": ("DINO", "MAE", "FCMAE", "EVA-02", "BEiT"),
        "image-text": (
            *("CLIP", "MetaCLIP", "TinyCLIP", "MobileCLIP", "EVA-CLIP", "SigLIP", "PE", "AIMv2", "TIPSv2"),
            "BEiT-3",
        ),
        "distilled": ("C-RADIO", "EUPE"),
        "self-supervised, then supervised": ("BEiT", "EVA", "FCMAE", "MAE"),
        "image-text, then supervised": ("CLIP", "BEiT-3"),
    }
    for line in LINES:
        kind, words = line["pretraining_kind"], line["pretraining"]
        assert words.startswith(marks[kind]), line["id"]
        assert (", then" in words and not kind.endswith("supervised")) is False, line["id"]
        if kind.endswith(", then supervised"):
            assert ", then supervised on" in words, line["id"]


def test_what_is_ranked_by_default_is_affordable_and_varied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAD_HUB_MODEL_INDEX", str(INDEX))
    default = chosen_for("default")
    assert [candidate.checkpoint for candidate in read_candidates()] == ids(default)
    assert 50 <= len(default) <= 71  # no more than were ranked when the index was that small
    # All weights are known: no more to download (at 4 bytes each) than 2.85 billion, those of that index.
    assert sum(line["parameters"] for line in default) < 2_846_937_598
    assert max(line["parameters"] for line in default) <= 105_000_000
    assert {line["pretraining_kind"] for line in default} >= {"supervised", "self-supervised", "image-text"}
    assert max(Counter(line["family"] for line in default).values()) <= len(default) / 6
    # They come first, so that a limit takes the first of these.
    assert ids(LINES)[: len(default)] == ids(default)


def test_preset_small() -> None:
    small = [line for line in LINES if line.get("parameters") and line["parameters"] <= 10_000_000]
    assert asked(IndexQuery.preset("small")) == ids(small)
    assert {"timm/repvit_m0_9.dist_450e_in1k", "timm/efficientnet_b0.ra4_e3600_r224_in1k"} <= set(ids(small))
    assert "timm/resnet18.a1_in1k" not in ids(small)  # 11.7 million
    assert len(small) >= 25


def test_preset_fast() -> None:
    fast = [line for line in LINES if line.get("multiply_adds") and line["multiply_adds"] <= 1_500_000_000]
    assert asked(IndexQuery.preset("fast")) == ids(fast)
    assert {"timm/efficientnet_b0.ra4_e3600_r224_in1k", "timm/levit_256.fb_dist_in1k"} <= set(ids(fast))
    assert "timm/resnet50.a1_in1k" not in ids(fast)  # 4.1 billion
    assert len(fast) >= 25


def test_preset_best() -> None:
    best = chosen_for("best")
    assert asked(IndexQuery.preset("best")) == ids(best)
    assert 25 <= len(best) <= 40
    assert min(line["parameters"] for line in best) >= 80_000_000
    # Either its accuracy on ImageNet-1k is high, or it never was a classifier of it and learnt from more than that.
    assert min(line["imagenet_top1_percent"] for line in best if "imagenet_top1_percent" in line) >= 85
    frozen = [line for line in best if "imagenet_top1_percent" not in line]
    assert {line["pretraining_kind"] for line in frozen} == {"self-supervised", "image-text", "distilled"}
    assert not [line["id"] for line in frozen if line["pretraining"].endswith("ImageNet-1k")]
    assert {"dinov3", "siglip", "pe", "eva", "clip", "convnext", "tipsv2", "radio", "aimv2", "beit"} <= {
        line["family"] for line in best
    }


def test_preset_self_supervised() -> None:
    found = asked(IndexQuery.preset("self-supervised"))
    assert found == ids([line for line in LINES if line["pretraining_kind"] == "self-supervised"])
    assert {"timm/vit_base_patch16_224.mae", "timm/vit_small_patch16_224.dino", "facebook/dinov2-base"} <= set(found)
    assert "timm/convnext_large.dinov3_lvd1689m" in found
    assert not [name for name in found if "_ft_" in name or "clip" in name or "siglip" in name]
    assert len(found) >= 20


def test_preset_permissive_and_how_many_it_leaves_out() -> None:
    found = query_index(IndexQuery.preset("permissive"))
    default = chosen_for("default")
    permissive = [line for line in default if line.get("licence") in {"apache-2.0", "mit", "bsd-3-clause"}]
    assert [entry.id for entry in found.candidates] == ids(permissive)
    assert found.n_left_out == {
        "not among those chosen": len(LINES) - len(default),
        "licence not allowed": len(default) - len(permissive),
    }
    # DINOv3 and ConvNeXt V2 may not be used for everything.
    left_out = set(ids(default)) - set(ids(permissive))
    assert {"timm/vit_small_patch16_dinov3.lvd1689m", "timm/convnextv2_nano.fcmae_ft_in22k_in1k"} <= left_out


def test_a_permissive_licence_of_the_whole_index() -> None:
    found = query_index(IndexQuery(licences=("permissive",)))
    licences = Counter(line.get("licence") for line in LINES)
    allowed = {"apache-2.0", "mit", "bsd-3-clause"}
    assert len(found.candidates) == sum(licences[name] for name in allowed)
    assert found.n_left_out == {"licence not allowed": sum(n for name, n in licences.items() if name not in allowed)}
    assert {entry.licence for entry in found.candidates} == allowed
    # Not for money, of their own terms, or of none that are known.
    details = {each.detail for each in found.left_out}
    assert {"cc-by-nc-4.0", "dinov3-license", "apple-amlr", "nvidia-open-model-license", "names none"} <= details


def test_the_readme_shows_what_each_preset_holds() -> None:
    """Checkpoints, and bytes of those weights that are known, at four a number."""
    text = (INDEX.parent / "lead_hub" / "candidates" / "README.md").read_text(encoding="utf-8")
    table = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")][2:]
    shown = {name.strip().strip("`"): (int(count), size.strip()) for name, _, count, size in table}
    parts = {"(none)": chosen_for("default")}
    for name in PRESETS:
        wanted = asked(IndexQuery.preset(name))
        parts[name] = [line for line in LINES if line["id"] in wanted]
    sizes = {name: sum(line.get("parameters", 0) for line in part) * 4 / 1e9 for name, part in parts.items()}
    assert shown == {name: (len(part), f"{sizes[name]:.1f} GB") for name, part in parts.items()}
    families = len({line["family"] for line in LINES})
    assert f"{len(parts['(none)'])} checkpoints of the {len(LINES)} of a curated index, of {families} families" in text
