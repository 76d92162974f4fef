//! Exit codes: 2 for what was asked for wrongly, as the README says.

use std::fs;
use std::path::Path;

use super::Scene;

/// The bundled network with nothing but zeros in it.
fn zeros(scene: &Scene) -> String {
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("weights/vgg16.safetensors");
    let mut bytes = fs::read(bundled).expect("the network");
    let header = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
    bytes[8 + header..].fill(0);
    fs::write(scene.path("zeros.safetensors"), bytes).expect("a file");
    "zeros.safetensors".to_owned()
}

#[test]
fn what_was_asked_for_wrongly_ends_with_2() {
    let scene = Scene::new();
    fs::write(scene.path("rubbish.pth"), "rubbish").expect("a file");
    let networks = scene.path("data/impasto/networks");
    fs::create_dir_all(&networks).expect("a folder");
    fs::write(networks.join("damaged.safetensors"), "rubbish").expect("a file");
    let zeros = zeros(&scene);
    let paint = [
        "run",
        "china.jpg",
        "night.jpg",
        "--headless",
        "-o",
        "out/picture.png",
    ];
    let measure = ["measure", "china.jpg", "china.jpg", "night.jpg"];
    for (command, flags) in [
        (&paint[..], &["--device", "cuda:63"][..]),
        (&paint, &["--device", "cpu", "--precision", "tf32"]),
        (&paint, &["--network", "damaged"]),
        (&measure, &["--network", "damaged"]),
        (&measure, &["--device", "cuda:63"]),
        (&["bench", "--sizes", "16"], &["--device", "cuda:63"]),
        (&["fit"], &["--device", "cuda:63"]),
        (
            &["weights", "import"],
            &[&zeros, "--convention", "bgr-minus-mean"],
        ),
        (&["weights", "import"], &["rubbish.pth"]),
        (&["weights", "fetch", "mine", "--from"], &["rubbish.pth"]),
        (
            &["weights", "fetch", "mine", "--from"],
            &["no-such-file.pth"],
        ),
        (&["weights", "fetch", "mine", "--from"], &[&zeros]),
        (&["weights", "verify"], &["damaged"]),
    ] {
        let arguments = [command, flags].concat();
        let (code, said) = scene.told(&arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {said}");
        let last = said.lines().last().unwrap_or_default();
        assert!(last.starts_with("impasto: "), "{arguments:?}: {said}");
    }
}
