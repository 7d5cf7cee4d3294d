"""The drawing of a ladder: where its parts are, what is left out, and that two of them can be compared."""

from __future__ import annotations

from itertools import pairwise

import pytest

from mralab.core.log.reader import read
from mralab.diagnose.ladder import Ladder, ladder
from mralab.show.ladder_drawing import aligned, draw
from tests.diagnose.test_diagnosis import IP, answered, failed, got, log, received, sent, untrusted
from tests.diagnose.test_ladder import requested


def refused(*txns: int) -> Ladder:
    return ladder(
        read(log([event for txn in txns for event in (received(txn), sent(txn), untrusted(), failed(), answered(txn))]))
    )


def passed(*txns: int) -> Ladder:
    return ladder(
        read(log([event for txn in txns for event in (received(txn), sent(txn), got(txn), answered(txn, "200 OK"))]))
    )


def test_every_part_is_inside_the_drawing() -> None:
    drawing = draw(refused(1, 2))
    xs = [x for arrow in drawing.arrows for x in (arrow.x1, arrow.x2)] + [line.x for line in drawing.lifelines]
    ys = [arrow.y for arrow in drawing.arrows] + [label.y for label in drawing.labels]
    assert min(xs) > 0
    assert max(xs) < drawing.width
    assert min(ys) > 0
    assert max(ys) < drawing.height


def test_nothing_is_drawn_over_another_label() -> None:
    labels = draw(refused(1, 2)).labels
    rows: dict[float, list[tuple[float, float]]] = {}
    for label in labels:
        width = len(label.text) * 6.4
        left = {"start": label.x, "middle": label.x - width / 2, "end": label.x - width}[label.anchor]
        rows.setdefault(label.y, []).append((left, left + width))
    for spans in rows.values():
        spans.sort()
        assert all(one[1] <= other[0] for one, other in pairwise(spans))


@pytest.mark.parametrize("servers", range(1, 8))
def test_the_text_of_an_answer_is_clear_of_both_lifelines(servers: int) -> None:
    events = [requested(9, "/cucm-uds/version"), sent(9), untrusted(), failed(), answered(9)]
    for txn in range(1, servers):
        host = f"server{txn}.lab"
        events += [requested(txn, "/x", host=host), sent(txn, ip=f"10.0.0.{txn}"), got(txn), answered(txn, "200 OK")]
    drawing = draw(ladder(read(log(events))))
    assert len(drawing.lifelines) == 2 + servers
    lines = [line.x for line in drawing.lifelines]
    status = [label for label in drawing.labels if label.kind == "status"]
    assert "502 connect failed" in [label.text for label in status]
    arrows = {(arrow.y, (arrow.x1 + arrow.x2) / 2): arrow for arrow in drawing.arrows}
    for label in status:
        half = len(label.text) * 6.4 / 2
        arrow = arrows[label.y + 4, label.x]
        assert {arrow.x1, arrow.x2} <= set(lines)
        assert min(arrow.x1, arrow.x2) + 8 <= label.x - half
        assert label.x + half <= max(arrow.x1, arrow.x2) - 8


def test_a_refused_connection_does_not_arrive() -> None:
    drawing = draw(refused(1))
    cut = [arrow for arrow in drawing.arrows if arrow.is_cut]
    assert [(arrow.state, arrow.x2) for arrow in cut] == [("bad", drawing.lifelines[2].x)]
    assert cut[0].end < cut[0].x2
    assert [label.text for label in drawing.labels if label.kind == "fault"] == ["1: self signed certificate"]
    assert len(drawing.bands) == 1


def test_a_request_that_succeeds_has_no_colour() -> None:
    drawing = draw(passed(1))
    assert {arrow.state for arrow in drawing.arrows} == {"ok"}
    assert not drawing.bands


def test_requests_that_succeeded_are_left_out_first() -> None:
    good = [event for txn in range(1, 9) for event in (received(txn), sent(txn), got(txn), answered(txn, "200 OK"))]
    bad = [received(9), sent(9), untrusted(), failed(), answered(9)]
    drawing = draw(ladder(read(log([*good, *bad]))), most=3)
    assert drawing.left_out == 6
    assert [label.kind for label in drawing.labels].count("fault") == 1
    assert [label.kind for label in drawing.labels].count("request") == 3


def test_an_empty_ladder_has_lifelines_only() -> None:
    drawing = draw(ladder([]))
    assert (len(drawing.lifelines), drawing.arrows, drawing.left_out) == (2, [], 0)


def test_a_request_for_an_address_says_so() -> None:
    by_name = [requested(1, "/cucm-uds/version"), sent(1), got(1), answered(1, "200 OK")]
    by_address = [requested(2, "/cucm-uds/version", host=IP), sent(2), got(2), answered(2, "200 OK")]
    labels = [
        label.text for label in draw(ladder(read(log([*by_name, *by_address])))).labels if label.kind == "request"
    ]
    assert labels == ["GET :8443/cucm-uds/version", f"GET {IP}:8443/cucm-uds/version"]


def test_ladders_side_by_side_have_the_same_lifelines() -> None:
    one = ladder(read(log([requested(1, "/cucm-uds/version"), sent(1), got(1), answered(1, "200 OK")])))
    events = [
        requested(1, "/cucm-uds/version", host=IP),
        sent(1),
        requested(2, "/vmrest/", host="unity.lab"),
        sent(2, ip="10.0.0.9"),
    ]
    first, second = aligned([one, ladder(read(log(events)))])
    assert [(each.id, each.role, each.name) for each in first.participants[2:]] == [
        ("server-1", "CUCM", "cucm.steven.lab"),
        ("server-2", "Unity Connection", "unity.lab"),
    ]
    assert first.participants[2:] == second.participants[2:]
    assert [step.to for step in second.steps if step.kind == "connect"] == ["server-1", "server-2"]
    assert draw(first).width == draw(second).width


def test_a_long_text_is_shortened_and_kept_as_title() -> None:
    path = f"/cucm-uds/{'x' * 400}"
    (label,) = (label for label in draw(ladder(read(log([requested(1, path)])))).labels if label.kind == "request")
    assert len(label.text) < 80
    assert "\u2026" in label.text
    assert path in label.title
