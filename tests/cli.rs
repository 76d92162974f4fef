//! The built binary, as a user meets it: what it prints, what it refuses, and
//! with which exit code.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{CONTENT, IMPASTO, STYLE};

/// Runs impasto in `folder`, with a configuration folder of its own there.
fn impasto(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(IMPASTO)
        .args(arguments)
        .current_dir(folder)
        .env("XDG_CONFIG_HOME", folder.join("config"))
        .env("XDG_DATA_HOME", folder.join("data"))
        .output()
        .expect("the binary starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("stdout is text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("stderr is text")
}

/// Asserts exit code 2 and every piece of text in the one message.
#[track_caller]
fn assert_refused(folder: &Path, arguments: &[&str], pieces: &[&str]) {
    let output = impasto(folder, arguments);
    let words = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {words}");
    for piece in pieces {
        assert!(
            words.contains(piece),
            "{arguments:?}: no {piece:?} in: {words}"
        );
    }
    assert!(
        !words.contains('\u{1b}'),
        "{arguments:?} echoes an escape sequence: {words:?}"
    );
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).expect("the test's file is written");
    path
}

#[test]
fn help_names_every_command_and_the_exit_codes() {
    let folder = folder();
    let output = impasto(folder.path(), &["--help"]);
    let words = stdout(&output);
    assert!(output.status.success());
    for word in [
        "run",
        "demo",
        "show",
        "presets",
        "measure",
        "doctor",
        "completions",
        "man",
        "130",
    ] {
        assert!(words.contains(word), "no {word} in: {words}");
    }
    for command in [
        "run",
        "demo",
        "show",
        "presets",
        "measure",
        "completions",
        "man",
    ] {
        let words = stdout(&impasto(folder.path(), &[command, "--help"]));
        assert!(
            words.contains("Example"),
            "{command} has no example: {words}"
        );
    }
}

#[test]
fn completions_and_the_manual_are_generated() {
    let folder = folder();
    for shell in ["bash", "zsh", "fish"] {
        let script = stdout(&impasto(folder.path(), &["completions", shell]));
        assert!(script.contains("impasto"), "{shell}");
    }
    assert!(stdout(&impasto(folder.path(), &["man"])).contains(".TH impasto"));
    let page = stdout(&impasto(folder.path(), &["man", "run"]));
    assert!(page.contains("\\-\\-size"), "{page}");
    assert_refused(
        folder.path(),
        &["man", "fly"],
        &["there is no command of that name"],
    );
}

#[test]
fn wrong_usage_is_refused() {
    let folder = folder();
    let run = |extra: &[&'static str]| {
        let mut arguments = vec!["run", CONTENT, STYLE];
        arguments.extend(extra);
        arguments
    };
    let folder = folder.path();
    assert_refused(folder, &["fly"], &["fly"]);
    assert_refused(folder, &["run", CONTENT], &["STYLE"]);
    assert_refused(folder, &run(&["--size", "0"]), &["--size"]);
    assert_refused(folder, &run(&["--size", "-5"]), &[]);
    assert_refused(folder, &run(&["--size", "100000"]), &["16384"]);
    assert_refused(folder, &run(&["--iterations", "0"]), &["--iterations"]);
    assert_refused(
        folder,
        &run(&["--device", "tpu"]),
        &["auto, cpu, cuda or cuda:N"],
    );
    assert_refused(folder, &run(&["--preset", "boldd"]), &["boldd", "bold"]);
    assert_refused(
        folder,
        &run(&["--set", "style.wieght=3"]),
        &["wieght", "weight"],
    );
    assert_refused(
        folder,
        &run(&["--set", "style.layers.relu4_9=3"]),
        &["relu4_9", "relu4_3"],
    );
    assert_refused(folder, &run(&["--set", "nonsense"]), &["nonsense"]);
    assert_refused(folder, &run(&["-o", "result.gif"]), &["result.gif", "png"]);
    assert_refused(
        folder,
        &run(&["-o", "no/such/folder/a.png"]),
        &["no/such/folder"],
    );
    assert_refused(
        folder,
        &run(&["--events", "no/such/folder/e"]),
        &["no/such/folder/e"],
    );
    assert_refused(folder, &run(&["--recipe", CONTENT]), &["china.jpg"]);
}

#[test]
fn wrong_pictures_are_refused() {
    let folder = folder();
    let folder = folder.path();
    let photo = fs::read(CONTENT).expect("the bundled photograph");
    write(folder, "empty.jpg", b"");
    write(folder, "words.jpg", b"this is no picture at all");
    write(folder, "cut.jpg", &photo[..photo.len() / 2]);
    write(folder, "evil\u{1b}[31m.jpg", b"no picture");
    fs::create_dir(folder.join("folder.jpg")).expect("a folder");
    let mut thin = Vec::new();
    image::RgbImage::new(600, 4)
        .write_to(
            &mut std::io::Cursor::new(&mut thin),
            image::ImageFormat::Png,
        )
        .expect("a thin picture");
    write(folder, "thin.png", &thin);
    for (name, piece) in [
        ("missing.jpg", "missing.jpg"),
        ("empty.jpg", "empty"),
        ("words.jpg", "words.jpg"),
        ("cut.jpg", "cut.jpg"),
        ("folder.jpg", "folder"),
        ("evil\u{1b}[31m.jpg", "evil"),
        ("thin.png", "pixels"),
        ("/dev/null", "/dev/null"),
    ] {
        assert_refused(folder, &["run", name, STYLE, "-o", "a.png"], &[piece]);
        assert_refused(folder, &["run", CONTENT, name, "-o", "a.png"], &[piece]);
        if name != "thin.png" {
            assert_refused(folder, &["show", name], &[piece]);
        }
    }
    assert!(!folder.join("a.png").exists());

    let mut tiny = Vec::new();
    image::RgbImage::new(3, 3)
        .write_to(
            &mut std::io::Cursor::new(&mut tiny),
            image::ImageFormat::Png,
        )
        .expect("a tiny picture");
    write(folder, "tiny.png", &tiny);
    assert_refused(
        folder,
        &["measure", "tiny.png", CONTENT, STYLE],
        &["3×3", "at least 16"],
    );
}

#[test]
fn presets_are_listed_shown_and_checked() {
    let folder = folder();
    let folder = folder.path();
    let own = folder.join("config/impasto/presets");
    fs::create_dir_all(&own).expect("a preset folder");
    write(&own, "mine.yaml", b"description: One of my own.\nseed: 7\n");
    write(&own, "bold.yaml", b"description: Bolder than bold.\n");
    write(&own, "torn.yaml", b"style:\n  layers:\n    relu4_9: 1\n");

    let list = stdout(&impasto(folder, &["presets", "list"]));
    for name in [
        "default",
        "gatys",
        "neural-style",
        "quick",
        "texture",
        "mine",
    ] {
        assert!(
            list.lines().any(|line| line.starts_with(name)),
            "no {name} in: {list}"
        );
    }
    assert!(
        list.contains("Bolder than bold."),
        "one's own preset comes first: {list}"
    );
    assert!(
        list.contains("torn.yaml:3:5"),
        "a broken preset is listed: {list}"
    );

    let path = stdout(&impasto(folder, &["presets", "path"]));
    assert_eq!(Path::new(path.trim()), own);

    let shown = stdout(&impasto(folder, &["presets", "show", "gatys"]));
    assert!(shown.contains("# "), "comments are shown: {shown}");
    assert!(
        impasto(folder, &["presets", "check", "gatys", "mine"])
            .status
            .success()
    );
    assert_refused(
        folder,
        &[
            "presets",
            "check",
            "mine",
            "config/impasto/presets/torn.yaml",
        ],
        &["torn.yaml:3:5", "relu4_9", "relu4_3", "^"],
    );
}

#[test]
fn every_broken_preset_file_is_refused_with_its_place() {
    let folder = folder();
    let broken = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/presets");
    let mut count = 0;
    for entry in fs::read_dir(broken).expect("tests/presets") {
        let path = entry.expect("an entry").path();
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            let path = path.to_str().expect("a name in UTF-8");
            assert_refused(folder.path(), &["presets", "check", path], &[".yaml:"]);
            count += 1;
        }
    }
    assert!(count >= 40, "only {count} files");
}

#[test]
fn doctor_reports_what_is_here() {
    let folder = folder();
    let output = impasto(folder.path(), &["doctor"]);
    let words = stdout(&output);
    for word in [
        "libtorch  2.11",
        "cpu",
        "memory",
        "cuda",
        "vgg16",
        "terminal",
        "presets",
    ] {
        assert!(words.contains(word), "no {word} in: {words}");
    }
    assert!(output.status.success(), "{words}");
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let folder = folder();
    let binary = IMPASTO;
    let script = format!("set -o pipefail; '{binary}' completions bash | head -c 1 >/dev/null");
    let status = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder.path())
        .status();
    assert!(status.expect("bash runs").success());
}

#[test]
fn a_network_is_imported_and_sees_as_the_built_in_one_does() {
    let folder = folder();
    let weights = concat!(env!("CARGO_MANIFEST_DIR"), "/weights/vgg16.safetensors");
    let done = impasto(
        folder.path(),
        &["weights", "import", weights, "--name", "mine"],
    );
    assert!(done.status.success(), "{}", stderr(&done));
    let list = stdout(&impasto(folder.path(), &["weights", "list"]));
    for words in [
        "vgg16",
        "built in",
        "mine",
        "installed",
        "vgg19",
        "can be fetched",
    ] {
        assert!(list.contains(words), "no {words} in:\n{list}");
    }
    let verified = stdout(&impasto(folder.path(), &["weights", "verify"]));
    assert!(verified.contains("mine: good (13 layers"), "{verified}");
    assert!(stdout(&impasto(folder.path(), &["doctor"])).contains("mine, installed"));

    // The same weights by another name give the same losses.
    let total = |network: &str| -> f64 {
        let setting = format!("network={network}");
        let arguments = [
            "measure", CONTENT, CONTENT, STYLE, "--json", "--set", &setting,
        ];
        let output = impasto(folder.path(), &arguments);
        let json: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("JSON");
        json["total"].as_f64().expect("a total")
    };
    let (mine, built_in) = (total("mine"), total("vgg16"));
    assert!((mine / built_in - 1.0).abs() < 1e-3, "{mine}, {built_in}");

    // What is there is not replaced by accident.
    assert_refused(
        folder.path(),
        &["weights", "import", weights, "--name", "mine"],
        &["mine", "--replace"],
    );
    let file = folder.path().join("data/impasto/networks/mine.safetensors");
    let mut bytes = fs::read(&file).expect("the network");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).expect("to spoil it");
    assert_refused(folder.path(), &["weights", "verify"], &["mine.safetensors"]);
}

#[test]
fn networks_that_are_not_there_are_reported_with_how_to_get_them() {
    let folder = folder();
    let run = |network: &str| ["run", CONTENT, STYLE, "--set", network].map(str::to_owned);
    for (network, piece) in [
        ("network=vgg19", "impasto weights fetch vgg19"),
        ("network=mine", "impasto weights import"),
        ("network=a/b", "no name of a network"),
    ] {
        let arguments = run(network);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        assert_refused(folder.path(), &arguments, &[piece]);
    }
    assert_refused(
        folder.path(),
        &["weights", "import", CONTENT, "--name", "mine"],
        &["china.jpg"],
    );
    assert_refused(folder.path(), &["weights", "fetch", "nosuch"], &["vgg19"]);
    assert_refused(
        folder.path(),
        &["weights", "import", CONTENT, "--name", "../mine"],
        &["cannot be a network's name"],
    );
}

#[test]
fn bench_reports_what_an_iteration_takes_and_fit_what_it_will() {
    let folder = folder();
    let arguments = [
        "bench",
        "--sizes",
        "96,128",
        "--iterations",
        "1",
        "--device",
        "cpu",
        "--json",
    ];
    let output = impasto(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let timings: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    let timings = timings.as_array().expect("an array");
    assert_eq!(timings.len(), 2);
    for (timing, size) in timings.iter().zip([96, 128]) {
        assert_eq!(timing["size"], size);
        assert_eq!(timing["device"], "cpu");
        assert!(timing["precision"].is_string());
        for number in [
            "seconds_per_iteration",
            "flops_per_second",
            "startup_seconds",
            "targets_seconds",
            "preview_seconds",
        ] {
            assert!(
                timing[number].as_f64().is_some_and(|it| it > 0.0),
                "{number}"
            );
        }
    }

    let arguments = [
        "fit",
        CONTENT,
        "--sizes",
        "128,4096",
        "--memory",
        "12",
        "--device",
        "cpu",
        "--json",
        "--precision",
        "float32",
    ];
    let output = impasto(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let answer: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    assert_eq!(answer["free_bytes"], 12_000_000_000_u64);
    let [small, large] = &answer["sizes"].as_array().expect("sizes")[..] else {
        panic!("two sizes, in {answer}");
    };
    assert!(small["fits"] == true && small["tile"].is_null());
    assert!(large["tile"].is_number(), "{large}");
    // What was computed beforehand is about what was used.
    let (computed, used) = (
        small["bytes"].as_f64(),
        timings[1]["peak_memory_bytes"].as_f64(),
    );
    if let (Some(computed), Some(used)) = (computed, used) {
        assert!(
            (0.5..2.0).contains(&(computed / used)),
            "{computed} and {used}"
        );
    }
}

#[test]
fn what_cannot_fit_is_refused_before_it_begins() {
    let folder = folder();
    assert_refused(
        folder.path(),
        &["fit", "--memory", "nothing"],
        &["a number of gigabytes"],
    );
    assert_refused(
        folder.path(),
        &["run", CONTENT, STYLE, "--precision", "float64"],
        &["auto, float32, tf32, bfloat16"],
    );
}

#[test]
fn an_imported_command_line_paints_by_the_line_in_its_preset() {
    let folder = folder();
    let folder = folder.path();
    for (from, to) in [
        (CONTENT, "my photo.jpg"),
        (STYLE, "a.jpg"),
        (STYLE, "b.jpg"),
    ] {
        fs::copy(from, folder.join(to)).unwrap();
    }
    let line = "python3 neural_style.py -content_image 'my photo.jpg' -style_image a.jpg,b.jpg \
                -style_blend_weights 1,3 -output_image painted.png -image_size 48 \
                -num_iterations 2 -tv_weight 0 -model_file vgg16-00b39a1b.pth -gpu c";
    let printed = impasto(folder, &["import-flags", line]);
    assert!(printed.status.success(), "{}", stderr(&printed));
    assert!(stderr(&printed).contains("note: `-gpu` is no setting of a preset"));
    let shell = |line: &str| {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", line])
            .current_dir(folder)
            .env("XDG_CONFIG_HOME", folder.join("config"))
            .env("XDG_DATA_HOME", folder.join("data"));
        shell.output().expect("a shell starts")
    };
    let split = shell(&format!("{IMPASTO} import-flags -- {line}"));
    assert_eq!(stdout(&split), stdout(&printed));

    let saved = impasto(folder, &["import-flags", "-o", "soft.yaml", line]);
    assert!(saved.status.success(), "{}", stderr(&saved));
    let text = fs::read_to_string(folder.join("soft.yaml")).unwrap();
    let command = text
        .lines()
        .find_map(|line| line.strip_prefix("#   impasto "))
        .expect("the line that paints");
    assert_eq!(
        command,
        "run 'my photo.jpg' a.jpg b.jpg --preset soft.yaml -o painted.png"
    );
    let painted = shell(&format!("{IMPASTO} {command} --headless --device cpu"));
    assert!(painted.status.success(), "{}", stderr(&painted));
    let size = image::image_dimensions(folder.join("painted.png")).unwrap();
    assert_eq!(size.0.max(size.1), 48);

    assert_refused(
        folder,
        &["import-flags", "-o", "soft.yaml", "neural_style.py -seed 1"],
        &["soft.yaml is there already"],
    );
    assert_eq!(fs::read_to_string(folder.join("soft.yaml")).unwrap(), text);
    assert_refused(
        folder,
        &["import-flags", "neural_style.py -style_wieght 500"],
        &["no flag `-style_wieght`", "did you mean `-style_weight`?"],
    );
}
