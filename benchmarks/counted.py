"""Run mralab and count calls of Python functions and executed bytecodes.

Usage: counted.py FILE ARGUMENT..., with mralab's arguments. SIGUSR1 starts the count, SIGUSR2 ends it and writes FILE:
``{"calls": {function: count}, "bytecodes": {function: count}}``. The counts hardly vary, even on a busy machine.
"""

from __future__ import annotations

import json
import runpy
import signal
import sys
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

_calls: Counter[str] = Counter()
_bytecodes: Counter[str] = Counter()


def _name(code: CodeType) -> str:
    return f"{code.co_filename.rpartition('mralab/')[2]}:{code.co_name}"


def _trace(frame: FrameType, _: str, __: Any) -> Any:
    name = _name(frame.f_code)
    _calls[name] += 1
    frame.f_trace_opcodes, frame.f_trace_lines = True, False

    def traced(_: FrameType, event: str, __: Any) -> Any:
        if event == "opcode":
            _bytecodes[name] += 1
        return traced

    return traced


def main() -> None:
    """Run mralab."""
    file = Path(sys.argv.pop(1))

    def end(*_: object) -> None:
        sys.settrace(None)
        part = file.with_suffix(".part")
        part.write_text(json.dumps({"calls": _calls, "bytecodes": _bytecodes}), encoding="utf-8")
        part.replace(file)

    signal.signal(signal.SIGUSR1, lambda *_: sys.settrace(_trace))
    signal.signal(signal.SIGUSR2, end)
    runpy.run_module("mralab", run_name="__main__")


if __name__ == "__main__":
    main()
