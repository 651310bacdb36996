"""The page's results: components made once, what they show while a run goes on and at its end, and what they do then.

Then a row is explained and files are given; chapters of their own push score cards.
"""

import json
from dataclasses import dataclass, fields
from datetime import datetime, timezone

import gradio as gr
from huggingface_hub.constants import ENDPOINT

from lead_hub.leaderboard import (
    FURTHER,
    Leaderboard,
    answer_card,
    board_table,
    confusion_heat_map,
    one_line,
    rank_intervals,
    ranked_on,
    score_against_parameters,
    skipped_table,
)
from lead_hub.recommendation import RunPictures
from spaces_app import view
from spaces_app.comparing import Comparing, made_comparing, wire_comparing
from spaces_app.events import QUIETLY, Block, Updates
from spaces_app.fine_tuning_script import fine_tuning_snippet
from spaces_app.focus import GO_TO, PRESSED_ROW
from spaces_app.kept_boards import KeptBoards
from spaces_app.picture_html import mistakes_html, sample_html
from spaces_app.pushing import Pushing, made_pushing, wire_pushing
from spaces_app.shown import ANY, NOT_KEPT, ORDERS, SIZES, Shown
from spaces_app.snippets import repeat_line, shell_line
from spaces_app.status import paragraph, problem
from spaces_app.verifying import Verifying, made_verifying, wire_verifying
from spaces_app.visitors import Deployment

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
  pictures and from networks of two to six million weights on some hundred photographs each: for larger networks and
  more images it is unverified, so trust the order more than the number.
- **score** is LEAD unless you chose another: higher is better, and comparable within one table only.
- Only one split was read, and never the one that you test on. All checkpoints saw the same images, each through its own
  image processor.
- *trained on this dataset*: the checkpoint's card names your dataset as training data, so its score flatters it.
"""


@dataclass(frozen=True)
class Results:
    """The components that show a run's results, below the inputs."""

    verdict: gr.HTML
    actions: gr.Row
    tune: gr.Button
    why: gr.Button
    share: gr.Button
    choosers: gr.Accordion
    order: gr.Dropdown
    size: gr.Dropdown
    licences: gr.Dropdown
    families: gr.Dropdown
    further: gr.Dropdown
    table: gr.HTML
    details: gr.Column
    tabs: gr.Tabs
    choice: gr.Dropdown
    confusion: gr.HTML
    snippet: gr.Code
    intervals: gr.HTML
    parameters: gr.HTML
    figures: gr.Dataframe
    summary: gr.HTML
    skipped_panel: gr.Accordion
    skipped: gr.HTML
    python: gr.Code
    shell: gr.Code
    query: gr.Textbox
    link: gr.Textbox
    csv: gr.Button
    json: gr.Button
    html: gr.Button
    file_text: gr.Textbox
    file_name: gr.Textbox
    looking: gr.Accordion
    looked: gr.HTML
    mistakes: gr.HTML
    compare: gr.Button
    comparing: Comparing
    verifying: Verifying
    pushing: Pushing

    def all(self) -> list[Block]:
        chapters = (self.comparing, self.verifying, self.pushing)
        own = [value for field in fields(self) if (value := getattr(self, field.name)) not in chapters]
        return [*own, *(part for chapter in chapters for part in chapter.all())]

    def cleared(self) -> Updates:
        """Clear what an earlier run left, at the start of a run."""
        return {
            self.verdict: "",
            self.table: "",
            self.summary: "",
            self.actions: gr.update(visible=False),
            self.choosers: gr.update(visible=False),
            self.details: gr.update(visible=False),
            self.looking: gr.update(visible=False),
            self.pushing.pushed: "",
        }


def made_results(deployment: Deployment) -> Results:
    """The components, hidden until there is something to show."""
    verdict = gr.HTML(elem_id="verdict", apply_default_css=False)
    actions = _made_actions()
    choosers = _made_choosers()
    table = gr.HTML(elem_id="board", js_on_load=PRESSED_ROW, apply_default_css=False)
    summary = gr.HTML(elem_id="summary", apply_default_css=False)
    with gr.Accordion("The images that are ranked on", open=False, visible=False, elem_id="looking") as looking:
        looked = gr.HTML(elem_id="looked", apply_default_css=False)
    with gr.Column(visible=False) as details:
        with gr.Accordion("Skipped checkpoints", open=False, visible=False, elem_id="skipped") as skipped_panel:
            skipped = gr.HTML(elem_id="skipped-rows", apply_default_css=False)
        with gr.Tabs(selected="explain") as tabs:
            in_tabs, comparing = _made_tabs()
        verifying = made_verifying(is_offered=not deployment.is_shared)
        pushing = made_pushing(deployment)
    parts = {
        **{"verdict": verdict, "table": table, "summary": summary, "looking": looking, "looked": looked},
        **{"details": details, "skipped_panel": skipped_panel, "skipped": skipped, "tabs": tabs},
        **{"file_text": gr.Textbox(visible=False), "file_name": gr.Textbox(visible=False)},
    }
    chapters = {"comparing": comparing, "verifying": verifying, "pushing": pushing}
    return Results(**parts, **actions, **choosers, **in_tabs, **chapters)  # type: ignore[arg-type]  # by their names


def _made_actions() -> dict[str, Block]:
    """The buttons below the verdict."""
    with gr.Row(visible=False, elem_id="actions") as actions:
        tune = gr.Button("Fine-tune it", variant="primary", size="sm", elem_id="tune", min_width=150, scale=0)
        why = gr.Button("Why it stands there", size="sm", elem_id="why", min_width=150, scale=0)
        compare = gr.Button("Compare with the second", size="sm", elem_id="compare", min_width=200, scale=0)
        share = gr.Button("Push to the Hub", size="sm", elem_id="share", min_width=150, scale=0)
        csv = gr.Button("Download CSV", size="sm", elem_id="csv", min_width=150, scale=0)
        json_button = gr.Button("Download JSON", size="sm", elem_id="json", min_width=150, scale=0)
        html = gr.Button("Download HTML", size="sm", elem_id="html", min_width=150, scale=0)
    return {
        **{"actions": actions, "tune": tune, "why": why, "compare": compare, "share": share},
        **{"csv": csv, "json": json_button, "html": html},
    }


def _made_choosers() -> dict[str, Block]:
    """Which rows of the table, and in which order."""
    with gr.Accordion("Order, filter and columns", open=False, visible=False, elem_id="choosers") as choosers, gr.Row():
        order = gr.Dropdown([*ORDERS], value="rank", label="Order by", elem_id="order", min_width=150)
        size = gr.Dropdown([*SIZES], value=ANY, label="Size", elem_id="size", min_width=150)
        licences = gr.Dropdown([], multiselect=True, label="Licences (none: all)", elem_id="licences", min_width=150)
        families = gr.Dropdown([], multiselect=True, label="Kinds (none: all)", elem_id="kinds", min_width=150)
        further = gr.Dropdown([*FURTHER], multiselect=True, label="More columns", elem_id="further", min_width=150)
    made = {"choosers": choosers, "order": order, "size": size, "licences": licences, "families": families}
    return {**made, "further": further}


def _made_tabs() -> tuple[dict[str, Block], Comparing]:
    """What there is to know beyond the table."""
    with gr.Tab("Explain", id="explain"):
        choice = gr.Dropdown([], label="Checkpoint to explain (or press its row above)", elem_id="choice")
        confusion = gr.HTML(elem_id="confusion", apply_default_css=False)
        mistakes = gr.HTML(elem_id="mistakes", apply_default_css=False)
        snippet = gr.Code(language="python", label="Fine-tune it", interactive=False, max_lines=18, elem_id="snippet")
    with gr.Tab("Compare", id="compare"):
        comparing = made_comparing()
    with gr.Tab("Ranks", id="ranks"):
        intervals = gr.HTML(elem_id="intervals", apply_default_css=False)
    with gr.Tab("Size", id="size"):
        parameters = gr.HTML(elem_id="parameters", apply_default_css=False)
    with gr.Tab("All figures", id="figures"):
        figures = gr.Dataframe(
            headers=view.headers(), datatype=view.datatypes(), interactive=False, show_search="filter",
            label="All figures", elem_id="figures", wrap=False, max_height=560, buttons=["fullscreen", "copy"],
        )  # fmt: skip
    with gr.Tab("Help", id="help"):
        gr.Markdown(HOW_TO_READ)
    with gr.Tab("Repeat", id="repeat"):
        python = gr.Code(language="python", label="In Python", interactive=False, elem_id="python")
        shell = gr.Code(language="shell", label="In a terminal", interactive=False, elem_id="shell")
        query = gr.Textbox(visible=False)
        link = gr.Textbox(label="Link to this question", interactive=False, elem_id="link", buttons=["copy"])
    made: dict[str, Block] = {
        **{"choice": choice, "confusion": confusion, "mistakes": mistakes, "snippet": snippet, "intervals": intervals},
        **{"parameters": parameters, "figures": figures, "python": python, "shell": shell},
        **{"query": query, "link": link},
    }
    return made, comparing


def growing(results: Results, shown: Shown | None) -> Updates:
    """Show the rows so far, while a run goes on."""
    if shown is None:
        return {}
    board = shown.board
    return {
        results.verdict: answer_card(board, endpoint=ENDPOINT),
        results.table: board_table(board, endpoint=ENDPOINT) if board.rows else "",
        results.summary: ranked_on(board, endpoint=ENDPOINT),
    }


def looked_at(results: Results, pictures: RunPictures) -> Updates:
    """The images, as soon as a run has read them; of a board that was found again none are shown."""
    html = sample_html(pictures.sample) if pictures.sample else ""
    return {results.looking: gr.update(visible=bool(html)), results.looked: html}


def figures_update(board: Leaderboard) -> dict[str, object]:
    """All figures, without the columns that nothing is known for; of no rows none, as Gradio makes no such table."""
    if not board.rows:
        return gr.update(value=[])
    rows = view.board_rows(board, endpoint=ENDPOINT)
    columns = [number for number in range(len(view.COLUMNS)) if any(row[number] not in (None, "") for row in rows)]
    widths = [WIDTHS[view.COLUMNS[number].header] for number in columns]
    widths[-1] = max(widths[-1], PAGE_WIDTH - sum(widths[:-1]))
    return gr.update(
        value=[[row[number] for number in columns] for row in rows],
        headers=[view.COLUMNS[number].header for number in columns],
        datatype=[view.COLUMNS[number].datatype for number in columns],
        column_widths=widths,
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
        **looked_at(results, shown.pictures),
        results.actions: gr.update(visible=bool(board.rows)),
        results.compare: gr.update(visible=len(board.rows) > 1),
        **results.comparing.finished(shown),
        **results.verifying.finished(shown),
        results.choosers: gr.update(visible=len(board.rows) > 1),
        results.order: "rank",
        results.size: ANY,
        results.licences: gr.update(choices=shown.licences(), value=[]),
        results.families: gr.update(choices=shown.families(), value=[]),
        results.further: gr.update(value=[]),
        results.details: gr.update(visible=True),
        results.choice: gr.update(choices=choices, value=first),
        **explained(results, shown, first),
        results.intervals: rank_intervals(board),
        results.parameters: score_against_parameters(board),
        results.figures: figures_update(board),
        results.skipped_panel: gr.update(
            visible=bool(board.skipped), label=f"Skipped checkpoints: {len(board.skipped)}"
        ),
        results.skipped: skipped_table(board),
        results.python: unpack + repeat_line(shown.question),
        results.shell: unpack + shell_line(shown.question),
        results.query: shown.link,
        results.file_name: shown.file_name(datetime.now(timezone.utc).date()),
    }


def shown_again(results: Results, shown: Shown | None) -> Updates:
    """What a browser may have missed that still drew the last rows when the end came: rows, and what is below."""
    if shown is None:
        return {}
    return {**growing(results, shown), results.details: gr.update(visible=True)}


def explained(results: Results, shown: Shown | None, number: int | None) -> Updates:
    """Why the chosen checkpoint stands where it does, and how to fine-tune it."""
    row = shown.row(number) if shown else None
    if shown is None or row is None:
        return {results.confusion: paragraph("Choose a ranked checkpoint."), results.snippet: "", results.mistakes: ""}
    return {
        results.confusion: confusion_heat_map(row),
        results.mistakes: mistakes_html(shown.predictions(row)),
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


def html_text(shown: Shown | None) -> str:
    """The whole answer as one page for a colleague.

    Raises:
        gr.Error: the results are no longer kept.
    """
    return _kept(shown).board.to_html()


def _kept(shown: Shown | None) -> Shown:
    if shown is None:
        raise gr.Error(NOT_KEPT, print_exception=False)
    return shown


# The file is made in the browser: on the server no copy of a private dataset's results is left behind.
SAVE = """(text, name) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], {type: "%s"}));
  link.download = name + "%s";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}"""
LINK = "(query) => query ? window.location.origin + window.location.pathname + '?' + query : ''"


def wire_results(
    app: gr.Blocks, results: Results, shown: gr.State, *, run: gr.Textbox, kept: KeptBoards, deployment: Deployment
) -> None:
    """Connect them."""

    def chosen(found: Shown | None, number: int | None) -> Updates:
        return explained(results, found, number)

    def pressed(found: Shown | None, event: gr.SelectData) -> Updates:
        number = event.index if isinstance(event.index, int) else None
        is_known = found is not None and found.row(number) is not None
        return {results.choice: number if is_known else gr.skip(), results.tabs: gr.Tabs(selected="explain")}

    def filtered(
        found: Shown | None, order: str, size: str, licences: list[str], families: list[str], further: list[str]
    ) -> str:
        if found is None:
            return problem(NOT_KEPT)
        rows = found.chosen(order=order, size=size, licences=licences or (), families=families or ())
        return board_table(found.board, endpoint=ENDPOINT, rows=rows, further=further or ())

    results.choice.change(
        chosen, [shown, results.choice], [results.confusion, results.mistakes, results.snippet], **QUIETLY
    )
    results.table.select(pressed, shown, [results.choice, results.tabs], **QUIETLY)
    choosers = [results.order, results.size, results.licences, results.families, results.further]
    for chooser in choosers:  # an input would not tell that a choice of several was cleared
        chooser.change(filtered, [shown, *choosers], results.table, **QUIETLY)
    for button, place in ((results.tune, "#snippet"), (results.why, "#confusion")):
        button.click(lambda: gr.Tabs(selected="explain"), None, results.tabs, queue=False, **QUIETLY).then(
            None, None, None, js=GO_TO % place, api_visibility="private"
        )
    results.compare.click(lambda: gr.Tabs(selected="compare"), None, results.tabs, queue=False, **QUIETLY).then(
        None, None, None, js=GO_TO % "#compared", api_visibility="private"
    )
    results.share.click(None, None, None, js=GO_TO % "#push-card", api_visibility="private")
    results.query.change(None, results.query, results.link, js=LINK, api_visibility="private")
    for button, text, kind, ending in (
        (results.csv, csv_text, "text/csv", ".csv"),
        (results.json, json_text, "application/json", ".json"),
        (results.html, html_text, "text/html", ".html"),
    ):
        button.click(text, shown, results.file_text, **QUIETLY).success(
            None, [results.file_text, results.file_name], None, js=SAVE % (kind, ending), api_visibility="private"
        )
    wire_comparing(results.comparing, shown)
    if not deployment.is_shared:
        wire_verifying(app, results.verifying, shown, run=run, kept=kept)
    wire_pushing(app, results.pushing, shown, deployment=deployment)
