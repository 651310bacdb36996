"""The ground truth: what fine-tuning a checkpoint on the user's images really gives.

candidate x FineTuningImages -> image parts -> trainings (rate x seed) -> FineTuned

    from lead_hub.finetuning import finetune, load_finetuning_images
    from lead_hub.labelled_images import DatasetQuery
    images = load_finetuning_images(DatasetQuery("my-org/my-dataset"))
    finetune("microsoft/resnet-18", images, budget="30m").accuracy

Learning rate and epoch are chosen by a validation part of the train split; the test images measure, and choose nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]  # public, exported lazily

from lead_hub.access import Access, access_of
from lead_hub.candidates import Candidate, read_candidates
from lead_hub.checkpoint_files import CheckpointFiles, fetch_weights, find_checkpoint
from lead_hub.errors import CandidateError
from lead_hub.finetuning.network import Hardware, this_hardware
from lead_hub.finetuning.outcomes import FineTuned
from lead_hub.finetuning.parts import FineTuningImages, load_finetuning_images
from lead_hub.finetuning.settings import Budget, FineTuningSettings, parse_budget, settings_of
from lead_hub.finetuning.trainings import FineTuningJob, run_trainings
from lead_hub.hub import Token
from lead_hub.labelled_images import LabelledImages
from lead_hub.processes import Processes, first_on_each_node, on_main_process

__all__ = [
    "Budget",
    "FineTuned",
    "FineTuningImages",
    "FineTuningJob",
    "FineTuningSettings",
    "Hardware",
    "files_with_weights",
    "finetune",
    "finetune_job",
    "load_finetuning_images",
    "parse_budget",
    "settings_of",
    "this_hardware",
]


def finetune(  # noqa: PLR0913 - the one call that users see carries every choice that they may make
    candidate: Candidate | str | Path,
    images: FineTuningImages | LabelledImages,
    *,
    mode: str = "full",
    learning_rates: Sequence[float | int] | None = None,
    epochs: int | None = None,
    seeds: Sequence[int] | None = None,
    budget: float | int | str | None = None,
    flip: bool = True,
    cache_dir: str | Path | None = None,
    token: Token = None,
    allow_pickle: bool = False,
    progress: bool = True,
) -> FineTuned:
    """Fine-tune one checkpoint and measure what it gives, once for every learning rate and seed.

    A new linear head is put on the feature vector that `recommend` scores; pixels come from the checkpoint's own image
    processor. AdamW with warm-up and cosine, batches of 8 to 32 images, early stopping on a fifth of the train images.
    Finished trainings are kept on disk, so that a call after a kill goes on where the first stopped. Started by
    `accelerate launch` or `torchrun`, the processes share each step and all return the same. On a CPU the same seed
    gives the same numbers; on a GPU sums in another order may change the last digits, and an image or two.

    Args:
        candidate: Hub id (optionally "@revision") or checkpoint folder.
        images: of `load_finetuning_images`; of LabelledImages alone, a fifth is held out as test images.
        mode: "full" trains all weights, "lora" low-rank adapters (needs `lead-hub[lora]`), "probe" the new head alone.
        learning_rates: None means what suits the mode; several are worth it, checkpoints differ in what they bear.
        epochs: most passes over the images; None means 12, or 60 for a probe.
        seeds: None means 0, 1 and 2.
        budget: seconds, or "90s", "30m", "2h", for the whole call. Trainings that are not expected to end in time, as
            measured by those before them, are left out as a whole and named in the result; the first one never is.
        flip: mirror training images at random; False for letters and the like.
        cache_dir: as of `recommend`.
        token: Hub token; None means the Hub's own login, False nobody's, even where one is logged in.
        allow_pickle: also accept weights as pickle files, loaded with `weights_only`.
        progress: show a bar on a terminal's standard error.

    Returns:
        Every training, and of them the published accuracy: the mean over seeds at the best rate by validation.

    Raises:
        CandidateError: the checkpoint cannot be found, loaded or trained.
        DatasetError: too few images.
        HubError: the Hub cannot be reached.
        LeadHubError: a choice that cannot be, or peft is missing.
    """
    settings = settings_of(mode, learning_rates=learning_rates, epochs=epochs, seeds=seeds, flip=flip)
    clock = Budget(parse_budget(budget))
    access = access_of(cache_dir=cache_dir, token=token, allow_pickle=allow_pickle, progress=progress)
    wanted = one_candidate(candidate)
    hardware = this_hardware()
    both = images if isinstance(images, FineTuningImages) else FineTuningImages(images, None)
    files = files_with_weights(wanted, access=access, processes=hardware.processes)
    return finetune_job(FineTuningJob(wanted, files, both, settings, access, hardware), budget=clock)


def one_candidate(source: Candidate | str | Path) -> Candidate:
    """The checkpoint that a source names.

    Raises:
        CandidateError: it names several.
    """
    candidates = read_candidates(source)
    if len(candidates) > 1:
        raise CandidateError(
            f"one checkpoint is fine-tuned at a time, {str(source)!r} names {len(candidates)}: name one of them",
            stage="find",
        )
    return candidates[0]


def files_with_weights(candidate: Candidate, *, access: Access, processes: Processes) -> CheckpointFiles:
    """The candidate's files, weights included, of the same commit on every process.

    Raises:
        CandidateError: there is no such checkpoint, or it cannot be downloaded.
        HubDownError: the Hub does not answer, and the cache has no copy.
    """
    sha = on_main_process(lambda: find_checkpoint(candidate, access).sha, processes)
    pinned = candidate if candidate.folder else replace(candidate, revision=sha)

    def with_weights() -> CheckpointFiles:
        files = find_checkpoint(pinned, access)
        fetch_weights(files, access)
        return files

    return first_on_each_node(with_weights, processes)


def finetune_job(
    job: FineTuningJob, *, budget: Budget, on_epochs: Callable[[int, int], object] | None = None
) -> FineTuned:
    """Do the trainings of a job, with a bar.

    Args:
        job: which ones; whether anybody still waits is asked after every step.
        budget: of their time.
        on_epochs: told after every epoch how many are done or left out, and of how many.

    Raises:
        CandidateError: the checkpoint cannot be trained.
        RunCancelledError: nobody waits any more; the trainings that were finished are kept.
    """
    n_epochs = len(job.settings.trainings) * job.settings.epochs
    silent = (
        None if job.access.progress and job.hardware.processes.is_main_process else True
    )  # None: silent unless on a terminal
    with tqdm(total=n_epochs, unit="epoch", disable=silent) as bar:  # type: ignore[no-untyped-call]
        bar.set_description(f"{job.settings.mode} fine-tuning of {job.candidate.checkpoint}")

        n_done = 0  # a bar that is not shown does not count

        def advance(more: int) -> None:
            nonlocal n_done
            n_done += more
            bar.update(more)
            if more and on_epochs is not None:
                on_epochs(n_done, n_epochs)
            job.access.check_wanted()

        return run_trainings(job, budget=budget, advance=advance)
