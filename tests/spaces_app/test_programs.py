"""The Space for programs and agents: gradio_client, and a real client of the model context protocol."""

import json
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import jsonschema
import pytest

from lead_hub.candidates import PRESETS
from lead_hub.transferability import SCORES
from tests.loopback_hub import HubServer
from tests.spaces_app.asking import answer, asking_client
from tests.spaces_app.seeds import CHECKPOINTS, COLOURS
from tests.spaces_app.served import PROJECT, ServedSpace

pytest.importorskip("gradio_client", reason="no gradio_client: pip install lead-hub[space,test]")
pytest.importorskip("mcp", reason="no mcp: pip install lead-hub[test]")
from gradio_client import Client
from gradio_client.exceptions import AppError
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, Tool

pytestmark = pytest.mark.usefixtures("seeded")


def client(space: ServedSpace, **settings: str) -> Client:
    return asking_client(space.url, **settings)


def test_a_program_ranks_and_pushes(space: ServedSpace, space_hub: HubServer) -> None:
    token = space_hub.add_user("carol", role="write")
    program = client(space, oauth_token=token)
    described = program.view_api(return_format="dict")["named_endpoints"]
    assert set(described) == {"/recommend", "/push"}  # and nothing of Gradio's own
    assert "transferability" in described["/recommend"]["description"]
    job = program.submit("org/colours", list(CHECKPOINTS), full_board=True, api_name="/recommend")
    answer = job.result(540)
    assert len(job.outputs()) >= 2  # rows came as they were ready
    assert answer["is_complete"]
    assert {row["checkpoint"]: row["sha"] for row in answer["checkpoints"]} == {
        name: space_hub.repo(name).head for name in CHECKPOINTS
    }
    assert [row["rank"] for row in answer["checkpoints"]] == [1, 2, 3]
    assert answer["dataset"]["n_classes"] == len(COLOURS)
    pushed = program.predict(answer["board"], "carol/scores", api_name="/push")
    assert pushed["changed"]
    files = space_hub.repo("carol/scores", kind="dataset").files_at()
    cards = [json.loads(text) for path, text in files.items() if path.startswith("cards/")]
    assert {card["checkpoint"] for card in cards} == set(CHECKPOINTS)
    assert all(request.user == "carol" for request in space_hub.requests if "carol/scores" in request.path)


def test_a_race_is_answered_with_its_last_board(space: ServedSpace) -> None:
    job = client(space).submit("org/colours", list(CHECKPOINTS), budget="100%", full_board=True, api_name="/recommend")
    board = job.result(540)["board"]
    # All three see nine images, and whoever goes on all 36.
    assert len(job.outputs()) > 3
    assert board["settings"]["budget"] == "100%"
    assert board["rows"][0]["n_images"] is None
    assert 'budget="100%"' in job.result()["python"]


def test_a_program_without_a_token_is_a_stranger(space: ServedSpace) -> None:
    stranger = client(space)
    with pytest.raises(AppError, match="alice/secret"):
        stranger.predict("alice/secret", list(CHECKPOINTS), api_name="/recommend")
    with pytest.raises(AppError, match="token"):
        stranger.predict({}, "alice/scores", api_name="/push")
    for path in ("/etc", str(space.home)):
        with pytest.raises(AppError, match="id on the Hub"):
            stranger.predict(path, ["demo"], api_name="/recommend")
        with pytest.raises(AppError, match="id on the Hub"):
            stranger.predict("org/colours", [path], api_name="/recommend")


def test_where_none_could_be_ranked_the_verdict_says_so_and_why(space: ServedSpace) -> None:
    answer = client(space).predict(
        "org/colours", ["nobody/one", "alice/secret"], full_board=True, api_name="/recommend"
    )
    assert answer["is_complete"]
    assert answer["checkpoints"] == []
    assert answer["verdict"].startswith("none of the 2 checkpoints could be ranked: nobody/one (download): ")
    assert "alice/secret (download): " in answer["verdict"]
    for words in (answer["verdict"], *(skip["reason"] for skip in answer["skipped"])):
        assert "pass a token of yours (oauth_token=" in words
    assert not re.search(r"hf auth login|sign in at the top", json.dumps(answer))
    assert str(space.home) not in json.dumps(answer)


def test_a_verdict_before_the_end_says_that_it_is_not_final(space: ServedSpace) -> None:
    job = client(space).submit("org/colours", [*CHECKPOINTS, "nobody/one"], api_name="/recommend")
    last = job.result(540)["verdict"]
    *earlier, final = [output["verdict"] for output in job.outputs()]
    assert final == last
    assert "not final" not in final
    assert all(re.match(r"not final, after [123] of 4 checkpoints: .", verdict) for verdict in earlier)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({"dataset": "nobody/nothing"}, r"check the spelling of nobody/nothing.*pass a token of yours \(oauth_token="),
        ({"dataset": "  "}, "a dataset must be named, found none"),
        ({"dataset": "demo:none"}, "one of photographs, scripts, clipart, emoji"),
        ({"dataset": "org/colours", "candidates": [""]}, "name at least one checkpoint"),
        ({"dataset": "org/colours", "families": ["none"]}, r"at least one checkpoint.*widen them"),
        ({"dataset": "org/colours", "limit": -1}, "limit must be"),
        ({"dataset": "org/colours", "candidates": ["demo"], "score": "none"}, "none"),
        ({"dataset": "org/colours", "max_images": 1}, "from 4 to 20,000 images"),
        ({"dataset": "org/colours", "budget": "soon"}, "budget must be a time"),
        ({"dataset": "org/colours", "preset": "large"}, "a preset must be one of small"),
        ({"dataset": "org/colours", "candidates": ["demo"], "budget": "1h", "score": "knn"}, "chances .* calibrated"),
        ({"dataset": "org/texts", "candidates": ["demo"]}, "sentence"),
        ({"dataset": "x" * 300}, "id on the Hub"),
    ],
)
def test_what_is_wrong_is_said_in_words_for_a_program(space: ServedSpace, question: dict[str, Any], words: str) -> None:
    with pytest.raises(AppError, match=words) as caught:
        client(space).predict(**question, api_name="/recommend")
    said = str(caught.value)
    assert not re.search(r"hf auth login|sign in at the top|there is no path|lead-hub crawl", said)
    assert not any(place in said for place in (str(space.home), str(PROJECT), "site-packages"))


def test_a_wrong_push_is_refused_in_words_for_a_program(space: ServedSpace, space_hub: HubServer) -> None:
    program = client(space, oauth_token=space_hub.add_user("carol", role="write"))
    for board in ({}, {"rows": 5}, {"schema_version": 1}):
        with pytest.raises(AppError, match="leaderboard"):
            program.predict(board, "carol/scores", api_name="/push")
    board = client(space).predict("org/colours", ["org/resnet"], full_board=True, api_name="/recommend")["board"]
    for repository in ("nobody/scores", "carol/../x"):
        with pytest.raises(AppError) as caught:
            program.predict(board, repository, api_name="/push")
        assert not re.search(r"hf auth login|sign in at the top|verbose error", str(caught.value))


def test_a_token_reads_what_its_user_may(space: ServedSpace, space_hub: HubServer) -> None:
    answer = client(space, oauth_token=space_hub.add_user("alice")).predict(
        "alice/secret", ["org/resnet"], api_name="/recommend"
    )
    assert answer["dataset"]["dataset"] == "alice/secret"
    assert space.files_with("wolverine", "alice--secret") == []


def read(answer: CallToolResult) -> dict[str, Any]:
    """What the tool gave, which is the same as a document and as text."""
    assert not answer.isError, answer.content
    [said] = answer.content
    assert json.loads(said.text) == answer.structuredContent
    return answer.structuredContent


def refusal(answer: CallToolResult) -> str:
    assert answer.isError
    assert answer.structuredContent is None
    return answer.content[0].text


def in_a_thread(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Playwright's own event loop has this thread."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(anyio.run, work).result()


@asynccontextmanager
async def connected(space: ServedSpace, token: str | None = None) -> AsyncIterator[tuple[ClientSession, Tool, Tool]]:
    """An agent's session with the server, and the tools that rank and push, of which there are no others."""
    headers = {"X-HF-Authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx.AsyncClient(headers=headers, timeout=600) as web,
        streamable_http_client(f"{space.url}/gradio_api/mcp/", http_client=web) as (receiving, sending, *_),
        ClientSession(receiving, sending) as session,
    ):
        await session.initialize()
        tools = {tool.name.removeprefix("lead_hub_"): tool for tool in (await session.list_tools()).tools}
        assert set(tools) == {"recommend_checkpoints", "push_score_cards"}
        yield session, tools["recommend_checkpoints"], tools["push_score_cards"]


def test_an_agent_finds_the_tool_and_follows_its_progress(space: ServedSpace) -> None:
    heard: list[str] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message or "")

    async def ask() -> tuple[Tool, CallToolResult]:
        question = {"dataset": "demo:emoji", "candidates": ["demo"], "max_images": 80}
        async with connected(space) as (session, tool, _):
            return tool, await session.call_tool(tool.name, question, progress_callback=note)

    tool, answer = in_a_thread(ask)
    assert "before fine-tuning" in tool.description
    assert tool.inputSchema["required"] == ["dataset"]
    described = {name: known.get("description") for name, known in tool.inputSchema["properties"].items()}
    assert all(described.values())
    assert {"dataset", "candidates", "max_parameters", "limit"} <= set(described)
    assert not {"progress", "token", "request"} & set(described)
    assert [row["rank"] for row in read(answer)["checkpoints"]][:2] == [1, 2]
    numbers = {int(number) for message in heard for number in re.findall(r"Checkpoint (\d+) of 14", message)}
    assert len(numbers) >= 3


def test_what_an_agent_reads_is_json_as_its_schema_says(space: ServedSpace, space_hub: HubServer) -> None:
    token = space_hub.add_user("carol", role="write")
    question = {"dataset": "org/colours", "candidates": [*CHECKPOINTS, "nobody/one"], "full_board": True}

    async def ask() -> tuple[Tool, CallToolResult, Tool, CallToolResult]:
        async with connected(space, token) as (session, ranking, pushing):
            ranked = await session.call_tool(ranking.name, question)
            cards = {"board": read(ranked)["board"], "repo_id": "carol/of-an-agent"}
            return ranking, ranked, pushing, await session.call_tool(pushing.name, cards)

    ranking, ranked, pushing, pushed = in_a_thread(ask)
    for tool, given in ((ranking, ranked), (pushing, pushed)):
        jsonschema.Draft202012Validator.check_schema(tool.outputSchema)
        jsonschema.validate(read(given), tool.outputSchema)
        assert set(read(given)) == set(tool.outputSchema["properties"])
        for schema in (tool.inputSchema, tool.outputSchema):
            assert all(known["description"] for known in schema["properties"].values())
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({}, tool.outputSchema)
    found = read(ranked)
    assert [row["checkpoint"] for row in found["checkpoints"]] == [row["checkpoint"] for row in found["board"]["rows"]]
    assert found["method"] == "lead"
    assert [row["score"] for row in found["checkpoints"]] == [round(row["score"], 4) for row in found["board"]["rows"]]
    assert [skip["stage"] for skip in found["skipped"]] == ["download"]
    assert read(pushed)["changed"]
    assert space_hub.repo("carol/of-an-agent", kind="dataset").files_at()


def test_an_agent_is_told_what_it_may_ask_before_it_asks(space: ServedSpace) -> None:
    async def ask() -> tuple[Tool, list[CallToolResult]]:
        questions = [
            {"dataset": "org/colours", "score": "none"},
            {"dataset": "org/colours", "max_images": 1},
            {"dataset": "org/colours", "preset": "large"},
            {"dataset": "org/colours", "budget": "soon"},
            {"dataset": "nobody/nothing", "preset": None, "budget": "20%"},
        ]
        async with connected(space) as (session, tool, _):
            return tool, [await session.call_tool(tool.name, question) for question in questions]

    tool, answers = in_a_thread(ask)
    asked = tool.inputSchema["properties"]
    assert asked["score"]["enum"] == [*SCORES]
    assert (asked["max_images"]["minimum"], asked["max_images"]["maximum"]) == (4, 20_000)
    assert "demo:photographs" in asked["dataset"]["description"]
    assert "enum" not in asked["dataset"]
    assert asked["preset"]["enum"] == [None, *PRESETS]
    assert all(f'"{name}"' in asked["preset"]["description"] for name in PRESETS)
    assert asked["budget"]["default"] == "auto"
    for budget in ("auto", "none", "10min", "2h", "1.5 GB", "20%"):
        assert re.search(asked["budget"]["pattern"], budget)
    unknown, few, preset, budget, missing = map(refusal, answers)
    assert "'large' is not one of [None, 'small'" in preset
    assert "'soon' does not match" in budget
    assert "'none' is not one of ['lead'" in unknown
    assert "1 is less than the minimum of 4" in few
    assert "pass a token of yours (oauth_token=" in missing
    assert not re.search(r"hf auth login|sign in at the top|Traceback", missing)
    assert str(space.home) not in missing
    listed = answer(f"{space.url}/gradio_api/mcp/schema").json()  # as the Hub's own server asks for it
    assert [one["inputSchema"]["properties"].get("score", {}).get("enum") for one in listed] == [[*SCORES], None]


def test_two_agents_at_once_both_get_their_answer(space: ServedSpace) -> None:
    answers: list[dict[str, Any]] = []

    async def ask(dataset: str) -> None:
        async with connected(space) as (session, tool, _):
            question = {"dataset": dataset, "candidates": ["demo"], "max_images": 60}
            answers.append(read(await session.call_tool(tool.name, question)))

    async def both() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(ask, "demo:clipart")
            group.start_soon(ask, "demo:emoji")

    in_a_thread(both)
    assert {answer["dataset"]["dataset"] for answer in answers} == {"demo:clipart", "demo:emoji"}
    assert [answer["is_complete"] for answer in answers] == [True, True]


def test_six_programs_at_once_are_all_answered(space: ServedSpace) -> None:
    def ask(_: int) -> dict[str, Any]:
        return client(space).predict("demo:scripts", ["demo"], max_images=60, api_name="/recommend")

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(ask, range(6)))
    assert [len(answer["checkpoints"]) for answer in answers] == [14] * 6
    order = [row["checkpoint"] for row in answers[0]["checkpoints"]]
    assert all([row["checkpoint"] for row in answer["checkpoints"]] == order for answer in answers)
