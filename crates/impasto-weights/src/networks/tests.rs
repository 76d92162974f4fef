use serde_json::{Value, json};

use super::*;
use crate::{Convention, Convolution, Format};

fn networks() -> (tempfile::TempDir, Networks) {
    let home = tempfile::tempdir().unwrap();
    let networks = Networks::with_folder(home.path().join("impasto").join("networks"));
    (home, networks)
}

/// The first two convolutions of a network nobody knows.
fn network() -> File {
    let convolution = |index, inputs: usize| Convolution {
        block: 1,
        index,
        shape: [64, inputs, 3, 3],
        weight: (0..64 * inputs * 9).map(|value| value as f32).collect(),
        bias: (0..64).map(|value| -0.1 * value as f32).collect(),
    };
    File {
        architecture: Architecture::Vgg16,
        convolutions: vec![convolution(1, 3), convolution(2, 64)],
        convention: Convention::RgbImageNet,
        format: Format::PyTorch,
        sha256: "ab".repeat(32),
    }
}

fn about() -> About {
    About {
        source: "https://example.org/a.pth".to_owned(),
        source_sha256: Some("ab".repeat(32)),
        licence: Some("MIT".to_owned()),
    }
}

const SCALES_OF_TWO: [f64; 2] = [0.1, 12345.678901234567];

fn entry_of(networks: &Networks, name: &str) -> NetworkEntry {
    let mut list = networks.list().into_iter();
    list.find(|entry| entry.name == name).unwrap()
}

/// Changes the JSON header of a safetensors file.
fn change_header(path: &Path, change: impl FnOnce(&mut Value)) {
    let bytes = fs::read(path).unwrap();
    let (header, tensors) = bytes[8..].split_at(header_length(&bytes));
    let mut header = serde_json::from_slice(header).unwrap();
    change(&mut header);
    let header = header.to_string();
    let length = (header.len() as u64).to_le_bytes();
    fs::write(path, [&length, header.as_bytes(), tensors].concat()).unwrap();
}

fn header_length(bytes: &[u8]) -> usize {
    u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize
}

#[test]
fn an_installed_network_is_found_as_it_was() {
    let (_home, networks) = networks();
    let network = network();
    let path = networks
        .install("mine-2", &network, &about(), &SCALES_OF_TWO, false)
        .unwrap();
    assert_eq!(path, networks.folder().unwrap().join("mine-2.safetensors"));
    assert_eq!(networks.path("mine-2").unwrap(), path);

    let found = networks.find("mine-2").unwrap();
    assert_eq!(found.file.convolutions, network.convolutions);
    assert_eq!(found.file.convention, network.convention);
    assert_eq!(found.file.format, Format::Safetensors);
    assert_eq!(found.about, about());
    assert_eq!(found.scales, SCALES_OF_TWO);
    assert_eq!(found.version, env!("CARGO_PKG_VERSION"));

    let verified = networks.verify("mine-2").unwrap();
    assert_eq!(verified.layers, 2);
    assert_eq!(verified.values, 64 * 27 + 64 + 64 * 64 * 9 + 64);
    assert_eq!(verified.bytes, fs::metadata(&path).unwrap().len());

    let entry = entry_of(&networks, "mine-2");
    assert_eq!(entry.state, NetworkStatus::Installed);
    assert_eq!(entry.bytes, verified.bytes);
    assert_eq!(entry.source.as_deref(), Some("https://example.org/a.pth"));
    assert_eq!(entry.licence.as_deref(), Some("MIT"));
    assert_eq!(entry.deepest.as_deref(), Some("relu1_2"));

    // The same network makes the same file, and nothing else is left.
    let first = fs::read(&path).unwrap();
    networks
        .install("mine-2", &network, &about(), &SCALES_OF_TWO, true)
        .unwrap();
    assert_eq!(fs::read(&path).unwrap(), first);
    assert_eq!(fs::read_dir(networks.folder().unwrap()).unwrap().count(), 1);
}

#[test]
fn the_file_is_readable_by_others() {
    let (_home, networks) = networks();
    let nothing = About {
        source: String::new(),
        source_sha256: None,
        licence: None,
    };
    let path = networks
        .install("a", &network(), &nothing, &SCALES_OF_TWO, false)
        .unwrap();
    let bytes = fs::read(&path).unwrap();
    let length = header_length(&bytes);
    assert_eq!(length % 8, 0);
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let bias = &header["conv1_1.bias"];
    assert_eq!(
        bias,
        &json!({"dtype": "F32", "shape": [64], "data_offsets": [6912, 7168]})
    );
    assert_eq!(header["__metadata__"]["architecture"], "vgg16");
    assert_eq!(header["__metadata__"]["scale.relu1_1"], "0.1");
    assert_eq!(header["__metadata__"].get("licence"), None);
    let second = 8 + length + 6912 + 4;
    assert_eq!(bytes[second..second + 4], (-0.1_f32).to_le_bytes());
    let found = networks.find("a").unwrap();
    assert_eq!(found.about.licence, None);
}

#[test]
fn a_network_is_replaced_only_when_asked() {
    let (_home, networks) = networks();
    let mut network = network();
    let path = networks
        .install("a", &network, &about(), &SCALES_OF_TWO, false)
        .unwrap();
    network.convolutions.pop();
    let error = networks
        .install("a", &network, &about(), &[1.0], false)
        .unwrap_err();
    assert!(matches!(error, NetworkError::Exists { .. }), "{error}");
    assert_eq!(networks.find("a").unwrap().scales, SCALES_OF_TWO);
    // Nor if it comes between the look and the writing.
    let error = write(&path, &network, &about(), &[1.0], false).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    networks
        .install("a", &network, &about(), &[1.0], true)
        .unwrap();
    assert_eq!(networks.find("a").unwrap().scales, [1.0]);
}

#[test]
fn names_are_plain_words() {
    let (_home, networks) = networks();
    for name in [
        "",
        "../up",
        "a/b",
        ".hidden",
        "-x",
        "_x",
        "a b",
        "é",
        "x\u{1b}",
        &"x".repeat(33),
        "a\0",
    ] {
        let results = [
            networks.find(name).map(|_| ()).unwrap_err(),
            networks.path(name).map(|_| ()).unwrap_err(),
            (networks.install(name, &network(), &about(), &SCALES_OF_TWO, true))
                .map(|_| ())
                .unwrap_err(),
        ];
        for error in results {
            assert!(matches!(error, NetworkError::Name { .. }), "{name:?}");
            assert!(!error.to_string().contains('\u{1b}'));
        }
    }
    for name in ["vgg16", "VGG16"] {
        let error = networks.install(name, &network(), &about(), &SCALES_OF_TWO, true);
        assert!(matches!(error, Err(NetworkError::BuiltIn)));
        assert!(matches!(networks.find(name), Err(NetworkError::BuiltIn)));
    }
    for name in ["a", "A.b-c_9", "9", &"x".repeat(32)] {
        check_name(name).unwrap();
    }
    assert!(!networks.folder().unwrap().exists());
}

#[test]
fn a_missing_network_comes_with_a_way_to_get_it() {
    let (_home, networks) = networks();
    networks
        .install("portrait", &network(), &about(), &SCALES_OF_TWO, false)
        .unwrap();
    let message = |name: &str| networks.find(name).unwrap_err().to_string();
    assert_eq!(
        message("vgg19"),
        "The network `vgg19` is not installed. `impasto weights fetch vgg19` gets it."
    );
    assert!(message("potrait").ends_with("did you mean `portrait`?"));
    assert!(message("vgg91").ends_with("did you mean `vgg19`?"));
    assert!(message("VGG19").ends_with("did you mean `vgg19`?"));
    assert_eq!(
        message("squeezenet"),
        "There is no network called `squeezenet`. `impasto weights list` shows those there are, \
         and `impasto weights import FILE --name squeezenet` adds one."
    );
}

#[test]
fn the_list_has_every_network_once() {
    let (_home, networks) = networks();
    let names = || -> Vec<(String, NetworkStatus)> {
        let list = networks.list().into_iter();
        list.map(|entry| (entry.name, entry.state)).collect()
    };
    let row = |name: &str, state| (name.to_owned(), state);
    let before = [
        row("vgg16", NetworkStatus::BuiltIn),
        row("vgg16-torchvision", NetworkStatus::Fetchable),
        row("vgg19", NetworkStatus::Fetchable),
    ];
    assert_eq!(names(), before);

    networks
        .install("vgg19", &network(), &about(), &SCALES_OF_TWO, false)
        .unwrap();
    networks
        .install("alone", &network(), &about(), &SCALES_OF_TWO, false)
        .unwrap();
    let folder = networks.folder().unwrap();
    fs::write(folder.join("b.part"), b"half").unwrap();
    fs::write(folder.join(".impasto-x.part"), b"half").unwrap();
    fs::write(folder.join("notes.txt"), b"").unwrap();
    fs::write(folder.join("empty.safetensors"), b"").unwrap();
    fs::write(folder.join("my net\u{1b}.safetensors"), b"").unwrap();
    fs::write(folder.join("vgg16.safetensors"), b"").unwrap();
    let list = names();
    let found: Vec<&str> = list.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        found,
        [
            "vgg16",
            "alone",
            "empty",
            "my net\\u{1b}",
            "vgg16",
            "vgg16-torchvision",
            "vgg19"
        ]
    );
    let broken = |place: usize, words: &str| match &list[place].1 {
        NetworkStatus::Broken(reason) => assert!(reason.contains(words), "{reason}"),
        state => panic!("{place}: {state:?}"),
    };
    broken(2, "none of the known formats");
    broken(3, "cannot be a network's name");
    broken(4, "is built in");
    assert_eq!(list[6].1, NetworkStatus::Installed);
}

#[test]
fn the_built_in_network_has_its_size() {
    let path =
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("weights/vgg16.safetensors");
    assert_eq!(fs::metadata(path).unwrap().len(), BUILT_IN_BYTES);
}

#[test]
fn the_offers_have_about_the_size_they_will_have() {
    for offer in &OFFERS {
        let blocks = match offer.architecture {
            Architecture::Vgg16 => [2, 2, 3, 3, 3],
            Architecture::Vgg19 => [2, 2, 4, 4, 4],
        };
        let (mut bytes, mut inputs) = (0, 3);
        for (outputs, count) in [64, 128, 256, 512, 512].into_iter().zip(blocks) {
            for _ in 0..count {
                bytes += 4 * (outputs * inputs * 9 + outputs);
                inputs = outputs;
            }
        }
        let close = bytes..bytes + 100_000;
        assert!(close.contains(&offer.installed_bytes()), "{}", offer.name);
    }
}

#[test]
fn bit_rot_is_found() {
    let (_home, networks) = networks();
    let path = networks
        .install("a", &network(), &about(), &SCALES_OF_TWO, false)
        .unwrap();
    let whole = fs::read(&path).unwrap();
    let data = 8 + header_length(&whole);
    for at in [data, data + 6912 + 1, whole.len() - 4] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(&path, &changed).unwrap();
        let error = networks.verify("a").unwrap_err().to_string();
        assert!(
            error.contains("its values are not those that were written"),
            "{error}"
        );
        assert!(error.ends_with(
            "To replace the network `a`, `impasto weights import FILE --name a`, with --replace."
        ));
        assert!(networks.find("a").is_err());
    }
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert!(networks.verify("a").is_err());
    let cut = entry_of(&networks, "a");
    assert!(matches!(cut.state, NetworkStatus::Broken(_)));
    fs::write(&path, &whole).unwrap();
    networks.verify("a").unwrap();
}

#[test]
fn a_header_that_was_tampered_with_is_refused() {
    let (_home, networks) = networks();
    let path = networks
        .install("a", &network(), &about(), &SCALES_OF_TWO, false)
        .unwrap();
    let whole = fs::read(&path).unwrap();
    for (key, value, words) in [
        ("scale.relu1_2", None, "no usable scale.relu1_2"),
        ("scale.relu1_1", Some("0"), "no usable scale.relu1_1"),
        ("scale.relu1_1", Some("-1"), "no usable scale.relu1_1"),
        ("scale.relu1_1", Some("inf"), "no usable scale.relu1_1"),
        ("scale.relu1_1", Some("NaN"), "no usable scale.relu1_1"),
        ("scale.relu1_1", Some("1e7"), "no usable scale.relu1_1"),
        ("scale.relu1_1", Some("1e-7"), "no usable scale.relu1_1"),
        ("scale.relu1_1", Some("x"), "no usable scale.relu1_1"),
        ("architecture", Some("vgg19"), "another architecture"),
        ("architecture", None, "no architecture"),
        ("source", None, "no source"),
        ("source_sha256", Some("AB"), "source_sha256"),
        ("impasto", None, "no impasto"),
        ("tensors_sha256", None, "not those that were written"),
        ("tensors_sha256", Some(""), "not those that were written"),
        ("convention", None, "which input its network expects"),
        ("convention", Some("yuv\u{1b}"), "yuv\\u{1b}"),
    ] {
        fs::write(&path, &whole).unwrap();
        change_header(&path, |header| {
            let metadata = header["__metadata__"].as_object_mut().unwrap();
            match value {
                Some(value) => metadata.insert(key.to_owned(), json!(value)),
                None => metadata.remove(key),
            };
        });
        let error = networks.find("a").unwrap_err().to_string();
        assert!(error.contains(words), "{key} {value:?}: {error}");
    }
    fs::write(&path, &whole).unwrap();
    change_header(&path, |header| {
        let long = format!("\u{1b}[2J{}", "x".repeat(100_000));
        header["__metadata__"]["source"] = json!(long);
    });
    let source = networks.find("a").unwrap().about.source;
    assert!(
        source.starts_with("\\u{1b}[2J") && source.len() < 1100,
        "{source}"
    );
    assert_eq!(entry_of(&networks, "a").source, Some(source));
}

#[test]
fn what_could_not_be_read_back_is_not_installed() {
    let (_home, networks) = networks();
    for scales in [&[][..], &[1.0], &[1.0, f64::NAN], &[0.0, 1.0], &[1.0, 1e7]] {
        let error = networks.install("a", &network(), &about(), scales, false);
        assert!(matches!(error, Err(NetworkError::Scale { .. })));
    }
    let mut broken = network();
    broken.convolutions[1].bias[3] = f32::INFINITY;
    let error = networks
        .install("a", &broken, &about(), &SCALES_OF_TWO, false)
        .unwrap_err();
    assert!(
        error.to_string().contains("conv1_2 holds values"),
        "{error}"
    );
    let mut short = network();
    short.convolutions[1].weight.pop();
    assert!(
        networks
            .install("a", &short, &about(), &SCALES_OF_TWO, false)
            .is_err()
    );
    assert_eq!(fs::read_dir(networks.folder().unwrap()).unwrap().count(), 0);
}

#[test]
fn without_a_home_there_is_the_built_in_network() {
    let networks = Networks { folder: None };
    assert_eq!(networks.list().len(), 1 + OFFERS.len());
    assert!(matches!(networks.find("a"), Err(NetworkError::NoFolder)));
    if let Some(folder) = Networks::open().folder() {
        assert!(folder.is_absolute() && folder.ends_with("impasto/networks"));
    }
}
