"""`python -m deadstop` is the command `deadstop`."""

from __future__ import annotations

import sys

from deadstop.cli import main

if __name__ == "__main__":
    sys.exit(main())
