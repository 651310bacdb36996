"""Many visitors of the Space at once, each ranking the demo: are all answered, how long do they wait, and what memory?

    python -m tests.benchmarks.space_visitors [--visitors 20]

Prints one line a figure. Every visitor is a program of its own session that asks `/recommend` for the demo; the targets
take turns, so that the first of each finds no outputs in the cache. The time of the page's first load needs Chromium.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from statistics import median

from lead_hub.demo import TARGETS, pool
from tests.browser import find_browser
from tests.spaces_app import visiting
from tests.spaces_app.asking import asking_client
from tests.spaces_app.served import ServedSpace, check_log, served_space


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--visitors", type=int, default=20, help="how many at once")
    n_visitors = options.parse_args().visitors
    started = time.perf_counter()
    with served_space(Path(tempfile.mkdtemp())) as space:
        print(f"server ready after {time.perf_counter() - started:.1f} s")
        for line in [*first_loads(space), *one_alone(space), *at_once(space, n_visitors)]:
            print(line, flush=True)
    check_log(space.log)


def first_loads(space: ServedSpace) -> Iterator[str]:
    """From an empty browser cache to a page that can be used."""
    if find_browser() is None:
        yield "first load: not measured, no Chromium"
        return
    with visiting.open_browser() as browser:
        for what in ("first load", "first load of the next visitor"):
            window = visiting.open_window(browser)
            started = time.perf_counter()
            window.page.goto(space.url)
            window.page.get_by_role("button", name="Writing systems").wait_for()
            yield f"{what}: {time.perf_counter() - started:.2f} s"
            window.page.context.close()


def ranked(space: ServedSpace, target: str) -> tuple[float, int]:
    """Seconds of one visitor's question, and how many checkpoints the answer ranks."""
    started = time.perf_counter()
    visitor = asking_client(space.url)
    answer = visitor.predict(f"demo:{target}", ["demo"], max_images=2000, api_name="/recommend")
    return time.perf_counter() - started, len(answer["checkpoints"])


def one_alone(space: ServedSpace) -> Iterator[str]:
    for what in ("nothing cached", "outputs cached"):
        yield f"one visitor alone, {what}: {ranked(space, TARGETS[0])[0]:.1f} s"
    yield f"peak memory of the server so far: {space.peak_memory_bytes / 2**20:.0f} MiB"


def at_once(space: ServedSpace, n_visitors: int) -> Iterator[str]:
    alone_s = ranked(space, TARGETS[0])[0]
    targets = islice(cycle(TARGETS), n_visitors)
    with ThreadPoolExecutor(n_visitors) as threads:
        answers = list(threads.map(lambda target: ranked(space, target), targets))
    seconds = [taken for taken, _ in answers]
    n_answered = sum(n_rows == len(pool()) for _, n_rows in answers)
    yield f"{n_visitors} visitors at once: {n_answered} answered in full"
    yield f"their waiting: median {median(seconds):.1f} s, slowest {max(seconds):.1f} s"
    yield f"slowest against one alone with cached outputs: {max(seconds) / alone_s:.1f} times"
    yield f"peak memory of the server: {space.peak_memory_bytes / 2**20:.0f} MiB"


if __name__ == "__main__":
    main()
