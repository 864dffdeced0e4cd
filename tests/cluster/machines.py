"""Three machines on this one: network namespaces with an address each, joined to a Ray cluster whose head has no core."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

NETWORK = "198.18.77"  # of a range for tests of networks
HEAD = f"{NETWORK}.1:6379"


class Machines:
    """The head, and two machines of one core each; ``settings`` belong into the environment of who uses them."""

    def __init__(self):
        self._name = f"m{os.getpid()}"
        self._folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # names of sockets are short
        self.settings = {
            "RAY_ADDRESS": HEAD,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
        }

    def start(self):
        ip("link", "add", f"{self._name}b", "type", "bridge")
        ip("link", "set", f"{self._name}b", "up")
        for number in (1, 2, 3):
            space, cable = self.space(number), f"{self._name}v{number}"
            ip("netns", "add", space)
            ip("link", "add", cable, "type", "veth", "peer", "name", "e0", "netns", space)
            ip("link", "set", cable, "master", f"{self._name}b", "up")
            ip("-n", space, "addr", "add", f"{NETWORK}.{number}/24", "dev", "e0")
            for device in ("e0", "lo"):
                ip("-n", space, "link", "set", device, "up")
            ip("-n", space, "route", "add", "default", "dev", "e0")
            place = [
                "--head",
                "--port=6379",
                "--num-cpus=0",
                "--include-dashboard=false",
                f"--temp-dir={self._folder}",
            ]
            join = [f"--address={HEAD}", "--num-cpus=1"]
            ray = [
                sys.executable,
                "-m",
                "ray.scripts.scripts",
                "start",
                f"--node-ip-address={NETWORK}.{number}",
            ]
            started = self.run(
                number, [*ray, "--object-store-memory=100000000", *(place if number == 1 else join)]
            )
            assert started.returncode == 0, started.stderr

    def space(self, number):
        return f"{self._name}-{number}"

    def popen(self, number, command, **how):
        """A process on a machine."""
        environment = os.environ | self.settings
        return subprocess.Popen(["ip", "netns", "exec", self.space(number), *command], env=environment, **how)

    def run(self, number, command):
        with tempfile.TemporaryFile("w+") as said:  # not a pipe, which the daemons would hold open
            code = self.popen(number, command, stdout=said, stderr=said).wait(timeout=120)
            said.seek(0)
            return subprocess.CompletedProcess(command, code, stderr=said.read())

    def workers(self, number):
        """Those of a machine's processes that run shards."""
        return [
            p
            for p in self._processes(number)
            if b"ShardWorker.run" in Path(f"/proc/{p}/cmdline").read_bytes()
        ]

    def kill(self, number):
        """As a power cut: all of a machine's processes at once."""
        for process in self._processes(number):
            os.kill(process, signal.SIGKILL)

    def cut(self, number):
        """Pull the machine's cable out; its processes go on."""
        ip("-n", self.space(number), "link", "set", "e0", "down")

    def _processes(self, number):
        listed = subprocess.run(["ip", "netns", "pids", self.space(number)], capture_output=True, check=False)
        return [int(process) for process in listed.stdout.split()]

    def stop(self):
        for number in (1, 2, 3):
            until = time.monotonic() + 20
            while self._processes(number) and time.monotonic() < until:
                self.kill(number)
                time.sleep(0.05)
            subprocess.run(["ip", "netns", "del", self.space(number)], stderr=subprocess.DEVNULL, check=False)
        subprocess.run(["ip", "link", "del", f"{self._name}b"], stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(self._folder, ignore_errors=True)


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


def can_have_machines():
    """Whether this user may make network namespaces here."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    name = f"m{os.getpid()}-try"
    if subprocess.run(["ip", "netns", "add", name], stderr=subprocess.DEVNULL, check=False).returncode:
        return False
    ip("netns", "del", name)
    return True


@contextmanager
def three_machines():
    machines = Machines()
    try:
        machines.start()
        yield machines
    finally:
        machines.stop()
