"""Optimizers and schedulers go where PyTorch's go, take its states, and refuse what it refuses."""

import copy
import pickle
import sys
import warnings

import numpy as np
import pytest
import torch
from torch.testing._internal.common_optimizers import OptimizerErrorEnum, optim_db

import chainrule
from chainrule.kernels import optimizer as kernels

STEPS = 50
CASES = [
    pytest.param(info.optim_cls.__name__, case.kwargs, id=f"{info.optim_cls.__name__}-{case.desc.replace(' ', '_') or i}")
    for info in optim_db
    if info.optim_cls.__name__ != "SparseAdam"
    for i, case in enumerate(info.optim_inputs_func(device="cpu"))
]
NAMES = sorted({case.values[0] for case in CASES})
SHAPES = {"Muon": [(4, 3), (3, 5)]}


def given(lib, kwargs):
    """PyTorch's keyword arguments with the library's own tensors."""
    own = lambda v: lib.tensor(v.item(), dtype=getattr(lib, str(v.dtype)[6:])) if isinstance(v, torch.Tensor) else v
    return {k: tuple(map(own, v)) if isinstance(v, tuple) else own(v) for k, v in kwargs.items()}


def descend(lib, name, kwargs, steps=STEPS, dtype=np.float64, between=lambda i, optimizer: optimizer):
    """The parameters after each step on a lopsided bowl whose gradients depend on them."""
    rng = np.random.default_rng(0)
    starts = [rng.standard_normal(shape) for shape in SHAPES.get(name, [(4, 3), (5,), ()])]
    scales = [rng.uniform(0.1, 2.0, s.shape) for s in starts]
    if np.dtype(dtype).kind == "c":
        starts = [s + 1j * rng.standard_normal(s.shape) for s in starts]
    params = [lib.tensor(np.asarray(s, dtype), requires_grad=True) for s in starts]
    scales = [lib.tensor(np.asarray(s, dtype)) for s in scales]
    optimizer = getattr(lib.optim, name)(params, **given(lib, kwargs))
    path = []

    def closure():
        optimizer.zero_grad()
        loss = 0.0
        for p, s in zip(params, scales):
            d = p - s
            loss = loss + (s * (d * d.conj() if d.is_complex() else d * d)).sum()
        loss = loss.real if loss.is_complex() else loss
        loss.backward()
        return loss

    for i in range(steps):
        optimizer = between(i, optimizer)
        loss = optimizer.step(closure)
        path.append(np.concatenate([p.detach().numpy().reshape(-1) for p in params]))
    return np.array(path), optimizer, params, loss.item()


def same(ours, theirs, dtype=np.float64, name=""):
    tolerance = 1e-9 if np.finfo(dtype).eps < 1e-10 else 2e-6
    if name == "Muon":
        tolerance = 2e-2  # it computes in bfloat16, whose last bit turns with the order of a sum
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("name", "kwargs"), CASES)
def test_goes_where_pytorch_goes(name, kwargs):
    if kwargs.get("capturable"):
        with pytest.raises(AssertionError, match="If capturable=True"):
            descend(chainrule, name, kwargs, 1)
        return
    theirs, reference, _, loss = descend(torch, name, kwargs)
    ours, optimizer, _, our_loss = descend(chainrule, name, kwargs)
    same(ours, theirs, name=name)
    same(our_loss, loss, name=name)
    assert str(optimizer) == str(reference)


@pytest.mark.parametrize("info", [i for i in optim_db if i.optim_cls.__name__ != "SparseAdam"], ids=lambda i: i.optim_cls.__name__)
@pytest.mark.filterwarnings("ignore:optimizer contains a parameter group with duplicate parameters")
def test_refuses_what_the_database_says(info):
    own: dict = {}

    def ours(value):
        if isinstance(value, torch.Tensor):
            if id(value) not in own:
                kind = chainrule.nn.Parameter if isinstance(value, torch.nn.Parameter) else chainrule.as_tensor
                own[id(value)] = kind(chainrule.tensor(value.detach().numpy())).requires_grad_(value.requires_grad)
                own[id(value)].grad = None if value.grad is None else chainrule.tensor(value.grad.numpy())
            return own[id(value)]
        if isinstance(value, (list, tuple)):
            return type(value)(map(ours, value))
        return {k: ours(v) for k, v in value.items()} if isinstance(value, dict) else value

    for case in info.optim_error_inputs_func(device="cpu", dtype=torch.float32):
        given, outcomes = case.optimizer_error_input, []
        pairs = (chainrule, (ours(given.params), ours(given.kwargs))), (torch, (given.params, given.kwargs))  # PyTorch changes its groups
        for lib, (params, kwargs) in pairs:
            try:
                optimizer = getattr(lib.optim, info.optim_cls.__name__)(params, **kwargs)
                if case.error_on is OptimizerErrorEnum.STEP_ERROR:
                    optimizer.step()
                outcomes.append(None)
            except Exception as error:
                outcomes.append((type(error), str(error)))
        assert outcomes[0] == outcomes[1], given.desc
        assert outcomes[0] or case.error_type is UserWarning, given.desc


@pytest.mark.parametrize("name", NAMES)
def test_in_single_precision(name):
    theirs, ours = (descend(lib, name, {}, 20, np.float32)[0] for lib in (torch, chainrule))
    assert ours.dtype == np.float32
    same(ours, theirs, np.float32, name)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("Adafactor", "Muon")])
@pytest.mark.parametrize("kwargs", [{}, {"weight_decay": 0.1, "maximize": True}], ids=["plain", "options"])
def test_complex_parameters(name, kwargs):
    if kwargs and name in ("LBFGS", "Rprop"):
        kwargs = {}
    theirs, ours = (descend(lib, name, kwargs, 10, np.complex128)[0] for lib in (torch, chainrule))
    same(ours, theirs)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("way", ["load", "pickle", "deepcopy"])
def test_goes_on_from_a_saved_state(name, way):
    def reload(i, optimizer):
        if i != 5:
            return optimizer
        params = optimizer.param_groups[0]["params"]
        if way == "load":
            fresh = type(optimizer)(params)
            fresh.load_state_dict(copy.deepcopy(optimizer.state_dict()))
            return fresh
        if way == "pickle":
            state = pickle.loads(pickle.dumps(optimizer.state_dict()))
            fresh = type(optimizer)(params)
            fresh.load_state_dict(state)
            return fresh
        clone = copy.deepcopy(optimizer)
        assert repr(clone) == repr(optimizer) and clone.param_groups[0]["params"][0] is not params[0]
        return optimizer

    whole, broken = descend(chainrule, name, {}, 10)[0], descend(chainrule, name, {}, 10, between=reload)[0]
    if name == "NAdam":  # loading casts its factor to the parameters' type, as PyTorch does
        same(broken, descend(torch, name, {}, 10, between=reload)[0])
    else:
        np.testing.assert_array_equal(broken, whole)


@pytest.mark.parametrize("name", NAMES)
def test_states_are_pytorchs(name):
    """A state saved there continues here, and has the same names, shapes and types."""
    _, reference, _, _ = descend(torch, name, {}, 5)
    theirs = reference.state_dict()

    def take_over(i, optimizer):
        if i == 5:
            ours = optimizer.state_dict()
            assert set(ours["param_groups"][0]) == set(theirs["param_groups"][0])
            for key, state in theirs["state"].items():
                assert set(ours["state"][key]) == set(state) - {"al"}, key  # scratch of L-BFGS
                for entry, value in state.items():
                    if isinstance(value, torch.Tensor):
                        mine = ours["state"][key][entry]
                        assert str(mine.dtype) == str(value.dtype) and tuple(mine.shape) == tuple(value.shape), entry
            optimizer.load_state_dict({"state": translated(theirs["state"]), "param_groups": theirs["param_groups"]})
        return optimizer

    same(descend(chainrule, name, {}, 10, between=take_over)[0], descend(torch, name, {}, 10)[0], name=name)


def translated(value):
    if isinstance(value, torch.Tensor):
        return chainrule.tensor(value.numpy())
    if isinstance(value, dict):
        return {k: translated(v) for k, v in value.items()}
    return [translated(v) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("Adafactor", "Muon", "LBFGS")])
@pytest.mark.parametrize("order", ["C", "F", "strided"])
def test_long_parameters_go_in_blocks(name, order):
    rng = np.random.default_rng(1)
    start, grad = (rng.standard_normal((400, 500)) for _ in range(2))
    results = []
    for lib in (torch, chainrule):
        base = lib.tensor(start)
        p = {"C": base, "F": base.t(), "strided": lib.cat([base, base], 1)[:, ::2]}[order].detach().requires_grad_()
        p.grad = lib.tensor(grad.T.copy() if order == "F" else grad)
        optimizer = getattr(lib.optim, name)([p], lr=0.1)
        for _ in range(3):
            optimizer.step()
        results.append(p.detach().numpy())
    same(results[1], results[0])


OPTIONS = {
    "SGD": {"momentum": 0.9, "nesterov": True},
    "Rprop": {},
    "RMSprop": {"momentum": 0.5, "centered": True},
    "Adam": {"amsgrad": True},
}


def after_steps(lib, name, start, grad, lr, decay):
    """The norm of parameters after three differentiable steps."""
    p = start.clone()
    options = {} if name == "Rprop" else {"weight_decay": decay}
    optimizer = getattr(lib.optim, name)([p], lr=lr, differentiable=True, **options, **OPTIONS.get(name, {}))
    for factor in (1.0, 2.0, -0.5):
        p.grad = grad * factor
        optimizer.step()
    return (p * p).sum()


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("Adafactor", "Muon", "LBFGS")])
def test_differentiable_steps(name):
    """Gradients through three steps, checked by differences; where PyTorch can do it too, against it."""
    values = [0.3, -1.2, 2.0], [0.5, 1.5, -0.7], 0.1, 0.3
    tunable = name in ("SGD", "Adam", "AdamW")  # whose rate and decay may be tensors

    def given_to(lib, values, grad=False):
        make = lambda v: lib.tensor(v, dtype=lib.float64, requires_grad=grad)
        start, gradient, lr, decay = values
        return make(start), make(gradient), make(lr) if tunable else lr, make(decay) if name == "SGD" else decay

    arguments = given_to(chainrule, values, grad=True)
    after_steps(chainrule, name, *arguments).backward()
    for i, argument in enumerate(arguments):
        if not isinstance(argument, chainrule.Tensor):
            continue
        flat = np.asarray(values[i], float).reshape(-1)
        for k in range(flat.size):
            ends = []
            for h in (1e-6, -1e-6):
                moved = flat.copy()
                moved[k] += h
                changed = [*values[:i], moved.reshape(np.shape(values[i])).tolist(), *values[i + 1 :]]
                ends.append(after_steps(chainrule, name, *given_to(chainrule, changed)).item())
            slope = (ends[0] - ends[1]) / 2e-6
            assert argument.grad.numpy().reshape(-1)[k] == pytest.approx(slope, rel=1e-4, abs=1e-7), (i, k)
    if name in ("ASGD", "Adadelta", "Adagrad"):
        theirs = given_to(torch, values, grad=True)
        after_steps(torch, name, *theirs).backward()
        np.testing.assert_allclose(arguments[0].grad.numpy(), theirs[0].grad.numpy(), rtol=1e-8)


def raised(lib, make):
    """What making an optimizer raises, as text."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            make(lib, lib.tensor([1.0], requires_grad=True))
            error = None
        except Exception as e:
            error = (type(e).__name__, str(e))
    return error, [str(w.message) for w in caught]


BAD = [
    lambda lib, p: lib.optim.SGD(p),
    lambda lib, p: lib.optim.SGD([]),
    lambda lib, p: lib.optim.SGD([p], lr=-1.0),
    lambda lib, p: lib.optim.SGD([p], momentum=-1.0),
    lambda lib, p: lib.optim.SGD([p], weight_decay=-1.0),
    lambda lib, p: lib.optim.SGD([p], nesterov=True),
    lambda lib, p: lib.optim.SGD([p], lr=lib.tensor([1.0, 2.0])),
    lambda lib, p: lib.optim.SGD([p], fused=True, foreach=True),
    lambda lib, p: lib.optim.SGD([p], fused=True, differentiable=True),
    lambda lib, p: lib.optim.SGD([1.0]),
    lambda lib, p: lib.optim.SGD([p * 2]),
    lambda lib, p: lib.optim.SGD([{"params": {p}}]),
    lambda lib, p: lib.optim.SGD([p, p]),
    lambda lib, p: lib.optim.SGD([{"params": [p]}, {"params": [p]}]),
    lambda lib, p: lib.optim.SGD([("w", p), lib.zeros(1)]),
    lambda lib, p: lib.optim.SGD([("w", p)]).add_param_group({"params": [lib.zeros(1)]}),
    lambda lib, p: lib.optim.SGD([p]).add_param_group([p]),
    lambda lib, p: lib.optim.SGD([p]).load_state_dict({"state": {}, "param_groups": []}),
    lambda lib, p: lib.optim.SGD([p]).load_state_dict({"state": {}, "param_groups": [{"params": [0, 1]}]}),
    lambda lib, p: lib.optim.Optimizer([p], {}).step(),
    lambda lib, p: lib.optim.Optimizer([p], {"lr": sys.modules[f"{lib.__name__}.optim.optimizer"].required}),
    lambda lib, p: lib.optim.Adam([p], betas=(1.0, 0.9)),
    lambda lib, p: lib.optim.Adam([p], betas=(0.9, -0.1)),
    lambda lib, p: lib.optim.Adam([p], betas=(0, 0.9)),
    lambda lib, p: lib.optim.Adam([p], eps=-1),
    lambda lib, p: lib.optim.Adam([p], lr=lib.tensor(0.1), foreach=True),
    lambda lib, p: lib.optim.AdamW([p], weight_decay=-1),
    lambda lib, p: lib.optim.Adadelta([p], rho=1.1),
    lambda lib, p: lib.optim.Adagrad([p], lr_decay=-0.5),
    lambda lib, p: lib.optim.Adamax([p], betas=(0.0, 1.0)),
    lambda lib, p: lib.optim.NAdam([p], momentum_decay=-0.2),
    lambda lib, p: lib.optim.RMSprop([p], alpha=-0.1),
    lambda lib, p: lib.optim.Rprop([p], etas=(1.0, 0.5)),
    lambda lib, p: lib.optim.ASGD([p], lr=-1e-2),
    lambda lib, p: lib.optim.LBFGS([{"params": [p]}, {"params": [lib.zeros(1)]}]),
    lambda lib, p: lib.optim.Adafactor([p], d=0.5),
    lambda lib, p: lib.optim.Adafactor([p], beta2_decay=0.8),
    lambda lib, p: lib.optim.Muon([p]),
    lambda lib, p: lib.optim.Muon([p], adjust_lr_fn="x"),
    lambda lib, p: lib.optim.lr_scheduler.StepLR(3, 1),
    lambda lib, p: lib.optim.lr_scheduler.StepLR(lib.optim.SGD([p]), 1, last_epoch=2),
    lambda lib, p: lib.optim.lr_scheduler.StepLR(lib.optim.SGD([p]), 1).step(),
    lambda lib, p: lib.optim.lr_scheduler.StepLR(lib.optim.SGD([p]), 1).get_lr(),
    lambda lib, p: lib.optim.lr_scheduler.LambdaLR(lib.optim.SGD([p]), [abs, abs]),
    lambda lib, p: lib.optim.lr_scheduler.MultiplicativeLR(lib.optim.SGD([p]), 2),
    lambda lib, p: lib.optim.lr_scheduler.ConstantLR(lib.optim.SGD([p]), 2.0),
    lambda lib, p: lib.optim.lr_scheduler.LinearLR(lib.optim.SGD([p]), 0.0),
    lambda lib, p: lib.optim.lr_scheduler.LinearLR(lib.optim.SGD([p]), 0.5, 2.0),
    lambda lib, p: lib.optim.lr_scheduler.ReduceLROnPlateau(lib.optim.SGD([p]), factor=1.0),
    lambda lib, p: lib.optim.lr_scheduler.ReduceLROnPlateau(lib.optim.SGD([p]), "mean"),
    lambda lib, p: lib.optim.lr_scheduler.CyclicLR(lib.optim.Adagrad([p]), 0.1, 1.0),
    lambda lib, p: lib.optim.lr_scheduler.CyclicLR(lib.optim.SGD([p]), 0.1, [1.0, 2.0]),
    lambda lib, p: lib.optim.lr_scheduler.CyclicLR(lib.optim.SGD([p]), 0.1, 1.0, mode="x"),
    lambda lib, p: lib.optim.lr_scheduler.CosineAnnealingWarmRestarts(lib.optim.SGD([p]), 0),
    lambda lib, p: lib.optim.lr_scheduler.CosineAnnealingWarmRestarts(lib.optim.SGD([p]), 1, 1.5),
    lambda lib, p: lib.optim.lr_scheduler.OneCycleLR(lib.optim.SGD([p]), 0.1),
    lambda lib, p: lib.optim.lr_scheduler.OneCycleLR(lib.optim.SGD([p]), 0.1, total_steps=0),
    lambda lib, p: lib.optim.lr_scheduler.OneCycleLR(lib.optim.SGD([p]), 0.1, epochs=2, steps_per_epoch=-1),
    lambda lib, p: lib.optim.lr_scheduler.OneCycleLR(lib.optim.SGD([p]), 0.1, 9, pct_start=2.0),
    lambda lib, p: lib.optim.lr_scheduler.OneCycleLR(lib.optim.SGD([p]), 0.1, 9, anneal_strategy="x"),
    lambda lib, p: lib.optim.lr_scheduler.SequentialLR(lib.optim.SGD([p]), [], []),
    lambda lib, p: lib.optim.lr_scheduler.ChainedScheduler([]),
    lambda lib, p: lib.optim.swa_utils.get_ema_avg_fn(1.5),
]


@pytest.mark.parametrize("make", BAD)
def test_refuses_what_pytorch_refuses(make):
    (error, warned), (their_error, their_warnings) = (raised(lib, make) for lib in (chainrule, torch))
    assert error == their_error
    assert warned == their_warnings
    assert their_error or their_warnings


def test_groups_hooks_and_zero_grad():
    a, b = (chainrule.tensor([1.0], requires_grad=True) for _ in range(2))
    optimizer = chainrule.optim.SGD([{"params": [("a", a)]}, {"params": [("b", b)], "lr": 1.0}], lr=0.1)
    seen = []
    optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append("before"))
    handle = optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append("after"))
    everywhere = chainrule.optim.optimizer.register_optimizer_step_pre_hook(lambda o, args, kwargs: seen.append("every"))
    (a + b).sum().backward()
    version = a._version
    optimizer.step()
    assert seen == ["every", "before", "after"] and a._version == version + 1
    assert a.item() == pytest.approx(0.9) and b.item() == 0.0
    handle.remove()
    everywhere.remove()
    optimizer.step()
    assert seen[3:] == ["before"]
    assert optimizer.state_dict()["param_groups"][1]["param_names"] == ["b"]
    optimizer.zero_grad(set_to_none=False)
    assert a.grad.tolist() == [0.0]
    optimizer.zero_grad()
    assert a.grad is None and optimizer.step() is None
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "more": 1})
    assert optimizer.state_dict()["more"] == 1


def test_in_place_steps_are_noticed_by_backward():
    w = chainrule.tensor([2.0], requires_grad=True)
    optimizer = chainrule.optim.SGD([w], lr=0.1)
    loss = (w * w).sum()
    w.grad = chainrule.ones(1)
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


SCHEDULERS = {
    "LambdaLR": lambda s, o: s.LambdaLR(o, [lambda e: 0.9**e, lambda e: 1 / (1 + e)]),
    "MultiplicativeLR": lambda s, o: s.MultiplicativeLR(o, lambda e: 0.95),
    "StepLR": lambda s, o: s.StepLR(o, 3, 0.5),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, [2, 5, 5, 9], 0.5),
    "ConstantLR": lambda s, o: s.ConstantLR(o, 0.3, 4),
    "LinearLR": lambda s, o: s.LinearLR(o, 0.3, 0.8, 6),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.9),
    "PolynomialLR": lambda s, o: s.PolynomialLR(o, 8, 1.5),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 5, 0.01),
    "CosineAnnealingWarmRestarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 2, 0.01),
    "CyclicLR": lambda s, o: s.CyclicLR(o, 0.01, [0.1, 0.2], 3, 4),
    "CyclicLR-triangular2": lambda s, o: s.CyclicLR(o, 0.01, 0.1, 3, mode="triangular2"),
    "CyclicLR-exp_range": lambda s, o: s.CyclicLR(o, 0.01, 0.1, 3, mode="exp_range", gamma=0.9, cycle_momentum=False),
    "CyclicLR-own": lambda s, o: s.CyclicLR(o, 0.01, 0.1, 3, scale_fn=lambda x: 1 / x),
    "OneCycleLR": lambda s, o: s.OneCycleLR(o, [0.1, 0.3], total_steps=30),
    "OneCycleLR-three": lambda s, o: s.OneCycleLR(o, 0.1, epochs=6, steps_per_epoch=5, three_phase=True, anneal_strategy="linear"),
    "SequentialLR": lambda s, o: s.SequentialLR(o, [s.ConstantLR(o, 0.1, 9), s.ExponentialLR(o, 0.9), s.StepLR(o, 2)], [4, 9]),
    "ChainedScheduler": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 4), s.ExponentialLR(o, 0.9)]),
}


def rates(lib, make, optimizer="SGD", tensor_lr=False, steps=25, between=lambda i, scheduler, make: scheduler):
    lr = lib.tensor(0.5) if tensor_lr else 0.5
    one, two = (lib.tensor([1.0], requires_grad=True) for _ in range(2))
    params = [{"params": [one]}, {"params": [two], "lr": 0.05}]
    optimizer = getattr(lib.optim, optimizer)(params, lr=lr)
    build = lambda: make(lib.optim.lr_scheduler, optimizer)
    scheduler = build()
    seen = []
    for i in range(steps):
        group = optimizer.param_groups[1]
        momentum = group["betas"][0] if "betas" in group else group["momentum"]
        seen.append([float(g["lr"]) for g in optimizer.param_groups] + [float(lr) for lr in scheduler.get_last_lr()] + [momentum])
        scheduler = between(i, scheduler, build)
        optimizer.step()
        scheduler.step()
    return seen


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_rates_are_pytorchs(name, optimizer):
    assert rates(chainrule, SCHEDULERS[name], optimizer) == rates(torch, SCHEDULERS[name], optimizer)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_rates_held_in_tensors(name):
    ours, theirs = (rates(lib, SCHEDULERS[name], tensor_lr=True) for lib in (chainrule, torch))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", [n for n in SCHEDULERS if not n.startswith("CyclicLR-own")])
def test_schedules_go_on_from_a_saved_state(name):
    def reload(i, scheduler, build):
        if i != 7:
            return scheduler
        state = scheduler.state_dict()
        groups = [g["lr"] for g in scheduler.optimizer.param_groups]
        fresh = build()
        fresh.load_state_dict(copy.deepcopy(state))
        for group, lr in zip(fresh.optimizer.param_groups, groups):
            group["lr"] = lr
        return fresh

    assert rates(chainrule, SCHEDULERS[name], between=reload) == rates(chainrule, SCHEDULERS[name])


@pytest.mark.parametrize("name", ["StepLR", "MultiStepLR", "ConstantLR", "LinearLR", "ExponentialLR", "PolynomialLR", "CosineAnnealingLR"])
def test_closed_forms(name):
    results = []
    for lib in (torch, chainrule):
        optimizer = lib.optim.SGD([{"params": [lib.zeros(1)]}, {"params": [lib.zeros(1)]}], lr=0.5)
        scheduler = SCHEDULERS[name](lib.optim.lr_scheduler, optimizer)
        optimizer.step()
        for epoch in (1, 4, 7, 2):
            with pytest.warns(UserWarning, match="epoch parameter"):
                scheduler.step(epoch)
            results.append(scheduler.get_last_lr())
    assert results[4:] == results[:4]


@pytest.mark.parametrize("kwargs", [{}, {"mode": "max", "threshold_mode": "abs"}, {"cooldown": 2, "min_lr": [0.1, 0.0]}])
def test_plateau(kwargs):
    results = []
    for lib in (torch, chainrule):
        optimizer = lib.optim.SGD([{"params": [lib.zeros(1)]}, {"params": [lib.zeros(1)]}], lr=0.5)
        scheduler = lib.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1, **kwargs)
        for metric in (1.0, 0.9, 0.95, 0.92, 0.91, 0.9, 0.5, 0.6, 0.6, 0.6, lib.tensor(0.6), 0.6, 0.6):
            scheduler.step(metric)
            results.append((scheduler.get_last_lr(), scheduler.num_bad_epochs, scheduler.best))
    assert results[13:] == results[:13]


def test_averages_of_weights():
    results = []
    for lib in (torch, chainrule):
        lib.manual_seed(0)
        for average in (None, lib.optim.swa_utils.get_ema_multi_avg_fn(0.9)):
            model = lib.nn.Sequential(lib.nn.Linear(3, 4), lib.nn.BatchNorm1d(4))
            averaged = lib.optim.swa_utils.AveragedModel(model, multi_avg_fn=average)
            optimizer = lib.optim.SGD(model.parameters(), lr=0.1)
            scheduler = lib.optim.swa_utils.SWALR(optimizer, swa_lr=0.05, anneal_epochs=3)
            batches = [lib.randn(8, 3) for _ in range(5)]
            for batch in batches:
                optimizer.zero_grad()
                ((model(batch) - batch[:, :1]) ** 2).mean().backward()
                optimizer.step()
                scheduler.step()
                averaged.update_parameters(model)
                results.append(scheduler.get_last_lr()[0])
            lib.optim.swa_utils.update_bn(batches, averaged)
            results += [v.detach().double().numpy() for v in averaged.state_dict().values()]
    for ours, theirs in zip(results[len(results) // 2 :], results[: len(results) // 2], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


# Large parameters take the compiled kernels: as many as fill several pieces of work, and small ones beside them

COMPILED = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "maximize": True, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True}),
    ("Adam", {"lr": 0.1}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.1, "betas": (0.8, 0.99), "eps": 1e-6}),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "options"), COMPILED)
def test_large_parameters_step_as_in_pytorch(name, options, dtype):
    shapes = [(70_001,), (3,), (150, 1000), (0,), (40, 50)]
    results = []
    for lib in (torch, chainrule):
        lib.manual_seed(0)
        parameters = [lib.randn(*shape, dtype=getattr(lib, dtype)).requires_grad_() for shape in shapes]
        parameters[2] = parameters[2].detach().t().requires_grad_()
        optimizer = getattr(lib.optim, name)(parameters, **options)
        for step in range(4):
            for i, p in enumerate(parameters):
                p.grad = (p.detach() * 2 - step) if (i, step) != (1, 2) else None
            versions = [p._version for p in parameters]
            optimizer.step()
            assert [p._version > v for p, v in zip(parameters, versions)] == [p.grad is not None for p in parameters]
        states = [v for p in parameters for _, v in sorted(optimizer.state[p].items())]
        results.append([t.detach().numpy() for t in (*parameters, *states)])
    for want, got in zip(*results, strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, **({"rtol": 1e-5, "atol": 1e-6} if dtype == "float32" else {"rtol": 1e-12, "atol": 1e-13}))


def test_a_compiled_step_is_that_of_the_rule(monkeypatch):
    results = []
    for worth in (kernels.WORTH, 1 << 40):
        monkeypatch.setattr(kernels, "WORTH", worth)
        chainrule.manual_seed(0)
        p = chainrule.randn(50_000, requires_grad=True)
        optimizer = chainrule.optim.AdamW([p], lr=0.1)
        for _ in range(3):
            p.grad = p.detach().cos()
            optimizer.step()
        results.append(p.detach().numpy())
    np.testing.assert_allclose(*results, rtol=1e-6, atol=1e-7)


@pytest.mark.filterwarnings("ignore:optimizer contains a parameter group with duplicate parameters")
def test_a_parameter_given_twice_is_stepped_twice():
    p = chainrule.ones(100_000, requires_grad=True)
    p.grad = chainrule.ones(100_000)
    chainrule.optim.SGD([p, p], lr=0.25).step()
    assert (p == 0.5).all()
