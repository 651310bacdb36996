"""A ranked checkpoint and its dataset -> a complete script that fine-tunes the one on the other with transformers."""

from pathlib import PurePath
from string import Template

from lead_hub.demo import TARGETS, pool
from lead_hub.hub import is_commit
from lead_hub.leaderboard import RankedCheckpoint, RankedDataset
from spaces_app.request import DEMO
from spaces_app.snippets import literal

SCRIPT = Template('''\
"""Fine-tunes one checkpoint on one dataset. Needs: pip install "transformers[torch]>=5" datasets timm torchvision"""

import os
$path_import
import torch
from datasets import $dataset_names
from transformers import AutoImageProcessor, $model_class, Trainer, TrainingArguments
$demo_import
CHECKPOINT = $checkpoint$checkpoint_place
CHECKPOINT_COMMIT = $checkpoint_sha  # the files that were ranked; None for a folder
DATASET = $dataset$dataset_place
DATASET_COMMIT = $dataset_sha
CONFIG = $config
SPLIT = $split
IMAGE_COLUMN, LABEL_COLUMN = $image_column, $label_column
LEARNING_RATE = $learning_rate  # $rate_from
EPOCHS = 12
BATCH_SIZE = 32
MAX_STEPS = int(os.environ.get("MAX_STEPS", "-1"))  # e.g. MAX_STEPS=2 for a quick try; -1: all epochs
OUTPUT = os.environ.get("OUTPUT", "finetuned")

# 1. The images: the split that was ranked on, and another one to measure on.
$load_splits
kind = splits[SPLIT].features[LABEL_COLUMN]
if isinstance(kind, ClassLabel):
    names = kind.names
    number = {value: value for value in range(len(names))}
else:
    values = sorted(set(splits[SPLIT][LABEL_COLUMN]) - {None, ""})
    names = [str(value) for value in values]
    number = {value: index for index, value in enumerate(values)}


def labelled(rows):
    """The images that have a label."""
    rows = rows.cast_column(IMAGE_COLUMN, Image())
    return rows.filter(lambda label: label in number, input_columns=[LABEL_COLUMN])


train = labelled(splits[SPLIT])
others = [name for name in ("test", "validation", "val") if name in splits and name != SPLIT]
others = [labelled(splits[name]) for name in others if LABEL_COLUMN in splits[name].column_names]
test = next((rows for rows in others if len(rows)), None)
if test is None:
    parts = train.train_test_split(test_size=0.2, seed=0)
    train, test = parts["train"], parts["test"]

# 2. The checkpoint under a new head for these classes, with its own image processor.
processor = AutoImageProcessor.from_pretrained(CHECKPOINT, revision=CHECKPOINT_COMMIT)
$load_model

def prepare(rows):
    """Pixels as the checkpoint wants them; a place for random crops or flips of the training images."""
    pictures = [picture.convert("RGB") for picture in rows[IMAGE_COLUMN]]
    return {**processor(pictures, return_tensors="pt"), "labels": [number[label] for label in rows[LABEL_COLUMN]]}


def accuracy(result):
    """Share of the images that are right."""
    logits = result.predictions[0] if isinstance(result.predictions, tuple) else result.predictions
    return {"accuracy": float((logits.argmax(-1) == result.label_ids).mean())}


# 3. Train, and measure after every epoch; nothing is chosen by these measurements, so the last one is honest.
on_gpu = torch.cuda.is_available()
trainer = Trainer(
    model=model,
    args=TrainingArguments(
        output_dir=OUTPUT,
        learning_rate=LEARNING_RATE,
        num_train_epochs=EPOCHS,
        max_steps=MAX_STEPS,
        per_device_train_batch_size=BATCH_SIZE,
        per_device_eval_batch_size=BATCH_SIZE,
        weight_decay=0.05,
        warmup_steps=0.1,  # a tenth of all steps
        lr_scheduler_type="cosine",
        eval_strategy="epoch",
        save_strategy="no",
        bf16=on_gpu and torch.cuda.is_bf16_supported(),
        dataloader_pin_memory=on_gpu,
        remove_unused_columns=False,
        report_to="none",
        seed=0,
    ),
    train_dataset=train.with_transform(prepare),
    eval_dataset=test.with_transform(prepare),
    compute_metrics=accuracy,
)
trainer.train()
print(f"{len(train)} images learnt from; accuracy on {len(test)} others: {trainer.evaluate()['eval_accuracy']:.1%}")
trainer.save_model(OUTPUT)
processor.save_pretrained(OUTPUT)
''')

FROM_HUB = "splits = load_dataset(DATASET, CONFIG, revision=DATASET_COMMIT)"
FROM_PARQUET = 'splits = load_dataset("parquet", data_files={SPLIT: DATASET})'
FROM_FOLDER = """\
if (Path(DATASET) / "dataset_dict.json").is_file():
    splits = load_from_disk(DATASET)
elif (Path(DATASET) / "state.json").is_file():
    splits = {SPLIT: load_from_disk(DATASET)}
else:
    splits = load_dataset(DATASET, CONFIG)"""

WITH_CLASSIFIER = """\
model = $model_class.from_pretrained(
    CHECKPOINT,
    revision=CHECKPOINT_COMMIT,
    num_labels=len(names),
    id2label=dict(enumerate(names)),
    label2id={name: index for index, name in enumerate(names)},
    ignore_mismatched_sizes=True,  # its own head, if it has one, knows other classes
    dtype=torch.float32,  # whatever the file is in: half a precision is too little to learn in
)
"""
WITH_A_LAYER = '''\


class Classifier(torch.nn.Module):
    """A linear layer on the features; transformers has no classifier of this family."""

    def __init__(self):
        super().__init__()
        self.backbone = $model_class.from_pretrained(CHECKPOINT, revision=CHECKPOINT_COMMIT, dtype=torch.float32)
        config = self.backbone.config
        n_features = $width
        self.head = torch.nn.Linear(n_features, len(names))

    def forward(self, labels=None, **pixels):
        logits = self.head(self.backbone(**pixels).$pooled.flatten(1))
        loss = None if labels is None else torch.nn.functional.cross_entropy(logits, labels)
        return {"loss": loss, "logits": logits}


model = Classifier()
'''


# The first rate that `lead-hub verify` tries where all weights learn, and the others; a test compares.
LEARNING_RATE = 2e-4
OTHER_RATES = (1e-3, 3e-5)

# The class that makes a classifier of a checkpoint, by model_type. AutoModelForImageClassification knows most of them.
# For distilled ones it may take a class that computes no loss. A masked autoencoder's encoder is a ViT. The rest are
# backbones, which get a linear layer on their pooled output.
CLASSIFIER = "AutoModelForImageClassification"
CLASSIFIERS = {
    "deit": "DeiTForImageClassification",
    "levit": "LevitForImageClassification",
    "vit_mae": "ViTForImageClassification",
}
BACKBONES = {
    "dinov3_vit": "AutoModel",
    "dinov3_convnext": "AutoModel",
    **dict.fromkeys(
        ("aimv2_vision_model", "mlcd", "mlcd_vision_model", "pixio", "radio", "tipsv2_vision_model"), "AutoModel"
    ),
    "chinese_clip": "ChineseCLIPVisionModel",
    "chinese_clip_vision_model": "ChineseCLIPVisionModel",
    "clip_vision_model": "CLIPVisionModel",
    "metaclip_2_vision_model": "MetaClip2VisionModel",
    "siglip_vision_model": "SiglipVisionModel",
    "siglip2_vision_model": "Siglip2VisionModel",
}
# A backbone's pooled output and its width; C-RADIO's is of several tokens.
POOLED = ("pooler_output", 'config.hidden_sizes[-1] if hasattr(config, "hidden_sizes") else config.hidden_size')
OTHER_POOLED = {"radio": ("summary", "config.hidden_size * len(config.summary_idxs)")}
HERE = "  # where it is on your machine"


def fine_tuning_snippet(row: RankedCheckpoint, dataset: RankedDataset) -> str:
    """Python that fine-tunes the checkpoint on the dataset, both pinned to what was ranked, and measures it.

    The environment's MAX_STEPS shortens it for a try, OUTPUT says where the result is written.

    Args:
        row: the checkpoint; one of the demo's goes by its folder's name.
        dataset: a Hub dataset, a path, or "demo:" and a target of the demo.
    """
    model_class = BACKBONES.get(row.family) or CLASSIFIERS.get(row.family, CLASSIFIER)
    pooled, width = OTHER_POOLED.get(row.family, POOLED)
    body = WITH_A_LAYER if row.family in BACKBONES else WITH_CLASSIFIER
    checkpoint, images = _demo_checkpoint(row), _demo_target(dataset)
    from_demo = (["checkpoint_folder"] if checkpoint else []) + (["target_folder"] if images else [])
    load = _loading(dataset)
    rate, rate_from = _learning_rate(row)
    return SCRIPT.substitute(
        model_class=model_class,
        path_import="from pathlib import Path\n" if load == FROM_FOLDER else "",
        dataset_names="ClassLabel, Image, load_dataset" + (", load_from_disk" if load == FROM_FOLDER else ""),
        demo_import=f"from lead_hub.demo import {', '.join(from_demo)}\n" if from_demo else "",
        checkpoint=checkpoint or literal(row.checkpoint),
        checkpoint_place="" if checkpoint or is_commit(row.sha) else HERE,
        checkpoint_sha=literal(row.sha if is_commit(row.sha) else None),
        dataset=images or literal(dataset.dataset),
        dataset_place=HERE if dataset.is_local and not images else "",
        dataset_sha=literal(dataset.sha if is_commit(dataset.sha) else None),
        config=literal(None if dataset.is_local and dataset.config == "default" else dataset.config),
        split=literal(dataset.split),
        image_column=literal(dataset.image_column),
        label_column=literal(dataset.label_column),
        learning_rate=literal(rate),
        rate_from=rate_from,
        load_splits=load,
        load_model=Template(body).substitute(model_class=model_class, pooled=pooled, width=width),
    )


def _demo_checkpoint(row: RankedCheckpoint) -> str:
    """The expression for a checkpoint of the demo that goes by its name; empty for any other."""
    names = {PurePath(one.checkpoint).name for target in TARGETS for one in pool(target)}
    is_demo = not is_commit(row.sha) and row.checkpoint in names
    return f"str(checkpoint_folder({literal(row.checkpoint)}))" if is_demo else ""


def _demo_target(dataset: RankedDataset) -> str:
    """The expression for a dataset of the demo that goes by its name; empty for any other."""
    target = dataset.dataset.removeprefix(DEMO)
    return f"str(target_folder({literal(target)}))" if dataset.dataset != target and target in TARGETS else ""


def _loading(dataset: RankedDataset) -> str:
    """How to read it."""
    if not dataset.is_local:
        return FROM_HUB
    return FROM_PARQUET if dataset.dataset.endswith(".parquet") else FROM_FOLDER


def _learning_rate(row: RankedCheckpoint) -> tuple[float, str]:
    """The rate, and where it is from."""
    if row.finetuned and row.finetuned.mode == "full":
        return float(row.finetuned.learning_rate), "the best on validation images when this checkpoint was verified"
    others = " and ".join(f"{rate:g}" for rate in OTHER_RATES)
    return LEARNING_RATE, f"a middle one, the first that `lead-hub verify` tries; try {others} too"
