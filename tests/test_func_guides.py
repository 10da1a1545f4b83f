"""What PyTorch's guides do with `func` (per-sample gradients, ensembles, Jacobians, kernels of networks, meta-learning), under both."""

from functools import partial

from both import agree, cases


def net(torch, layers):
    torch.manual_seed(0)
    return torch.nn.Sequential(*layers(torch.nn)).double()


def cnn(torch):
    return net(torch, lambda nn: (
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 3), nn.LogSoftmax(1),
    ))  # fmt: skip


def mlp(torch):
    return net(torch, lambda nn: (nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)))


def state(model):
    return {name: p.detach() for name, p in model.named_parameters()}


def per_sample(torch, **options):
    model = cnn(torch)
    images, labels = torch.randn(6, 1, 8, 8, dtype=torch.float64), torch.randint(0, 3, (6,))

    def loss(parameters, image, label):
        found = torch.func.functional_call(model, (parameters,), (image.unsqueeze(0),))
        return torch.nn.functional.nll_loss(found, label.unsqueeze(0))

    return torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0), **options)(state(model), images, labels)


def ensemble(torch):
    models = [mlp(torch) for _ in range(3)]
    for i, model in enumerate(models):
        model.load_state_dict({name: p + i for name, p in model.state_dict().items()})
    parameters, buffers = torch.func.stack_module_state(models)
    x = torch.randn(3, 2, 4, dtype=torch.float64)

    def call(parameters, buffers, x):
        return torch.func.functional_call(models[0], (parameters, buffers), (x,))

    return torch.vmap(call)(parameters, buffers, x), torch.vmap(call, in_dims=(0, 0, None))(parameters, buffers, x[0])


def ensemble_training(torch):
    torch.manual_seed(0)
    w, x, y = [torch.randn(*s, dtype=torch.float64) for s in ((3, 2), (3, 4, 2), (3, 4))]

    def step(w, x, y):
        return w - 0.1 * torch.func.grad(lambda w: ((x @ w - y) ** 2).mean())(w)

    for _ in range(3):
        w = torch.vmap(step)(w, x, y)
    return w


def jacobians(torch):
    torch.manual_seed(0)
    w, b, x, many = [torch.randn(*s, dtype=torch.float64) for s in ((4, 4), (4,), (4,), (3, 4))]

    def predict(w, b, x):
        return torch.nn.functional.linear(x, w, b).tanh()

    _, pull = torch.func.vjp(partial(predict, w, b), x)
    (rows,) = torch.vmap(pull)(torch.eye(4, dtype=torch.float64))
    jacrev, jacfwd, hessian = [f(predict, argnums=2) for f in (torch.func.jacrev, torch.func.jacfwd, torch.func.hessian)]
    dims = (None, None, 0)
    return rows, jacrev(w, b, x), jacfwd(w, b, x), torch.vmap(jacrev, dims)(w, b, many), torch.vmap(hessian, dims)(w, b, many)


def tangent_kernel(torch):
    model = net(torch, lambda nn: (nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)))
    parameters = state(model)
    one, other = torch.randn(3, 1, 4, 4, dtype=torch.float64), torch.randn(2, 1, 4, 4, dtype=torch.float64)

    def single(parameters, x):
        return torch.func.functional_call(model, (parameters,), (x.unsqueeze(0),)).squeeze(0)

    def by_jacobians(x1, x2):
        found = [torch.vmap(torch.func.jacrev(single), (None, 0))(parameters, x) for x in (x1, x2)]
        pairs = zip(*[[j.flatten(2) for j in jacobians.values()] for jacobians in found])
        return torch.stack([torch.einsum("Naf,Mbf->NMab", a, b) for a, b in pairs]).sum(0)

    def by_products(x1, x2):
        out, pull = torch.func.vjp(lambda p: single(p, x1), parameters)

        def row(v):
            return torch.func.jvp(lambda p: single(p, x2), (parameters,), pull(v))[1]

        return torch.vmap(row)(torch.eye(out.numel(), dtype=torch.float64))

    return by_jacobians(one, other), torch.vmap(torch.vmap(by_products, (None, 0)), (0, None))(one, other)


def meta_learning(torch):
    torch.manual_seed(0)
    start = torch.randn(2, 4, dtype=torch.float64), torch.randn(4, 1, dtype=torch.float64)
    tasks = [torch.randn(3, 5, n, dtype=torch.float64) for n in (2, 1, 2, 1)]

    def loss(p, x, y):
        return (((x @ p[0]).relu() @ p[1] - y) ** 2).mean()

    def task(x, y, x2, y2):
        def after_a_step(p):
            slopes = torch.func.grad(loss)(p, x, y)
            return loss(tuple([a - 0.1 * g for a, g in zip(p, slopes)]), x2, y2)

        return torch.func.grad_and_value(after_a_step)(start)

    return torch.vmap(task)(*tasks)


def forces(torch):
    torch.manual_seed(0)
    places = torch.rand(5, 3, dtype=torch.float64) + 1

    def energy(r):
        d = torch.linalg.norm(r)
        return 2 * ((1 / d) ** 12 - (1 / d) ** 6)

    return torch.vmap(torch.func.grad(energy))(places), torch.func.hessian(energy)(places[0])


def hessian_products(torch):
    torch.manual_seed(0)
    x, v = torch.rand(4, dtype=torch.float64), torch.rand(4, dtype=torch.float64)
    slope = torch.func.grad(lambda x: (x.sin() * x).sum())
    return torch.func.jvp(slope, (x,), (v,))[1], torch.func.vjp(slope, x)[1](v), torch.vmap(lambda v: torch.func.vjp(slope, x)[1](v))(
        torch.eye(4, dtype=torch.float64)
    )


def sorting(torch):
    class Sort(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x, dim):
            order = torch.argsort(x, dim=dim)
            return torch.take_along_dim(x, order, dim=dim), order, torch.argsort(order, dim=dim)

        @staticmethod
        def setup_context(ctx, inputs, output):
            _, order, back = output
            ctx.dim = inputs[1]
            ctx.mark_non_differentiable(order, back)
            ctx.save_for_backward(order, back)
            ctx.save_for_forward(order, back)

        @staticmethod
        def backward(ctx, g, *others):
            return torch.take_along_dim(g, ctx.saved_tensors[1], dim=ctx.dim), None

        @staticmethod
        def jvp(ctx, t, _):
            return torch.take_along_dim(t, ctx.saved_tensors[0], dim=ctx.dim), None, None

    torch.manual_seed(0)
    x = torch.rand(3, 4, dtype=torch.float64)

    def f(x):
        return Sort.apply(x, 0)[0]

    def weighed(x):
        return (f(x) * x).sum()

    transforms = torch.func.jacrev, torch.func.jacfwd
    return torch.vmap(f)(x), [torch.vmap(t(f))(x) for t in transforms], torch.func.grad(weighed)(x[0]), torch.func.hessian(weighed)(x[0])


GUIDES = {
    "per-sample gradients": per_sample,
    "per-sample gradients in chunks": lambda torch: per_sample(torch, chunk_size=4),
    **{f.__name__: f for f in (ensemble, ensemble_training, jacobians, tangent_kernel, meta_learning, forces, hessian_products, sorting)},
}


@cases(GUIDES)
def test_guides(program):
    agree(program)
