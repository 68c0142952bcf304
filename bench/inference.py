"""The redshift network through the whole product against bare torch in the same run: samples per
second.

A portal, an agent and a calculation of `torch_inference` on safetensors partitions, in turns with
a loop of the same network over the same data in memory; with --sweep also over batch sizes and
precisions.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.client import Client
from bench.live import Watcher
from bench.ranks import program
from bench.stack import Stack
from calculations.software.base import Resources

WITHIN = 0.03
PUBLISHED = {"cpu": 275.0, "cuda": 23_203.0}  # samples per second of one core, of one A100
SWEEP = ((512, "fp32"), (2048, "fp32"), (2048, "tf32"), (2048, "bf16"), (16384, "bf16"))
MAKE = """
import sys, torch
from safetensors.torch import save_file
folder, partitions, samples = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.manual_seed(5)
for number in range(1, partitions + 1):
    save_file({"image": torch.randn(samples, 5, 32, 32),
               "magnitude": torch.randn(samples, 5, dtype=torch.float64),
               "redshift": torch.rand(samples)}, f"{folder}/{number}.safetensors")
"""
BARE = """
import json, sys, time, torch
from pathlib import Path
from safetensors.torch import load_file
from calculations.software.torch_inference.networks import redshift
folder, batch, threads, device, precision = sys.argv[1:6]
batch, device = int(batch), torch.device(device)
torch.set_num_threads(int(threads))
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
torch.backends.cudnn.benchmark = True
dtype = torch.bfloat16 if precision == "bf16" else torch.float32
network = redshift.build(1).to(device=device, dtype=dtype)
parts = [load_file(path) for path in sorted(Path(folder).glob("*.safetensors"))]
parts = [{n: t.to(device) for n, t in part.items()} for part in parts]
def once(part):
    image, magnitude = part["image"], part["magnitude"]
    answers = [network(image[i:i + batch].to(dtype), magnitude[i:i + batch].to(dtype))
               for i in range(0, len(image), batch)]
    return torch.cat(answers).float().cpu()
with torch.inference_mode():
    once({n: t[:batch] for n, t in parts[0].items()})
    began = time.perf_counter()
    for part in parts:
        once(part)
    seconds = time.perf_counter() - began
print(json.dumps(sum(len(part["image"]) for part in parts) / seconds))
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--samples", type=int, default=640, help="of each partition")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sweep", action="store_true", help="of batch sizes and precisions")


def run(options: argparse.Namespace) -> dict[str, Any]:
    resources = Resources(cores=options.threads, gpus=int(options.device == "cuda"))
    asked = {
        "source": "folder",
        "folder": "set",
        "batch_size": options.batch_size,
        "threads": options.threads,
        "device": options.device,
        "ranks": 1,
    }
    with Stack() as stack:
        data = stack.home / "data"
        make(data / "set", options.partitions, options.samples)
        stack.start_web()
        stack.start_worker()
        site = f"\n[software.torch_inference]\npython = {sys.executable}\ndata_dir = {data}\n"
        stack.start_agent(settings=site)
        stack.wait_for_agent()
        with stack.client() as client, stack.watcher(client) as watcher:
            pairs = []
            for number in range(options.rounds):
                print(f"round {number + 1}", file=sys.stderr)
                bare_rate = bare(data / "set", options, options.batch_size, "fp32")
                pairs.append((bare_rate, through(client, watcher, asked, resources)))
        swept = sweep(data, options, resources) if options.sweep else None
    bare_rates, rates = [p[0] for p in pairs], [p[1]["samples_per_s"] for p in pairs]
    ratio = statistics.median(rate / other for rate, other in zip(rates, bare_rates, strict=True))
    return {
        "name": "inference",
        "device": options.device,
        "threads": options.threads,
        "batch_size": options.batch_size,
        "samples": options.partitions * options.samples,
        "samples_per_s": round(statistics.median(rates), 1),
        "bare_samples_per_s": round(statistics.median(bare_rates), 1),
        "rates": [round(rate, 1) for rate in rates],
        "bare_rates": [round(rate, 1) for rate in bare_rates],
        "of_bare": round(ratio, 4),
        "published_samples_per_s": PUBLISHED[options.device],
        "load_s": pairs[-1][1]["load_s"],
        "compute_s": pairs[-1][1]["compute_s"],
        "peak_mib": pairs[-1][1]["peak_mib"],
        **({"sweep": swept} if swept is not None else {}),
        "ok": ratio >= 1 - WITHIN,
    }


def make(folder: Path, partitions: int, samples: int) -> None:
    folder.mkdir(parents=True)
    _python(MAKE, str(folder), str(partitions), str(samples))


def bare(folder: Path, options: argparse.Namespace, batch: int, precision: str) -> float:
    words = (str(folder), str(batch), str(options.threads), options.device, precision)
    return float(json.loads(_python(BARE, *words)))


def through(
    client: Client, watcher: Watcher, asked: dict[str, Any], resources: Resources
) -> dict[str, Any]:
    """Submit a calculation and return its quantities once it is valid."""
    body = {
        "name": "inference",
        "software": "torch_inference",
        "parameters": asked,
        "cores": resources.cores,
        "gpus": resources.gpus,
        "memory_mib": 4096,
        "walltime_s": 3600,
    }
    number = client.post("/api/v1/calculations/bulk/", {"calculations": [body], "submit": True})[0][
        "id"
    ]
    state = watcher.wait_for(number, seconds=3600)
    table = client.get(f"/api/v1/calculations/{number}/runs.json")
    row = dict(zip((c["name"] for c in table["columns"]), table["rows"][0], strict=True))
    if state != "valid":
        raise RuntimeError(f"the calculation is {state}: {row}")
    return row


def sweep(data: Path, options: argparse.Namespace, resources: Resources) -> list[dict[str, Any]]:
    """Rates by batch size and precision, of the program and of bare torch."""
    found = []
    for batch, precision in SWEEP:
        if options.device == "cpu" and (precision == "tf32" or batch > options.samples):
            continue
        folder = data.parent / f"sweep-{batch}-{precision}"
        folder.mkdir()
        values = {"source": "folder", "folder": "set", "ranks": 1, "threads": options.threads}
        values.update(batch_size=batch, precision=precision, device=options.device)
        _, quantities = program(folder, values, resources, {"data_dir": str(data)})
        found.append(
            {
                "batch_size": batch,
                "precision": precision,
                "samples_per_s": quantities["samples_per_s"],
                "bare_samples_per_s": round(bare(data / "set", options, batch, precision), 1),
                "gpu_peak_mib": quantities["gpu_peak_mib"],
            }
        )
    return found


def _python(code: str, *words: str) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(  # noqa: S603  (this interpreter)
        [sys.executable, "-c", code, *words], env=environment, check=True, stdout=subprocess.PIPE
    )
    return done.stdout.decode()
