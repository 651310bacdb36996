"""Makes the demo pool, its three targets and the table of fine-tuned accuracies again from nothing.

    python -m tests.benchmarks.demo_pool targets   images of Debian and npm packages -> three labelled targets
    python -m tests.benchmarks.demo_pool pretrain  the other images of these packages -> fourteen checkpoints
    python -m tests.benchmarks.demo_pool finetune  every checkpoint x every target -> finetuned_accuracy.csv
    python -m tests.benchmarks.demo_pool verify    reload everything and print the table

`lead_hub/demo/README.md` says where the images come from and how to install them.
"""
