"""TLS that can be half closed: against asyncio's own and OpenSSL's, on this machine."""

import asyncio
import socket
import ssl
from contextlib import suppress

import pytest
import trustme

from tests.swarm.serving import answering, connected, one_answer, quiet, run, serving
from walkthroughs.swarm.tls_transport import TLSTransport, open_tls

GET = b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def server(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="module")
def client(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context


async def reversing(scope, receive, send):
    """Take the connection over; answer when all has been said, and then end."""
    reader, writer = await scope["extensions"]["hijack"]()
    said = await reader.read()
    writer.write(said[::-1])


def versions(context, version):
    context.minimum_version = context.maximum_version = version


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_who_has_said_all_still_gets_an_answer(server, client, version):
    content = bytes(range(256)) * 4096

    async def work():
        async with serving(reversing, server) as port:
            versions(client, version)
            reader, writer = await open_tls("127.0.0.1", str(port), client)
            writer.write(GET + content)
            writer.write_eof()
            assert await reader.read() == content[::-1]
            writer.close()
            await writer.wait_closed()

    try:
        run(work())
    finally:
        client.minimum_version = ssl.TLSVersion.TLSv1_2
        client.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED


def test_the_tls_of_asyncio_loses_the_answer(server, client):
    async def work():
        async def reverse(reader, writer):
            said = await reader.read()
            writer.write(said[::-1])
            writer.close()

        theirs = await asyncio.start_server(reverse, "127.0.0.1", 0, ssl=server)
        port = theirs.sockets[0].getsockname()[1]
        reader, writer = await open_tls("127.0.0.1", str(port), client)
        writer.write(b"abc")
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        theirs.close()
        await theirs.wait_closed()

    run(work())


def test_the_end_of_the_connection_below_is_an_end_too(server, client):
    async def work():
        async with serving(reversing, server) as port:
            reader, writer = await open_tls("127.0.0.1", str(port), client)
            writer.write(GET + b"abc")
            await writer.drain()
            writer.get_extra_info("socket")._sock.shutdown(socket.SHUT_WR)
            assert await reader.read() == b"cba"
            writer.transport.abort()

    run(work())


def test_other_implementations_understand_it(server, client):
    async def work():
        async with (
            serving(answering(b"OK" * 100_000), server) as port,
            connected(port, client) as (reader, writer),
        ):
            writer.write(GET)
            assert await one_answer(reader) == (200, b"OK" * 100_000)
            assert await reader.read() == b""

    run(work())


def test_http_to_an_https_server_is_told_so(server):
    async def work():
        world, errors = quiet()
        async with (
            serving(answering(b"OK"), server, world) as port,
            connected(port) as (reader, writer),
        ):
            writer.write(GET)
            assert await reader.read() == (
                b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
            )
        assert "http: TLS handshake error: " in errors.getvalue()

    run(work())


def test_a_client_without_a_certificate_is_refused(authority, client):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED

    async def work():
        world, errors = quiet()
        async with serving(answering(b"OK"), context, world) as port:
            # In TLS 1.3 a client has shaken hands before it is looked at.
            reader, writer = await open_tls("127.0.0.1", str(port), client)
            writer.write(GET)
            with suppress(ConnectionError):
                assert await reader.read() == b""
            writer.transport.abort()
        assert "certificate" in errors.getvalue().lower()

    run(work())


def test_a_server_that_nobody_vouches_for_is_refused(server):
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    async def work():
        async with serving(answering(b"OK"), server, quiet()[0]) as port:
            with pytest.raises(ssl.SSLCertVerificationError):
                await open_tls("127.0.0.1", str(port), stranger)

    run(work())


def test_a_server_that_hangs_up_in_the_handshake_is_a_reset(client):
    async def work():
        async def hang_up(reader, writer):
            await reader.read(1)
            writer.close()

        rude = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        with pytest.raises(ConnectionResetError):
            await open_tls("127.0.0.1", str(rude.sockets[0].getsockname()[1]), client)
        rude.close()
        await rude.wait_closed()

    run(work())


def test_strangers_have_a_time_to_agree_in(server, monkeypatch):
    monkeypatch.setattr("walkthroughs.swarm.tls_transport.HANDSHAKE_LIMIT", 0.01)

    async def work():
        world, errors = quiet()
        async with serving(answering(b"OK"), server, world) as port, connected(port) as (reader, _):
            assert await reader.read() == b""
        assert "http: TLS handshake error: TLS handshake timeout" in errors.getvalue()

    run(work())


def test_a_slow_reader_stops_a_writer(server, client):
    async def work():
        paused = asyncio.Event()

        async def app(scope, receive, send):
            _, writer = await scope["extensions"]["hijack"]()
            for _ in range(100):
                writer.write(b"x" * 2**20)
                waiting = asyncio.ensure_future(writer.drain())
                done, _ = await asyncio.wait({waiting}, timeout=0.1)
                if not done:
                    paused.set()
                await waiting

        async with serving(app, server) as port:
            reader, writer = await open_tls("127.0.0.1", str(port), client)
            writer.write(GET)
            await paused.wait()
            assert len(await reader.readexactly(100 * 2**20)) == 100 * 2**20
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()

    run(work())


def test_it_does_not_tell_streams_that_it_is_tls(server):
    async def work():
        transport = TLSTransport(asyncio.Protocol(), server)
        near, far = socket.socketpair()
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(lambda: transport, near)
        assert transport.get_extra_info("sslcontext") is None
        assert transport.can_write_eof()
        transport.abort()
        far.close()
        await transport.settled

    run(work())
