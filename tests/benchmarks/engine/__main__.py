"""`python -m tests.benchmarks.engine`."""

from __future__ import annotations

import sys

from tests.benchmarks.engine.bench_engine import main

if __name__ == "__main__":
    sys.exit(main())
