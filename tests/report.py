"""pytest's report of a run -> which tests did not run, and why, for people."""

from collections import Counter, defaultdict
from pathlib import Path
from xml.etree import ElementTree

CASES = "  {name} ({count} cases)"


def what_did_not_run(report: Path) -> list[str]:
    """A first line that says how many, then each reason with its tests below it.

    Args:
        report: what `pytest --junitxml` wrote.
    """
    if not report.is_file():
        return ["pytest wrote no report: no test is known to have run"]
    tests = ElementTree.parse(report).getroot().iter("testcase")
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    n_tests = 0
    for test in tests:
        n_tests += 1
        skipped = test.find("skipped")
        if skipped is not None and skipped.get("type") != "pytest.xfail":
            # The cases of one parametrized test are one line.
            name = f"{test.get('classname')}.{test.get('name')}".removeprefix(".").partition("[")[0]
            reasons[reason_of(skipped)][name] += 1
    n_skipped = sum(sum(names.values()) for names in reasons.values())
    if not n_skipped:
        return [f"all {n_tests} tests that were asked for ran"]
    lines = [f"{n_skipped} of {n_tests} tests DID NOT RUN:"]
    for reason, names in sorted(reasons.items()):
        lines.append(f"{reason}:")
        lines += [f"  {name}" if count == 1 else CASES.format(name=name, count=count) for name, count in names.items()]
    return lines


def reason_of(skipped: ElementTree.Element) -> str:
    """Why a test was skipped; of a file that was left out as a whole, the end of the text says it."""
    message = skipped.get("message", "")
    if message != "collection skipped":
        return message
    return (skipped.text or message).rpartition("Skipped: ")[2].rstrip("')")
