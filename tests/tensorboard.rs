//! `impasto runs export --tensorboard`, read back with TensorBoard's own reader:
//!
//! ```sh
//! IMPASTO_TENSORBOARD_PYTHON=$(scripts/tensorboard.sh) cargo test --release --test tensorboard
//! ```

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use impasto_core::preset::Preset;
use serde_json::Value;

use common::{CONTENT, IMPASTO, STYLE, skip};

/// A Python that has TensorBoard.
const VARIABLE: &str = "IMPASTO_TENSORBOARD_PYTHON";
/// Prints all that is in the event file of a run, as JSON.
const READ: &str = r#"
import base64, json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

# 0: keep all of them.
events = EventAccumulator(sys.argv[1], {"scalars": 0, "images": 0, "tensors": 0})
events.Reload()
tags = events.Tags()
scalars = {tag: [[it.wall_time, it.step, it.value] for it in events.Scalars(tag)] for tag in tags["scalars"]}
images = {
    tag: [
        [it.wall_time, it.step, it.width, it.height, base64.b16encode(it.encoded_image_string).decode()]
        for it in events.Images(tag)
    ]
    for tag in tags["images"]
}
texts = {
    tag: [it.tensor_proto.string_val[0].decode() for it in events.Tensors(tag)]
    for tag in events.PluginTagToContent("text")
}
hparams = events.PluginTagToContent("hparams")
start = metadata.parse_session_start_info_plugin_data(hparams[metadata.SESSION_START_INFO_TAG])
end = metadata.parse_session_end_info_plugin_data(hparams[metadata.SESSION_END_INFO_TAG])
values = {}
for key, value in start.hparams.items():
    values[key] = getattr(value, value.WhichOneof("kind"))
print(json.dumps({
    "scalars": scalars, "images": images, "texts": texts,
    "hparams": values, "status": end.status, "version": events.file_version,
}))
"#;

fn impasto(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(IMPASTO);
    command
        .args(arguments)
        .current_dir(folder)
        .env("XDG_CONFIG_HOME", folder.join("config"))
        .env("XDG_DATA_HOME", folder.join("data"))
        .env("TMPDIR", folder)
        .env("OMP_NUM_THREADS", "1");
    command.output().expect("the binary starts")
}

/// What a command says that succeeds.
#[track_caller]
fn succeed(folder: &Path, arguments: &[&str]) -> String {
    let output = impasto(folder, arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}");
    said
}

/// Paints a few iterations of a tiny picture.
#[track_caller]
fn paint(folder: &Path, more: &[&str]) {
    let run = ["run", CONTENT, STYLE, "--headless", "--device", "cpu"];
    let schedule = "schedule=[{size: 32, iterations: 12}, {size: 48, iterations: 9}]";
    succeed(folder, &[&run[..], &["--set", schedule], more].concat());
}

/// The files in a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}

/// The points of every curve by its tag: time, iteration and loss.
type Scalars = BTreeMap<String, Vec<(f64, u64, f32)>>;

/// The curves that a run's `metrics.jsonl` holds.
fn expected(run: &Path) -> Scalars {
    let created = json(&run.join("run.json"))["created"].as_f64().unwrap();
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let mut scalars = Scalars::new();
    for line in text.lines() {
        let step: Value = serde_json::from_str(line).unwrap();
        let time = created + step["elapsed"].as_f64().unwrap();
        let iteration = step["iteration"].as_u64().unwrap();
        let mut add = |tag: String, loss: &Value| {
            let loss = loss.as_f64().unwrap() as f32;
            let points = scalars.entry(tag).or_default();
            points.push((time, iteration, loss));
        };
        for loss in ["total", "content", "style", "smoothness"] {
            add(format!("loss/{loss}"), &step[loss]);
        }
        for kind in ["content", "style"] {
            for (layer, loss) in step["layers"][kind].as_object().unwrap() {
                add(format!("{kind}/{layer}"), loss);
            }
        }
        if let Some(loss) = step["layers"].get("laplacian") {
            add("content/laplacian".to_owned(), loss);
        }
        if let Some(loss) = step.get("rejected_total") {
            add("rejected_total".to_owned(), loss);
        }
    }
    scalars
}

/// The curves that TensorBoard read.
fn scalars(read: &Value) -> Scalars {
    let tags = read["scalars"].as_object().unwrap();
    let points = |points: &Value| {
        let points = points.as_array().unwrap().iter();
        let point = |it: &Value| {
            let value = it[2].as_f64().unwrap();
            assert_eq!(value, f64::from(value as f32));
            (
                it[0].as_f64().unwrap(),
                it[1].as_u64().unwrap(),
                value as f32,
            )
        };
        points.map(point).collect()
    };
    tags.iter()
        .map(|(tag, all)| (tag.clone(), points(all)))
        .collect()
}

/// Compares what TensorBoard reads with what lies in the run's folder.
#[track_caller]
fn compare(read: &Value, run: &Path) {
    assert_eq!(read["version"], 2.0);
    let expected = expected(run);
    assert_eq!(expected["loss/total"].len(), 21);
    assert_eq!(scalars(read), expected);

    let state = json(&run.join("state.json"));
    let images = read["images"].as_object().unwrap();
    assert_eq!(images.keys().collect::<Vec<_>>(), ["picture"]);
    let [image] = images["picture"].as_array().unwrap().as_slice() else {
        panic!("several pictures");
    };
    assert_eq!(image[1], state["iteration"]);
    assert_eq!((&image[2], &image[3]), (&state["width"], &state["height"]));
    let png = fs::read(run.join("result.png")).unwrap();
    let png: String = png.iter().map(|byte| format!("{byte:02X}")).collect();
    assert!(image[4] == png, "the picture is not result.png");

    let recorded = &json(&run.join("run.json"))["preset"];
    let preset: Preset = serde_json::from_value(recorded.clone()).unwrap();
    let text = read["texts"]["preset"][0].as_str().unwrap();
    let yaml: String = text
        .lines()
        .map(|line| format!("{}\n", line.strip_prefix("    ").expect("a block of code")))
        .collect();
    assert_eq!(Preset::from_yaml(&yaml, "-").unwrap(), preset);

    let keys = &read["hparams"];
    assert_eq!(keys["style.weight"], recorded["style"]["weight"]);
    assert_eq!(keys["pooling"], recorded["pooling"]);
    assert_eq!(keys["normalize_gradients"], recorded["normalize_gradients"]);
    let schedule = keys["schedule"].as_str().unwrap();
    let schedule: Value = serde_json::from_str(schedule).unwrap();
    assert_eq!(schedule, recorded["schedule"]);
    // `STATUS_SUCCESS`.
    assert_eq!(read["status"], 1);
}

#[test]
fn tensorboard_reads_all_that_is_exported() {
    let Some(python) = std::env::var_os(VARIABLE) else {
        return skip(&format!(
            "{VARIABLE} does not name a Python that has TensorBoard; see scripts/tensorboard.sh"
        ));
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let edges = ["--set", "content.laplacian=1e4"];
    paint(
        folder,
        &[&["-o", "one.png", "--run-dir", "kept/one"][..], &edges].concat(),
    );
    paint(folder, &["-o", "two.png", "--set", "optimizer=adam"]);
    let said = succeed(
        folder,
        &["runs", "export", "kept/one", "--tensorboard", "curves"],
    );
    assert_eq!(
        said,
        "exported 1 run; to see them: tensorboard --logdir curves\n"
    );
    // Without a name it is the latest.
    succeed(folder, &["runs", "export", "--tensorboard", "curves"]);
    let [latest] = &files(&folder.join("data/impasto/runs"))[..] else {
        panic!("not one run");
    };
    for run in [&folder.join("kept/one"), latest] {
        let exported = folder.join("curves").join(run.file_name().unwrap());
        let output = Command::new(&python)
            .args(["-c", READ])
            .arg(&exported)
            .output()
            .expect("Python starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        compare(&serde_json::from_slice(&output.stdout).unwrap(), run);
    }
}

#[test]
fn a_run_has_one_event_file() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    paint(folder, &["-o", "one.png", "--run-dir", "kept/one"]);
    let export = ["runs", "export", "--tensorboard", "curves"];
    let both = [&export[..], &["./kept/one", "kept/../kept/one"]].concat();
    succeed(folder, &both);
    let [first] = &files(&folder.join("curves/one"))[..] else {
        panic!("not one file");
    };
    let bytes = fs::read(first).unwrap();
    fs::write(first, "an older export").unwrap();
    succeed(folder, &both);
    assert_eq!(files(&folder.join("curves/one")), [first.as_path()]);
    assert!(fs::read(first).unwrap() == bytes);

    paint(folder, &["-o", "two.png", "--run-dir", "other/one"]);
    fs::write(folder.join("file"), "").unwrap();
    for (arguments, words) in [
        (
            &["kept/one", "other/one", "--tensorboard", "new"][..],
            "of the same name",
        ),
        (&["kept/one", "--tensorboard", "file"], "file/one"),
        (&["kept/one"], "--tensorboard"),
        (&["kept", "--tensorboard", "new"], "no runs"),
    ] {
        let output = impasto(folder, &[&["runs", "export"], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
        assert!(!folder.join("new").exists(), "{arguments:?}");
    }
    // Begun in another second, or else its file has the same name and takes its place.
    let created = |run: &str| json(&folder.join(run).join("run.json"))["created"].clone();
    if created("kept/one") != created("other/one") {
        let output = impasto(folder, &[&export[..], &["other/one"]].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("something else"), "{said}");
        assert!(fs::read(first).unwrap() == bytes);
    }
}
