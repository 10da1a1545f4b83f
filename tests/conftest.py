"""What every test starts from: seeded generators, drawn examples that repeat, and nothing written into the tree."""

import random
import tempfile
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis.configuration import set_hypothesis_home_dir

set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "chainrule-hypothesis")
hypothesis.settings.register_profile("chainrule", deadline=None, derandomize=True, database=None, print_blob=False)
hypothesis.settings.load_profile("chainrule")

torch.set_num_threads(1)  # the oracle shares the machine with the other test workers


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Draws from the global generators are the same in every order of tests."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def settable() -> None:
    """PyTorch's own test helpers, once imported, forbid settings that a program may make."""
    torch.backends.flags_frozen.__globals__["__allow_nonbracketed_mutation_flag"] = True
