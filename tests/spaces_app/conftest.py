"""The app in a process of its own, and browsers that visit it; servers are shared, for each takes seconds to start."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.browser import NO_BROWSER, find_browser
from tests.loopback_hub import HubServer
from tests.spaces_app.seeds import seed
from tests.spaces_app.served import ServedSpace, check_log, served_space


@pytest.fixture(scope="package")
def space_hub() -> Iterator[HubServer]:
    """A Hub for the Space alone, which lives as long as the server does."""
    with HubServer() as hub:
        yield hub


@pytest.fixture(scope="package")
def space(space_hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedSpace]:
    """The app as a Space of the test Hub."""
    yield from watched(tmp_path_factory.mktemp("space"), space_hub)


@pytest.fixture(scope="package")
def seeded(space_hub: HubServer, tiny_pool: Path) -> None:
    """Users, datasets and checkpoints on the Space's Hub."""
    seed(space_hub, tiny_pool)


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedSpace]:
    """The app on a machine without a Hub token, without a Hub."""
    yield from watched(tmp_path_factory.mktemp("laptop"), None)


def watched(home: Path, hub: HubServer | None) -> Iterator[ServedSpace]:
    with served_space(home, hub=hub) as space:
        yield space
    check_log(space.log)


@pytest.fixture(scope="package")
def browser() -> Iterator["Browser"]:  # noqa: F821
    pytest.importorskip("playwright", reason="no playwright: pip install lead-hub[test]")
    from tests.spaces_app.visiting import open_browser

    if find_browser() is None:
        pytest.skip(NO_BROWSER)
    with open_browser() as browser:
        yield browser


@pytest.fixture
def visit(browser: "Browser") -> Iterator[Callable[..., "Window"]]:  # noqa: F821
    """Opens windows, each of another visitor; at the end none may have had trouble."""
    from tests.spaces_app.visiting import open_window

    windows = []

    def visited(url: str, **settings: object) -> "Window":  # noqa: F821
        windows.append(open_window(browser, **settings))
        windows[-1].page.goto(url)
        return windows[-1]

    yield visited
    troubles = [window.troubles for window in windows]
    for window in windows:
        window.page.context.close()
    assert troubles == [[] for _ in windows]
