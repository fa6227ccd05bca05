"""The two networks in PyTorch, with our tensors' names, and the class-balanced loss."""

import json
import struct

import torch
from torch import nn
from torch.nn import functional as F


def read_safetensors(path):
    with open(path, "rb") as file:
        raw = file.read()
    (size,) = struct.unpack("<Q", raw[:8])
    tensors = {}
    for name, entry in json.loads(raw[8 : 8 + size]).items():
        if name == "__metadata__":
            continue
        start, end = (8 + size + at for at in entry["data_offsets"])
        kind = {"F32": torch.float32, "F16": torch.float16}[entry["dtype"]]
        flat = torch.frombuffer(bytearray(raw[start:end]), dtype=kind)
        tensors[name] = flat.float().reshape(entry["shape"])
    return tensors


class Compact(nn.Module):
    """Ours: 8, 16, 32 and 48 channels at 1/1 to 1/8 of the size (crates/vision/src/edge/compact.rs)."""

    def __init__(self, tensors):
        super().__init__()
        self.tensors = nn.ParameterDict({k.replace(".", "/"): nn.Parameter(v) for k, v in tensors.items()})

    def conv(self, name, x, stride=1, dilation=1, relu=False):
        weight, bias = self.tensors[name.replace(".", "/") + "/weight"], self.tensors[name.replace(".", "/") + "/bias"]
        y = F.conv2d(x, weight, bias, stride, dilation * (weight.shape[2] // 2), dilation)
        return F.relu(y) if relu else y

    def forward(self, x):
        size = x.shape[2:]
        full = lambda y: F.interpolate(y, size=size, mode="bilinear", align_corners=False) if y.shape[2:] != size else y
        scales = [self.conv("stem", x, relu=True)]
        for level, dilations in [(1, [1]), (2, [1]), (3, [1, 2, 4])]:
            y = self.conv(f"down{level}", scales[-1], stride=2, relu=True)
            for i, d in enumerate(dilations):
                inner = self.conv(f"block{level}_{i}.first", y, dilation=d, relu=True)
                y = F.relu(self.conv(f"block{level}_{i}.second", inner, dilation=d) + y)
            scales.append(y)
        y = scales.pop()
        sides = [full(self.conv("side3", y))]
        for level in (2, 1, 0):
            across = self.conv(f"across{level}", scales.pop())
            up = F.interpolate(self.conv(f"up{level}", y), size=across.shape[2:], mode="bilinear", align_corners=False)
            y = self.conv(f"merge{level}", F.relu(up + across), relu=True)
            sides.append(full(self.conv(f"side{level}", y)))
        sides.reverse()
        return [*sides, self.conv("fuse", torch.cat(sides, 1))]


class Normed(nn.Module):
    """A convolution and its normalisation, under the names the state dict wants."""

    def __init__(self, parts):
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        self.order = list(parts)

    def forward(self, x, relus=()):
        for name in self.order:
            x = getattr(self, name)(x)
            if name in relus:
                x = F.relu(x, inplace=True)
        return x


def double(a, b, c, stride, names=("conv1", "bn1", "conv2", "bn2"), pads=(1, 1)):
    parts = [nn.Conv2d(a, b, 3, stride, pads[0]), nn.BatchNorm2d(b), nn.Conv2d(b, c, 3, 1, pads[1]), nn.BatchNorm2d(c)]
    return Normed(dict(zip(names, parts)))


def single(a, b, stride=1):
    return Normed({"conv": nn.Conv2d(a, b, 1, stride), "bn": nn.BatchNorm2d(b)})


class Dense(nn.Module):
    def __init__(self, layers, a, b):
        super().__init__()
        for i in range(layers):
            names = ("conv1", "norm1", "conv2", "norm2")
            self.add_module(f"denselayer{i + 1}", double(a if i == 0 else b, b, b, 1, names, (2, 0)))

    def forward(self, x, skip):
        for layer in self.children():
            x = 0.5 * (layer(F.relu(x), relus=("norm1",)) + skip)
        return x


class Rise(nn.Module):
    def __init__(self, a, steps):
        super().__init__()
        layers = []
        for i in range(steps):
            b = 1 if i == steps - 1 else 16
            layers += [nn.Conv2d(a, b, 1), nn.ReLU(), nn.ConvTranspose2d(b, b, 2**steps, 2, 2 ** (steps - 1) - 1)]
            a = b
        self.features = nn.Sequential(*layers)

    def forward(self, x):
        return self.features(x)


class DexiNed(nn.Module):
    """Soria, Riba and Sappa, WACV 2020; layers and names of the published state dict."""

    def __init__(self):
        super().__init__()
        self.block_1, self.block_2 = double(3, 32, 64, 2), double(64, 128, 128, 1)
        self.dblock_3, self.dblock_4 = Dense(2, 128, 256), Dense(3, 256, 512)
        self.dblock_5, self.dblock_6 = Dense(3, 512, 512), Dense(3, 512, 256)
        self.side_1, self.side_2, self.side_3 = single(64, 128, 2), single(128, 256, 2), single(256, 512, 2)
        self.side_4, self.side_5 = single(512, 512), single(512, 256)
        self.pre_dense_2, self.pre_dense_3 = single(128, 256, 2), single(128, 256)
        self.pre_dense_4, self.pre_dense_5, self.pre_dense_6 = single(256, 512), single(512, 512), single(512, 256)
        for i, (a, steps) in enumerate([(64, 1), (128, 1), (256, 2), (512, 3), (512, 4), (256, 4)]):
            self.add_module(f"up_block_{i + 1}", Rise(a, steps))
        self.block_cat = single(6, 1)

    def forward(self, x):
        pool = lambda y: F.max_pool2d(y, 3, 2, 1)
        one = self.block_1(x, relus=("bn1", "bn2"))
        two = self.block_2(one, relus=("bn1",))
        two_down = pool(two)
        two_sum = two_down + self.side_1(one)
        three = self.dblock_3(two_sum, self.pre_dense_3(two_down))
        three_down = pool(three)
        three_sum = three_down + self.side_2(two_sum)
        four = self.dblock_4(three_sum, self.pre_dense_4(three_down + self.pre_dense_2(two_down)))
        four_down = pool(four)
        four_sum = four_down + self.side_3(three_sum)
        five = self.dblock_5(four_sum, self.pre_dense_5(four_down))
        six = self.dblock_6(five + self.side_4(four_sum), self.pre_dense_6(five))
        outs = [getattr(self, f"up_block_{i + 1}")(y) for i, y in enumerate([one, two, three, four, five, six])]
        return [*outs, self.block_cat.conv(torch.cat(outs, 1))]


def balanced_loss(logits, target):
    """sum over images of half the mean over edges and half that over the rest, divided by their number."""
    loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    n, area = len(target), target[0].numel()
    on = target.sum((1, 2, 3)).clamp(min=0.01 * area)
    off = (1 - target).sum((1, 2, 3))
    return 0.5 / n * ((loss * target).sum((1, 2, 3)) / on + (loss * (1 - target)).sum((1, 2, 3)) / off).sum()
