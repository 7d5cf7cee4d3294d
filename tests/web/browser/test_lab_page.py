"""The page of a lab: switches, logins, the refused step with its certificate, and the way to a green login."""

from __future__ import annotations

import http.client
import re
from typing import Any, cast

import pytest
import trustme

from .conftest import LivePage, Start, Started

RED_ROWS = "#view-live .row[data-state=bad]"
EASILY_SEEN = ("serious", "critical")


@pytest.fixture(scope="module")
def lab(start: Start) -> Started:
    return start("lab", "--release", "X14.0.7")


@pytest.fixture
def page(live: LivePage, lab: Started) -> LivePage:
    """The page of the lab with its first trust store and the release before the change."""
    reset(lab)
    live.open(lab.admin)
    for read in ("#switch-release:has(option[value='X14.0.7']:checked)", "#trust-list li", "#scenario-list li"):
        live.expect(read)
    return live


def reset(lab: Started) -> None:
    connection = http.client.HTTPConnection(lab.admin, timeout=30)
    connection.request("POST", "/api/reset")
    assert connection.getresponse().status == 200
    connection.close()


def findings_of_axe(page: LivePage, axe: str, options: dict[str, Any]) -> list[str]:
    """Return axe's serious findings. Of the log's lines, which are alike, it looks at the first."""
    page.page.evaluate(axe)
    context = {"exclude": ["#log li:nth-child(n+6)", "#scenario-list li:nth-child(n+6)"]}
    answer = page.page.evaluate("([context, options]) => axe.run(context, options)", [context, options])
    return [
        f"{found['id']}: {found['nodes'][0]['html']} {found['nodes'][0]['failureSummary']}"
        for found in answer["violations"]
        if found["impact"] in EASILY_SEEN
    ]


def test_until_its_first_data_the_page_does_not_say_that_nothing_happened(live: LivePage, lab: Started) -> None:
    reset(lab)
    held: list[Any] = []
    live.page.route("**/api/ladder*", lambda route: held.append(route))  # noqa: PLW0108 - Playwright marks it
    live.open(lab.admin)
    assert live.text("#verdict-title") == "Connecting to the proxy …"
    live.page.unroute("**/api/ladder*")
    for route in held:
        route.continue_()
    live.expect("#verdict-title:has-text('Nothing has happened yet.')")


def test_a_login_is_red_with_x14_2_and_green_once_its_certificate_is_trusted(page: LivePage) -> None:
    page.login("good")
    assert page.text("#verdict-title") == "emusk: signed in (X14.0.7)"
    assert page.page.locator(RED_ROWS).count() == 0

    page.page.select_option("#switch-release", "X14.2")
    page.expect("#switch-verify:has(option[value='on']:checked)")
    page.login("bad")
    assert page.text("#verdict-title") == "emusk: configuration missing (X14.2)"
    assert "self signed certificate (2 attempts)" in page.text(f"{RED_ROWS} .row-stop")
    assert "502 connect failed" in page.text(f"{RED_ROWS} .row-state")
    assert page.text("#details .detail-state").startswith("self-signed · cucm.steven.lab:6972")
    assert "Maintenance > Security > Trusted CA certificate" in page.text("#details .remedies")
    certificate = page.text("#details .certificate")
    assert re.search(r"Issuer\s+itself \(self-signed\)", certificate)
    assert re.search(r"Requested\s+cucm\.steven\.lab ✓ in the certificate", certificate)
    assert re.search(r"Key\s+EC 384", certificate)
    assert re.search(r"SHA-256\s+([0-9A-F]{2}:?\s*){32}", certificate)

    page.page.click("#trust-this")
    page.expect(".trusted-now")
    page.login("good")
    assert page.text("#verdict-title") == "emusk: signed in (X14.2)"


def test_an_address_in_system_server_is_shown_beside_the_names_of_the_certificate(page: LivePage) -> None:
    page.page.select_option("#switch-release", "X14.2")
    page.page.select_option("#switch-advertise", "ip")
    page.expect("#switch-verify:has(option[value='on']:checked)")
    page.login("bad")
    assert page.text("#details .detail-state").startswith("name-not-in-certificate · 10.48.36.215:8443")
    certificate = page.text("#details .certificate")
    assert re.search(r"Requested\s+10\.48\.36\.215 ✕ not in the certificate", certificate)
    assert re.search(r"Names\s+cucm\.steven\.lab", certificate)
    assert page.page.locator("#trust-this").count() == 0  # to trust it would not help
    page.page.select_option("#switch-advertise", "fqdn")
    page.page.select_option("#switch-https", "all")
    page.login("bad")
    assert page.text("#details .detail-state").startswith("self-signed · cucm.steven.lab:8443")
    page.page.select_option("#switch-https", "rsa")
    page.login("bad")
    assert page.text("#details .detail-state").startswith("self-signed · cucm.steven.lab:6972")


def test_only_a_self_signed_certificate_is_offered_to_trust(page: LivePage) -> None:
    def chosen(code: str, *presented: tuple[str, bool]) -> str | None:
        chain = [{"pem": name, "self_signed": is_self_signed} for name, is_self_signed in presented]
        call = "finding => import('/page/certificate.js').then(module => module.chosenToTrust(finding)?.pem ?? null)"
        return cast("str | None", page.page.evaluate(call, {"code": code, "presented": chain}))

    assert chosen("self-signed", ("server", True)) == "server"
    assert chosen("unknown-ca", ("server", False), ("issuing", False), ("root", True)) == "root"
    assert chosen("issuer-missing", ("server", False), ("issuing", False)) is None
    assert chosen("expired", ("server", True)) is None
    assert chosen("unreachable") is None


def test_a_reset_from_elsewhere_is_shown(page: LivePage, lab: Started) -> None:
    page.page.select_option("#switch-release", "X14.2")
    page.expect("#switch-verify:has(option[value='on']:checked)")
    page.login("bad")
    page.page.click("#trust-this")
    page.expect(".trusted-now")
    page.expect("#trust-list li >> nth=1")
    reset(lab)
    page.expect("#switch-release:has(option[value='X14.0.7']:checked)")
    page.expect("#trust-list:not(:has(li:nth-child(2)))")


def test_axe_has_no_serious_finding_in_either_theme(page: LivePage, axe: str) -> None:
    page.page.select_option("#switch-release", "X14.2")
    page.expect("#switch-verify:has(option[value='on']:checked)")
    page.login("bad")
    page.expect("#trust-this")
    assert findings_of_axe(page, axe, {}) == []
    page.page.set_viewport_size({"width": 390, "height": 844})
    assert page.page.evaluate("() => document.documentElement.scrollWidth") == 390
    page.page.click("#theme")
    assert findings_of_axe(page, axe, {"runOnly": ["color-contrast"]}) == []


def test_a_line_of_the_log_and_its_request_lead_to_each_other(page: LivePage) -> None:
    page.page.select_option("#switch-release", "X14.2")
    page.expect("#switch-verify:has(option[value='on']:checked)")
    page.login("bad")
    page.page.click("#view-live .row[data-state=good] button >> nth=0")
    lines = page.page.locator("#log li.selected").all_inner_texts()
    assert len(lines) == 5
    assert all("/cucm-uds/version" in line or "HTTP/1.1 200" in line for line in lines)
    page.page.click("#log li[data-level=ERROR] >> nth=0")
    page.expect(f"{RED_ROWS} button[aria-pressed=true]")
    page.page.hover("#log li[data-level=WARNING] >> nth=-1")
    page.expect(f"{RED_ROWS}.pointed >> nth=0")


def test_before_and_after_are_side_by_side_and_replayed_with_the_arrow_keys(page: LivePage) -> None:
    page.page.click("#login-both")
    page.expect("#view-compare")
    sides = page.page.locator("#view-compare .side")
    assert "✓ signed in" in sides.nth(0).inner_text()
    assert "X14.0.7" in sides.nth(0).locator(".who-note").inner_text()
    assert "✕ configuration missing" in sides.nth(1).inner_text()
    assert sides.nth(0).locator(".row[data-state=bad]").count() == 0
    assert sides.nth(1).locator(".row[data-state=bad]").count() == 3

    page.page.click("[data-view=replay]")
    page.page.locator("body").press("Home")
    assert page.text("#view-replay .caption").startswith("Step 1 of ")
    assert page.page.locator("#view-replay .row").count() == 1
    for _ in range(60):
        page.press("ArrowRight")
        if page.page.locator("#view-replay .row[data-state=bad]").count():
            break
    assert "Expressway-C → CUCM: self signed certificate" in page.text("#view-replay .caption")
    assert "self-signed certificate" in page.text("#details .cause-text")
    page.page.click("#trust-this")
    page.expect(".trusted-now")
    page.press("End")
    assert page.page.locator("#view-replay .row").count() == page.page.locator("#view-live .row").count()


def test_compare_has_room_in_large_type_and_its_requests_in_line(page: LivePage) -> None:
    page.page.select_option("#switch-release", "X14.2")
    page.expect("#switch-verify:has(option[value='on']:checked)")
    page.login("bad")
    page.page.click("[data-view=compare]")
    sides = page.page.locator("#view-compare .side")
    assert "Run a login under another release" in sides.nth(0).inner_text()  # one that verifies is "after"
    page.page.click("#login-both")
    page.expect("#view-compare .outcome[data-state=good]")
    page.page.click("#projector")
    cut = "all => all.filter(each => each.scrollWidth > each.clientWidth).map(each => each.innerText)"
    assert page.page.locator("#view-compare .who b, #view-compare .who-note").evaluate_all(cut) == []
    # In one call: the page draws both sides anew when the second login has ended, and once more when it is quiet.
    tops = sides.evaluate_all("all => all.map(each => each.querySelector('.row').getBoundingClientRect().top)")
    assert len(tops) == 2
    assert tops[0] == tops[1]


def test_a_login_and_its_repair_need_no_mouse(page: LivePage) -> None:
    page.tab_to("#switch-release")
    page.page.keyboard.type("X14.2")
    page.expect("#switch-verify:has(option[value='on']:checked)")
    page.tab_to("#login")
    page.press("Enter")
    page.finished("bad")
    page.tab_to("#view-live .row button")
    page.press("Home", "ArrowDown", "Enter")
    page.expect("#view-live .row:nth-child(2) button[aria-pressed=true]")
    page.press("End", "ArrowUp", "ArrowUp", "Enter")
    page.expect(f"{RED_ROWS} button[aria-pressed=true]")
    page.tab_to("#trust-this")
    page.press("Enter")
    page.expect(".trusted-now")
    page.tab_to("#login", "Shift+Tab")
    page.press("Enter")
    page.finished("good")


def test_files_are_trusted_and_removed_and_what_is_no_certificate_is_refused_with_the_reason(page: LivePage) -> None:
    page.expect("#trust-list li")
    before = page.page.locator("#trust-list li").count()
    pem = trustme.CA().cert_pem.bytes().decode()
    page.page.click("#trust-list li button >> nth=0")
    page.expect("#trust-note:has-text('removed')")
    assert page.page.locator("#trust-list li:not(.empty)").count() == before - 1
    dropped = page.page.evaluate_handle(
        """pem => {
          const dropped = new DataTransfer();
          dropped.items.add(new File([pem], "dropped.pem"));
          return dropped;
        }""",
        pem,
    )
    page.page.dispatch_event("#drop", "drop", {"dataTransfer": dropped})
    page.expect("#trust-note:has-text('dropped.pem: one certificate added.')")
    assert page.page.locator("#trust-list li:not(.empty)").count() == before
    page.refused = (409,)
    page.page.set_input_files("#trust-file", {"name": "odd.pem", "mimeType": "text/plain", "buffer": b"no certificate"})
    assert page.text("#problem").startswith("odd.pem: pem: holds no PEM certificate")


def test_a_lab_with_several_peers_says_which_one_the_page_shows(live: LivePage, start: Start) -> None:
    cluster = start("lab", "--scenario", "peer-without-ca")
    live.open(cluster.admin)
    assert live.text("#peers").startswith("2 Expressway-C peers (vcsc, vcsc2): this page shows and changes vcsc")
    cluster.end()


def test_a_scenario_is_found_by_its_words_and_run(page: LivePage) -> None:
    page.page.fill("#scenario-search", "unity expired")
    assert page.page.locator("#scenario-list button").count() == 1
    page.page.click("#scenario-list button")
    page.expect("#scenario-result dl")
    result = page.text("#scenario-result")
    assert "mralab lab --scenario unity-only" in result
    assert "signed in without voicemail" in result
    assert "expired at unity.steven.lab:8443" in result
    assert "As expected." in result


def test_diagnostic_logging_is_started_and_its_archive_downloaded(page: LivePage) -> None:
    page.page.click("#recording-start")
    page.expect("#recording-note:has-text('Running since')")
    with page.page.expect_download() as download:
        page.page.click("#recording-stop")
    assert download.value.suggested_filename.endswith(".tar.gz")
    page.expect("#recording-note:has-text('Downloaded')")
