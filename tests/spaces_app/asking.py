"""Programs that ask the page, as patient as a busy machine needs: of themselves they give up after five seconds."""

from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from gradio_client import Client

PATIENCE_S = 600.0  # a guard against hanging


def asking_client(url: str, **settings: str) -> "Client":
    """A client of Gradio's for a page, if Gradio is there; it downloads no files."""
    from gradio_client import Client

    patient = {"timeout": PATIENCE_S}
    return Client(url, verbose=False, analytics_enabled=False, download_files=False, httpx_kwargs=patient, **settings)


def answer(url: str) -> httpx.Response:
    """What a page answers to a plain question."""
    return httpx.get(url, timeout=PATIENCE_S)
