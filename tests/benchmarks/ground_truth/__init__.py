"""Makes our ground-truth matrix again from nothing: small checkpoints really fine-tuned on small targets.

    python -m tests.benchmarks.ground_truth targets    public image packages -> labelled targets, twelve or eight
    python -m tests.benchmarks.ground_truth pretrain   other images of these packages -> twenty-eight checkpoints
    python -m tests.benchmarks.ground_truth outputs    features and logits of the frozen checkpoints on each train part
    python -m tests.benchmarks.ground_truth finetune   every checkpoint x target x rate x seed -> finetuned_accuracy.csv
    python -m tests.benchmarks.ground_truth table      finetuned_accuracy.csv -> the table in README.md

README.md says where the images come from, what the tables hold and what was measured.
"""
