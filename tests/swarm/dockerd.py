"""Real Docker engines, each on a node of its own, behind gates that a test can shut."""

import hashlib
import http.client
import io
import json
import os
import select
import shutil
import socket
import struct
import subprocess
import tarfile
import tempfile
import threading
import time
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from platform import machine
from urllib.parse import quote

DEADLINE = 30
"""Seconds until a daemon that should start or end is given up."""

IMAGE = "busybox:latest"
NEEDED = ("docker", "dockerd", "busybox", "bash", "unshare")

NAMESPACES = ("unshare", "--uts", "--mount", "--net")

# A node: its own host name, network, /run, /etc/docker and, in memory, disk. Its processes live in
# a process namespace and end with it, which ends with the input, however that came to be closed.
NODE = """
set -e
folder=$1 name=$2 group=/sys/fs/cgroup; shift 2
trap 'set +e; umount "$folder/data"; rm -r "$folder"' EXIT
mkdir -p "$folder/data" /etc/docker
for place in "$folder/data" /etc/docker /run; do mount -t tmpfs node "$place"; done
hostname "$name"
busybox ip link set lo up
if ! [ -w $group/devices ] && ! [ -w $group/cgroup.procs ]; then
    mount -t tmpfs cgroup $group
    for one in cpuset cpu cpuacct blkio memory devices freezer pids; do
        mkdir $group/$one
        mount -t cgroup -o $one cgroup $group/$one || rmdir $group/$one
    done
    [ -d $group/devices ] || { umount $group; mount -t cgroup2 cgroup2 $group; }
fi
unshare --pid --fork --mount-proc bash -c '
while read -r order && [[ $order != end ]]; do
    case $order in
    start) { dockerd "$@" >&2; echo "$?"; } & ;;
    *) kill -s "$order" "$(<"$0")" ;;
    esac
done' "$folder/data/pid" "$@" || true
find $group -depth -type d -path "*/${folder##*/}*" -exec rmdir {} +
"""

# What each engine says of itself; the rest of its flags are places.
FLAGS = (
    "--bridge=none",
    "--exec-opt=native.cgroupdriver=cgroupfs",
    "--ip6tables=false",
    "--iptables=false",
    "--shutdown-timeout=2",
    "--storage-driver=vfs",
)


def refusal():
    """Say why this machine lets nobody make a node; nothing if it does."""
    line = [*NAMESPACES, "--pid", "--fork", "true"]
    return subprocess.run(line, capture_output=True, text=True).stderr.strip()


class Gate:
    """A TCP proxy on a port of its own in front of "host:port" or of a Unix socket's path."""

    def __init__(self, target):
        self.target = target
        # It is bound and never listens: so the port stays ours while connections are refused.
        self._held = _bound(0)
        self._port = self._held.getsockname()[1]
        self.address = f"127.0.0.1:{self._port}"
        self._changed = threading.Condition()
        self._lines = set()
        self._listener = None
        self.mend()

    def mend(self):
        """Let everything through, and what was held up first."""
        self._listen()
        self._set(passing=True)

    def freeze(self):
        """Accept connections and pass nothing on, as if a cable were pulled."""
        self._set(passing=False)
        self._listen()

    def cut(self):
        """Reset the connections there are, and refuse new ones."""
        if self._listener:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._accepting.join()
            self._listener = None
        for line in list(self._lines):
            line.drop()

    def close(self):
        """Cut, and give the port back."""
        self.cut()
        self._held.close()

    def passes(self, line):
        """Wait until the gate lets this line through; return whether it is not cut instead."""
        with self._changed:
            self._changed.wait_for(lambda: self._passing or line.dropped)
        return not line.dropped

    def _set(self, passing):
        with self._changed:
            self._passing = passing
            self._changed.notify_all()

    def _listen(self):
        if not self._listener:
            self._listener = _bound(self._port)
            self._listener.listen(128)
            self._accepting = threading.Thread(target=self._accept, daemon=True)
            self._accepting.start()

    def _accept(self):
        listener = self._listener
        with suppress(OSError):
            while True:
                _Line(self, listener.accept()[0], self._lines)


class _Line:
    """One connection through a gate, carried by a thread for each direction."""

    def __init__(self, gate, near, lines):
        self.dropped = False
        self._gate, self._near, self._lines = gate, near, lines
        self._far = socket.socket(socket.AF_UNIX if gate.target[0] == "/" else socket.AF_INET)
        lines.add(self)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def drop(self):
        """End both connections, the near one by a reset."""
        self._give_up(socket.SHUT_RD)
        self._thread.join(0.2)
        if self._thread.is_alive():  # it is sending to someone who does not read
            self._give_up(socket.SHUT_RDWR)
            self._thread.join()

    def _give_up(self, how):
        with self._gate._changed:
            self.dropped = True
            self._gate._changed.notify_all()
        # A call that waits for data keeps a socket open, whoever closes it: so end the call first.
        for end, way in ((self._near, how), (self._far, socket.SHUT_RDWR)):
            with suppress(OSError):
                end.shutdown(way)

    def _run(self):
        with suppress(OSError):
            if self._gate.passes(self):
                self._connect()
                back = threading.Thread(target=self._copy, args=(self._far, self._near))
                back.start()
                self._copy(self._near, self._far)
                back.join()
        if self.dropped:
            self._near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._near.close()
        self._far.close()
        self._lines.discard(self)

    def _connect(self):
        host, _, port = self._gate.target.rpartition(":")
        try:
            self._far.connect((host, int(port)) if host else self._gate.target)
        except OSError:
            self.dropped = True
            raise

    def _copy(self, source, target):
        try:
            while data := source.recv(65536):
                if not self._gate.passes(self):
                    return
                target.sendall(data)
            if self._gate.passes(self):
                target.shutdown(socket.SHUT_WR)
        except OSError:
            self._give_up(socket.SHUT_RD)


def _bound(port):
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound


class _Unix(http.client.HTTPConnection):
    """A connection to the server of a Unix socket."""

    def __init__(self, path):
        super().__init__("docker", timeout=DEADLINE)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Refused(Exception):
    """An engine's error: its HTTP status and its message."""


class Docker:
    """A real engine on a node of its own: host name, network and disk; a context manager.

    A container, as on a real node, is still there after `stop` or `kill`, but does not run. A node
    has no network `bridge`: a container is run with `--network=none` or in a network of the test's.
    """

    def __init__(self, name, *labels):
        self.name = name
        self.running = False
        folder = Path(tempfile.mkdtemp(prefix="node-"))
        self.socket = str(folder / "docker.sock")
        self._folder, self._log = folder, tempfile.TemporaryFile()  # noqa: SIM115
        line = [*NAMESPACES, "sh", "-c", NODE, "node", folder, name, *self._flags(labels)]
        pipes = {
            "stdin": subprocess.PIPE,
            "stdout": subprocess.PIPE,
            "stderr": self._log,
            "bufsize": 0,
        }
        # In a session of its own, for Ctrl-C in the terminal is meant for pytest.
        self._node = subprocess.Popen(line, **pipes, start_new_session=True)
        self.gate, self._door = Gate(self.socket), Gate(self.socket)
        self.address, self.direct = self.gate.address, self._door.address

    def _flags(self, labels):
        data = self._folder / "data"
        places = {"data-root": data / "lib", "exec-root": data / "run", "pidfile": data / "pid"}
        places |= {"host": f"unix://{self.socket}", "cgroup-parent": f"/{self._folder.name}"}
        return [
            *FLAGS,
            *(f"--{name}={value}" for name, value in places.items()),
            *(f"--label={label}" for label in labels),
        ]

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def start(self):
        """Start the daemon, wait until it answers, and mend its gate."""
        if not self.running:
            self._order("start")
            self._wait_until_it_answers()
            self.running = True
        self._door.mend()
        self.gate.mend()
        self._load_image()

    def stop(self):
        """End the daemon in order; wait until it has ended. Its ports refuse connections then."""
        self._end("TERM")

    def kill(self):
        """End the daemon at once, as a crash does; its ports refuse connections then."""
        self._end("KILL")

    def close(self):
        """End the node and every process on it; leave nothing behind."""
        self.gate.close()
        self._door.close()
        self._order("end")
        self._node.stdin.close()
        self._node.wait(DEADLINE)
        self._node.stdout.close()
        self._log.close()

    def log(self):
        """Return what the daemon has logged so far."""
        return os.pread(self._log.fileno(), 1 << 24, 0).decode(errors="replace")

    def cli(self, *arguments):
        """Run the real client on the daemon itself; return what it prints."""
        line = ["docker", *arguments]
        home = str(self._folder / "data")  # in the node only: the client keeps nothing
        env = {"PATH": os.environ["PATH"], "HOME": home, "DOCKER_HOST": f"tcp://{self.direct}"}
        done = subprocess.run(line, env=env, capture_output=True, text=True, timeout=DEADLINE)
        if done.returncode:
            raise AssertionError(f"{self.name}: {' '.join(line)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def ask(self, method, path, body=None, **query):
        """Call the daemon's API; return what its JSON says. Raise Refused."""
        asked = "&".join(f"{name}={quote(str(value))}" for name, value in query.items())
        with closing(_Unix(self.socket)) as connection:
            connection.request(method, f"{path}?{asked}", body)
            answer = connection.getresponse()
            said = answer.read()
        if answer.status >= 400:
            raise Refused(answer.status, json.loads(said)["message"])
        json_said = answer.headers.get_content_type() == "application/json"
        return json.loads(said) if said and json_said else said

    def renew(self):
        """Clean for the next test: what a frozen gate still holds does not come to it later."""
        self.gate.cut()
        self.clean()

    def clean(self):
        """Remove containers, networks, volumes and images; a daemon that is down comes back."""
        self.start()
        self._remove("containers", lambda: self._ids("/containers/json", all=1), force=1, v=1)
        custom = json.dumps({"type": ["custom"]})
        self._remove("networks", lambda: self._ids("/networks", filters=custom))
        self._remove("volumes", self._volumes, force=1)
        self._remove("images", self._images, force=1)
        self._load_image()

    def _ids(self, path, **query):
        return [found["Id"] for found in self.ask("GET", path, **query)]

    def _volumes(self):
        return [volume["Name"] for volume in self.ask("GET", "/volumes")["Volumes"] or []]

    def _images(self):
        found = {
            image["Id"]: image["RepoTags"] or [] for image in self.ask("GET", "/images/json", all=1)
        }
        tags = found.pop(busybox()[0], [])
        return [*found, *(tag for tag in tags if tag != IMAGE)]

    def _remove(self, kind, listed, **query):
        """Remove until none is listed: one may be on its way out, or in another's way."""
        end = time.monotonic() + DEADLINE
        while names := listed():
            for name in names:
                try:
                    self.ask("DELETE", f"/{kind}/{name}", **query)
                except Refused as refused:
                    if refused.args[0] not in (404, 409) or time.monotonic() > end:
                        raise

    def _load_image(self):
        """See that the image is there, of the same ID on each engine."""
        image, archive = busybox()
        tags = {one["Id"]: one["RepoTags"] or [] for one in self.ask("GET", "/images/json")}
        if IMAGE not in tags.get(image, []):
            self.ask("POST", "/images/load", archive)

    def _order(self, order):
        with suppress(BrokenPipeError):  # who waits for an answer sees that the node has ended
            self._node.stdin.write(f"{order}\n".encode())

    def _end(self, signal):
        if self.running:
            self.running = False
            self._order(signal)
            self._node.stdout.readline()
        self.gate.cut()
        self._door.cut()

    def _wait_until_it_answers(self):
        end = time.monotonic() + DEADLINE
        while True:
            with suppress(OSError):
                return self.ask("GET", "/_ping")
            ended, _, _ = select.select([self._node.stdout], [], [], 0.02)
            if ended or time.monotonic() > end:
                raise AssertionError(f"{self.name} does not start:\n{self.log()}")


@cache
def busybox():
    """Return the ID of an image with the machine's busybox in it, and its archive.

    It is the same on each engine, as an image that was pulled is.
    """
    program = Path(shutil.which("busybox")).resolve().read_bytes()
    listed = subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True)
    applets = {f"bin/{name}": "busybox" for name in listed.stdout.split() if name != "busybox"}
    layer = _tar({"bin/busybox": program}, applets)
    config = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(machine(), machine()),
        "os": "linux",
        "created": "2020-01-01T00:00:00Z",
        # The first process of a container ignores SIGTERM: nobody need wait until it is killed.
        "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"], "StopSignal": "SIGKILL"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    text = json.dumps(config).encode()
    name = hashlib.sha256(text).hexdigest()
    manifest = [{"Config": f"{name}.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]
    files = {
        f"{name}.json": text,
        "layer.tar": layer,
        "manifest.json": json.dumps(manifest).encode(),
    }
    return f"sha256:{name}", _tar(files)


def _tar(files, links=()):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o755
            archive.addfile(member, io.BytesIO(data))
        for name in links:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, links[name]
            archive.addfile(member)
    return out.getvalue()
