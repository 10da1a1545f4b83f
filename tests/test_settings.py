"""What programs ask and switch before they compute: devices, backends, versions, threads, compilers; and `torch.layer_norm` and so on."""

import pytest
import torch as oracle
from both import agree, cases

import chainrule
from chainrule.torch_version import TorchVersion

ANSWERS = """
cuda.is_available() cuda.device_count() cuda.is_initialized() cuda.is_bf16_supported() cuda.manual_seed(1) cuda.manual_seed_all(1)
cuda.seed() cuda.empty_cache() cuda.memory_allocated() cuda.max_memory_allocated() cuda.memory_reserved() cuda.max_memory_reserved()
cuda.get_arch_list() cuda.get_rng_state_all() cuda.set_rng_state_all([]) cuda.has_half cuda.Stream()
backends.cudnn.enabled backends.cudnn.deterministic backends.cudnn.benchmark backends.cudnn.allow_tf32 backends.cudnn.version()
backends.cudnn.is_available() backends.cuda.is_built() backends.cuda.matmul.allow_tf32 backends.mps.is_available() backends.mps.is_built()
backends.mkldnn.enabled mps.is_available() xpu.is_available() accelerator.is_available() accelerator.current_accelerator()
accelerator.device_count() cpu.is_available() cpu.device_count() cpu.current_device() version.cuda version.hip version.debug
are_deterministic_algorithms_enabled() is_deterministic_algorithms_warn_only_enabled() get_deterministic_debug_mode()
get_float32_matmul_precision() is_warn_always_enabled() set_num_threads(0) set_num_threads("a") set_deterministic_debug_mode("some")
set_deterministic_debug_mode(7) use_deterministic_algorithms("yes") use_deterministic_algorithms(1) set_deterministic_debug_mode(1.5)
jit.is_scripting() jit.is_tracing() compiler.is_compiling() compiler.is_exporting() distributed.is_initialized() cuda.device(0).idx
compile(len,mode="default",options={})
""".split()  # noqa: SIM905


@pytest.mark.parametrize("expression", ANSWERS)
def test_answer(expression):
    agree(lambda torch: eval(f"torch.{expression}", {"torch": torch}))


NEED_A_GPU = """
init() current_device() set_device(0) synchronize() get_device_name() get_device_capability() get_device_properties(0) mem_get_info()
get_rng_state() initial_seed() current_stream()
""".split()  # noqa: SIM905


@pytest.mark.parametrize("call", NEED_A_GPU)
def test_what_needs_a_gpu_is_refused(call):
    with pytest.raises(AssertionError, match="Torch not compiled with CUDA enabled"):
        eval(f"torch.cuda.{call}", {"torch": chainrule})


def deterministic(torch):
    seen = []
    for change in (
        lambda: torch.use_deterministic_algorithms(True),
        lambda: torch.use_deterministic_algorithms(True, warn_only=True),
        lambda: torch.set_deterministic_debug_mode("error"),
        lambda: torch.set_deterministic_debug_mode(1),
        lambda: torch.use_deterministic_algorithms(False),
    ):
        change()
        seen.append(
            (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled(),
             torch.get_deterministic_debug_mode())
        )  # fmt: skip
    return seen


def precision(torch):
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    inside = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    return before, inside


def switches(torch):
    import importlib

    cudnn = importlib.import_module(f"{torch.__name__}.backends.cudnn")
    before = cudnn.benchmark
    with cudnn.flags(enabled=True, benchmark=True, deterministic=True):
        inside = cudnn.benchmark, cudnn.deterministic
    cudnn.benchmark = torch.backends.cudnn.deterministic = True
    after = torch.backends.cudnn.benchmark, cudnn.deterministic
    cudnn.benchmark = cudnn.deterministic = False
    return before, inside, after


def warned_always(torch):
    torch.set_warn_always(True)
    inside = torch.is_warn_always_enabled()
    torch.set_warn_always(False)
    return inside, torch.is_warn_always_enabled()


@cases([deterministic, precision, switches, warned_always])
def test_switches(program):
    agree(program)


def test_distributed_training_is_refused():
    agree(lambda torch: torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(1, 1)))


def test_threads():
    before = chainrule.get_num_threads()
    try:
        for count in (1, 2):
            chainrule.set_num_threads(count)
            assert chainrule.get_num_threads() == count
            x = chainrule.ones(50, 50)
            assert (x @ x)[0, 0] == 50
    finally:
        chainrule.set_num_threads(before)
    chainrule.set_num_interop_threads(3)
    assert chainrule.get_num_interop_threads() == 3


VERSIONS = ["2.13.0", "2.13", "2.9.1", "2.13.0a0", "3.0", "2.13.0+cpu", "1.13.1", "10.0"]


@pytest.mark.parametrize("a", VERSIONS)
def test_versions_compare_by_their_numbers(a):
    ours, theirs = TorchVersion(a), oracle.torch_version.TorchVersion(a)
    for b in [v for v in VERSIONS if "+" not in v + a] + [(2, 13), (2, 9, 1), (3,)]:
        assert [ours < b, ours <= b, ours == b, ours != b, ours >= b, ours > b] == [
            theirs < b, theirs <= b, theirs == b, theirs._cmp_wrapper(b, "__eq__") is False, theirs >= b, theirs > b,
        ], b  # fmt: skip
    assert ours == a and hash(ours) == hash(a) and isinstance(ours, str) and ours.split("+")[0] == a.split("+")[0]


def test_compiled_is_the_function_itself():
    @chainrule.compile
    def f(x):
        return x + 1

    @chainrule.compile(mode="reduce-overhead", fullgraph=True)
    def g(x):
        return x + 2

    with pytest.raises(AssertionError, match="A callable function is expected, but <class 'int'> is provided."):
        chainrule.compile(3)
    module = chainrule.nn.Linear(1, 1)
    assert f(1) == 2 and g(1) == 3 and chainrule.compile(module) is module and module.compile() is None
    assert chainrule.compiler.disable(f) is f and chainrule.compiler.disable()(f) is f
    assert chainrule.jit.script(f) is f and chainrule.jit.trace(module, (chainrule.ones(1),)) is module
    with pytest.raises(NotImplementedError, match="save model.state_dict"):
        chainrule.jit.save(module, "x.pt")


# Functions of layers under torch's own names

FUNCTIONS = {
    "dropout": lambda t, x, w: (t.dropout(x, 0.5, False), t.dropout(x, 0.0, True), t.dropout(x, 1.0, True)),
    "dropout_": lambda t, x, w: t.dropout_(x.clone(), 1.0, True),
    "feature_alpha_dropout": lambda t, x, w: t.feature_alpha_dropout(x, 0.5, False),
    "batch_norm": lambda t, x, w: t.batch_norm(x, w, w, None, None, True, 0.1, 1e-5, False),
    "instance_norm": lambda t, x, w: t.instance_norm(x, w, None, None, None, True, 0.1, 1e-5, False),
    "layer_norm": lambda t, x, w: t.layer_norm(x, (4,), None, None, 1e-5, True),
    "group_norm": lambda t, x, w: t.group_norm(x, 3, w, None, 1e-5, False),
    "rms_norm": lambda t, x, w: t.rms_norm(x, (4,)),
    "norm_except_dim": lambda t, x, w: (t.norm_except_dim(x, 2, 1), t.norm_except_dim(x, 2, -1)),
    "embedding": lambda t, x, w: t.embedding(x[0], t.tensor([[0, 2], [1, 1]]), -1),
    "conv1d": lambda t, x, w: t.conv1d(x, t.ones(2, 3, 2), None, 1, 1),
    "conv_transpose1d": lambda t, x, w: t.conv_transpose1d(x, t.ones(3, 2, 2)),
    "max_pool1d": lambda t, x, w: (t.max_pool1d(x, 2), t.avg_pool1d(x, 2), t.adaptive_avg_pool1d(x, 2), t.adaptive_max_pool1d(x, 2)),
    "pixel_shuffle": lambda t, x, w: t.pixel_shuffle(t.ones(1, 4, 2, 2), 2),
    "distances": lambda t, x, w: (t.cosine_similarity(x, x + 1), t.pairwise_distance(x, x + 1), t.pdist(x[0])),
    "bilinear": lambda t, x, w: t.bilinear(x, x, t.ones(2, 4, 4), None),
    "grid": lambda t, x, w: t.grid_sampler(x[None], t.affine_grid_generator(t.eye(2, 3)[None] * 0.7, (1, 2, 3, 4), False), 0, 1, False),
    "losses": lambda t, x, w: [
        t.binary_cross_entropy_with_logits(x, x.sigmoid(), None, None, 1), t.kl_div(x.log_softmax(-1), (2 * x).softmax(-1), 2),
        t.margin_ranking_loss(x, -x, t.ones(2, 3, 4), 0.1, 0), t.hinge_embedding_loss(x, x.sign(), 1.0, 1),
        t.poisson_nll_loss(x, x, True, False, 1e-8, 2),
        t.cosine_embedding_loss(x[0], x[1], t.ones(3), 0.0, 1), t.triplet_margin_loss(x, x + 1, x - 2, 1.0, 2.0, 1e-6, False, 2),
    ],
    "ctc_loss": lambda t, x, w: t.ctc_loss(t.ones(4, 1, 3).log_softmax(-1), t.tensor([[1, 2]]), (4,), (2,), 0, 2, False),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function(name):
    def program(torch):
        x = (torch.arange(24.0).view(2, 3, 4) * 7 % 11) / 5 - 1
        return FUNCTIONS[name](torch, x, torch.tensor([0.5, 1.0, -1.0]))

    agree(program)


@pytest.mark.parametrize("cell", ["rnn_tanh_cell", "rnn_relu_cell", "gru_cell", "lstm_cell"])
def test_cells(cell):
    def program(torch):
        gates = {"gru_cell": 3, "lstm_cell": 4}.get(cell, 1)
        values = lambda *shape: torch.sin(torch.arange(float(torch.empty(shape).numel()))).view(shape)
        h = values(2, 3)
        state = (h, h + 0.5) if cell == "lstm_cell" else h
        weights = [values(3 * gates, 4).requires_grad_(), values(3 * gates, 3), values(3 * gates), values(3 * gates)]
        y = getattr(torch, cell)(values(2, 4), state, *weights)
        (y[0] if isinstance(y, tuple) else y).sum().backward()
        return y, weights[0].grad

    agree(program)
