"""Operations of the control API on the proxy: one method for each, with its name in ``operations.OPERATIONS``."""

from __future__ import annotations

import asyncio
import contextlib
import os
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import BaseModel

from ..config import Config, values_in_force
from ..control.control import Control, Records
from ..control.event_stream import MOST_READERS
from ..core.tls.fingerprint import canonical_fingerprint, fingerprint
from ..diagnose.ladder_model import Ladder
from ..errors import MralabError
from ..tls.trust_store import parse_pem
from .answers import answer, problem
from .judged import judgement
from .metrics import CONTENT_TYPE, exposition
from .operations import MOST
from .requests import BadRequestError, body_of, json_of, pem_of
from .schemas import (
    CertificateAnswer,
    CheckAnswer,
    ClearedAnswer,
    ConfigAnswer,
    DistrustBody,
    FindingsAnswer,
    HealthAnswer,
    HostAnswer,
    HostBody,
    HostsAnswer,
    LogAnswer,
    StartAnswer,
    TransactionsAnswer,
    TrustAnswer,
    TrustBody,
)


def _certificates(pem: bytes) -> list[x509.Certificate]:
    """Return the certificates of a PEM text. Raises ``TrustStoreError`` with every problem in it."""
    return parse_pem(pem, "pem")


class ProxyApi:
    """Configuration, trust store, records and diagnostic logging of the proxy."""

    def __init__(self, control: Control) -> None:
        self._control = control

    async def health(self, _: web.Request) -> web.Response:
        """Run the health checks."""
        checks = await self._control.health()
        ok = not any(check.error for check in checks)
        health = HealthAnswer(
            status="ok" if ok else "failing",
            release=self._control.config.release,
            pid=os.getpid(),
            checks=[CheckAnswer(ok=not check.error, **check._asdict()) for check in checks],
        )
        return answer(health, 200 if ok else 503)

    async def config(self, _: web.Request) -> web.Response:
        """Return the configuration in force."""
        return self._config_answer()

    async def change_config(self, request: web.Request) -> web.Response:
        """Change live keys."""
        await self._control.change(await json_of(request))
        return self._config_answer()

    def _config_answer(self) -> web.Response:
        return answer(_in_force(self._control.config, lab=self._control.lab is not None))

    async def trust(self, _: web.Request) -> web.Response:
        """Return the trust store."""
        return await self._store_answer()

    async def add_trust(self, request: web.Request) -> web.Response:
        """Trust certificates."""
        pem = await pem_of(request)
        if pem is None:
            pem = (await body_of(request, TrustBody)).pem.encode()
        certificates = await self._control.aside(_certificates, pem)
        return await self._store_answer(added=await self._control.trust(certificates))

    async def remove_trust(self, request: web.Request) -> web.Response:
        """Distrust certificates."""
        pem, unwanted = await pem_of(request), []
        if pem is None:
            body = await body_of(request, DistrustBody)
            if not body.model_fields_set:
                raise BadRequestError(["fingerprints, pem: one of them is required"])
            pem = body.pem.encode() if "pem" in body.model_fields_set else None
            unwanted = [canonical_fingerprint(text) for text in body.fingerprints]
        given = await self._control.aside(_certificates, pem) if pem is not None else []
        unwanted += [fingerprint(certificate.public_bytes(Encoding.DER)) for certificate in given]
        return await self._store_answer(removed=await self._control.distrust(unwanted))

    async def _store_answer(self, **changed: int) -> web.Response:
        certificates = self._control.settings.store.certificates
        shown = await self._control.aside(lambda store: [_certificate(each) for each in store], certificates)
        return answer(TrustAnswer(certificates=shown, **changed))

    async def hosts(self, _: web.Request) -> web.Response:
        """Return the hosts."""
        return answer(HostsAnswer(hosts=self._control.config.hosts))

    async def host(self, _: web.Request, *, name: str) -> web.Response:
        """Return one host."""
        name = self._control.host_named(name)
        return answer(HostAnswer(name=name, host=self._control.config.hosts[name]))

    async def put_host(self, request: web.Request, *, name: str) -> web.Response:
        """Add or replace a host."""
        body = await body_of(request, HostBody)
        name = await self._control.put_host(name, body.model_dump(exclude_unset=True))
        return answer(HostAnswer(name=name, host=self._control.config.hosts[name]))

    async def remove_host(self, _: web.Request, *, name: str) -> web.Response:
        """Remove a host."""
        await self._control.remove_host(name)
        return answer(HostsAnswer(hosts=self._control.config.hosts))

    async def judged(self, _: web.Request, *, server: str, because: str | None, port: int | None) -> web.Response:
        """Judge the requests to a server, as a test asserts it."""
        found, records = await asyncio.gather(self._control.findings(), self._control.transactions(MOST))
        return await self._control.aside(
            lambda items: answer(judgement(server, *items, because=because, port=port)), (found.items, records.items)
        )

    async def transactions(self, _: web.Request, *, most: int) -> web.Response:
        """Return the latest requests."""
        records = await self._control.transactions(most)
        return await self._long_answer(TransactionsAnswer, _values("transactions", records) | {"total": records.total})

    async def findings(self, _: web.Request, *, since: float | None) -> web.Response:
        """Return the findings."""
        return await self._long_answer(FindingsAnswer, _values("findings", await self._control.findings(since)))

    async def ladder(self, _: web.Request, *, since: float | None, most: int) -> web.Response:
        """Return the ladder of the latest requests."""
        return await self._long_answer(Ladder, await self._control.ladder(since, most))

    async def log(self, _: web.Request, *, most: int) -> web.Response:
        """Return the latest log lines."""
        records = await self._control.log(most)
        return await self._long_answer(LogAnswer, _values("lines", records) | {"total": records.total})

    async def _long_answer(self, model: type[BaseModel], values: dict[str, Any]) -> web.Response:
        """Answer with up to thousands of items. They are validated and serialized without delaying traffic."""
        return await self._control.aside(lambda given: answer(model.model_validate(given)), values)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Send events until the client or the proxy ends."""
        if request.method == "HEAD":
            return web.Response(content_type="text/event-stream")
        last = request.headers.get("Last-Event-ID", "")
        after = int(last) if last.isascii() and last.isdigit() and len(last) < 16 else None
        if self._control.stream.full:
            return problem(
                503,
                "too-many-readers",
                MralabError(f"{MOST_READERS} readers are connected, the limit", "disconnect one of them"),
            )
        response = web.StreamResponse(headers={"Cache-Control": "no-store"})
        response.content_type = "text/event-stream"
        async with self._control.stream.reading(after) as reader:  # every event from now on is sent
            with contextlib.suppress(ConnectionError):
                await response.prepare(request)
                await response.write(b": follows\n\n")
                async for message in reader.messages():
                    await response.write(message.encode() if message is not None else b": still here\n\n")
        return response

    async def start_diagnostic_logging(self, _: web.Request) -> web.Response:
        """Start a new diagnostic log."""
        started = datetime.fromtimestamp(await self._control.start_recording(), UTC)
        return answer(StartAnswer(started=started.isoformat(timespec="milliseconds")))

    async def clear_journal(self, _: web.Request) -> web.Response:
        """Discard all records."""
        await self._control.clear_journal()
        return answer(ClearedAnswer(cleared=datetime.now(UTC).isoformat(timespec="milliseconds")))

    async def stop_diagnostic_logging(self, _: web.Request) -> web.Response:
        """Return the archive of the diagnostic log."""
        name, archive = await self._control.stop_recording()
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return web.Response(body=archive, content_type="application/gzip", headers=headers)

    async def reset(self, _: web.Request) -> web.Response:
        """Restore the settings of the start."""
        await self._control.reset()
        return self._config_answer()

    async def metrics(self, _: web.Request) -> web.Response:
        """Return the counters for Prometheus."""
        return web.Response(body=exposition(*await self._control.stats()), headers={"Content-Type": CONTENT_TYPE})


def _values(name: str, records: Records) -> dict[str, Any]:
    """Return the values of an answer: the items under ``name``, and what is missing."""
    return {name: records.items, "silent": records.silent, "lost": [loss._asdict() for loss in records.lost]}


def _in_force(config: Config, *, lab: bool) -> ConfigAnswer:
    return ConfigAnswer.model_validate(values_in_force(config) | {"lab": lab})


def _certificate(certificate: x509.Certificate) -> CertificateAnswer:
    return CertificateAnswer(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        serial=f"{certificate.serial_number:x}",
        not_before=certificate.not_valid_before_utc.isoformat(),
        not_after=certificate.not_valid_after_utc.isoformat(),
        fingerprint=fingerprint(certificate.public_bytes(Encoding.DER)),
    )
