"""A question -> the Python and the shell line that repeat it.

Whatever others wrote (ids, columns, paths) stands in them as quoted literals, and nowhere else.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields

from lead_hub.candidates import CandidateQuery, IndexQuery
from lead_hub.recommendation import AUTO
from spaces_app.request import DEMO, FULL_RUN, RunRequest

FOUND = "candidates.json"  # the shell's way keeps what it found on the Hub in this file
OPTIONS = ("score", "config", "split", "image_column", "label_column", "revision", "max_images")


def repeat_line(request: RunRequest) -> str:
    """Python that asks the same question again: one call, with what differs from its defaults."""
    imports, call = _call(request)
    return "\n".join([*imports, f"board = {call}", "print(board.verdict)"])


def shell_line(request: RunRequest) -> str:
    """A command that asks the same question again; what no option can say, or not legibly, in Python."""
    commands = _commands(request)
    if not commands or not all(word.isprintable() for command in commands for word in command):
        return shlex.join(["python", "-c", repeat_line(request)])
    return " &&\n".join(map(shlex.join, commands))


def _commands(request: RunRequest) -> list[list[str]]:
    """The words of each command, one after the other; none where their options do not suffice."""
    chosen = _chosen(request)
    options = [f"--{name.replace('_', '-')}={value}" for name, value in chosen.items()]
    if request.is_demo or request.source == "demo":
        target = request.dataset.removeprefix(DEMO)
        is_plain = request.is_demo and request.source == "demo" and chosen.keys() <= {"score"}
        is_plain &= request.budget in (AUTO, FULL_RUN)  # on so few images both are the full run, as that command is
        return [["lead-hub", "demo", f"--target={target}", *options]] if is_plain else []
    options += [f"--budget={request.budget}"] if request.budget != AUTO else []
    dataset = ["--", request.dataset] if request.dataset.startswith("-") else [request.dataset]
    candidates = [f"--candidates={name}" for name in request.own_candidates if request.source == "own"]
    if request.source == "index":
        preset = [f"--preset={request.preset}"] if request.preset else []
        candidates = [*preset, *_filter_options(_query(request))]
    if request.source != "hub":
        return [["lead-hub", "recommend", *options, *candidates, *dataset]]
    crawl = ["lead-hub", "crawl", *_filter_options(_query(request)), f"--output={FOUND}"]
    return [crawl, ["lead-hub", "recommend", *options, f"--candidates={FOUND}", *dataset]]


def _chosen(request: RunRequest) -> dict[str, object]:
    """Arguments of the question that differ from the defaults, which are those of `recommend`."""
    defaults = {field.name: field.default for field in fields(RunRequest)}
    return {name: getattr(request, name) for name in OPTIONS if getattr(request, name) != defaults[name]}


def _call(request: RunRequest) -> tuple[list[str], str]:
    """The imports and the call."""
    dataset, demo = literal(request.dataset), set()
    if request.is_demo:
        dataset = f"target_folder({literal(request.dataset.removeprefix(DEMO))})"
        demo.add("target_folder")
    candidates = _candidates(request)
    if request.source == "demo":
        demo.add("pool")
    imports = ["import lead_hub"]
    if candidates.startswith("replace("):
        imports.insert(0, "from dataclasses import replace")
    if request.source == "index" and candidates:
        imports.append("from lead_hub.candidates import IndexQuery")
    if demo:
        imports.append(f"from lead_hub.demo import {', '.join(sorted(demo))}")
    arguments = [dataset, *([candidates] if candidates else [])]
    arguments += [f"{name}={literal(value)}" for name, value in _chosen(request).items()]
    arguments += [f"budget={literal(request.run_budget)}"] if request.run_budget is not None else []
    return imports, f"lead_hub.recommend({', '.join(arguments)})"


def _candidates(request: RunRequest) -> str:
    """The argument for the candidates; empty where it is the default."""
    if request.source == "demo":
        return f"pool({literal(request.dataset.removeprefix(DEMO))})" if request.is_demo else "pool()"
    if request.source == "own":
        return literal([*request.own_candidates])
    settings = ", ".join(f"{name}={literal(value)}" for name, value in _query(request).items())
    if request.source == "hub":
        return f"lead_hub.CandidateQuery({settings})"
    if request.preset:
        preset = f"IndexQuery.preset({literal(request.preset)})"
        return f"replace({preset}, {settings})" if settings else preset
    return f"IndexQuery({settings})" if settings else ""


def _query(request: RunRequest) -> dict[str, object]:
    """What differs from the defaults, or from the preset, in the question's query to the index or the Hub."""
    preset = IndexQuery.preset(request.preset) if request.preset and request.source == "index" else None
    queries = [
        source for source in request.candidates(paths_allowed=True) if isinstance(source, IndexQuery | CandidateQuery)
    ]
    return {
        field.name: value
        for query in queries
        for field in fields(query)
        if (value := getattr(query, field.name)) != (getattr(preset, field.name) if preset else field.default)
    }


def _filter_options(settings: Mapping[str, object]) -> list[str]:
    """Settings of a query that a question can have, as options of `lead-hub crawl` and `lead-hub recommend`."""
    names = {"limit": "--limit", "max_parameters": "--max-params", "licences": "--licence", "families": "--family"}
    return [
        f"{names[name]}={each}"
        for name, value in settings.items()
        for each in (value if isinstance(value, tuple) else (value,))
    ]


def literal(value: object) -> str:
    """Python that evaluates to the value and to nothing else: None, a number, a text, or a list or tuple of these."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return f"[{_items(value)}]"
    if isinstance(value, tuple):
        return f"({_items(value)}{',' if len(value) == 1 else ''})"
    return repr(value)


def _text(text: str) -> str:
    """`repr` escapes what is not printable: line breaks, and marks that turn the direction of writing."""
    return repr(text) if "'" in text or '"' in text else f'"{repr(text)[1:-1]}"'


def _items(values: Sequence[object]) -> str:
    return ", ".join(map(literal, values))
