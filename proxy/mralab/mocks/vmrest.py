"""Mock of Unity Connection's messaging interface (CUMI) as clients begin with it: ``/vmrest/`` on 8443 and 443.

Resources and their elements: Cisco, "Unity Connection Messaging Interface (CUMI) API". Emulated, not observed: the
realm, ``total``, the response of ``/vmrest/version`` and 204 for ``method=requestnotification``, which a client is
known to request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from aiohttp import web

from .application import challenge, empty, xml
from .authorization import authenticated
from .cluster import RELEASE, key
from .xmlbody import element

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from xml.etree.ElementTree import Element

REALM: Final = "Cisco Unity Connection"
_FOLDERS: Final = {"inbox": "Inbox", "sent": "Sent Items", "deleted": "Deleted Items"}
"""Name in the path -> ``DisplayName``. The list is fixed."""


@dataclass(frozen=True, slots=True)
class VoiceMessage:
    """A message in an inbox."""

    subject: str
    caller: str
    """Number of the caller."""
    read: bool = False


class VmrestNode(Protocol):
    """What vmrest needs from its node."""

    users: Mapping[str, str]
    """User name -> password."""
    inboxes: Mapping[str, Sequence[VoiceMessage]]
    """User name -> messages, the oldest first."""


def routes(node: VmrestNode) -> list[web.RouteDef]:
    """Return the routes of version, mailbox, folders and messages."""
    vmrest = _Vmrest(node)
    return [
        web.get("/vmrest/version", vmrest.version),
        web.get("/vmrest/mailbox", vmrest.mailbox),
        web.post("/vmrest/mailbox", vmrest.mailbox),
        web.get("/vmrest/mailbox/folders", vmrest.folders),
        web.get("/vmrest/mailbox/folders/{folder}", vmrest.folder),
        web.get("/vmrest/mailbox/folders/{folder}/messages", vmrest.messages),
    ]


class _Vmrest:
    """The resources of one node."""

    def __init__(self, node: VmrestNode) -> None:
        self._node = node

    async def version(self, _request: web.Request) -> web.Response:
        return xml(
            element("VersionInformation", element("name", "Cisco Unity Connection"), element("version", RELEASE))
        )

    async def mailbox(self, request: web.Request) -> web.Response:
        user = authenticated(request, self._node.users)
        if user is None:
            return challenge(REALM)
        if request.query.get("method") == "requestnotification":
            return empty(204)
        if request.method == "POST":
            return empty(400)
        return xml(
            element(
                "Mailbox",
                element("DisplayName", user),
                element("CurrentSizeInBytes", "0"),
                element("IsPrimary", "true"),
                element("IsStoreMounted", "true"),
                element("IsMailboxMounted", "true"),
                element("IsReceiveQuotaExceeded", "false"),
                element("IsSendQuotaExceeded", "false"),
                element("IsDeletedFolderEnabled", "true"),
                element("FoldersURI", "/vmrest/mailbox/folders"),
            )
        )

    async def folders(self, request: web.Request) -> web.Response:
        user = authenticated(request, self._node.users)
        if user is None:
            return challenge(REALM)
        return xml(element("Folders", *(self._folder(name, user) for name in _FOLDERS), total=str(len(_FOLDERS))))

    async def folder(self, request: web.Request) -> web.Response:
        user = authenticated(request, self._node.users)
        if user is None:
            return challenge(REALM)
        name = request.match_info["folder"]
        return xml(self._folder(name, user)) if name in _FOLDERS else empty(404)

    async def messages(self, request: web.Request) -> web.Response:
        user = authenticated(request, self._node.users)
        if user is None:
            return challenge(REALM)
        name = request.match_info["folder"]
        if name not in _FOLDERS:
            return empty(404)
        messages = self._messages(name, user)
        numbered = (_message(f"{user}/{number}", message) for number, message in enumerate(messages))
        return xml(element("Messages", *numbered, total=str(len(messages))))

    def _folder(self, name: str, user: str) -> Element:
        count = str(len(self._messages(name, user)))
        return element("Folder", element("DisplayName", _FOLDERS[name]), element("MessageCount", count))

    def _messages(self, folder: str, user: str) -> Sequence[VoiceMessage]:
        return self._node.inboxes.get(user, ()) if folder == "inbox" else ()


def _message(name: str, message: VoiceMessage) -> Element:
    return element(
        "Message",
        element("Subject", message.subject),
        element("Read", "true" if message.read else "false"),
        element("MsgId", f"0:{key('message', name)}"),
        element("CallerId", element("CallerNumber", message.caller)),
    )
