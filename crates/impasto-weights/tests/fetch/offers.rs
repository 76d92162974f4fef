//! Networks that are known by name: an official file and a mirror.

use impasto_weights::fetch::{FetchError, Progress, Source};
use impasto_weights::{Architecture, Convention, Offer};

use crate::server::{Behaviour, Remote, Server};
use crate::{Bench, hex, small, weights};

/// The corner of torchvision's VGG-16's first filter.
const KNOWN: [f32; 9] = [
    -0.5537, 0.1427, 0.5290, -0.5831, 0.3566, 0.7657, -0.6902, -0.0480, 0.4841,
];

/// An offer of a network on the server at `base`, whose official file has this digest.
fn offer(base: &str, sha256: &str, mirror: bool) -> Source {
    let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    Source::Offer(Box::leak(Box::new(Offer {
        name: "mine",
        what: "a network for tests",
        architecture: Architecture::Vgg16,
        convention: Convention::RgbImageNet,
        url: leak(format!("{base}/official.pth")),
        sha256: leak(sha256.to_owned()),
        bytes: 50_000,
        mirror: mirror.then(|| leak(format!("{base}/mirror.safetensors"))),
        licence: "BSD-3-Clause",
    })))
}

#[test]
fn an_official_file_is_checked_against_its_digest() {
    let digest = hex(&small());
    let server = Server::new(Remote::new(small()), &[Behaviour::BreakAfter(20_000)]);
    let mut bench = Bench::new();
    let fetched = bench
        .fetch(offer(&server.url(""), &digest[..8], false))
        .unwrap();
    assert_eq!(fetched.about.source_sha256.as_ref(), Some(&digest));
    assert_eq!(fetched.about.licence.as_deref(), Some("BSD-3-Clause"));
    let checked = |progress: &Progress| matches!(progress, Progress::Checking { .. });
    assert!(bench.reported.iter().any(checked));

    let mut bench = Bench::new();
    let error = bench
        .fetch(offer(&server.url(""), "01234567", false))
        .unwrap_err();
    let words = format!("its SHA-256 begins with {}, not 01234567", &digest[..8]);
    assert!(error.to_string().contains(&words), "{error}");
    assert!(bench.files().is_empty());
    assert!(bench.nothing_installed());
    // Nor is it read.
    assert!(!bench.reported.contains(&Progress::Reading));
}

#[test]
fn without_a_network_the_way_by_hand_is_reported() {
    // A port on which nothing listens.
    let base = "http://127.0.0.1:1";
    let source = offer(base, "01234567", true);
    let official = format!("{base}/official.pth");
    let mut bench = Bench::new();
    let error = bench.fetch(source).unwrap_err().to_string();
    let advice = format!(
        "On a machine that has a network, download {official}, copy the file here and run \
         `impasto weights import official.pth --name mine`."
    );
    assert!(error.ends_with(&advice), "{error}");
    // The mirror was asked once, the official address as often as there are tries.
    let asked = |progress: &&Progress| matches!(progress, Progress::Connecting { .. });
    assert_eq!(bench.reported.iter().filter(asked).count(), 1 + 3);
    assert!(bench.files().is_empty());
}

/// All thirteen convolutions of VGG-16 by torchvision's names.
fn vgg16(corner: &[f32; 9], classifier: u64) -> Vec<u8> {
    let numbers = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28];
    let outputs = [
        64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512,
    ];
    let names = numbers.map(|number| format!("features.{number}"));
    let layers: Vec<(&str, u64)> = names.iter().map(String::as_str).zip(outputs).collect();
    weights(&layers, corner, classifier)
}

#[test]
fn of_a_mirror_only_the_convolutions_are_fetched() {
    // The header's request, then one that breaks off.
    let mirror = Remote::new(vgg16(&KNOWN, 1_000_000));
    let size = mirror.bytes.len();
    let server = Server::new(
        mirror,
        &[Behaviour::Fine, Behaviour::BreakAfter(30_000_000)],
    );
    let mut bench = Bench::new();
    // Stopped after the break, and taken up in a later run.
    let source = offer(&server.url(""), "01234567", true);
    let error = bench.fetch_until(source.clone(), &|bytes| bytes > 40_000_000);
    assert!(matches!(error, Err(FetchError::Stopped)));
    let before = server.requests().len();
    let fetched = bench.fetch(source).unwrap();
    assert_eq!(bench.elsewhere(), None);
    assert_eq!(fetched.file.convolutions.len(), 13);
    assert_eq!(fetched.file.convolutions[0].weight[..9], KNOWN);
    assert_eq!(fetched.about.source, server.url("/mirror.safetensors"));
    assert_eq!(fetched.about.source_sha256, None);

    let convolutions = size - 4_000_000;
    let requests = server.requests();
    assert!(
        requests
            .iter()
            .all(|request| request.path == "/mirror.safetensors")
    );
    assert!(
        requests[1..before]
            .iter()
            .chain(&requests[before + 1..])
            .all(|request| {
                let end = format!("-{}", convolutions - 1);
                request.if_range.as_deref() == Some("\"1\"")
                    && request
                        .range
                        .as_ref()
                        .is_some_and(|range| range.ends_with(&end))
            })
    );
    let resumed = requests[before + 1].range.as_deref().unwrap();
    let first: usize = resumed["bytes=".len()..resumed.find('-').unwrap()]
        .parse()
        .unwrap();
    assert!(first > 40_000_000, "{first}");

    fetched.install(&bench.networks, &[1.0; 13]).unwrap();
    assert_eq!(bench.files(), ["mine.safetensors"]);
    assert_eq!(bench.networks.verify("mine").unwrap().layers, 13);
}

#[test]
fn an_odd_mirror_is_left_for_the_official_file() {
    let official = small();
    let digest = hex(&official);
    let other = weights(&[("features.0", 64)], &[0.5; 9], 1000);
    let short = weights(&[("features.0", 64)], &KNOWN, 1000);
    let page = b"<!doctype html> Please log in".to_vec();
    let cut = small()[..small().len() - 1].to_vec();
    let fine = Behaviour::Fine;
    let gone = Behaviour::Status(404, "");
    for (bytes, behaviours, words) in [
        (&short, &[gone][..], "404 Not Found"),
        (&short, &[Behaviour::NoRanges], "no parts of files"),
        (&short, &[Behaviour::OtherRange], "no parts of files"),
        (&short, &[Behaviour::NoVersion], "which version"),
        (&short, &[fine, Behaviour::NoRanges], "has changed"),
        (&short, &[fine, Behaviour::OtherSize], "has changed"),
        (&short, &[fine, Behaviour::OtherVersion], "has changed"),
        (&short, &[fine, Behaviour::OtherRange], "other ranges"),
        (&short, &[Behaviour::Close; 3], "3 times in a row"),
        (&short, &[Behaviour::Compressed], "compresses"),
        (&short, &[], "another network"),
        (&other, &[], "not those of the published network"),
        (&page, &[], "none of the known formats"),
        (&cut, &[], "cut short or damaged"),
    ] {
        let server = Server::new(Remote::new(bytes.clone()), behaviours);
        server.also("/official.pth", Remote::new(official.clone()));
        let mut bench = Bench::new();
        let fetched = bench
            .fetch(offer(&server.url(""), &digest[..8], true))
            .unwrap();
        assert_eq!(fetched.about.source, server.url("/official.pth"), "{words}");
        assert_eq!(fetched.file.sha256, digest, "{words}");
        let reason = bench.elsewhere().unwrap();
        assert!(reason.contains(words), "{words}: {reason}");
    }
}
