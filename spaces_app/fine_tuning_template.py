"""The script that fine-tunes a checkpoint, with places for what differs: fine_tuning_snippet.py fills them."""

from string import Template

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
)
"""
WITH_A_LAYER = '''\


class Classifier(torch.nn.Module):
    """A linear layer on the features; transformers has no classifier of this family."""

    def __init__(self):
        super().__init__()
        self.backbone = $model_class.from_pretrained(CHECKPOINT, revision=CHECKPOINT_COMMIT)
        config = self.backbone.config
        n_features = config.hidden_sizes[-1] if hasattr(config, "hidden_sizes") else config.hidden_size
        self.head = torch.nn.Linear(n_features, len(names))

    def forward(self, labels=None, **pixels):
        logits = self.head(self.backbone(**pixels).pooler_output.flatten(1))
        loss = None if labels is None else torch.nn.functional.cross_entropy(logits, labels)
        return {"loss": loss, "logits": logits}


model = Classifier()
'''
