"""PEM files of certificates, keys and authorities: read, and checked as far as one can without a connection."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # A tenth of a second, which a process without TLS does not spend.
    from cryptography import x509


class BadTls(Exception):
    """Files that cannot be used; each fault is a sentence with the name of its setting."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__(" ".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Named:
    """A file, and the setting that names it."""

    setting: str
    path: Path

    def __str__(self) -> str:
        return f"{self.setting}={self.path}"


@dataclass(frozen=True, slots=True)
class Ending:
    """When a file's certificates stop to be valid: the first of them to do so."""

    setting: str
    path: Path
    ends_at: datetime

    def __str__(self) -> str:
        return f"the certificate in {self.path} ({self.setting}) ends on {day(self.ends_at)}"


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate with its chain, and its private key."""

    chain: bytes
    key: bytes
    names: tuple[str, ...]
    """DNS names and IP addresses that it is for."""
    ending: Ending
    key_path: Path


@dataclass(frozen=True, slots=True)
class Authorities:
    """Certificates of authorities that are trusted."""

    pem: bytes
    ending: Ending | None
    """None for those of this machine, which nobody here renews."""


LACKING = (
    "Certificates and keys are read by the package `cryptography`, which is not installed: "
    "`pip install 'waystation-worker[security]'`."
)


def can_be_read() -> bool:
    """Whether the library is there that reads certificates and keys; a handler service without TLS does not
    need it."""
    return find_spec("cryptography") is not None


def endings(*parts: Identity | Authorities | None) -> list[Ending]:
    """When these end, the first first."""
    known = [part.ending for part in parts if part is not None and part.ending is not None]
    return sorted(known, key=lambda each: each.ends_at)


def read_identity(cert: Named, key: Named) -> Identity:
    """A certificate and the key that belongs to it. Raises BadTls with everything that is wrong with them."""
    faults = _faults_of_library()
    chain, certificates = _certificates(cert, faults)
    secret, public = _private_key(key, faults)
    if certificates:
        faults += _out_of_time(cert, certificates[0])
        if public is not None and public != certificates[0].public_key():
            faults.append(
                f"{key} does not belong to the certificate in {cert}: give both of one pair."
            )
    if faults:
        raise BadTls(faults)
    return Identity(
        chain=chain,
        key=secret,
        names=names_of(certificates[0]),
        ending=_ending(cert, certificates[:1]),
        key_path=key.path,
    )


def read_authorities(file: Named) -> Authorities:
    """Authorities to trust. Raises BadTls if none of them is valid now."""
    faults = _faults_of_library()
    pem, certificates = _certificates(file, faults)
    now = _now()
    valid = [each for each in certificates if each.not_valid_after_utc > now]
    if certificates and not valid:
        faults += _out_of_time(file, certificates[0])
    if faults:
        raise BadTls(faults)
    return Authorities(pem, _ending(file, valid))


def read_authorities_of_machine(file: Named) -> Authorities:
    """The same as they are: a hundred authorities of the world, whose end nobody here can do anything about. Raises
    BadTls."""
    faults: list[str] = []
    pem = _read(file, faults)
    if pem is None:
        raise BadTls(faults)
    return Authorities(pem, None)


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """The DNS names and IP addresses that a certificate is for."""
    from cryptography import x509

    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return ()
    dns = extension.value.get_values_for_type(x509.DNSName)
    addresses = extension.value.get_values_for_type(x509.IPAddress)
    return (*dns, *(str(address) for address in addresses))


def _faults_of_library() -> list[str]:
    """No faults yet. Raises BadTls without the library."""
    if not can_be_read():
        raise BadTls([LACKING])
    return []


def _certificates(file: Named, faults: list[str]) -> tuple[bytes, list[x509.Certificate]]:
    """The file's content and its certificates: none if there is a fault."""
    from cryptography import x509

    data = _read(file, faults)
    if data is not None:
        try:
            with warnings.catch_warnings():
                # Of old authorities, whose certificates break some rule of today.
                warnings.simplefilter("ignore")
                return data, x509.load_pem_x509_certificates(data)
        except ValueError:
            faults.append(f"{file} holds no PEM certificate (-----BEGIN CERTIFICATE-----).")
    return b"", []


def _private_key(file: Named, faults: list[str]) -> tuple[bytes, Any]:
    """The file's content and the public half of its key: None if there is a fault."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data = _read(file, faults)
    if data is not None:
        try:
            return data, load_pem_private_key(data, password=None).public_key()
        except TypeError:
            faults.append(f"{file} is protected by a password: give a key without one.")
        except (ValueError, UnsupportedAlgorithm):
            faults.append(f"{file} holds no PEM private key (-----BEGIN PRIVATE KEY-----).")
    return b"", None


def _read(file: Named, faults: list[str]) -> bytes | None:
    try:
        return file.path.read_bytes()
    except OSError as error:
        faults.append(f"{file} cannot be read: {error.strerror}.")
        return None


def _out_of_time(file: Named, certificate: x509.Certificate) -> list[str]:
    now = _now()
    if certificate.not_valid_after_utc <= now:
        return [
            f"{file}: the certificate ended on {day(certificate.not_valid_after_utc)}: renew it."
        ]
    if certificate.not_valid_before_utc > now:
        return [
            f"{file}: the certificate is valid from {day(certificate.not_valid_before_utc)} on only: check "
            "the clock of this machine."
        ]
    return []


def _ending(file: Named, certificates: Sequence[x509.Certificate]) -> Ending:
    return Ending(file.setting, file.path, min(each.not_valid_after_utc for each in certificates))


def day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def _now() -> datetime:
    return datetime.now(UTC)
