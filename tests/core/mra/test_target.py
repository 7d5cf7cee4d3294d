"""'/TOKEN/path' <-> Target: grammar, messages for damaged tokens, forms of request targets."""

from __future__ import annotations

import base64
from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mralab.core.mra import target as t
from mralab.core.mra.target import BadToken, Target, decode, encode, split

CONTROL = "vcs_control.steven.lab:8443"
CUCM = "c3RldmVuLmxhYi9odHRwcy9jdWNtLnN0ZXZlbi5sYWIvODQ0Mw"


def token(text: str | bytes) -> str:
    data = text if isinstance(text, bytes) else text.encode()
    return base64.b64encode(data).decode().rstrip("=")


def reason(raw: str | bytes) -> str:
    with pytest.raises(BadToken) as caught:
        decode(raw)
    assert caught.value.reason == str(caught.value)
    return caught.value.reason


labels = st.from_regex(r"[a-z][a-z0-9_-]{0,20}[a-z0-9]", fullmatch=True)
names = st.lists(labels, min_size=1, max_size=4).map(".".join)
hosts = st.one_of(
    names,
    names.map(lambda name: name + "."),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda ip: t.canonical_host(f"[{ip}]")),
)
targets = st.builds(Target, names, st.sampled_from(["http", "https"]), hosts, st.integers(1, 65535))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CUCM, Target("steven.lab", "https", "cucm.steven.lab", 8443)),
        (
            "c3RldmVuLmxhYi9odHRwcy8xMC40OC4zNi4yMTUvODQ0Mw",
            Target("steven.lab", "https", "10.48.36.215", 8443),
        ),
        ("aHBjbC5jby5pbi9odHRwLzEwLjE1LjAuMzMvNjk3MA", Target("hpcl.co.in", "http", "10.15.0.33", 6970)),
    ],
)
def test_published_tokens_decode_and_encode(text: str, expected: Target) -> None:
    assert decode(text) == expected
    assert decode(text.encode()) == expected
    assert encode(expected) == text


@given(targets)
def test_what_is_encoded_decodes_to_itself_in_every_spelling(target: Target) -> None:
    text = encode(target)
    padding = "=" * (-len(text) % 4)
    url_alphabet = text.replace("+", "-").replace("/", "_")
    for spelling in (text, text + padding, text + padding.replace("=", "%3D"), url_alphabet + padding):
        assert decode(spelling) == target


@given(st.binary(max_size=60))
def test_any_bytes_decode_or_are_refused_with_a_printable_reason(data: bytes) -> None:
    for raw in (data, token(data)):
        try:
            target = decode(raw)
        except BadToken as error:
            assert error.reason.isascii()
            assert error.reason.isprintable()
        else:
            assert decode(encode(target)) == target


@given(targets, st.data())
def test_a_cut_token_never_decodes_to_another_host(target: Target, data: st.DataObject) -> None:
    text = encode(target)
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    try:
        found = decode(cut)
    except BadToken:
        return
    assert found[:3] == target[:3]  # only missing digits of the port are undetectable
    assert str(target.port).startswith(str(found.port))


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("d.lab/HTTPS/CUCM.Steven.LAB/8443", "cucm.steven.lab"),
        ("d.lab/https/cucm.steven.lab./8443", "cucm.steven.lab."),
        ("d.lab/https/under_score.lab/1", "under_score.lab"),
        ("d.lab/https/[2001:DB8:0:0::1]/65535", "2001:db8::1"),
        ("d.lab/https/[::ffff:10.1.1.1]/1", "::ffff:10.1.1.1"),
        ("d.lab/https/3com.lab/1", "3com.lab"),
    ],
)
def test_hosts_have_one_form(text: str, host: str) -> None:
    target = decode(token(text))
    assert (target.scheme, target.host) == ("https", host)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("steven.lab", "only a domain as in a get_edge_config request"),
        ("steven.lab/", "protocol, host, port missing"),
        ("steven.lab/https/cucm", "port missing"),
        ("steven.lab/https/cucm/", "port missing"),
        ("steven.lab//cucm/8443", "protocol missing"),
        ("/https/cucm/8443", "domain missing"),
        ("steven.lab/https//8443", "host missing"),
        ("steven.lab/ftp/cucm/21", "protocol 'ftp', not http or https"),
        ("steven.lab/https/cucm/8443/x", "5 fields"),
        ("steven.lab/https/cu cm/8443", "byte 0x20"),
        ("steven.lab/https/cucm\r\n/8443", "byte 0x0d"),
        ("steven.lab/https/cücm/8443", "byte 0xc3"),
        ("steven.lab/https/cu$cm/8443", "illegal character '$'"),
        ("steven.lab/https/user@cucm/8443", "illegal character '@'"),
        ("steven.lab/https/999.1.1.1/8443", "not an IPv4 address"),
        ("steven.lab/https/010.1.1.1/8443", "not an IPv4 address"),
        ("steven.lab/https/1.2.3/8443", "not an IPv4 address"),
        ("steven.lab/https/0x7f.1/8443", "not an IPv4 address"),
        ("steven.lab/https/2130706433/8443", "not an IPv4 address"),
        ("steven.lab/https/10.1.1.1./8443", "not an IPv4 address"),
        ("steven.lab/https/2001:db8::1/8443", "needs brackets"),
        ("steven.lab/https/[2001:db8::1/8443", "no closing bracket"),
        ("steven.lab/https/[2001:db8::g]/8443", "not an IPv6 address"),
        ("steven.lab/https/[fe80::1%eth0]/8443", "a zone is local to one machine"),
        ("steven.lab/https/a..b/8443", "empty label"),
        ("steven.lab/https/.a/8443", "empty label"),
        ("steven.lab/https/-a.b/8443", "starts or ends with a hyphen"),
        ("steven.lab/https/" + "a" * 64 + ".b/8443", "longer than 63"),
        ("steven.lab/https/" + "a." * 127 + "b/8443", "longer than 253"),
        ("steven.lab/https/cucm/0", "not one of 1 to 65535"),
        ("steven.lab/https/cucm/65536", "not one of 1 to 65535"),
        ("steven.lab/https/cucm/08443", "not one of 1 to 65535"),
        ("steven.lab/https/cucm/-1", "not a number"),
        ("steven.lab/https/cucm/84a3", "not a number"),
        ("ste!ven.lab/https/cucm/8443", "domain"),
        ("[::1]/https/cucm/8443", "an IP address is not a domain"),
        ("x" * 3000, "token of 4000 characters; the limit is 2048"),
    ],
)
def test_the_reason_names_what_is_wrong_in_the_decoded_text(text: str, words: str) -> None:
    assert words in reason(token(text))


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("", "empty"),
        ("====", "empty"),
        ("favicon.ico", "character '.' at position 8"),
        (CUCM[:10] + " " + CUCM[10:], "character ' ' at position 11"),
        (CUCM + "\n", r"character '\n'"),
        (CUCM + "=", "1 padding characters instead of 2"),
        (CUCM + "===", "3 padding characters instead of 2"),
        (CUCM[:5] + "=" + CUCM[5:], "character '=' at position 6"),
        (CUCM.replace("c", "%63", 1), "character '%'"),
        (
            "Y2FtZWxvdC50ZXN0L2",
            "bits left over); it decodes to 'camelot.test/': protocol, host, port missing",
        ),
        ("Y2FtZWxvdC50ZXN0L", "cut short (no base64 has that length)"),
        ("é" * 4, r"character '\xe9'"),
    ],
)
def test_the_reason_names_what_is_wrong_with_the_base64(raw: str, words: str) -> None:
    assert words in reason(raw)


def test_target_properties() -> None:
    name, v4 = Target("d", "https", "cucm.steven.lab", 8443), Target("d", "http", "10.48.36.215", 6970)
    v6 = Target("d", "https", "2001:db8::1", 443)
    assert name.url_for("/cucm-uds/x?y") == "https://cucm.steven.lab:8443/cucm-uds/x?y"
    assert v6.url_for("/") == "https://[2001:db8::1]:443/"
    assert (name.authority, v4.authority) == ("cucm.steven.lab:8443", "10.48.36.215:6970")


@given(st.ip_addresses(v=6))
def test_ipv6_keeps_its_value_and_has_one_spelling(ip: IPv6Address) -> None:
    host = t.canonical_host(f"[{ip.exploded.upper()}]")
    assert IPv6Address(host) == ip
    assert t.canonical_host(f"[{host}]") == host


@pytest.mark.parametrize(
    ("rest", "path"),
    [
        ("/", "/"),
        ("/?x", "/?x"),
        ("/a?b=/c?d", "/a?b=/c?d"),
        ("/a#frag", "/a"),
        ("/#frag", "/"),
        ("/a?b#frag", "/a?b"),
        ("/a//../%2e%2e/./b", "/a//../%2e%2e/./b"),
    ],
)
def test_everything_after_the_first_segment_is_unchanged(rest: str, path: str) -> None:
    for before in ("/", "//", f"http://{CONTROL}/", f"HTTP://{CONTROL.upper()}/"):
        assert split(f"{before}{CUCM}{rest}", CONTROL) == (decode(CUCM), path, CUCM)


@pytest.mark.parametrize(
    ("rest", "path"),
    [("//a//b", "/a//b"), ("///a", "//a"), ("//", "/"), ("//?x", "/?x"), ("//?", "/"), ("/?//", "/?//")],
)
def test_one_of_two_slashes_after_the_token_is_removed(rest: str, path: str) -> None:
    assert split(f"/{CUCM}{rest}", CONTROL).path == path


@pytest.mark.parametrize("rest", ["", "?x", "#frag"])
def test_a_token_without_a_slash_is_refused(rest: str) -> None:
    for before, absolute in (("/", False), (f"http://{CONTROL}/", True)):
        with pytest.raises(t.UnknownForm) as raised:
            split(f"{before}{CUCM}{rest}", CONTROL)
        assert raised.value.absolute is absolute


@pytest.mark.parametrize(
    "authority",
    [
        "vcs_control.other.lab:8443",
        "vcs_control.steven.lab",
        "VCS_CONTROL.steven.lab:1",
        "localhost:41234",
        "127.0.0.1:8443",
        "127.9.9.9",
        "[::1]:8443",
        "proxy.example:1",
        "proxy.example:",
    ],
)
def test_absolute_form_for_this_proxy_is_taken(authority: str) -> None:
    assert split(f"http://{authority}/{CUCM}/a", "proxy.example:8443").path == "/a"


@pytest.mark.parametrize(
    "authority",
    [
        "cucm.steven.lab:8443",
        "",
        ":8443",
        "vcs_control",
        "user@vcs_control.steven.lab:8443",
        "vcs_control.steven.lab@evil.test",
        "vcs_control.steven.lab:99999",
        "vcs_control.steven.lab:84x",
        "vcs_control.a..b",
        "localhost.evil.test",
        "127.1",
        "8.8.8.8",
        "[::2]",
        "[::1",
        "vcs_control." + "a" * 400,
    ],
)
def test_absolute_form_for_another_server_is_refused(authority: str) -> None:
    with pytest.raises(t.ForeignAuthority, match="not this proxy's control name") as caught:
        split(f"http://{authority}/{CUCM}/a", CONTROL)
    assert caught.value.absolute


@pytest.mark.parametrize(
    ("raw", "error", "absolute"),
    [
        ("*", t.UnknownForm, False),
        ("", t.UnknownForm, False),
        ("/", t.UnknownForm, False),
        ("/?x", t.UnknownForm, False),
        ("///" + CUCM, t.UnknownForm, False),
        ("/" + "!", t.BadToken, False),
        ("/c3RldmVuLmxhYg/get_edge_config", t.BadToken, False),
        ("/" + CUCM + "/a b", t.IllegalCharacter, False),
        ("/" + CUCM + "/a\x00", t.IllegalCharacter, False),
        (f"http://{CONTROL}", t.UnknownForm, True),
        (f"http://{CONTROL}?x", t.UnknownForm, True),
        (f"http://{CONTROL}/!", t.BadToken, True),
        (f"http://{CONTROL}/{CUCM}\x7f", t.IllegalCharacter, True),
        (f"https://{CONTROL}/{CUCM}/", t.SchemeMismatch, True),
        (f"ftp://{CONTROL}/{CUCM}/", t.UnknownForm, True),
        ("cucm.steven.lab:8443", t.UnknownForm, True),
        (CUCM, t.UnknownForm, True),
    ],
)
def test_other_request_targets_have_their_response(raw: str, error: type[t.TargetError], absolute: bool) -> None:
    with pytest.raises(t.TargetError) as caught:
        split(raw, CONTROL)
    assert type(caught.value) is error
    assert caught.value.absolute is absolute


@given(st.text(max_size=80))
def test_split_raises_no_other_error(raw: str) -> None:
    for each in (raw, f"/{CUCM}{raw}", f"http://{raw}", f"http://{CONTROL}/{raw}"):
        try:
            assert split(each, CONTROL).path.startswith("/")
        except t.TargetError as error:
            assert error.reason.isascii()


def test_the_log_shows_absolute_urls() -> None:
    assert t.absolute_url("/x/a?b", CONTROL) == f"http://{CONTROL}/x/a?b"
    assert t.absolute_url("http://localhost/x", CONTROL) == "http://localhost/x"


@pytest.mark.parametrize(
    "raw",
    [
        "http://emusk:hunter2@vcs_control.steven.lab:8443/x",
        "http://emusk:hun@ter2@localhost/x",
        "http://hunter2@localhost",
        "https://emusk:hunter2@localhost/x?a=@",
        "emusk:hunter2@localhost:8443",
        f"/{t.encode(t.Target('steven.lab', 'https', 'emusk:hunter2@cucm.steven.lab', 8443))}/x",
        "http://" + "a" * 100 + ":hunter2@localhost/x",
    ],
)
def test_no_sentence_and_no_url_of_the_log_has_a_password(raw: str) -> None:
    assert "ter2" not in t.absolute_url(raw, CONTROL)
    with pytest.raises(t.TargetError) as caught:
        t.split(raw, CONTROL)
    assert "ter2" not in caught.value.reason
