"""The network alone: against the machine's own speed, other engines, fewer threads, a busy neighbour."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.measure import compare, median_ms, table
from busi_model.model import checkpoint
from busi_model.phantom import draw_phantom
from busi_model.predict import Predictor
from busi_model.training.release.export import INPUT_NAME, export_onnx

BUSY = "while True: pass"


def run(weights) -> list[dict]:
    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        graph = str(Path(folder, "busi.onnx"))
        export_onnx(Predictor.load(weights, "cpu"), graph)
        idle = _engines(weights, graph, threads)
        ms = compare(idle)
        neighbour = subprocess.Popen([sys.executable, "-c", BUSY])
        try:
            beside = compare(idle)
        finally:
            neighbour.kill()
            neighbour.wait()
        torch.set_num_threads(1)
        single = compare(_engines(weights, graph, 1))
        torch.set_num_threads(threads)
    ours, multiply_adds = next(iter(idle)), 2 * checkpoint.load(weights).training["multiply_adds"]
    rows = [[name, ms[name], beside[name], single[name], ms[name] / ms[ours]] for name in ms]
    columns = ["engine", f"{threads} threads, ms", "beside a busy process, ms", "1 thread, ms", f"ratio to {ours}"]
    note = (
        "One picture of 256 x 256 px and its mirror image. In bfloat16 probabilities differ in the second decimal. "
        "OpenVINO is measured where it is installed (pip install openvino)."
    )
    return [table("The network by engine", columns, rows, note), _roofline(multiply_adds, ms[ours], threads)]


def _engines(weights, graph, threads) -> dict:
    predictor = Predictor.load(weights, "cpu")
    size = predictor.preprocess.size
    gray = draw_phantom("malignant", 1, size, size)[0]
    both = torch.from_numpy(predictor.preprocess(gray)).contiguous(memory_format=torch.channels_last)

    def one_batch(dtype=None):
        with torch.inference_mode(), torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
            predictor.network(both)

    with torch.inference_mode():
        frozen = torch.jit.freeze(torch.jit.trace(_Plain(predictor.network).eval(), both, check_trace=False))

    def run_frozen():
        with torch.inference_mode():
            frozen(both)

    engines = {
        "PyTorch as Predictor runs it": lambda: predictor.logits([gray]),
        "PyTorch, both views in one batch": one_batch,
        "PyTorch, one batch, TorchScript frozen": run_frozen,
        "PyTorch, one batch in bfloat16": lambda: one_batch(torch.bfloat16),
        "ONNX Runtime": _onnx_runtime(graph, threads, gray),
    }
    try:
        import openvino
    except ModuleNotFoundError:
        return engines
    for precision, name in (("f32", "OpenVINO"), ("bf16", "OpenVINO in bfloat16")):
        settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision}
        request = openvino.Core().compile_model(graph, "CPU", settings).create_infer_request()
        engines[name] = lambda request=request: request.infer({0: _batch(gray)})
    return engines


class _Plain(torch.nn.Module):
    """A tuple instead of `NetworkOutput`, which TorchScript does not know."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return tuple(self.network(x))


def _onnx_runtime(graph, threads, gray):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {INPUT_NAME: _batch(gray)})


def _batch(gray):
    return gray.astype(np.float32)[None, None]


def _roofline(multiply_adds, network_ms, threads) -> dict:
    """What the machine can do at best, by PyTorch's own matrix product and convolutions, and what the network gets."""
    a = torch.rand(1536, 1536)
    x = torch.rand(2, 64, 64, 64).contiguous(memory_format=torch.channels_last)
    dense, deep = torch.rand(64, 64, 3, 3), torch.rand(64, 1, 3, 3)
    works = (
        ("matrix product, 1536", lambda: a @ a, 1536**3),
        ("convolution 3 x 3, 64 channels", lambda: F.conv2d(x, dense, padding=1), 2 * 64**2 * 9 * 64 * 64),
        ("the same by channel (depthwise)", lambda: F.conv2d(x, deep, padding=1, groups=64), 2 * 64 * 9 * 64 * 64),
    )
    rates = [[name, n / median_ms(work) / 1e6] for name, work, n in works]
    rates.append(["the network, both views", multiply_adds / network_ms / 1e6])
    rows = [[name, rate, f"{100 * rate / rates[0][1]:.0f} %"] for name, rate in rates]
    columns = ["work", "10^9 multiply-adds a second", "of the matrix product"]
    return table(f"What the machine can do, {threads} threads, float32", columns, rows)
