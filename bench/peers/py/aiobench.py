#!/usr/bin/python3
"""Peer: Python's asyncio, on its own loop or on uvloop. usage: aiobench.py <asyncio|uvloop> NAME

Tasks, asyncio.Queue for channels (it has no unbuffered one), call_later for timers, asyncio.sleep for
sleepers, a Protocol for the echo server: that is faster than its streams.
"""
import asyncio
import sys
import time

now = time.perf_counter_ns


def status_kb(key):
    with open("/proc/self/status", encoding="ascii") as lines:
        for line in lines:
            if line.startswith(key + ":"):
                return int(line.split()[1])
    return -1


def result(name, value, unit):
    print(f"RESULT {name} {value:.4f} {unit}", flush=True)


def sleep_s(i):
    return (1000 + i * 7919 % 9001) / 1000


async def turns(n):
    for _ in range(n):
        await asyncio.sleep(0)


async def nothing():
    pass


async def switch(name, tasks):
    n = 200000 // tasks
    start = now()
    await asyncio.gather(*[turns(n) for _ in range(tasks)])
    result(name, (now() - start) / (n * tasks), "ns/switch")


async def spawn_one(name):
    n = 100000
    start = now()
    for _ in range(n):
        await asyncio.create_task(nothing())
    result(name, (now() - start) / n, "ns/task")


async def spawn_many(name):
    n, batch = 200000, 1000
    start = now()
    for _ in range(n // batch):
        await asyncio.gather(*[nothing() for _ in range(batch)])
    result(name, (now() - start) / n, "ns/task")


async def channel(name, capacity):
    n = 200000
    queue = asyncio.Queue(capacity)

    async def produce():
        for i in range(n):
            await queue.put(i)

    async def consume():
        for _ in range(n):
            await queue.get()

    start = now()
    await asyncio.gather(produce(), consume())
    result(name, (now() - start) / n, "ns/item")


async def timers(name):
    n = 1000000
    loop = asyncio.get_running_loop()
    start = now()
    handles = [loop.call_later(10 + i * 7919 % 50000 / 1000, nothing) for i in range(n)]
    for handle in handles:
        handle.cancel()
    result(name, (now() - start) / n, "ns/op")


async def churn(name):
    n = 500000
    loop = asyncio.get_running_loop()
    start = now()
    for i in range(n):
        loop.call_later(10, nothing).cancel()
        if i % 1000 == 0:  # cancelled handles are only dropped between turns
            await asyncio.sleep(0)
    result(name, (now() - start) / n, "ns/op")


async def sleepers(name):
    n = 1000000
    rss, cpu, start = status_kb("VmRSS"), time.process_time(), now()
    tasks = [asyncio.create_task(asyncio.sleep(sleep_s(i))) for i in range(n)]
    create = now() - start
    await asyncio.wait(tasks)
    result(name + "/cpu_s", time.process_time() - cpu, "s")
    result(name + "/rss_b", (status_kb("VmHWM") - rss) * 1024 / n, "B")
    result(name + "/create_s", create / 1e9, "s")


async def processes(name):
    n = 300
    start = now()
    for _ in range(n):
        await (await asyncio.create_subprocess_exec("/bin/true")).wait()
    result(name, n * 1e9 / (now() - start), "/s")


class Echo(asyncio.Protocol):
    transport = None

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def echo():
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0, backlog=4096)
    print("PORT", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def start_up():
    print(time.clock_gettime_ns(time.CLOCK_MONOTONIC))


def main():
    library, name = sys.argv[1:3]
    benches = {
        "switch/2": lambda: switch(name, 2),
        "switch/1000": lambda: switch(name, 1000),
        "spawn_join/1": lambda: spawn_one(name),
        "spawn_join/1000": lambda: spawn_many(name),
        "channel/1": lambda: channel(name, 1),
        "channel/64": lambda: channel(name, 64),
        "process_spawn/rate": lambda: processes(name),
        "timers/1m": lambda: timers(name),
        "timers/churn": lambda: churn(name),
        "sleepers/1m": lambda: sleepers(name),
        "echo": echo,
        "startup/ms": start_up,
    }
    if name not in benches:
        sys.exit(2)
    if library == "uvloop":
        import uvloop
        uvloop.install()
    asyncio.run(benches[name]())


main()
