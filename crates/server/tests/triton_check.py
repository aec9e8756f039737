"""The public client library against a running server: `triton_check.py HOST:PORT MODEL`.

Prints why and exits 0 where the library is not installed: `pip install tritonclient[http,grpc]`.
"""

import sys

try:
    import numpy
    import tritonclient.grpc as grpc
    import tritonclient.http as http
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(0)


def check(module, address: str, model: str, **input_options) -> None:
    client = module.InferenceServerClient(address)
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(model)
    values = numpy.array([[1.5, -2.0]], dtype=numpy.float32)
    tensor = module.InferInput("x", list(values.shape), "FP32")
    tensor.set_data_from_numpy(values, **input_options)
    answer = client.infer(model, [tensor], request_id="7")
    assert numpy.array_equal(answer.as_numpy("y"), values * 2), answer.as_numpy("y")
    try:
        wrong = module.InferInput("x", [1, 3], "FP32")
        wrong.set_data_from_numpy(numpy.zeros((1, 3), dtype=numpy.float32), **input_options)
        client.infer(model, [wrong])
    except Exception as error:
        assert "expects shape" in str(error), error
    else:
        raise AssertionError("a wrong shape was accepted")


address, model = sys.argv[1:]
check(http, address, model, binary_data=True)
check(http, address, model, binary_data=False)
check(grpc, address, model)
print("passed")
