"""Logs in mail messages: in the text, in any encoding, and attached."""

from __future__ import annotations

import gzip
import quopri
from email.message import EmailMessage
from email.mime.multipart import MIMEMultipart
from pathlib import Path

import pytest

from mralab.diagnose.mail import is_mail, parts

from .test_conclusions import HOST, Log, archive, diagnosed, found

LOG = Log().untrusted()
EXPECTED = [("self-signed", HOST, 8443, "issue-found")]


def message(**fields: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "user@example.test", "support@example.test", "MRA login fails"
    for name, value in fields.items():
        mail[name] = value
    return mail


def saved(mail: EmailMessage, folder: Path, end: str = "\r\n") -> Path:
    file = folder / "case.eml"
    file.write_bytes(mail.as_bytes(policy=mail.policy.clone(linesep=end)))
    return file


@pytest.mark.parametrize("encoding", ["quoted-printable", "base64", "7bit"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_log_in_the_text(encoding: str, end: str, tmp_path: Path) -> None:
    mail = message()
    mail.set_content(f"Hello,\n\n{LOG.text.decode()}\nThanks\n", cte=encoding)
    result = diagnosed([saved(mail, tmp_path, end)])
    assert found(result) == EXPECTED
    assert result.unread.lines == 0
    assert {line.file for line in result.findings[0].evidence} == {f"{tmp_path}/case.eml:part 1"}


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_body_whose_head_was_not_copied(end: bytes, tmp_path: Path) -> None:
    body = quopri.encodestring(LOG.text).replace(b"\n", end)
    (tmp_path / "case.txt").write_bytes(b"--boundary" + end + body)
    result = diagnosed([tmp_path])
    assert found(result) == EXPECTED
    assert {line.file for line in result.findings[0].evidence} == {f"{tmp_path}/case.txt:quoted-printable"}


def test_a_text_in_another_charset(tmp_path: Path) -> None:
    mail = message()
    text = LOG.text.decode().replace('="', "=\u201c").replace('" ', "\u201d ")
    mail.set_content(text, charset="windows-1252", cte="quoted-printable")
    assert found(diagnosed([saved(mail, tmp_path)])) == EXPECTED


def test_alternatives_count_once(tmp_path: Path) -> None:
    mail = message()
    mail.set_content(LOG.text.decode(), cte="quoted-printable")
    mail.add_alternative("<p>" + LOG.text.decode().replace("\n", "<br>\n") + "</p>", subtype="html", cte="base64")
    (finding,) = diagnosed([saved(mail, tmp_path)]).findings
    assert finding.count == 1


def test_attachments_are_opened(tmp_path: Path) -> None:
    mail = message()
    mail.set_content("See the attached files.")
    content = {"log.txt.gz": gzip.compress(LOG.text), "c2.tar.gz": archive("exp-c2", Log("exp-c2").untrusted())}
    for name, data in content.items():
        mail.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    outer = message()
    outer.set_content("Forwarded")
    outer.add_attachment(mail)
    (finding,) = diagnosed([saved(outer, tmp_path)]).findings
    assert (finding.peers, finding.count) == (("exp-c1", "exp-c2"), 2)


def test_a_mail_in_an_archive_s_folder(tmp_path: Path) -> None:
    mail = message()
    mail.set_content(LOG.text.decode(), cte="base64")
    file = saved(mail, tmp_path)
    (tmp_path / "mails.gz").write_bytes(gzip.compress(b"From x Thu Jan 29 14:01:16 2026\n" + file.read_bytes()))
    assert found(diagnosed([tmp_path / "mails.gz"])) == EXPECTED


def test_bodies_in_bodies_have_a_limit(tmp_path: Path) -> None:
    mail = MIMEMultipart()
    mail["From"] = "a@example.test"
    inner = mail
    for _ in range(150):
        deeper = MIMEMultipart()
        inner.attach(deeper)
        inner = deeper
    (tmp_path / "a.eml").write_bytes(mail.as_bytes())
    result = diagnosed([tmp_path / "a.eml"])
    assert [problem.reason for problem in result.problems] == ["has more than 100 bodies of several parts"]


@pytest.mark.parametrize(
    "start",
    [
        b"",
        LOG.text,
        b"Detail: a\nEvent: b\n\nx",
        b"Date: today\n\n" + LOG.text,
        b"From: a\nhere is the log\n\n" + LOG.text,
        b"GET / HTTP/1.1\nDate: x\nContent-Type: y\n\n",
    ],
)
def test_other_files_are_no_mail(start: bytes) -> None:
    assert not is_mail(start)


@pytest.mark.parametrize("charset", ["no-such-charset", "utf-16", "x" * 300])
def test_a_wrong_charset_does_no_harm(charset: str) -> None:
    data = f"From: a\nMIME-Version: 1.0\nContent-Type: text/plain; charset={charset}\n\nabc".encode()
    assert len(list(parts(data))) == 1
