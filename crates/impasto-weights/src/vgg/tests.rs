use super::*;
use crate::tensor::{Dtype, Layout, Region};

fn tensor(name: &str, shape: &[u64]) -> Tensor {
    Tensor {
        name: name.to_owned(),
        dtype: Dtype::Float32,
        shape: shape.to_vec(),
        layout: Layout {
            strides: None,
            start: 0,
            region: Region {
                start: 0,
                length: 0,
                crc32: None,
            },
        },
    }
}

/// PyTorch's lists of layers as torchvision builds them.
fn features(blocks: [usize; 5]) -> Vec<Tensor> {
    let mut tensors = Vec::new();
    let mut number = 0;
    let mut inputs = 3;
    for (block, count) in blocks.into_iter().enumerate() {
        for _ in 0..count {
            let outputs = [64, 128, 256, 512, 512][block];
            let name = |part| format!("features.{number}.{part}");
            tensors.push(tensor(&name("weight"), &[outputs, inputs, 3, 3]));
            tensors.push(tensor(&name("bias"), &[outputs]));
            inputs = outputs;
            number += 2;
        }
        number += 1;
    }
    tensors.push(tensor("classifier.0.weight", &[4096, 25088]));
    tensors.push(tensor("classifier.0.bias", &[4096]));
    tensors
}

fn vgg16() -> Vec<Tensor> {
    features([2, 2, 3, 3, 3])
}

fn vgg19() -> Vec<Tensor> {
    features([2, 2, 4, 4, 4])
}

fn renamed(mut tensors: Vec<Tensor>, rename: impl Fn(&str) -> String) -> Vec<Tensor> {
    for tensor in &mut tensors {
        tensor.name = rename(&tensor.name);
    }
    tensors
}

fn names(planned: &[Planned<'_>]) -> Vec<String> {
    (planned.iter())
        .map(|planned| format!("{}_{}", planned.block, planned.index))
        .collect()
}

fn refusal(tensors: &[Tensor]) -> String {
    plan(tensors).unwrap_err().to_string()
}

#[test]
fn torchvision_names_are_those_of_the_layers() {
    let tensors = vgg19();
    let (architecture, planned) = plan(&tensors).unwrap();
    assert_eq!(architecture, Architecture::Vgg19);
    assert_eq!(
        names(&planned).join(" "),
        "1_1 1_2 2_1 2_2 3_1 3_2 3_3 3_4 4_1 4_2 4_3 4_4 5_1 5_2 5_3 5_4"
    );
    let last = planned.last().unwrap();
    assert_eq!(last.weight.name, "features.34.weight");
    assert_eq!(last.bias.name, "features.34.bias");
    assert_eq!(last.shape, [512, 512, 3, 3]);

    let tensors = vgg16();
    let (architecture, planned) = plan(&tensors).unwrap();
    assert_eq!(architecture, Architecture::Vgg16);
    assert_eq!(planned.len(), 13);
    assert_eq!(planned[12].weight.name, "features.28.weight");
    assert_eq!(planned[7].shape, [512, 256, 3, 3]);
}

#[test]
fn other_names_for_the_same_layers_are_known() {
    for prefix in ["module.", "model.", "vgg.", "module.vgg.", "net.module."] {
        let tensors = renamed(vgg19(), |name| format!("{prefix}{name}"));
        assert_eq!(plan(&tensors).unwrap().1.len(), 16, "{prefix}");
    }
    // The list of features alone.
    let tensors = renamed(vgg16(), |name| name.replace("features.", ""));
    assert_eq!(plan(&tensors).unwrap().1.len(), 13);
    // Our own names.
    for (mut tensors, count) in [(vgg16(), 13), (vgg19(), 16)] {
        let planned = plan(&tensors).unwrap().1;
        let own: HashMap<String, String> = (planned.iter())
            .map(|planned| {
                let layer = planned.weight.name.trim_end_matches(".weight");
                let own = format!("conv{}_{}.", planned.block, planned.index);
                (format!("{layer}."), own)
            })
            .collect();
        tensors = renamed(tensors, |name| {
            let (layer, part) = name.rsplit_once('.').unwrap();
            match own.get(&format!("{layer}.")) {
                Some(own) => format!("{own}{part}"),
                None => name.to_owned(),
            }
        });
        assert_eq!(tensors[0].name, "conv1_1.weight");
        assert_eq!(plan(&tensors).unwrap().1.len(), count);
    }
}

#[test]
fn a_network_may_end_early() {
    for (whole, cut, architecture, deepest) in [
        (vgg19(), 2, Architecture::Vgg16, "1_1"),
        (vgg19(), 14, Architecture::Vgg16, "3_3"),
        (vgg19(), 16, Architecture::Vgg19, "3_4"),
        (vgg19(), 20, Architecture::Vgg19, "4_2"),
        (vgg16(), 16, Architecture::Vgg16, "4_1"),
    ] {
        let (found, planned) = plan(&whole[..cut]).unwrap();
        assert_eq!(found, architecture);
        assert_eq!(names(&planned).last().unwrap(), deepest);
    }
}

#[test]
fn gaps_are_refused_with_the_layer() {
    for (left_out, words) in [
        ("features.0.weight", "the weight of conv1_1"),
        ("features.0.bias", "the bias of conv1_1"),
        ("features.21.weight", "the weight of conv4_2"),
        ("features.34.bias", "the bias of conv5_4"),
    ] {
        let mut tensors = vgg19();
        tensors.retain(|tensor| tensor.name != left_out);
        assert!(refusal(&tensors).contains(words), "{}", refusal(&tensors));
    }
    let mut tensors = vgg19();
    tensors.retain(|tensor| !tensor.name.starts_with("features.2."));
    assert!(refusal(&tensors).contains("the weight of conv1_2"));
    assert!(refusal(&[]).contains("the weight of conv1_1"));
    assert!(refusal(&[tensor("layer1.0.conv1.weight", &[64])]).contains("conv1_1"));
}

#[test]
fn other_networks_are_refused() {
    // VGG-11 and VGG-13, which begin like VGG-16 in part.
    let message = refusal(&features([1, 1, 2, 2, 2]));
    assert!(message.contains("neither network has both"), "{message}");
    assert!(refusal(&features([2, 2, 2, 2, 2])).contains("`features.15.bias`"));
    // VGG-16 with batch normalisation.
    let normalised = renamed(vgg16(), |name| match name.strip_prefix("features.2.") {
        Some(part) => format!("features.3.{part}"),
        None => name.to_owned(),
    });
    assert!(refusal(&normalised).contains("batch normalisation"));
    let mixed = [vgg16(), vec![tensor("conv1_1.weight", &[64, 3, 3, 3])]].concat();
    assert!(refusal(&mixed).contains("is there already"));
    let deeper = renamed(vgg16(), |name| name.replace("features.28", "conv6_1"));
    assert!(plan(&deeper).is_err());
}

#[test]
fn the_same_layer_twice_is_refused() {
    for name in [
        "features.0.weight",
        "module.features.0.weight",
        "features.00.weight",
        "0.weight",
    ] {
        let twice = [vgg16(), vec![tensor(name, &[64, 3, 3, 3])]].concat();
        assert!(refusal(&twice).contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn every_shape_is_checked() {
    for at in 0..26 {
        let good = vgg16();
        for side in 0..good[at].shape.len() {
            let mut tensors = vgg16();
            tensors[at].shape[side] += 1;
            let message = refusal(&tensors);
            assert!(message.contains(&format!("`{}` has the shape", tensors[at].name)));
        }
        let mut tensors = vgg16();
        tensors[at].shape = vec![1; 1000];
        assert!(refusal(&tensors).len() < 300);
        tensors[at].shape.clear();
        assert!(plan(&tensors).is_err());
    }
}

#[test]
fn odd_names_are_those_of_something_else() {
    for name in [
        "features.+2.weight",
        "features..weight",
        "features.99999.weight",
        "conv1_.weight",
        "conv_1.bias",
        "conv1_1",
        ".",
        "",
    ] {
        let more = [vgg16(), vec![tensor(name, &[1])]].concat();
        assert!(plan(&more).is_ok(), "{name}");
    }
}
