"""How sure a ranking is: intervals, ties, who could be best, and which accuracy to expect.

    terms of every image  ->  image_bootstrap   ->  rank_intervals: interval of every score and rank, tie groups
    calibration.json      ->  prediction_error  ->  who could be best, and the accuracy after fine-tuning
    left-out predictions  ->  probe_accuracy, per_class
    all of them           ->  verdict: one sentence

Pure numerics over arrays; nothing is refitted, and no draw depends on the order of the checkpoints.
"""
