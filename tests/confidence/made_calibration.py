"""A calibration with round numbers, for tests that work with it by hand."""

from lead_hub.confidence.calibration import Calibration, CalibrationData

FITTED_ON = CalibrationData(
    fine_tuning="none",
    images="made up",
    targets=("a", "b"),
    n_checkpoints=5,
    n_pairs=10,
    n_images=(100, 200),
    n_classes=(2, 10),
    left_out_coverage=0.88,
    left_out_hit_rate=0.93,
)


def made_calibration(**changes: float) -> Calibration:
    constants = {
        "intercept": 0.5,
        "slope": 0.75,
        "classes_slope": 0.0,
        "error_sd": 0.4,
        "error_quantile": 1.6,
        "image_variance_ratio": 1.0,
        "spread": 0.2,
    }
    return Calibration(method="lead", method_version=1, **{**constants, **changes}, fitted_on=FITTED_ON)
