"""The benchmark: every score against what fine-tuning really gave, on a ground-truth matrix.

matrix/ (package data) -> GroundTruthMatrix -> ScoreTable -> Contender... -> Comparison -> the table of `lead-hub bench`
"""
