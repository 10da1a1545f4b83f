"""Between types, to Python and to NumPy: each line under both libraries gives the same repr, or the same error and warnings."""

import copy
import pickle

import numpy as np
import pytest
import torch as oracle
from both import agree

import chainrule

TYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "bfloat16", "float16", "float32", "float64", "complex64", "complex128")
LINES = """
t.ones(2).to('cpu', t.float64)
t.ones(2).to(device='cpu', dtype=t.float64)
t.ones(2).to(t.ones(2).long())
t.ones(2).to()
t.ones(2).to(None)
t.ones(2).to(float)
t.ones(2).to(3)
t.ones(2).to('foo')
t.ones(1, 2, 3, 4).to(memory_format=t.channels_last).stride()
t.ones(1, 2, 3, 4).to(t.double, memory_format=t.channels_last).stride()
t.ones(2).requires_grad_().double()
t.ones(2).requires_grad_().long()
t.ones(2, dtype=t.cfloat).to(t.float)
t.ones(2).type()
t.ones(2).type('torch.LongTensor')
t.ones(2).type(t.long)
t.ones(2).type(t.LongTensor)
t.ones(2).type('foo')
t.ones(2).type(3)
t.ones(2).type_as(t.ones(2).int())
t.ones(2).item()
t.ones(2).element_size()
t.ones(2).nbytes
t.ones(2).get_device()
t.ones(2).pin_memory()
t.is_tensor(3)
t.is_floating_point(3)
t.is_complex(t.ones(2))
t.ones(2).is_signed()
t.can_cast(t.double, t.long)
t.can_cast(3, t.long)
t.result_type(t.ones(2).long(), 1.5)
t.result_type(1.5, 2)
t.promote_types(t.int, t.half)
t.finfo(t.bfloat16)
t.finfo(t.float16)
t.finfo()
t.finfo(t.int8)
t.iinfo(t.int64)
t.iinfo(t.float)
t.typename(t.ones(2))
t.get_default_device()
int(t.tensor([1, 2]))
int(t.tensor(1.7))
float(t.tensor(1j))
complex(t.tensor(1j))
bool(t.tensor([]))
bool(t.tensor([1, 2]))
t.tensor([1.5]).__index__()
[1, 2, 3][t.tensor(1)]
len(t.tensor(1))
len(t.ones(3, 2))
iter(t.tensor(1))
'{:.2f}'.format(t.tensor(1.5))
'{:.2f}'.format(t.tensor([1.5]))
1 in t.ones(2)
'a' in t.ones(2)
t.ones(2).apply_(lambda v: v + 1)
t.ones(2).map_(t.ones(2), lambda v, w: v + w)
t.ones(2).requires_grad_().apply_(lambda v: v)
repr(np.sin(t.zeros(2))) if t is chainrule else "tensor([0., 0.])"
np.asarray(t.ones(2, dtype=t.int8)).dtype
t.ones(2, requires_grad=True).numpy()
t.ones(2, dtype=t.bfloat16).numpy()
t.ones(2, requires_grad=True).numpy(force=True)
t.tensor([[1.5, 2], [3, 4]], dtype=t.bfloat16).tolist()
"""


@pytest.mark.parametrize("line", LINES.strip().splitlines())
def test_lines_agree(line):
    agree(lambda t: repr(eval(line, {"t": t, "np": np, "chainrule": chainrule})))


@pytest.mark.parametrize("source", TYPES)
@pytest.mark.parametrize("target", TYPES)
def test_casts_agree(source, target):
    def cast(t):
        return t.tensor([0, 1, 2, 100], dtype=getattr(t, source)).to(getattr(t, target))

    agree(cast)


@pytest.mark.parametrize(
    "name", ["float", "double", "half", "bfloat16", "long", "int", "short", "char", "byte", "bool", "cfloat", "cdouble"]
)
def test_short_forms_agree(name):
    agree(lambda t: getattr(t.tensor([0, 1, -3]), name)())


def test_the_same_type_is_the_same_tensor():
    x = chainrule.ones(2)
    assert x.to(chainrule.float32) is x and x.float() is x and x.to("cpu") is x and x.cpu() is x
    assert x.to(chainrule.float32, copy=True) is not x


def test_gradients_go_through_casts():
    agree(lambda t: (x := t.ones(2, requires_grad=True), (x.double() * 3).sum().backward(), x.grad)[2])
    agree(lambda t: (x := t.ones(2, requires_grad=True), (x.to(t.cdouble) * 3j).abs().sum().backward(), x.grad)[2])


def test_pickle_and_deepcopy():
    x = chainrule.arange(6.0).reshape(2, 3).requires_grad_()
    for y in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x), copy.copy(x)):
        assert y.tolist() == x.tolist() and y.requires_grad and y.dtype is x.dtype
    assert copy.deepcopy(x) is not x
    with pytest.raises(RuntimeError, match="graph leaves"):
        copy.deepcopy(x * 2)
    both = copy.deepcopy([x, x.detach()])
    both[0].detach().zero_()
    assert both[1].sum() == 0, "what shared memory shares it after the copy"


def test_storages_are_shared_by_views():
    x = chainrule.ones(2, 3)
    assert x[1:].untyped_storage().data_ptr() == x.untyped_storage().data_ptr() == x.data_ptr()
    assert x.untyped_storage().nbytes() == 24


def test_numpy_shares_memory():
    x = chainrule.zeros(3)
    x.numpy()[1] = 4
    assert x.tolist() == [0, 4, 0]
    assert isinstance(np.add(x, 1), chainrule.Tensor)


def test_arrays_of_both_libraries_are_equal():
    for name in TYPES:
        if name != "bfloat16":
            kind = getattr(oracle, name)
            ours = chainrule.tensor([0, 1], dtype=getattr(chainrule, name)).numpy()
            assert ours.dtype == oracle.tensor([0, 1], dtype=kind).numpy().dtype
