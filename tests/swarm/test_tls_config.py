"""Who is let in, and who is talked to: certificates, and handshakes without a network."""

import os
import re
import socket
import ssl
import subprocess
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from walkthroughs.swarm.command import Fatal
from walkthroughs.swarm.tls_config import TLS, load_tls

NAME = "127.0.0.1"
PAST = datetime(2016, 1, 1, tzinfo=UTC)


def write(place, stem, made):
    made.cert_chain_pems[0].write_to_path(place / f"{stem}.pem")
    made.private_key_pem.write_to_path(place / f"{stem}.key")


def write_for_one_use(place, stem, use, authority):
    """Write what `cert` is, but for servers only, or for clients only."""
    both = x509.load_pem_x509_certificate((place / "cert.pem").read_bytes())
    builder = x509.CertificateBuilder(
        both.issuer,
        both.subject,
        both.public_key(),
        x509.random_serial_number(),
        both.not_valid_before_utc,
        both.not_valid_after_utc,
    )
    for each in both.extensions:
        uses = isinstance(each.value, x509.ExtendedKeyUsage)
        value = x509.ExtendedKeyUsage([use]) if uses else each.value
        builder = builder.add_extension(value, each.critical)
    signer = load_pem_private_key(authority.private_key_pem.bytes(), None)
    made = builder.sign(signer, SHA256()).public_bytes(Encoding.PEM)
    (place / f"{stem}.pem").write_bytes(made)
    (place / f"{stem}.key").write_bytes((place / "cert.key").read_bytes())


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Return a directory: an authority, what it has signed, and some that are wrong."""
    place = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(place / "ca.pem")
    write(place, "cert", authority.issue_cert(NAME))
    write(place, "misnamed", authority.issue_cert("other"))
    write(place, "expired", authority.issue_cert(NAME, not_after=PAST))
    write_for_one_use(place, "serverAuth", ExtendedKeyUsageOID.SERVER_AUTH, authority)
    write_for_one_use(place, "clientAuth", ExtendedKeyUsageOID.CLIENT_AUTH, authority)
    write(place, "stranger", trustme.CA().issue_cert(NAME))
    (place / "garbage.pem").write_text("no certificate\n")
    key = load_pem_private_key((place / "cert.key").read_bytes(), None)
    encryption = BestAvailableEncryption(b"secret")
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    (place / "locked.key").write_bytes(locked)
    return place


@pytest.fixture(autouse=True)
def here(certificates, monkeypatch):
    monkeypatch.chdir(certificates)


def ours(verify):
    return load_tls("ca.pem", "cert.pem", "cert.key", verify)


def context(protocol, stem):
    """Return what somebody has who asks nobody, and shows that certificate, if any."""
    made = ssl.SSLContext(protocol)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    if stem:
        made.load_cert_chain(f"{stem}.pem", f"{stem}.key")
    return made


def shake(server, client, name=NAME):
    """Shake hands without a network; return both ends, or raise `SSLError` for either."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(down, up, server_hostname=name),
        server.wrap_bio(up, down, server_side=True),
    ]
    for end in ends * 2:
        with suppress(ssl.SSLWantReadError):
            end.do_handshake()
    return ends


def agreed(server, client, name=NAME):
    try:
        return shake(server, client, name)
    except ssl.SSLError:
        return None


def test_a_file_that_is_not_there_is_named():
    text = r"Couldn't load X509 key pair \({}, {}\): open {}: no such file or directory\. "
    for cert, key, missing in ("no", "cert.key", "no"), ("cert.pem", "no", "no"):
        message = f"^{text.format(re.escape(cert), re.escape(key), missing)}Key encrypted\\?$"
        with pytest.raises(Fatal, match=message):
            load_tls("", cert, key, verify=False)
    message = "^Couldn't read CA certificate: open no: no such file or directory$"
    with pytest.raises(Fatal, match=message):
        load_tls("no", "cert.pem", "cert.key", verify=True)


@pytest.mark.parametrize("key", ["cert.pem", "stranger.key", "garbage.pem", "locked.key"])
def test_a_key_that_does_not_fit_is_refused_and_no_password_is_asked_for(key):
    pair = rf"Couldn't load X509 key pair \(cert\.pem, {re.escape(key)}\)"
    with pytest.raises(Fatal, match=rf"^{pair}: (?!open )\S.*\. Key encrypted\?$"):
        load_tls("", "cert.pem", key, verify=False)


def test_an_authority_that_is_none_is_refused_where_the_original_trusts_nobody():
    with pytest.raises(Fatal, match=r"^Couldn't read CA certificate: (?!open )\S"):
        load_tls("garbage.pem", "cert.pem", "cert.key", verify=True)


def test_the_authority_is_not_read_without_verify():
    assert load_tls("no", "cert.pem", "cert.key", verify=False).server


def test_the_pair_is_refused_before_the_authority():
    with pytest.raises(Fatal, match=r"^Couldn't load X509 key pair"):
        load_tls("no", "no", "no", verify=True)


def test_without_flags_there_is_no_tls():
    assert TLS() == (None, None)


def test_without_verify_anybody_will_do():
    tls = ours(verify=False)
    assert tls.server.verify_mode == tls.client.verify_mode == ssl.CERT_NONE
    assert not tls.client.check_hostname
    assert tls.server.get_ca_certs() == tls.client.get_ca_certs() == []


def test_with_verify_both_ends_want_a_certificate():
    tls = ours(verify=True)
    assert tls.server.verify_mode == tls.client.verify_mode == ssl.CERT_REQUIRED
    assert tls.client.check_hostname


def test_the_authority_of_the_flag_replaces_those_of_the_machine(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "stranger.pem")
    tls = ours(verify=True)
    (authority,) = tls.client.get_ca_certs()
    assert tls.server.get_ca_certs() == [authority]


@pytest.mark.parametrize("verify", [True, False])
def test_the_oldest_version_of_tls_is_1_2(verify):
    tls = ours(verify)
    assert tls.server.minimum_version == tls.client.minimum_version == ssl.TLSVersion.TLSv1_2


def test_version_1_2_is_spoken():
    old = context(ssl.PROTOCOL_TLS_CLIENT, "cert")
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    _, end = shake(ours(verify=True).server, old)
    assert end.version() == "TLSv1.2"


def test_one_pair_is_shown_at_both_ends():
    tls = ours(verify=True)
    shown = [end.getpeercert(binary_form=True) for end in shake(tls.server, tls.client)]
    own = ssl.PEM_cert_to_DER_cert(Path("cert.pem").read_text())
    assert shown == [own, own]


def test_http_1_1_is_agreed_on():
    client = context(ssl.PROTOCOL_TLS_CLIENT, "cert")
    client.set_alpn_protocols(["h2", "http/1.1"])
    assert shake(ours(verify=True).server, client)[1].selected_alpn_protocol() == "http/1.1"


LET_IN = [
    # What the client shows, and whether a manager lets it in with --tls, with --tlsverify.
    ("", True, False),
    ("stranger", True, False),
    ("expired", True, False),
    ("serverAuth", True, False),
    ("clientAuth", True, True),
    ("misnamed", True, True),
    ("cert", True, True),
]
TALKED_TO = [
    # What the engine shows.
    ("stranger", True, False),
    ("expired", True, False),
    ("serverAuth", True, True),
    ("clientAuth", True, False),
    ("misnamed", True, False),
    ("cert", True, True),
]


@pytest.mark.parametrize(("shown", "tls", "tlsverify"), LET_IN)
def test_who_is_let_in(shown, tls, tlsverify):
    client = context(ssl.PROTOCOL_TLS_CLIENT, shown)
    found = [bool(agreed(ours(verify).server, client)) for verify in (False, True)]
    assert found == [tls, tlsverify]


@pytest.mark.parametrize(("shown", "tls", "tlsverify"), TALKED_TO)
def test_who_is_talked_to(shown, tls, tlsverify):
    server = context(ssl.PROTOCOL_TLS_SERVER, shown)
    found = [bool(agreed(server, ours(verify).client)) for verify in (False, True)]
    assert found == [tls, tlsverify]


def test_an_engine_of_another_name_is_not_talked_to():
    misnamed = context(ssl.PROTOCOL_TLS_SERVER, "misnamed")
    with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
        shake(misnamed, ours(verify=True).client)


@pytest.fixture
def original():
    if not (program := os.environ.get("REF_SWARM")):
        pytest.skip("REF_SWARM names no binary of the original")

    @contextmanager
    def run(verify, host, engine):
        which = ["--tlsverify", "--tlscacert", "ca.pem"] if verify else ["--tls"]
        pair = ["--tlscert", "cert.pem", "--tlskey", "cert.key"]
        line = [program, "manage", "-H", host, *which, *pair, f"nodes://{engine}"]
        process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    return run


def listening():
    made = socket.create_server((NAME, 0))
    made.settimeout(20)
    return made, f"{NAME}:{made.getsockname()[1]}"


def answered(host, client):
    """Return whether somebody answers over TLS where a program listens, or soon will."""
    name, _, port = host.partition(":")
    while True:
        try:
            plain = socket.create_connection((name, int(port)), timeout=20)
        except ConnectionRefusedError:
            continue
        with plain:
            try:
                with client.wrap_socket(plain, server_hostname=name) as end:
                    end.sendall(b"GET /_ping HTTP/1.1\r\nHost: swarm\r\n\r\n")
                    return end.recv(100).startswith(b"HTTP/1.1 200 OK")
            except (ssl.SSLError, ConnectionError):
                return False


@pytest.mark.parametrize("verify", [False, True])
def test_the_original_lets_in_the_same(original, verify):
    listener, host = listening()
    listener.close()
    with original(verify, host, f"{NAME}:1"):
        for shown, *expected in LET_IN:
            client = context(ssl.PROTOCOL_TLS_CLIENT, shown)
            assert answered(host, client) == expected[verify], shown


@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize(("shown", "tls", "tlsverify"), TALKED_TO)
def test_the_original_talks_to_the_same(original, verify, shown, tls, tlsverify, tmp_path):
    listener, host = listening()
    server = context(ssl.PROTOCOL_TLS_SERVER, shown)
    with original(verify, f"unix://{tmp_path}/swarm.sock", host), listener:
        plain, _ = listener.accept()
        with plain:
            plain.settimeout(20)
            try:
                with server.wrap_socket(plain, server_side=True) as end:
                    asked = end.recv(100).startswith(b"GET ")
            except (ssl.SSLError, ConnectionError):
                asked = False
    assert asked == (tlsverify if verify else tls)
