"""python -m benchmarks [--only NAME] [--out DIR]: run the benchmarks, print their tables, keep them.

Leaves benchmarks.json and benchmarks.md in DIR. Each benchmark is a module of this package with `run(weights)`; times
are medians on this machine today, so compare the ratios within one run. Nothing else should be running.
"""

import argparse
import json
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path

from benchmarks.measure import describe_machine, markdown

ROOT = Path(__file__).parents[1]
NAMES = ("latency", "network", "training", "start", "archive")
ON_REQUEST = ("gpu", "page")  # they want a CUDA card, and minutes of an idle machine


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = (*NAMES, *ON_REQUEST)
    parser.add_argument("--only", choices=names, action="append", help="run this one; may be given several times")
    parser.add_argument("--out", default="runs/benchmarks", help="folder for benchmarks.json and benchmarks.md")
    parser.add_argument("--weights", default=str(ROOT / "weights"))
    return parser.parse_args(arguments)


def main(arguments=None) -> int:
    arguments = parse_arguments(arguments)
    folder = Path(arguments.out)
    folder.mkdir(parents=True, exist_ok=True)
    machine, tables, failed = describe_machine(), [], []
    for name in arguments.only or NAMES:
        begin = time.perf_counter()
        try:
            tables += import_module(f"benchmarks.{name}").run(arguments.weights)
        except Exception:  # the others' tables are worth having
            traceback.print_exc()
            failed.append(name)
        print(f"{name}: {time.perf_counter() - begin:.0f} s", file=sys.stderr)
        content = {"machine": machine, "tables": tables}
        (folder / "benchmarks.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        (folder / "benchmarks.md").write_text(markdown(machine, tables), encoding="utf-8")
    print(markdown(machine, tables))
    if failed:
        print(f"benchmarks: {', '.join(failed)} failed; the reasons stand above.", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
