"""How ``tests/faces/data/squares.onnx`` was made: a tiny network of YuNet's form that finds white squares of 64 px.

    pip install onnx
    python scripts/make_test_yunet.py tests/faces/data/squares.onnx

OpenCV decodes it as it decodes YuNet (Wu, Peng, Yu: "YuNet: A Tiny Millisecond-level Face Detector", Machine
Intelligence Research 20, 2023): per stride 8, 16, 32 one row per cell of class and objectness score, box as offset of
its centre from the cell and log of its size, and five landmarks as offsets, all in strides. Here stride 8 alone
answers: the score is the mean brightness of the 64 px around a cell, the box is these 64 px, and landmark k lies k / 5
of the way along and down the box.
"""

from __future__ import annotations

import sys

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

INPUT, SQUARE = 640, 64  # px


def constant(name: str, values: list[float] | np.ndarray) -> object:
    return numpy_helper.from_array(np.asarray(values, dtype=np.float32), name)


def rows(stride: int, name: str, weights: np.ndarray, bias: np.ndarray) -> tuple[list[object], list[object], object]:
    """Nodes and constants of one output: mean around cells, 1 x 1 convolution, one row per cell."""
    key, width = f"{name}_{stride}", len(bias)
    shape = numpy_helper.from_array(np.array([1, -1, width], dtype=np.int64), f"{key}_shape")
    pool = {"kernel_shape": [SQUARE] * 2, "strides": [stride] * 2, "pads": [(SQUARE - stride) // 2] * 4}
    nodes = [
        helper.make_node("AveragePool", ["input"], [f"{key}_a"], count_include_pad=1, **pool),
        helper.make_node("Conv", [f"{key}_a", f"{key}_w", f"{key}_b"], [f"{key}_c"], kernel_shape=[1, 1]),
        helper.make_node("Transpose", [f"{key}_c"], [f"{key}_t"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", [f"{key}_t", f"{key}_shape"], [key]),
    ]
    values = [constant(f"{key}_w", weights.reshape(width, 3, 1, 1)), constant(f"{key}_b", bias), shape]
    cells = (INPUT // stride) ** 2
    return nodes, values, helper.make_tensor_value_info(key, TensorProto.FLOAT, [1, cells, width])


def main(path: str) -> None:
    bright = np.full((1, 3), 1 / 765)
    parts = []
    for name in ("cls", "obj"):
        parts += [rows(stride, name, bright * (stride == 8), np.zeros(1)) for stride in (8, 16, 32)]
    size = np.log(SQUARE / 8)
    box = np.array([0.5, 0.5, size, size])
    points = np.repeat(0.5 + (np.arange(5) / 5 - 0.5) * SQUARE / 8, 2)
    parts += [rows(stride, "bbox", np.zeros((4, 3)), box) for stride in (8, 16, 32)]
    parts += [rows(stride, "kps", np.zeros((10, 3)), points) for stride in (8, 16, 32)]
    graph = helper.make_graph(
        [node for nodes, _, _ in parts for node in nodes],
        "squares",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, INPUT, INPUT])],
        [output for _, _, output in parts],
        [value for _, values, _ in parts for value in values],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7)
    checker.check_model(model)
    save(model, path)


if __name__ == "__main__":
    main(sys.argv[1])
