"""What the trainings of a candidate are made of: model input of all images, and a fresh network for each."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lead_hub.checkpoint_files import CheckpointFiles
from lead_hub.extraction import ExtractionSettings, extract
from lead_hub.finetuning.caches import Caches
from lead_hub.finetuning.image_parts import FineTuningImages, image_parts
from lead_hub.finetuning.model_inputs import HeldInputs, ModelInputs, Part, Parts, pixel_inputs
from lead_hub.finetuning.network import Backbone, Network, Place, Standardisation, count_features
from lead_hub.finetuning.settings import Mode
from lead_hub.labelled_images import LabelledImages
from lead_hub.loaded_checkpoint import load_checkpoint
from lead_hub.processes import on_every_process, on_main_process
from lead_hub.provenance import cache_key


@dataclass(frozen=True, eq=False)
class Material:
    """What all trainings of one checkpoint share.

    Attributes:
        files: of the checkpoint.
        train: model input of the train images: pixels, or for a probe the frozen backbone's features.
        test: model input of the test images; the same as `train` where the test part is held out of it.
        n_features: length of the feature vector.
        mode: what learns.
        allow_pickle: whether pickled weights may be read.
    """

    files: CheckpointFiles
    train: ModelInputs
    test: ModelInputs
    n_features: int
    mode: Mode
    allow_pickle: bool


def find_material(
    files: CheckpointFiles, images: FineTuningImages, *, mode: Mode, caches: Caches, place: Place
) -> Material:
    """Prepare the pixels of all images, or take their features from the cache or the backbone.

    Raises:
        CandidateError: the checkpoint cannot be loaded or does not take the images.
    """
    if mode == "probe":
        return feature_material(files, images, caches=caches, place=place)
    allow_pickle = caches.hub.allow_pickle

    def prepared() -> Material:
        checkpoint = load_checkpoint(files.folder, allow_pickle=allow_pickle)
        train = pixel_inputs(checkpoint, images.train.pixels)
        test = train if images.test is None else pixel_inputs(checkpoint, images.test.pixels)
        first = next(train.batches([0], 1))
        n_features = count_features(checkpoint, first)
        return Material(files, train, test, n_features, mode=mode, allow_pickle=allow_pickle)

    return on_every_process(prepared, place.state)


def feature_material(files: CheckpointFiles, images: FineTuningImages, *, caches: Caches, place: Place) -> Material:
    """As `find_material`, for the probe."""
    train = features_of(files, images.train, caches=caches, place=place)
    test = train if images.test is None else features_of(files, images.test, caches=caches, place=place)
    n_features, allow_pickle = train.shape[1], caches.hub.allow_pickle
    return Material(files, HeldInputs(train), HeldInputs(test), n_features, mode="probe", allow_pickle=allow_pickle)


def features_of(
    files: CheckpointFiles, images: LabelledImages, *, caches: Caches, place: Place
) -> Float[Tensor, "image feature"]:
    """Features of the images: those that `recommend` kept, or from a forward pass, which are kept for it."""
    state, n_images = place.state, len(images.labels)
    key = on_every_process(lambda: cache_key(files, images, dtype=place.dtype), state)
    outputs = on_main_process(lambda: caches.outputs.read(key, n_images=n_images), state)
    if outputs is None:
        checkpoint = on_every_process(
            lambda: load_checkpoint(files.folder, allow_pickle=caches.hub.allow_pickle), state
        )
        outputs = extract(
            checkpoint, images.pixels, state=state, settings=ExtractionSettings(), advance=lambda _n: None
        )
        if state.is_main_process:
            caches.outputs.write(key, outputs)
    return outputs.features.clone()  # a tensor of inference mode cannot be trained on


def parts_of(images: FineTuningImages, material: Material, *, seed: int) -> Parts:
    """The images of one training."""
    chosen, labels = image_parts(images, seed=seed), torch.from_numpy(images.train.labels)
    return Parts(
        fit=Part(material.train, chosen.fit, labels[chosen.fit]),
        validation=Part(material.train, chosen.validation, labels[chosen.validation]),
        test=Part(material.test, chosen.test, torch.from_numpy(chosen.test_labels)),
    )


def fresh_network(material: Material, fit: Part, *, n_classes: int, seed: int, place: Place) -> Network:
    """The checkpoint as it came, under a new head; sets torch's global seed.

    Args:
        material: of the checkpoint.
        fit: images to learn from; a probe's features are standardised over them.
        n_classes: of the target.
        seed: gives head and adapters their first weights, the same on every process.
        place: which device, and how many processes.

    Raises:
        CandidateError: the checkpoint cannot be loaded or takes no adapters.
    """
    torch.manual_seed(seed)
    trunk: nn.Module
    if material.mode == "probe":
        trunk = Standardisation(torch.cat(list(fit.inputs.batches(fit.positions.tolist(), len(fit)))))
    else:
        checkpoint = load_checkpoint(material.files.folder, allow_pickle=material.allow_pickle)
        trunk = Backbone(checkpoint, mode=material.mode)
    network = Network(trunk, n_features=material.n_features, n_classes=n_classes).to(place.device)
    # What is drawn while learning, for dropout, should not be the same on every process.
    torch.manual_seed(seed * place.state.num_processes + place.state.process_index)
    return network
