"""Unity Connection: version, mailbox, folders and messages; 401 and 404."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from mralab.mocks.pki import Pki
from mralab.mocks.unity import Unity
from mralab.mocks.vmrest import VoiceMessage

from .client import Client, client

EMUSK = ("emusk", "secret")
INBOX = (VoiceMessage("Hello", "1001"), VoiceMessage("<Again>", "1002", read=True))


@pytest.fixture
async def vmrest(pki: Pki) -> AsyncIterator[Client]:
    async with (
        Unity(pki, {"emusk": "secret", "jdoe": "x"}, inboxes={"emusk": INBOX}) as unity,
        client(unity) as running,
    ):
        yield running


async def test_version_needs_no_password(vmrest: Client) -> None:
    answer = await vmrest.send("/vmrest/version")
    assert (answer.status, answer.reason, answer.texts("version")) == (200, "", ["14.0.1"])


@pytest.mark.parametrize("path", ["", "/folders", "/folders/inbox", "/folders/inbox/messages", "/folders/x/messages"])
async def test_a_mailbox_needs_its_users_password(vmrest: Client, path: str) -> None:
    for user in (None, ("emusk", "wrong")):
        answer = await vmrest.send(f"/vmrest/mailbox{path}", user=user)
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith('Basic realm="')


async def test_from_the_mailbox_to_the_messages(vmrest: Client) -> None:
    mailbox = await vmrest.send("/vmrest/mailbox", user=EMUSK)
    assert mailbox.texts("DisplayName") == ["emusk"]
    folders = await vmrest.send(str(mailbox.texts("FoldersURI")[0]), user=EMUSK)
    assert folders.texts("DisplayName") == ["Inbox", "Sent Items", "Deleted Items"]
    assert folders.texts("MessageCount") == ["2", "0", "0"]
    inbox = await vmrest.send("/vmrest/mailbox/folders/inbox", user=EMUSK)
    assert inbox.texts("MessageCount") == ["2"]
    messages = await vmrest.send("/vmrest/mailbox/folders/inbox/messages", user=EMUSK)
    assert messages.xml.get("total") == "2"
    assert messages.texts("Subject") == ["Hello", "<Again>"]
    assert messages.texts("Read") == ["false", "true"]
    assert len(set(messages.texts("MsgId"))) == 2


async def test_a_mailbox_without_messages(vmrest: Client) -> None:
    answer = await vmrest.send("/vmrest/mailbox/folders/inbox/messages", user=("jdoe", "x"))
    assert answer.xml.get("total") == "0"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_client_may_request_notifications(vmrest: Client, method: str) -> None:
    answer = await vmrest.send("/vmrest/mailbox?method=requestnotification", method, user=EMUSK)
    assert answer.status == 204


async def test_what_is_not_there(vmrest: Client) -> None:
    assert (await vmrest.send("/vmrest/mailbox", "POST", user=EMUSK)).status == 400
    assert (await vmrest.send("/vmrest/version", "DELETE")).status == 405
    for path in ("/vmrest/users", "/vmrest/mailbox/folders/x", "/vmrest/mailbox/folders/x/messages", "/"):
        assert (await vmrest.send(path, user=EMUSK)).status == 404
