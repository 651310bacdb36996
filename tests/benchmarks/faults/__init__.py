"""How many faults a run outlives: of the network, of the machine, of the data, of the checkpoints.

    python -m tests.benchmarks.faults [--only network|kills|datasets|checkpoints]

Prints tried, survived and lost for each. Lost is a traceback, a run without an end, or a wrong result: another board
than without the fault, a bad dataset that is ranked without a word, a bad checkpoint that is ranked or costs another.
"""
