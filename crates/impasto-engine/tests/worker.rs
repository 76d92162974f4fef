//! A run seen through its link, as every front end sees it: commands in,
//! events out.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Once;
use std::time::Duration;

use impasto_core::job::{Compute, DeviceChoice, Job};
use impasto_core::picture;
use impasto_core::preset::{Layer, Pooling, Preset, Scale, Start};
use impasto_core::protocol::{Command, Event, Link, RestartFrom};
use impasto_engine::worker;

use common::{TIMEOUT, source};

/// A job of tiny pictures that only a command ends.
fn endless(folder: &tempfile::TempDir) -> Job {
    static THREADS: Once = Once::new();
    // Tests run side by side; threads that wait for one another cost more.
    THREADS.call_once(|| tch::set_num_threads(1));
    Job {
        preset: Preset {
            schedule: vec![Scale {
                size: 32,
                iterations: 1_000_000,
            }],
            ..Preset::default()
        },
        content: source("content.png", 40, 30, 7),
        style: source("style.png", 30, 40, 11),
        more_styles: Vec::new(),
        start: None,
        masks: Vec::new(),
        compute: Compute {
            device: DeviceChoice::Cpu,
            ..Compute::default()
        },
        output: folder.path().join("out.png"),
    }
}

fn begin(job: Job) -> Link {
    worker::start(job, None).expect("a thread").0
}

fn send(link: &Link, command: Command) {
    link.commands.send(command).expect("the run listens");
}

/// The next event that `wanted` takes.
#[track_caller]
fn wait<T>(link: &Link, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
    loop {
        let event = link.events.recv_timeout(TIMEOUT).expect("an event in time");
        if let Some(found) = wanted(&event) {
            return found;
        }
        assert!(
            !matches!(event, Event::Failed { .. } | Event::Finished { .. }),
            "{event:?}"
        );
    }
}

#[track_caller]
fn wait_for_step(link: &Link) -> impasto_core::protocol::Step {
    wait(link, |event| match event {
        Event::Step(step) => Some(step.clone()),
        _ => None,
    })
}

/// The message of a run that fails without leaving a picture.
#[track_caller]
fn wait_for_failure(link: &Link) -> String {
    loop {
        match link.events.recv_timeout(TIMEOUT).expect("an event in time") {
            Event::Failed {
                message, output, ..
            } => {
                assert_eq!(output, None);
                return message;
            }
            Event::Preparing { .. } | Event::Started { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Stops the run and returns how many iterations it did.
#[track_caller]
fn stop(link: &Link) -> u32 {
    send(link, Command::Stop);
    wait(link, |event| match event {
        Event::Finished {
            iterations,
            stopped: true,
            ..
        } => Some(*iterations),
        _ => None,
    })
}

#[test]
fn it_pauses_steps_and_resumes() {
    let folder = tempfile::tempdir().expect("a folder");
    let link = begin(endless(&folder));
    wait_for_step(&link);
    send(&link, Command::Pause);
    let paused = |event: &Event| match event {
        Event::Paused { iteration } => Some(*iteration),
        _ => None,
    };
    let at = wait(&link, paused);
    assert!(
        link.events
            .recv_timeout(Duration::from_millis(300))
            .is_err(),
        "it holds still"
    );
    send(&link, Command::Step);
    assert_eq!(wait_for_step(&link).iteration, at + 1);
    assert_eq!(wait(&link, paused), at + 1);
    send(&link, Command::Resume);
    assert_eq!(wait_for_step(&link).iteration, at + 2);
    assert!(stop(&link) >= at + 2);
    assert!(picture::load(&folder.path().join("out.png")).is_ok());
}

#[test]
fn it_stops_while_paused() {
    let folder = tempfile::tempdir().expect("a folder");
    let link = begin(endless(&folder));
    wait_for_step(&link);
    send(&link, Command::Pause);
    stop(&link);
    assert!(picture::load(&folder.path().join("out.png")).is_ok());
}

#[test]
fn stopped_before_it_painted_it_overwrites_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let job = endless(&folder);
    fs::write(&job.output, "what the user had").expect("written");
    let output = job.output.clone();
    let link = begin(job);
    send(&link, Command::Stop);
    let saved = wait(&link, |event| match event {
        Event::Finished { output, .. } => Some(output.clone()),
        _ => None,
    });
    assert_eq!(saved, None);
    assert_eq!(
        fs::read(&output).expect("still there"),
        b"what the user had"
    );
}

#[test]
fn weights_change_while_it_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let job = endless(&folder);
    let preset = job.preset.clone();
    let link = begin(job);
    wait_for_step(&link);

    // Muting the style: from the next step on only the rest counts.
    let mut muted = preset.clone();
    muted.style.weight = 0.0;
    send(&link, Command::Change(Box::new(muted.clone())));
    let changed = |event: &Event| match event {
        Event::Changed { preset, .. } => Some(preset.clone()),
        _ => None,
    };
    assert_eq!(*wait(&link, changed), muted);
    let step = wait_for_step(&link);
    assert_eq!(step.style, 0.0);
    assert!(step.content > 0.0 && step.layers.style.values().all(|loss| *loss > 0.0));

    // Other layers, deeper ones too, another pooling and optimizer.
    let mut other = preset.clone();
    let layer = |block, index| Layer::new(block, index).expect("a layer");
    other.content.layers = BTreeMap::from([(layer(2, 2), 1.0)]);
    other.style.layers = BTreeMap::from([(layer(1, 2), 0.5), (layer(5, 3), 2.0)]);
    other.pooling = Pooling::Average;
    other.optimizer =
        impasto_core::preset::Optimizer::new(impasto_core::preset::OptimizerKind::Adam);
    send(&link, Command::Change(Box::new(other.clone())));
    assert_eq!(*wait(&link, changed), other);
    let step = wait_for_step(&link);
    assert!(step.layers.style.keys().eq(other.style.layers.keys()));
    assert!(step.layers.content.keys().eq(other.content.layers.keys()));
    assert!(step.total.is_finite());

    // What needs a new run says so and changes nothing else.
    let mut later = other.clone();
    later.start = Start::Noise;
    later.schedule = vec![Scale {
        size: 64,
        iterations: 5,
    }];
    send(&link, Command::Change(Box::new(later)));
    assert_eq!(*wait(&link, changed), other);
    let message = wait(&link, |event| match event {
        Event::Notice { message, .. } => Some(message.clone()),
        _ => None,
    });
    assert!(message.contains("schedule, start"), "{message}");
    stop(&link);

    let recipe = picture::read_recipe(&folder.path().join("out.png")).expect("a recipe");
    let recipe: impasto_core::job::Recipe = serde_json::from_str(&recipe).expect("JSON");
    assert_eq!(
        recipe.preset, other,
        "the recipe is what was painted by in the end"
    );
}

#[test]
fn previews_and_snapshots_come_when_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let link = begin(endless(&folder));
    wait_for_step(&link);
    send(
        &link,
        Command::Preview {
            width: 16,
            height: 100,
        },
    );
    let snapshot = folder.path().join("snapshot.png");
    send(
        &link,
        Command::Snapshot {
            output: snapshot.clone(),
        },
    );
    wait(&link, |event| {
        matches!(event, Event::Saved { .. }).then_some(())
    });
    let preview = link.preview.take().expect("a preview");
    assert_eq!(
        (preview.width, preview.height, preview.rgb.len()),
        (16, 12, 3 * 16 * 12)
    );
    assert_eq!(
        picture::load(&snapshot).expect("a picture").picture.size(),
        (32, 24)
    );

    send(
        &link,
        Command::Snapshot {
            output: folder.path().join("no/such/folder.png"),
        },
    );
    wait(&link, |event| {
        matches!(event, Event::Notice { .. }).then_some(())
    });
    stop(&link);
}

#[test]
fn a_preview_is_finished_as_the_picture_is_and_painting_is_not_begun_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let link = begin(endless(&folder));
    wait_for_step(&link);
    send(&link, Command::Pause);
    wait(&link, |event| {
        matches!(event, Event::Paused { .. }).then_some(())
    });
    let preview = || {
        send(
            &link,
            Command::Preview {
                width: 32,
                height: 32,
            },
        );
        let arrivals = link.preview.arrivals();
        arrivals.recv_timeout(TIMEOUT).expect("a preview in time");
        link.preview.take().expect("a preview")
    };
    let plain = preview();
    let grey = endless(&folder)
        .preset
        .set("finish.saturation=-1")
        .expect("a setting");
    send(&link, Command::Change(Box::new(grey)));
    wait(&link, |event| {
        matches!(event, Event::Changed { .. }).then_some(())
    });
    let finished = preview();
    assert_eq!(finished.iteration, plain.iteration);
    let (colours, greys) = (
        plain.rgb.as_chunks::<3>().0,
        finished.rgb.as_chunks::<3>().0,
    );
    assert!(colours.iter().any(|rgb| rgb[0] != rgb[1]));
    assert!(greys.iter().all(|rgb| rgb[0] == rgb[1] && rgb[1] == rgb[2]));
    stop(&link);
}

#[test]
fn a_finished_run_is_shown_and_saved_in_another_way_until_it_is_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut job = endless(&folder);
    job.preset.schedule[0].iterations = 2;
    let (output, preset) = (job.output.clone(), job.preset.clone());
    let link = begin(job);
    wait(&link, |event| {
        matches!(event, Event::Finished { .. }).then_some(())
    });
    let painted = picture::load(&output).expect("the picture").picture;
    let other = [
        "finish.saturation=-1",
        "style.weight=9999",
        "pooling=average",
    ];
    let other = other
        .iter()
        .try_fold(preset.clone(), |preset, setting| preset.set(setting));
    send(&link, Command::Change(Box::new(other.expect("settings"))));
    let before = fs::read(&output).expect("the picture");
    send(
        &link,
        Command::Preview {
            width: 32,
            height: 32,
        },
    );
    let arrivals = link.preview.arrivals();
    arrivals.recv_timeout(TIMEOUT).expect("a preview in time");
    let preview = link.preview.take().expect("a preview");
    let is_grey = |rgb: &[u8]| rgb[0] == rgb[1] && rgb[1] == rgb[2];
    assert!(preview.rgb.chunks_exact(3).all(is_grey));
    assert!(
        fs::read(&output).expect("the picture") == before,
        "nobody has accepted it"
    );
    let save = || {
        send(
            &link,
            Command::Snapshot {
                output: output.clone(),
            },
        );
        wait(&link, |event| {
            matches!(event, Event::Saved { .. }).then_some(())
        });
        picture::load(&output).expect("the picture").picture
    };
    assert!(save().to_rgb8().chunks_exact(3).all(is_grey));
    let recipe = picture::read_recipe(&output).expect("a recipe");
    let recipe: impasto_core::job::Recipe = serde_json::from_str(&recipe).expect("JSON");
    assert_eq!(recipe.preset.finish.saturation, -1.0);
    assert_eq!(
        recipe.preset.style.weight, preset.style.weight,
        "it was painted by that"
    );
    // And back.
    send(&link, Command::Change(Box::new(preset.clone())));
    assert_eq!(save(), painted);

    // A new run leaves the file as it was saved, however it is shown.
    let grey = preset.set("finish.saturation=-1").expect("a setting");
    send(&link, Command::Change(Box::new(grey)));
    send(
        &link,
        Command::Restart {
            preset: Box::new(preset),
            from: RestartFrom::Here,
            output: folder.path().join("again.png"),
        },
    );
    let saved = wait(&link, |event| match event {
        Event::Restarting { output } => Some(output.clone()),
        _ => None,
    });
    assert_eq!(saved.as_ref(), Some(&output));
    assert!(picture::load(&output).expect("the picture").picture == painted);
}

#[test]
fn a_change_that_does_not_fit_is_taken_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let job = endless(&folder);
    let preset = job.preset.clone();
    let link = begin(job);
    wait_for_step(&link);
    for setting in ["style.scale=0.1", "colour=match-pca"] {
        // The second alone would do.
        let wrong = preset.set(setting).and_then(|it| it.set("style.scale=0.1"));
        send(&link, Command::Change(Box::new(wrong.expect("settings"))));
        let now = wait(&link, |event| match event {
            Event::Changed { preset, .. } => Some(preset.clone()),
            _ => None,
        });
        assert_eq!(*now, preset);
        let message = wait(&link, |event| match event {
            Event::Notice { message, .. } => Some(message.clone()),
            _ => None,
        });
        assert!(
            message.contains("the change was not made: at scale 1"),
            "{message}"
        );
    }
    wait_for_step(&link);
    stop(&link);
}

#[test]
fn it_saves_when_its_front_end_goes_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let (link, thread) = worker::start(endless(&folder), None).expect("a thread");
    wait_for_step(&link);
    drop(link);
    thread.join().expect("the painter ends by itself");
    assert!(picture::load(&folder.path().join("out.png")).is_ok());
}

#[test]
fn a_device_that_is_not_there_fails_in_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let link = begin(Job {
        compute: Compute {
            device: DeviceChoice::Cuda(63),
            ..Compute::default()
        },
        ..endless(&folder)
    });
    let message = wait_for_failure(&link);
    assert!(message.contains("cuda:63"), "{message}");
}

fn restart(preset: &Preset, from: RestartFrom, output: PathBuf) -> Command {
    Command::Restart {
        preset: Box::new(preset.clone()),
        from,
        output,
    }
}

/// What the run that begins says of itself, after the picture of the one before.
#[track_caller]
fn wait_for_restart(link: &Link) -> (Option<PathBuf>, impasto_core::job::Recipe, Vec<u32>) {
    let output = wait(link, |event| match event {
        Event::Restarting { output } => Some(output.clone()),
        _ => None,
    });
    let (recipe, widths) = wait(link, |event| match event {
        Event::Started { job, sizes, .. } => {
            let widths = sizes.iter().map(|size| size.width).collect();
            Some((job.as_ref().clone(), widths))
        }
        _ => None,
    });
    (output, recipe, widths)
}

#[test]
fn a_restart_saves_and_begins_anew_with_another_schedule() {
    let folder = tempfile::tempdir().expect("a folder");
    let job = endless(&folder);
    let first = job.output.clone();
    let second = folder.path().join("second.png");
    let mut preset = job.preset.clone();
    let scale = |size| Scale {
        size,
        iterations: 1_000_000,
    };
    preset.schedule = vec![scale(24), scale(48)];
    preset.start = Start::Style;
    let link = begin(job);
    wait_for_step(&link);
    send(&link, restart(&preset, RestartFrom::Start, second.clone()));
    let (saved, recipe, widths) = wait_for_restart(&link);
    assert_eq!(saved, Some(first.clone()));
    assert!(picture::load(&first).is_ok());
    assert_eq!(recipe.preset, preset);
    assert_eq!(widths, [24, 48]);
    assert_eq!(wait_for_step(&link).iteration, 1);
    stop(&link);
    assert!(picture::load(&second).is_ok());
}

#[test]
fn a_restart_from_here_goes_on_from_the_picture_that_was_saved() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut job = endless(&folder);
    job.preset.schedule = vec![Scale {
        size: 32,
        iterations: 3,
    }];
    let first = job.output.clone();
    let second = folder.path().join("second.png");
    let mut preset = job.preset.clone();
    let scale = |size| Scale {
        size,
        iterations: 1,
    };
    preset.schedule = vec![scale(16), scale(32), scale(64)];
    let link = begin(job);
    // The end of a run is no end of restarts.
    let end = |event: &Event| matches!(event, Event::Finished { .. }).then_some(());
    wait(&link, end);
    send(&link, restart(&preset, RestartFrom::Here, second.clone()));
    let (saved, recipe, widths) = wait_for_restart(&link);
    assert_eq!(saved, Some(first.clone()));
    assert_eq!(widths, [32, 64], "16 pixels would lose what is there");
    assert_eq!(recipe.preset.start, Start::File(first));
    assert_eq!(recipe.start.expect("a start picture").width, 32);
    wait(&link, end);
    assert_eq!(
        picture::load(&second).expect("a picture").picture.width(),
        64
    );
}

#[test]
fn a_restart_from_here_begins_beneath_the_finish_and_the_colours() {
    for setting in ["finish.saturation=-1", "colour=content"] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut job = endless(&folder);
        job.preset.schedule[0].iterations = 3;
        let plain = job.output.clone();
        let preset = job.preset.set(setting).expect("a setting");
        let end = |event: &Event| matches!(event, Event::Finished { .. }).then_some(());
        wait(&begin(job.clone()), end);
        let painted = picture::load(&plain).expect("a picture").picture;

        job.preset = preset.clone();
        job.output = folder.path().join("presented.png");
        let second = folder.path().join("second.png");
        let link = begin(job.clone());
        wait(&link, end);
        let presented = picture::load(&job.output).expect("a picture").picture;
        assert!(presented != painted);
        send(&link, restart(&preset, RestartFrom::Here, second));
        let (saved, recipe, _) = wait_for_restart(&link);
        assert_eq!(saved, Some(job.output));
        let beneath = folder.path().join("second-start.png");
        assert_eq!(recipe.preset.start, Start::File(beneath.clone()));
        assert!(picture::load(&beneath).expect("a picture").picture == painted);
        wait(&link, end);
    }
}

#[test]
fn a_restart_that_cannot_be_leaves_the_run_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let job = endless(&folder);
    let preset = job.preset.clone();
    let link = begin(job);
    wait_for_step(&link);
    let notice = |event: &Event| match event {
        Event::Notice { message, .. } => Some(message.clone()),
        _ => None,
    };
    let nowhere = folder.path().join("no/such/folder.png");
    send(&link, restart(&preset, RestartFrom::Start, nowhere));
    assert!(wait(&link, notice).starts_with("no new run was started: "));
    let mut lost = preset.clone();
    lost.start = Start::File(folder.path().join("not-there.png"));
    let output = folder.path().join("second.png");
    send(&link, restart(&lost, RestartFrom::Start, output.clone()));
    assert!(wait(&link, notice).contains("not-there.png"));
    wait_for_step(&link);
    stop(&link);
    assert!(!output.exists());
}

#[test]
fn it_reports_the_steps_of_its_preparation_and_its_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let link = begin(endless(&folder));
    let mut steps = Vec::new();
    let memory = wait(&link, |event| match event {
        Event::Preparing { step, of, .. } => {
            steps.push((*step, *of));
            None
        }
        Event::Memory(memory) => Some(*memory),
        _ => None,
    });
    assert_eq!(steps, [(1, 4), (2, 4), (3, 4), (4, 4)]);
    assert!(0 < memory.used_bytes && memory.used_bytes < memory.total_bytes);
    stop(&link);
}
