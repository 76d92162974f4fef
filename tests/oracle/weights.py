"""The small weights files under tests/weights/, by PyTorch and safetensors themselves, and
the values in them as values.json. Needs torch, numpy and safetensors.

The two kinds of files that today's PyTorch cannot write any more, it can still read: they
are put together here and then loaded with torch.load, which must give back the same."""

import io
import json
import pickle
import struct
import tarfile
import warnings
from collections import OrderedDict
from pathlib import Path

import numpy
import safetensors.torch
import torch

FOLDER = Path(__file__).parent.parent / "weights"
DTYPES = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float64": torch.float64,
}
MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001


def network(dtype=torch.float32):
    """A state dict with the names of VGG and few channels. Every value differs."""
    shapes = {
        "features.0.weight": (4, 3, 3, 3),
        "features.0.bias": (4,),
        "features.2.weight": (2, 4, 3, 3),
        "features.2.bias": (2,),
        "classifier.0.weight": (5, 2),
    }
    generator = numpy.random.default_rng(19)
    return OrderedDict(
        (name, torch.from_numpy(generator.normal(size=shape)).to(dtype)) for name, shape in shapes.items()
    )


def values(tensors):
    """What a reader should find, each value exact."""
    return {
        name: {
            "dtype": str(tensor.dtype).removeprefix("torch."),
            "shape": list(tensor.shape),
            "values": tensor.detach().float().flatten().tolist() if tensor.is_floating_point() else None,
        }
        for name, tensor in tensors.items()
    }


def views():
    """Tensors that are not simply a storage from its beginning to its end."""
    base = torch.arange(72.0)
    return {
        "first": base[:24].view(2, 3, 4),
        "middle": base[24:48],
        "turned": base[24:48].view(4, 6).t(),
        "channels_last": torch.randn(4, 3, 3, 3, generator=torch.manual_seed(3)).to(
            memory_format=torch.channels_last
        ),
        "of_one": base[5:6].view(1, 1, 1),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
    }


class Reference:
    """Something that is written as a reference to what lies outside the pickle."""

    def __init__(self, key):
        self.key = key


class Call:
    """Something that is written as a call of a function, or as a new object of a class."""

    def __init__(self, function, *arguments, state=None):
        self.function, self.arguments, self.state = function, arguments, state


class Pickler(pickle._Pickler):
    """Python's pickler, in Python, that knows the two above."""

    dispatch = dict(pickle._Pickler.dispatch)

    def persistent_id(self, value):
        return value.key if isinstance(value, Reference) else None

    def save_call(self, call):
        self.save(call.function)
        self.save(call.arguments)
        new = isinstance(call.function, type) and call.function is not OrderedDict
        self.write(pickle.NEWOBJ if new else pickle.REDUCE)
        self.memoize(call)
        if call.state is not None:
            self.save(call.state)
            self.write(pickle.BUILD)

    dispatch[Call] = save_call


class Python2Pickler(Pickler):
    """All text is bytes."""

    dispatch = dict(Pickler.dispatch)

    def save_str(self, text):
        data = text.encode()
        self.write(pickle.SHORT_BINSTRING + bytes([len(data)]) + data)
        self.memoize(text)

    dispatch[str] = save_str


def dump(value, pickler=Pickler):
    stream = io.BytesIO()
    pickler(stream, protocol=2).dump(value)
    return stream.getvalue()


def python2(tensors):
    """As torchvision's files of 2017 may be: the first function that made tensors, parameters
    in place of tensors, text as bytes."""
    storages = {}

    def written(tensor):
        key = str(94000000000000 + 64 * len(storages))
        storages[key] = tensor
        reference = Reference(("storage", torch.FloatStorage, key, "cpu", tensor.numel(), None))
        data = Call(torch._utils._rebuild_tensor, reference, 0, tuple(tensor.shape), tensor.stride())
        return Call(torch.nn.parameter.Parameter, data, state=(True, False, OrderedDict()))

    # Python 2 writes an OrderedDict as a list of lists.
    state = Call(OrderedDict, [[name, written(tensor)] for name, tensor in tensors.items()])
    machine = {"protocol_version": VERSION, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    out = b"".join(dump(value, Python2Pickler) for value in (MAGIC, VERSION, machine, state, sorted(storages)))
    for key in sorted(storages):
        out += struct.pack("<q", storages[key].numel()) + storages[key].numpy().tobytes()
    return out


def tar(tensors):
    """As PyTorch wrote until early 2017."""
    storages, described, state = dump(len(tensors)), dump(len(tensors)), OrderedDict()
    for number, (name, tensor) in enumerate(tensors.items()):
        storage_key, tensor_key = 5_000_000_000 + number, 70 + number
        storages += dump((storage_key, "cpu", torch.FloatStorage))
        storages += struct.pack("<q", tensor.numel()) + tensor.numpy().tobytes()
        described += dump((tensor_key, storage_key, torch.FloatTensor))
        described += struct.pack("<ii", tensor.dim(), 0)
        described += struct.pack(f"<{2 * tensor.dim()}q", *tensor.shape, *tensor.stride())
        described += struct.pack("<q", 0)
        state[name] = Reference(str(tensor_key))
    storages += dump([])
    files = {"sys_info": dump({"protocol_version": 1000, "little_endian": True}), "storages": storages}
    files |= {"tensors": described, "pickle": dump(state)}

    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:", format=tarfile.PAX_FORMAT) as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            # A time with a fraction gives each file a header of its own attributes.
            entry.size, entry.mtime = len(data), 1485043200.25
            archive.addfile(entry, io.BytesIO(data))
    # tarfile fills up to 10 kB, of which two blocks are wanted.
    whole = stream.getvalue().rstrip(b"\0")
    return whole + bytes(-len(whole) % 512 + 1024)


def main():
    FOLDER.mkdir(exist_ok=True)
    expected = {}

    def save(name, saved, tensors=None, **options):
        torch.save(saved, FOLDER / name, **options)
        expected[name] = values(tensors or saved)

    for name, dtype in DTYPES.items():
        tensors = network(dtype)
        save(f"{name}.pth", tensors)
        save(f"{name}.old.pth", tensors, _use_new_zipfile_serialization=False)
        file = f"{name}.safetensors"
        safetensors.torch.save_file(tensors, FOLDER / file, metadata={"convention": "rgb-imagenet"})
        expected[file] = values(tensors)

    save("views.pth", views())
    save("views.old.pth", views(), _use_new_zipfile_serialization=False)
    save("protocol4.pth", network(), pickle_protocol=4)
    save("protocol5.old.pth", network(), pickle_protocol=5, _use_new_zipfile_serialization=False)

    parameters = OrderedDict((name, torch.nn.Parameter(tensor)) for name, tensor in network().items())
    save("parameters.pth", parameters)

    model = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.BatchNorm2d(2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.ones(2, 3, 4, 4)).sum().backward()
    optimizer.step()
    state = model.state_dict(prefix="module.")
    save("checkpoint.pth", {"epoch": 7, "best": 0.5, "optimizer": optimizer.state_dict(), "state_dict": state}, state)
    save("module.old.pth", {"model": state}, state, _use_new_zipfile_serialization=False)

    for name, data in {"python2.old.pth": python2(network()), "oldest.pth": tar(network())}.items():
        (FOLDER / name).write_bytes(data)
        with warnings.catch_warnings(action="ignore"):
            loaded = torch.load(FOLDER / name, weights_only=False, encoding="ascii")
        for (key, value), (wanted, tensor) in zip(loaded.items(), network().items(), strict=True):
            assert key == wanted and torch.equal(value.detach(), tensor), name
        expected[name] = values(network())

    # Most files hold the same tensors, which are written once, under the first file's name.
    first = {}
    for name, tensors in expected.items():
        twin = first.setdefault(json.dumps(tensors), name)
        expected[name] = tensors if twin == name else twin
    (FOLDER / "values.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")
    for path in sorted(FOLDER.iterdir()):
        print(path.stat().st_size, path.name)


if __name__ == "__main__":
    main()
