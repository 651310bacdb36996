"""Endpoints for programs: `/recommend` and `/push` for gradio_client, the same as tools for agents over MCP."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr
from gradio.events import api

from lead_hub.errors import LeadHubError
from lead_hub.leaderboard import Leaderboard
from spaces_app.answers import answer, pushed_answer
from spaces_app.events import IN_TURN
from spaces_app.request import RunRequest
from spaces_app.runs import RunState, RunsUnderWay
from spaces_app.status import running_text, told
from spaces_app.visitors import Deployment, Visitor, token_of_headers, visitor
from spaces_app.zero_gpu import Follow


def add_endpoints(deployment: Deployment, runs: RunsUnderWay, *, follow: Follow) -> None:
    """Define them within a Blocks context; they are private to nobody but act as whoever calls."""

    def recommend_checkpoints(
        request: gr.Request,
        token: gr.OAuthToken | None,
        dataset: str,
        candidates: list[str] | None = None,
        max_parameters: int | None = None,
        families: list[str] | None = None,
        permissive_licence: bool = False,
        limit: int = 10,
        max_images: int = 500,
        config: str | None = None,
        split: str = "train",
        image_column: str | None = None,
        label_column: str | None = None,
        revision: str | None = None,
        score: str = "lead",
        budget: str = "auto",
        preset: str | None = None,
        full_board: bool = False,
    ) -> Iterator[dict[str, Any]]:
        """Rank pretrained vision checkpoints of the Hugging Face Hub by how well each would fine-tune on a labelled image dataset, without fine-tuning any.

        Use it before fine-tuning an image classifier, to choose which checkpoint to start from. It runs a sample of the
        training images once through every candidate, frozen, and computes a transferability score (LEAD by default).
        Takes from half a minute for the demo to some minutes: images and checkpoints decide. Read "verdict" first: it
        says whether there is a winner at all; then "checkpoints", best first, each with its predicted accuracy.

        Args:
            dataset: id of an image classification dataset on the Hub, such as "my-org/my-dataset", or "demo:photographs", "demo:scripts", "demo:clipart" or "demo:emoji" for a small embedded one.
            candidates: ids of checkpoints to rank, such as "timm/resnet50.a1_in1k" or "facebook/dinov2-small@main"; ["demo"] for the small embedded ones that belong to a demo dataset; leave out for a curated index, filtered by the next four and by preset.
            max_parameters: most weights of a candidate, such as 30000000.
            families: only these architectures, such as ["resnet", "vit", "dinov2"].
            permissive_licence: only candidates under Apache-2.0, MIT, BSD and the like.
            limit: most candidates.
            max_images: most images, a sample stratified by class.
            config: configuration of the dataset, if it has several.
            split: the split to rank on; never the one that is used for testing.
            image_column: column of the images, if there are several.
            label_column: column of the classes, if it is not clear which.
            revision: branch, tag or commit of the dataset.
            score: name of the score that ranks; leave it at "lead" unless you compare scores.
            budget: what the run may cost: a time such as "10min", downloads such as "5GB", or a share of all passes such as "20%", within which the candidates race, most of them seen on few images only; "none" for all on all images; "auto" for the latter where that is estimated to take at most 15 minutes, else for a race of "15min".
            preset: of the curated index, what fits a need: "small" (at most 10 million weights), "fast" (little to compute), "best" (the strongest, whatever they cost), "self-supervised" (learnt without labels), "permissive" (the usual choice under permissive licences), "all" (the whole index); leave out for none.
            full_board: also give the whole leaderboard under "board", which the push endpoint takes.

        Returns:
            "verdict" in words, "checkpoints" ranked, "skipped" with reasons, "dataset", and "python", the line that repeats it.
        """
        own = tuple(candidates or ())
        source = "demo" if own == ("demo",) else "own" if own else "index"
        who = calling(deployment, request, token)
        session = f"program {uuid.uuid4()}"  # one caller may have several runs
        try:
            question = RunRequest(
                dataset=(dataset or "").strip(),
                config=config or None,
                split=split,
                image_column=image_column or None,
                label_column=label_column or None,
                revision=revision or None,
                source=source,
                max_parameters=max_parameters or None,
                permissive=permissive_licence,
                families=tuple(families or ()),
                limit=limit,
                own_candidates=own if source == "own" else (),
                max_images=max_images,
                score=score,
                budget=budget,
                preset=preset or None,
            )
        except LeadHubError as error:
            raise refused(error, deployment) from error
        ticket, _ = runs.announce(session)
        with runs.started(ticket) as cancelled:
            progress = gr.Progress()  # as a parameter gr.api would take it for an input

            def show(state: RunState) -> None:
                progress(steps_done(state), desc=running_text(state), unit="checkpoints")

            states = follow(question, who, deployment=deployment, cancelled=cancelled)
            yield from answers_of(states, question, deployment, full_board=full_board, show=show)

    def push_score_cards(
        request: gr.Request,
        token: gr.OAuthToken | None,
        board: dict[str, Any],
        repo_id: str,
        private: bool | None = None,
        collection: bool = False,
    ) -> dict[str, Any]:
        """Push a leaderboard's score cards to a dataset repository on the Hugging Face Hub, as the caller.

        Needs a Hub token of the caller that may write there: `Client(..., oauth_token="hf_...")` in Python, the header
        "X-HF-Authorization: Bearer hf_..." elsewhere. Cards that are there already are kept.

        Args:
            board: the "board" of recommend_checkpoints with full_board=true.
            repo_id: "user/name" of the dataset repository; created if it is missing.
            private: whether a new repository is private; by default if the ranked dataset is.
            collection: also keep a collection of the best checkpoints.

        Returns:
            The repository, the address of the commit, and how many rows were left out, because they are of checkpoints
            that not everybody may read and all can see the repository.
        """
        who = calling(deployment, request, token)
        if not who.is_signed_in:
            raise gr.Error("pushing needs a Hub token of yours, found none: pass oauth_token=", print_exception=False)
        try:
            pushed = Leaderboard.from_document(board).push_to_hub(
                repo_id, private=private, collection=collection, token=who.token
            )
        except LeadHubError as error:
            raise refused(error, deployment) from error
        return pushed_answer(pushed)

    api(recommend_checkpoints, api_name="recommend", **IN_TURN)
    api(push_score_cards, api_name="push")


def steps_done(state: RunState) -> tuple[int, int | None]:
    """Checkpoints that are finished, of how many: gradio passes only such steps on to an agent."""
    now = state.progress
    return (max(0, now.number - 1), now.n_candidates) if now else (0, None)


def answers_of(
    states: Iterator[RunState],
    question: RunRequest,
    deployment: Deployment,
    *,
    full_board: bool,
    show: Callable[[RunState], object],
) -> Iterator[dict[str, Any]]:
    """The answer after every checkpoint of a run, each of whose moments is shown.

    Raises:
        gr.Error: the run failed, or ended without an answer.
    """
    state = RunState("running")
    seen: Leaderboard | None = None
    for state in states:
        show(state)
        if state.board and state.board != seen:  # in a race the rows of one board are judged anew in the next
            seen = state.board
            yield answer(question, state.board, deployment, full_board=full_board)
    if state.error is not None:
        raise refused(state.error, deployment) from state.error
    if seen is None and state.loan_s is not None:
        late = (
            f"the images must be read within the {state.loan_s} seconds that a GPU was lent for, and were not: ask for"
            " fewer (max_images), or again"
        )
        raise refused(LeadHubError(late), deployment)


def calling(deployment: Deployment, request: gr.Request, token: gr.OAuthToken | None) -> Visitor:
    """Whoever calls: by session, by `oauth_token`, or by a header."""
    given = token.token if token else None
    if given is None and deployment.is_shared:
        given = token_of_headers(request.headers)
    return visitor(deployment, token=given)


def refused(error: LeadHubError, deployment: Deployment) -> gr.Error:
    """The error as the caller may read it."""
    return gr.Error(told(error, deployment, to_program=True), print_exception=False)
