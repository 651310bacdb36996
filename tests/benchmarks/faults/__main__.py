"""The command, see the package; everything else is imported where the environment is set."""

import argparse
import tempfile
from pathlib import Path


def main() -> None:
    """Try the faults that are asked for, each kind in a folder of its own."""
    from tests import conftest
    from tests.benchmarks.faults import checkpoints, images, kills, network
    from tests.benchmarks.faults.trial import report

    kinds = {"network": network, "kills": kills, "datasets": images, "checkpoints": checkpoints}
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.faults")
    parser.add_argument("--only", choices=kinds)
    only = parser.parse_args().only
    try:
        for name, kind in kinds.items():
            if only in (None, name):
                with tempfile.TemporaryDirectory() as folder:
                    report(name, kind.trials(Path(folder)))
    finally:
        conftest.pytest_unconfigure()


if __name__ == "__main__":
    main()
