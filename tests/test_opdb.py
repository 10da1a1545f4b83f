"""A sample of PyTorch's operator database in every run of the tests; `make test-ops-full` takes all samples."""

import os

import pytest
import torch
from opdb import CHECKS, ENTRIES, label, run
from opdb_exceptions import EXCEPTIONS

LIMIT = int(os.environ.get("CHAINRULE_OP_SAMPLES", 3))  # samples of a dtype in each check, 0 for all


@pytest.mark.parametrize("entry", ENTRIES, ids=label)
def test_entry(entry):
    torch.set_num_threads(1)
    excused = EXCEPTIONS.get(label(entry), {})
    failures = [f for check in CHECKS if check not in excused for f in run(entry, check, LIMIT)[1]]
    assert not failures, f"{len(failures)} failures, first: {failures[0].check} on {failures[0].sample}\n{failures[0].error}"


def test_exceptions_name_entries_and_checks():
    """What is excused exists; docs/operators.md, made by running, shows whether it still fails."""
    names = {label(entry) for entry in ENTRIES}
    assert set(EXCEPTIONS) <= names
    assert all([set(checks) <= set(CHECKS) and all(checks.values()) for checks in EXCEPTIONS.values()])
