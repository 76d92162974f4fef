use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use impasto_core::job::{
    Compute, DeviceChoice, Job, Overrides, PictureFile, PrecisionChoice, Shortage,
};
use impasto_core::picture::{self, Picture};
use impasto_core::preset::{Preset, Scale, Start};
use impasto_core::protocol::{LayerLosses, Step};

use super::*;

/// Pictures in a folder, and a store beside them.
struct Place {
    folder: tempfile::TempDir,
    job: Job,
    overrides: Overrides,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let picture = |name: &str, value: u8| {
            let path = folder.path().join(name);
            let picture = Picture::from_rgb8(64, 48, &[value; 3 * 64 * 48]).unwrap();
            picture::save(&picture, &path, None).unwrap();
            picture::load(&path).unwrap()
        };
        let scale = |size, iterations| Scale { size, iterations };
        let job = Job {
            preset: Preset {
                schedule: vec![scale(32, 20), scale(64, 30)],
                start: Start::File(folder.path().join("Begin.JPG")),
                seed: u64::MAX,
                ..Preset::default()
            },
            content: picture("Old Town.png", 10),
            style: picture("night.tiff", 200),
            more_styles: Vec::new(),
            start: Some(picture("Begin.JPG", 90)),
            masks: Vec::new(),
            compute: Compute {
                device: DeviceChoice::Cuda(3),
                precision: PrecisionChoice::Tf32,
                tile: Some(512),
                shortage: Shortage::Shrink,
            },
            output: PathBuf::from("out.png"),
        };
        let overrides = Overrides {
            settings: vec!["style.weight=7".to_owned()],
            size: Some(32),
            iterations: None,
            seed: Some(u64::MAX),
            ..Overrides::default()
        };
        Self {
            folder,
            job,
            overrides,
        }
    }

    fn runs(&self) -> Runs {
        Runs::at(self.folder.path().join("data").join("runs"))
    }

    fn with<T>(&self, make: impl FnOnce(&NewRun) -> T) -> T {
        make(&NewRun {
            job: &self.job,
            preset_name: Some("default"),
            overrides: &self.overrides,
            files: &[],
            shared: None,
        })
    }

    fn run(&self) -> Run {
        self.with(|new| self.runs().create(new)).unwrap()
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_run_comes_back_as_it_was_asked_for() {
    let place = Place::new();
    let made = place.run();
    let run = place.runs().find(made.name().as_str()).unwrap();
    assert_eq!(run.record(), made.record());
    assert_eq!(run.folder(), made.folder());
    assert!(
        run.name().as_str().ends_with("-old-town-night"),
        "{}",
        run.name()
    );
    assert_eq!(run.record().preset_name.as_deref(), Some("default"));
    assert_eq!(run.record().overrides, place.overrides);
    assert_eq!(run.state().state, RunState::Painting);
    assert_eq!((run.state().iterations, run.state().scales), (50, 2));
    // The originals may go.
    for original in ["Old Town.png", "night.tiff", "Begin.JPG"] {
        fs::remove_file(place.folder.path().join(original)).unwrap();
    }
    let job = run.job().unwrap();
    assert_eq!(job.preset, place.job.preset);
    assert_eq!(job.compute, place.job.compute);
    assert_eq!(job.content.picture, place.job.content.picture);
    assert_eq!(job.content.path, Path::new("Old Town.png"));
    assert_eq!(job.style.sha256, place.job.style.sha256);
    assert_eq!(
        job.start.unwrap().picture,
        place.job.start.clone().unwrap().picture
    );
    assert_eq!(job.output, std::path::absolute("out.png").unwrap());
    let copies = [
        run.content_path(),
        run.style_path(),
        run.start_path().unwrap(),
    ];
    for (copy, name) in copies
        .iter()
        .zip(["content.png", "style.tiff", "start.jpg"])
    {
        assert!(copy.ends_with(name), "{copy:?}");
        assert_eq!(mode(copy), 0o600);
    }
    for file in ["run.json", "state.json"] {
        assert_eq!(mode(&run.folder().join(file)), 0o600);
    }
    for folder in [run.folder(), &run.inputs_folder(), place.runs().folder()] {
        assert_eq!(mode(folder), 0o700);
    }
    let left: Vec<_> = fs::read_dir(place.runs().folder()).unwrap().collect();
    assert_eq!(left.len(), 1);
}

#[test]
fn bundled_pictures_and_moved_bytes_are_copied_too() {
    let mut place = Place::new();
    let bytes: &'static [u8] = fs::read(&place.job.style.path).unwrap().leak();
    let moved = PictureFile::At(place.job.content.path.clone());
    place.job.content.path = PathBuf::from("elsewhere/First Name.png");
    place.job.style.path = PathBuf::from("bundled");
    let begin = PictureFile::At(place.job.start.take().unwrap().path);
    let new = NewRun {
        job: &place.job,
        preset_name: None,
        overrides: &place.overrides,
        files: &[moved, PictureFile::Bundled("bundled", bytes), begin],
        shared: None,
    };
    let run = place.runs().create(&new).unwrap();
    assert_eq!(run.record().content.file, "First Name.png");
    assert_eq!(run.record().style.copy, "style");
    assert_eq!(run.record().start, None);
    assert_eq!(fs::read(run.style_path()).unwrap(), bytes);
    run.job().unwrap();
}

#[test]
fn a_picture_that_changed_leaves_no_run() {
    let place = Place::new();
    fs::copy(&place.job.style.path, &place.job.content.path).unwrap();
    let error = place.with(|new| place.runs().create(new)).unwrap_err();
    assert!(matches!(error, RunError::Changed { .. }), "{error}");
    assert!(place.runs().all().unwrap().is_empty());
    let left: Vec<_> = fs::read_dir(place.runs().folder()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    fs::remove_file(&place.job.content.path).unwrap();
    let error = place.with(|new| place.runs().create(new)).unwrap_err();
    assert!(matches!(error, RunError::Unreadable { .. }), "{error}");
}

#[test]
fn a_copy_that_changed_is_found_out() {
    let place = Place::new();
    let run = place.run();
    fs::copy(run.style_path(), run.content_path()).unwrap();
    let error = run.job().unwrap_err();
    assert!(matches!(error, RunError::NotTheCopy { .. }), "{error}");
    fs::remove_file(run.content_path()).unwrap();
    symlink(&place.job.content.path, run.content_path()).unwrap();
    let error = run.job().unwrap_err();
    assert!(matches!(error, RunError::NotItsOwn { .. }), "{error}");
    fs::remove_file(run.content_path()).unwrap();
    let error = run.job().unwrap_err();
    assert!(matches!(error, RunError::NotTheCopy { .. }), "{error}");
}

#[test]
fn a_picture_is_read_through_no_link() {
    let place = Place::new();
    let run = place.run();
    fs::copy(run.content_path(), run.result_path()).unwrap();
    assert_eq!(run.picture(Run::RESULT).unwrap(), place.job.content.picture);
    fs::remove_file(run.result_path()).unwrap();
    symlink(run.content_path(), run.result_path()).unwrap();
    let error = run.picture(Run::RESULT).unwrap_err();
    assert!(matches!(error, RunError::NotItsOwn { .. }), "{error}");
}

#[test]
fn names_are_made_unique_and_found_by_their_beginning() {
    let place = Place::new();
    let runs: Vec<Run> = (0..3).map(|_| place.run()).collect();
    let store = place.runs();
    let names: Vec<&str> = runs.iter().map(|run| run.name().as_str()).collect();
    assert!(names[0] != names[1] && names[1] != names[2], "{names:?}");
    // An exact name wins over longer ones that begin so.
    assert_eq!(store.find(names[0]).unwrap().name(), runs[0].name());
    let error = store.find(&names[0][..8]).unwrap_err();
    assert!(matches!(error, RunError::Ambiguous { .. }), "{error}");
    assert_eq!(store.all().unwrap().len(), 3);
    let folder = store.folder();
    fs::rename(runs[1].folder(), folder.join("tower-at-night")).unwrap();
    assert_eq!(store.find("tow").unwrap().name().as_str(), "tower-at-night");
    for wanted in ["towre-at-night", "towre", "at-night", "AT-NIGHT"] {
        let error = store.find(wanted).unwrap_err().to_string();
        assert!(error.contains("did you mean tower-at-night"), "{error}");
    }
    for wanted in ["", "..", "../runs", "\u{1b}[2J", &"x".repeat(100_000)] {
        let error = store.find(wanted).unwrap_err();
        assert!(matches!(error, RunError::Missing { .. }), "{error}");
        assert!(!error.to_string().contains(char::is_control));
        assert!(error.to_string().len() < 1000);
    }
}

#[test]
fn without_runs_there_is_a_sentence() {
    let runs = Runs::at("/nowhere/at/all");
    assert!(runs.all().unwrap().is_empty());
    assert!(matches!(runs.latest(), Err(RunError::NoRuns)));
    assert!(matches!(runs.find("a"), Err(RunError::NoRuns)));
}

#[test]
fn the_newest_comes_first_and_the_broken_last() {
    let place = Place::new();
    let store = place.runs();
    let rewritten = |name: &str, from: &str, to: &str| {
        let run = place.run();
        let path = run.folder().join("run.json");
        let text = fs::read_to_string(&path).unwrap().replace(from, to);
        fs::write(&path, text).unwrap();
        fs::rename(run.folder(), store.folder().join(name)).unwrap();
    };
    rewritten("old", "\"created\": ", "\"created\": 0, \"was\": ");
    rewritten("new", "\"created\": ", "\"created\": 9");
    rewritten("other", "\"format\": 2", "\"format\": 3");
    rewritten("outside", "content.png", "../../content.png");
    rewritten("cut", "}", "");
    // Not runs at all.
    fs::create_dir(store.folder().join("empty")).unwrap();
    fs::write(store.folder().join("file"), "").unwrap();
    symlink(store.folder().join("new"), store.folder().join("link")).unwrap();
    fs::create_dir_all(store.folder().join("No Name").join("a")).unwrap();
    let all = store.all().unwrap();
    let names: Vec<&str> = all.iter().map(|entry| entry.name().as_str()).collect();
    assert_eq!(names, ["new", "old", "outside", "other", "cut"]);
    assert_eq!(store.latest().unwrap().name().as_str(), "new");
    let error = store.find("other").unwrap_err();
    assert!(
        matches!(error, RunError::OtherVersion { format: 3, .. }),
        "{error}"
    );
    for broken in ["outside", "cut"] {
        let error = store.find(broken).unwrap_err();
        assert!(matches!(error, RunError::Damaged { .. }), "{error}");
        store.delete(&store.name(broken).unwrap()).unwrap();
    }
    assert_eq!(store.all().unwrap().len(), 3);
}

#[test]
fn a_run_in_a_folder_of_choice() {
    let place = Place::new();
    let folder = place.folder.path().join("a").join("My Run");
    let run = place.with(|new| Run::create_at(&folder, new)).unwrap();
    assert!(run.name().as_str().ends_with("-old-town-night"));
    assert_eq!(Run::open(&folder).unwrap().record(), run.record());
    let folder = run.folder().display();
    assert_eq!(run.called(), format!("--run-dir '{folder}'"));
    let error = place.with(|new| Run::create_at(run.folder(), new));
    let error = error.unwrap_err();
    assert!(matches!(error, RunError::NotEmpty { .. }), "{error}");
    let empty = place.folder.path().join("a").join("empty");
    fs::create_dir(&empty).unwrap();
    let run = place.with(|new| Run::create_at(&empty, new)).unwrap();
    assert_eq!(run.name().as_str(), "empty");
    let folder = run.folder().display();
    assert_eq!(run.called(), format!("--run-dir {folder}"));
    assert_eq!(mode(&empty), 0o700);
    assert!(matches!(
        Run::open(place.folder.path()),
        Err(RunError::NotARun { .. })
    ));
}

#[test]
fn who_paints_holds_the_lock() {
    let place = Place::new();
    let run = place.run();
    assert!(!run.is_painting());
    assert_eq!(run.painter_pid(), None);
    assert_eq!(run.status(), RunStatus::Interrupted);
    let lock = run.lock().unwrap();
    assert!(run.is_painting());
    assert_eq!(run.painter_pid(), Some(std::process::id()));
    assert_eq!(run.status(), RunStatus::Painting);
    let error = run.lock().unwrap_err();
    assert!(
        error
            .to_string()
            .contains(&format!("process {}", std::process::id()))
    );
    let error = place.runs().delete(run.name()).unwrap_err();
    assert!(matches!(error, RunError::Busy { .. }), "{error}");
    drop(lock);
    assert_eq!(run.painter_pid(), None);
    // Whoever looks is never in the way.
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| (0..2000).filter(|_| run.is_painting()).count());
        for _ in 0..50 {
            drop(run.lock().unwrap());
        }
        looking.join().unwrap();
    });
    place.runs().delete(run.name()).unwrap();
    assert!(
        fs::read_dir(place.runs().folder())
            .unwrap()
            .next()
            .is_none()
    );
}

#[test]
fn a_state_is_read_back_whatever_lies_there() {
    let place = Place::new();
    let run = place.run();
    let mut state = RunProgress {
        state: RunState::Finished,
        message: Some("a\u{1b}b".to_owned()),
        output: Some(PathBuf::from("/a/b.png")),
        ..RunProgress::new(50, 2)
    };
    state.note(&step(7, 2));
    run.write_state(&state).unwrap();
    assert_eq!(run.state(), state);
    assert_eq!(run.status(), RunStatus::Finished);
    use std::os::unix::ffi::OsStrExt;
    state.output = Some(std::ffi::OsStr::from_bytes(b"/\xff.png").into());
    state.note(&Step {
        total: f64::NAN,
        rejected_total: None,
        ..step(8, 2)
    });
    assert_eq!(state.losses, None);
    run.write_state(&state).unwrap();
    assert_eq!(run.state(), state);
    let path = run.folder().join("state.json");
    for text in ["", "[]", "{\"iteration\": -1}", &" ".repeat(2 << 20)] {
        fs::write(&path, text).unwrap();
        assert_eq!(run.state(), RunProgress::default());
    }
    fs::write(&path, "{\"state\": \"dancing\", \"iteration\": 5}").unwrap();
    assert_eq!(
        (run.state().state, run.state().iteration),
        (RunState::Unknown, 5)
    );
    fs::remove_file(&path).unwrap();
    assert_eq!(run.status(), RunStatus::Unknown);
    fs::create_dir(&path).unwrap();
    assert_eq!(run.status(), RunStatus::Unknown);
}

#[test]
fn only_the_run_s_own_folder_goes() {
    let place = Place::new();
    let run = place.run();
    let store = place.runs();
    let outside = place.folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("precious"), "").unwrap();
    symlink(&outside, run.folder().join("link")).unwrap();
    symlink(&outside, store.folder().join("linked")).unwrap();
    let error = store.delete(&"linked".parse().unwrap()).unwrap_err();
    assert!(matches!(error, RunError::NotAFolder { .. }), "{error}");
    assert!(store.bytes(run.name()) > 1000);
    store.delete(run.name()).unwrap();
    assert!(!run.folder().exists());
    assert!(outside.join("precious").exists());
}

#[test]
fn what_was_left_behind_is_swept_up_after_a_day() {
    let place = Place::new();
    let run = place.run();
    let store = place.runs();
    let folder = |name: &str, age: u64| {
        let path = store.folder().join(name);
        fs::create_dir(&path).unwrap();
        let then = std::time::SystemTime::now() - std::time::Duration::from_secs(age);
        fs::File::open(&path).unwrap().set_modified(then).unwrap();
        path
    };
    let old = folder(".impasto-a.part", 90_000);
    let new = folder(".impasto-b.gone", 60);
    let other = folder(".other", 90_000);
    store.sweep();
    assert!(!old.exists() && new.exists() && other.exists() && run.folder().exists());
}

#[test]
fn the_log_is_bounded_and_harmless() {
    let place = Place::new();
    let run = place.run();
    let mut log = RunLog::open(&run.open_folder().unwrap()).unwrap();
    log.line("it \u{1b}[2J begins\n").unwrap();
    let text = fs::read_to_string(run.log_path()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("-- 20") && lines[0].contains("UTC"),
        "{text}"
    );
    assert_eq!(&lines[1][8..], "  it \\u{1b}[2J begins");
    assert_eq!(mode(&run.log_path()), 0o600);
    for _ in 0..3000 {
        log.line(&"word ".repeat(100)).unwrap();
    }
    log.line(&"x".repeat(1 << 22)).unwrap();
    let sizes =
        ["log.txt", "log.old.txt"].map(|name| fs::metadata(run.folder().join(name)).unwrap().len());
    assert!(sizes.iter().all(|size| *size <= 1 << 20), "{sizes:?}");
    assert!(sizes[1] > 1 << 19);
}

#[test]
fn plots_lie_beside_the_run() {
    let place = Place::new();
    let run = place.run();
    run.write_plots().unwrap();
    let mut metrics = Metrics::open(&run.open_folder().unwrap(), None).unwrap();
    for iteration in 1..=50 {
        metrics
            .append(&step(iteration, 1 + iteration / 20))
            .unwrap();
    }
    metrics.flush().unwrap();
    run.write_plots().unwrap();
    assert_eq!(
        picture::load(&run.losses_png_path())
            .unwrap()
            .picture
            .size(),
        plot::SIZE
    );
    assert!(
        fs::read_to_string(run.losses_svg_path())
            .unwrap()
            .ends_with("</svg>\n")
    );
}

/// A step of a run whose losses fall.
pub(super) fn step(iteration: u32, scale: u32) -> Step {
    let style = 1e6 / f64::from(iteration);
    let layer = |name: &str, loss: f64| (name.parse().unwrap(), loss);
    Step {
        iteration,
        scale,
        width: 16 << scale,
        height: 12 << scale,
        content: 1e4,
        style,
        smoothness: 10.5,
        total: style + 1e4 + 10.5,
        rejected_total: None,
        elapsed: f64::from(iteration) / 8.0,
        layers: LayerLosses {
            content: [layer("relu4_2", 0.1)].into(),
            style: [layer("relu1_1", style), layer("relu2_1", 3.0)].into(),
            laplacian: None,
        },
    }
}

#[test]
fn a_run_of_the_first_format_is_read() {
    let place = Place::new();
    let run = place.run();
    let path = run.folder().join("run.json");
    let mut record: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    // What that format did not have.
    record["format"] = 1.into();
    let preset = record["preset"].as_object_mut().unwrap();
    for key in [
        "colour",
        "masks",
        "normalize_gradients",
        "average",
        "start_noise",
        "finish",
    ] {
        assert!(preset.remove(key).is_some(), "{key}");
    }
    for (term, keys) in [
        ("content", &["laplacian"][..]),
        (
            "style",
            &[
                "statistic",
                "shift",
                "scale",
                "blend",
                "blend_weights",
                "guides",
            ],
        ),
        ("smoothness", &["norm"]),
    ] {
        let term = preset[term].as_object_mut().unwrap();
        for key in keys {
            assert!(term.remove(*key).is_some(), "{key}");
        }
    }
    let text = record.to_string();
    fs::write(&path, &text).unwrap();
    let old = Run::open(run.folder()).unwrap();
    assert_eq!(old.record().preset, run.record().preset);
    assert_eq!(old.job().unwrap().styles().count(), 1);
    // Whoever only reads leaves it alone; whoever paints on brings it up to date.
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    drop(old.lock().unwrap());
    assert_eq!(Run::open(run.folder()).unwrap().record(), run.record());
    let text = fs::read_to_string(&path).unwrap();
    drop(run.lock().unwrap());
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn a_record_has_the_pictures_of_its_preset() {
    let place = Place::new();
    let run = place.run();
    let path = run.folder().join("run.json");
    let whole: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let reason = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut record = whole.clone();
        change(&mut record);
        fs::write(&path, record.to_string()).unwrap();
        match Run::open(run.folder()) {
            Ok(_) => String::new(),
            Err(RunError::Damaged { reason, .. }) => reason,
            Err(other) => panic!("{other}"),
        }
    };
    let copied = |copy: &str| serde_json::json!({"file": "a", "sha256": "0", "copy": copy});
    let more = |count: usize| {
        let more = (2..count + 2).map(|number| copied(&format!("style-{number}.png")));
        serde_json::Value::from_iter(more)
    };
    assert_eq!(reason(&|record| record["more_styles"] = more(15)), "");
    assert_eq!(
        reason(&|record| record["more_styles"] = more(16)),
        "17 styles, of which a run has 16 at most"
    );
    let start = "the preset's `start` and the picture of it do not agree";
    assert_eq!(reason(&|record| record["start"] = ().into()), start);
    assert_eq!(
        reason(&|record| record["preset"]["start"] = "noise".into()),
        start
    );
    let masks = "the preset's `masks` and the pictures of them do not agree";
    let mask = serde_json::json!({"mask": copied("mask-1.png")});
    let part = serde_json::json!({"mask": copied("mask-1.png"), "region": copied("region-1")});
    let wanted = serde_json::json!([{"file": "a.png", "style": 1}]);
    for (preset, pictures, expected) in [
        (&wanted, vec![&mask], ""),
        (&wanted, vec![&part], masks),
        (&wanted, vec![], masks),
        (&wanted, vec![&mask, &mask], masks),
        (&serde_json::json!([]), vec![&mask], masks),
    ] {
        let found = reason(&|record| {
            record["preset"]["masks"] = preset.clone();
            record["masks"] = pictures.iter().copied().cloned().collect();
        });
        assert_eq!(found, expected, "{pictures:?}");
    }
}

#[test]
fn a_picture_of_several_roles_is_decoded_once() {
    let mut place = Place::new();
    let twin = |source: &picture::Source, name: &str| {
        let path = place.folder.path().join(name);
        fs::copy(&source.path, &path).unwrap();
        picture::load(&path).unwrap()
    };
    let second = twin(&place.job.style, "dusk.tiff");
    place.job.more_styles = vec![second];
    let run = place.run();
    let job = run.job().unwrap();
    let [first, second] = [&job.style, &job.more_styles[0]];
    assert!(std::ptr::eq(
        first.picture.pixels(),
        second.picture.pixels()
    ));
    assert_eq!(first.path, Path::new("night.tiff"));
    assert_eq!(second.path, Path::new("dusk.tiff"));
    assert!(!std::ptr::eq(
        first.picture.pixels(),
        job.content.picture.pixels()
    ));
}

#[test]
fn styles_and_masks_are_copied_in_their_order() {
    let mut place = Place::new();
    let extra = |name: &str, value: u8, size: (u32, u32)| {
        let path = place.folder.path().join(name);
        let bytes = vec![value; (3 * size.0 * size.1) as usize];
        let picture = Picture::from_rgb8(size.0, size.1, &bytes).unwrap();
        picture::save(&picture, &path, None).unwrap();
        picture::load(&path).unwrap()
    };
    let second = extra("wave.png", 50, (64, 48));
    let mask = extra("sky.png", 255, (32, 24));
    let region = extra("foam.png", 200, (64, 48));
    let masks = format!(
        "masks=[{{file: {}, style: 2, region: {}}}]",
        mask.path.display(),
        region.path.display()
    );
    place.job.preset = place.job.preset.set(&masks).unwrap();
    place.job.more_styles = vec![second];
    place.job.masks = vec![impasto_core::job::MaskPictures {
        mask,
        region: Some(region),
    }];
    let run = place.run();
    let roles: Vec<String> = run
        .record()
        .pictures()
        .into_iter()
        .map(|(role, _)| role)
        .collect();
    assert_eq!(
        roles,
        ["content", "style", "style-2", "start", "mask-1", "region-1"]
    );
    let job = run.job().unwrap();
    assert_eq!(job.more_styles[0].sha256, place.job.more_styles[0].sha256);
    assert_eq!(job.masks[0].mask.path, Path::new("sky.png"));
    let sent = place
        .job
        .pictures()
        .into_iter()
        .map(|(_, source)| source.clone());
    assert_eq!(run.job_with(sent.collect()).unwrap().masks.len(), 1);
    // A copy of another role's name is none.
    let path = run.folder().join("run.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("mask-1.png", "style.tiff")).unwrap();
    assert!(matches!(
        Run::open(run.folder()),
        Err(RunError::Damaged { .. })
    ));
}
