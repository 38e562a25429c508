"""Run every benchmark, one after the other: `python -m bench`, or `make bench`."""

from __future__ import annotations

import subprocess
import sys

ALL = ("bench.middleware", "bench.gate", "bench.streams", "bench.choices", "bench.ledger", "bench.visitors")


def main() -> int:
    """Return the number of benchmarks that failed."""
    failed = 0
    for name in ALL:
        print(f"\n=== {name}", flush=True)
        failed += subprocess.run([sys.executable, "-m", name], check=False).returncode != 0  # noqa: S603 - our own
    return failed


if __name__ == "__main__":
    sys.exit(main())
