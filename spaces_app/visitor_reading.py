"""As whom a visitor's data is read, and where it is kept meanwhile; what a dataset holds and looks like."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from lead_hub.access import Access
from lead_hub.errors import LeadHubError, RunCancelledError
from lead_hub.labelled_images import DatasetDescription, DatasetQuery, describe_dataset
from lead_hub.recommendation import SamplePictures, look_at_images
from spaces_app.request import RunRequest
from spaces_app.visitors import Deployment, Visitor

# What may be read before anybody has pressed a button.
LOOK_BYTES, LOOK_S, LOOK_IMAGES = 2 * 10**8, 30.0, 1000


@contextmanager
def visitor_access(
    request: RunRequest, visitor: Visitor, *, deployment: Deployment, has_images: bool
) -> Iterator[Access]:
    """Whose token a run uses and where it keeps things: nobody's and for all, or the visitor's and for this run alone.

    On a shared machine what the visitor's token reads must not be found by the next visitor, so it is used only where
    nobody's would not do, with a cache that disappears.
    """
    lists_own = request.source == "own" and visitor.is_signed_in
    if not has_images and (not deployment.is_shared or request.is_demo):
        yield Access(None, visitor.token)
        return
    reads_own = not has_images and visitor.is_signed_in and not _is_public(request)
    if not has_images and not reads_own and not lists_own:
        yield Access(token=False)
        return
    with tempfile.TemporaryDirectory(prefix="lead-hub-visitor-") as folder:
        own = Path(folder)
        if not lists_own:  # candidates that everybody may read are downloaded once for all
            shared = Access().hub_folder
            shared.mkdir(parents=True, exist_ok=True)
            (own / "hub").symlink_to(shared, target_is_directory=True)
        yield Access(own, visitor.token if reads_own or lists_own or not deployment.is_shared else False)


def look_at(request: RunRequest, visitor: Visitor, *, deployment: Deployment) -> DatasetDescription:
    """What the request's dataset holds, as the visitor may see it; nothing of it is kept for the next visitor.

    Raises:
        DatasetError, HubError: there is none, or not for this visitor.
    """
    dataset = str(request.dataset_source(paths_allowed=not deployment.is_shared))
    reads_own = deployment.is_shared and visitor.is_signed_in
    with tempfile.TemporaryDirectory(prefix="lead-hub-visitor-") if reads_own else nullcontext() as folder:
        return describe_dataset(
            dataset,
            config=request.config,
            revision=request.revision,
            token=visitor.token,
            cache_dir=Path(folder) if folder else None,
        )


def known_weights(deployment: Deployment) -> Access | None:
    """In whose cache an estimate looks for weights: that of one's own machine; strangers learn nothing of one."""
    return None if deployment.is_shared else Access()


def is_small(description: DatasetDescription) -> bool:
    """Whether its pictures may be looked at before a run: what is here already, and little of the Hub."""
    if description.is_local:
        return True
    return description.download_bytes is not None and description.download_bytes <= LOOK_BYTES


def pictures_of(
    request: RunRequest, visitor: Visitor, *, deployment: Deployment, images: Path | None = None
) -> SamplePictures | None:
    """Pictures of what a run of this request would rank on; None where it takes too long.

    Args:
        request: the question.
        visitor: whose token reads the dataset, where it needs one; what it reads is gone at the end.
        deployment: where the app runs.
        images: a folder that the visitor brought, instead of the request's dataset.

    Raises:
        DatasetError, HubError: the dataset cannot be read, or not by this visitor.
    """
    until = time.monotonic() + LOOK_S
    query = DatasetQuery(
        str(images or request.dataset_source(paths_allowed=not deployment.is_shared)),
        config=request.config,
        split=request.split,
        image_column=request.image_column,
        label_column=request.label_column,
        revision=request.revision,
        max_images=min(request.max_images, LOOK_IMAGES),
    )
    of_images = replace(request, source="index")  # no candidate is asked
    with visitor_access(of_images, visitor, deployment=deployment, has_images=images is not None) as access:
        in_time = replace(access, progress=False, cancelled=lambda: time.monotonic() > until)
        try:
            return look_at_images(query, in_time)
        except RunCancelledError:
            return None


def _is_public(request: RunRequest) -> bool:
    """Whether everybody may read the dataset."""
    try:
        description = describe_dataset(request.dataset, config=request.config, revision=request.revision, token=False)
    except LeadHubError:  # the Hub calls what it hides missing
        return False
    return not description.is_private
