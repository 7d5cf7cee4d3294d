"""Run the code blocks of a Markdown document, in their order, in one shell and one folder.

A block is a file if the line before it ends with its name in backquotes and a colon. A ``console`` block has commands
(lines that begin with ``$``, continued with ``>``) and what they print: ``...`` stands for any text in a line, and
alone for any lines. A command without output must succeed. ``text`` is shown only. Fixed ports become free ones: those
of 127.0.0.1, and 9443, which is always a mock's.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.processes import free_port

_FENCE: Final = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_NAMED: Final = re.compile(r"`([\w./-]+)`:\s*\Z")
_PORT: Final = re.compile(r"(?<=127\.0\.0\.1:)[1-9]\d{3,4}\b|\b9443\b")
_MARK: Final = "@@mralab"


class File(NamedTuple):
    """A file that the document shows."""

    name: str
    content: str


class Command(NamedTuple):
    """A command and the lines that it should print."""

    text: str
    output: tuple[str, ...]


def steps(text: str) -> Iterator[File | Command]:
    """Yield the files and commands of a document. Raises ``ValueError`` for a block that is neither, nor ``text``."""
    for block in _FENCE.finditer(text):
        indent, language, content = block.groups()
        content = re.sub(f"^{indent}", "", content, flags=re.MULTILINE)
        named = _NAMED.search(text, 0, block.start())
        if language == "console":
            yield from _commands(content)
        elif language == "text":
            continue
        elif named:
            yield File(named[1], content)
        else:
            line = text.count("\n", 0, block.start()) + 1
            raise ValueError(f"line {line}: a block of {language or 'no language'} without a file name before it")


def _commands(content: str) -> Iterator[Command]:
    for part in re.split(r"^\$ ", content, flags=re.MULTILINE)[1:]:
        command, *lines = part.splitlines()
        while lines and lines[0].startswith("> "):
            command += "\n" + lines.pop(0)[2:]
        yield Command(command, tuple(lines))


def run(text: str, folder: Path, environment: Mapping[str, str]) -> list[str]:
    """Run a document in ``folder`` and return its differences from what it says."""
    ports: dict[str, str] = {}
    with_free_ports = _PORT.sub(lambda found: ports.setdefault(found[0], str(free_port())), text)
    script, commands = _script(with_free_ports)
    folder.with_name("script").write_text(script, "utf-8")
    output = folder.with_name("output")
    with (
        output.open("w") as written,
        subprocess.Popen(
            ["bash", folder.with_name("script")],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a group, so that nothing that the document started outlives it
        ) as shell,
    ):
        try:
            shell.wait(120)
        except subprocess.TimeoutExpired:
            pass  # the difference says which command did not end
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
    return list(_differences(commands, output.read_text("utf-8", "backslashreplace")))


def _script(text: str) -> tuple[str, list[Command]]:
    """Return the shell script of a document, which marks what each command prints, and the commands."""
    commands: list[Command] = []
    script = []
    for step in steps(text):
        if isinstance(step, File):
            end = f"{_MARK}-end"
            script += [f"mkdir -p $(dirname {step.name})", f"cat >{step.name} <<'{end}'"]
            script += [step.content.rstrip("\n"), end]
        else:
            script += [f"echo {_MARK}-begin", "(exit ${mralab_code:-0})", step.text]
            script += ["mralab_code=$?", f"echo {_MARK}-{len(commands)} $mralab_code"]
            commands.append(step)
    return "\n".join(script) + "\n", commands


def _differences(commands: list[Command], output: str) -> Iterator[str]:
    shown = re.findall(rf"^{_MARK}-begin\n(.*?){_MARK}-\d+ (\d+)$", output, re.MULTILINE | re.DOTALL)
    for command, (printed, code) in zip(commands, shown, strict=False):
        whole = printed if printed.endswith("\n") or not printed else printed + "\n"
        if not command.output and code != "0":
            yield f"$ {command.text}\nexit {code}\n{printed}"
        elif command.output and not _pattern(command.output).fullmatch(whole):
            expected = "\n".join(command.output)
            yield f"$ {command.text}\nexpected:\n{expected}\nprinted:\n{printed}"
    if len(shown) < len(commands):
        yield f"did not end: {commands[len(shown)].text}\n{output}"


def _pattern(lines: tuple[str, ...]) -> re.Pattern[str]:
    parts = []
    for line in lines:
        if line.strip() == "...":
            parts.append(r"(?:.*\n)*?")
        else:
            parts.append(".*?".join(re.escape(part) for part in line.rstrip().split("...")) + r" *\n")
    return re.compile("".join(parts))
