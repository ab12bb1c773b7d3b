"""What peers need for the same work, in Python: asyncssh with a sentinel loop written by hand, and otto-sh.

    peers.py local
    peers.py ssh PORT USER KEY
    peers.py connect PORT USER KEY

Prints a line for each peer: wall and client CPU time of one `true`, in microseconds, medians of batches.
"""

import asyncio
import statistics
import sys
import time

BATCHES, EACH = 15, 100
SHELL = "exec bash --norc --noprofile --noediting -i +m 2>/dev/null"


def shown(name, wall, cpu):
    wall, cpu = statistics.median(wall), statistics.median(cpu)
    print(f"  {name:28} {wall:8.1f}, CPU {cpu:6.1f}", flush=True)


async def batches(name, once, count=BATCHES, each=EACH):
    wall, cpu = [], []
    for _ in range(count):
        began, used = time.perf_counter(), time.process_time()
        for _ in range(each):
            await once()
        wall.append((time.perf_counter() - began) * 1e6 / each)
        cpu.append((time.process_time() - used) * 1e6 / each)
    shown(name, wall, cpu)


def asyncssh_connection(port, user, key):
    import asyncssh

    return asyncssh.connect("127.0.0.1", port=int(port), username=user, client_keys=[key], known_hosts=None, config=None)


class Sentinel:
    """A shell on a channel, and a line after each command that says that it has ended."""

    def __init__(self, process):
        self.process, self.number = process, 0

    @classmethod
    async def over(cls, connection):
        return cls(await connection.create_process(SHELL))

    async def run(self, command):
        self.number += 1
        mark = f"__end_{self.number}_"
        self.process.stdin.write(f"{command}; echo {mark}$?\n")
        output = []
        while True:
            line = await self.process.stdout.readline()
            if line.startswith(mark):
                return "".join(output), int(line[len(mark):])
            output.append(line)


async def by_asyncssh(port, user, key):
    async with asyncssh_connection(port, user, key) as connection:
        shell = await Sentinel.over(connection)
        assert await shell.run("echo hi") == ("hi\n", 0)
        await batches("asyncssh, a sentinel loop", lambda: shell.run("true"))


async def connect_by_asyncssh(port, user, key):
    async def once():
        async with asyncssh_connection(port, user, key) as connection:
            shell = await Sentinel.over(connection)
            await shell.run("true")

    await batches("asyncssh", once, count=15, each=1)


def otto_host(kind, *where):
    """A host of otto-sh, or the reason why there is none."""
    try:
        import otto.host as hosts

        if kind == "local":
            return hosts.LocalHost()
        from otto.host.element import Element

        port, user, key = where
        options = {"port": int(port), "client_keys": [key]}
        account = {"login": user, "password": "not used"}
        described = {"ip": "127.0.0.1", "os_type": "unix", "creds": [account], "ssh_options": options}
        return hosts.create_host_from_dict(described, element=Element(name="peer"))
    except Exception as error:  # noqa: BLE001: a peer whose interface is another is left out, and said so
        print(f"  otto-sh                      not measured: {type(error).__name__}: {error}", flush=True)


async def by_otto(kind, *where):
    host = otto_host(kind, *where)
    if host is None:
        return
    try:
        await host.run("true")
        await batches("otto-sh", lambda: host.run("true"), count=5)
    except Exception as error:  # noqa: BLE001
        print(f"  otto-sh                      not measured: {type(error).__name__}: {error}", flush=True)
    finally:
        await host.close()


async def main():
    kind, *where = sys.argv[1:]
    if kind == "ssh":
        await by_asyncssh(*where)
    if kind == "connect":
        await connect_by_asyncssh(*where)
    if kind in ("local", "ssh"):
        await by_otto(kind, *where)


asyncio.run(main())
