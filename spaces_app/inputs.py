"""The page's inputs: made once, read into a RunRequest, filled from a dataset or from a link.

Before a run they say what was found, offer what there is to pick, and tell what the run will take.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

import gradio as gr
from gradio.events import Dependency

from lead_hub.candidates import PRESETS, default_model_index, index_families, read_candidates, read_model_index
from lead_hub.errors import LeadHubError
from lead_hub.labelled_images import DatasetDescription
from lead_hub.recommendation import AUTO, estimate_run
from lead_hub.transferability import SCORES
from spaces_app.events import QUIETLY, Block, Updates
from spaces_app.focus import PRESSED_NAME
from spaces_app.request import FULL_RUN, RunRequest, from_link
from spaces_app.status import dataset_html, estimate_html, paragraph, problem, told
from spaces_app.visitor_reading import known_weights, look_at
from spaces_app.visitors import Deployment, visitor
from spaces_app.zero_gpu import as_carried_out, computing_device

SOURCES = (
    ("Curated index", "index"),
    ("Search the Hub", "hub"),
    ("My own list", "own"),
    ("Demo", "demo"),
)
SIZES = (("any size", 0), ("up to 10M", 10_000_000), ("up to 30M", 30_000_000), ("up to 100M", 100_000_000))
FIRST_SIZE = 30_000_000
AUTOMATIC = "automatic"
ANY = "any"  # no preset
BUDGETS = (AUTO, "5min", "15min", "1h", FULL_RUN)


@dataclass(frozen=True)
class Inputs:
    """The components, by what they ask for."""

    dataset: gr.Textbox
    upload: gr.File
    config: gr.Dropdown
    split: gr.Dropdown
    image_column: gr.Dropdown
    label_column: gr.Dropdown
    revision: gr.Textbox
    source: gr.Radio
    max_parameters: gr.Dropdown
    permissive: gr.Checkbox
    families: gr.Dropdown
    limit: gr.Slider
    own_candidates: gr.Textbox
    max_images: gr.Slider
    score: gr.Dropdown
    budget: gr.Dropdown
    preset: gr.Dropdown

    def all(self) -> set[Block]:
        return {getattr(self, field.name) for field in fields(self)}

    def of_question(self) -> list[gr.Radio | gr.Dropdown | gr.Checkbox | gr.Slider | gr.Textbox]:
        """Those that change how long a run takes."""
        return [
            self.source,
            self.max_parameters,
            self.permissive,
            self.families,
            self.limit,
            self.max_images,
            self.own_candidates,
            self.score,
            self.budget,
            self.preset,
        ]


@dataclass(frozen=True)
class InputNotes:
    """What stands beside the inputs: what is said of the dataset and of the run to come, and what a search lists."""

    found: gr.HTML
    datasets: gr.HTML
    checkpoints: gr.HTML
    estimate: gr.HTML


def made_inputs(deployment: Deployment) -> tuple[Inputs, InputNotes, gr.Button]:
    """The form: what to rank on and which checkpoints, the rest folded away; what it says; and what begins a run."""
    hint = (
        "Hub id, as in my-org/my-dataset" if deployment.is_shared else "Hub id, or a folder with one subfolder a class"
    )
    with gr.Row():
        dataset = gr.Textbox(
            label="Dataset", info=hint, placeholder="my-org/my-dataset", elem_id="dataset", max_lines=1,
            scale=4, min_width=280,
        )  # fmt: skip
        upload = gr.File(
            label="or a zip or folder, one subfolder a class", file_types=[".zip"], type="filepath", height=112,
            elem_id="upload", scale=3, min_width=220,
        )  # fmt: skip
        config = gr.Dropdown(
            [], label="Configuration", allow_custom_value=True, visible=False, elem_id="config", scale=2, min_width=140
        )
        split = gr.Dropdown(
            ["train"], value="train", label="Split to rank on", allow_custom_value=True, elem_id="split",
            info="never the one that you test on", scale=2, min_width=180,
        )  # fmt: skip
    datasets = _made_list("datasets-found")
    found = gr.HTML(elem_id="dataset-status")
    source = gr.Radio(
        SOURCES, value="index", label="Candidates", info="which checkpoints to rank", elem_id="source", min_width=300
    )
    own = gr.Textbox(
        label="Your checkpoints", info="one Hub id a line, @revision if you like", lines=4, visible=False,
        placeholder="timm/resnet50.a1_in1k\nfacebook/dinov2-small@main", elem_id="own-candidates",
    )  # fmt: skip
    checkpoints = _made_list("checkpoints-found")
    with gr.Row():
        columns = _dataset_choices()
        choices = _candidate_choices()
    with gr.Row(elem_id="begin"):
        estimate = gr.HTML(elem_id="estimate")
        start = gr.Button("Rank checkpoints", variant="primary", elem_id="rank", min_width=240, scale=0)
    inputs = Inputs(
        **{"dataset": dataset, "config": config, "split": split, "source": source, "own_candidates": own},  # type: ignore[arg-type]
        upload=upload,
        **columns,  # type: ignore[arg-type]  # named as they were made
        **choices,  # type: ignore[arg-type]
    )
    return inputs, InputNotes(found, datasets, checkpoints, estimate), start


def _made_list(elem_id: str) -> gr.HTML:
    """Where what a search found is listed, to be pressed."""
    return gr.HTML(elem_id=elem_id, js_on_load=PRESSED_NAME, apply_default_css=False)


def _dataset_choices() -> dict[str, Block]:
    """What most datasets do not need."""
    with gr.Accordion("Columns and revision", open=False):
        with gr.Row():
            image_column = gr.Dropdown(
                [AUTOMATIC], value=AUTOMATIC, label="Image column", allow_custom_value=True, elem_id="image-column"
            )
            label_column = gr.Dropdown(
                [AUTOMATIC], value=AUTOMATIC, label="Class column", allow_custom_value=True, elem_id="label-column"
            )
        revision = gr.Textbox(label="Revision", info="branch, tag or commit", max_lines=1, elem_id="revision")
    return {"image_column": image_column, "label_column": label_column, "revision": revision}


def _candidate_choices() -> dict[str, Block]:
    """Which of the checkpoints that there are, on how many images, by which score, in how much time."""
    known_families = index_families(read_model_index(default_model_index()))
    with gr.Accordion("Size, licence and family of checkpoints; images; score; time", open=False):
        with gr.Row():
            preset = gr.Dropdown(
                [ANY, *PRESETS], value=ANY, label="Preset", elem_id="preset",
                info="of the curated index; what else is chosen narrows it",
            )  # fmt: skip
            max_parameters = gr.Dropdown(SIZES, value=FIRST_SIZE, label="Parameters", elem_id="max-parameters")
            limit = gr.Slider(1, 100, value=10, step=1, label="Most checkpoints", elem_id="limit")
        families = gr.Dropdown(
            [*known_families], label="Families", multiselect=True, allow_custom_value=True, elem_id="families",
            info="none chosen: all",
        )  # fmt: skip
        permissive = gr.Checkbox(label="Permissive licences only (Apache-2.0, MIT, BSD, ...)", elem_id="permissive")
        with gr.Row():
            images = gr.Slider(
                50, 5000, value=500, step=50, label="Most images", info="a stratified sample", elem_id="max-images"
            )
            score = gr.Dropdown(
                [*SCORES], value="lead", label="Score that ranks", elem_id="score",
                info="only lead is calibrated to predict accuracies",
            )  # fmt: skip
            budget = gr.Dropdown(
                BUDGETS, value=AUTO, label="Budget", allow_custom_value=True, elem_id="budget",
                info="none: all checkpoints on all images; auto: a race within 15min where that takes longer",
            )  # fmt: skip
    return {
        **{"max_parameters": max_parameters, "limit": limit, "families": families, "permissive": permissive},
        **{"max_images": images, "score": score, "budget": budget, "preset": preset},
    }


def read_request(values: Mapping[Block, object], inputs: Inputs) -> RunRequest:
    """The question that the inputs ask.

    Raises:
        LeadHubError: a list of checkpoints that is too long, or no budget that there is.
    """
    given = {field.name: values.get(getattr(inputs, field.name)) for field in fields(inputs)}

    def text(name: str) -> str | None:
        value = str(given[name] or "").strip()
        return value if value and value != AUTOMATIC else None

    own = tuple(line.strip() for line in str(given["own_candidates"] or "").splitlines() if line.strip())
    families = given["families"]
    source, preset = str(given["source"]), text("preset")
    return RunRequest(
        dataset=text("dataset") or "",
        config=text("config"),
        split=text("split") or "train",
        image_column=text("image_column"),
        label_column=text("label_column"),
        revision=text("revision"),
        source=source,
        max_parameters=int(str(given["max_parameters"] or 0)) or None,
        permissive=bool(given["permissive"]),
        families=tuple(families) if isinstance(families, list) else (),
        limit=int(str(given["limit"])),
        own_candidates=own if source == "own" else (),
        max_images=int(str(given["max_images"])),
        score=str(given["score"]),
        budget=text("budget") or AUTO,
        preset=preset if source == "index" and preset != ANY else None,
    )


def filled_from_link(request: RunRequest, inputs: Inputs) -> Updates:
    """Values of the inputs that ask a link's question."""
    return {
        inputs.dataset: request.dataset,
        inputs.config: gr.update(value=request.config, visible=request.config is not None),
        inputs.split: request.split,
        inputs.image_column: request.image_column or AUTOMATIC,
        inputs.label_column: request.label_column or AUTOMATIC,
        inputs.revision: request.revision or "",
        inputs.source: request.source,
        inputs.max_parameters: _size(request.max_parameters),
        inputs.permissive: request.permissive,
        inputs.families: list(request.families),
        inputs.limit: min(100, request.limit or 10),
        inputs.own_candidates: "\n".join(request.own_candidates),
        inputs.max_images: min(5000, max(50, request.max_images)),
        inputs.score: request.score if request.score in SCORES else "lead",
        inputs.budget: request.budget,
        inputs.preset: request.preset or ANY,
    }


def _size(max_parameters: int | None) -> int:
    """The choice that is nearest to what was asked for, from above."""
    sizes = [size for _, size in SIZES if size >= (max_parameters or 0)]
    return min(sizes) if max_parameters and sizes else 0


def _size_beside_preset(preset: str) -> int:
    """What the form asks for at first is less than what some presets are about."""
    return FIRST_SIZE if preset == ANY else 0


def filled_from_dataset(description: DatasetDescription, inputs: Inputs) -> Updates:
    """Pickers with what there is to pick."""
    splits = [split.name for split in description.splits]
    return {
        inputs.config: gr.update(
            choices=list(description.configs),
            value=description.config if len(description.configs) > 1 else None,
            visible=len(description.configs) > 1,
        ),
        inputs.split: gr.update(choices=splits or ["train"], value=description.default_split or "train"),
        inputs.image_column: gr.update(choices=[AUTOMATIC, *description.image_columns], value=AUTOMATIC),
        inputs.label_column: gr.update(choices=[AUTOMATIC, *description.label_columns], value=AUTOMATIC),
    }


def wire_inputs(
    app: gr.Blocks,
    inputs: Inputs,
    *,
    beside: InputNotes,
    named_by: Sequence[Dependency],
    demos: Sequence[Dependency],
    deployment: Deployment,
) -> tuple[gr.State, list[Callable[..., object]]]:
    """Connect them; gives what was found of the dataset, and the listeners after which its images may be others.

    Args:
        app: the page.
        inputs: to be filled and read.
        beside: changes with them.
        named_by: further events that have named a dataset.
        demos: events that have filled in a demo's question.
        deployment: where the app runs.
    """
    known, found, estimate = gr.State(None), beside.found, beside.estimate

    def described(values: Updates, token: gr.OAuthToken | None) -> Updates:
        try:
            question = read_request(values, inputs)
            if not question.dataset:
                return {found: "", known: None}
            description = look_at(
                question, visitor(deployment, token=token.token if token else None), deployment=deployment
            )
        except LeadHubError as error:
            unknown = gr.update(choices=[], value=None, visible=False)  # another dataset's would be asked for
            return {found: problem(told(error, deployment)), known: None, inputs.config: unknown}
        return {
            found: dataset_html(description, is_demo=question.is_demo),
            known: description,
            **filled_from_dataset(description, inputs),
        }

    def estimated(values: Updates) -> Updates:
        try:
            question = as_carried_out(read_request(values, inputs))
            if question.source == "hub":
                words = "The Hub is searched when the run begins; what is found decides how long it takes."
                return {estimate: paragraph(words)}
            candidates = read_candidates(question.candidates(paths_allowed=not deployment.is_shared))
            description = values.get(known)
            splits = description.splits if isinstance(description, DatasetDescription) else ()
            in_split = next((split.n_rows for split in splits if split.name == question.split), None)
            n_images = min(question.max_images, in_split or question.max_images)
            budget, device = question.estimated_budget, computing_device()
            of_run = estimate_run(
                candidates, n_images=n_images, device=device, budget=budget, access=known_weights(deployment)
            )
            return {estimate: estimate_html(of_run)}
        except LeadHubError as error:
            return {estimate: problem(told(error, deployment))}

    def sourced(source: str) -> Updates:
        is_listed = source in ("index", "hub")
        return {
            inputs.max_parameters: gr.update(visible=is_listed),
            inputs.limit: gr.update(visible=is_listed),
            inputs.families: gr.update(visible=is_listed),
            inputs.permissive: gr.update(visible=is_listed),
            inputs.own_candidates: gr.update(visible=source == "own"),
            inputs.preset: gr.update(visible=source == "index"),
        }

    def restored(request: gr.Request) -> Updates:
        question = from_link(request.query_params.multi_items())
        return filled_from_link(question, inputs) if question else {inputs.dataset: gr.skip()}

    pickers = [inputs.config, inputs.split, inputs.image_column, inputs.label_column]
    told_of, asking = [found, known, *pickers], {*inputs.all(), known}
    named: list[Callable[..., Dependency]]
    named = [inputs.dataset.blur, inputs.dataset.submit, inputs.config.input, *(event.then for event in named_by)]
    events = [name(described, inputs.all(), told_of, **QUIETLY) for name in named]
    triggers = [event.then(estimated, asking, [estimate], **QUIETLY).then for event in events]
    triggers += [inputs.split.input, inputs.image_column.input, inputs.label_column.input, inputs.upload.change]
    asked_for = [inputs.max_parameters, inputs.limit, inputs.families, inputs.permissive, inputs.own_candidates]
    asked_for.append(inputs.preset)
    inputs.preset.input(_size_beside_preset, inputs.preset, inputs.max_parameters, **QUIETLY)
    inputs.source.change(sourced, inputs.source, asked_for, **QUIETLY)
    for component in inputs.of_question():
        component.change(estimated, asking, [estimate], **QUIETLY)
    for filled in (app.load(restored, None, [*inputs.all()], **QUIETLY), *demos):
        looked_at = filled.then(described, inputs.all(), told_of, **QUIETLY)
        looked_at.then(estimated, asking, [estimate], **QUIETLY)
    return known, triggers
