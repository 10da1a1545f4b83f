"""`nn.Module`, hooks, state dicts and containers: the same script is run on chainrule and on PyTorch, and must tell the same."""

import copy
import pickle
import warnings
from collections import OrderedDict

import numpy as np
import pytest
import torch

import chainrule
import chainrule.nn

LIBRARIES = (chainrule, torch)


def told(script, lib):
    """What a script says (it returns anything printable), or the error that it raises."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = script(lib, lib.nn)
        except Exception as e:
            result = type(e).__name__, str(e)
    text = repr(result).replace("-0.", "0.")
    for name in ("chainrule.nn", "torch.nn", "chainrule.Tensor", "torch.Tensor"):
        text = text.replace(name, name.split(".")[1])
    text = text.replace("class 'chainrule.", "class 'torch.")
    return text, [(w.category.__name__, str(w.message)) for w in caught]


def values(*tensors):
    return [None if t is None else t.detach().numpy().tolist() for t in tensors]


def net(nn):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.Linear(2, 3)
            self.two = nn.Sequential(nn.ReLU(), nn.Linear(3, 1, bias=False))
            self.tied = self.one
            self.nothing = None
            self.scale = nn.Parameter(self.one.weight.detach()[0, 0] * 0 + 2)
            self.register_buffer("count", self.one.weight.detach()[0] * 0)
            self.register_buffer("hidden", self.one.weight.detach()[0] * 0, persistent=False)
            self.register_parameter("empty", None)

        def forward(self, x):
            return self.two(self.one(x)) * self.scale

    return Net()


def bad_net(nn):
    class Bad(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(1, 1)

    return Bad()


def attempt(f):
    try:
        return f()
    except Exception as e:
        return type(e).__name__, str(e)


# Registration, attributes, walks

STRUCTURE = {
    "repr": lambda t, nn: net(nn),
    "named_parameters": lambda t, nn: [n for n, _ in net(nn).named_parameters()],
    "named_parameters_duplicates": lambda t, nn: [n for n, _ in net(nn).named_parameters(remove_duplicate=False)],
    "named_parameters_prefix": lambda t, nn: [n for n, _ in net(nn).named_parameters("p", recurse=False)],
    "named_buffers": lambda t, nn: [n for n, _ in net(nn).named_buffers()],
    "named_modules": lambda t, nn: [n for n, _ in net(nn).named_modules()],
    "named_modules_duplicates": lambda t, nn: [n for n, _ in net(nn).named_modules(remove_duplicate=False)],
    "named_children": lambda t, nn: [n for n, _ in net(nn).named_children()],
    "modules": lambda t, nn: [type(m).__name__ for m in net(nn).modules()],
    "state_dict": lambda t, nn: list(net(nn).state_dict()),
    "state_dict_prefix": lambda t, nn: list(net(nn).state_dict(prefix="p.")),
    "metadata": lambda t, nn: nn.Sequential(nn.BatchNorm1d(2), nn.Linear(1, 1)).state_dict()._metadata,
    "dir": lambda t, nn: [n for n in dir(net(nn)) if n in ("one", "two", "scale", "count", "empty", "forward", "training")],
    "no_init": lambda t, nn: bad_net(nn),
    "unknown": lambda t, nn: net(nn).unknown,
    "no_forward": lambda t, nn: nn.Module()(1),
    "kwargs": lambda t, nn: nn.Module(a=1),
    "args": lambda t, nn: nn.Module(1, 2),
    "param_to_tensor": lambda t, nn: setattr(net(nn), "scale", t.ones(1)),
    "param_to_none": lambda t, nn: [m := net(nn), setattr(m, "scale", None), m.scale, list(m.state_dict())][2:],
    "module_to_int": lambda t, nn: setattr(net(nn), "one", 3),
    "module_to_none": lambda t, nn: [m := net(nn), setattr(m, "one", None), m][2],
    "buffer_to_int": lambda t, nn: setattr(net(nn), "count", 3),
    "buffer_to_tensor": lambda t, nn: [m := net(nn), setattr(m, "count", t.ones(1)), list(m.state_dict()), m.count][2:],
    "buffer_hidden_stays": lambda t, nn: [m := net(nn), setattr(m, "hidden", t.ones(1)), list(m.state_dict())][2],
    "tensor_to_param": lambda t, nn: [m := net(nn), setattr(m, "count", nn.Parameter(t.ones(1))), list(m.state_dict())][2],
    "attribute_to_module": lambda t, nn: [m := net(nn), setattr(m, "nothing", nn.ReLU()), m][2],
    "module_to_param": lambda t, nn: [m := net(nn), setattr(m, "two", nn.Parameter(t.ones(1))), m, list(m.state_dict())][2:],
    "delete": lambda t, nn: [m := net(nn), delattr(m, "one"), delattr(m, "scale"), delattr(m, "count"), list(m.state_dict())][4],
    "delete_unknown": lambda t, nn: delattr(net(nn), "unknown"),
    "buffer_class": lambda t, nn: [m := nn.Module(), setattr(m, "b", nn.Buffer(t.ones(1))), list(m.state_dict()), type(m.b).__name__][2:],
    "buffer_class_hidden": lambda t, nn: [m := nn.Module(), setattr(m, "b", nn.Buffer(t.ones(1), persistent=False)), list(m.state_dict())][
        2
    ],
    "isinstance": lambda t, nn: [
        isinstance(nn.Buffer(t.ones(1)), nn.Buffer),
        isinstance(t.ones(1), nn.Buffer),
        isinstance(t.ones(1), nn.Parameter),
    ],
    "get_submodule": lambda t, nn: net(nn).get_submodule("two.1"),
    "get_submodule_missing": lambda t, nn: net(nn).get_submodule("two.5"),
    "get_submodule_param": lambda t, nn: net(nn).get_submodule("scale"),
    "get_parameter": lambda t, nn: net(nn).get_parameter("two.1.weight").shape,
    "get_parameter_missing": lambda t, nn: net(nn).get_parameter("two.1.w"),
    "get_parameter_buffer": lambda t, nn: net(nn).get_parameter("count"),
    "get_buffer": lambda t, nn: net(nn).get_buffer("count"),
    "get_buffer_param": lambda t, nn: net(nn).get_buffer("scale"),
    "set_submodule": lambda t, nn: [m := net(nn), m.set_submodule("two.1", nn.Identity()), m.set_submodule("two.new", nn.ReLU()), m][3],
    "set_submodule_empty": lambda t, nn: net(nn).set_submodule("", nn.Identity()),
    "set_submodule_strict": lambda t, nn: net(nn).set_submodule("two.9", nn.Identity(), strict=True),
    "set_submodule_no_module": lambda t, nn: net(nn).set_submodule("two.1", 5),
    "set_submodule_over_param": lambda t, nn: net(nn).set_submodule("scale", nn.Identity()),
    "train": lambda t, nn: [m.training for m in net(nn).eval().modules()],
    "train_int": lambda t, nn: net(nn).train(1),
    "requires_grad_": lambda t, nn: [p.requires_grad for p in net(nn).requires_grad_(False).parameters()],
    "apply": lambda t, nn: [seen := [], net(nn).apply(lambda m: seen.append(type(m).__name__))][0],
    "nonleaf_param": lambda t, nn: nn.Module().register_parameter("p", nn.Parameter(t.ones(1)) * 2),
    "nonleaf_param2": lambda t, nn: [
        m := nn.Module(),
        p := nn.Parameter(t.ones(1)),
        p.requires_grad_(False).add_(t.ones(1, requires_grad=True)),
        setattr(m, "p", p),
    ],
    "parameter_repr": lambda t, nn: [nn.Parameter(t.ones(2)), nn.Parameter(t.ones(2), requires_grad=False), str(nn.Parameter(t.ones(1)))],
    "parameter_int": lambda t, nn: nn.Parameter(t.tensor([1]), requires_grad=False),
    "parameter_empty": lambda t, nn: nn.Parameter(),
    "parameter_shares": lambda t, nn: [x := t.ones(2), p := nn.Parameter(x), x.add_(1), p][3],
    "parameter_nonleaf": lambda t, nn: [
        nn.Parameter(t.ones(1, requires_grad=True) * 2).is_leaf,
        nn.Parameter(t.ones(1, requires_grad=True) * 2),
    ],
    "uninitialized": lambda t, nn: nn.UninitializedParameter(),
    "uninitialized_shape": lambda t, nn: nn.UninitializedParameter().shape,
    "uninitialized_materialize": lambda t, nn: [
        p := nn.UninitializedParameter(),
        p.materialize((2, 3)),
        type(p).__name__,
        p.shape,
        p.requires_grad,
    ][2:],
    "factory_kwargs": lambda t, nn: nn.factory_kwargs({"device": "cpu", "factory_kwargs": {"dtype": 1}}),
    "factory_kwargs_twice": lambda t, nn: nn.factory_kwargs({"dtype": 1, "factory_kwargs": {"dtype": 1}}),
    "factory_kwargs_unknown": lambda t, nn: nn.factory_kwargs({"what": 1}),
    "non_persistent_override": lambda t, nn: own_register_buffer(t, nn),
    "super_init": lambda t, nn: cooperative(nn),
    "extra_repr_lines": lambda t, nn: many_lines(nn),
}

for _kind, _value in (
    ("buffer", lambda t, nn: t.ones(1)),
    ("parameter", lambda t, nn: nn.Parameter(t.ones(1))),
    ("module", lambda t, nn: nn.ReLU()),
):
    for _name in ("", "a.b", 3, "forward", "scale", "new"):
        STRUCTURE[f"register_{_kind}_{_name}"] = lambda t, nn, k=_kind, n=_name, v=_value: [
            m := net(nn),
            attempt(lambda: getattr(m, f"register_{k}")(n, v(t, nn))),
            m,
            list(m.state_dict()),
        ][1:]
    STRUCTURE[f"register_{_kind}_wrong"] = lambda t, nn, k=_kind: getattr(net(nn), f"register_{k}")("new", 3)


def own_register_buffer(t, nn):
    class Own(nn.Module):
        def register_buffer(self, name, tensor):
            super().register_buffer(name, tensor)

    m = Own()
    m.a = nn.Buffer(t.ones(1))
    return list(m.state_dict()), attempt(lambda: setattr(m, "b", nn.Buffer(t.ones(1), persistent=False)))


def cooperative(nn):
    class Other:
        def __init__(self, a):
            self.a = a

    class Both(nn.Module, Other):
        call_super_init = True

    return Both(5).a


def many_lines(nn):
    class Lines(nn.Module):
        def extra_repr(self):
            return "a=1\nb=2"

    m = Lines()
    m.child = Lines()
    return m, Lines()


@pytest.mark.parametrize("name", STRUCTURE)
def test_structure(name):
    assert told(STRUCTURE[name], chainrule) == told(STRUCTURE[name], torch)


# State dicts


def linear_pair(nn):
    return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))


def changed(nn, **entries):
    state = linear_pair(nn).state_dict()
    for key, value in entries.items():
        key = key.replace("_", ".", 1)
        if value is None:
            del state[key]
        else:
            state[key] = value
    return state


def extra_state(nn):
    class Extra(nn.Module):
        def get_extra_state(self):
            return {"n": 5}

        def set_extra_state(self, state):
            self.n = state["n"]

    return Extra()


def pre_hooked(nn, rename):
    m = linear_pair(nn)

    def hook(module, state_dict, prefix, metadata, strict, missing, unexpected, errors):
        for key in [k for k in state_dict if k.startswith("old")]:
            state_dict[key[3:]] = state_dict.pop(key)

    m.register_load_state_dict_pre_hook(hook)
    return m.load_state_dict(OrderedDict((f"old{k}" if rename else k, v) for k, v in m.state_dict().items()))


STATE = {
    "matches": lambda t, nn: linear_pair(nn).load_state_dict(linear_pair(nn).state_dict()),
    "missing": lambda t, nn: linear_pair(nn).load_state_dict(changed(nn, **{"0_weight": None, "1_bias": None})),
    "unexpected": lambda t, nn: linear_pair(nn).load_state_dict(changed(nn, **{"0_more": t.ones(1), "5_x": t.ones(1)})),
    "shape": lambda t, nn: linear_pair(nn).load_state_dict(changed(nn, **{"0_weight": t.ones(3), "1_running_mean": t.ones(1, 2)})),
    "all_wrong": lambda t, nn: linear_pair(nn).load_state_dict(changed(nn, **{"0_weight": None, "0_x": t.ones(1), "1_bias": t.ones(5)})),
    "lax": lambda t, nn: linear_pair(nn).load_state_dict(changed(nn, **{"0_weight": None, "0_x": t.ones(1)}), strict=False),
    "lax_shape": lambda t, nn: linear_pair(nn).load_state_dict(changed(nn, **{"0_weight": t.ones(1)}), strict=False),
    "not_tensor": lambda t, nn: linear_pair(nn).load_state_dict(changed(nn, **{"0_weight": "text"})),
    "not_dict": lambda t, nn: linear_pair(nn).load_state_dict([1]),
    "old_scalar": lambda t, nn: [
        m := nn.BatchNorm1d(1),
        m.load_state_dict({**m.state_dict(), "num_batches_tracked": t.tensor([7])}),
        m.num_batches_tracked,
    ][1:],
    "old_batchnorm": lambda t, nn: [
        s := linear_pair(nn).state_dict(),
        s.pop("1.num_batches_tracked"),
        delattr(s, "_metadata"),
        linear_pair(nn).load_state_dict(s),
    ][3],
    "new_batchnorm": lambda t, nn: [s := linear_pair(nn).state_dict(), s.pop("1.num_batches_tracked"), linear_pair(nn).load_state_dict(s)][
        2
    ],
    "old_instancenorm": lambda t, nn: nn.InstanceNorm1d(1).load_state_dict({"running_mean": t.ones(1), "running_var": t.ones(1)}),
    "assign": lambda t, nn: [
        m := nn.Linear(1, 1),
        s := {"weight": t.ones(1, 1), "bias": nn.Parameter(t.ones(1))},
        m.load_state_dict(s, assign=True),
        m.bias is s["bias"],
        m.weight,
    ][2:],
    "assign_keeps_frozen": lambda t, nn: [
        m := nn.Linear(1, 1).requires_grad_(False),
        m.load_state_dict(nn.Linear(1, 1).state_dict(), assign=True),
        m.weight.requires_grad,
    ][1:],
    "converts": lambda t, nn: [
        m := nn.Linear(1, 1),
        m.load_state_dict({"weight": t.ones(1, 1, dtype=t.float64), "bias": t.ones(1, dtype=t.int64)}),
        m.weight,
    ][1:],
    "shares": lambda t, nn: [m := nn.Linear(1, 1), s := m.state_dict(), s["weight"].fill_(3), m.weight, s["weight"].requires_grad][3:],
    "keep_vars": lambda t, nn: [m := nn.Linear(1, 1), m.state_dict(keep_vars=True)["weight"] is m.weight][1],
    "positional": lambda t, nn: list(nn.Linear(1, 1).state_dict(OrderedDict(a=1), "p.", True)),
    "extra": lambda t, nn: [m := extra_state(nn), s := m.state_dict(), m.load_state_dict(s), m.n, s][2:],
    "extra_missing": lambda t, nn: extra_state(nn).load_state_dict({}),
    "extra_unexpected": lambda t, nn: nn.ReLU().load_state_dict({"_extra_state": 1}),
    "extra_base": lambda t, nn: nn.ReLU().get_extra_state(),
    "extra_base_set": lambda t, nn: nn.ReLU().set_extra_state(1),
    "pre_hook": lambda t, nn: pre_hooked(nn, True),
    "pre_hook_idle": lambda t, nn: pre_hooked(nn, False),
    "post_hook": lambda t, nn: [
        m := linear_pair(nn),
        m.register_load_state_dict_post_hook(lambda mod, keys: keys.missing_keys.clear()),
        m.load_state_dict({}),
    ][2],
    "post_hook_returns": lambda t, nn: [m := nn.ReLU(), m.register_load_state_dict_post_hook(lambda mod, keys: 1), m.load_state_dict({})][
        2
    ],
    "save_pre_hook": lambda t, nn: [
        seen := [],
        m := linear_pair(nn),
        m[0].register_state_dict_pre_hook(lambda *a: seen.append(a[1:])),
        m.state_dict(),
        seen,
    ][4],
    "save_post_hook": lambda t, nn: [
        m := linear_pair(nn),
        m[0].register_state_dict_post_hook(lambda mod, s, p, meta: s.pop(p + "bias") and None),
        list(m.state_dict()),
    ][2],
    "save_post_hook_returns": lambda t, nn: [m := nn.ReLU(), m.register_state_dict_post_hook(lambda *a: {}), m.state_dict()][2],
    "save_private_hook": lambda t, nn: [m := nn.ReLU(), m._register_state_dict_hook(lambda *a: {"new": 1}), m.state_dict()][2],
    "save_both_hooks": lambda t, nn: [
        m := nn.ReLU(),
        f := (lambda *a: None),
        m.register_state_dict_post_hook(f),
        m._register_state_dict_hook(f),
    ],
    "consume_prefix": lambda t, nn: [
        s := linear_pair(nn).state_dict(prefix="module."),
        nn.modules.utils.consume_prefix_in_state_dict_if_present(s, "module."),
        list(s),
        s._metadata,
    ][2:],
}


@pytest.mark.parametrize("name", STATE)
def test_state(name):
    results = []
    for lib in LIBRARIES:
        lib.manual_seed(0)
        results.append(told(STATE[name], lib))
    assert results[0] == results[1]


# Hooks


def hooked(lib, nn, attach, inputs=lambda t: (t.ones(1, 2, requires_grad=True),), scale=1.0, module=None):
    """What happens in a forward and backward through a layer of fixed weights with hooks on it."""
    m = module or nn.Linear(2, 1)
    if isinstance(m, nn.Linear):
        with lib.no_grad():
            m.weight.fill_(2.0)
            m.bias.fill_(1.0)
    said: list = []
    handles = attach(m, said)
    args = inputs(lib)
    try:
        out = m(*args)
        first = out[0] if isinstance(out, tuple) else out
        said.append(values(first))
        (first * scale).sum().backward()
        said += values(*[a.grad for a in args], *[p.grad for p in m.parameters()])
    except Exception as e:
        said.append((type(e).__name__, str(e)))
    for h in handles if isinstance(handles, (list, tuple)) else [handles]:
        h.remove()
    with lib.no_grad():
        said.append(values(m(*args)) if isinstance(m, nn.Linear) else None)
    return said, [len(getattr(m, n)) for n in m.__dict__ if n.endswith(("_hooks", "_kwargs", "_called"))]


def note(said, name, result=None):
    def hook(module, *args):
        said.append((name, type(module).__name__, [repr(a) for a in args]))
        return result

    return hook


HOOKS = {
    "forward": lambda m, s: m.register_forward_hook(note(s, "f")),
    "forward_replaces": lambda m, s: m.register_forward_hook(lambda mod, a, o: o * 3),
    "forward_order": lambda m, s: [
        m.register_forward_hook(note(s, "f1")),
        m.register_forward_hook(note(s, "f2")),
        m.register_forward_hook(note(s, "f0"), prepend=True),
    ],
    "forward_kwargs": lambda m, s: m.register_forward_hook(note(s, "f"), with_kwargs=True),
    "pre": lambda m, s: m.register_forward_pre_hook(note(s, "p")),
    "pre_replaces": lambda m, s: m.register_forward_pre_hook(lambda mod, a: a[0] * 2),
    "pre_replaces_tuple": lambda m, s: m.register_forward_pre_hook(lambda mod, a: (a[0] * 2,)),
    "pre_kwargs": lambda m, s: m.register_forward_pre_hook(note(s, "p"), with_kwargs=True),
    "pre_kwargs_replaces": lambda m, s: m.register_forward_pre_hook(lambda mod, a, k: ((), {"input": a[0] * 2}), with_kwargs=True),
    "pre_kwargs_wrong": lambda m, s: m.register_forward_pre_hook(lambda mod, a, k: 5, with_kwargs=True),
    "pre_order": lambda m, s: [m.register_forward_pre_hook(note(s, "1")), m.register_forward_pre_hook(note(s, "0"), prepend=True)],
    "always_after_error": lambda m, s: [
        m.register_forward_hook(note(s, "always"), always_call=True),
        m.register_forward_hook(note(s, "never")),
        m.register_forward_pre_hook(lambda mod, a: 1 / 0),
    ],
    "always_raises": lambda m, s: [
        m.register_forward_hook(lambda *a: {}["x"], always_call=True),
        m.register_forward_pre_hook(lambda mod, a: 1 / 0),
    ],
    "full_backward": lambda m, s: m.register_full_backward_hook(note(s, "b")),
    "full_backward_replaces": lambda m, s: m.register_full_backward_hook(lambda mod, gi, go: (gi[0] * 10,)),
    "full_backward_wrong": lambda m, s: m.register_full_backward_hook(lambda mod, gi, go: (gi[0], gi[0])),
    "full_backward_order": lambda m, s: [
        m.register_full_backward_hook(note(s, "1")),
        m.register_full_backward_hook(note(s, "0"), prepend=True),
    ],
    "backward_pre": lambda m, s: m.register_full_backward_pre_hook(note(s, "bp")),
    "backward_pre_replaces": lambda m, s: m.register_full_backward_pre_hook(lambda mod, go: (go[0] * 10,)),
    "backward_pre_wrong": lambda m, s: m.register_full_backward_pre_hook(lambda mod, go: (go[0], go[0])),
    "backward_both": lambda m, s: [
        m.register_full_backward_pre_hook(lambda mod, go: (go[0] * 10,)),
        m.register_full_backward_hook(note(s, "b")),
    ],
    "old_and_full": lambda m, s: [m.register_full_backward_hook(note(s, "b")), m.register_backward_hook(note(s, "o"))],
    "full_and_old": lambda m, s: [m.register_backward_hook(note(s, "o")), m.register_full_backward_hook(note(s, "b"))],
    "removed_early": lambda m, s: [
        m.register_forward_hook(note(s, "f")).remove(),
        m.register_forward_hook(note(s, "g"), with_kwargs=True, always_call=True),
    ][1:],
}


@pytest.mark.parametrize("name", HOOKS)
def test_hooks(name):
    script = lambda t, nn: attempt(lambda: hooked(t, nn, HOOKS[name]))
    assert told(script, chainrule) == told(script, torch)


@pytest.mark.parametrize("name", ["full_backward", "full_backward_replaces", "backward_pre", "backward_both"])
def test_backward_hooks_without_input_gradient(name):
    script = lambda t, nn: hooked(t, nn, HOOKS[name], inputs=lambda t: (t.ones(1, 2),))
    assert told(script, chainrule) == told(script, torch)


def several(nn):
    class Several(nn.Module):
        def forward(self, a, b, flag):
            return a * 2, b * 3, flag

    return Several()


@pytest.mark.parametrize("name", ["full_backward", "backward_pre", "backward_both", "forward_order"])
def test_hooks_of_several_values(name):
    def script(t, nn):
        m, said = several(nn), []
        HOOKS[name](m, said)
        a, b = t.ones(2, requires_grad=True), t.ones(3)
        x, y, flag = m(a, b, "text")
        x.sum().backward()
        return said, flag, y.requires_grad, values(a.grad)

    assert told(script, chainrule) == told(script, torch)


def test_hook_on_dict_output_warns():
    def script(t, nn):
        class Out(nn.Module):
            def forward(self, x):
                return {"y": x * 2}

        m = Out()
        m.register_full_backward_hook(lambda *a: None)
        return attempt(lambda: m(t.ones(1, requires_grad=True))["y"])

    assert told(script, chainrule) == told(script, torch)


GLOBAL = {
    "forward": lambda mod, s: mod.register_module_forward_hook(note(s, "gf")),
    "forward_kwargs": lambda mod, s: mod.register_module_forward_hook(note(s, "gf"), with_kwargs=True),
    "forward_pre": lambda mod, s: mod.register_module_forward_pre_hook(note(s, "gp")),
    "backward": lambda mod, s: mod.register_module_full_backward_hook(note(s, "gb")),
    "backward_pre": lambda mod, s: mod.register_module_full_backward_pre_hook(note(s, "gbp")),
    "buffer": lambda mod, s: mod.register_module_buffer_registration_hook(lambda m, n, b: s.append(n)),
    "parameter": lambda mod, s: mod.register_module_parameter_registration_hook(lambda m, n, p: s.append(n)),
    "module": lambda mod, s: mod.register_module_module_registration_hook(lambda m, n, c: s.append((n, type(c).__name__))),
}


@pytest.mark.parametrize("name", GLOBAL)
def test_global_hooks(name):
    def script(t, nn):
        said: list = []
        handle = GLOBAL[name](nn.modules.module, said)
        try:
            t.manual_seed(0)
            m = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.BatchNorm1d(2), nn.ReLU()))
            m.train(False)
            m(t.ones(1, 2, requires_grad=True)).sum().backward()
        finally:
            handle.remove()
        count = len(said)
        m(t.ones(1, 2))
        return said, count == len(said)

    assert told(script, chainrule) == told(script, torch)


# Changes to the whole tree

TREE = {
    "double": lambda t, nn: [m := net(nn).double(), [p.dtype for p in m.parameters()], [b.dtype for b in m.buffers()]][1:],
    "half": lambda t, nn: [p.dtype for p in net(nn).half().parameters()],
    "bfloat16": lambda t, nn: [p.dtype for p in net(nn).bfloat16().parameters()],
    "to_dtype": lambda t, nn: [p.dtype for p in net(nn).to(t.float64).parameters()],
    "to_cpu": lambda t, nn: [p.device for p in net(nn).to("cpu").parameters()],
    "to_both": lambda t, nn: [p.dtype for p in net(nn).to("cpu", t.float64).parameters()],
    "to_keyword": lambda t, nn: [p.dtype for p in net(nn).to(device="cpu", dtype=t.float64).parameters()],
    "to_tensor": lambda t, nn: [p.dtype for p in net(nn).to(t.ones(1, dtype=t.float64)).parameters()],
    "to_int": lambda t, nn: net(nn).to(t.int64),
    "to_complex": lambda t, nn: [p.dtype for p in net(nn).to(t.complex64).parameters()],
    "int_buffers": lambda t, nn: nn.BatchNorm1d(1).double().num_batches_tracked.dtype,
    "same_parameters": lambda t, nn: [m := net(nn), p := m.scale, m.double(), m.scale is p, m.tied is m.one][3:],
    "type": lambda t, nn: [p.dtype for p in net(nn).type(t.float64).parameters()],
    "grads_follow": lambda t, nn: [m := nn.Linear(1, 1), m(t.ones(1, 1)).sum().backward(), m.double(), m.weight.grad.dtype][3],
    "zero_grad": lambda t, nn: [
        m := nn.Linear(1, 1),
        m(t.ones(1, 1)).sum().backward(),
        m.zero_grad(False),
        m.weight.grad,
        m.zero_grad(),
        m.weight.grad,
    ][3::2],
    "channels_last": lambda t, nn: nn.Conv2d(2, 2, 3).to(memory_format=t.channels_last).weight.stride(),
}


@pytest.mark.parametrize("name", TREE)
def test_tree(name):
    assert told(TREE[name], chainrule) == told(TREE[name], torch)


def test_deepcopy():
    m = net(chainrule.nn)
    m(chainrule.ones(1, 2)).sum().backward()
    m.one.weight.requires_grad_(False)
    twin = copy.deepcopy(m)
    assert repr(twin) == repr(m)
    assert twin.tied is twin.one and twin.one is not m.one
    assert twin.scale.grad is None and m.scale.grad is not None  # as PyTorch: parameters are copied without gradients
    assert not twin.one.weight.requires_grad
    assert type(twin.scale) is chainrule.nn.Parameter
    twin.scale.data.fill_(9)
    assert m.scale.item() == 2


def test_pickle():
    m = chainrule.nn.Sequential(chainrule.nn.Linear(2, 3), chainrule.nn.BatchNorm1d(3), chainrule.nn.LSTM(3, 2)).eval()
    twin = pickle.loads(pickle.dumps(m))
    assert repr(twin) == repr(m) and not twin[1].training
    for (name, a), (other, b) in zip(m.state_dict().items(), twin.state_dict().items(), strict=True):
        assert name == other and np.array_equal(a.numpy(), b.numpy())
    assert type(twin[0].weight) is chainrule.nn.Parameter and twin[0].weight.requires_grad


def test_call_without_hooks_goes_straight_to_forward(monkeypatch):
    monkeypatch.setattr(chainrule.nn.modules.hooks, "call", None)
    chainrule.nn.ReLU()(chainrule.ones(1))


def test_modules_go_without_the_collector():
    import gc
    import weakref

    gc.disable()
    try:
        m = net(chainrule.nn)
        m(chainrule.ones(1, 2)).sum().backward()
        watch = weakref.ref(m), weakref.ref(m.scale)
        del m
        assert [w() for w in watch] == [None, None]
    finally:
        gc.enable()


# Containers

CONTAINERS = {
    "sequential": lambda t, nn: nn.Sequential(nn.Linear(1, 2), nn.ReLU()),
    "sequential_named": lambda t, nn: nn.Sequential(OrderedDict(a=nn.Linear(1, 2), b=nn.ReLU())),
    "sequential_index": lambda t, nn: [s := nn.Sequential(nn.ReLU(), nn.Tanh(), nn.GELU()), s[0], s[-1], s[1:], len(s), list(s)][1:],
    "sequential_range": lambda t, nn: nn.Sequential(nn.ReLU())[3],
    "sequential_set": lambda t, nn: [s := nn.Sequential(nn.ReLU(), nn.Tanh()), s.__setitem__(-1, nn.GELU()), s][2],
    "sequential_del": lambda t, nn: [s := nn.Sequential(nn.ReLU(), nn.Tanh(), nn.GELU()), s.__delitem__(0), s][2],
    "sequential_del_slice": lambda t, nn: [s := nn.Sequential(nn.ReLU(), nn.Tanh(), nn.GELU()), s.__delitem__(slice(0, 2)), s][2],
    "sequential_pop": lambda t, nn: [s := nn.Sequential(nn.ReLU(), nn.Tanh()), s.pop(0), s][1:],
    "sequential_add": lambda t, nn: nn.Sequential(nn.ReLU()) + nn.Sequential(nn.Tanh()),
    "sequential_iadd": lambda t, nn: [s := nn.Sequential(nn.ReLU()), s.__iadd__(nn.Sequential(nn.Tanh())), s][2],
    "sequential_add_wrong": lambda t, nn: nn.Sequential(nn.ReLU()) + [1],
    "sequential_mul": lambda t, nn: nn.Sequential(nn.ReLU(), nn.Tanh()) * 2,
    "sequential_rmul": lambda t, nn: 2 * nn.Sequential(nn.ReLU()),
    "sequential_imul": lambda t, nn: [s := nn.Sequential(nn.ReLU()), s.__imul__(3), s][2],
    "sequential_mul_zero": lambda t, nn: nn.Sequential(nn.ReLU()) * 0,
    "sequential_mul_text": lambda t, nn: nn.Sequential(nn.ReLU()) * "a",
    "sequential_append": lambda t, nn: nn.Sequential().append(nn.ReLU()).extend([nn.Tanh()]).insert(0, nn.GELU()).insert(-1, nn.ELU()),
    "sequential_insert_wrong": lambda t, nn: nn.Sequential().insert(5, nn.ReLU()),
    "sequential_not_module": lambda t, nn: nn.Sequential(5),
    "modulelist": lambda t, nn: nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1), nn.ReLU(), nn.Sequential(nn.Linear(1, 1))]),
    "modulelist_empty": lambda t, nn: nn.ModuleList(),
    "modulelist_index": lambda t, nn: [s := nn.ModuleList([nn.ReLU(), nn.Tanh()]), s[0], s[-1], s[:1], len(s)][1:],
    "modulelist_range": lambda t, nn: nn.ModuleList()[0],
    "modulelist_add": lambda t, nn: nn.ModuleList([nn.ReLU()]) + [nn.Tanh()],
    "modulelist_extend": lambda t, nn: [
        s := nn.ModuleList([nn.ReLU()]),
        s.__iadd__([nn.Tanh()]),
        s.append(nn.GELU()),
        s.insert(0, nn.ELU()),
        s.pop(1),
        s,
    ][4:],
    "modulelist_extend_wrong": lambda t, nn: nn.ModuleList().extend(5),
    "modulelist_del": lambda t, nn: [s := nn.ModuleList([nn.ReLU(), nn.Tanh(), nn.ELU()]), s.__delitem__(slice(0, 2)), s][2],
    "modulelist_set": lambda t, nn: [s := nn.ModuleList([nn.ReLU(), nn.Tanh()]), s.__setitem__(-1, nn.ELU()), s][2],
    "modulelist_call": lambda t, nn: nn.ModuleList()(1),
    "moduledict": lambda t, nn: nn.ModuleDict({"a": nn.ReLU(), "b": nn.Linear(1, 1)}),
    "moduledict_ops": lambda t, nn: [
        d := nn.ModuleDict([("a", nn.ReLU())]),
        "a" in d,
        list(d),
        list(d.keys()),
        list(d.values()),
        list(d.items()),
        len(d),
        d.pop("a"),
        d,
        d.update({"c": nn.Tanh()}),
        d["c"],
        d.clear(),
        d,
    ][1:],
    "moduledict_missing": lambda t, nn: nn.ModuleDict()["a"],
    "moduledict_wrong": lambda t, nn: nn.ModuleDict(5),
    "moduledict_wrong_pair": lambda t, nn: nn.ModuleDict([(1, 2, 3)]),
    "moduledict_wrong_item": lambda t, nn: nn.ModuleDict([5]),
    "moduledict_conflict": lambda t, nn: nn.ModuleDict({"keys": nn.ReLU()}),
    "parameterlist": lambda t, nn: nn.ParameterList([nn.Parameter(t.ones(2, 3)), t.ones(4), 5, nn.Parameter(t.ones(()))]),
    "parameterlist_ops": lambda t, nn: [
        p := nn.ParameterList([t.ones(1), t.ones(2)]),
        len(p),
        p[-1].shape,
        p[:1],
        p.append(t.ones(3)),
        p.extend([t.ones(4)]),
        list(p.state_dict()),
        p.__setitem__(0, t.ones(9)),
        p,
    ][1:],
    "parameterlist_wrong": lambda t, nn: nn.ParameterList().extend(t.ones(3)),
    "parameterlist_range": lambda t, nn: nn.ParameterList()[0],
    "parameterlist_call": lambda t, nn: nn.ParameterList()(1),
    "parameterdict": lambda t, nn: nn.ParameterDict({"b": t.ones(2, 3), "a": nn.Parameter(t.ones(1)), "c": "text"}),
    "parameterdict_ordered": lambda t, nn: nn.ParameterDict(OrderedDict(b=t.ones(2, 3), a=t.ones(1))),
    "parameterdict_ops": lambda t, nn: [
        d := nn.ParameterDict({"a": t.ones(1)}),
        "a" in d,
        list(d),
        len(d),
        d.get("z", 5),
        d.setdefault("b", t.ones(2)),
        d.popitem()[0],
        d.copy(),
        d.pop("a"),
        d,
        list(reversed(nn.ParameterDict({"x": 1, "y": 2}))),
        d.fromkeys(["k"], t.ones(1)),
        d.update({"q": t.ones(1)}),
        d | nn.ParameterDict({"r": t.ones(1)}),
        d.clear(),
        d,
    ][1:],
    "parameterdict_key": lambda t, nn: nn.ParameterDict({5: t.ones(1)}),
    "parameterdict_wrong": lambda t, nn: nn.ParameterDict(5),
    "parameterdict_wrong_pair": lambda t, nn: nn.ParameterDict([(1, 2, 3)]),
    "parameterdict_call": lambda t, nn: nn.ParameterDict()(1),
    "data_parallel": lambda t, nn: [m := nn.DataParallel(nn.Linear(1, 1)), list(m.state_dict()), m.device_ids],
    "container": lambda t, nn: nn.Container(a=nn.ReLU()),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers(name):
    assert told(CONTAINERS[name], chainrule) == told(CONTAINERS[name], torch)
