"""The allow list: errors in its CSV file, decisions, nearest misses, and a cost that does not grow with the rules."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mralab.core.mra import allowlist as a
from mralab.core.mra.allowlist import (
    Allowed,
    AllowList,
    Denied,
    Kind,
    OpenAllowList,
    Rule,
    RulesError,
    automatic_rules,
    parse_rules_csv,
)
from mralab.core.mra.readings import readings
from mralab.core.mra.target import Target

HEADER = "Url,Deployment,HttpMethods,MatchType,Description\n"
KINDS: tuple[Kind, ...] = ("cucm", "imp", "unity")
CUCM = Target("steven.lab", "https", "cucm.steven.lab", 8443)


def rules(*rows: str) -> tuple[Rule, ...]:
    return parse_rules_csv(HEADER + "\n".join(rows), "rules.csv")


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(RulesError) as caught:
        parse_rules_csv(text, "rules.csv")
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


def rule_of(answer: Allowed | Denied) -> str:
    assert isinstance(answer, Allowed), answer
    return answer.rule.url


def nearest(answer: Allowed | Denied) -> str:
    assert isinstance(answer, Denied), answer
    return answer.nearest


def at(url: str, domain: str = "steven.lab") -> tuple[Target, str]:
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    host, _, port = authority.partition(":")
    return Target(domain, scheme, host, int(port)), slash + path


def test_the_example_of_the_administrator_guide() -> None:
    (rule,) = rules('http://myServer2:8000/myPath2,myDomain200,"GET,PUT",exact,')
    assert rule == Rule(
        "http",
        "myserver2",
        8000,
        "/myPath2",
        frozenset(("GET", "PUT")),
        "exact",
        "myDomain200",
        a.ADMINISTRATOR,
        "",
        "http://myserver2:8000/myPath2",
    )


def test_columns_after_the_url_may_be_missing_and_have_defaults() -> None:
    (rule,) = rules("https://cucm")
    assert (rule.port, rule.path, rule.match, rule.methods) == (443, "/", "prefix", None)
    assert rule.allowed_methods == {"GET", "POST", "PUT"}
    assert rule.url == "https://cucm:443/"


def test_changes_by_excel_and_editors_are_accepted() -> None:
    text = "\ufeff" + HEADER + '\r\n# a comment, with a "\r\n  \r\nhttp://h,, get ,PREFIX,"a, b"\r\n'
    (rule,) = parse_rules_csv(text.replace("\n", "\r\n").replace("\r\r\n", "\r\n"), "x")
    assert (rule.methods, rule.match, rule.description) == (frozenset(("GET",)), "prefix", "a, b")


def test_ipv6_hosts_and_default_ports_have_one_spelling() -> None:
    (rule,) = rules("https://[2001:DB8::0:1]/x")
    assert (rule.host, rule.url) == ("2001:db8::1", "https://[2001:db8::1]:443/x")


def test_only_an_exact_rule_keeps_its_query() -> None:
    exact, prefix = rules("http://h/p?q=1,,,exact", "http://h/p?q=1,,,prefix")
    assert (exact.path, exact.url) == ("/p?q=1", "http://h:80/p?q=1")
    assert (prefix.path, prefix.url) == ("/p", "http://h:80/p")


def test_all_problems_are_reported_at_once_with_their_lines_and_a_suggestion() -> None:
    found = problems(
        HEADER
        + "https://ok/\n"
        + "htps://h/,,,prefxi,\n"
        + "\n"
        + 'https://u@h/,,"G ET,,PUT",exact,\n'
        + "https://h,,GET,PUT,exact,x\n"
        + "https://h:99999/#f\n"
    )
    assert found == (
        "rules.csv:3: MatchType 'prefxi' is neither exact nor prefix (did you mean prefix?)",
        "rules.csv:3: Url has protocol 'htps', not http or https (did you mean https?)",
        "rules.csv:5: HttpMethods has 'G ET', which is not a method (did you mean GET?)",
        "rules.csv:5: HttpMethods has an empty method",
        "rules.csv:5: Url has user information before the host",
        'rules.csv:6: 6 columns where the header names 5 (several methods need quotes: "GET,PUT")',
        "rules.csv:7: Url: port '99999' is not one of 1 to 65535",
        "rules.csv:7: Url has a fragment, '#f', which is never sent",
    )


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "Url is missing"),
        ("cucm.steven.lab", "not protocol://host"),
        ("https:///x", "the host is empty"),
        ("https://h:/x", "the port is empty"),
        ("https://h:0/x", "not one of 1 to 65535"),
        ("https://*.lab/", "wildcard"),
        ("https://h/a*", "wildcard"),
        ("https://2001:db8::1/", "needs brackets"),
        ("https://[2001:db8::1/", "no closing bracket"),
        ("https://[::1]x:1/", "no closing bracket"),
        ("https://999.1.1.1/", "not an IPv4 address"),
        ("https://h/a b", "percent-encoded"),
        ("https://h/ä", "percent-encoded"),
        ("https://h/a/../b", "read differently"),
        ("https://h//b", "read differently"),
        ("https://h/a;v=1/", "read differently"),
        ("https://h/%2e%2e/", "read differently"),
    ],
)
def test_urls_that_are_refused(url: str, words: str) -> None:
    (problem,) = problems(f'{HEADER}"{url}",,,,d\n')
    assert problem.startswith("rules.csv:2: ")
    assert words in problem


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "rules.csv:1: no header line"),
        ("# nothing\n", "no header line"),
        ("Url,Deployment,HttpMethod,MatchType,Description\n", "'HttpMethod' is unknown (did you mean HttpMethods?)"),
        ("Url,MatchType\n", "wrong header; the header must be Url,Deployment"),
        ("https://h/,,GET,prefix,\n", "rules.csv:1: no header line; the first line must be Url,Deployment,"),
        (HEADER + '"https://h/,,\n', "rules.csv:2: not CSV"),
    ],
)
def test_files_that_are_not_rules_files(text: str, words: str) -> None:
    assert words in problems(text)[0]


@given(st.text())
def test_any_text_is_rules_or_a_rules_error(text: str) -> None:
    for each in (text, HEADER + text):
        try:
            parse_rules_csv(each, "x")
        except RulesError as error:
            assert error.problems


def test_the_articles_request_is_allowed_by_the_rule_its_log_shows() -> None:
    answer = AllowList(automatic_rules("CUCM.steven.lab")).decide(
        "steven.lab", "GET", CUCM, "/cucm-uds/user/emusk/devices?max=100"
    )
    assert rule_of(answer) == "https://cucm.steven.lab:8443/cucm-uds/user/"
    assert isinstance(answer, Allowed)
    assert answer.deployment_number == "1"
    assert answer.rule.match == "prefix"
    assert answer.rule.type == "Automatically generated rule for CUCM server"


@pytest.mark.parametrize(
    ("method", "url", "allowed"),
    [
        ("GET", "https://cucm:8443/cucm-uds/clusterUser?username=emusk", True),
        ("HEAD", "https://cucm:8443/cucm-uds/version", True),
        ("DELETE", "https://cucm:8443/cucm-uds/user/emusk/x", True),
        ("DELETE", "https://cucm:8443/cucm-uds/version", False),
        ("GET", "https://cucm:6972/CSFemusk.cnf.xml", True),
        ("GET", "http://cucm:6970/SPDefault.cnf.xml", True),
        ("POST", "https://cucm:6972/x", False),
        ("GET", "https://cucm:6970/x", False),
        ("GET", "https://cucm:6971/headset.json", True),
        ("GET", "https://cucm:443/cucm-uds/version", True),
        ("GET", "https://cucm:443/axl/", False),
        ("POST", "https://cucm:9444/metrics", True),
        ("GET", "https://cucm:8080/e911proxy", False),
        ("POST", "https://cucm:8443/axl/", False),
        ("get", "https://cucm:8443/cucm-uds/version", False),
    ],
)
def test_automatic_rules(method: str, url: str, allowed: bool) -> None:
    target, path = at(url)
    answer = AllowList(automatic_rules("cucm")).decide("steven.lab", method, target, path)
    assert isinstance(answer, Allowed) is allowed


def test_automatic_rules_of_the_other_kinds_of_node() -> None:
    ports = {kind: {(rule.scheme, rule.port) for rule in automatic_rules("n", kind)} for kind in KINDS}
    assert ports == {
        "cucm": {("https", port) for port in (443, 8443, 6971, 6972, 9444)} | {("http", 6970)},
        "imp": {("https", 8443), ("https", 7336)},
        "unity": {("https", 443), ("https", 8443), ("http", 7080), ("https", 7443)},
    }
    assert len({automatic_rules("n", kind)[0].type for kind in KINDS}) == 3


def test_automatic_rules_for_ipv6_nodes() -> None:
    assert automatic_rules("2001:db8::1")[0].url == "https://[2001:db8::1]:8443/cucm-uds/user/"
    assert automatic_rules("[2001:db8::1]") == automatic_rules("2001:DB8::1")


def test_exact_before_prefix_longer_before_shorter_earlier_before_later() -> None:
    allow = AllowList(
        rules(
            "http://h/a,,GET,prefix,short",
            "http://h/a/b,,GET,prefix,long",
            "http://h/a/b/c,,GET,exact,exact",
            "http://h/a/b,,GET,prefix,again",
            "http://h/a/b/c?q,,GET,exact,query",
            "http://h/a/b/c/d,,PUT,prefix,other method",
        )
    )

    def described(path: str) -> str:
        answer = allow.decide("d", "GET", Target("d", "http", "h", 80), path)
        assert isinstance(answer, Allowed)
        return answer.rule.description

    assert described("/ax") == "short"  # a partial path
    assert described("/a/b/") == "long"
    assert described("/a/b/c") == described("/a/b/c?other") == "exact"
    assert described("/a/b/c?q") == "query"
    assert described("/a/b/c/d/e") == "long"


def test_paths_are_case_sensitive_hosts_are_not_and_queries_match_exactly() -> None:
    allow = AllowList(rules("HTTP://H.Lab/Path?q=1,,,exact"))
    target = Target("d", "http", "h.lab", 80)
    assert isinstance(allow.decide("d", "GET", target, "/Path?q=1"), Allowed)
    for path in ("/path?q=1", "/Path", "/Path?q=2", "/Path?", "/Path/"):
        assert isinstance(allow.decide("d", "GET", target, path), Denied)


def test_an_escaped_rule_covers_the_escaped_request() -> None:
    allow = AllowList(rules("http://h/a%20b,,,exact", "http://h/c%40/,,,prefix"))
    target = Target("d", "http", "h", 80)
    assert isinstance(allow.decide("d", "GET", target, "/a%20b"), Allowed)
    assert isinstance(allow.decide("d", "GET", target, "/c%40/x"), Allowed)


@pytest.mark.parametrize(
    "path",
    [
        "/cucm-uds/user/../../axl/",
        "/cucm-uds/user/%2e%2e/%2e%2e/axl/",
        "/cucm-uds/..%2faxl/",
        "/cucm-uds/..%252faxl/",
        "/cucm-uds/..\\axl/",
        "/cucm-uds/..;/axl/",
        "/cucm-uds/x/..%5c..%5caxl",
        "/cucm-uds%00/",
        "/cucm-uds/" + "%2e/" * 1000,
    ],
)
def test_a_path_that_could_leave_the_path_of_its_rule_is_denied(path: str) -> None:
    answer = AllowList(automatic_rules("cucm.steven.lab")).decide("d", "GET", CUCM, path)
    assert nearest(answer)


def test_ambiguity_within_a_rule_is_harmless() -> None:
    allow = AllowList(automatic_rules("cucm.steven.lab"))
    for path in ("/cucm-uds/user/e%40lab/devices", "/cucm-uds/user//x", "/cucm-uds/user/a/../b", "/cucm-uds/user/;x"):
        assert isinstance(allow.decide("d", "GET", CUCM, path), Allowed)


def test_a_domain_is_in_the_deployment_that_names_it_and_in_no_other() -> None:
    allow = AllowList(
        rules(
            "http://h/default",
            "http://h/one,1",
            "http://h/named,Default Deployment",
            "http://h/sales,Sales.lab",
            "http://h/shop,shop.lab",
            "http://h/both,SALES.LAB",
        )
    )

    def paths(domain: str) -> tuple[str, set[str]]:
        target = Target(domain, "http", "h", 80)
        every = ("default", "one", "named", "sales", "shop", "both")
        answers = {path: allow.decide(domain, "GET", target, f"/{path}") for path in every}
        (number,) = {answer.deployment_number for answer in answers.values()}
        return number, {path for path, answer in answers.items() if isinstance(answer, Allowed)}

    assert paths("steven.lab") == ("1", {"default", "one", "named"})
    assert paths("sales.lab") == ("2", {"sales", "both"})
    assert paths("SHOP.lab") == ("3", {"shop"})


@pytest.mark.parametrize(
    ("method", "url", "words"),
    [
        (
            "DELETE",
            "https://cucm.steven.lab:8443/cucm-uds/version",
            "rule 2 https://cucm.steven.lab:8443/cucm-uds/ allows GET, HEAD, POST, not DELETE",
        ),
        ("GET", "https://cucm.steven.lab:9443/x", "name ports 8443, 443, 6971, 6972, 9444, not 9443"),
        ("GET", "http://cucm.steven.lab:8443/x", "not http://cucm.steven.lab:8443"),
        ("GET", "https://cucn.steven.lab:8443/x", "no rule names host cucn.steven.lab; did you mean cucm.steven.lab?"),
        ("GET", "https://10.48.36.215:8443/x", "no rule names host 10.48.36.215"),
        (
            "GET",
            "https://cucm.steven.lab:8443/cucm-ud",
            "closest is rule 2 https://cucm.steven.lab:8443/cucm-uds/ (prefix)",
        ),
        ("GET", "https://cucm.steven.lab:8443/CUCM-uds/x", "rule 2 https://cucm.steven.lab:8443/cucm-uds/ differs in"),
        ("GET", "https://cucm.steven.lab:8443/cucm-uds/%2e%2e/axl", "it can also be read as '/axl'"),
    ],
)
def test_a_denial_says_what_came_closest(method: str, url: str, words: str) -> None:
    target, path = at(url)
    allow = AllowList(automatic_rules("cucm.steven.lab"))
    assert words in nearest(allow.decide("steven.lab", method, target, path))


def test_a_denial_names_the_other_deployment() -> None:
    allow = AllowList(rules("http://h/,sales.lab"))
    answer = allow.decide("steven.lab", "GET", Target("steven.lab", "http", "h", 80), "/")
    assert nearest(answer) == "rules for h are in deployment 2 (sales.lab), not in the default deployment"
    assert nearest(AllowList(()).decide("d", "GET", CUCM, "/")) == "no rule names host cucm.steven.lab"


@pytest.mark.parametrize(
    ("method", "url", "domain", "kind", "words"),
    [
        ("GET", "https://other:443/", "", "host", "no rule names host other"),
        ("GET", "https://h:444/", "", "port", "rules for h name port 443, not 444"),
        ("GET", "http://h:443/", "", "port", "name https://h:443, not http://h:443"),
        ("GET", "https://h:443/elsewhere", "", "path", "no rule for h:443 covers path /elsewhere; closest is rule 2 "),
        ("GET", "https://h:443/Exact", "", "case", "rule 2 https://h:443/exact differs in upper and lower case of"),
        ("PUT", "https://h:443/Exact", "", "case", "of the path, and allows GET, not PUT"),
        ("GET", "https://h:443/Exact/more", "", "path", "no rule for h:443 covers path /Exact/more"),
        ("PUT", "https://h:443/prefix/x", "", "method", "rule 1 https://h:443/prefix allows GET, not PUT"),
        ("POST", "https://h:443/prefix/x", "", "method", "rule 1 https://h:443/prefix allows GET, not POST"),
        ("get", "https://h:443/prefix/x", "", "method", "allows GET, not get; methods are in capitals"),
        ("GET", "https://h:443/", "sales.lab", "deployment", "rules for h are in the default deployment, not in depl"),
        ("GET", "https://h:443/prefix/../x", "", "reading", "it can also be read as '/x', which no rule allows"),
    ],
)
def test_a_denial_has_its_kind_and_a_true_sentence(method: str, url: str, domain: str, kind: str, words: str) -> None:
    target, path = at(url, domain)
    allow = AllowList(
        rules(
            "https://h/prefix,,GET",
            "https://h/exact,,GET,exact",
            "https://h/prefix,,DELETE",  # the sentence about rule 1 lists the methods of rule 1 alone
            "https://elsewhere/,sales.lab",
        )
    )
    answer = allow.decide(domain, method, target, path)
    assert words in nearest(answer)
    assert isinstance(answer, Denied)
    assert answer.kind == kind


def test_an_open_allow_list_says_that_a_host_is_not_listed() -> None:
    answer = OpenAllowList((), ["cucm.lab"]).decide("d", "GET", Target("d", "https", "cucn.lab", 1), "/")
    assert answer == Denied(
        "1", "host cucn.lab is not in [hosts], and no rule names it; did you mean cucm.lab?", "host"
    )


paths = st.lists(st.sampled_from(["a", "b", "/", "."]), max_size=6).map(lambda parts: "/" + "".join(parts))


@given(
    st.lists(st.tuples(paths, st.sampled_from(["GET", "PUT"]), st.sampled_from(["exact", "prefix"])), max_size=8),
    paths,
    st.sampled_from(["GET", "PUT"]),
)
def test_the_index_decides_as_a_search_through_every_rule(
    given_rules: list[tuple[str, str, str]], path: str, method: str
) -> None:
    made = [
        Rule("http", "h", 80, where, frozenset((allowed,)), match, "", "", "", where)
        for where, allowed, match in given_rules
    ]

    def fits(where: str, allowed: str, match: str, reading: str) -> bool:
        return allowed == method and (reading == where if match == "exact" else reading.startswith(where))

    expected = all(any(fits(*rule, reading) for rule in given_rules) for reading in readings(path))
    answer = AllowList(made).decide("d", method, Target("d", "http", "h", 80), path)
    assert isinstance(answer, Allowed) is expected
    if isinstance(answer, Denied):
        assert answer.nearest


def _steps(allow: AllowList, target: Target, path: str) -> int:
    """Return the number of executed lines of a decision."""
    count = 0

    def trace(frame: object, event: str, _: object) -> object:
        nonlocal count
        count += event == "line"
        return trace

    sys.settrace(trace)  # type: ignore[arg-type]
    try:
        allow.decide("d", "GET", target, path)
    finally:
        sys.settrace(None)
    return count


@pytest.mark.parametrize(("path", "host"), [("/path5/x", "h5.lab"), ("/elsewhere", "h5.lab"), ("/x", "h5x.lab")])
def test_the_work_does_not_grow_with_the_rules(path: str, host: str) -> None:
    few, many = (
        AllowList(
            [
                Rule("https", f"h{i % 100}.lab", 443, f"/path{i}/", None, "prefix", "", "", "", f"u{i}")
                for i in range(count)
            ]
        )
        for count in (500, 50_000)
    )
    target = Target("d", "https", host, 443)
    assert _steps(many, target, path) < 2 * _steps(few, target, path)
