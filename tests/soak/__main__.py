"""``python -m tests.soak [--seconds 120] [--seed N]``: run the soak, print its numbers; exit 1 if they do not agree."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

from .mixture import soak


def main() -> int:
    """Run the command line."""
    options = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    options.add_argument("--seconds", type=float, default=120.0)
    options.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = options.parse_args()
    print(f"soak: {given.seconds:g} s, seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        books = asyncio.run(soak(Path(folder), given.seconds, given.seed, lambda text: print(text, flush=True)))
    clients = sum(one.clients for one in books)
    log = sum(one.log for one in books)
    servers = sum(one.servers for one in books)
    problems = [problem for one in books for problem in one.problems]
    if not clients == log == servers:
        problems.append("clients, log and servers do not have the same number")
    print(f"requests: clients {clients}, log {log}, servers {servers}")
    print("\n".join(problems) if problems else "every request is accounted for; nothing grew")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
