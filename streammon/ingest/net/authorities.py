"""Which certificate authorities TLS trusts: the system's, and those of a file that is configured."""

from __future__ import annotations

import os
import ssl
from functools import cache
from pathlib import Path

# Where systems keep their authorities, from Go's crypto/x509/root_linux.go: PyAV's GnuTLS looks in one of these only.
_SYSTEM_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def check_authorities(path: Path) -> Path:
    """The path as it is, of a PEM file with at least one certificate. Raises ValueError: it validates a setting."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError as error:
        raise ValueError("should be a PEM file with the certificates of authorities") from error
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    return path


@cache  # the joined file's memory is the process's, to its end
def authorities_file(ca_file: Path | None) -> Path | None:
    """One PEM file with the system's authorities and those in `ca_file`, for FFmpeg, which takes one only.

    None where there are none. Joined once per process, in memory. Raises OSError where `ca_file` cannot be read.
    """
    system = system_authorities()
    if ca_file is None or system is None:
        return ca_file if ca_file is not None else system
    joined = os.memfd_create("streammon-authorities")
    with os.fdopen(os.dup(joined), "wb") as file:
        file.write(system.read_bytes() + b"\n" + ca_file.read_bytes())
    return Path(f"/proc/self/fd/{joined}")


def system_authorities() -> Path | None:
    """The system's file of authorities, or the one that SSL_CERT_FILE names, as Python's ssl has it."""
    named = ssl.get_default_verify_paths().cafile
    return Path(named) if named else next((path for path in map(Path, _SYSTEM_FILES) if path.exists()), None)
