"""The engine API's routes of containers and of commands, over HTTP in the lab.

What the answers say is compared with a real engine in test_lab_against_docker.py.
"""

import asyncio
import json
from base64 import b64decode

from tests.swarm.test_lab_api import with_engine
from walkthroughs.swarm.lab_streams import frame, frames_of

SLEEP = {"Image": "busybox", "Cmd": ["sleep", "9"]}
SAYS = {"Image": "busybox", "Cmd": ["sh", "-c", "echo one; echo no >&2; exit 3"]}
CAT = {"Image": "busybox", "Cmd": ["cat"], "OpenStdin": True, "StdinOnce": True}


def test_a_log_is_read_line_by_line():
    async def program(lab, engine, client):
        engine.create("job", **SAYS)
        engine.start("job")
        path = "/containers/job/logs"
        answers = [
            await client.get(f"{path}?{q}") for q in ("stdout=1&stderr=1", "stderr=1&tail=1")
        ]
        return [frames_of(each.content) for each in answers]

    assert with_engine(program) == [[(1, b"one\n"), (2, b"no\n")], [(2, b"no\n")]]


def test_a_log_is_followed_to_the_container_s_end():
    async def program(lab, engine, client):
        engine.create("job", **CAT)
        engine.start("job")
        pipe = engine.container("job").streams.stdin
        lab.at(5, pipe.feed, b"five\n")
        lab.at(9, pipe.close)
        heard = []

        async def follow():
            async with client.stream("GET", "/containers/job/logs?stdout=1&follow=1") as response:
                async for piece in response.aiter_raw():
                    heard.append((lab.clock.now, piece))
            heard.append((lab.clock.now, b""))

        lab.start("follow", follow())
        await lab.run(10)
        return heard

    assert with_engine(program) == [(5, frame(1, b"five\n")), (9, b"")]


def test_input_may_be_the_body_of_a_request():
    async def program(lab, engine, client):
        engine.create("job", **CAT)
        engine.start("job")
        path = "/containers/job/attach?stream=1&stdin=1&stdout=1"
        response = await client.post(path, content=b"hi")
        return response.status_code, response.headers["content-type"], response.content

    raw = "application/vnd.docker.raw-stream"
    assert with_engine(program) == (200, raw, frame(1, b"hi"))


def test_who_cannot_be_attached_is_told_so_in_the_pipe():
    async def program(lab, engine, client):
        response = await client.post("/containers/no/attach?stream=1&stdout=1")
        return response.status_code, response.text

    assert with_engine(program) == (404, "No such container: no\r\n")


def test_a_command_is_made_started_and_looked_at():
    async def program(lab, engine, client):
        engine.create("web", **SLEEP)
        engine.start("web")
        body = {"Cmd": ["sh", "-c", "echo hi; exit 4"], "AttachStdout": True}
        made = await client.post("/containers/web/exec", json=body)
        id = made.json()["Id"]
        said = await client.post(f"/exec/{id}/start", json={"Detach": False})
        code = (await client.get(f"/exec/{id}/json")).json()["ExitCode"]
        return made.status_code, said.content, code

    assert with_engine(program) == (201, frame(1, b"hi\n"), 4)


def test_a_command_that_nobody_listens_to_is_started_all_the_same():
    async def program(lab, engine, client):
        engine.create("web", **SLEEP)
        engine.start("web")
        body = {"Cmd": ["sh", "-c", "echo hi > /etc/x"]}
        id = (await client.post("/containers/web/exec", json=body)).json()["Id"]
        said = await client.post(f"/exec/{id}/start", json={"Detach": True})
        return said.status_code, said.content, engine.container("web").files.read("/etc/x")

    assert with_engine(program) == (200, b"", b"hi\n")


def test_use_is_measured_each_second_while_the_container_is_there():
    async def program(lab, engine, client):
        engine.create("web", **SLEEP)
        engine.start("web")
        heard = []

        async def watch():
            async with client.stream("GET", "/containers/web/stats") as response:
                async for line in response.aiter_lines():
                    heard.append((lab.clock.now, json.loads(line)["read"][11:19]))

        lab.start("watch", watch())
        lab.at(2.5, engine.exit, "web")
        lab.at(3.5, engine.remove, "web")
        await lab.run(10)
        return heard

    never = "00:00:00"
    expected = [(1, "02:40:01"), (2, "02:40:02"), (3, never), (4, never)]
    assert with_engine(program) == expected


def test_of_use_one_measurement_takes_a_second_or_none():
    async def program(lab, engine, client):
        engine.create("web", **SLEEP)
        engine.start("web")
        at_once = await client.get("/containers/web/stats?stream=0&one-shot=1")
        later = asyncio.create_task(client.get("/containers/web/stats?stream=0"))
        await lab.run(0.5)
        waits = not later.done()
        await lab.run(0.5)
        return at_once.json()["preread"], waits, (await later).json()["preread"]

    assert with_engine(program) == ("0001-01-01T00:00:00Z", True, "2017-07-14T02:40:00Z")


def test_a_file_s_stat_is_in_the_head_of_its_archive():
    async def program(lab, engine, client):
        engine.create("web", **SLEEP)
        engine.container("web").files.write("/etc/x", b"hi")
        answers = [
            await client.request(method, "/containers/web/archive?path=/etc/x")
            for method in ("HEAD", "GET")
        ]
        stats = [json.loads(b64decode(x.headers["x-docker-container-path-stat"])) for x in answers]
        assert stats[0] == stats[1]
        return stats[0]["name"], stats[0]["size"], answers[0].content, answers[1].content[:1]

    assert with_engine(program) == ("x", 2, b"", b"x")


def test_a_container_s_files_are_the_next_one_s():
    async def program(lab, engine, client):
        for name in ("one", "other"):
            engine.create(name, **SLEEP)
        engine.container("one").files.write("/etc/x", b"hi")
        data = (await client.get("/containers/one/archive?path=/etc/x")).content
        put = await client.put("/containers/other/archive?path=/", content=data)
        changes = (await client.get("/containers/other/changes")).json()
        return put.status_code, changes, engine.container("other").files.read("/x")

    assert with_engine(program) == (200, [{"Path": "/x", "Kind": 1}], b"hi")
