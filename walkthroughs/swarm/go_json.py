"""The bodies of requests, as Swarm declares them and Go's decoder reads them.

| upstream                                  | here                                |
|-------------------------------------------|-------------------------------------|
| `json.NewDecoder(r.Body).Decode`          | `read_json`                         |
| `cluster.OldContainerConfig`              | `OLD_CONTAINER_CONFIG`              |
| `types.ExecConfig`, `.NetworkConnect`, ... | `EXEC_CONFIG`, `NETWORK_CONNECT`, ... |
| `X-Registry-Auth`                         | `read_auth`                         |
"""

import base64
from collections.abc import Iterable
from dataclasses import replace

from starlette.requests import Request

from walkthroughs.swarm.config import JSON
from walkthroughs.swarm.go_types import (
    Bool,
    Integer,
    List,
    Map,
    Pointer,
    Struct,
    Text,
    Type,
    Words,
    decode,
)
from walkthroughs.swarm.handler import HTTPError, read_body

TYPES: dict[str, Type] = {
    "string": Text(),
    "bool": Bool(),
    "int": Integer("int", 64),
    "int64": Integer("int64", 64),
    "uint": Integer("uint", 64, signed=False),
    "uint16": Integer("uint16", 16, signed=False),
    "uint32": Integer("uint32", 32, signed=False),
    "uint64": Integer("uint64", 64, signed=False),
    "struct{}": Struct("struct {}", {}),
    "strslice.StrSlice": Words(),
}
"""All types that have a name."""

DECLARED = """
time.Duration = int64
fs.FileMode = uint32
nat.PortSet = map[nat.Port]struct{}

container.HealthConfig
    Test []string
    Interval, Timeout, StartPeriod time.Duration
    Retries int

container.Config
    Hostname, Domainname, User, Image, WorkingDir, MacAddress, StopSignal string
    AttachStdin, AttachStdout, AttachStderr, Tty, OpenStdin, StdinOnce bool
    ArgsEscaped, NetworkDisabled bool
    Env, OnBuild []string
    Cmd, Entrypoint, Shell strslice.StrSlice
    Labels map[string]string
    Volumes map[string]struct{}
    ExposedPorts nat.PortSet
    Healthcheck *container.HealthConfig
    StopTimeout *int

blkiodev.WeightDevice
    Path string
    Weight uint16
blkiodev.ThrottleDevice
    Path string
    Rate uint64
units.Ulimit
    Name string
    Hard, Soft int64
container.DeviceMapping
    PathOnHost, PathInContainer, CgroupPermissions string

container.Resources
    CpuShares, CpuPeriod, CpuQuota, CpuRealtimePeriod, CpuRealtimeRuntime int64
    CpuCount, CpuPercent, NanoCpus, PidsLimit, DiskQuota int64
    Memory, MemoryReservation, MemorySwap, KernelMemory int64
    MemorySwappiness *int64
    OomKillDisable *bool
    IOMaximumIOps, IOMaximumBandwidth uint64
    CgroupParent, CpusetCpus, CpusetMems string
    BlkioWeight uint16
    BlkioWeightDevice []*blkiodev.WeightDevice
    BlkioDeviceReadBps, BlkioDeviceWriteBps []*blkiodev.ThrottleDevice
    BlkioDeviceReadIOps, BlkioDeviceWriteIOps []*blkiodev.ThrottleDevice
    Devices []container.DeviceMapping
    DeviceCgroupRules []string
    Ulimits []*units.Ulimit

mount.Type = string
mount.Consistency = string
mount.Propagation = string
mount.BindOptions
    Propagation mount.Propagation
mount.Driver
    Name string
    Options map[string]string
mount.VolumeOptions
    NoCopy bool
    Labels map[string]string
    DriverConfig *mount.Driver
mount.TmpfsOptions
    SizeBytes int64
    Mode fs.FileMode
mount.Mount
    Type mount.Type
    Source, Target string
    ReadOnly bool
    Consistency mount.Consistency
    BindOptions *mount.BindOptions
    VolumeOptions *mount.VolumeOptions
    TmpfsOptions *mount.TmpfsOptions

container.NetworkMode = string
container.IpcMode = string
container.PidMode = string
container.UTSMode = string
container.UsernsMode = string
container.CgroupSpec = string
container.Isolation = string
container.LogConfig
    Type string
    Config map[string]string
container.RestartPolicy
    Name string
    MaximumRetryCount int
nat.PortBinding
    HostIp, HostPort string
nat.PortMap = map[nat.Port][]nat.PortBinding

container.HostConfig
    container.Resources
    NetworkMode container.NetworkMode
    IpcMode container.IpcMode
    PidMode container.PidMode
    UTSMode container.UTSMode
    UsernsMode container.UsernsMode
    Cgroup container.CgroupSpec
    Isolation container.Isolation
    ContainerIDFile, VolumeDriver, Runtime string
    AutoRemove, Privileged, PublishAllPorts, ReadonlyRootfs bool
    Init *bool
    OomScoreAdj int
    ShmSize int64
    ConsoleSize [2]uint
    Binds, VolumesFrom, Dns, DnsOptions, DnsSearch, ExtraHosts []string
    GroupAdd, Links, SecurityOpt []string
    CapAdd, CapDrop strslice.StrSlice
    StorageOpt, Tmpfs, Sysctls map[string]string
    LogConfig container.LogConfig
    RestartPolicy container.RestartPolicy
    PortBindings nat.PortMap
    Mounts []mount.Mount

network.EndpointIPAMConfig
    IPv4Address, IPv6Address string
    LinkLocalIPs []string
network.EndpointSettings
    IPAMConfig *network.EndpointIPAMConfig
    Links, Aliases []string
    NetworkID, EndpointID, MacAddress, Gateway, IPAddress string
    IPv6Gateway, GlobalIPv6Address string
    IPPrefixLen, GlobalIPv6PrefixLen int
    DriverOpts map[string]string
network.NetworkingConfig
    EndpointsConfig map[string]*network.EndpointSettings

cluster.OldContainerConfig
    container.Config
    HostConfig container.HostConfig
    NetworkingConfig network.NetworkingConfig
    Memory, MemorySwap, CpuShares int64
    Cpuset string

types.ExecConfig
    User, DetachKeys string
    Privileged, Tty, AttachStdin, AttachStderr, AttachStdout, Detach bool
    Env, Cmd []string

network.IPAMConfig
    Subnet, IPRange, Gateway string
    AuxiliaryAddresses map[string]string
network.IPAM
    Driver string
    Options map[string]string
    Config []network.IPAMConfig
network.ConfigReference
    Network string
types.NetworkCreateRequest
    Name, Driver, Scope string
    CheckDuplicate, EnableIPv6, Internal, Attachable, Ingress, ConfigOnly bool
    IPAM *network.IPAM
    ConfigFrom *network.ConfigReference
    Options, Labels map[string]string
types.NetworkConnect
    Container string
    EndpointConfig *network.EndpointSettings
types.NetworkDisconnect
    Container string
    Force bool

volume.VolumesCreateBody
    Name, Driver string
    DriverOpts, Labels map[string]string

types.AuthConfig
    username, password, auth, email, serveraddress, identitytoken, registrytoken string
"""
"""What Swarm v1.2.9 knows of a request, in Go's words, with the names that JSON has."""


def type_of(text: str) -> Type:
    """Return the type that Go calls `[]*units.Ulimit`."""
    if text in TYPES:
        return TYPES[text]
    if text.startswith("*"):
        return Pointer(type_of(text[1:]))
    # `[]string`, `[2]uint`, `map[string]string`: the text in brackets tells them apart.
    kind, _, rest = text.partition("[")
    inside, _, item = rest.partition("]")
    if kind == "map":
        return Map(type_of(item))
    return List(type_of(item), int(inside or 0))


def fields_of(lines: Iterable[str]) -> dict[str, Type]:
    """Return declared fields; a line with nothing but a type includes its fields."""
    fields: dict[str, Type] = {}
    for line in lines:
        names, _, kind = line.strip().rpartition(" ")
        if names:
            fields |= dict.fromkeys(names.split(", "), type_of(kind))
        elif isinstance(included := TYPES[kind], Struct):
            fields |= included.fields
    return fields


def declare(text: str) -> None:
    """Add to `TYPES` what is declared, one type after another."""
    paragraphs: list[list[str]] = []
    for line in filter(None, text.splitlines()):
        if line.startswith(" "):
            paragraphs[-1].append(line)
        else:
            paragraphs.append([line])
    for head, *lines in paragraphs:
        name, _, same = head.partition(" = ")
        kind = type_of(same) if same else Struct(name, fields_of(lines))
        if isinstance(kind, Text | Integer | Map):
            kind = replace(kind, name=name)
        TYPES[name] = kind


declare(DECLARED)

BOOL, STRINGS = TYPES["bool"], type_of("[]string")
CONTAINER_CREATE = TYPES["cluster.OldContainerConfig"]
EXEC = TYPES["types.ExecConfig"]
NETWORK_CREATE = TYPES["types.NetworkCreateRequest"]
NETWORK_CONNECT = TYPES["types.NetworkConnect"]
NETWORK_DISCONNECT = TYPES["types.NetworkDisconnect"]
VOLUME_CREATE = TYPES["volume.VolumesCreateBody"]
AUTH = TYPES["types.AuthConfig"]


async def read_json(request: Request, kind: Type) -> JSON:
    """Return the body of a request; raise `HTTPError` if it is not of the type."""
    return decode(await read_body(request), kind)


def read_auth(request: Request) -> JSON:
    """Return who asks a registry, by `X-Registry-Auth`; {} if nobody can be read."""
    header = request.headers.get("X-Registry-Auth", "")
    try:
        return decode(base64.b64decode(header, b"-_", validate=True), AUTH)
    except (ValueError, HTTPError):
        return {}
