"""``make fuzz``: the grammars under atheris (libFuzzer), one after the other, for a bounded time.

    python -m tests.fuzz.run SECONDS [GRAMMAR...]

(The grammars are imported late: by then atheris watches their code.)

Needs atheris (``pip install atheris``; Linux). Exit 0: nothing found. What was found is printed, with the input.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
from pathlib import Path


def fuzz_one(name: str, corpus: str, seconds: str) -> None:
    """In a process of its own (libFuzzer ends it): one grammar."""
    atheris = importlib.import_module("atheris")  # not everywhere: see above
    with atheris.instrument_imports(include=["mralab"]):
        from .targets import GRAMMARS
    atheris.Setup(
        [sys.argv[0], corpus, f"-max_total_time={seconds}", "-max_len=4096", "-timeout=10", "-verbosity=0"],
        GRAMMARS[name].check,
    )
    atheris.Fuzz()


def main(arguments: list[str]) -> int:
    """Fuzz each grammar for its share of the time; how many had something to show."""
    if arguments[:1] == ["--one"]:
        fuzz_one(*arguments[1:])
        return 0
    from .targets import GRAMMARS

    seconds = int(arguments[0])
    names = arguments[1:] or list(GRAMMARS)
    found = 0
    for name in names:
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
