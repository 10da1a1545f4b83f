"""Names that few programs use: `torch._check`, `swap_tensors`, `grad_dtype`, the switches of autocast, and others."""

import warnings

from both import agree, cases

CHECKS = {
    f"{name} {i}": (lambda torch, name=name, rest=rest: getattr(torch, name)(*rest))
    for name in ("_check", "_check_index", "_check_value", "_check_type", "_check_not_implemented")
    for i, rest in enumerate([(True,), (False,), (False, lambda: "no"), (1,), (False, "no")])
} | {
    "_check tensor": lambda torch: torch._check(torch.tensor(True)),
    "_check_is_size": lambda torch: (torch._check_is_size(0), torch._check_is_size(-1)),
    "_check_tensor_all": lambda torch: (torch._check_tensor_all(torch.tensor([True])), torch._check_tensor_all(torch.tensor([False]))),
    "_check_tensor_all type": lambda torch: torch._check_tensor_all(torch.tensor([1])),
    "_assert": lambda torch: (torch._assert(True, ""), torch._assert(False, "said")),
    "sym": lambda torch: (torch.sym_max(1, 2), torch.sym_min(1, 2.0), torch.sym_int(2.5), torch.sym_float(2), torch.sym_not(True)),
    "sym more": lambda torch: (torch.sym_sqrt(4), torch.sym_sum([1, 2]), torch.sym_ite(False, 1, 2)),
}


def swapped(torch):
    a, b = torch.ones(2), torch.nn.Parameter(torch.zeros(3))
    c = torch.ones(2, requires_grad=True) * 2
    b.note = "kept"
    other = a
    torch.utils.swap_tensors(a, b)
    first = other is a, type(a).__name__, a, a.note, a.requires_grad, type(b).__name__, b, hasattr(b, "note")
    torch.utils.swap_tensors(b, c)
    b.sum().backward()
    return first, b.grad_fn is None, c.grad_fn is None, b, c


def swap_refused(torch):
    import weakref

    a, b = torch.ones(2), torch.zeros(3)
    kept = weakref.ref(a)
    torch.utils.swap_tensors(b, a)
    return kept


def own_dtype(torch, dtype, run):
    p = torch.ones(2, dtype=dtype, requires_grad=True)
    return run(torch, p), p.grad


def wider(torch, p):
    p.grad_dtype = torch.float32
    for _ in range(2):
        (p * 2).sum().backward()
    return p.grad_dtype, p.grad.dtype


def any_dtype(torch, p):
    p.grad_dtype = None
    p.grad = torch.ones(2, dtype=torch.float64)
    return p.grad_dtype


def assigned(torch, p):
    p.grad_dtype = torch.float64
    p.grad = torch.ones(2, dtype=torch.float64)
    return p.grad_dtype, (p * 3).sum().backward()


def hooked(torch, p):
    seen = []
    p.grad_dtype = torch.float64
    p.register_post_accumulate_grad_hook(lambda q: seen.append(q.grad))
    (p * 3).sum().backward()
    return seen


def too_late(torch, p):
    p.grad = torch.ones(2)
    p.grad_dtype = torch.float64


GRADS = {
    "wider": lambda torch: own_dtype(torch, torch.bfloat16, wider),
    "any": lambda torch: own_dtype(torch, torch.float32, any_dtype),
    "assigned": lambda torch: own_dtype(torch, torch.float32, assigned),
    "hooked": lambda torch: own_dtype(torch, torch.float32, hooked),
    "too late": lambda torch: own_dtype(torch, torch.float32, too_late),
    "wrong": lambda torch: own_dtype(torch, torch.float32, lambda torch, p: setattr(p, "grad_dtype", 1)),
    "refused": lambda torch: own_dtype(torch, torch.float32, lambda torch, p: setattr(p, "grad", torch.ones(2, dtype=torch.float64))),
    "read of a result": lambda torch: (torch.ones(2, requires_grad=True) * 2).grad_dtype,
    "set on a result": lambda torch: setattr(torch.ones(2, requires_grad=True) * 2, "grad_dtype", torch.float64),
    "defaults": lambda torch: [str(torch.ones(2, dtype=d).grad_dtype) for d in (torch.float32, torch.int64)],
}


def autocast_switched(torch):
    x = torch.ones(2, 2)
    torch.set_autocast_enabled("cpu", True)
    try:
        seen = torch.is_autocast_enabled("cpu"), torch.is_autocast_cpu_enabled(), (x @ x).dtype
    finally:
        torch.set_autocast_enabled("cpu", False)
    torch.clear_autocast_cache()
    return str(seen), str((x @ x).dtype), torch.is_autocast_enabled("cpu"), str(torch.get_autocast_cpu_dtype())


def anomaly_switched(torch):
    seen = [torch.set_anomaly_enabled(True, False), torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()]
    torch.set_anomaly_enabled(False)
    return seen, torch.is_anomaly_enabled()


def without_torch_function(torch):
    seen = []

    class Logged(torch.Tensor):
        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            seen.append(function.__name__)
            with torch._C.DisableTorchFunctionSubclass():
                return function(*args, **(kwargs or {}))

    return type(torch.ones(2).as_subclass(Logged) + 1).__name__, seen


def made_subclass(torch):
    class Own(torch.Tensor):
        pass

    data = torch.ones(2)
    own = torch.Tensor._make_subclass(Own, data, True)
    data += 1
    return type(own).__name__, own, own.requires_grad, own.is_leaf, torch.Tensor._make_subclass(Own, data).requires_grad


def collated(torch):
    from importlib import import_module

    parts = import_module(f"{torch.__name__}.utils.data._utils.collate")
    x = torch.ones(2)
    return parts.collate_tensor_fn([x, x]), parts.collate_int_fn([1, 2]), parts.collate_float_fn([1.0]), parts.collate_str_fn(["a"])


def storages(torch):
    whole = torch.UntypedStorage(2)
    view = torch.empty(0).set_(torch.UntypedStorage(8).fill_(0))
    with warnings.catch_warnings():  # said once in a process
        warnings.simplefilter("ignore")
        typed = torch.TypedStorage([1.0, 2.0], dtype=torch.float64)
        found = typed.tolist(), str(typed.dtype), typed.nbytes()
    return whole.fill_(3).tolist(), torch.UntypedStorage([1, 2]).tolist(), view, found


def set_refused(torch):
    y = (torch.ones(2, requires_grad=True) * 2).set_(torch.ones(3))
    y.sum().backward()


def node_by_hand(torch):
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    return Double.apply(torch.ones(2, requires_grad=True)).grad_fn.apply(torch.ones(2))


def shown_saved_values(torch):
    """What drawing programs look for with `dir`."""
    x = torch.ones(3, requires_grad=True)
    found = []
    for y in (x.exp(), x * x, x.sum(), x.softmax(0), x.clamp(0, 1), x.masked_fill(x > 2, 1.0).std()):
        names = [n for n in dir(y.grad_fn) if n.startswith("_saved_") and isinstance(getattr(y.grad_fn, n), torch.Tensor)]
        found.append({n: getattr(y.grad_fn, n) for n in sorted(names)})
    return found


def backward_state(torch):
    x = torch.ones(1, requires_grad=True)
    y = x * 1
    seen = [torch._C._current_graph_task_id(), torch._C._current_autograd_node() is None]
    y.register_hook(lambda g: seen.append(torch._C._current_graph_task_id() >= 0))
    y.grad_fn.register_hook(lambda *grads: None)
    y.backward()
    return seen, torch._C._current_graph_task_id()


def names_of_others(torch):
    return torch.onnx.is_in_onnx_export(), torch.testing.assert_allclose(torch.ones(1), [1.0])


OTHERS = [storages, set_refused, node_by_hand, shown_saved_values, backward_state, names_of_others]
OTHERS += [swapped, swap_refused, autocast_switched, anomaly_switched, without_torch_function, made_subclass, collated]


@cases(CHECKS)
def test_checks(program):
    agree(program)


@cases(GRADS)
def test_grad_dtype(program):
    agree(program)


@cases(OTHERS)
def test_others(program):
    agree(program)
