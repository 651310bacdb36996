"""Trains one recipe of the pool from random weights: with labels, by rotations, by SimCLR, or by hidden cells."""

import math
import time
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel

from .checkpoints import Recipe
from .composition import STRONG, TRAINING, composed
from .families import normalisation, untrained
from .sources import SourceTask

BATCH = 64
SIMCLR_TEMPERATURE = 0.2
SIMCLR_HIDDEN, SIMCLR_PROJECTION = 128, 64
HELD_OUT_EVERY = 7
HIDDEN_SHARE = 0.6
CELLS_PER_SIDE = 4


@dataclass(frozen=True)
class Pretrained:
    """A trained network with what its model card says of the training."""

    network: PreTrainedModel
    source_accuracy: float | None
    final_loss: float | None
    duration_s: float
    images_trained_on: int


def pretrain(recipe: Recipe, task: SourceTask, *, seed: int = 0) -> Pretrained:
    torch.manual_seed(seed)
    started = time.perf_counter()
    network = untrained(recipe.architecture, _head_names(recipe, task), pixels=task.rgba.shape[-1])
    held_out = torch.arange(len(task.labels)) % HELD_OUT_EVERY == 0
    train_rows = torch.nonzero(~held_out if recipe.method == "supervised" else held_out >= 0).flatten()
    loss = None
    if recipe.method != "random":
        loss = _train(network, recipe, task, train_rows=train_rows)
    accuracy = None
    if recipe.method == "supervised":
        accuracy = _accuracy(network, recipe, task, rows=torch.nonzero(held_out).flatten())
    return Pretrained(network, accuracy, loss, time.perf_counter() - started, len(train_rows) if recipe.steps else 0)


def _head_names(recipe: Recipe, task: SourceTask) -> tuple[str, ...]:
    if recipe.method == "rotation":
        return ("0 degrees", "90 degrees", "180 degrees", "270 degrees")
    if recipe.method == "simclr":
        return tuple(f"hidden {number}" for number in range(SIMCLR_HIDDEN))
    return task.class_names


def _train(network: PreTrainedModel, recipe: Recipe, task: SourceTask, *, train_rows: torch.Tensor) -> float:
    """AdamW, 5% warm-up, cosine to zero; returns the mean loss of the last twentieth of the steps."""
    generator = torch.Generator().manual_seed(1)
    projection = _projection(network, recipe, task)
    parameters = [*network.parameters(), *projection.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=0.05, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, recipe.steps))
    network.train().to(memory_format=torch.channels_last)  # depthwise convolutions: almost twice as fast on a CPU
    losses = []
    for _ in range(recipe.steps):
        size = 2 * BATCH if recipe.method == "simclr" else BATCH
        rows = train_rows[torch.randint(len(train_rows), (size,), generator=generator)]
        loss = _loss(network, recipe, task, rows=rows, generator=generator, projection=projection)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    network.eval().to(memory_format=torch.contiguous_format)
    last = losses[-max(1, recipe.steps // 20) :]
    return sum(last) / len(last)


def _projection(network: PreTrainedModel, recipe: Recipe, task: SourceTask) -> nn.Linear:
    """What only the self-supervised losses need: SimCLR's last layer, or the layer that paints hidden cells."""
    if recipe.method != "masked":
        return nn.Linear(SIMCLR_HIDDEN, SIMCLR_PROJECTION)
    side = task.rgba.shape[-1]
    with torch.no_grad():
        _, places, width = _place_vectors(network, torch.zeros(2, 3, side, side)).shape
    return nn.Linear(width, 3 * side * side // places)


def _place_vectors(network: PreTrainedModel, pictures: torch.Tensor) -> torch.Tensor:
    """[picture, place, width], row by row; a class token is added to every place, so that it learns too."""
    hidden = network.base_model(pictures).last_hidden_state
    if hidden.ndim == 4:
        return hidden.flatten(2).transpose(1, 2)
    if math.isqrt(hidden.shape[1]) ** 2 == hidden.shape[1]:
        return hidden
    return hidden[:, 1:] + hidden[:, :1]


def _hidden_cells_loss(network, projection, pictures, generator) -> torch.Tensor:
    """Squared error of the cells that were hidden, painted by one linear layer from the backbone's last map."""
    side = pictures.shape[-1]
    chance = torch.rand(len(pictures), 1, CELLS_PER_SIDE, CELLS_PER_SIDE, generator=generator)
    hidden = functional.interpolate((chance < HIDDEN_SHARE).float(), size=(side, side))
    in_view = (pictures * (1 - hidden)).contiguous(memory_format=torch.channels_last)
    painted = projection(_place_vectors(network, in_view)).transpose(1, 2)
    place_side = side // math.isqrt(painted.shape[-1])
    painted = functional.fold(painted, output_size=(side, side), kernel_size=place_side, stride=place_side)
    return ((painted - pictures).square() * hidden).sum() / (3 * hidden.sum())


def _rate(step: int, steps: int) -> float:
    warm_up = max(1, steps // 20)
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


def _loss(network, recipe, task, *, rows, generator, projection) -> torch.Tensor:
    if recipe.method == "simclr":
        views = [_pictures(recipe, task, rows, generator, variation=STRONG) for _ in range(2)]
        hidden = network(torch.cat(views)).logits
        return _contrastive_loss(projection(functional.relu(hidden)))
    pictures = _pictures(recipe, task, rows, generator, variation=recipe.look)
    if recipe.method == "masked":
        return _hidden_cells_loss(network, projection, pictures, generator)
    if recipe.method == "supervised":
        return functional.cross_entropy(network(pictures).logits, task.labels[rows], label_smoothing=0.05)
    turns = torch.randint(4, (len(rows),), generator=generator)
    turned = torch.stack([picture.rot90(int(turn), (1, 2)) for picture, turn in zip(pictures, turns, strict=True)])
    return functional.cross_entropy(network(turned).logits, turns)


def _pictures(recipe, task, rows, generator, *, variation) -> torch.Tensor:
    pictures = composed(task.rgba[rows], generator, is_ink=task.is_ink[rows], variation=variation)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in normalisation(recipe.architecture))
    return ((pictures - mean) / std).contiguous(memory_format=torch.channels_last)


def _contrastive_loss(projected: torch.Tensor) -> torch.Tensor:
    """SimCLR's NT-Xent: each view must find the other view of its drawing among all the others."""
    directions = functional.normalize(projected)
    similarity = directions @ directions.T / SIMCLR_TEMPERATURE
    similarity = similarity.masked_fill(torch.eye(len(similarity), dtype=torch.bool), float("-inf"))
    partner = torch.arange(len(similarity)).roll(len(similarity) // 2)
    return functional.cross_entropy(similarity, partner)


@torch.no_grad()
def _accuracy(network, recipe, task, *, rows) -> float:
    generator = torch.Generator().manual_seed(2)
    correct = 0
    for chunk in rows.split(BATCH):
        logits = network(_pictures(recipe, task, chunk, generator, variation=TRAINING)).logits
        correct += int((logits.argmax(dim=1) == task.labels[chunk]).sum())
    return correct / len(rows)
