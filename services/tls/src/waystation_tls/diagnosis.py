"""Why a connection cannot be made. gRPC says it in words only; so it is tried once more, by a library whose errors
have types."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from enum import Enum

from waystation_tls.clients import OF_CLIENTS, ClientMaterial, Words
from waystation_tls.files import day, names_of
from waystation_tls.protocols import HTTP2, Protocol
from waystation_tls.variables import CERT

SECONDS = 2.0
"""For all of it: a host that does not answer is no matter of TLS."""

# X509_V_ERR_* of OpenSSL, which are part of its interface.
_NOT_YET_VALID, _HAS_EXPIRED = 9, 10
_NAME_MISMATCH, _ADDRESS_MISMATCH = 62, 64
_SHOWN_NAMES = 5


class Problem(Enum):
    """What is wrong; the value is the reason that errors have."""

    NOT_SPOKEN = "TLS_NOT_SPOKEN"
    """The client speaks TLS, the server does not."""
    REQUIRED = "TLS_REQUIRED"
    """The server speaks TLS, the client does not."""
    AUTHORITY_UNKNOWN = "TLS_AUTHORITY_UNKNOWN"
    NAME_MISMATCH = "TLS_NAME_MISMATCH"
    EXPIRED = "TLS_CERTIFICATE_EXPIRED"
    NOT_YET_VALID = "TLS_CERTIFICATE_NOT_YET_VALID"
    CLIENT_CERTIFICATE_REQUIRED = "TLS_CLIENT_CERTIFICATE_REQUIRED"
    CLIENT_CERTIFICATE_REFUSED = "TLS_CLIENT_CERTIFICATE_REFUSED"
    HANDSHAKE_FAILED = "TLS_HANDSHAKE_FAILED"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is wrong, and for people also what to do. The message names neither address nor secret."""

    problem: Problem
    message: str

    @property
    def reason(self) -> str:
        return self.problem.value


async def diagnose(
    host: str,
    port: int,
    *,
    tls: ClientMaterial | None,
    name: str = "",
    words: Words = OF_CLIENTS,
    protocol: Protocol = HTTP2,
    check_name: bool = True,
    seconds: float = SECONDS,
) -> Diagnosis | None:
    """Why no connection to that place stands, as far as TLS is the reason; None if it is not.

    `tls` is what the client uses, None for plain text. `name` is the one that the certificate must have, by
    default `host`. Takes at most `seconds` and never raises.
    """
    try:
        async with asyncio.timeout(seconds):
            if tls is None:
                return await _of_plain_text(host, port, words, protocol)
            place = _Place(host, port, name or tls.server_name or host, protocol)
            return await _of_tls(place, tls, check_name)
    except (OSError, TimeoutError, EOFError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class _Place:
    host: str
    port: int
    name: str
    protocol: Protocol

    async def answers(self, context: ssl.SSLContext) -> bool:
        """Whether the server goes on after the handshake."""
        connection = self.protocol.connected(self.host, self.port, context, self.name)
        async with connection as (reader, writer):
            if not self.protocol.answers:
                return True
            writer.write(self.protocol.hello)
            try:
                return bool(await reader.read(1))
            except ConnectionError:
                return False

    async def certificate(self) -> bytes:
        """The server's certificate, trusted or not."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = self.protocol.connected(self.host, self.port, context, None)
        async with connection as (_, writer):
            shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            return bytes(shown or b"")


async def _of_plain_text(
    host: str, port: int, words: Words, protocol: Protocol
) -> Diagnosis | None:
    try:
        await _Place(host, port, "", protocol).certificate()
    except ssl.SSLError as error:
        # A server that refuses this handshake with an alert speaks TLS too.
        if not _is_alert(error):
            return None
    return Diagnosis(
        Problem.REQUIRED, f"the server speaks TLS and this side does not: {words.speak}"
    )


async def _of_tls(place: _Place, tls: ClientMaterial, check_name: bool) -> Diagnosis | None:
    context = python_context(tls)
    context.check_hostname = check_name
    try:
        answered = await place.answers(context)
    except ssl.SSLCertVerificationError as error:
        return await _unbelieved(place, error, tls)
    except ssl.SSLError as error:
        if not _is_alert(error):
            return Diagnosis(
                Problem.NOT_SPOKEN, f"the server does not speak TLS: {tls.words.plain}"
            )
        return Diagnosis(
            Problem.HANDSHAKE_FAILED, f"the server ended the TLS handshake ({error.reason})"
        )
    if answered:
        return None
    # The client's certificate is looked at after its side of the handshake; who is not admitted is cut off.
    if tls.identity is None:
        return Diagnosis(
            Problem.CLIENT_CERTIFICATE_REQUIRED,
            f"the server asks for a client certificate: {tls.words.show}",
        )
    return Diagnosis(
        Problem.CLIENT_CERTIFICATE_REFUSED,
        f"the server does not accept the client certificate of {CERT}: use one of an authority in its "
        "WAYSTATION_TLS_CLIENT_CA that may identify a client",
    )


async def _unbelieved(
    place: _Place, error: ssl.SSLCertVerificationError, tls: ClientMaterial
) -> Diagnosis:
    certificate = None
    # What the certificate itself says is told where it can be read.
    with contextlib.suppress(OSError, EOFError, ValueError, ImportError):
        from cryptography import x509

        certificate = x509.load_der_x509_certificate(await place.certificate())
    if error.verify_code in (_NAME_MISMATCH, _ADDRESS_MISMATCH):
        names = names_of(certificate) if certificate is not None else ()
        shown = ", ".join(names[:_SHOWN_NAMES]) or "no name"
        return Diagnosis(
            Problem.NAME_MISMATCH,
            f"the server's certificate is for {shown} and not for {place.name}: use a name of the certificate, or "
            f"give the server one for {place.name}",
        )
    if error.verify_code == _HAS_EXPIRED:
        when = f" on {day(certificate.not_valid_after_utc)}" if certificate is not None else ""
        return Diagnosis(
            Problem.EXPIRED, f"a certificate of the server ended{when}: renew it there"
        )
    if error.verify_code == _NOT_YET_VALID:
        return Diagnosis(
            Problem.NOT_YET_VALID,
            "a certificate of the server is not valid yet: check the clocks of both machines",
        )
    issuer = f" ({certificate.issuer.rfc4514_string()})" if certificate is not None else ""
    return Diagnosis(
        Problem.AUTHORITY_UNKNOWN,
        f"the server's certificate was issued by an authority{issuer} that is not trusted here: set "
        f"{tls.words.ca} to the certificate of that authority",
    )


def python_context(tls: ClientMaterial) -> ssl.SSLContext:
    """The same for connections that Python makes itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # As gRPC does it: an authority in the list need not be a root.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=tls.authorities.pem.decode())
    if tls.identity is not None:
        context.load_cert_chain(tls.identity.ending.path, tls.identity.key_path)
    return context


def _is_alert(error: ssl.SSLError) -> bool:
    return "_ALERT_" in (getattr(error, "reason", None) or "")
