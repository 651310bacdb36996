"""ETran: how large the features are (energy), and how well a linear discriminant separates the classes.

Source: Gholami, Akbari, Wang, Kamranian, Zhang, "ETran: Energy-Based Transferability Estimation", ICCV 2023,
arXiv 2308.02027. The regression score is for bounding boxes and left out. The paper's text could not be read here in
full; what it leaves open is taken from the authors' released code (metrics.py, evaluate_metric.py, tw.py).

The energy of an image under a classifier is minus the log of the sum of its exponentiated logits (Liu et al. 2020).
The released code calls its energy function on the FEATURES, not on the logits of the source head: that form is taken
here, so no source head is needed. It never sees a label, and it grows with the unit of the features.

Departures from that code:

1. The mean energy is over all images, not over the 0.5% of them with the highest energy (lowest log-sum-exp), of which
   there is none in samples below 200 images.
2. The discriminant is the one of the paper. The code gives a matrix that is not symmetric to a routine for symmetric
   ones; the orthonormal basis that comes back cancels, and what is left is the nearest class mean in plain features.
   Its shrinkage is SFDA's, as in the code.
3. "etran" is the plain sum of both. The released evaluation brings each term to [0, 1] by the smallest and largest
   value among the checkpoints that are compared, then weighs them 0.15 and 0.85, which no score of one checkpoint can:
   both terms stand beside the sum, for those who want to.
"""

from jaxtyping import Float
from torch import Tensor

from lead_hub.transferability.discriminant import own_class
from lead_hub.transferability.score import ScoreMethod, TransferabilityScore
from lead_hub.transferability.score_inputs import ScoreInputs
from lead_hub.transferability.sfda import fisher_posteriors


def etran_energy(inputs: ScoreInputs) -> TransferabilityScore:
    """Mean over images of the log-sum-exp of their features: any real number, higher is better; no label matters."""
    features = inputs.features
    per_image = features.logsumexp(dim=1)
    return TransferabilityScore(float(per_image.mean()), per_image)


def etran_classification(inputs: ScoreInputs) -> TransferabilityScore:
    """Mean in-sample probability of the right class under linear discriminant analysis: in [0, 1], higher is better.

    Raises:
        ScoreError: features that are the same for all images, or for all images of every class.
    """
    per_image = _right_class_probabilities(inputs)
    return TransferabilityScore(float(per_image.mean()), per_image)


def etran(inputs: ScoreInputs) -> TransferabilityScore:
    """Sum of the energy and classification scores, any real number, higher is better; both terms go with it.

    Raises:
        ScoreError: where the classification score is undefined.
    """
    energies, probabilities = inputs.features.logsumexp(dim=1), _right_class_probabilities(inputs)
    per_image = energies + probabilities
    companions = {"etran_energy": float(energies.mean()), "etran_classification": float(probabilities.mean())}
    return TransferabilityScore(float(per_image.mean()), per_image, companions)


def _right_class_probabilities(inputs: ScoreInputs) -> Float[Tensor, " image"]:
    posterior, _ = inputs.once(fisher_posteriors)
    return own_class(posterior, inputs.labels)


ETRAN_ENERGY = ScoreMethod(
    name="etran-energy",
    function=etran_energy,
    title="ETran, energy score of the features (label-free)",
    paper="after Gholami et al., ETran, ICCV 2023, arXiv 2308.02027; departures listed in transferability/etran.py",
    range="any real number",
    needs_logits=False,
    cost="one pass over the features; no seed",
)

ETRAN_CLASSIFICATION = ScoreMethod(
    name="etran-classification",
    function=etran_classification,
    title="ETran, classification score",
    paper="Gholami et al., ETran, ICCV 2023, arXiv 2308.02027; departures listed in transferability/etran.py",
    range="[0, 1]",
    needs_logits=False,
    cost="one eigendecomposition of the within-class covariance; no seed",
)

ETRAN = ScoreMethod(
    name="etran",
    function=etran,
    title="ETran, sum of energy and classification scores",
    paper="after Gholami et al., ETran, ICCV 2023, arXiv 2308.02027; departures listed in transferability/etran.py",
    range="any real number",
    needs_logits=False,
    cost="one eigendecomposition of the within-class covariance; no seed",
)
