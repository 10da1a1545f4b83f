"""torchvision, the oracle for pictures, and what tests of pictures share: a server on loopback, comparison to the bit.

torchvision's compiled part wants CUDA's libraries and is needed by none of these tests; without them two of its operators lack even
names, which its import asks for, so names are all that they are given.
"""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import torch
from PIL import Image

import chainrule

try:
    import torchvision
except RuntimeError:
    sys.modules.pop("torchvision", None)
    names = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        names.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision

__all__ = ["plain", "same", "serve", "torchvision"]


def plain(value):
    """A result as arrays and plain data, with each tensor's and picture's kind."""
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    if isinstance(value, (torch.Tensor, chainrule.Tensor)):
        return [str(value.dtype), value.detach().numpy()]
    if isinstance(value, Image.Image):
        return [value.mode, np.asarray(value)]
    return value.replace("chainrule.", "torch.") if isinstance(value, str) else value


def same(ours, theirs, rtol=1e-5, atol=2e-5):
    """Assert two plain results equal; integers that come from float32 sums half-way between two may go the other way."""
    assert type(ours) is type(theirs), (ours, theirs)
    if isinstance(theirs, list):
        assert len(ours) == len(theirs), (ours, theirs)
        for a, b in zip(ours, theirs):
            same(a, b, rtol, atol)
    elif not isinstance(theirs, np.ndarray):
        assert ours == theirs
    elif theirs.dtype.kind == "f":
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol, atol)
    else:
        assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
        distance = np.abs(ours.astype(np.int64) - theirs.astype(np.int64))
        assert distance.max(initial=0) <= 2 and np.count_nonzero(distance) <= max(12, 0.01 * distance.size)


class serve:
    """`with serve({"name": bytes}) as url:` a server on loopback; `asked` lists what was asked for."""

    def __init__(self, files):
        self.files, self.asked = files, []

    def __enter__(self):
        served = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.path.lstrip("/")
                served.asked.append(name)
                if name not in served.files:
                    return self.send_error(404)
                self.send_response(200)
                self.send_header("Content-Length", str(len(served.files[name])))
                self.end_headers()
                self.wfile.write(served.files[name])

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
