"""Write what the proxy exchanges with clients and servers to a pcapng file, and TLS secrets to a key log.

A connection is captured by a protocol between it and its transport (``Tap``), so one that is not captured costs a
comparison with None when it is made. TLS is captured as it is on the wire, the plain HTTP of clients as well. The file
holds the TLS secrets (Decryption Secrets Block): Wireshark decrypts it, and so can everyone who reads it. Files are
therefore created with mode 0600.

Servers have the addresses that the log shows (``[hosts] ip`` and the requested port). The proxy's own address at that
end is chosen by ``Addresses``. A file that exists is continued. Workers share one file: each locks it and appends whole
blocks. A file that cannot be written is reported once; its capture ends, and traffic goes on.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from ..config import HostEntry
from ..core.capture.conversation import Conversation
from ..core.capture.packet import Address
from ..core.capture.pcapng import file_header, packet_block, secrets_block
from .capture_file import CaptureFile, CaptureWriter, open_capture
from .tap import Ends, Tap

_DELAY: Final = 0.1  # seconds that blocks wait to be written together
_MAX_BATCH: Final = 1 << 20  # bytes that are written without waiting
_MAX_WAITING: Final = 64 << 20  # bytes held for a slow disk
_LAST_SECONDS: Final = 5.0  # how long closing waits for a slow disk
_APPLICATION: Final = "mralab"
_EPHEMERAL: Final = range(30000, 36000)
"""Source ports of Expressway-C's outbound connections (IP port usage guide X15.0)."""
_EXPRESSWAY_C: Final = {4: "10.48.36.46", 6: "2001:db8::46"}
"""The article's address of Expressway-C; one for documentation (RFC 3849) in IPv6, where the article has none."""


class Addresses:
    """The proxy's own address as captures show it.

    That of the entry of ``[hosts]`` for ``proxy.control_host`` if there is one; else the socket's, if it can reach the
    shown server; else, where a loopback address stands for the lab's network, the article's.
    """

    def __init__(self, hosts: Mapping[str, HostEntry], control_host: str) -> None:
        entry = hosts.get(control_host.partition(":")[0].lower())
        self._own = ipaddress.ip_address(entry.ip) if entry is not None and entry.ip else None

    def own(self, server: str, local: str) -> str:
        """Return the address to show at the proxy's end of a connection whose other end is shown as ``server``."""
        shown, bound = ipaddress.ip_address(server), ipaddress.ip_address(local)
        if self._own is not None and self._own.version == shown.version:
            return str(self._own)
        if bound.version == shown.version and (shown.is_loopback or not bound.is_loopback):
            return str(bound)
        return _EXPRESSWAY_C[shown.version]


class Capture:
    """The packet capture of one proxy, in any number of pcapng files, and its key log. Belongs to one event loop.

    ``on_change`` is called when ``active`` may have changed. ``complain`` reports a file that cannot be written.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        addresses: Addresses,
        complain: Callable[[str], None] | None = None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._loop = loop
        self.addresses = addresses
        self._complain = complain or (lambda text: print(text, file=sys.stderr))  # noqa: T201 - the channel
        self.on_change = on_change
        self._pcapng: dict[Path, CaptureFile] = {}
        self._keylog: CaptureFile | None = None
        self._blocks: list[tuple[bool, bytes]] = []
        """Blocks to write, each with whether it is confidential."""
        self._size = 0
        self._mark: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._writer = CaptureWriter()
        self._live: set[Ends] = set()

    @property
    def active(self) -> bool:
        """Whether anything is captured."""
        return bool(self._pcapng) or self._keylog is not None

    # -- files

    def start(self, path: Path, *, confidential: bool = True, limit: int = 0) -> None:
        """Begin or continue a pcapng file with the connections from now on. Raises ``MralabError``.

        ``limit`` is its greatest size in bytes; 0 for none.

        Unless ``confidential``, the file has neither the TLS secrets nor the connections of clients, which are plain
        HTTP: it has what a capture on Expressway-C's eth0 has, and may be passed on as that may.
        """
        if path not in self._pcapng:
            self._flush()  # earlier packets do not belong into it
            file = open_capture(path, "capture.pcapng", file_header(_APPLICATION))
            file.confidential, file.limit = confidential, limit
            self._pcapng[path] = file
            self.on_change()

    def start_keylog(self, path: Path) -> None:
        """Append TLS secrets to an NSS key log from now on. Raises ``MralabError``."""
        if self._keylog is None:
            self._keylog = open_capture(path, "capture.keylog", b"")
            self.on_change()

    async def stop(self, path: Path) -> None:
        """Complete a pcapng file and close it; do nothing if it is not open."""
        self._flush()
        file = self._pcapng.pop(path, None)
        if file is not None:
            self.on_change()
            await self._end(file)

    async def close(self) -> None:
        """Write what is waiting, for a few seconds at most, and close all files."""
        self._flush()
        files = [*self._pcapng.values(), *([self._keylog] if self._keylog is not None else [])]
        self._pcapng.clear()
        self._keylog = None
        for file in files:
            await self._end(file)
        self._writer.close()

    async def flush(self) -> None:
        """Wait until all packets so far are in the files."""
        self._flush()
        await self._writer.wait(self._loop, _LAST_SECONDS)

    async def _end(self, file: CaptureFile) -> None:
        if not await self._writer.wait(self._loop, _LAST_SECONDS):
            self._complain(f"mralab: {file.key}: {file.path} does not accept the last packets; they are lost")
            return  # the writing thread may still use it
        os.close(file.fd)

    # -- connections

    def server(self, connection: asyncio.Protocol, ip: str, port: int) -> asyncio.Protocol:
        """Return the protocol to give a new connection to a server, which the log shows as ``ip`` and ``port``."""

        def ends(transport: asyncio.Transport) -> Ends:
            local = _endpoint(transport, "sockname")
            own = self.addresses.own(ip, local.ip)
            return _address(own, local.port), _address(ip, port)

        return Tap(connection, self, ends, proxy_is_client=True)

    def client(self, connection: asyncio.Protocol) -> asyncio.Protocol:
        """Return the protocol to give a new connection of a client. Its addresses are the sockets' own."""

        def ends(transport: asyncio.Transport) -> Ends:
            peer, local = _endpoint(transport, "peername"), _endpoint(transport, "sockname")
            return _address(peer.ip, peer.port), _address(local.ip, local.port)

        return Tap(connection, self, ends, proxy_is_client=False)

    def begin(self, ends: Ends) -> tuple[Conversation, Ends]:
        """Return the packets of a new connection and its entry for ``forget``.

        Two servers may be shown with one address. Their connections get different ports here if the real ones are the
        same, because they would be one connection otherwise.
        """
        client, server = ends
        ports = iter(_EPHEMERAL)
        while (client, server) in self._live and (port := next(ports, None)) is not None:
            client = client._replace(port=port)
        self._live.add((client, server))
        random = os.urandom(8)
        initial = int.from_bytes(random[:4], "big"), int.from_bytes(random[4:], "big")
        return Conversation(client, server, initial), (client, server)

    def forget(self, entry: Ends) -> None:
        """Allow another connection between the same two addresses."""
        self._live.discard(entry)

    # -- blocks

    def receiving(self) -> None:
        """Begin to process received bytes.

        Readers need secrets before the packets that are encrypted with them, and OpenSSL gives the secrets only while
        it processes these packets: until ``received``, secrets are put before the packets since now.
        """
        self._mark = len(self._blocks)

    def received(self) -> None:
        """End what ``receiving`` began."""
        self._mark = None
        if self._size > _MAX_BATCH:
            self._flush()

    def packets(self, packets: list[bytes], *, confidential: bool = False) -> None:
        """Add packets, captured now."""
        if not packets or not self._pcapng:
            return
        now = time.time_ns()
        for packet in packets:
            block = packet_block(packet, now)
            self._blocks.append((confidential, block))
            self._size += len(block)
        self._schedule()

    def secret(self, line: bytes) -> None:
        """Add a line of an NSS key log, without its line feed."""
        line += b"\n"
        if self._keylog is not None:
            self._writer.put([self._keylog], line)
            self._schedule()
        if self._pcapng:
            block = secrets_block(line)
            self._size += len(block)
            if self._mark is None:
                self._blocks.append((True, block))
            else:
                self._blocks.insert(self._mark, (True, block))
                self._mark += 1
            self._schedule()

    def _schedule(self) -> None:
        if self._size > _MAX_BATCH and self._mark is None:
            self._flush()
        elif self._timer is None:
            self._timer = self._loop.call_later(_DELAY, self._flush)

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._blocks:
            blocks, self._blocks, self._size = self._blocks, [], 0
            files = self._pcapng.values()
            if whole := [file for file in files if file.confidential]:
                self._writer.put(whole, b"".join([block for _, block in blocks]))
            if others := [file for file in files if not file.confidential]:
                self._writer.put(others, b"".join([block for confidential, block in blocks if not confidential]))
        self._check()

    def _check(self) -> None:
        """End the captures whose files could not be written."""
        waiting = self._writer.waiting
        files = [*self._pcapng.values(), *([self._keylog] if self._keylog is not None else [])]
        for file in files:
            if waiting > _MAX_WAITING and not file.error:
                file.error = f"it is written too slowly: {waiting >> 20} MB are waiting"
            if file.error:
                self._complain(
                    f"mralab: {file.key}: {file.path} cannot be written: {file.error}; "
                    "this capture ends, traffic goes on"
                )
                self._pcapng.pop(file.path, None)
                if file is self._keylog:
                    self._keylog = None
                self._writer.finish(file)
                self.on_change()


class _Endpoint(NamedTuple):
    ip: str
    port: int


def _endpoint(transport: asyncio.Transport, name: str) -> _Endpoint:
    """Return an end of a socket. Raises ``ValueError`` if it has none any more."""
    address: Any = transport.get_extra_info(name)
    if not address:
        raise ValueError("the socket is not connected any more")
    return _Endpoint(str(address[0]).partition("%")[0], int(address[1]))


def _address(ip: str, port: int) -> Address:
    parsed = ipaddress.ip_address(ip.partition("%")[0])
    mapped = parsed.ipv4_mapped if parsed.version == 6 else None
    return Address((mapped or parsed).packed, port)
