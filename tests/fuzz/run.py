"""``make fuzz``: the grammars under atheris (libFuzzer), one after the other, for a bounded time.

    python -m tests.fuzz.run SECONDS [GRAMMAR...]

The last of them, ``growth``, measures how the time of each parser grows with the size of hostile input. The grammars
are imported late, so that atheris can instrument their code.

Needs atheris (``pip install atheris``; Linux). Exit 0: nothing found. Findings are printed with their input.
"""

from __future__ import annotations

import importlib
import random
import subprocess
import sys
import tempfile
from pathlib import Path


def fuzz_one(name: str, corpus: str, seconds: str) -> None:
    """Fuzz one grammar, in a separate process because libFuzzer ends it."""
    atheris = importlib.import_module("atheris")  # not installed everywhere
    with atheris.instrument_imports(include=["mralab"]):
        from .targets import GRAMMARS
    atheris.Setup(
        [sys.argv[0], corpus, f"-max_total_time={seconds}", "-max_len=4096", "-timeout=10", "-verbosity=0"],
        GRAMMARS[name].check,
    )
    atheris.Fuzz()


def measure(seconds: float) -> int:
    """Measure parsers with random hostile input for some seconds; return 1 if one takes more than linear time."""
    from .growth import search

    slow = search(seconds, random.Random())
    sys.stdout.write("growth: nothing found\n" if not slow else "growth: FOUND\n" + "\n".join(slow) + "\n")
    return bool(slow)


def main(arguments: list[str]) -> int:
    """Fuzz each grammar for its share of the time; return the number of grammars with findings."""
    if arguments[:1] == ["--one"]:
        fuzz_one(*arguments[1:])
        return 0
    from .targets import GRAMMARS

    seconds = int(arguments[0])
    names = arguments[1:] or [*GRAMMARS, "growth"]
    found = 0
    for name in names:
        if name == "growth":
            found += measure(seconds / len(names))
            continue
        with tempfile.TemporaryDirectory() as folder:
            for number, sample in enumerate(GRAMMARS[name].samples):
                (Path(folder) / str(number)).write_bytes(sample)
            share = str(max(1, seconds // len(names)))
            command = [sys.executable, "-m", "tests.fuzz.run", "--one", name, folder, share]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        sys.stdout.write(f"{name}: {'nothing found' if not done.returncode else 'FOUND'}\n")
        if done.returncode:
            found += 1
            sys.stdout.write(done.stdout + done.stderr)
        sys.stdout.flush()
    return min(found, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
