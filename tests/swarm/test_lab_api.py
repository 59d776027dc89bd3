"""The engine API over an engine of the lab: routes, bodies, streams and faults.

What the answers say is compared with a real engine in test_lab_against_docker.py.
"""

import asyncio
import json
import time

import httpx2
import pytest

from walkthroughs.swarm.lab import EPOCH, Lab
from walkthroughs.swarm.lab_engine import LabEngine
from walkthroughs.swarm.lab_http import is_true, moment
from walkthroughs.swarm.lab_images import Image
from walkthroughs.swarm.lab_machine import RECENT

SLEEP = {"Image": "busybox", "Cmd": ["sleep", "9"]}


def with_engine(program):
    """Run a program on a lab, an engine and a client of it."""

    async def whole():
        async with Lab() as lab:
            engine = LabEngine(lab, "node-1", "node-1:2375").plug()
            async with lab.world("me").client("http://node-1:2375") as client:
                return await program(lab, engine, client)

    return asyncio.run(whole())


def ask(method, path, prepare=None, **options):
    """Return status and answer of one request, after `prepare` did something to the engine."""

    async def program(lab, engine, client):
        if prepare:
            prepare(engine)
        response = await client.request(method, path, **options)
        return response.status_code, response.text

    return with_engine(program)


def web(engine):
    engine.create("web", **SLEEP)


def running(engine):
    web(engine)
    engine.start("web")


# Versions and errors


@pytest.mark.parametrize("prefix", ["", "/v1.12", "/v1.24", "/v1.41"])
def test_a_version_may_stand_in_front_of_each_path(prefix):
    assert ask("GET", f"{prefix}/_ping") == (200, "OK")


@pytest.mark.parametrize(
    ("version", "why"),
    [
        ("1.42", "is too new. Maximum supported API version is 1.41"),
        (
            "1.9",
            "is too old. Minimum supported API version is 1.12, "
            "please upgrade your client to a newer version",
        ),
    ],
)
def test_a_version_that_an_engine_does_not_speak_is_refused(version, why):
    status, text = ask("GET", f"/v{version}/info")
    assert (status, json.loads(text)) == (
        400,
        {"message": f"client version {version} {why}"},
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nope"),
        ("POST", "/info"),
        ("HEAD", "/info"),
        ("GET", "/info/"),
        ("GET", "/containers"),
        ("PUT", "/containers/web"),
        ("GET", "/images"),
        ("DELETE", "/networks"),
        ("POST", "/volumes"),
        ("GET", "/vx/info"),
    ],
)
def test_what_is_not_there_is_not_found_whatever_the_method(method, path):
    status, text = ask(method, path)
    assert status == 404
    assert method == "HEAD" or json.loads(text) == {"message": "page not found"}


def test_each_answer_says_who_gives_it():
    async def program(lab, engine, client):
        wanted = ("api-version", "docker-experimental", "ostype", "server")
        for path in ("/_ping", "/info", "/nope"):
            headers = (await client.get(path)).headers
            assert {key: headers[key] for key in wanted} == {
                "api-version": "1.41",
                "docker-experimental": "false",
                "ostype": "linux",
                "server": "Docker/20.10.24 (linux)",
            }
        return (await client.head("/_ping")).headers["content-length"]

    assert with_engine(program) == "2"


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        ({}, 500, "EOF"),
        (
            {"content": b"{}"},
            400,
            "Content-Type specified () must be 'application/json'",
        ),
        (
            {"content": b"bad", "headers": {"Content-Type": "application/json"}},
            500,
            "invalid character 'b' looking for beginning of value",
        ),
    ],
)
def test_a_body_has_to_be_json_and_to_say_so(options, status, message):
    answer = ask("POST", "/containers/create", **options)
    assert (answer[0], json.loads(answer[1])) == (status, {"message": message})


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("1", True),
        ("true", True),
        ("x", True),
        ("0", False),
        ("False", False),
        ("", False),
    ],
)
def test_a_flag_is_on_unless_it_says_no(text, meaning):
    assert is_true(text) is meaning
    assert is_true(None) is False


def test_a_moment_is_unix_time_with_a_fraction():
    assert (moment(None), moment("1500000000.25")) == (0, 1500000000.25)


# Containers


@pytest.mark.parametrize(
    ("method", "path", "prepare", "status"),
    [
        ("POST", "/containers/web/start", web, 204),
        ("POST", "/containers/web/start", running, 304),
        ("POST", "/containers/web/stop", running, 204),
        ("POST", "/containers/web/stop", web, 304),
        ("POST", "/containers/web/kill", running, 204),
        ("POST", "/containers/web/kill?signal=TERM", running, 204),
        ("POST", "/containers/web/restart", running, 204),
        ("POST", "/containers/web/pause", running, 204),
        ("POST", "/containers/web/rename?name=www", web, 204),
        ("DELETE", "/containers/web", web, 204),
        ("DELETE", "/containers/web?force=1", running, 204),
    ],
)
def test_what_is_done_is_answered_without_a_word(method, path, prepare, status):
    assert ask(method, path, prepare) == (status, "")


def test_a_container_is_made_from_json_and_a_name():
    async def program(lab, engine, client):
        body = SLEEP | {"HostConfig": {"Memory": 64}}
        response = await client.post("/containers/create?name=web", json=body)
        (made,) = engine.containers.values()
        assert (made.name, made.host_config["Memory"]) == ("web", 64)
        assert (response.status_code, response.json()) == (
            201,
            {"Id": made.id, "Warnings": []},
        )

    with_engine(program)


def test_the_list_takes_all_and_filters_in_both_forms():
    forms = ('{"label": ["k=v"]}', '{"label": {"k=v": true}}')
    asked = ({}, {"all": 1}, *({"all": 1, "filters": form} for form in forms))

    async def program(lab, engine, client):
        running(engine)
        engine.create("db", **SLEEP, Labels={"k": "v"})
        answers = [await client.get("/containers/json", params=each) for each in asked]
        return [[each["Names"][0] for each in answer.json()] for answer in answers]

    assert with_engine(program) == [["/web"], ["/db", "/web"], ["/db"], ["/db"]]


def test_who_waits_hears_at_once_that_the_engine_listens_and_later_the_code():
    async def program(lab, engine, client):
        running(engine)
        lab.at(5, engine.exit, "web", 3)
        notes = []

        async def wait():
            async with client.stream("POST", "/containers/web/wait") as response:
                notes.append((lab.clock.now, response.status_code))
                notes.append((json.loads(await response.aread()), lab.clock.now))

        lab.start("wait", wait())
        await lab.run(10)
        return notes

    assert with_engine(program) == [(0, 200), ({"Error": None, "StatusCode": 3}, 5)]


def test_an_update_answers_with_warnings():
    body = {"Memory": 64}
    answer = ask("POST", "/containers/web/update", web, json=body)
    assert answer == (200, '{"Warnings":null}\n')


# Images, networks, volumes


def test_a_pull_streams_what_it_does_and_a_failure_is_a_status():
    async def program(lab, engine, client):
        engine.registry = {"nginx:latest": Image.named("nginx")}
        good = await client.post("/images/create?fromImage=nginx&tag=latest")
        bad = await client.post("/images/create?fromImage=nope")
        return [json.loads(line) for line in good.text.splitlines()], bad.status_code

    lines, status = with_engine(program)
    assert lines[0] == {"status": "Pulling from library/nginx", "id": "latest"}
    assert (len(lines), status) == (3, 404)


def test_a_name_of_an_image_may_have_slashes():
    def tag(engine):
        engine.tag("busybox", "host:5000/mine/bb", "1")

    name = "/images/host:5000/mine/bb:1"
    assert ask("GET", f"{name}/json", tag)[0] == 200
    assert ask("POST", f"{name}/tag?repo=other", tag) == (201, "")
    assert ask("DELETE", name, tag) == (200, '[{"Untagged":"host:5000/mine/bb:1"}]\n')


def test_a_file_system_becomes_an_image():
    async def program(lab, engine, client):
        said = await client.post("/images/create?fromSrc=-&repo=mine&tag=7", content=b"tar")
        return said.json() == {"status": engine.image("mine:7").id}

    assert with_engine(program)


def test_a_commit_takes_changes_in_its_body_or_none():
    async def program(lab, engine, client):
        web(engine)
        query = {"container": "web", "repo": "mine"}
        first = await client.post("/commit", params=query)
        assert engine.image("mine").config["Cmd"] == ["sleep", "9"]
        second = await client.post("/commit", params=query, json={"Cmd": ["true"]})
        assert engine.image("mine").config["Cmd"] == ["true"]
        return first.status_code, second.json() == {"Id": engine.image("mine").id}

    assert with_engine(program) == (201, True)


def test_a_build_that_cannot_begin_is_a_status_and_not_a_stream():
    status, text = ask("POST", "/build?t=mine", content=b"zz")
    message = "Cannot locate specified Dockerfile: Dockerfile"
    assert (status, json.loads(text)) == (500, {"message": message})


def test_an_engine_that_reaches_no_registry_knows_no_distribution():
    assert ask("GET", "/distribution/mine/app/json")[0] == 500
    status, text = ask("GET", "/distribution/BAD/json")
    message = "invalid reference format: repository name must be lowercase"
    assert (status, json.loads(text)) == (400, {"message": message})


def test_networks_and_volumes_come_and_go():
    async def program(lab, engine, client):
        running(engine)
        body = {
            "Name": "net-1",
            "Labels": {"k": "v"},
            "Internal": True,
            "Options": {"a": "b"},
        }
        made = (await client.post("/networks/create", json=body)).json()
        shown = (await client.get("/networks/net-1")).json()
        wanted = body | made
        del wanted["Warning"]
        assert {key: shown[key] for key in wanted} == wanted
        who = {"Container": "web"}
        for verb in ("connect", "disconnect"):
            answer = await client.post(f"/networks/net-1/{verb}", json=who)
            assert (answer.status_code, answer.content) == (200, b"")
        await client.post("/volumes/create", json={"Name": "data"})
        assert (await client.get("/volumes")).json()["Volumes"] == [engine.volume("data")]
        paths = ("/networks/net-1", "/volumes/data")
        return [(await client.delete(path)).status_code for path in paths]

    assert with_engine(program) == [204, 204]


# Events


async def listen(client, notes, lab, query=""):
    async with client.stream("GET", f"/events{query}") as response:
        async for line in response.aiter_lines():
            event = json.loads(line)
            notes.append((lab.clock.now, event["Type"], event["Action"]))
    notes.append((lab.clock.now, "end"))


def heard(query, *before, until=20):
    """Return what is heard of a container that ends at 5 and is removed at 6."""

    async def program(lab, engine, client):
        notes = []
        running(engine)
        engine.events.clear()
        await lab.run(3)
        for action in before:
            engine.emit("volume", action, "data", driver="local")
        lab.start("listener", listen(client, notes, lab, query))
        lab.at(5, engine.exit, "web")
        lab.at(6, engine.remove, "web")
        await lab.run(until)
        await lab.close()
        assert engine.listeners == set()
        return notes

    return with_engine(program)


END = [
    (5, "container", "die"),
    (5, "network", "disconnect"),
    (6, "container", "destroy"),
]


def test_events_come_when_they_happen_and_not_before():
    assert heard("", "create") == END


def test_since_a_moment_events_come_that_have_been():
    create = (3, "volume", "create")
    assert heard(f"?since={EPOCH + 3}", "create") == [create, *END]
    assert heard(f"?since={EPOCH + 4}", "create") == END


def test_until_a_moment_is_the_end():
    assert heard(f"?until={EPOCH + 5.5}") == [*END[:2], (5.5, "end")]
    assert heard(f"?since=1&until={EPOCH + 3}", "create") == [
        (3, "volume", "create"),
        (3, "end"),
    ]


def test_an_engine_remembers_so_many_events_and_no_more():
    assert len(heard("?since=1", *["create"] * (RECENT + 50))) == RECENT + len(END)


def test_events_are_filtered():
    def asked(**filters):
        return heard(f"?filters={json.dumps(filters)}")

    assert asked(type=["network"]) == [END[1]]
    assert asked(event=["die", "destroy"]) == [END[0], END[2]]
    assert asked(container=["web"]) == END
    assert asked(container=["db"]) == [END[1]]
    assert asked(label=["image=busybox"]) == [END[0], END[2]]


def test_since_after_until_is_refused():
    message = "`since` time (5) cannot be after `until` time (3)"
    status, text = ask("GET", "/events?since=5&until=3")
    assert (status, json.loads(text)) == (400, {"message": message})
    message = 'strconv.ParseInt: parsing "x": invalid syntax'
    status, text = ask("GET", "/events?since=x")
    assert (status, json.loads(text)) == (500, {"message": message})


# Faults


def with_fault(fault, path="/info"):
    def prepare(engine):
        engine.fault = fault

    return ask("GET", path, prepare)


def test_an_engine_that_fails_says_so():
    status, text = with_fault("500")
    assert (status, json.loads(text)) == (
        500,
        {"message": "the lab has this engine fail"},
    )


def test_an_engine_may_answer_with_nothing_or_with_something_else():
    assert with_fault("empty") == (200, "")
    status, text = with_fault("garbage")
    assert status == 200
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(text)


@pytest.mark.parametrize("path", ["/info", "/events"])
def test_an_answer_may_break_in_the_middle(path):
    with pytest.raises(httpx2.RemoteProtocolError):
        with_fault("half", path)


def test_an_engine_without_a_fault_is_well_again():
    async def program(lab, engine, client):
        engine.fault = "500"
        bad = await client.get("/info")
        engine.fault = None
        return bad.status_code, (await client.get("/info")).status_code

    assert with_engine(program) == (500, 200)


def test_a_slow_engine_answers_later_and_all_the_same():
    async def program(lab, engine, client):
        engine.slow = 5
        notes = []

        async def ping():
            notes.append(((await client.get("/_ping")).text, lab.clock.now))

        lab.start("ping", ping())
        await lab.run(10)
        return notes

    assert with_engine(program) == [("OK", 5)]


def test_the_end_of_a_machine_breaks_the_stream_of_its_events():
    async def program(lab, engine, client):
        notes = []

        async def follow():
            with pytest.raises(httpx2.ReadError, match="Connection reset by peer"):
                await listen(client, notes, lab)
            notes.append(lab.clock.now)

        lab.start("follow", follow())
        lab.at(5, engine.crash)
        await lab.run(10)
        return notes, engine.listeners

    assert with_engine(program) == ([5], set())


def test_an_answer_costs_a_fraction_of_a_millisecond():
    async def program(lab, engine, client):
        begin = time.process_time()
        for _ in range(300):
            await client.get("/_ping")
        return (time.process_time() - begin) / 300

    assert with_engine(program) < 0.002
