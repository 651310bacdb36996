"""LEAD over the whole network: `lead.py`, and how likely left-out labels are by the network's tangent kernel.

What small steps of fine-tuning can do to a network is what its tangent kernel says (Jacot et al. 2018; Eq. 5 of LEAD,
as quoted), here of the whole network under Adam in place of a random head's under gradient descent. The kernel takes
about five forward passes (`checkpoint_outputs/network_kernel.py`).
"""

from lead_hub.transferability.kernel_ridge import kernel_leave_one_out
from lead_hub.transferability.lead import mean_likelihood, predictions_by_depths
from lead_hub.transferability.outliers import left_out_predictions
from lead_hub.transferability.score import ScoreMethod, TransferabilityScore
from lead_hub.transferability.score_inputs import ScoreInputs


def lead_network(inputs: ScoreInputs) -> TransferabilityScore:
    """Mean of three left-out log-likelihoods, by features, depths and tangent kernel: at most 0; no seed matters.

    Minus each goes with it, as "loo_log_loss", "loo_log_loss_depths" and "loo_log_loss_network".
    """
    left = inputs.once(left_out_predictions)
    assert inputs.network_kernel is not None  # promised by needs_kernels
    by_network = kernel_leave_one_out(inputs.network_kernel, inputs.labels, groups=inputs.groups).logits
    predictions = {"": left.logits, "_depths": inputs.once(predictions_by_depths), "_network": by_network}
    return mean_likelihood(predictions, inputs, notes=left.notes)


LEAD_NETWORK = ScoreMethod(
    name="lead-network",
    function=lead_network,
    title="LEAD over the whole network, leave-one-out",
    paper="after Hu et al., LEAD, CVPR 2024, arXiv 2507.14559; see transferability/lead_network.py",
    range="(-inf, 0]",
    needs_logits=False,
    needs_kernels=("depth_kernel", "network_kernel"),
    cost="about five forward passes for the kernel, three eigendecompositions; no seed",
    leaves_out=True,
)
