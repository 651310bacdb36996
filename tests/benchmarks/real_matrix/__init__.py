"""Makes the matrix of real networks and photographs: weights that packages ship, fine-tuned on pictures that they ship.

    python -m tests.benchmarks.real_matrix pool       weights of packages -> checkpoint folders, and their controls
    python -m tests.benchmarks.real_matrix check      each converted network against its original program
    python -m tests.benchmarks.real_matrix targets    photographs of Debian packages -> labelled targets
    python -m tests.benchmarks.real_matrix outputs    features and logits of the frozen checkpoints, the two tables
    python -m tests.benchmarks.real_matrix finetune   every checkpoint x target x rate x seed -> finetuned_accuracy.csv
    python -m tests.benchmarks.real_matrix table      finetuned_accuracy.csv -> the tables in README.md
    python -m tests.benchmarks.real_matrix demonstration   some checkpoints and photographs as files of a demo

README.md says which packages, how the weights were checked, and what was measured.
"""
