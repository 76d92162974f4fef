//! The built binary painting: how far it gets, what it tells on the way, and
//! what it leaves behind when it is stopped or goes wrong.

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use impasto_core::picture;
use serde_json::Value;

use common::{CONTENT, IMPASTO, STYLE};

/// The settings of the oracle's descent.
const DESCENT: [&str; 8] = [
    "--set",
    "style.weight=100",
    "--set",
    "smoothness.weight=100",
    "--set",
    "schedule=[{size: 96, iterations: 60}]",
    "--set",
    "pooling=max",
];
/// A few iterations of a tiny picture.
const TINY: [&str; 2] = ["--set", "schedule=[{size: 48, iterations: 4}]"];
/// More iterations than any test waits for.
const ENDLESS: [&str; 2] = ["--set", "schedule=[{size: 48, iterations: 1000000}]"];

/// `impasto run` on the bundled pictures, on the CPU, in `folder`.
fn run(folder: &Path, extra: &[&[&str]]) -> Command {
    let mut command = Command::new(IMPASTO);
    let extra = extra.concat();
    let output: &[&str] = if extra.contains(&"-o") {
        &[]
    } else {
        &["-o", "out.png"]
    };
    command
        .args(["run", CONTENT, STYLE, "--device", "cpu", "--headless"])
        .args(output)
        .args(extra)
        .current_dir(folder)
        .env("XDG_CONFIG_HOME", folder.join("config"))
        .env("XDG_DATA_HOME", folder.join("data"))
        .env("TMPDIR", folder)
        // Tests share the cores; waiting for one another would cost more.
        .env("OMP_NUM_THREADS", "1");
    command
}

#[track_caller]
fn output(command: &mut Command) -> Output {
    command.output().expect("the binary starts")
}

#[track_caller]
fn succeed(command: &mut Command) -> Vec<Value> {
    let output = output(command);
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
    let text = String::from_utf8(output.stdout).expect("events are text");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("events are JSON"))
        .collect()
}

fn kinds<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events
        .iter()
        .filter(|event| event["event"] == kind)
        .collect()
}

fn totals(events: &[Value]) -> Vec<f64> {
    kinds(events, "step")
        .iter()
        .map(|step| step["total"].as_f64().expect("a total"))
        .collect()
}

fn lowest(totals: &[f64]) -> f64 {
    totals.iter().copied().fold(f64::INFINITY, f64::min)
}

fn descent() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/descent.json");
    serde_json::from_str(&fs::read_to_string(path).expect("descent.json")).expect("JSON")
}

fn pixels(path: &Path) -> Vec<u8> {
    picture::load(path)
        .expect("a picture was saved")
        .picture
        .to_rgb8()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Waits until the run has told of its `count`th step.
fn wait_for_steps(child: &mut Child, count: usize) {
    let lines = BufReader::new(child.stdout.take().expect("stdout is a pipe")).lines();
    let steps = lines
        .map_while(Result::ok)
        .filter(|line| line.contains("\"event\":\"step\""));
    assert_eq!(steps.take(count).count(), count, "the run ended early");
}

/// Sends a signal to the run. (The shell's own `kill`: the program of that name
/// is not on every machine.)
fn send(signal: &str, child: &Child) {
    let kill = format!("kill -s {signal} {}", child.id());
    let status = Command::new("bash").args(["-c", &kill]).status();
    assert!(status.expect("bash runs").success());
}

#[test]
fn it_falls_as_far_as_the_oracle() {
    let folder = folder();
    let oracle = descent();
    let events = succeed(&mut run(folder.path(), &[&DESCENT, &["--events", "-"]]));
    let totals = totals(&events);
    assert_eq!(totals.len(), 60);

    // Both start from the same picture; only the resizing is another program's.
    let start = oracle["start"]["total"]
        .as_f64()
        .expect("the oracle's start");
    assert!(
        (totals[0] / start - 1.0).abs() < 0.02,
        "{} against {start}",
        totals[0]
    );
    let reference = oracle["lbfgs"]["lowest_total"]
        .as_f64()
        .expect("the oracle's end");
    let reached = lowest(&totals);
    assert!(
        reached < 1.05 * reference,
        "{reached} against the oracle's {reference}"
    );

    let started = &events[0];
    assert_eq!(started["event"], "started");
    assert_eq!(started["device"], "cpu");
    assert_eq!(started["sizes"][0]["width"], 96);
    assert_eq!(started["job"]["content"]["file"], "china.jpg");
    for (index, step) in kinds(&events, "step").iter().enumerate() {
        assert_eq!(step["iteration"], index + 1);
        assert_eq!(
            (&step["scale"], &step["width"], &step["height"]),
            (&1.into(), &96.into(), &64.into())
        );
        let part = |name: &str| step[name].as_f64().expect("a loss");
        let sum = part("content") + part("style") + part("smoothness");
        assert!((sum / part("total") - 1.0).abs() < 1e-9);
    }
    let finished = events.last().expect("events");
    assert_eq!(finished["event"], "finished");
    assert_eq!(
        (&finished["output"], &finished["iterations"]),
        (&"out.png".into(), &60.into())
    );

    // The saved picture is the best one: measured again, it has that total, but
    // for the rounding to 8 bits, which the shallow style layers see.
    let resized = folder.path().join("content.png");
    let content = picture::load(Path::new(CONTENT))
        .expect("the photograph")
        .picture;
    picture::save(&content.resized(96, 64), &resized, None).expect("saved");
    let measured = output(
        Command::new(IMPASTO)
            .args(["measure", "out.png", "content.png", STYLE, "--json"])
            .args(&DESCENT[..4])
            .current_dir(folder.path()),
    );
    let measured: Value = serde_json::from_slice(&measured.stdout).expect("JSON");
    let total = measured["total"].as_f64().expect("a total");
    assert!(
        (total / reached - 1.0).abs() < 0.2,
        "measured {total}, painted {reached}"
    );
    assert_eq!(
        measured["style"].as_object().map(serde_json::Map::len),
        Some(5)
    );
}

#[test]
fn adam_falls_as_the_oracle_does() {
    let folder = folder();
    let adam = ["--set", "optimizer=adam", "--events", "-"];
    let totals = totals(&succeed(&mut run(folder.path(), &[&DESCENT, &adam])));
    let oracle = descent();
    for (index, expected) in oracle["adam"]["totals"]
        .as_array()
        .expect("totals")
        .iter()
        .enumerate()
    {
        let expected = expected.as_f64().expect("a total");
        let off = (totals[index] / expected - 1.0).abs();
        assert!(
            off < 0.05,
            "evaluation {index}: {} against {expected}",
            totals[index]
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_picture() {
    let folder = folder();
    let paint = |seed: &str| {
        let noise = ["--set", "start=noise", "--seed", seed];
        succeed(&mut run(folder.path(), &[&TINY, &noise]));
        pixels(&folder.path().join("out.png"))
    };
    let first = paint("1");
    assert_eq!(first, paint("1"));
    assert_ne!(first, paint("2"));
}

#[test]
fn a_recipe_paints_the_same_picture_again() {
    let folder = folder();
    let noise = [
        "--set",
        "start=noise",
        "--seed",
        "5",
        "--set",
        "style.layers.relu3_1=0.5",
    ];
    succeed(&mut run(folder.path(), &[&TINY, &noise]));
    let first = folder.path().join("first.png");
    fs::rename(folder.path().join("out.png"), &first).expect("renamed");
    succeed(&mut run(folder.path(), &[&["--recipe", "first.png"]]));
    assert_eq!(pixels(&first), pixels(&folder.path().join("out.png")));

    let recipe: Value =
        serde_json::from_str(&picture::read_recipe(&first).expect("a recipe")).expect("JSON");
    assert_eq!(recipe["preset"]["seed"], 5);
    assert_eq!(recipe["preset"]["style"]["layers"]["relu3_1"], 0.5);
    assert_eq!(recipe["style"]["file"], "night.jpg");
}

#[test]
fn every_start_works() {
    let folder = folder();
    for start in ["content", "noise", "style", STYLE] {
        let start = format!("start={start}");
        let events = succeed(&mut run(
            folder.path(),
            &[&TINY, &["--set", &start, "--events", "-"]],
        ));
        let totals = totals(&events);
        assert!(lowest(&totals) < totals[0], "{start}: {totals:?}");
    }
}

#[test]
fn scales_follow_one_another() {
    let folder = folder();
    let schedule = "schedule=[{size: 32, iterations: 3}, {size: 64, iterations: 2}]";
    let events = succeed(&mut run(
        folder.path(),
        &[&["--set", schedule, "--events", "-"]],
    ));
    let widths: Vec<_> = kinds(&events, "step")
        .iter()
        .map(|step| step["width"].clone())
        .collect();
    assert_eq!(widths, [32, 32, 32, 64, 64]);
    let saved = picture::load(&folder.path().join("out.png"))
        .expect("a picture")
        .picture;
    assert_eq!(saved.size(), (64, 43));
}

#[test]
fn any_terms_may_be_left_out() {
    let folder = folder();
    for settings in [
        ["content.layers={}", "style.weight=1"],
        ["style.layers={}", "content.weight=1"],
        ["content.weight=0", "style.weight=0"],
        ["content.layers={}", "style.layers={}"],
        [
            "content.layers={relu1_2: 1, relu5_3: 0}",
            "style.layers={relu4_3: 0.5}",
        ],
    ] {
        let settings = ["--set", settings[0], "--set", settings[1]];
        succeed(&mut run(folder.path(), &[&TINY, &settings]));
        fs::remove_file(folder.path().join("out.png")).expect("a picture was saved");
    }
}

#[test]
fn signals_stop_and_save() {
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let folder = folder();
        let flags = ["--events", "-", "--on-hangup", "stop"];
        let mut child = run(folder.path(), &[&ENDLESS, &flags])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        wait_for_steps(&mut child, 3);
        send(signal, &child);
        assert_eq!(
            child.wait().expect("an end").code(),
            Some(code),
            "SIG{signal}"
        );
        assert!(!pixels(&folder.path().join("out.png")).is_empty());
    }
}

#[test]
fn a_hangup_is_no_reason_to_stop() {
    let folder = folder();
    let mut child = run(folder.path(), &[&ENDLESS, &["--events", "-"]])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    wait_for_steps(&mut child, 3);
    send("HUP", &child);
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(child.try_wait().expect("a child").is_none());
    send("TERM", &child);
    assert_eq!(child.wait().expect("an end").code(), Some(143));
    assert!(!pixels(&folder.path().join("out.png")).is_empty());
}

#[test]
fn a_reader_of_events_that_leaves_does_not_end_the_run() {
    let folder = folder();
    let mut child = run(
        folder.path(),
        &[&TINY, &["--iterations", "30", "--events", "-"]],
    )
    .stdout(Stdio::piped())
    .stderr(Stdio::null())
    .spawn()
    .expect("the binary starts");
    wait_for_steps(&mut child, 1);
    assert!(child.wait().expect("an end").success());
    assert!(!pixels(&folder.path().join("out.png")).is_empty());
}

#[test]
fn losses_that_overflow_end_the_run_with_the_picture_saved() {
    let folder = folder();
    let huge = [
        "--set",
        "style.weight=1e30",
        "--set",
        "style.layers={relu1_1: 1e30}",
    ];
    let output = output(&mut run(
        folder.path(),
        &[&ENDLESS, &huge, &["--events", "-"]],
    ));
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(
        words.contains("infinite or not a number 3 times"),
        "{words}"
    );
    let events = String::from_utf8(output.stdout).expect("text");
    let last: Value = serde_json::from_str(events.lines().last().expect("events")).expect("JSON");
    assert_eq!(
        (&last["event"], &last["output"]),
        (&"failed".into(), &"out.png".into())
    );
    assert!(!pixels(&folder.path().join("out.png")).is_empty());
}

#[test]
fn a_picture_that_cannot_be_saved_in_its_place_is_kept_with_the_run() {
    let folder = folder();
    let place = folder.path().join("place");
    fs::create_dir(&place).expect("a folder");
    let mut child = run(
        folder.path(),
        &[&ENDLESS, &["-o", "place/a.png", "--events", "-"]],
    )
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .expect("the binary starts");
    wait_for_steps(&mut child, 2);
    fs::remove_dir_all(&place).expect("the folder goes");
    send("INT", &child);
    let output = child.wait_with_output().expect("an end");
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("place/a.png"), "{words}");
    let runs = fs::read_dir(folder.path().join("data/impasto/runs")).expect("the runs");
    let run = runs.last().expect("a run").expect("an entry").path();
    let rescued = run.join("result.png");
    assert!(words.contains(&*rescued.to_string_lossy()), "{words}");
    assert!(!pixels(&rescued).is_empty());
}

#[test]
fn without_an_output_the_name_is_made_from_the_pictures() {
    let folder = folder();
    for name in ["china-night.png", "china-night-2.png"] {
        let mut command = Command::new(IMPASTO);
        command
            .args(["run", CONTENT, STYLE, "--device", "cpu"])
            .args(TINY);
        let status = command
            .env("XDG_DATA_HOME", folder.path().join("data"))
            .current_dir(folder.path())
            .stderr(Stdio::null())
            .status();
        assert!(status.expect("the binary starts").success());
        assert!(folder.path().join(name).exists(), "{name}");
    }
}

/// The total of the finished picture, measured in float32.
fn measured(folder: &Path, precision: &str) -> f64 {
    let output = format!("{precision}.png");
    let painting = [&DESCENT[..], &["--precision", precision, "-o", &output]];
    succeed(&mut run(folder, &painting));
    let arguments = [
        "measure", &output, CONTENT, STYLE, "--device", "cpu", "--json",
    ];
    let mut measure = Command::new(IMPASTO);
    let losses = succeed(
        measure
            .args(arguments)
            .args(&DESCENT[..4])
            .current_dir(folder)
            .env("XDG_CONFIG_HOME", folder.join("config")),
    );
    losses[0]["total"].as_f64().expect("a total")
}

#[test]
fn bfloat16_ends_where_float32_ends() {
    if !impasto_engine::precision::cpu_has_bfloat16() {
        eprintln!("skipped: this CPU has no instructions for bfloat16");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let exact = measured(folder.path(), "float32");
    let rounded = measured(folder.path(), "bfloat16");
    // After so few iterations the two are still on their ways down, which
    // part: one percent at the end of a run, more here.
    let off = (rounded - exact).abs() / exact;
    assert!(off < 0.05, "{rounded} in bfloat16, {exact} in float32");
}

/// Whatever is told at the end of a run is the loss of the picture that it saved,
/// and no step that the optimizer took back counts as an iteration's loss.
#[test]
fn the_last_losses_are_those_of_the_saved_picture() {
    for optimizer in ["optimizer=lbfgs", "optimizer=adam"] {
        for iterations in [3, 4, 12] {
            let folder = folder();
            let schedule = format!("schedule=[{{size: 64, iterations: {iterations}}}]");
            let settings = ["--set", optimizer, "--set", &schedule, "--run-dir", "run"];
            let output = output(&mut run(
                folder.path(),
                &[&settings, &["--events", "e.json"]],
            ));
            let words = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{words}");
            let events = fs::read_to_string(folder.path().join("e.json")).expect("events");
            let events: Vec<Value> = events
                .lines()
                .map(|line| serde_json::from_str(line).expect("JSON"))
                .collect();
            let totals = totals(&events);
            let saved = kinds(&events, "finished")[0]["saved"]["total"]
                .as_f64()
                .expect("a total");
            assert!((saved / lowest(&totals) - 1.0).abs() < 1e-5);
            if optimizer == "optimizer=lbfgs" {
                let rises = totals.windows(2).any(|pair| pair[1] > pair[0] * 1.00001);
                assert!(!rises, "{totals:?}");
                assert!((saved / totals[totals.len() - 1] - 1.0).abs() < 1e-5);
            }
            let told = words.split(", ").last().expect("words");
            let told: f64 = told
                .split(' ')
                .next()
                .expect("a word")
                .parse()
                .expect("a number");
            assert!((told / saved - 1.0).abs() < 1e-3, "{words}");
            let state = fs::read_to_string(folder.path().join("run/state.json")).expect("state");
            let state: Value = serde_json::from_str(&state).expect("JSON");
            assert_eq!(state["losses"]["total"].as_f64(), Some(saved));

            let mut measure = Command::new(IMPASTO);
            let arguments = [
                "measure", "out.png", CONTENT, STYLE, "--device", "cpu", "--json",
            ];
            let measured = succeed(
                measure
                    .args(arguments)
                    .current_dir(folder.path())
                    .env("XDG_CONFIG_HOME", folder.path().join("config")),
            );
            // A saved picture has 8 bits a channel.
            let measured = measured[0]["total"].as_f64().expect("a total");
            assert!(
                (measured / saved - 1.0).abs() < 0.01,
                "{measured}, not {saved}"
            );
        }
    }
}
