#!/usr/bin/env python3
"""How soon tidemark is at work, and how large it is.

usage: start.py [RUNS=25]            (run by `make bench-start`)

`tidemark version` from exec to exit; `run topologies/w1.yaml` from exec until the first record was taken out of the pipe that
standard input is: clock and CPU, medians of RUNS. Then the size of the binary, stripped, and of what it links. Exit 1 above a bar.
"""
import array
import fcntl
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import termios
import time

from bench import ROOT, TIDEMARK, make_w1


def version():
    """Milliseconds from exec to exit: clock, CPU."""
    with open(os.devnull, "w") as nothing:
        begun = time.perf_counter()
        pid = os.posix_spawn(TIDEMARK, [TIDEMARK, "version"], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, nothing.fileno(), 1)])
        _, status, usage = os.wait4(pid, 0)
    assert status == 0
    return (time.perf_counter() - begun) * 1000, (usage.ru_utime + usage.ru_stime) * 1000


def first_record(record, out):
    """Milliseconds from exec to the first read of a record, and CPU of the whole run."""
    shutil.rmtree(out, ignore_errors=True)
    readable, writable = os.pipe()
    os.write(writable, record)
    with open(os.devnull, "w") as nothing:
        begun = time.perf_counter()
        pid = os.posix_spawn(
            TIDEMARK, [TIDEMARK, "run", ROOT / "topologies/w1.yaml", "--input", "-", "--output", out, "--until-end", "--quiet"], os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, readable, 0), (os.POSIX_SPAWN_CLOSE, writable),
                          (os.POSIX_SPAWN_DUP2, nothing.fileno(), 1), (os.POSIX_SPAWN_DUP2, nothing.fileno(), 2)])
    left = array.array("i", [1])
    while left[0] > 0 and time.perf_counter() - begun < 10:
        time.sleep(0.0001)
        fcntl.ioctl(readable, termios.FIONREAD, left)
    took = (time.perf_counter() - begun) * 1000
    os.close(writable)
    os.close(readable)
    _, status, usage = os.wait4(pid, 0)
    assert status == 0 and left[0] == 0
    return took, (usage.ru_utime + usage.ru_stime) * 1000


def sizes():
    """The binary and the libraries that it loads, largest first: name, bytes of file."""
    with tempfile.TemporaryDirectory() as folder:
        stripped = pathlib.Path(folder) / "tidemark"
        shutil.copy(TIDEMARK, stripped)
        subprocess.run(["strip", stripped], check=True)
        print(f"\n{TIDEMARK.stat().st_size / 1e6:6.1f} MB  tidemark\n{stripped.stat().st_size / 1e6:6.1f} MB  tidemark, stripped")
    listed = subprocess.run(["ldd", TIDEMARK], capture_output=True, text=True, check=True).stdout
    libraries = sorted({pathlib.Path(line.split("=>")[1].split()[0]).resolve() for line in listed.splitlines() if "=> /" in line},
                       key=lambda path: -path.stat().st_size)
    for path in libraries:
        print(f"{path.stat().st_size / 1e6:6.1f} MB  {path.name}")
    print(f"{sum(path.stat().st_size for path in libraries) / 1e6:6.1f} MB  {len(libraries)} libraries together")


def main():
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 25
    work = ROOT / "out/bench"
    make_w1(work, 1_000_000)
    with open(work / "w1s.ndjson", "rb") as file:
        record = file.readline()
    version()
    first_record(record, work / "start")
    good = True
    for name, bar, one in [("tidemark version", 10, version),
                           ("run topologies/w1.yaml, to the first record", 30, lambda: first_record(record, work / "start"))]:
        clock, cpu = zip(*(one() for _ in range(runs)))
        good &= statistics.median(clock) <= bar
        print(f"{name:<44} {statistics.median(clock):6.1f} ms   {min(clock):.1f} to {max(clock):.1f}, {runs} runs   bar {bar}"
              f"   CPU {statistics.median(cpu):.1f} ms", flush=True)
    sizes()
    sys.exit(not good)


if __name__ == "__main__":
    main()
