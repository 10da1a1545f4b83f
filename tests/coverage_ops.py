"""Runs PyTorch's whole operator database and writes docs/operators.md: `make coverage-ops`."""

from __future__ import annotations

import argparse
import re
from multiprocessing import Pool
from pathlib import Path

import torch
from opdb import CHECKS, ENTRIES, EXCLUDED, label, op_db, run
from opdb_exceptions import EXCEPTIONS
from tqdm import tqdm

PAGE = Path(__file__).parents[1] / "docs" / "operators.md"
TITLES = {
    "forward": "values", "method": "method", "backward": "gradient", "second": "second derivative", "forward_mode": "forward mode",
    "inplace": "in-place", "out": "`out=`", "errors": "errors",
}  # fmt: skip

HEAD = """# Operators

PyTorch's operator database (`op_db`, {all} entries; {left} of them make no sense here: `{excluded}`) run through chainrule
and PyTorch {version} side by side, {samples} for each dtype. Made by `make coverage-ops`; do not edit.

A cell says how many sample inputs gave what PyTorch gives: values in float32, float64, complex64, complex128 and int64 where
the entry lists them, derivatives in float64 and complex128 (second derivatives and forward mode against PyTorch's own), errors
by their type. Empty: PyTorch has no such form.

"""


def row(job: tuple[int, int]) -> tuple[int, dict[str, tuple[int, int]]]:
    """Of entry number i, for each check: how many samples ran and how many failed."""
    torch.set_num_threads(1)
    index, limit = job
    results = {}
    for check in CHECKS:
        count, failures = run(ENTRIES[index], check, limit)
        results[check] = count, len(failures)
    return index, results


def cell(count: int, failed: int) -> str:
    return "" if not count else f"✓ {count}" if not failed else f"✗ {count - failed} of {count}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=0, help="at most so many samples a dtype; 0 for all")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    with Pool(options.jobs, maxtasksperchild=40) as pool:
        jobs = pool.imap_unordered(row, [(i, options.samples) for i in range(len(ENTRIES))])
        results = dict(tqdm(jobs, total=len(ENTRIES), unit=" entries"))
    lines = ["| check | entries with it | pass |", "|---|---|---|"]
    for check, title in TITLES.items():
        having = [r[check] for r in results.values() if r[check][0]]
        good = sum([not failed for _, failed in having])
        lines.append(f"| {title} | {len(having)} | {good} ({100 * good / max(1, len(having)):.1f} %) |")
    lines += ["", "| entry | " + " | ".join(TITLES.values()) + " |", "|---" * (len(TITLES) + 1) + "|"]
    for i, entry in enumerate(ENTRIES):
        lines.append(f"| `{label(entry)}` | " + " | ".join([cell(*results[i][check]) for check in TITLES]) + " |")
    lines += ["", "## What falls short, and why", ""]
    lines += [f"- `{name}`, {TITLES[check]}: {reason}" for name, checks in EXCEPTIONS.items() for check, reason in checks.items()]
    samples = f"at most {options.samples} sample inputs" if options.samples else "every sample input"
    left = len([e for e in op_db if EXCLUDED.match(e.name)])
    excluded = re.sub(r"\\|\$", "", EXCLUDED.pattern).replace("|", "`, `")
    head = HEAD.format(all=len(op_db), left=left, excluded=excluded, version=torch.__version__, samples=samples)
    PAGE.write_text(head + "\n".join(lines) + "\n")
    print("\n".join(lines[: 2 + len(TITLES)]))


if __name__ == "__main__":
    main()
