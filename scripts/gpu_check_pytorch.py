#!/usr/bin/env python3
"""Times an iteration of PyTorch's loops, a JSON object a line: for gpu_check.py.

VGG-16, five Gram layers and relu4_2, total variation, Adam: what `impasto bench`
paints by default. The ways are those that people write: plain (float32, PyTorch's
defaults), float32 (TF32 off), bfloat16 (channels last), graph (bfloat16 in one CUDA
graph) and compiled (torch.compile, reduce-overhead).
"""

import argparse
import json
import struct
import time

import torch
import torch.nn.functional as F

BLOCKS = ((1, 2), (2, 2), (3, 3), (4, 3), (5, 1))


def read_safetensors(path):
    """The tensors of a safetensors file of float32 numbers."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = bytearray(file.read())
    kinds = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        flat = torch.frombuffer(data[begin:end], dtype=kinds[entry["dtype"]])
        tensors[name] = flat.reshape(entry["shape"]).float()
    return tensors


class Loop:
    def __init__(self, weights, size, way, device):
        self.half = way in ("bfloat16", "graph", "compiled")
        self.mean = torch.tensor([103.939, 116.779, 123.68], device=device).view(1, 3, 1, 1)
        self.weights = {name: self.convert(tensor.to(device)) for name, tensor in weights.items()}
        torch.manual_seed(0)
        content, style = torch.rand(2, 1, 3, size, size, device=device)
        with torch.no_grad():
            self.grams = {block: self.gram(map_) for block, map_ in self.features(style)[0].items()}
            self.content = self.features(content)[1].float()
        self.image = content.clone().requires_grad_(True)
        self.optimizer = torch.optim.Adam(
            [self.image], lr=0.02, capturable=way == "graph", fused=device != "cpu"
        )
        loss = self.loss
        if way == "compiled":
            loss = torch.compile(self.loss, mode="reduce-overhead")
        self.loss_of = loss

    def convert(self, tensor):
        if not self.half:
            return tensor
        tensor = tensor.bfloat16()
        return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor

    def features(self, image):
        x = image.flip(1) * 255 - self.mean
        if self.half:
            x = x.bfloat16().contiguous(memory_format=torch.channels_last)
        firsts = {}
        for block, count in BLOCKS:
            if block > 1:
                x = F.max_pool2d(x, 2)
            for index in range(1, count + 1):
                name = f"conv{block}_{index}"
                x = F.relu(F.conv2d(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], padding=1))
                if index == 1:
                    firsts[block] = x
                if (block, index) == (4, 2):
                    content = x
        return firsts, content

    @staticmethod
    def gram(features):
        rows = features.flatten(2)[0]
        return (rows @ rows.T).float() / rows.numel()

    def loss(self, image):
        firsts, content = self.features(image)
        style = sum(F.mse_loss(self.gram(firsts[block]), self.grams[block]) for block in firsts)
        across = (image[..., 1:] - image[..., :-1]).abs().mean()
        down = (image[..., 1:, :] - image[..., :-1, :]).abs().mean()
        return 100 * style + 5 * F.mse_loss(content.float(), self.content) + across + down

    def step(self):
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss_of(self.image)
        loss.backward()
        self.optimizer.step()
        return loss

    def captured(self):
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(5):
                self.step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(graph):
            self.step()
        return graph.replay


def milliseconds(loop, way, device, blocks, iterations):
    step = loop.captured() if way == "graph" else loop.step
    wait = torch.cuda.synchronize if device != "cpu" else lambda: None
    for _ in range(8 if device != "cpu" else 1):
        step()
    wait()
    times = []
    for _ in range(blocks):
        began = time.perf_counter()
        for _ in range(iterations):
            step()
        wait()
        times.append((time.perf_counter() - began) / iterations)
    return 1000 * sorted(times)[len(times) // 2]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", required=True)
    parser.add_argument("--sizes", default="512,1024")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    weights = read_safetensors(options.weights)
    on_gpu = options.device != "cpu"
    torch.backends.cudnn.benchmark = True
    ways = ["plain", "float32", "bfloat16", "graph", "compiled"] if on_gpu else ["plain"]
    for size in map(int, options.sizes.split(",")):
        for way in ways:
            tf32 = way != "float32"
            torch.backends.cudnn.allow_tf32 = tf32
            line = {"size": size, "way": way}
            try:
                loop = Loop(weights, size, way, options.device)
                blocks, iterations = (5, 10) if on_gpu else (1, 1)
                line["milliseconds"] = milliseconds(loop, way, options.device, blocks, iterations)
            except (RuntimeError, ImportError) as error:
                line["error"] = str(error).splitlines()[0][:120]
            print(json.dumps(line), flush=True)
            if on_gpu:
                torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
