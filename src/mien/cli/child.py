"""``python -m mien.cli.child VERB ...``: the ``mien`` command as a part of another process's work, ending with it.

The parent holds the other end of the standard input and never writes to it. Processes that this one starts inherit it.
"""

from __future__ import annotations

import os
import sys

from mien.cli import main
from mien.processes import end_after

GRACE = 30.0  # seconds for the step under way and its checkpoint; SLURM allows as many

if __name__ == "__main__":
    end_after(lambda: os.read(sys.stdin.fileno(), 1), GRACE)
    main()
