"""Run the command line as `python -m consent`."""

from __future__ import annotations

import sys

from consent.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
