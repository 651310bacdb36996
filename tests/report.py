"""pytest's report of a run -> which tests did not run, and why, for people."""

import ast
from collections import Counter, defaultdict
from pathlib import Path
from xml.etree import ElementTree

WHOLE_FILE = "collection skipped"


def what_did_not_run(report: Path) -> list[str]:
    """A first line that says how many, then each reason with its tests below it.

    Args:
        report: what `pytest --junitxml` wrote.
    """
    if not report.is_file():
        return ["pytest wrote no report: no test is known to have run"]
    tests = list(ElementTree.parse(report).getroot().iter("testcase"))
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    for test in tests:
        skipped = test.find("skipped")
        if skipped is not None and skipped.get("type") != "pytest.xfail":
            reasons[reason(skipped)][name(test, skipped)] += 1
    n_skipped = sum(sum(names.values()) for names in reasons.values())
    if not n_skipped:
        return [f"all tests that were asked for ran: {len(tests)}"]
    lines = [f"{n_skipped} of {len(tests)} tests DID NOT RUN:"]
    for why, names in sorted(reasons.items()):
        lines += [why, *(f"    {each}" if n == 1 else f"    {each} ({n} cases)" for each, n in names.items())]
    return lines


def reason(skipped: ElementTree.Element) -> str:
    """Why, in the words of whoever wrote the test."""
    message = skipped.get("message", "")
    if message != WHOLE_FILE:
        return message
    _, _, text = ast.literal_eval(skipped.text or "")
    return str(text).removeprefix("Skipped: ")


def name(test: ElementTree.Element, skipped: ElementTree.Element) -> str:
    """The test, without which case of it: those are counted."""
    dotted = f"{test.get('classname')}.{test.get('name')}".removeprefix(".").partition("[")[0]
    return f"{dotted} (the whole file)" if skipped.get("message") == WHOLE_FILE else dotted
