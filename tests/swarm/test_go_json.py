"""The bodies that Swarm declares, and its words for those that are something else.

All messages were measured: v1.2.9, built with Go 1.19.
"""

import asyncio
import base64
import hashlib
import json

import pytest
from starlette.requests import Request

from walkthroughs.swarm import go_json
from walkthroughs.swarm.go_json import (
    AUTH,
    CONTAINER_CREATE,
    EXEC,
    NETWORK_CONNECT,
    NETWORK_CREATE,
    NETWORK_DISCONNECT,
    TYPES,
    VOLUME_CREATE,
    declare,
    fields_of,
    read_auth,
    read_json,
    type_of,
)
from walkthroughs.swarm.go_types import decode
from walkthroughs.swarm.handler import BODY_LIMIT, HTTPError

OLD = "OldContainerConfig"
HOST = "HostConfig.HostConfig"
MOUNTS = "HostConfig.Mounts"
ENDPOINTS = "NetworkingConfig.EndpointsConfig"

# body, what it is, the field, its type
CREATE = [
    ('{"Env":"x"}', "string", f"{OLD}.Env", "[]string"),
    ('{"Env":[1]}', "number", f"{OLD}.Env", "string"),
    ('{"Env":[["a"]]}', "array", f"{OLD}.Env", "string"),
    ('{"Labels":[]}', "array", f"{OLD}.Labels", "map[string]string"),
    ('{"Volumes":{"/a":1}}', "number", f"{OLD}.Volumes", "struct {}"),
    ('{"ExposedPorts":[]}', "array", f"{OLD}.ExposedPorts", "nat.PortSet"),
    ('{"ExposedPorts":{"80/tcp":[]}}', "array", f"{OLD}.ExposedPorts", "struct {}"),
    ('{"Tty":"yes"}', "string", f"{OLD}.Tty", "bool"),
    ('{"StopTimeout":1.5}', "number 1.5", f"{OLD}.StopTimeout", "int"),
    ('{"Cmd":1}', "number", f"{OLD}.Cmd", "string"),
    ('{"Entrypoint":["a",1]}', "array", f"{OLD}.Entrypoint", "string"),
    ('{"cpuSHARES":"x"}', "string", f"{OLD}.CpuShares", "int64"),
    ('{"Healthcheck":[]}', "array", f"{OLD}.Healthcheck", "container.HealthConfig"),
    (
        '{"Healthcheck":{"Interval":"1s"}}',
        *("string", "HealthConfig.Healthcheck.Interval", "time.Duration"),
    ),
    ('{"HostConfig":"x"}', "string", f"{OLD}.HostConfig", "container.HostConfig"),
    ('{"HostConfig":{"Memory":"1g"}}', "string", f"{HOST}.Memory", "int64"),
    ('{"HostConfig":{"Memory":1e9}}', "number 1e9", f"{HOST}.Memory", "int64"),
    ('{"HostConfig":{"NetworkMode":1}}', "number", f"{HOST}.NetworkMode", "container.NetworkMode"),
    ('{"HostConfig":{"PortBindings":[]}}', "array", f"{HOST}.PortBindings", "nat.PortMap"),
    (
        '{"HostConfig":{"PortBindings":{"80/tcp":[{"HostPort":80}]}}}',
        *("number", "PortBinding.HostConfig.PortBindings.HostPort", "string"),
    ),
    ('{"HostConfig":{"BlkioWeight":65536}}', "number 65536", f"{HOST}.BlkioWeight", "uint16"),
    ('{"HostConfig":{"ConsoleSize":{}}}', "object", f"{HOST}.ConsoleSize", "[2]uint"),
    ('{"HostConfig":{"ConsoleSize":[-1,2]}}', "number -1", f"{HOST}.ConsoleSize", "uint"),
    ('{"HostConfig":{"Ulimits":{}}}', "object", f"{HOST}.Ulimits", "[]*units.Ulimit"),
    ('{"HostConfig":{"Ulimits":[5]}}', "number", f"{HOST}.Ulimits", "units.Ulimit"),
    ('{"HostConfig":{"Devices":{}}}', "object", f"{HOST}.Devices", "[]container.DeviceMapping"),
    (
        '{"HostConfig":{"Mounts":[{"TmpfsOptions":{"Mode":"0755"}}]}}',
        *("string", f"TmpfsOptions.{MOUNTS}.TmpfsOptions.Mode", "fs.FileMode"),
    ),
    ('{"HostConfig":{"Mounts":[{"Type":1}]}}', "number", f"Mount.{MOUNTS}.Type", "mount.Type"),
    (
        '{"NetworkingConfig":{"EndpointsConfig":{"a":5}}}',
        *("number", f"NetworkingConfig.{ENDPOINTS}", "network.EndpointSettings"),
    ),
    (
        '{"NetworkingConfig":{"EndpointsConfig":[]}}',
        *(
            "array",
            f"NetworkingConfig.{ENDPOINTS}",
            "map[string]*network.EndpointSettings",
        ),
    ),
    (
        '{"NetworkingConfig":{"EndpointsConfig":{"a":{"IPAMConfig":{"IPv4Address":4}}}}}',
        *("number", f"EndpointIPAMConfig.{ENDPOINTS}.IPAMConfig.IPv4Address", "string"),
    ),
    ('{"Env":"x","Tty":1}', "string", f"{OLD}.Env", "[]string"),
    ('{"Env":"x","Cmd":1}', "number", f"{OLD}.Cmd", "string"),
]
OTHERS = [
    (EXEC, '{"Cmd":"ls"}', "string", "ExecConfig.Cmd", "[]string"),
    (NETWORK_CREATE, '{"Name":5}', "number", "NetworkCreateRequest.Name", "string"),
    (
        NETWORK_CREATE,
        '{"IPAM":{"Config":{}}}',
        "object",
        "IPAM.IPAM.Config",
        "[]network.IPAMConfig",
    ),
    (
        NETWORK_CONNECT,
        '{"EndpointConfig":{"Links":"a"}}',
        *("string", "EndpointSettings.EndpointConfig.Links", "[]string"),
    ),
    (NETWORK_DISCONNECT, '{"Force":1}', "number", "NetworkDisconnect.Force", "bool"),
    (VOLUME_CREATE, '{"DriverOpts":{"a":1}}', "number", "VolumesCreateBody.DriverOpts", "string"),
    (AUTH, '{"username":1}', "number", "AuthConfig.username", "string"),
]
NAMES = [
    (CONTAINER_CREATE, "cluster.OldContainerConfig"),
    (EXEC, "types.ExecConfig"),
    (NETWORK_CREATE, "types.NetworkCreateRequest"),
    (NETWORK_CONNECT, "types.NetworkConnect"),
    (NETWORK_DISCONNECT, "types.NetworkDisconnect"),
    (VOLUME_CREATE, "volume.VolumesCreateBody"),
    (AUTH, "types.AuthConfig"),
]

# What `docker create -p 80 --memory 64m --mount type=tmpfs,dst=/t busybox true` sends: Docker 28.2,
# without some of the fields that are empty. The original does not know those in `YOUNGER`.
RUN = {
    "AttachStdin": False,
    "AttachStdout": True,
    "ExposedPorts": {"80/tcp": {}},
    "Env": None,
    "Cmd": ["true"],
    "Image": "busybox",
    "Volumes": {},
    "Labels": {},
    "HostConfig": {
        "NetworkMode": "default",
        "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": ""}]},
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "ConsoleSize": [0, 0],
        "Memory": 67108864,
        "BlkioWeightDevice": [],
        "MemorySwappiness": -1,
        "OomKillDisable": False,
        "Mounts": [{"Type": "tmpfs", "Target": "/t"}],
        "CgroupnsMode": "",
        "DeviceRequests": None,
        "MaskedPaths": None,
        "ReadonlyPaths": None,
    },
    "NetworkingConfig": {
        "EndpointsConfig": {
            "default": {"IPAMConfig": None, "IPPrefixLen": 0, "DNSNames": None, "GwPriority": 0}
        }
    },
}
YOUNGER = {"CgroupnsMode", "DeviceRequests", "MaskedPaths", "ReadonlyPaths"}


def refused(body, kind):
    with pytest.raises(HTTPError) as caught:
        decode(body.encode(), kind)
    assert caught.value.status == 400
    return str(caught.value)


def wrong(what, field, kind):
    return f"json: cannot unmarshal {what} into Go struct field {field} of type {kind}"


def request(body=b"", **headers):
    """Return a request as a server hands it over."""
    fields = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    return Request({"type": "http", "headers": fields}, receive)


@pytest.mark.parametrize(("body", "what", "field", "kind"), CREATE)
def test_a_create_request_of_the_wrong_type(body, what, field, kind):
    assert refused(body, CONTAINER_CREATE) == wrong(what, field, kind)


@pytest.mark.parametrize(("body_type", "body", "what", "field", "kind"), OTHERS)
def test_another_request_of_the_wrong_type(body_type, body, what, field, kind):
    assert refused(body, body_type) == wrong(what, field, kind)


@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_a_body_that_is_no_object(kind, name):
    assert refused("[]", kind) == f"json: cannot unmarshal array into Go value of type {name}"


def test_what_a_client_of_today_sends_is_passed_on_whole():
    assert decode(json.dumps(RUN).encode(), CONTAINER_CREATE) == RUN
    assert RUN["HostConfig"].keys() - TYPES["container.HostConfig"].fields.keys() == YOUNGER


def test_the_four_fields_of_old_clients():
    old = {"Memory": 1, "MemorySwap": -1, "CpuShares": 2, "Cpuset": "0,1"}
    assert decode(json.dumps(old).encode(), CONTAINER_CREATE) == old


def test_a_body_is_read_to_the_end_of_its_first_value():
    assert decode(b'{"Cmd":["ls"]}]', EXEC) == {"Cmd": ["ls"]}


def test_read_json():
    async def main():
        assert await read_json(request(b'{"force":true}'), NETWORK_DISCONNECT) == {"Force": True}
        assert await read_json(request(b"null"), NETWORK_DISCONNECT) == {}
        with pytest.raises(HTTPError, match=r"^EOF$") as caught:
            await read_json(request(), NETWORK_DISCONNECT)
        assert caught.value.status == 400
        with pytest.raises(HTTPError) as caught:
            await read_json(request(b" " * BODY_LIMIT + b"{}"), NETWORK_DISCONNECT)
        assert caught.value.status == 413

    asyncio.run(main())


def test_a_body_that_is_all_depth_ends_nothing():
    assert refused('{"a":' * 50_000, EXEC) == "invalid character '{' exceeded max depth"
    assert refused('{"a":' + "[" * 50_000, EXEC) == "invalid character '[' exceeded max depth"


def test_who_asks_a_registry():
    auth = {"username": "me", "password": "?>", "serveraddress": "reg:5000"}
    header = base64.urlsafe_b64encode(json.dumps(auth).encode()).decode()
    assert "_" in header or "-" in header
    assert read_auth(request(**{"x-registry-auth": header})) == auth


ME = base64.urlsafe_b64encode(b'{"username": "me"}').decode()
WRONG_TYPE = base64.urlsafe_b64encode(b'{"username": 1}').decode()


@pytest.mark.parametrize(
    "text",
    ["", "{}", "e30", "e30==", "bnVsbA==", "WzFd", ME[:-1], f"{ME[:9]} {ME[9:]}", WRONG_TYPE],
)
def test_who_cannot_be_read_is_nobody(text):
    assert read_auth(request(**{"x-registry-auth": text})) == {}


def test_the_types_of_go_are_read_from_their_names():
    for name in ("string", "*int64", "[]*units.Ulimit", "[2]uint", "map[string][]string"):
        assert type_of(name).name == name


def test_included_fields_are_fields():
    assert set(fields_of(["    types.NetworkDisconnect", "    Only, More []string"])) == {
        *("Container", "Force", "Only", "More")
    }
    host, resources = TYPES["container.HostConfig"], TYPES["container.Resources"]
    assert resources.fields.items() <= host.fields.items()


def test_a_type_with_a_name_of_its_own(monkeypatch):
    monkeypatch.setattr(go_json, "TYPES", dict(TYPES))
    declare("x.Size = uint16\nx.Sizes = map[x.Kind]x.Size\nx.Box\n    Sizes x.Sizes")
    box = go_json.TYPES["x.Box"]
    assert decode(b'{"sizes":{"a":1}}', box) == {"Sizes": {"a": 1}}
    assert refused('{"Sizes":[]}', box) == wrong("array", "Box.Sizes", "x.Sizes")
    assert refused('{"Sizes":{"a":-1}}', box) == wrong("number -1", "Box.Sizes", "x.Size")
    assert TYPES["uint16"].name == "uint16"


def test_every_field_has_the_type_that_it_has_in_the_original():
    # The digest is of what reflection told of the original's seven types, and those in them.
    fields = sorted(
        f"{name} {field} {of.name}"
        for name, kind in TYPES.items()
        for field, of in getattr(kind, "fields", {}).items()
    )
    digest = hashlib.sha256("\n".join(fields).encode()).hexdigest()
    assert len(fields) == 252
    assert digest == "29546799926953842309afba15af127c04e368fbb425fd089bdd1aff697cf20e"
