"""A browser, for what is drawn."""

from tests.spaces_app.conftest import browser

__all__ = ["browser"]
