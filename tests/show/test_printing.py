"""A printed report has findings and remedies, and says in one line what is left out because it is closed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.command import mralab, mralab_process
from tests.web.browser.conftest import browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["browser"]

LOG = str(Path(__file__).parents[1] / "golden" / "article-6972-untrusted.log")
REPORTS = {
    "diagnose": (("diagnose", LOG), "every step with its log lines."),
    "run": (("run", "expired"), "the login after the remedy, every step with its log lines."),
}


@pytest.fixture(scope="module", params=REPORTS)
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A report, and what the line says is left out."""
    file = tmp_path_factory.mktemp("report") / "report.html"
    command, left_out = REPORTS[request.param]
    assert mralab_process(*command, "--html", str(file)).returncode in (0, 1)  # Playwright has a loop in this one
    return file, left_out


def printed(page: Any, selector: str) -> list[bool]:
    """Return whether each element is visible."""
    return [each.is_visible() for each in page.locator(selector).all()]


def test_what_is_closed_is_not_printed_and_named_in_one_line(browser: Browser, report: tuple[Path, str]) -> None:
    file, left_out = report
    page = browser.new_page()
    page.goto(file.as_uri())
    assert printed(page, ".unprinted") == [False]
    assert all(printed(page, "details > summary"))
    page.emulate_media(media="print")
    assert page.locator(".unprinted").all_inner_texts() == [f"Closed in the file, so not printed: {left_out}"]
    assert not any(printed(page, "details, details *"))
    for selector in (".summary", ".why", ".actions li", ".cause .log", "figure svg"):
        shown = printed(page, f"{selector}:not(details *)")
        assert shown, selector
        assert all(shown), selector
    page.close()


def test_what_is_open_is_printed(browser: Browser, report: tuple[Path, str]) -> None:
    file, _ = report
    page = browser.new_page()
    page.goto(file.as_uri())
    page.locator("details > summary").first.click()
    page.emulate_media(media="print")
    assert printed(page, ".unprinted") == [page.locator("details").count() > 1]
    assert all(printed(page, "details[open] > *"))
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    assert printed(page, ".unprinted") == [False]
    assert all(printed(page, "details > *"))
    page.close()


def test_a_report_with_nothing_closed_has_no_such_line(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    (tmp_path / "empty.log").write_text("no line of traffic_server\n")
    mralab("diagnose", str(tmp_path / "empty.log"), "--html", str(file))
    text = file.read_text("utf-8")
    assert "<details" not in text
    assert 'class="unprinted"' not in text
