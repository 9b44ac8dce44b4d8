"""Hand-written gradients and Hessian products against differences in float64, and PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

from normviz.lab.curvature import condition, lanczos, second_moments, start_spectrum
from normviz.lab.layers import Join, Linear, Norm, Patches, ReLU, Softplus
from normviz.lab.net import Net, cross_entropy, small_net, softmax_regression
from normviz.lab.optimizers import SGD, Adam
from normviz.lab.training import batches, train

RANDOM = np.random.default_rng(5)
KINDS = ["batch", "layer", "group", "instance"]
# Not square, and two sizes that the patches do not divide.
SHAPE = (11, 9, 3)


def net_of(norm=None, pad=0, activation=None) -> Net:
    return small_net(SHAPE, 4, norm, pad=pad, filters=(8, 4), activation=activation)


def data(count=6, shape=SHAPE):
    x = np.random.default_rng(1).normal(0.3, 1.0, (count, *shape))
    return x, np.arange(count) % 4


def moved(net, seed=3):
    """A start with γ and β off their 1 and 0, so that no gradient is right by being 0."""
    theta = net.start(seed, 2, np.float64)
    return theta + 0.1 * np.random.default_rng(seed).normal(size=theta.shape)


def by_differences(f, theta, step=1e-6):
    gradient = np.zeros_like(theta)
    for i in range(theta.shape[1]):
        up, down = theta.copy(), theta.copy()
        up[:, i] += step
        down[:, i] -= step
        gradient[:, i] = (f(up) - f(down)) / (2 * step)
    return gradient


@pytest.mark.parametrize("pad", [0, 2])
@pytest.mark.parametrize("norm", [None, *KINDS])
def test_the_gradient_of_a_smooth_net_is_that_of_differences(norm, pad):
    net = net_of(norm, pad, Softplus())
    x, labels = data()
    prepared, theta = net.prepared(x), moved(net)
    loss, gradient, _ = net.gradient(theta, prepared, labels)
    expected = by_differences(lambda t: net.gradient(t, prepared, labels)[0], theta)
    assert loss.shape == (2,) and loss[0] != loss[1]
    assert np.abs(gradient - expected).max() < 1e-8
    # What a normalization takes away has no gradient: only then may one be zero.
    assert (np.abs(expected) > 1e-7).mean() > 0.5


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Patches(5, 2), (7, 11, 3)),
        (Patches(5, 2, 2), (7, 11, 3)),
        (Patches(3, 1, 1), (5, 4, 2)),
        (Patches(2, 2), (5, 6, 3)),
        (Patches(2, 2, 1), (5, 6, 3)),
        (Linear(4), (3, 2, 5)),
        (ReLU(), (3, 2, 5)),
        (Softplus(), (3, 2, 5)),
        (Join(), (3, 2, 5)),
        *((Norm(kind), (4, 3, 8)) for kind in KINDS),
    ],
)
def test_a_layers_input_gradient_is_that_of_differences(layer, shape):
    x = RANDOM.normal(size=(2, 3, *shape))
    p = {name: RANDOM.normal(size=(2, *size)) for name, size in layer.shapes(shape).items()}
    y, saved = layer.forward(p, x)
    assert y.shape == (2, 3, *layer.out(shape))
    dy = RANDOM.normal(size=y.shape)
    dx, _ = layer.backward(p, saved, dy)
    expected = np.zeros_like(x)
    for at in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[at] += 1e-6
        down[at] -= 1e-6
        both = layer.forward(p, up)[0] - layer.forward(p, down)[0]
        expected[at] = (both * dy).sum() / 2e-6
    assert dx.shape == x.shape
    assert np.abs(dx - expected).max() < 1e-7


@pytest.mark.parametrize("pad", [0, 2])
@pytest.mark.parametrize("norm", [None, *KINDS])
def test_hessian_products_are_differences_of_gradients_on_a_smooth_net(norm, pad):
    net = net_of(norm, pad, Softplus())
    x, labels = data()
    prepared, theta = net.prepared(x), moved(net)
    v = np.random.default_rng(8).normal(size=theta.shape)
    product = net.hessian_vector(theta, prepared, labels, v)
    up, down = (net.gradient(theta + s * 1e-6 * v, prepared, labels)[1] for s in (1, -1))
    expected = (up - down) / 2e-6
    assert np.abs(product - expected).max() < 1e-6 * max(1, np.abs(expected).max())
    assert np.abs(expected).max() > 1e-2


@pytest.mark.parametrize("norm", [None, "batch"])
def test_the_hessian_is_symmetric_with_relu(norm):
    net = net_of(norm)
    x, labels = data()
    prepared, theta = net.prepared(x), moved(net)
    v, w = np.random.default_rng(8).normal(size=(2, *theta.shape))
    there = (w * net.hessian_vector(theta, prepared, labels, v)).sum()
    back = (v * net.hessian_vector(theta, prepared, labels, w)).sum()
    assert there == pytest.approx(back, rel=1e-10)
    assert abs(there) > 1e-3


def test_lanczos_finds_the_dense_hessians_largest_eigenvalue():
    net = small_net((7, 7, 1), 3, filters=(3, 2), activation=Softplus())
    x, labels = data(8, (7, 7, 1))
    labels = labels % 3
    prepared, theta = net.prepared(x), net.start(2, 1, np.float64)

    def product(v):
        return net.hessian_vector(theta, prepared, labels, v[np.newaxis])[0]

    dense = np.stack([product(row) for row in np.eye(net.size)])
    assert np.abs(dense - dense.T).max() < 1e-12
    eigenvalues = np.linalg.eigvalsh(dense)[::-1]
    ritz = lanczos(product, net.size, 12, seed=0)
    assert ritz[0] == pytest.approx(eigenvalues[0], rel=1e-4)
    assert ritz[0] <= eigenvalues[0] * (1 + 1e-12)
    assert lanczos(product, net.size, net.size, seed=0)[:5] == pytest.approx(eigenvalues[:5])


def test_softmax_regressions_exact_spectrum_is_its_hessians():
    net = softmax_regression((2, 2, 1), 3)
    x, labels = data(20, (2, 2, 1))
    theta = net.start(0, 1, np.float64)
    assert not theta.any()
    prepared = net.prepared(x)
    dense = np.stack(
        [net.hessian_vector(theta, prepared, labels % 3, row[None])[0] for row in np.eye(net.size)]
    )
    eigenvalues = np.linalg.eigvalsh(dense)[::-1]
    expected = np.repeat(start_spectrum(second_moments(x), 3), 2)
    assert eigenvalues[:10] == pytest.approx(expected)
    assert np.abs(eigenvalues[10:]).max() < 1e-12


def test_a_set_of_too_few_samples_has_no_condition_number():
    x = np.random.default_rng(0).normal(size=(12, 6, 6, 1))
    assert condition(second_moments(x)) == np.inf
    assert condition(second_moments(np.tile(x, (4, 1, 1, 1)))) == np.inf
    many = np.random.default_rng(0).normal(size=(4000, 6, 6, 1))
    assert condition(second_moments(many)) == pytest.approx(1.2, abs=0.1)


def test_stacked_runs_are_single_runs():
    net = small_net((16, 16, 3), 4, "batch")
    x = np.random.default_rng(0).normal(size=(40, 16, 16, 3)).astype(np.float32)
    labels = np.arange(40) % 4
    prepared, order = net.prepared(x), batches(0, 40, 8, 6)
    rates = (0.01, 0.1, 0.5)
    for rule in (SGD(momentum=0.9), Adam()):
        *_, stacked = train(net, prepared, labels, order, rates, rule, net.start(0, 3))
        for run, rate in enumerate(rates):
            *_, single = train(net, prepared, labels, order, (rate,), rule, net.start(0))
            assert np.array_equal(stacked.theta[run], single.theta[0])
            assert stacked.loss[run] == single.loss[0]
            for many, one in zip(stacked.averages, single.averages, strict=True):
                assert np.array_equal(many[run], one[0])
        assert not np.array_equal(stacked.theta[0], stacked.theta[1])


def test_each_run_may_have_a_batch_of_its_own():
    net = net_of()
    x, labels = data(12)
    prepared, theta = net.prepared(x), net.start(0, 2, np.float64)
    own = np.array([[0, 3, 5], [7, 2, 2]])
    loss, gradient, _ = net.gradient(theta, prepared[own], labels[own])
    for run in range(2):
        alone = net.gradient(theta[:1], prepared[own[run]], labels[own[run]])
        assert loss[run] == pytest.approx(alone[0][0])
        assert gradient[run] == pytest.approx(alone[1][0])


def test_cross_entropy_survives_large_logits():
    loss, gradient, _ = cross_entropy(np.array([[[1000.0, 0.0]]]), np.array([1]))
    assert loss.item() == 1000.0
    assert gradient.ravel().tolist() == [1.0, -1.0]


def torch_of(net: Net, theta, torch):
    """The same network in PyTorch, written with its own convolutions; returns a loss function."""
    views = [
        {name: torch.tensor(value[0], requires_grad=True) for name, value in p.items()}
        for p in net.views(theta)
    ]
    functional = torch.nn.functional

    def normed(layer, p, x):
        gamma, beta, eps = p["gamma"], p["beta"], layer.epsilon
        if layer.kind == "batch":
            return functional.batch_norm(x, None, None, gamma, beta, training=True, eps=eps)
        if layer.kind == "instance":
            return functional.instance_norm(x, weight=gamma, bias=beta, eps=eps)
        groups = 1 if layer.kind == "layer" else layer.groups
        return functional.group_norm(x, groups, gamma, beta, eps)

    def logits(x):
        x = torch.tensor(x).permute(0, 3, 1, 2)
        cut = None
        for layer, p in zip(net.layers, views, strict=True):
            if isinstance(layer, Patches):
                cut = layer
            elif isinstance(layer, Linear) and cut is not None:
                k = cut.kernel
                weight = p["W"].reshape(k, k, -1, layer.units).permute(3, 2, 0, 1)
                x = functional.conv2d(x, weight, p["b"], cut.stride, cut.pad)
                cut = None
            elif isinstance(layer, Linear):
                x = x @ p["W"] + p["b"]
            elif isinstance(layer, Norm):
                x = normed(layer, p, x)
            elif isinstance(layer, Join):
                x = x.permute(0, 2, 3, 1).flatten(1)
            else:
                x = functional.relu(x)
        return x

    tensors = [p[name] for p in views for name in p]
    return logits, tensors


@pytest.mark.parametrize("pad", [0, 2])
@pytest.mark.parametrize("norm", [None, *KINDS])
def test_gradient_and_hessian_product_are_pytorchs(norm, pad):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    net = net_of(norm, pad)
    x, labels = data(10)
    theta = moved(net)[:1]
    logits, tensors = torch_of(net, theta, torch)
    loss = torch.nn.functional.cross_entropy(logits(x), torch.tensor(labels))
    first = torch.autograd.grad(loss, tensors, create_graph=True)
    v = np.random.default_rng(8).normal(size=theta.shape)
    parts, end = [], 0
    for tensor in tensors:
        parts.append(torch.tensor(v[0, end : end + tensor.numel()]).reshape(tensor.shape))
        end += tensor.numel()
    along = sum((g * part).sum() for g, part in zip(first, parts, strict=True))
    second = torch.autograd.grad(along, tensors)
    flat = [np.concatenate([t.detach().numpy().ravel() for t in each]) for each in (first, second)]
    own, gradient, _ = net.gradient(theta, net.prepared(x), labels)
    product = net.hessian_vector(theta, net.prepared(x), labels, v)
    assert own[0] == pytest.approx(loss.item(), rel=1e-12)
    assert gradient[0] == pytest.approx(flat[0], rel=1e-9, abs=1e-12)
    assert product[0] == pytest.approx(flat[1], rel=1e-9, abs=1e-10)
    assert np.abs(flat[1]).max() > 1e-2


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam"])
def test_steps_are_those_of_torch_optim(name):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from normviz.lab.optimizers import OPTIMIZERS

    rule = OPTIMIZERS[name]
    random = np.random.default_rng(0)
    theta = random.normal(size=(1, 7))
    parameter = torch.nn.Parameter(torch.tensor(theta[0]))
    theirs = {
        "sgd": lambda: torch.optim.SGD([parameter], lr=0.05),
        "momentum": lambda: torch.optim.SGD([parameter], lr=0.05, momentum=0.9),
        "adam": lambda: torch.optim.Adam([parameter], lr=0.05),
    }[name]()
    state = rule.begin(theta)
    for _ in range(9):
        gradient = random.normal(size=theta.shape)
        theta, state = rule.after(theta, gradient, np.array([0.05]), state)
        parameter.grad = torch.tensor(gradient[0])
        theirs.step()
    assert theta[0] == pytest.approx(parameter.detach().numpy(), rel=1e-9)


def test_running_averages_are_pytorchs():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    layer = torch.nn.BatchNorm2d(5).double()
    net = Net((Norm("batch"), Join(), Linear(2)), (3, 4, 5))
    theta = net.start(0, 1, np.float64)
    averages = net.start_averages()
    for seed in range(4):
        x = np.random.default_rng(seed).normal(2.0, 3.0, (6, 3, 4, 5))
        _, saved = net.forward(theta, x)
        averages = net.remembered(averages, saved)
        layer(torch.tensor(x).permute(0, 3, 1, 2))
    assert averages[0][0, 0] == pytest.approx(layer.running_mean.numpy())
    assert averages[0][0, 1] == pytest.approx(layer.running_var.numpy())
    layer.eval()
    expected = layer(torch.tensor(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).detach().numpy()
    own = Norm("batch").by_averages(net.views(theta)[0], x[np.newaxis], averages[0])
    assert own[0] == pytest.approx(expected)
