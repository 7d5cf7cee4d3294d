"""The live page in a browser: Debian's chromium, driven by Playwright. One browser for each module."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Locator, Page

TIMEOUT = 30_000.0  # milliseconds: the machine may be busy


def chromium() -> str:
    """Return the path of a Chromium. Skips the test where there is none."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium()
    api = pytest.importorskip("playwright.sync_api", reason="playwright, a development tool, is not installed")
    with api.sync_playwright() as playwright:
        # No sandbox: in a container root has no user namespaces. The pages are our own.
        running = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield running
        running.close()


@dataclass
class LivePage:
    """The page, and what it wrote to the console. ``refused`` are the statuses of errors that a test provokes."""

    page: Page
    console: list[str] = field(default_factory=list)
    refused: tuple[int, ...] = ()

    def open(self, admin: str) -> None:
        """Open the page of a control API, and wait until it follows the events."""
        self.page.goto(f"http://{admin}/")
        self.expect("#stream-state[data-state=live]")
        self.expect("#switch-release:not(:disabled)")

    def expect(self, selector: str) -> Locator:
        """Wait until an element is visible; return it."""
        found = self.page.locator(selector).first
        found.wait_for(state="visible", timeout=TIMEOUT)
        return found

    def text(self, selector: str) -> str:
        """Return the text of an element that is visible."""
        return self.expect(selector).inner_text()

    def login(self, state: str) -> None:
        """Press Run login, and wait until the verdict is ``state``."""
        self.page.click("#login")
        self.finished(state)

    def finished(self, state: str) -> None:
        """Wait until a login that was begun has ended with ``state``."""
        self.expect("#login:has-text('Run login')")
        self.expect(f"#verdict[data-state={state}]")

    def press(self, *keys: str) -> None:
        """Press keys one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def tab_to(self, selector: str, key: str = "Tab") -> None:
        """Press Tab until the element with the focus matches."""
        for _ in range(80):
            if self.page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
            self.page.keyboard.press(key)
        raise AssertionError(f"{key} does not lead to {selector}")


@pytest.fixture
def live(browser: Browser) -> Iterator[LivePage]:
    """A new page; at the end its console must be empty."""
    with contextlib.closing(
        browser.new_context(reduced_motion="reduce", viewport={"width": 1280, "height": 800})
    ) as it:
        live = LivePage(it.new_page())

        def note(message: ConsoleMessage) -> None:
            # Chromium itself writes a line for each error status, whatever the page does with it.
            if not any(f"responded with a status of {status} " in message.text for status in live.refused):
                live.console.append(f"{message.type}: {message.text}")

        live.page.on("console", note)
        live.page.on("pageerror", lambda error: live.console.append(str(error)))
        yield live
        assert live.console == []


@dataclass
class Started:
    """A ``mralab`` process, and the JSON line that it printed first."""

    process: subprocess.Popen[str]
    start: dict[str, Any]

    @property
    def admin(self) -> str:
        """Address of the control API."""
        return str(self.start["admin"])

    def end(self) -> None:
        """End the process and wait for it."""
        self.process.terminate()
        assert self.process.wait(20) == 0


Start = Callable[..., Started]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Start ``mralab`` with these arguments; what still runs ends with the module."""
    running: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> Started:
        process = subprocess.Popen(
            [sys.executable, "-m", "mralab", *arguments], stdout=subprocess.PIPE, text=True, env=os.environ
        )
        running.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "it did not start"
        return Started(process, json.loads(line))

    yield begin
    for process in running:
        process.terminate()
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()


_AXE = "axe-core@4.14.1"


@pytest.fixture(scope="module")
def axe() -> str:
    """Source of axe-core. npm downloads it once into the user's cache."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mralab" / _AXE
    file = folder / "package" / "axe.min.js"
    if not file.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("npm is not installed, so axe-core cannot be fetched")
        folder.mkdir(parents=True, exist_ok=True)
        packed = subprocess.run(
            [npm, "pack", "--silent", _AXE], cwd=folder, capture_output=True, text=True, timeout=60, check=False
        )
        if packed.returncode:
            pytest.skip(f"npm cannot fetch {_AXE}: {packed.stderr.strip()[-200:]}")
        # Without the filter, 3.12 warns; before 3.11.4 there is none.
        options: Any = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        shutil.unpack_archive(folder / packed.stdout.strip().splitlines()[-1], folder, **options)
    return file.read_text()
