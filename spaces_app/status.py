"""What the page says before, during and after a run, as escaped HTML."""

import re
from html import escape

from lead_hub.errors import LeadHubError
from lead_hub.hub import LOGIN_ADVICE
from lead_hub.labelled_images import DatasetDescription
from lead_hub.leaderboard import Leaderboard, bdi, duration_in_words, without_paths
from lead_hub.recommendation import RunEstimate
from lead_hub.score_cards import Push
from spaces_app.request import RunRequest
from spaces_app.runs import RunState, share_done
from spaces_app.visitors import Deployment

SIGN_IN = "sign in at the top of the page"
ASK_ELSEWHERE = "run lead-hub on a machine of yours that is logged in, for this page has no sign-in"
ASK_AS_YOURSELF = 'pass a token of yours (oauth_token=, or the header "X-HF-Authorization: Bearer hf_...")'
NO_PATH = re.compile(r"there is no path .*? here, and ", re.DOTALL)
# What only whoever runs the server can do: a clause of advice, and what it names.
CLAUSE = re.compile(r"(?:,|;) (?:or )?(?:name|choose|make|limit|set|pass)\b(?:[^,;:()]|\([^)]*\))*")
OF_A_TERMINAL = re.compile(r"cache_dir|TMPDIR|max_disk|\bHF_[A-Z_]+|`lead-hub |(?<![\w-])--[a-z]")
STEPS = {
    "dataset": "reading the dataset",
    "download": "downloading",
    "load": "loading the weights",
    "extract": "running the images through",
    "score": "scoring",
}


def empty_html() -> str:
    """Say what to do before the first run."""
    return paragraph(
        "Nothing ranked yet. Name a dataset and press <b>Rank checkpoints</b>, or try a small embedded one: that takes"
        " less than a minute."
    )


def asked_html(question: RunRequest, *, brought: bool) -> str:
    """The question in one line, while its form is folded away."""
    sources = {
        "index": f'"{question.preset}" of the curated index' if question.preset else "the curated index",
        "hub": "a search of the Hub",
        "own": f"{counted(len(question.own_candidates))} of your own",
        "demo": "the small demo checkpoints",
    }
    dataset = "a zip of yours" if brought else bdi(question.dataset) if question.dataset else "no dataset"
    parts = [f"<b>{dataset}</b>", f"split {bdi(question.split, at_most=40)}", sources[question.source]]
    return paragraph(f"{', '.join(parts)}, up to {question.max_images:,} images")


def dataset_html(description: DatasetDescription, *, is_demo: bool = False) -> str:
    """What was found where the visitor named a dataset."""
    if not description.image_columns:
        found = ", ".join(f"{column.name} ({column.type})" for column in description.columns)
        return problem(f"No column of images in {description.dataset}. Its columns: {found or 'none'}.")
    if not description.label_columns:
        found = ", ".join(f"{column.name} ({column.type})" for column in description.columns)
        return problem(f"No column that could hold one class per image in {description.dataset}. Its columns: {found}.")
    rows = {split.name: split.n_rows for split in description.splits}
    splits = ", ".join(name if n_rows is None else f"{name} ({n_rows:,})" for name, n_rows in rows.items())
    kind = "private" if description.is_private else "public"
    where = f"{kind} on the Hub"
    if description.is_local:
        where = "embedded in lead-hub" if is_demo else "on this machine"
    configs = f"; {len(description.configs)} configurations" if len(description.configs) > 1 else ""
    return paragraph(f"Found, {where}. Splits: {escape(splits)}{configs}.")


def estimate_html(estimate: RunEstimate) -> str:
    """Say what a run will take, and where it is a race, what the full run would."""
    downloads = [f"{estimate.download_bytes / 1e9:.2f} GB"] if estimate.download_bytes else []
    downloads += [f"{estimate.n_unknown_size} of unknown size"] if estimate.n_unknown_size else []
    size = f"{' and '.join(downloads) or 'nothing'} to download{' at most' if estimate.download_bytes else ''}"
    time = ""
    if estimate.duration_s is not None:
        computed = duration_in_words(estimate.duration_s)
        time = f", roughly {computed} of computing here"
        if estimate.budget and estimate.full_duration_s is not None:
            time = f", ready in about {computed}; the full run {duration_in_words(estimate.full_duration_s)}"
    return paragraph(f"{counted(estimate.n_checkpoints)} on up to {estimate.n_images:,} images: {size}{time}.")


def told(error: LeadHubError | str, deployment: Deployment, *, to_program: bool = False) -> str:
    """An error, or a reason, as whoever asked may read it: strangers have no terminal here and are told no paths of it.

    Args:
        error: in the words of a terminal.
        deployment: on one's own machine they stay as they are.
        to_program: whether a program reads it, which sends a token instead of signing in.
    """
    text = str(error)
    if not deployment.is_shared:
        return text
    sign_in = ASK_AS_YOURSELF if to_program else SIGN_IN if deployment.has_sign_in else ASK_ELSEWHERE
    text = NO_PATH.sub("", text.replace(LOGIN_ADVICE, sign_in))
    return without_paths(CLAUSE.sub(lambda clause: "" if OF_A_TERMINAL.search(clause[0]) else clause[0], text))


def waiting_html(others: int, *, at_once: int) -> str:
    """Show that the button was heard, before the run begins."""
    if others < at_once:
        return bar(0.0, "Beginning …")
    runs = "1 other run is" if others == 1 else f"{others} other runs are"
    return bar(0.0, f"{runs} under way or before yours; {at_once} run at once, so this one begins when its turn comes.")


def state_html(state: RunState, deployment: Deployment) -> str:
    """Where the run is, or how it ended and what to do next."""
    n_rows = len(state.board.rows) if state.board else 0
    n_skipped = len(state.board.skipped) if state.board else 0
    skipped = f", {n_skipped} skipped (reasons below)" if n_skipped else ""
    if state.error is not None:
        kept = f" What was ranked so far, {counted(n_rows)}, stays below." if n_rows else ""
        return problem(
            f"The run stopped: {told(state.error, deployment)}.",
            after=f"{kept} Change the inputs and press Rank checkpoints again.",
        )
    if state.outcome == "cancelled":
        why = f"The GPU was lent for {state.loan_s} seconds and went back," if state.loan_s else "Cancelled"
        further = "Nothing computed is lost: the same question goes on from here."
        if not state.stays:
            further = (
                "What was computed from images that only you may see is not kept here: a smaller question ends sooner."
            )
        return paragraph(f"{why} with {counted(n_rows)} ranked{skipped}. {further}")
    if state.outcome == "finished":
        if not n_rows:
            return problem("No checkpoint could be ranked; the reasons are below.", after=" Try other candidates.")
        over = budget_over(state.board) if state.board else ""
        return paragraph(
            f"Finished: {counted(n_rows)} ranked{skipped}.{over} Choose one below to see why it stands there, take the"
            " table with you, or push the score cards to the Hub."
        )
    return running_html(state)


def budget_over(board: Leaderboard) -> str:
    """Say that a race ended before all had run; "" where all had."""
    n_left = board.n_candidates - len(board.rows) - len(board.skipped)
    within = board.settings.get("budget")
    if not n_left or not within:
        return ""
    return escape(f" The budget of {within} was over before the turn of {n_left} more; a larger one ranks them, too.")


def running_html(state: RunState) -> str:
    """Show a bar and a sentence while a run goes on."""
    return bar(share_done(state), running_text(state))


def running_text(state: RunState) -> str:
    """What is being done at this moment, in words."""
    progress = state.progress
    if progress is None:
        return "Waiting to begin …"
    if progress.stage == "dataset":
        return "Reading the dataset …"
    share = share_done(state)
    name = progress.checkpoint.rstrip("/").rsplit("/", maxsplit=1)[-1]
    within = state.board.settings.get("budget") if state.board else None
    race = f"Race within {within}. " if within else ""
    parts = [f"{race}Checkpoint {progress.number} of {progress.n_candidates}: {STEPS[progress.stage]}, {name}"]
    if progress.stage == "extract" and progress.images_per_s:
        parts.append(f"{progress.images_per_s:.0f} images/s on {progress.device}")
    if progress.remaining_s is not None:
        parts.append(f"about {duration_in_words(progress.remaining_s)} left")
    elif share > 0 and state.ranking_s > 1:
        parts.append(f"about {duration_in_words(state.ranking_s * (1 - share) / share)} left")
    return ", ".join(parts)


def bytes_in_words(n_bytes: int) -> str:
    """Say a size as one would say it."""
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 10**9 else f"{max(1, round(n_bytes / 1e6))} MB"


def counted(n_checkpoints: int) -> str:
    """Say so many checkpoints in words."""
    return "1 checkpoint" if n_checkpoints == 1 else f"{n_checkpoints} checkpoints"


def sign_in_html(deployment: Deployment, *, name: str | None, has_login: bool) -> str:
    """Whether pushing and private datasets would work, and if not, what to do."""
    if name:
        return paragraph(f"Signed in as <b>{escape(name)}</b>: cards are pushed, and private datasets read, as you.")
    if deployment.has_sign_in:
        return paragraph(
            "Signed out. Sign in with Hugging Face (button at the top) to push, or to read private datasets."
        )
    if deployment.is_shared:
        return paragraph("This Space has no sign-in: duplicate it, or run lead-hub on your own machine, to push.")
    if has_login:
        return paragraph("Pushes go to the Hub with the login of this machine.")
    return paragraph(
        "Signed out. To push, run <code>hf auth login</code> in a terminal of this machine and press Push again."
    )


def pushed_html(pushed: Push) -> str:
    """What a push did, with links."""
    left_out = (
        f" Left out: {pushed.n_left_out} checkpoints that not everybody may read, because all can see this repository;"
        " name a private one to keep them, too."
        if pushed.n_left_out
        else ""
    )
    if not pushed.changed:
        return paragraph(f"{escape(pushed.repo_id)} holds all of it already: nothing to write.{left_out}")
    links = [
        (pushed.commit_url, "the commit"),
        (pushed.pr_url, "the pull request"),
        (pushed.collection_url, "the collection"),
    ]
    there = ", ".join(
        f'<a href="{escape(url, quote=True)}" target="_blank" rel="noopener">{name}</a>' for url, name in links if url
    )
    return paragraph(f"Pushed {len(pushed.files)} files to <b>{escape(pushed.repo_id)}</b>: see {there}.{left_out}")


def paragraph(html: str) -> str:
    return f'<p class="lead-note" role="status">{html}</p>'


def problem(text: str, *, after: str = "") -> str:
    """An error in words; the text may quote anything."""
    return f'<p class="lead-problem" role="alert">{escape(text)}{escape(after)}</p>'


def bar(share: float, text: str) -> str:
    percent = 100 * share
    return (
        f'<div class="lead-progress" role="progressbar" aria-valuemin="0" aria-valuemax="100"'
        f' aria-valuenow="{percent:.0f}" aria-label="progress of the run">'
        f'<div style="width:{percent:.1f}%"></div></div>'
        f'<p class="lead-note" role="status">{escape(text)}</p>'
    )
