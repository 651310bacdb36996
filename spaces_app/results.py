"""The page's results: components made once, what they show while a run goes on and at its end, and what they do then.

Then a row is explained, files are given, and score cards are pushed.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields

import gradio as gr
from huggingface_hub import get_token
from huggingface_hub.constants import ENDPOINT

from lead_hub.errors import LeadHubError
from lead_hub.leaderboard import (
    Leaderboard,
    RankedCheckpoint,
    confusion_heat_map,
    one_line,
    rank_intervals,
    row_name,
    score_against_parameters,
)
from spaces_app import view
from spaces_app.answers import shown_board
from spaces_app.events import QUIETLY, Block, Updates
from spaces_app.fine_tuning_script import fine_tuning_snippet
from spaces_app.request import RunRequest
from spaces_app.runs import RunState
from spaces_app.snippets import repeat_line, shell_line
from spaces_app.status import paragraph, problem, pushed_html, sign_in_html, told
from spaces_app.visitors import Deployment, visitor

LONGEST_CHOICE = 100
NOT_KEPT = "These results are kept for an hour, which is over: press Rank checkpoints again."
# Of the table's columns, in pixels; the last one takes what is left.
PAGE_WIDTH = 1215
WIDTHS = {
    **{"rank": 54, "checkpoint": 225, "ranks": 66, "best, %": 74, "predicted accuracy, %": 178, "90% interval": 105},
    **{"score": 84, "parameters, M": 128, "licence": 98, "downloads": 98, "images/s": 84, "status": 118},
}

HOW_TO_READ = """
- **ranks**: where a checkpoint would stand if other images of the same kind had been drawn, in 90 of 100 cases.
  Where the intervals of two checkpoints overlap, their order may be chance.
- **best, %**: the chance that it is the best of these once all are fine-tuned. It also counts in how far the score was
  from the truth on checkpoints that were really fine-tuned. Names in bold could be the best.
- **predicted accuracy, %**: after full fine-tuning, with a 90% interval. It was learnt from small networks on small
  pictures: for photographs and full-size checkpoints it is unverified, so trust the order more than the number.
- **score** is LEAD unless you chose another: higher is better, and comparable within one table only.
- Only one split was read, and never the one that you test on. All checkpoints saw the same images, each through its own
  image processor.
- *trained on this dataset*: the checkpoint's card names your dataset as training data, so its score flatters it.
"""


@dataclass(frozen=True, eq=False)
class Shown:
    """What a visitor's page shows at the end of a run; kept on the server, for that visitor alone.

    Attributes:
        question: that was asked.
        board: what was found, as the visitor may read it.
        brought: name of the visitor's zip, if its images were ranked on.
    """

    question: RunRequest
    board: Leaderboard
    brought: str = ""

    @staticmethod
    def of(question: RunRequest, state: RunState, deployment: Deployment, *, brought: str = "") -> "Shown | None":
        """None where nothing was found."""
        if state.board is None:
            return None
        return Shown(question, shown_board(state.board, question, deployment, brought=brought), brought)

    @property
    def link(self) -> str:
        """The query string of a link to the question; no link carries a zip."""
        return "" if self.brought else self.question.to_link()

    def row(self, number: int | None) -> RankedCheckpoint | None:
        """The row of that number, from 0."""
        return self.board.rows[number] if number is not None and 0 <= number < len(self.board.rows) else None

    def choices(self) -> list[tuple[str, int]]:
        """Every row by rank and name, and its number."""
        return [
            (f"{row.rank}. {one_line(row_name(row), at_most=LONGEST_CHOICE)}", number)
            for number, row in enumerate(self.board.rows)
        ]

    def number(self, cells: Sequence[object]) -> int | None:
        """Place of the row that shows these cells, wherever sorting has put it."""
        key = [str(cell) for cell in cells[:2]]
        found = (
            number
            for number, row in enumerate(view.board_rows(self.board, endpoint=ENDPOINT))
            if [str(c) for c in row[:2]] == key
        )
        return next(found, None)


@dataclass(frozen=True)
class Results:
    """The components that show a run's results, below the inputs."""

    verdict: gr.HTML
    table: gr.Dataframe
    details: gr.Column
    choice: gr.Dropdown
    confusion: gr.HTML
    snippet: gr.Code
    intervals: gr.HTML
    parameters: gr.HTML
    skipped_panel: gr.Accordion
    skipped: gr.HTML
    python: gr.Code
    shell: gr.Code
    query: gr.Textbox
    link: gr.Textbox
    csv: gr.Button
    json: gr.Button
    file_text: gr.Textbox
    repository: gr.Textbox
    visibility: gr.Radio
    collection: gr.Checkbox
    push: gr.Button
    pushed: gr.HTML
    signed: gr.HTML

    def all(self) -> list[Block]:
        return [getattr(self, field.name) for field in fields(self)]

    def cleared(self) -> Updates:
        """Clear what an earlier run left, at the start of a run."""
        return {
            self.verdict: "",
            self.table: gr.update(value=[], visible=False),
            self.details: gr.update(visible=False),
            self.pushed: "",
        }


def made_results(deployment: Deployment) -> Results:
    """The components, hidden until there is something to show."""
    verdict = gr.HTML(elem_id="verdict")
    table = gr.Dataframe(
        headers=view.headers(), datatype=view.datatypes(), interactive=False, visible=False, show_search="filter",
        label="Leaderboard", elem_id="board", wrap=False, max_height=560, buttons=["fullscreen", "copy"],
    )  # fmt: skip
    with gr.Column(visible=False) as details:
        with gr.Row(elem_id="take-away"):
            csv = gr.Button("Download CSV", size="sm", elem_id="csv")
            json_button = gr.Button("Download JSON", size="sm", elem_id="json")
        file_text = gr.Textbox(visible=False)
        with gr.Accordion("Skipped checkpoints", open=False, visible=False, elem_id="skipped") as skipped_panel:
            skipped = gr.HTML(
                elem_id="skipped-rows"
            )  # a gr.Dataframe that is folded away while it is filled stays empty
        with gr.Tabs():
            with gr.Tab("Explain"):
                choice = gr.Dropdown([], label="Checkpoint to explain (or press its row above)", elem_id="choice")
                confusion = gr.HTML(elem_id="confusion")
                snippet = gr.Code(
                    language="python", label="Fine-tune it", interactive=False, max_lines=18, elem_id="snippet"
                )
            with gr.Tab("Ranks"):
                intervals = gr.HTML(elem_id="intervals")
            with gr.Tab("Size"):
                parameters = gr.HTML(elem_id="parameters")
            with gr.Tab("Help"):
                gr.Markdown(HOW_TO_READ)
            with gr.Tab("Repeat"):
                python = gr.Code(language="python", label="In Python", interactive=False, elem_id="python")
                shell = gr.Code(language="shell", label="In a terminal", interactive=False, elem_id="shell")
                query = gr.Textbox(visible=False)
                link = gr.Textbox(label="Link to this question", interactive=False, elem_id="link", buttons=["copy"])
        with gr.Column(elem_classes="lead-card", elem_id="push-card"):
            gr.HTML("<h2>3. Push the score cards to the Hub</h2>")
            with gr.Row():
                repository = gr.Textbox(
                    label="Dataset repository of yours", placeholder="your-name/lead-scores", max_lines=1,
                    info="created if it is missing", elem_id="repository",
                )  # fmt: skip
                visibility = gr.Radio(
                    [("as the ranked dataset", "as"), ("private", "private"), ("public", "public")], value="as",
                    label="A new repository is", elem_id="visibility",
                )  # fmt: skip
            # Collections are more than a Space asks its visitors' leave for.
            collection = gr.Checkbox(
                label="Also keep a collection of the best checkpoints",
                visible=not deployment.is_shared,
                elem_id="collection",
            )
            push = gr.Button("Push score cards", variant="primary", elem_id="push")
            signed = gr.HTML(elem_id="signed")
            pushed = gr.HTML(elem_id="pushed")
    return Results(
        **{"verdict": verdict, "table": table, "details": details, "choice": choice, "confusion": confusion},
        **{"snippet": snippet, "intervals": intervals, "parameters": parameters, "skipped_panel": skipped_panel},
        **{"skipped": skipped, "python": python, "shell": shell, "query": query, "link": link, "csv": csv},  # type: ignore[arg-type]
        **{"json": json_button, "file_text": file_text, "repository": repository, "visibility": visibility},  # type: ignore[arg-type]
        **{"collection": collection, "push": push, "pushed": pushed, "signed": signed},  # type: ignore[arg-type]
    )


def growing(results: Results, shown: Shown | None) -> Updates:
    """Show the rows so far, while a run goes on."""
    if shown is None:
        return {}
    return {
        results.verdict: view.verdict_html(shown.board) + view.summary_html(shown.board, endpoint=ENDPOINT),
        results.table: table_update(shown.board),
    }


def table_update(board: Leaderboard) -> dict[str, object]:
    """The rows, without the columns that nothing is known for; no table of no columns, which Gradio cannot make."""
    if not board.rows:
        return gr.update(value=[], visible=False)
    rows = view.board_rows(board, endpoint=ENDPOINT)
    columns = [number for number in range(len(view.COLUMNS)) if any(row[number] not in (None, "") for row in rows)]
    widths = [WIDTHS[view.COLUMNS[number].header] for number in columns]
    widths[-1] = max(widths[-1], PAGE_WIDTH - sum(widths[:-1]))
    return gr.update(
        value=[[row[number] for number in columns] for row in rows],
        headers=[view.COLUMNS[number].header for number in columns],
        datatype=[view.COLUMNS[number].datatype for number in columns],
        column_widths=widths,
        visible=True,
    )


def finished(results: Results, shown: Shown | None) -> Updates:
    """Show everything that a finished run gave."""
    if shown is None:
        return {}
    board = shown.board
    unpack = f"# with {one_line(shown.brought)}.zip unpacked to a folder of that name\n" if shown.brought else ""
    choices = shown.choices()
    first = 0 if choices else None
    return {
        **growing(results, shown),
        results.details: gr.update(visible=True),
        results.choice: gr.update(choices=choices, value=first),
        **explained(results, shown, first),
        results.intervals: rank_intervals(board),
        results.parameters: score_against_parameters(board),
        results.skipped_panel: gr.update(
            visible=bool(board.skipped), label=f"Skipped checkpoints: {len(board.skipped)}"
        ),
        results.skipped: view.skipped_html(board),
        results.python: unpack + repeat_line(shown.question),
        results.shell: unpack + shell_line(shown.question),
        results.query: shown.link,
    }


def shown_again(results: Results, shown: Shown | None) -> Updates:
    """What a browser may have missed that still drew the last rows when the end came: rows, and what is below."""
    if shown is None:
        return {}
    return {results.table: table_update(shown.board), results.details: gr.update(visible=True)}


def explained(results: Results, shown: Shown | None, number: int | None) -> Updates:
    """Why the chosen checkpoint stands where it does, and how to fine-tune it."""
    row = shown.row(number) if shown else None
    if shown is None or row is None:
        return {results.confusion: paragraph("Choose a ranked checkpoint."), results.snippet: ""}
    return {
        results.confusion: confusion_heat_map(row),
        results.snippet: fine_tuning_snippet(row, shown.board.dataset),
    }


def csv_text(shown: Shown | None) -> str:
    """The table as a file; made in the browser, so that no copy lies on the server.

    Raises:
        gr.Error: the results are no longer kept.
    """
    return _kept(shown).board.to_pandas().to_csv(index=False)


def json_text(shown: Shown | None) -> str:
    """The whole board, as `Leaderboard.load` reads it.

    Raises:
        gr.Error: the results are no longer kept.
    """
    return json.dumps(_kept(shown).board.to_document(), indent=2, ensure_ascii=False)


def _kept(shown: Shown | None) -> Shown:
    if shown is None:
        raise gr.Error(NOT_KEPT, print_exception=False)
    return shown


# The file is made in the browser: on the server no copy of a private dataset's results is left behind.
SAVE = """(text) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], {type: "%s"}));
  link.download = "%s";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}"""
LINK = "(query) => query ? window.location.origin + window.location.pathname + '?' + query : ''"


def wire_results(app: gr.Blocks, results: Results, shown: gr.State, *, deployment: Deployment) -> None:
    """Connect them."""

    def chosen(found: Shown | None, number: int | None) -> Updates:
        return explained(results, found, number)

    def pressed(found: Shown | None, event: gr.SelectData) -> Updates:
        number = found.number(event.row_value) if found else None
        return {results.choice: gr.skip() if number is None else number}

    def pushed_by_hand(
        found: Shown | None,
        repository: str,
        visibility: str,
        collection: bool,  # noqa: FBT001 - as the checkbox gives it
        token: gr.OAuthToken | None,
    ) -> str:
        who = visitor(deployment, token=token.token if token else None)
        if not who.is_signed_in or (who.token is None and get_token() is None):
            return sign_in_html(deployment, name=None, has_login=False)
        if found is None:
            return problem(NOT_KEPT)
        if not repository.strip():
            return problem("Name the dataset repository to push to, such as your-name/lead-scores.")
        private = None if visibility == "as" else visibility == "private"
        try:
            pushed = found.board.push_to_hub(
                repository.strip(), private=private, collection=collection, token=who.token
            )
        except LeadHubError as error:
            return problem(told(error, deployment))
        return pushed_html(pushed)

    def greeted(profile: gr.OAuthProfile | None) -> Updates:
        name = profile.username if profile else None
        updates: Updates = {results.signed: sign_in_html(deployment, name=name, has_login=get_token() is not None)}
        return {**updates, results.repository: f"{name}/lead-scores" if name else gr.skip()}

    results.choice.change(chosen, [shown, results.choice], [results.confusion, results.snippet], **QUIETLY)
    results.table.select(pressed, shown, results.choice, **QUIETLY)
    results.query.change(None, results.query, results.link, js=LINK, api_visibility="private")
    for button, text, kind, name in (
        (results.csv, csv_text, "text/csv", "leaderboard.csv"),
        (results.json, json_text, "application/json", "leaderboard.json"),
    ):
        button.click(text, shown, results.file_text, **QUIETLY).success(
            None, results.file_text, None, js=SAVE % (kind, name), api_visibility="private"
        )
    results.push.click(
        pushed_by_hand,
        [shown, results.repository, results.visibility, results.collection],
        results.pushed,
        api_visibility="private",
    )
    app.load(greeted, None, [results.signed, results.repository], **QUIETLY)
