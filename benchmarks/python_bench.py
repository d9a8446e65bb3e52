#!/usr/bin/env python3
"""What Python costs: `./dev bench python [--json] [--quick]`.

drain, enqueue_bulk: tasks a second; read_rows, read_columns: seconds for 100,000 tickets; import_ms;
leak_bytes: what 10 rounds of 1,000 tasks left behind. The peers are those Python queues of Debian that
are there, with a redis of their own, in the same run.
"""

import argparse
import gc
import json
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent


cpu = {}  # of the quickest round of each figure, in seconds of the processor


def seconds(work, name=""):
    begin, busy = time.perf_counter(), time.process_time()
    work()
    took = time.perf_counter() - begin
    cpu[name] = min(cpu.get(name, 1e9), time.process_time() - busy)
    return took


def best(rounds, work):
    return min(work() for _ in range(rounds))


def import_ms(rounds):
    code = "import time; t = time.perf_counter(); import bureau; print((time.perf_counter() - t) * 1000)"
    found = [float(subprocess.run([sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True).stdout)
             for _ in range(rounds)]
    return statistics.median(found)


def rss():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def queue(folder, tasks, rounds):
    import bureau

    kind = bureau.TaskKind("nothing")
    drains, enqueues = [], []
    for i in range(rounds):
        with bureau.open(f"{folder}/q{i}.db", tenant="T", durability="relaxed") as office:
            office.agent(kind)(lambda run, payload: None)
            payloads = [{"n": n} for n in range(tasks)]
            enqueues.append(tasks / seconds(lambda: office.enqueue_all(payloads, kind=kind), "enqueue_bulk"))
            office.start_polled()
            drains.append(tasks / seconds(lambda: drain(office), "drain"))
            assert office["tasks"].count("status = \"completed\"") == tasks
    return max(drains), max(enqueues)


def drain(office):
    while office.poll(4096)[0]:
        pass


def reading(folder, rows, rounds):
    import bureau
    from bureau import Ticket, User

    with bureau.open(f"{folder}/r.db", tenant="T", durability="relaxed") as office:
        ada = office[User].insert(User(email="a@example.com", role="customer"))
        made = [Ticket(number=n + 1, subject=f"Ticket {n}", customer=ada, status="new", custom={}) for n in range(rows)]
        for at in range(0, rows, 10_000):
            office[Ticket].insert_all(made[at:at + 10_000])
        del made
        scale = 100_000 / rows
        as_rows = best(rounds, lambda: seconds(lambda: office[Ticket].list(limit=rows), "read_rows"))
        as_columns = best(rounds, lambda: seconds(lambda: office[Ticket].columns(), "read_columns"))
        assert len(office[Ticket].columns(only=["id"])["id"]) == rows
        return as_rows * scale, as_columns * scale


def leak(folder, tasks):
    """What the last of 10 rounds has more than the third: by Python's count, and by the system's."""
    import tracemalloc

    import bureau

    kind = bureau.TaskKind("nothing")
    traced, resident = [], []
    with bureau.open(f"{folder}/l.db", tenant="T", durability="relaxed") as office:
        office.agent(kind)(lambda run, payload: {"n": payload["n"]})
        office.start_polled()
        tracemalloc.start()
        for _ in range(10):
            office.enqueue_all([{"n": n} for n in range(tasks)], kind=kind)
            drain(office)
            gc.collect()
            traced.append(tracemalloc.get_traced_memory()[0])
            resident.append(rss())
        tracemalloc.stop()
    return max(0, traced[-1] - traced[2]), max(0, resident[-1] - resident[2])


# Peers ------------------------------------------------------------------------------------------------

RQ = """
import sys, time
from redis import Redis
from rq import Queue, SimpleWorker
import rq_task
redis = Redis(port=int(sys.argv[1]))
queue = Queue(connection=redis)
for n in range(int(sys.argv[2])):
    queue.enqueue(rq_task.nothing, n)
begin = time.perf_counter()
SimpleWorker([queue], connection=redis).work(burst=True, logging_level="ERROR")
print("RATE", int(sys.argv[2]) / (time.perf_counter() - begin))
"""

CELERY = """
import sys, threading, time
from celery import Celery
app = Celery("peer", broker=f"redis://127.0.0.1:{sys.argv[1]}/1")
app.conf.update(worker_prefetch_multiplier=256, task_ignore_result=True, worker_redirect_stdouts=False)
total, done, begin = int(sys.argv[2]), 0, None
@app.task
def nothing(n):
    global done
    done += 1
    if done == total:
        print("RATE", total / (time.perf_counter() - begin), flush=True)
        app.control.shutdown()
for n in range(total):
    nothing.delay(n)
begin = time.perf_counter()
app.worker_main(["worker", "--pool=solo", "--loglevel=ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat"])
"""


def peers(folder, tasks):
    server = shutil.which("redis-server")
    if server is None:
        return {}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    redis = subprocess.Popen([server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    found = {}
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 0.1).close()
                break
            except OSError:
                time.sleep(0.02)
        pathlib.Path(folder, "rq_task.py").write_text("def nothing(n):\n    return None\n")
        for name, code in (("rq", RQ), ("celery", CELERY)):
            done = subprocess.run([sys.executable, "-c", code, str(port), str(tasks)], cwd=folder, capture_output=True,
                                  text=True, timeout=300, env={**os.environ, "PYTHONPATH": folder})
            rate = re.search(r"^RATE (\S+)$", done.stdout, re.MULTILINE)
            if rate:
                found[name] = float(rate.group(1))
            else:
                print(f"{name} did not run: {done.stderr[-300:]}", file=sys.stderr)
    finally:
        redis.terminate()
        redis.wait()
    return found


def main():
    parser = argparse.ArgumentParser()
    for option in ("--json", "--quick", "--long"):
        parser.add_argument(option, action="store_true")
    given = parser.parse_args()
    tasks, rows, rounds = (2_000, 5_000, 1) if given.quick else (50_000, 100_000, 5 if given.long else 3)
    with tempfile.TemporaryDirectory() as folder:
        found = {"import_ms": import_ms(3 if given.quick else 9)}
        found["drain"], found["enqueue_bulk"] = queue(folder, tasks, rounds)
        found["read_rows"], found["read_columns"] = reading(folder, rows, rounds)
        found["leak_bytes"], found["leak_rss_bytes"] = leak(folder, 100 if given.quick else 1_000)
        others = {} if given.quick else peers(folder, 3_000)
    for name, rate in others.items():
        found[f"peer_{name}"] = rate
        found[f"drain_over_{name}"] = found["drain"] / rate
    # On a machine that others use too: what it would be with a processor to itself, at most.
    found["drain_cpu"], found["enqueue_bulk_cpu"] = tasks / cpu["drain"], tasks / cpu["enqueue_bulk"]
    found["read_rows_cpu"] = cpu["read_rows"] * 100_000 / rows
    found["read_columns_cpu"] = cpu["read_columns"] * 100_000 / rows
    found["load"] = os.getloadavg()[0]
    units = {"drain": "1/s", "enqueue_bulk": "1/s", "read_rows": "s", "read_columns": "s", "import_ms": "ms",
             "leak_bytes": "bytes", "leak_rss_bytes": "bytes"}
    for name, value in found.items():
        unit = units.get(name.removesuffix("_cpu"), "1/s" if name.startswith("peer_") else "")
        line = {"bench": "python", "metric": name, "value": round(value, 4), "unit": unit}
        print(json.dumps(line) if given.json else f"python.{name:24} {value:,.4g} {unit}")


if __name__ == "__main__":
    main()
