"""Agents over the model context protocol: Gradio's own server, made to say what its tools take and to answer in JSON.

By itself Gradio writes an answer as Python would, `{'is_complete': True}`, which no agent's JSON reader takes, and says
nothing of what an answer holds.
"""

import ast
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import gradio as gr
from mcp import types

from lead_hub.candidates import PRESETS
from lead_hub.transferability import SCORES
from spaces_app.answers import PUSHED_SCHEMA, RANKING_SCHEMA
from spaces_app.request import FEWEST_IMAGES, MOST_IMAGES

Handler: TypeAlias = Callable[[Any], Awaitable[types.ServerResult]]

BUDGET = r"^(auto|none|\d{1,9}(\.\d{1,9})?\s*(s|sec|m|min|h|[MGT]B|%))$"
# By endpoint: what an answer holds, and what the types of Python do not say of an argument.
ANSWERS: Mapping[str, dict[str, Any]] = {"/recommend": RANKING_SCHEMA, "/push": PUSHED_SCHEMA}
ARGUMENTS: Mapping[str, Mapping[str, Mapping[str, object]]] = {
    "/recommend": {
        "score": {"enum": [*SCORES]},
        "max_images": {"minimum": FEWEST_IMAGES, "maximum": MOST_IMAGES},
        "limit": {"minimum": 1},
        "preset": {"enum": [None, *PRESETS]},
        "budget": {"pattern": BUDGET},
    }
}


def hide_what_is_no_tool(app: gr.Blocks) -> None:
    """Keep from programs what is no endpoint of ours: `gr.LoginButton` would offer agents who is signed in."""
    ours = {name.lstrip("/") for name in ANSWERS}
    for function in app.fns.values():
        if function.api_visibility == "public" and function.api_name not in ours:
            function.api_visibility = "private"


def speaking_json(app: gr.Blocks) -> Callable[[object], AbstractAsyncContextManager[None]]:
    """What the web server enters when it starts, before the first agent comes in."""

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        speak_json(app)
        yield

    return lifespan


def speak_json(app: gr.Blocks) -> None:
    """Change the app's MCP server, where it has one; once is enough."""
    server = app.mcp_server_obj
    if server is None:  # Gradio has said why
        return
    for endpoint, facts in ARGUMENTS.items():
        for argument in server.api_info["named_endpoints"][endpoint]["parameters"]:
            argument["type"] = {**argument["type"], **facts.get(argument["parameter_name"], {})}
    handlers: dict[type, Handler] = server.mcp_server.request_handlers
    handlers[types.ListToolsRequest] = _with_schemas(handlers[types.ListToolsRequest], server.tool_to_endpoint)
    handlers[types.CallToolRequest] = _in_json(handlers[types.CallToolRequest])


def _with_schemas(listed: Handler, endpoints: Mapping[str, str]) -> Handler:
    """Tools with the schema of their answers.

    Args:
        listed: Gradio's list of tools.
        endpoints: of each tool by its name, which in a Space begins with the Space's.
    """

    async def handler(request: Any) -> types.ServerResult:
        found = await listed(request)
        if isinstance(found.root, types.ListToolsResult):
            for tool in found.root.tools:  # these very objects are what the server checks arguments with
                tool.outputSchema = ANSWERS[endpoints[tool.name]]
        return found

    return handler


def _in_json(called: Handler) -> Handler:
    """A tool's answer as a document, and as its JSON text for agents that read only text; errors stay as they are."""

    async def handler(request: Any) -> types.ServerResult:
        answered = await called(request)
        result = answered.root
        if not isinstance(result, types.CallToolResult) or result.isError or result.structuredContent is not None:
            return answered
        document = ast.literal_eval("".join(part.text for part in result.content if part.type == "text"))
        text = json.dumps(document, ensure_ascii=False)
        content: list[types.ContentBlock] = [types.TextContent(type="text", text=text)]
        return types.ServerResult(types.CallToolResult(content=content, structuredContent=document))

    return handler
