"""``python -m tests.web.browser.pictures FOLDER``: draw the pictures of the live page and of the report again.

The scenario is always the same; certificates, ports and times are those of the run.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, sync_playwright

_MRALAB = (sys.executable, "-m", "mralab")


def draw(folder: Path) -> None:
    """Write page-dark.png (a refused login), page-light.png (before and after), page-phone.png and report.png."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        with subprocess.Popen([*_MRALAB, "lab", "--release", "X14.2"], stdout=subprocess.PIPE, text=True) as lab:
            try:
                assert lab.stdout is not None
                _draw_page(browser, f"http://{json.loads(lab.stdout.readline())['admin']}/", folder)
            finally:
                lab.terminate()
        _draw_report(browser, folder)
        browser.close()


def _draw_page(browser: Browser, url: str, folder: Path) -> None:
    dark = _opened(browser, url, "dark", 1600, 1000)
    _login(dark)
    dark.screenshot(path=folder / "page-dark.png")
    phone = _opened(browser, url, "light", 390, 844, scale=2)
    _login(phone)
    top = phone.locator("#details").bounding_box()
    assert top is not None
    phone.screenshot(
        path=folder / "page-phone.png", full_page=True, clip={"x": 0, "y": 0, "width": 390, "height": top["y"] + 150}
    )
    light = _opened(browser, url, "light", 1600, 1000)
    light.click("#login-both")
    light.wait_for_selector("#view-compare .side:nth-child(2) .row")
    light.mouse.move(0, 0)
    light.screenshot(path=folder / "page-light.png")


def _draw_report(browser: Browser, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as work:
        report = Path(work) / "report.html"
        subprocess.run(
            [*_MRALAB, "demo", "--out", work, "--html", str(report)], check=True, stdout=subprocess.DEVNULL, timeout=120
        )
        page = browser.new_page(color_scheme="light", viewport={"width": 1200, "height": 1000})
        page.goto(report.as_uri())
        page.screenshot(path=folder / "report.png")


def _opened(
    browser: Browser, url: str, scheme: Literal["dark", "light"], width: int, height: int, scale: int = 1
) -> Page:
    context = browser.new_context(
        color_scheme=scheme,
        reduced_motion="reduce",
        viewport={"width": width, "height": height},
        device_scale_factor=scale,
    )
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector("#stream-state[data-state=live]")
    page.wait_for_selector("#trust-list li")
    page.wait_for_selector("#scenario-list li")
    return page


def _login(page: Page) -> None:
    page.click("#login")
    page.wait_for_selector("#login:has-text('Run login')")
    page.wait_for_selector("#verdict[data-state=bad]")
    page.wait_for_selector("#trust-this")
    page.wait_for_selector("#log li.selected")
    page.mouse.move(0, 0)


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
