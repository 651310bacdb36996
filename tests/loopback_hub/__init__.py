"""A Hub on loopback for the tests: what the Hugging Face client reads and writes, without Xet.

    with HubServer() as hub:
        token = hub.add_user("alice", orgs=("team",))
        sha = hub.add_repo("team/model", files={"config.json": b"{}"})
        HfApi(endpoint=hub.endpoint, token=token).model_info("team/model").sha == sha

The `hub` fixture of conftest.py is one such server for the whole session, which HF_ENDPOINT already names.
"""

from tests.loopback_hub.bandwidth import Line
from tests.loopback_hub.faults import Fault
from tests.loopback_hub.repository import Repository
from tests.loopback_hub.server import HubServer
from tests.loopback_hub.wire import Request

__all__ = ["Fault", "HubServer", "Line", "Repository", "Request"]
