#!/usr/bin/env python3
"""Everything that is to be known of `bo` on a GPU, in one command that builds nothing: tests, memory, agreement, speed.

    python3 experiments/gpu/check.py --device cuda:0        on the machine with the GPU (a Python with torch for the comparisons)
    python3 experiments/gpu/check.py --device cpu --quick   the same steps on a CPU, to see that the script itself works

Programs come from --programs (target/gpu-check/programs.tar.xz, which `make gpu-pack` writes, or a folder). Each step has a limit of time, a step that
fails is a row of the table, and what is known so far is written after each, so that a command that is cut off has left
something. Writes <card>.json beside this script, and a copy to $OUT where that is set.
"""

import argparse
import copy
import json
import os
import platform
import shutil
import statistics
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import zlib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "experiments/network"))

try:
    import torch
    from peers import Compact, DexiNed, read_safetensors
except ImportError as error:
    torch, NO_TORCH = None, str(error)

HALVES = {"float32": "float32", "tf32": "float32", "float16": "float16", "bfloat16": "bfloat16"}


class Check:
    """The settings, the result so far, and how to run a step."""

    def __init__(self, settings):
        self.settings = settings
        self.gpu = settings.device != "cpu"
        self.begun = time.monotonic()
        self.rows = []
        self.result = {"format": "bo/gpu-check", "version": 1, "device": settings.device, "quick": settings.quick}
        self.work = Path(tempfile.mkdtemp(prefix="gpu-check-"))
        self.programs = unpacked(Path(settings.programs), self.work / "programs")
        self.environment = dict(os.environ, **libraries())

    def left(self):
        return self.settings.seconds - (time.monotonic() - self.begun)

    def program(self, name):
        path = self.programs / name
        if not path.exists():
            raise Problem(f"{path} is not there: make gpu-pack builds it")
        return str(path)

    def run(self, words, limit, **more):
        """A program to its end; its standard output."""
        limit = max(1, min(limit, self.left()))
        environment = dict(self.environment, **more)
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=limit, env=environment, cwd=self.work)
        except subprocess.TimeoutExpired:
            raise Problem(f"{Path(words[0]).name} ran longer than {limit:.0f} s")
        if done.returncode:
            tail = (done.stderr or done.stdout).strip().splitlines()[-6:]
            raise Problem(f"{Path(words[0]).name} ended with {done.returncode}: " + " | ".join(tail))
        return done.stdout

    def step(self, name, work):
        """One step: what it returns is recorded, what it raises is a row that says so."""
        if self.left() < 5:
            self.row(name, "", "no time left", "NOT RUN")
            return None
        begun = time.monotonic()
        try:
            found = work()
        except Exception as error:  # a step that fails must not keep the later ones from running
            self.row(name, "", f"{type(error).__name__}: {error}", "FAILED")
            found = {"failed": str(error)}
        self.result[name] = found
        self.result.setdefault("seconds", {})[name] = round(time.monotonic() - begun, 1)
        self.write()
        return found

    def row(self, what, asked, figure, verdict):
        self.rows.append([what, asked, figure, verdict])
        print(f"{verdict:8}  {what}: {figure}", flush=True)

    def judge(self, what, asked, figure, holds):
        verdict = "stated" if holds is None else "reached" if holds else "MISSED"
        self.row(what, asked, figure, verdict)

    def write(self):
        self.result["table"] = self.rows
        card = self.result.get("card", {}).get("name", "cpu")
        name = "".join(c if c.isalnum() else "-" for c in card.lower()).strip("-")
        text = json.dumps(self.result, indent=1) + "\n"
        places = [Path(self.settings.out)] if self.settings.out else [HERE]
        places += [Path(os.environ["OUT"])] if os.environ.get("OUT") else []
        for place in places:
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{name}.json").write_text(text)


class Problem(Exception):
    """A step cannot be done, in words."""


def unpacked(programs, folder):
    """The folder of programs: itself, or what is in the archive."""
    if programs.is_dir():
        return programs.resolve()
    if not programs.exists():
        sys.exit(f"{programs} is not there: make gpu-pack writes it, on a machine that can build")
    with tarfile.open(programs) as archive:
        archive.extractall(folder, filter="data")
    return folder


def libraries():
    """Where a Python with torch keeps CUDA's libraries."""
    if torch is None:
        return {}
    site = Path(torch.__file__).resolve().parent.parent / "nvidia"
    found = [str(p) for p in [site / "cu13/lib", site / "cudnn/lib"] if p.is_dir()]
    return {"LD_LIBRARY_PATH": ":".join([*found, os.environ.get("LD_LIBRARY_PATH", "")])} if found else {}


class Peer:
    """Our side: a process that answers lines."""

    def __init__(self, check, program="device_peer"):
        self.process = subprocess.Popen(
            [check.program(program), check.settings.device],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=check.environment,
        )

    def __call__(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise Problem(f"device_peer ended at: {line}")
        answer = json.loads(answer)
        if isinstance(answer, dict) and "error" in answer:
            raise Problem(f"{line}: {answer['error'].splitlines()[0]}")
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=30)


def machine(check):
    found = {"host": platform.machine(), "python": platform.python_version(), "cores": os.cpu_count()}
    found["torch"] = torch.__version__ if torch else None
    if check.gpu:
        query = "name,driver_version,memory.total,compute_cap"
        number = check.settings.device.split(":")[1]
        words = ["nvidia-smi", f"--id={number}", f"--query-gpu={query}", "--format=csv,noheader"]
        values = [v.strip() for v in check.run(words, 30).strip().split(",")]
        check.result["card"] = dict(zip(["name", "driver", "memory", "capability"], values))
        check.judge("card", "", ", ".join(values), None)
    return found


def tests(check):
    """The test programs, with the device to test."""
    found = {}
    for path in sorted(check.programs.glob("test-*")):
        device = {"BO_TEST_DEVICE": check.settings.device} if check.gpu else {}
        said = check.run([str(path), "--test-threads", "1"], 150, **device)
        found[path.name] = [line for line in said.splitlines() if line.startswith("test ")]
    if not found:
        raise Problem("no test programs: make gpu-pack builds them")
    passed = sum(line.endswith("... ok") for lines in found.values() for line in lines)
    check.judge("tests on the device", "all pass", f"{passed} passed", passed > 0)
    return found


def ceilings(check):
    """What the card gives at best, measured here: copy bandwidth and bf16 matrix rate, random data."""
    if torch is None:
        check.row("ceilings of the card", "stated", f"no torch: {NO_TORCH}", "NOT RUN")
        return None
    device = check.settings.device
    megabytes, side = (8192, 8192) if check.gpu else (64, 512)
    source = torch.empty(megabytes << 18, dtype=torch.float32, device=device).normal_()
    target = torch.empty_like(source)
    copy = median_ms(check, lambda: target.copy_(source), 10) / 1e3
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    product = median_ms(check, lambda: a @ b, 10) / 1e3
    found = {"copy_bytes_per_s": 2 * source.nbytes / copy, "bf16_flop_per_s": 2 * side**3 / product}
    del source, target
    release(check)
    figure = f"copy {found['copy_bytes_per_s'] / 1e12:.2f} TB/s, bf16 {found['bf16_flop_per_s'] / 1e12:.1f} TFLOP/s"
    check.judge("ceilings of the card", "stated", figure, None)
    return found


def wait(check):
    if check.gpu:
        torch.cuda.synchronize()


def release(check):
    if check.gpu:
        torch.cuda.empty_cache()


def timed(check, work):
    wait(check)
    begun = time.perf_counter()
    work()
    wait(check)
    return (time.perf_counter() - begun) * 1e3


def median_ms(check, work, rounds):
    timed(check, work)
    return statistics.median(timed(check, work) for _ in range(rounds))


def agreement(check, peer):
    """Logits and scores against float32 on the CPU."""
    scenes = 4 if check.settings.quick else 100
    found = {}
    for precision in check.precisions():
        # the largest difference of logits needs few scenes; the scores need all of them
        try:
            one = found[precision] = peer(f"agree compact - {precision} {scenes}")
        except Problem as problem:
            check.row(f"agreement with the CPU, {precision}", "", str(problem), "FAILED")
            continue
        figure = f"logits {one['largest_relative']:.1e} of the largest, LP_r {one['mean_change']:.4f} mean, {one['largest_change']:.4f} largest"
        asked, holds = "stated", None
        if precision == "float32":
            asked, holds = "logits 1e-4", one["largest_relative"] <= 1e-4
        if precision == "bfloat16":
            asked, holds = "LP_r mean 0.01 over 100 scenes", one["mean_change"] <= 0.01
        check.judge(f"agreement with the CPU, {precision}, {scenes} scenes", asked, figure, holds)
    return found


def dexined(check):
    """DexiNed with drawn weights: PyTorch's network, and the file for ours."""
    torch.manual_seed(0)
    network = DexiNed()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # statistics that keep the signal's size
            module.running_var.uniform_(0.05, 0.2)
    file = check.work / "dexined.pth"
    torch.save(network.state_dict(), file)
    return network.eval(), file


def comparisons(check, peer):
    """Ours and PyTorch's, turn by turn, both from a tensor on the device to logits there; medians."""
    if torch is None:
        check.row("comparisons with PyTorch", "", f"no torch: {NO_TORCH}", "NOT RUN")
        return None
    height, width = (480, 640) if check.gpu else (96, 128)
    compact = Compact(read_safetensors(ROOT / "crates/vision/weights/compact.safetensors")).eval()
    deep, weights = dexined(check)
    precision = "bfloat16" if "bfloat16" in check.precisions() else "float32"
    dtype = getattr(torch, HALVES[precision])
    cudnn = Peer(check, "device_peer-cudnn") if (check.programs / "device_peer-cudnn").exists() else None
    cases = [("dexined", deep, weights, batch, True) for batch in check.batches()]
    cases += [("compact", compact, "-", batch, False) for batch in check.batches()[-1:]]
    found = []
    for name, network, file, batch, compiled in cases:
        row = {"network": name, "precision": precision, "batch": batch, "size": [height, width]}
        found.append(row)
        network = network.to(check.settings.device, dtype)
        plain = torch.rand(batch, 3, height, width, device=check.settings.device).mul(2).sub(1).to(dtype)
        line = f"forward {name} {file} {precision} {batch} {height} {width}"
        sides = {"ours": lambda: peer(line)["ms"], "eager": lambda: timed(check, lambda: network(plain)[-1])}
        if cudnn:
            try:
                cudnn(line)
                sides["ours with cuDNN"] = lambda: cudnn(line)["ms"]
            except Problem as problem:  # stated beside what users get
                row["cudnn_failed"] = str(problem)
        with torch.inference_mode():
            if compiled:
                try:
                    last = copy.deepcopy(network).to(memory_format=torch.channels_last)
                    fast, laid = torch.compile(last, dynamic=False), plain.to(memory_format=torch.channels_last)
                    begun = time.monotonic()
                    fast(laid)
                    wait(check)
                    row["compile_seconds"] = time.monotonic() - begun
                    sides["compiled"] = lambda: timed(check, lambda: fast(laid)[-1])
                except Exception as error:  # no compiler there: the comparison with eager stands
                    row["compile_failed"] = f"{type(error).__name__}: {str(error).splitlines()[0]}"
            try:
                row["ms"] = turns(sides, 3 if check.settings.quick else 12)
            except Problem as problem:
                row["failed"] = str(problem)
                check.row(f"{name}, {precision}, batch {batch}", "", str(problem), "FAILED")
                peer("trim")
                continue
        rates = {side: batch / ms * 1e3 for side, ms in row["ms"].items()}
        row["images_per_s"] = rates
        figure = ", ".join(f"{side} {rate:.1f}/s" for side, rate in rates.items())
        if name == "dexined":
            flop = 305e9 * height * width / (480 * 640)  # of one image, experiments/network
            peak = (check.result.get("ceilings") or {}).get("bf16_flop_per_s")
            share = f"; {100 * rates['ours'] * flop / peak:.1f} % of the bf16 ceiling" if peak else ""
            against = rates.get("compiled")
            holds = None if against is None else rates["ours"] >= against
            check.judge(f"DexiNed, {precision}, batch {batch}", "torch.compile's rate", figure + share, holds)
        else:
            check.judge(f"compact, {precision}, batch {batch}", "2 x eager", figure, rates["ours"] >= 2 * rates["eager"])
        del plain
        for side in (peer, cudnn):
            side and side("trim")
        release(check)
    if cudnn:
        cudnn.close()
    return found


def turns(sides, rounds):
    """Medians of each, one after the other, the first round left out."""
    times = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, once in sides.items():
            taken = once()
            if number:
                times[name].append(taken)
    return {name: statistics.median(taken) for name, taken in times.items()}


def precision_speed(check, peer):
    """Ours in every precision, with and without the way to and from main memory."""
    height, width = (480, 640) if check.gpu else (96, 128)
    found = {}
    for precision in check.precisions():
        for batch in check.batches():
            for way in ("forward", "whole"):
                line = f"{way} compact - {precision} {batch} {height} {width}"
                peer(line)
                ms = statistics.median(peer(line)["ms"] for _ in range(2 if check.settings.quick else 8))
                found[f"{way} {precision} {batch}"] = batch / ms * 1e3
        peer("trim")
    largest = check.batches()[-1]
    figure = ", ".join(f"{p} {found[f'forward {p} {largest}']:.0f}/s ({found[f'whole {p} {largest}']:.0f} with transfer)" for p in check.precisions())
    check.judge(f"compact by precision, batch {largest}", "stated", figure, None)
    return found


def end_to_end(check, peer):
    """From files of photographs to lines."""
    count = 2 if check.settings.quick else 32
    files = []
    for number in range(count):
        files.append(check.work / f"photograph-{number}.png")
        files[-1].write_bytes(png(640, 480, number))
    precision = check.precisions()[-1]
    line = f"lines compact - {precision} " + " ".join(str(file) for file in files)
    peer(line)
    found = peer(line)
    parts = {"decoding": found["decode_ms"], "seeing": found["see_ms"], "lines": found["ms"] - found["decode_ms"] - found["see_ms"]}
    found["images_per_s"] = count / found["ms"] * 1e3
    found["bound_by"] = max(parts, key=parts.get)
    figure = f"{found['images_per_s']:.1f} images/s, most of it {found['bound_by']} ({parts[found['bound_by']]:.0f} of {found['ms']:.0f} ms)"
    check.judge(f"decoded, seen and turned into lines, {precision}", "stated with what bounds it", figure, None)
    return found


def png(width, height, seed):
    """A picture of bars and noise as PNG, without any library."""
    state, rows = seed * 2654435761 + 1, bytearray()
    for y in range(height):
        rows.append(0)
        for x in range(width):
            state = (state * 1103515245 + 12345) & 0x7FFFFFFF
            bar = 160 if (x + y * (seed + 1) // 4) // 40 % 2 else 80
            rows += bytes([bar + (state >> 16 & 15)] * 3)
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(rows), 1)) + chunk(b"IEND", b"")


def flatness(check):
    """300 iterations of 3 images: the device's bytes after each, and the process's."""
    iterations = 6 if check.settings.quick else 300
    # as many environments as there are evaluations, so that the network sees a new image nearly every time
    words = f"run --device {check.settings.device} --scenes 8 --environment corruptions --environments {3 * iterations + 15} --n-w 3"
    words += f" --batch 3 --acquisition random --iterations {iterations} --quiet --out flat"
    begun = time.monotonic()
    check.run([check.program("bo"), *words.split()], 240)
    took = time.monotonic() - begun
    lines = [json.loads(line) for line in (check.work / "flat/memory.jsonl").read_text().splitlines()]
    after = [line["after"]["device"] for line in lines]
    reserved = [line["device"]["reserved"] for line in lines if line.get("device")]
    host = [line["resident"] for line in lines]
    settled = max(1, len(host) // 10)
    found = {
        "iterations": iterations, "seconds": took, "device_after": [min(after), max(after)],
        "reserved_after": [min(reserved), max(reserved)] if reserved else None,
        "resident_after": [min(host[settled:]), max(host[settled:])],
        "leaks": sum(bool(line.get("leaks")) for line in lines),
    }  # fmt: skip
    equal = len(set(after)) == 1 and (after[0] > 0 or not check.gpu)
    grown = (host[-1] - host[settled]) / 1e6
    figure = f"device {min(after)} to {max(after)} bytes, reserved {found['reserved_after']}, host {grown:+.1f} MB since iteration {settled}, {found['leaks']} leaks, {took:.0f} s"
    check.judge(f"{iterations} iterations x 3 images", "device bytes equal, host flat", figure, equal and not found["leaks"])
    return found


def cold_start(check):
    """From the start of the process to the first evaluation on disk, nothing kept; the first time with the driver's own cache of kernels empty."""
    found = []
    caches = check.work / "kernels"
    for number in range(3):
        words = f"run --device {check.settings.device} --scenes 1 --n-initial 1 --n-w 1 --iterations 1 --quiet --out cold-{number}"
        environment = dict(check.environment, CUDA_CACHE_PATH=str(caches))
        begun = time.monotonic()
        process = subprocess.Popen([check.program("bo"), *words.split()], cwd=check.work, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        first = check.work / f"cold-{number}/evaluations.jsonl"
        while process.poll() is None and not (first.exists() and first.stat().st_size):
            if time.monotonic() - begun > 60:
                process.kill()
                raise Problem("no evaluation after 60 s")
            time.sleep(0.002)
        found.append(time.monotonic() - begun)
        if process.wait(timeout=60):
            raise Problem(process.stderr.read().decode().strip())
    figure = f"{found[0]:.2f} s with no kernel compiled before, then {', '.join(f'{s:.2f}' for s in found[1:])} s"
    check.judge("cold start to the first score", "3 s", figure, min(found) <= 3)
    return found


def pressure(check):
    """Another process holds memory of the card: the share of all of it stays what was asked for."""
    if not check.gpu or torch is None:
        check.row("budget under pressure", "80 %", "needs a GPU and torch", "NOT RUN")
        return None
    free, total = torch.cuda.mem_get_info()
    hog = torch.empty(int(max(0, free - 0.3 * total)), dtype=torch.uint8, device=check.settings.device)
    try:
        words = f"run --device {check.settings.device} --gpu-memory-fraction 0.8 --scenes 4 --n-initial 1 --n-w all --iterations 1 --quiet --out pressed"
        check.run([check.program("bo"), *words.split()], 60)
        calm = words.replace("pressed", "calm")
    finally:
        del hog
        torch.cuda.empty_cache()
    check.run([check.program("bo"), *calm.split()], 60)
    lines = [json.loads(line) for line in (check.work / "pressed/memory.jsonl").read_text().splitlines()]
    taken = max(line["device"]["total"] - line["device"]["free"] for line in lines) / total
    values = lambda run: [json.loads(line)["value"] for line in (check.work / run / "evaluations.jsonl").read_text().splitlines()]
    same = values("pressed") == values("calm")
    check.judge("budget of 80 % with 70 % held by another", "80 %, same scores", f"{100 * taken:.1f} % held by all, scores {'equal' if same else 'DIFFER'}", taken <= 0.8 and same)
    return {"held_by_all": taken, "same_scores": same}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0", help="cuda:N or cpu")
    parser.add_argument("--programs", default=ROOT / "target/gpu-check/programs.tar.xz", help="archive or folder of bo, device_peer and test-*")
    parser.add_argument("--out", help="folder for the result (default: beside this script)")
    parser.add_argument("--quick", action="store_true", help="few rounds: to try the script")
    parser.add_argument("--seconds", type=float, default=570, help="for all of it")
    settings = parser.parse_args()
    check = Check(settings)
    check.precisions = lambda: ["float32", "tf32", "float16", "bfloat16"] if check.gpu else ["float32"]
    check.batches = lambda: [1, 8, 32] if check.gpu else [1, 2]
    peers = []

    def peer():
        """One co-process for all steps that need it; a new one after it died."""
        if not peers or peers[-1].process.poll() is not None:
            peers.append(Peer(check))
        return peers[-1]

    try:
        check.step("machine", lambda: machine(check))
        check.step("tests", lambda: tests(check))
        check.step("cold start", lambda: cold_start(check))
        check.step("ceilings", lambda: ceilings(check))
        check.step("agreement", lambda: agreement(check, peer()))
        check.step("flatness", lambda: flatness(check))
        check.step("precision", lambda: precision_speed(check, peer()))
        check.step("lines", lambda: end_to_end(check, peer()))
        check.step("comparisons", lambda: comparisons(check, peer()))
        for one in peers:
            one.close()
        check.step("pressure", lambda: pressure(check))
    finally:
        check.write()
        shutil.rmtree(check.work, ignore_errors=True)
    widths = [max(len(str(row[i])) for row in check.rows) for i in range(2)]
    print()
    for what, asked, figure, verdict in check.rows:
        print(f"{what:{widths[0]}}  {verdict:8}  {asked:{widths[1]}}  {figure}")
    return 1 if any(row[3] in ("MISSED", "FAILED") for row in check.rows) else 0


if __name__ == "__main__":
    sys.exit(main())
