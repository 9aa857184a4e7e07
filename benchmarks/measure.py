"""Timing that can be compared, the machine in words, tables as Markdown."""

import os
import platform
import statistics
import time
from pathlib import Path

import torch


def median_ms(work, repeats: int = 30, warm_up: int = 3) -> float:
    return compare({"": work}, repeats, warm_up)[""]


def compare(works: dict, repeats: int = 30, warm_up: int = 3, blocks: int = 3) -> dict:
    """Name -> function becomes name -> median milliseconds.

    They take turns in blocks, so that what else the machine does meets all alike, with a pause before each, in which
    the threads of the one before go to sleep.
    """
    seconds = {name: [] for name in works}
    for _ in range(blocks):
        for name, work in works.items():
            time.sleep(0.2)
            for turn in range(warm_up + repeats // blocks):
                begin = time.perf_counter()
                work()
                if turn >= warm_up:
                    seconds[name].append(time.perf_counter() - begin)
    return {name: 1000 * statistics.median(s) for name, s in seconds.items()}


def table(title: str, columns: list[str], rows: list[list], note: str = "") -> dict:
    return {"title": title, "columns": columns, "rows": rows, "note": note}


def describe_machine() -> str:
    cpu = platform.processor() or platform.machine()
    facts = Path("/proc/cpuinfo")
    if facts.is_file():
        names = [line.split(":")[1].strip() for line in facts.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0] if names else cpu
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = ""
    if hasattr(os, "sysconf"):
        memory = f", {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    graphics = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ", no GPU"
    busy = f"; load {os.getloadavg()[0]:.1f} when it began" if hasattr(os, "getloadavg") else ""
    return (
        f"{cpu}, {cores} cores{memory}{graphics}; {platform.system()}, Python {platform.python_version()}, "
        f"PyTorch {torch.__version__} on {torch.get_num_threads()} threads{busy}"
    )


def markdown(machine: str, tables: list[dict]) -> str:
    lines = [f"Machine: {machine}."]
    for one in tables:
        lines += ["", f"## {one['title']}", ""]
        lines += ["| " + " | ".join(one["columns"]) + " |", "|" + "---|" * len(one["columns"])]
        lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in one["rows"]]
        lines += ["", one["note"]] if one["note"] else []
    return "\n".join(lines) + "\n"


def _cell(value):
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)
