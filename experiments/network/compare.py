"""Takes turns between our networks and PyTorch's, with 2 threads each, and writes medians and ratios.

    cargo build --release -p bo-vision --example network_peer
    PYTHON=python3 (with torch) ; $PYTHON experiments/network/compare.py [--quick] [--out result.json]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
THREADS = os.environ.get("THREADS", "2")
os.environ.setdefault("OMP_NUM_THREADS", THREADS)

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

from peers import Compact, DexiNed, balanced_loss, read_safetensors  # noqa: E402

# channels, outputs, height, width, side, step, padding: the shapes DexiNed has at 480x640, and the compact network's
CONVOLUTIONS = [
    (3, 32, 480, 640, 3, 2, 1),
    (32, 64, 240, 320, 3, 1, 1),
    (64, 128, 240, 320, 3, 1, 1),
    (128, 128, 240, 320, 3, 1, 1),
    (128, 256, 120, 160, 3, 1, 2),
    (256, 256, 122, 162, 3, 1, 0),
    (256, 512, 60, 80, 3, 1, 2),
    (512, 512, 62, 82, 3, 1, 0),
    (512, 512, 30, 40, 3, 1, 2),
    (512, 512, 32, 42, 3, 1, 0),
    (256, 256, 32, 42, 3, 1, 0),
    (8, 8, 480, 640, 3, 1, 1),
    (16, 16, 240, 320, 3, 1, 1),
    (48, 48, 60, 80, 3, 1, 1),
]


class Ours:
    def __init__(self, program):
        environment = {**os.environ, "RAYON_NUM_THREADS": THREADS}
        self.process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def __call__(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"network_peer ended at: {line}")
        return tuple(float(word) for word in answer.split())


def timed(work):
    """Milliseconds by the clock and of the processor."""
    begun, processor = time.perf_counter(), time.process_time()
    work()
    return (time.perf_counter() - begun) * 1e3, (time.process_time() - processor) * 1e3


def turns(contestants, rounds):
    """Medians of each, one after the other, the first round left out."""
    times = {name: [] for name in contestants}
    for round_ in range(rounds + 1):
        for name, once in contestants.items():
            taken = once()
            if round_:
                times[name].append(taken)
    kinds = ("ms", "cpu_ms")
    return {kind: {n: statistics.median(t[i] for t in taken) for n, taken in times.items()} for i, kind in enumerate(kinds)}


def ratios(result):
    return {
        "ratio": result["ms"]["ours"] / result["ms"]["torch"],
        "cpu_ratio": result["cpu_ms"]["ours"] / result["cpu_ms"]["torch"],
    }


def convolutions(ours, rounds):
    rows = []
    for c, o, h, w, k, step, pad in CONVOLUTIONS:
        x, weight, bias = torch.rand(1, c, h, w), torch.rand(o, c, k, k), torch.rand(o)
        sizes = f"{c} {o} {h} {w} {k} {step} {pad}"
        result = turns(
            {
                "ours": lambda: ours(f"convolution ours {sizes}"),
                "torch": lambda: timed(lambda: F.conv2d(x, weight, bias, step, pad)),
                "candle": lambda: ours(f"convolution candle {sizes}"),
            },
            rounds,
        )
        oh, ow = (h + 2 * pad - k) // step + 1, (w + 2 * pad - k) // step + 1
        gigaflop = 2e-9 * o * oh * ow * c * k * k
        row = {"shape": sizes, "gigaflop": gigaflop, **result, **ratios(result)}
        row["gflops"] = {name: gigaflop / (ms / 1e3) for name, ms in result["ms"].items()}
        rows.append(row)
        rates = "  ".join(f"{name} {rate:6.1f}" for name, rate in row["gflops"].items())
        print(f"{sizes:28} {gigaflop:6.2f} GFLOP  GFLOP/s: {rates}  cpu ours / torch {row['cpu_ratio']:.2f}", flush=True)
    return rows


def image(height, width):
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x * 7 + y * 3, x * y // 5, x * x // 64 + y * 11]) % 256


def networks(ours, rounds, folder):
    rgb = image(480, 640).float()[None]
    torch.manual_seed(0)
    dexined = DexiNed()
    for module in dexined.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # statistics that keep the signal's size
            module.running_var.uniform_(0.05, 0.2)
    dexined.eval()
    weights = Path(folder) / "dexined.pth"
    torch.save(dexined.state_dict(), weights)
    compact = Compact(read_safetensors(ROOT / "crates/vision/weights/compact.safetensors")).eval()
    mean = torch.tensor([103.939, 116.779, 123.68]).reshape(1, 3, 1, 1)
    inputs = {"compact": (compact, (rgb / 255 - 0.5) / 0.25, "-"), "dexined": (dexined, rgb.flip(1) - mean, weights)}
    result = {}
    for name, (network, seen, file) in inputs.items():
        with torch.inference_mode():
            expected = network(seen)[-1].flatten()
            line = f"network {name} {file} 480 640"
            times = turns({"ours": lambda: ours(line), "torch": lambda: timed(lambda: network(seen))}, rounds)
        dump = Path(folder) / "logits"
        ours(f"logits {dump}")
        got = torch.frombuffer(bytearray(dump.read_bytes()), dtype=torch.float32)
        off = ((got - expected).abs().max() / expected.abs().max()).item()
        assert off < 1e-3, f"{name}: logits differ by {off} of the largest"
        result[name] = {**times, **ratios(times), "largest_difference": off}
        print(name, json.dumps(result[name]), flush=True)
    return result


def training(ours, rounds):
    """Steps of the compact network and of DexiNed, whose normalisations are folded into its convolutions on both sides."""
    torch.manual_seed(0)
    dexined = DexiNed()
    for module in list(dexined.modules()):
        for name, part in list(module.named_children()):
            if isinstance(part, torch.nn.BatchNorm2d):
                setattr(module, name, torch.nn.Identity())
    compact = Compact(read_safetensors(ROOT / "crates/vision/weights/compact.safetensors"))
    rows = {}
    for name, network, batch, side in [("compact", compact, 8, 192), ("dexined", dexined, 2, 192)]:
        optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
        seen = torch.rand(batch, 3, side, side) - 0.5
        target = (torch.arange(batch * side * side) % 16 == 0).float().reshape(batch, 1, side, side)

        def step():
            optimiser.zero_grad()
            loss = sum(balanced_loss(logits, target) for logits in network(seen))
            loss.backward()
            optimiser.step()

        line = f"train {name} {batch} {side}"
        times = turns({"ours": lambda: ours(line), "torch": lambda: timed(step)}, rounds)
        rows[name] = {"batch": batch, "side": side, **times, **ratios(times)}
        print("training step,", name, json.dumps(rows[name]), flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default=ROOT / "target/release/examples/network_peer")
    parser.add_argument("--out")
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument("--only", choices=["networks", "training", "convolutions"])
    settings = parser.parse_args()
    torch.set_num_threads(int(THREADS))
    ours, few = Ours(settings.program), settings.quick
    result = {"threads": int(THREADS), "torch": torch.__version__}
    with tempfile.TemporaryDirectory() as folder:
        if settings.only in (None, "networks"):
            result["networks"] = networks(ours, 5 if few else 15, folder)
    if settings.only in (None, "training"):
        result["training"] = training(ours, 5 if few else 20)
    if settings.only in (None, "convolutions"):
        result["convolutions"] = convolutions(ours, 3 if few else 7)
    if settings.out:
        Path(settings.out).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
