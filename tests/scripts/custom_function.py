"""Own autograd functions: a straight-through estimator, an exponential, a linear layer, gradient reversal; all checked."""

import torch
from torch import nn
from torch.autograd import Function, gradcheck

torch.manual_seed(3)


class LinearFunction(Function):
    @staticmethod
    def forward(input, weight, bias):
        output = input.mm(weight.t())
        if bias is not None:
            output += bias.unsqueeze(0).expand_as(output)
        return output

    @staticmethod
    def setup_context(ctx, inputs, output):
        input, weight, bias = inputs
        ctx.save_for_backward(input, weight, bias)

    @staticmethod
    def backward(ctx, grad_output):
        input, weight, bias = ctx.saved_tensors
        grad_input = grad_weight = grad_bias = None
        if ctx.needs_input_grad[0]:
            grad_input = grad_output.mm(weight)
        if ctx.needs_input_grad[1]:
            grad_weight = grad_output.t().mm(input)
        if bias is not None and ctx.needs_input_grad[2]:
            grad_bias = grad_output.sum(0)
        return grad_input, grad_weight, grad_bias


class Linear(nn.Module):
    def __init__(self, input_features, output_features, bias=True):
        super().__init__()
        self.input_features = input_features
        self.output_features = output_features
        self.weight = nn.Parameter(torch.empty(output_features, input_features))
        if bias:
            self.bias = nn.Parameter(torch.empty(output_features))
        else:
            self.register_parameter("bias", None)
        nn.init.uniform_(self.weight, -0.1, 0.1)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -0.1, 0.1)

    def forward(self, input):
        return LinearFunction.apply(input, self.weight, self.bias)

    def extra_repr(self):
        return "input_features={}, output_features={}, bias={}".format(self.input_features, self.output_features, self.bias is not None)


class Exp(Function):
    @staticmethod
    def forward(ctx, i):
        result = i.exp()
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx, grad_output):
        (result,) = ctx.saved_tensors
        return grad_output * result


class MulConstant(Function):
    @staticmethod
    def forward(ctx, tensor, constant):
        ctx.set_materialize_grads(False)
        ctx.constant = constant
        return tensor * constant

    @staticmethod
    def backward(ctx, grad_output):
        return (None, None) if grad_output is None else (grad_output * ctx.constant, None)


class Round(Function):
    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, g):
        return g


class ReverseGrad(Function):
    @staticmethod
    def forward(ctx, x, strength):
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return -ctx.strength * g, None


x = torch.randn(20, 20, dtype=torch.double, requires_grad=True)
w = torch.randn(30, 20, dtype=torch.double, requires_grad=True)
print(gradcheck(LinearFunction.apply, (x[:3], w[:4], None), eps=1e-6, atol=1e-4))
print(gradcheck(Exp.apply, (x[:2],)), Exp.apply(x).grad_fn.name())
print(MulConstant.apply(x, 2.5).grad_fn, LinearFunction.apply(x, w, None).grad_fn.next_functions[0][0].name())

model = nn.Sequential(Linear(6, 16), nn.ReLU(), Linear(16, 3, bias=False))
print(model)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
data, target = torch.randn(64, 6), torch.randint(0, 3, (64,))
for step in range(10):
    hidden = Round.apply(MulConstant.apply(model[0](data), 8.0)) / 8
    logits = ReverseGrad.apply(model[2](model[1](hidden)), -1.0)
    loss = nn.functional.cross_entropy(logits, target, label_smoothing=0.1)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, "%.6f" % loss.item())
