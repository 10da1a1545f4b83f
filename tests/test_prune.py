"""`nn.utils.prune`: the same masks, names, gradients and errors as PyTorch."""

import importlib
import io

import pytest
import torch as oracle
from both import agree, cases

import chainrule


def prune_of(torch):
    return importlib.import_module(f"{torch.__name__}.nn.utils.prune")


def made(torch, kind, *sizes):
    """A module with weights that need no random numbers."""
    module = getattr(torch.nn, kind)(*sizes)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(((torch.arange(p.numel()) * 37 % 101 - 50.3) / 10).view_as(p))
    return module


def state(m):
    return [dict(m.state_dict()), [n for n, _ in m.named_parameters()], m.weight, len(m._forward_pre_hooks)]


def by_share(torch):
    m = prune_of(torch).l1_unstructured(made(torch, "Linear", 4, 3), "weight", 0.3)
    m(torch.ones(2, 4)).sum().backward()
    return state(m), m.weight_orig.grad


def one_after_the_other(torch):
    prune, m = prune_of(torch), made(torch, "Conv2d", 2, 4, 2)
    prune.ln_structured(m, "weight", amount=1, n=1, dim=1)
    prune.l1_unstructured(m, "weight", 0.5)
    prune.ln_structured(m, "weight", amount=0.25, n=2, dim=-4)
    prune.custom_from_mask(m, "bias", torch.tensor([1, 0, 1, 1]))
    hook = list(m._forward_pre_hooks.values())[0]
    return state(m), type(hook).__name__, len(hook), [type(h).__name__ for h in hook], type(hook[1]).__name__


def at_random(torch):
    torch.manual_seed(3)
    prune = prune_of(torch)
    m = prune.random_unstructured(made(torch, "Linear", 6, 4), "weight", 7)
    prune.random_unstructured(m, "weight", 0.2)
    return state(prune.random_structured(m, "weight", 2, 0))


def by_scores(torch):
    m = made(torch, "Linear", 4, 3)
    return state(prune_of(torch).l1_unstructured(m, "weight", 5, importance_scores=torch.arange(12.0).view(3, 4)))


def across_layers(torch):
    prune, net = prune_of(torch), torch.nn.Sequential(made(torch, "Linear", 3, 3), made(torch, "Linear", 3, 2))
    pairs = [(net[0], "weight"), (net[1], "weight")]
    prune.global_unstructured(pairs, pruning_method=prune.L1Unstructured, amount=0.4)
    prune.global_unstructured(pairs, prune.L1Unstructured, {pairs[0]: torch.arange(9.0).view(3, 3)}, amount=2)
    return [state(m) for m in net], prune.is_pruned(net)


def made_permanent(torch):
    prune, m = prune_of(torch), made(torch, "Linear", 4, 3)
    prune.identity(m, "bias")
    prune.l1_unstructured(m, "weight", 4)
    before = prune.is_pruned(m)
    prune.remove(prune.remove(m, "weight"), "bias")
    return before, prune.is_pruned(m), state(m), isinstance(m.weight, torch.nn.Parameter)


def without_a_module(torch):
    method = prune_of(torch).L1Unstructured(amount=2)
    values = torch.tensor([3.0, 1.0, 2.0, -0.5])
    return method.prune(values), method.prune(values, torch.tensor([1, 1, 0, 1.0])), method.prune(values, None, -values)


def through_a_checkpoint(torch):
    m = prune_of(torch).ln_structured(made(torch, "Linear", 4, 3), "weight", 1, float("inf"), 0)
    file = io.BytesIO()
    torch.save(m, file)
    file.seek(0)
    return state(torch.load(file, weights_only=False))


@cases([by_share, one_after_the_other, at_random, by_scores, across_layers, made_permanent, without_a_module, through_a_checkpoint])
def test_pruning(program):
    agree(program)


def failed_midway(torch):
    """The parameter is as it was when computing a mask raises."""
    m = made(torch, "Linear", 2, 2)
    try:
        prune_of(torch).l1_unstructured(m, "weight", 5)
    except ValueError:
        return state(m)


def two_hooks(torch):
    prune, m = prune_of(torch), made(torch, "Linear", 2, 2)
    hook = prune.L1Unstructured.apply(m, "weight", 1)
    m.register_forward_pre_hook(hook)
    prune.identity(m, "weight")


def container_of_another(torch):
    prune, m = prune_of(torch), made(torch, "Linear", 2, 2)
    container = prune.PruningContainer(prune.L1Unstructured.apply(m, "weight", 1))
    container.add_pruning_method(prune.L1Unstructured.apply(m, "bias", 1))


WRONG = {
    "share": lambda p, m, t: p.l1_unstructured(m, "weight", 1.5),
    "negative": lambda p, m, t: p.l1_unstructured(m, "weight", -1),
    "text": lambda p, m, t: p.l1_unstructured(m, "weight", "a"),
    "too many": lambda p, m, t: p.random_unstructured(m, "weight", 5),
    "vector": lambda p, m, t: p.random_structured(m, "bias", 1, 0),
    "dimension": lambda p, m, t: p.ln_structured(m, "weight", 1, 2, 2),
    "not pruned": lambda p, m, t: p.remove(m, "weight"),
    "no pairs": lambda p, m, t: p.global_unstructured(3, p.L1Unstructured),
    "structured": lambda p, m, t: p.global_unstructured([(m, "weight")], p.LnStructured, amount=1, n=1),
    "scores": lambda p, m, t: p.l1_unstructured(m, "weight", 1, t.ones(3)),
    "score list": lambda p, m, t: p.global_unstructured([(m, "weight")], p.L1Unstructured, [1], amount=1),
    "mask": lambda p, m, t: p.custom_from_mask(m, "weight", t.ones(3)),
    "unknown": lambda p, m, t: p.l1_unstructured(m, "nothing", 1),
}


@cases({name: lambda t, f=f: f(prune_of(t), made(t, "Linear", 2, 2), t) for name, f in WRONG.items()})
def test_errors(program):
    agree(program)


@cases([failed_midway, two_hooks])
def test_what_stays_after_errors(program):
    agree(program)


def test_container_is_for_one_parameter():
    for torch in (chainrule, oracle):
        with pytest.raises(ValueError, match="Can only add pruning methods acting on the parameter named 'weight' to PruningContainer"):
            container_of_another(torch)
        with pytest.raises(TypeError, match="<class 'int'> is not a BasePruningMethod subclass"):
            prune_of(torch).PruningContainer(*prune_of(torch).PruningContainer()).add_pruning_method(3)
