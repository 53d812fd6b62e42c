#!/usr/bin/env python3
"""Run workload W1 as shipped and print what it costs: best of three, the results checked.

usage: bench.py [RECORDS=1000000] [RUNS=3]

CPU is user + system of the whole process as its parent sees it (wait4), the broker left out; memory
is its peak resident set. Through Kafka: the script at TIDEMARK_TEST_KAFKA if it is there, 4
partitions, lz4. Exit 1 if a result is wrong.
"""
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TIDEMARK = ROOT / ".build/release/tidemark"
TOPICS = {"w1": 4, "w1-aggregates": 4, "w1-aggregates-sketches": 4, "w1-alerts": 1, "w1-dead-letters": 1}


def measured(args, **more):
    """One process: its seconds, CPU-seconds and peak memory, and what it printed."""
    started = time.monotonic()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(args, stdout=out, cwd=ROOT, **more)
        _, status, usage = os.wait4(process.pid, 0)
        out.seek(0)
        text = out.read().decode()
    seconds = time.monotonic() - started
    if status != 0:
        sys.exit(f"{args[0]} ended with status {status}:\n{text}")
    return {"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime,
            "mb": usage.ru_maxrss / 1024, "out": text}


def make_w1(work, records):
    """W1 and its reference in a folder, written once."""
    work.mkdir(parents=True, exist_ok=True)
    if not (work / f"made-{records}").exists():
        print("writing W1 …", flush=True)
        subprocess.run([sys.executable, ROOT / "Benchmarks/w1.py", work, str(records)], check=True)
        (work / f"made-{records}").touch()


def report(name, records, runs):
    best = min(runs, key=lambda r: r["cpu"])
    million = records / 1e6
    print(f"{name:<34} {records / best['seconds']:>10,.0f} records/s   {best['cpu'] / million:5.2f} CPU-s per million"
          f"   peak {max(r['mb'] for r in runs):5.1f} MB   (CPU of all runs: "
          + ", ".join(f"{r['cpu'] / million:.2f}" for r in runs) + ")", flush=True)


def check(work, out):
    result = subprocess.run([sys.executable, ROOT / "Benchmarks/w1_check.py", work / "w1.ndjson", work / "w1.ref.json",
                             out / "w1-aggregates.ndjson", "--sketches", out / "w1-aggregates-sketches.ndjson"],
                            capture_output=True, text=True)
    print("  " + result.stdout.strip().replace("\n", "\n  "), flush=True)
    return result.returncode == 0


def main():
    records = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT).stdout.strip()
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    print(f"W1, {records:,} records; {model}, {os.cpu_count()} cores; commit {commit}; "
          + subprocess.run([TIDEMARK, "version"], capture_output=True, text=True).stdout.strip(), flush=True)
    work = ROOT / "out/bench"
    make_w1(work, records)
    good = True
    data, out = work / "w1.ndjson", work / "file"
    runs = []
    for _ in range(count):
        shutil.rmtree(out, ignore_errors=True)
        runs.append(measured([TIDEMARK, "run", "topologies/w1.yaml", "--input", data, "--output", out, "--until-end", "--json",
                              "--set", "run.workers=1"]))
    report("from a file, one worker", records, runs)
    good &= check(work, out)

    script = os.environ.get("TIDEMARK_TEST_KAFKA", str(ROOT / "../shared/kafka/kafka"))
    if not os.access(script, os.X_OK):
        print(f"no Kafka script at {script}: the runs through Kafka are left out")
        sys.exit(not good)
    environment = dict(os.environ, KAFKA_DIR=str(work / "kafka"), KAFKA_PORT="23092")

    def kafka(*args):
        return subprocess.run([script, *args], env=environment, capture_output=True, text=True)

    try:
        print("starting Kafka …", flush=True)
        kafka("up")
        brokers = kafka("bootstrap").stdout.strip()
        environment["TIDEMARK_BROKERS"] = brokers
        for topic, partitions in TOPICS.items():
            kafka("topics", "--create", "--topic", topic, "--partitions", str(partitions))
        # Interleaved, so that both deliveries meet the same machine.
        kinds = {"through Kafka, one worker": ["run.workers=1"],
                 "  the same at least once": ["run.workers=1", "run.delivery=at_least_once"],
                 "through Kafka, two workers": ["run.workers=2"]}
        subprocess.run(["swift", "build", "-c", "release", "--product", "kafka-bench"], cwd=ROOT, check=True, capture_output=True)
        subprocess.run([ROOT / ".build/release/kafka-bench", "load", brokers, "w1", data], check=True)
        limit = work / "limit"
        subprocess.run([ROOT / "Benchmarks/limit/make", limit], check=True)
        bare = "  a bare librdkafka consumer"
        runs = {name: [] for name in [*kinds, bare]}
        for turn in range(count):
            # The limit of this path: it reads the topic and counts bytes, in the same hour as the engine.
            runs[bare].append(measured([limit / "consume", brokers, "w1", str(TOPICS["w1"])]))
            for place, (name, settings) in enumerate(kinds.items()):
                flags = [flag for setting in settings for flag in ("--set", setting)]
                runs[name].append(measured([TIDEMARK, "run", "topologies/w1.yaml", "--until-end", "--json", "--set", f"app=bench-{turn}-{place}",
                                            *flags], env=environment))
                summary = json.loads(runs[name][-1]["out"])
                if summary["records"] != records or summary["aggregates"] == 0:
                    print("  wrong:", summary)
                    good = False
        for name in runs:
            report(name, records, runs[name])
        ratios = [sorted(r["cpu"] for r in runs[name])[count // 2] for name in (next(iter(kinds)), bare)]
        print(f"  medians: {ratios[0] / ratios[1]:.2f} times the bare consumer", flush=True)
        out = work / "kafka-out"
        shutil.rmtree(out, ignore_errors=True)
        measured([TIDEMARK, "run", "topologies/w1.yaml", "--until-end", "--json", "--output", out, "--set", "app=bench-check"],
                 env=environment)
        good &= check(work, out)
    finally:
        kafka("wipe")
    sys.exit(not good)


if __name__ == "__main__":
    main()
