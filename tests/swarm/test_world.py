"""Clock, ticker, log and client; servers that answer badly are real ones, on loopback."""

import asyncio
import io
import socket
import ssl
import time
from contextlib import aclosing, asynccontextmanager, suppress
from random import Random

import httpx2
import pytest

from walkthroughs.swarm import world as module
from walkthroughs.swarm.lab import EPOCH, Lab, settle
from walkthroughs.swarm.world import (
    BODY_LIMIT,
    Answer,
    Log,
    NoAnswer,
    SystemClock,
    World,
    ask,
    is_loopback,
    reason,
    ticker,
    url_host,
    within,
)

OK = b"HTTP/1.1 200 OK\r\n"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@asynccontextmanager
async def server(*parts, hang=False):
    """Answer every connection with these bytes, whatever is asked; yield the URL."""

    async def answer(reader, writer):
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            for part in parts:
                writer.write(part)
                await writer.drain()
            if hang:
                await reader.read()
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listening:
        host, port = listening.sockets[0].getsockname()
        yield f"http://{host}:{port}"
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)


async def get(url, world=None):
    async with (world or World()).client(url) as client:
        return await ask(client, "GET", url)


def told(*parts, hang=False):
    """Return the message about such a server, its URL shown as URL."""

    async def look():
        async with server(*parts, hang=hang) as url:
            with pytest.raises(NoAnswer) as caught:
                await get(url)
            return str(caught.value).replace(url, "URL")

    return asyncio.run(look())


def refused(url):
    """Return the message about a URL that leads nowhere."""
    with pytest.raises(NoAnswer) as caught:
        asyncio.run(get(url))
    return str(caught.value)


# the clock


def test_the_system_clock_tells_the_machine_s_time():
    before = time.time(), time.monotonic()
    clock = SystemClock()
    now = clock.time(), clock.monotonic()
    after = time.time(), time.monotonic()
    assert before[0] <= now[0] <= after[0]
    assert before[1] <= now[1] <= after[1]


def test_the_system_clock_sleeps():
    started = time.monotonic()
    asyncio.run(SystemClock().sleep(0.01))
    assert time.monotonic() - started >= 0.009


# the ticker


def ticks(works, count=5, period=10.0):
    """Return when a loop of `ticker` was at its top, working `works` seconds each time."""

    async def look():
        times = []

        async def loop():
            async with aclosing(ticker(lab.clock, period)) as beats:
                async for now in beats:
                    times.append(now)
                    await lab.clock.sleep(works.pop(0) if works else 0)

        async with Lab() as lab:
            lab.start("loop", loop())
            while len(times) < count:
                await lab.run(1)
        return times

    return asyncio.run(look())


def test_the_first_tick_comes_after_a_period():
    assert ticks([], 1) == [10.0]


def test_ticks_keep_to_their_beat_whatever_the_work_takes():
    assert ticks([3.0, 9.5, 0.5, 7.0]) == [10.0, 20.0, 30.0, 40.0, 50.0]


def test_a_tick_that_came_during_the_work_is_there_at_its_end():
    assert ticks([14.0]) == [10.0, 24.0, 30.0, 40.0, 50.0]


def test_of_many_ticks_during_the_work_one_is_kept():
    assert ticks([35.0]) == [10.0, 45.0, 50.0, 60.0, 70.0]


def test_a_clock_that_wakes_early_causes_no_second_tick():
    class Early:
        now = 0.0

        def time(self):
            return self.now

        monotonic = time

        async def sleep(self, seconds):
            self.now += seconds - 1e-9

    async def look():
        async with aclosing(ticker(Early(), 10.0)) as beats:
            return [round(await anext(beats), 6) for _ in range(3)]

    assert asyncio.run(look()) == [10.0, 20.0, 30.0]


# select with time.After


def test_within_returns_what_the_work_returns():
    async def look():
        async with Lab() as lab:
            return await within(1.0, asyncio.sleep(0, "done"), lab.clock)

    assert asyncio.run(look()) == "done"


def test_within_raises_what_the_work_raises():
    async def fail():
        raise OSError("no")

    async def look():
        async with Lab() as lab:
            await within(1.0, fail(), lab.clock)

    with pytest.raises(OSError, match=r"^no$"):
        asyncio.run(look())


def test_within_cancels_the_work_when_time_is_up():
    ended = []

    async def work(clock):
        try:
            await clock.sleep(100)
        finally:
            ended.append(clock.now)

    async def look():
        async with Lab() as lab:
            lab.start("select", within(10.0, work(lab.clock), lab.clock))
            with pytest.raises(TimeoutError):
                await lab.run(20)

    asyncio.run(look())
    assert ended == [10.0]


def test_within_prefers_the_work_when_both_are_ready():
    async def work(clock):
        await clock.sleep(10)
        return "done"

    class Simultaneous:
        """Wakes all its sleepers in one turn of the loop."""

        def __init__(self):
            self.woken = asyncio.Event()

        async def sleep(self, seconds):
            await self.woken.wait()

    async def look():
        clock = Simultaneous()
        task = asyncio.ensure_future(within(10.0, work(clock), clock))
        await settle()
        clock.woken.set()
        return await task

    assert asyncio.run(look()) == "done"


def test_within_ends_its_work_when_it_is_cancelled_itself():
    ended = []

    async def work():
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(True)

    async def look():
        async with Lab() as lab:
            lab.start("select", within(10.0, work(), lab.clock))
            await lab.run(1)
            await lab.stop("select")

    asyncio.run(look())
    assert ended == [True]


def test_what_the_work_says_when_it_is_cancelled_is_nobody_s_business():
    async def work():
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            raise OSError("too late")

    async def look():
        async with Lab() as lab:
            lab.start("select", within(10.0, work(), lab.clock))
            with pytest.raises(TimeoutError):
                await lab.run(10)

    asyncio.run(look())


# the log


def log(stream=None):
    return Log(Lab().clock, stream or io.StringIO())


def test_a_log_writes_a_line_of_logrus():
    stream = io.StringIO()
    log(stream).info("Registering", addr="a:1", discovery="token://x")
    moment = 'time="2017-07-14T02:40:00Z" level=info'
    assert stream.getvalue() == f'{moment} msg=Registering addr="a:1" discovery="token://x"\n'


def test_a_log_has_colours_on_a_terminal():
    stream = Terminal()
    log(stream).warning("slow", addr="a:1")
    label = "\x1b[33mWARN\x1b[0m[0000]"
    assert stream.getvalue() == f'{label} {"slow":<44}  \x1b[33maddr\x1b[0m="a:1"\n'


def test_a_terminal_shows_seconds_since_the_start():
    stream = Terminal()
    shown = log(stream)
    shown.clock.now = 75.9
    shown.error("late")
    assert stream.getvalue() == f"\x1b[31mERRO\x1b[0m[0075] {'late':<44} \n"


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
        ("fatal", []),
        ("panic", []),
    ],
)
def test_a_level_hides_what_is_less(level, shown):
    stream = io.StringIO()
    lines = log(stream)
    lines.set_level(level)
    for write in lines.debug, lines.info, lines.warning, lines.error:
        write("x")
    lead = 'time="2017-07-14T02:40:00Z" level='
    assert stream.getvalue() == "".join(f"{lead}{each} msg=x\n" for each in shown)


@pytest.mark.parametrize(("name", "level"), [("warn", "warning"), ("DEBUG", "debug")])
def test_a_level_goes_by_the_names_of_logrus(name, level):
    lines = log()
    lines.set_level(name)
    assert lines.level == level


@pytest.mark.parametrize(("name", "quoted"), [("x", '"x"'), ("", '""'), ("trace", '"trace"')])
def test_another_level_is_refused(name, quoted):
    with pytest.raises(ValueError, match=f"^not a valid logrus Level: {quoted}$"):
        log().set_level(name)


def test_a_log_without_a_stream_writes_to_the_standard_output_of_the_moment(capsys):
    Log(Lab().clock).info("x")
    assert capsys.readouterr().out == 'time="2017-07-14T02:40:00Z" level=info msg=x\n'


# the world


def test_the_default_world_is_the_real_one():
    world = World()
    assert isinstance(world.clock, SystemClock)
    assert world.transport is world.stdout is world.stderr is None


def test_a_world_writes_to_the_standard_streams_of_the_moment(capsys):
    world = World(Lab().clock)
    world.print("out")
    world.print_error("err")
    world.std_log("Timed out")
    assert capsys.readouterr() == ("out\n", "err\n2017/07/14 02:40:00 Timed out\n")


def test_a_world_writes_where_it_is_told(capsys):
    out, err = io.StringIO(), io.StringIO()
    world = World(Lab().clock, stdout=out, stderr=err)
    world.print("out")
    world.log.info("x")
    world.print_error("err")
    world.std_log("Timed out")
    assert out.getvalue() == 'out\ntime="2017-07-14T02:40:00Z" level=info msg=x\n'
    assert err.getvalue() == "err\n2017/07/14 02:40:00 Timed out\n"
    assert capsys.readouterr() == ("", "")


def test_chance_can_be_given_a_seed():
    assert World(random=Random(1)).random.random() == World(random=Random(1)).random.random()


def test_a_lab_begins_in_the_summer_of_2017():
    assert Lab().world("x").clock.time() == EPOCH


# the client


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.10", "::1", "[::1]"])
def test_this_machine_is_loopback(host):
    assert is_loopback(host) is True


@pytest.mark.parametrize("host", ["", "example.com", "10.0.0.1", "0.0.0.0", "::", "localhost.x"])
def test_another_machine_is_not(host):
    assert is_loopback(host) is False


def test_a_proxy_is_asked_about_other_machines_and_never_about_this_one(monkeypatch):
    async def look():
        async with server(OK + b"Content-Length: 5\r\n\r\nproxy") as proxy:
            monkeypatch.setenv("HTTP_PROXY", proxy)
            async with server(OK + b"Content-Length: 6\r\n\r\nitself") as url:
                near, far = await get(url), await get("http://192.0.2.1")
        return near.body, far.body

    assert asyncio.run(look()) == (b"itself", b"proxy")


def test_an_ipv6_address_can_be_asked():
    async def look():
        listening = await asyncio.start_server(lambda r, w: w.close(), "::1", 0)
        async with listening:
            url = f"http://[::1]:{listening.sockets[0].getsockname()[1]}"
            with pytest.raises(NoAnswer) as caught:
                await get(url)
        return str(caught.value).replace(url, "URL")

    try:
        said = asyncio.run(look())
    except OSError:
        pytest.skip("this machine has no IPv6")
    assert said == 'Get "URL": Server disconnected without sending a response.'


def test_an_answer_is_whole():
    async def look():
        async with server(OK + b"Content-Length: 6\r\nX-A: b\r\n\r\nab", b"cd", b"ef") as url:
            return await get(url)

    headers = httpx2.Headers({"Content-Length": "6", "X-A": "b"})
    assert asyncio.run(look()) == Answer(200, headers, b"abcdef")


def test_an_error_of_the_server_is_an_answer():
    async def look():
        async with server(b"HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\noops") as url:
            answer = await get(url)
        return answer.status, answer.body

    assert asyncio.run(look()) == (500, b"oops")


def test_a_redirection_is_an_answer():
    async def look():
        async with server(b"HTTP/1.1 302 No\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n") as url:
            return (await get(url)).status

    assert asyncio.run(look()) == 302


def test_a_server_that_says_nothing():
    assert told() == 'Get "URL": Server disconnected without sending a response.'


def test_a_server_that_speaks_another_protocol():
    said = told(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    assert said == "Get \"URL\": illegal status line: bytearray(b'SSH-2.0-OpenSSH_9.2')"


def test_a_server_that_closes_in_the_middle():
    said = told(OK + b"Content-Length: 10\r\n\r\nabc")
    closed = "peer closed connection without sending complete message body"
    assert said == f'Get "URL": {closed} (received 3 bytes, expected 10)'


def test_a_server_that_closes_in_the_headers():
    said = told(OK + b"Content-Len")
    assert said == 'Get "URL": Server disconnected without sending a response.'


def test_a_server_whose_compression_is_none():
    said = told(OK + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc")
    assert said == 'Get "URL": Error -3 while decompressing data: incorrect header check'


def test_a_server_that_sends_100_megabytes():
    said = told(OK + b"Content-Length: 100000000\r\n\r\n", *[b"x" * 100_000] * 1000)
    assert said == 'Get "URL": the answer has more than 8,388,608 bytes'


def test_an_answer_may_be_as_long_as_the_limit():
    async def look():
        head = OK + b"Content-Length: %d\r\n\r\n" % BODY_LIMIT
        async with server(head, b"x" * BODY_LIMIT) as url:
            return len((await get(url)).body)

    assert asyncio.run(look()) == BODY_LIMIT


def test_a_server_that_keeps_silent(monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT", 0.1)
    assert told(hang=True) == 'Get "URL": no answer within 0.1 seconds'


def test_a_server_that_falls_silent(monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT", 0.1)
    said = told(OK + b"Content-Length: 10\r\n\r\nabc", hang=True)
    assert said == 'Get "URL": no answer within 0.1 seconds'


def test_the_original_waits_for_ever_and_this_one_ten_seconds():
    assert module.TIMEOUT == 10.0


def test_nobody_listens():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        assert refused(url) == f'Get "{url}": connection refused'


def test_nobody_listens_in_the_lab_either():
    async def look():
        async with Lab() as lab:
            with pytest.raises(NoAnswer) as caught:
                await get("http://hub:2370/v1", lab.world("client"))
        return str(caught.value)

    assert asyncio.run(look()) == 'Get "http://hub:2370/v1": connection refused'


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("x", '"x": no host in the URL'),
        ("http://", '"http://": no host in the URL'),
        ("http://h:99999", '"http://h:99999": invalid port'),
        ("http://h:x", "\"http://h:x\": Invalid port: 'x'"),
        ("http://é\\x", "\"http://é\\\\x\": Invalid IDNA hostname: 'é\\\\x'"),
        ("ftp://h", "Get \"ftp://h\": Request URL has an unsupported protocol 'ftp://'."),
    ],
)
def test_a_url_that_leads_nowhere(url, message):
    assert refused(url) == message


def test_a_url_that_is_no_text():
    assert refused("http://h/\udcff").startswith('"http://h/\\xff": ')


def test_certificates_that_are_not_there(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent")
    why = "SSL_CERT_FILE or SSL_CERT_DIR: no such file or directory"
    assert refused("https://192.0.2.1") == f'"https://192.0.2.1": {why}'


def test_a_proxy_that_is_none(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "foo://x")
    why = "HTTP_PROXY or its kind: Unknown scheme for proxy URL URL('foo://x')"
    assert refused("http://192.0.2.1") == f'"http://192.0.2.1": {why}'


@pytest.mark.parametrize(
    ("url", "host"),
    [("http://h:1/x", "h"), ("http://[::1]:1", "[::1]"), ("https://127.0.0.1", "127.0.0.1")],
)
def test_the_host_is_as_it_is_written(url, host):
    assert url_host(url) == host


def test_the_reason_is_the_system_s_where_it_has_one():
    error = httpx2.ConnectError("All connection attempts failed")
    error.__cause__ = OSError(111, "Connect call failed")
    assert reason(error) == "connection refused"


def test_the_reason_of_tls_is_its_own():
    error = httpx2.ConnectError("failed")
    error.__context__ = ssl.SSLError(1, "certificate verify failed")
    assert reason(error) == "certificate verify failed"


def test_a_name_without_an_address():
    error = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    assert reason(error) == "Name or service not known"


def test_an_error_without_words_has_a_name():
    assert reason(httpx2.RemoteProtocolError("")) == "RemoteProtocolError"
