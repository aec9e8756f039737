"""Writes files into a folder that look whole and are not.

    broken.py FOLDER

    outside.onnx    a tensor whose external data lies outside the model's folder
    operator.onnx   an operator that no engine has
    nan.npz         samples of the digits' shape, one of which is not a number
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper


def save(path, nodes, tensors=()):
    value = helper.make_tensor_value_info
    inputs, outputs = [value("x", TensorProto.FLOAT, ["n", 4])], [value("y", TensorProto.FLOAT, ["n", 4])]
    graph = helper.make_graph(nodes, "g", inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())


folder = Path(sys.argv[1])

outside = TensorProto(name="w", dims=[4, 4], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
outside.external_data.add(key="location", value="../secret.bin")
save(folder / "outside.onnx", [helper.make_node("MatMul", ["x", "w"], ["y"])], [outside])

save(folder / "operator.onnx", [helper.make_node("NoSuchOperator", ["x"], ["y"])])

pixels = np.zeros((800, 64), np.float32)
pixels[17, 3] = np.nan
np.savez_compressed(folder / "nan.npz", pixels=pixels, labels=np.zeros(800, np.int64))
