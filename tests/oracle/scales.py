"""Which statistic of a layer's feature map should be made equal between two networks, so that a
preset's weights mean the same on both? Compares the root mean square with the mean activation:
the scales are taken on two pictures, and the style loss they give on four others is compared with
the one that would be right there. The other network is a VGG-19 with made-up weights, which is as
unlike the built-in VGG-16 as a network can be. Needs torch, numpy, Pillow and safetensors."""

import argparse
from pathlib import Path

import numpy as np
import torch
from networks import BLOCKS, CONVENTIONS, feature_maps, made_network, relus
from PIL import Image
from safetensors.torch import load_file

ROOT = Path(__file__).resolve().parents[2]
MEASURED, OTHERS = ["china", "night"], ["chelsea", "coffee", "wave", "mosaic"]
STATISTICS = {
    "root mean square": lambda values: (values**2).mean().sqrt().item(),
    "mean activation": lambda values: values.mean().item(),
}


def built_in():
    """The built-in VGG-16, in float64."""
    network, _ = made_network("vgg16", "bgr-minus-mean")
    weights = load_file(ROOT / "weights/vgg16.safetensors")
    names = [name.replace("relu", "conv") for name in relus("vgg16")]
    convolutions = [layer for layer in network if isinstance(layer, torch.nn.Conv2d)]
    for name, convolution in zip(names, convolutions, strict=True):
        convolution.load_state_dict({key: weights[f"{name}.{key}"].double() for key in ("weight", "bias")})
    return network


def picture(name):
    image = Image.open(ROOT / f"assets/{name}.jpg").convert("RGB")
    image.thumbnail((224, 224))
    return torch.from_numpy(np.array(image)).double().permute(2, 0, 1)[None] / 255


def main():
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    ours, (other, _) = built_in(), made_network("vgg19", "rgb-imagenet")
    ratios = {word: {} for word in STATISTICS}
    for name in MEASURED + OTHERS:
        rgb = picture(name)
        wanted = feature_maps(ours, "vgg16", CONVENTIONS["bgr-minus-mean"](rgb))
        for layer, values in feature_maps(other, "vgg19", CONVENTIONS["rgb-imagenet"](rgb)).items():
            block, index = layer.removeprefix("relu").split("_")
            like = f"relu{block}_{min(int(index), BLOCKS['vgg16'][int(block) - 1])}"
            for word, statistic in STATISTICS.items():
                ratios[word][layer, name] = statistic(wanted[like]) / statistic(values)
    layers = relus("vgg19")
    for word, found in ratios.items():
        # The style loss goes by the fourth power of the maps, and what is right on a picture is
        # the ratio of the root mean squares there: it is the trace of the Gram matrix.
        right = ratios["root mean square"]
        scales = {layer: np.mean([found[layer, name] for name in MEASURED]) for layer in layers}
        off = [abs(4 * np.log(scales[layer] / right[layer, name])) for layer in layers for name in OTHERS]
        print(f"{word}: the style loss of a layer is off by a factor of {np.exp(np.mean(off)):.2f} on average")


if __name__ == "__main__":
    main()
