//! The real dashboard in a real terminal: tmux holds it, keys are sent, the
//! screen is read back. Where there is no tmux, these tests say so and do
//! nothing.

#[path = "../common/mod.rs"]
mod common;
mod survive;
mod tmux;

use std::path::Path;

use common::{CONTENT, IMPASTO, STYLE};
use tmux::{Shell, saved};

#[test]
fn it_opens_edits_switches_resizes_and_leaves_a_clean_terminal() {
    let Some(shell) = Shell::open("whole", 120, 36) else {
        return;
    };
    shell.start();
    let screen = shell.wait_for("painting");
    for words in [
        "china.jpg",
        "night.jpg",
        "losses",
        "weights",
        "relu4_2",
        "on cpu",
    ] {
        assert!(screen.contains(words), "no {words} in:\n{screen}");
    }

    // The style counts a million times as much: so does its loss.
    let before = shell.wait_for_total(|_| true);
    shell.keys(&["Down", "Down"]);
    shell.keys(&["-l", "5e7"]);
    shell.keys(&["Enter"]);
    shell.wait_for_total(|total| total > 1e3 * before);
    shell.wait_for("(edited)");
    // Set to nothing, its share goes with it.
    shell.keys(&["0", "Enter"]);
    shell.wait_until("style without a share", |screen| {
        screen
            .lines()
            .any(|line| line.contains("│style") && line.contains(" 0%"))
    });

    shell.keys(&["p"]);
    shell.wait_for("type to find one");
    shell.keys(&["b", "o", "l", "d"]);
    shell.wait_for("Thick strokes");
    // What would change is told before it is taken.
    shell.wait_for("in a new run: schedule");
    shell.keys(&["Enter"]);
    shell.wait_for("from the start");
    shell.keys(&["Escape"]);
    // Escape and a key right behind it would be one key with Alt.
    shell.wait_until("bold applied", |screen| {
        screen.contains("  bold  on cpu")
            && screen.contains("60000")
            && !screen.contains("from the start")
    });

    shell.keys(&["v"]);
    shell.wait_for("v back");
    shell.keys(&["v"]);
    shell.wait_for("losses");

    shell.keys(&["Space"]);
    shell.wait_for("paused");
    shell.keys(&["Space"]);
    shell.wait_until("painting again", |screen| !screen.contains("paused"));

    shell.tmux(&["resize-window", "-t", "s", "-x", "30", "-y", "8"]);
    shell.wait_for("needs 60×16");
    shell.tmux(&["resize-window", "-t", "s", "-x", "80", "-y", "24"]);
    shell.wait_for("weights");

    shell.keys(&["C-z"]);
    shell.wait_for("Stopped");
    shell.assert_shell_answers();
    shell.enter("fg");
    shell.wait_for("weights");

    shell.keys(&["?"]);
    shell.wait_for("one iteration, then pause");
    shell.keys(&["Escape"]);
    shell.wait_until("closed help", |screen| {
        !screen.contains("one iteration, then pause")
    });
    shell.stop();
    shell.wait_for("saved out.png");
    shell.assert_shell_answers();
    assert!(saved(shell.folder.path()));
}

#[test]
fn a_preset_file_is_taken_up_when_it_is_saved() {
    let Some(shell) = Shell::open("watch", 120, 36) else {
        return;
    };
    let file = shell.folder.path().join("mine.yaml");
    let write = |style: &str| {
        let text =
            format!("style:\n  weight: {style}\nschedule: [{{size: 64, iterations: 1000000}}]\n");
        std::fs::write(&file, text).expect("to write");
    };
    write("50");
    shell.enter(&format!(
        "{IMPASTO} run {CONTENT} {STYLE} -o out.png --device cpu --preset mine.yaml"
    ));
    shell.wait_for(" of 1000000");
    write("much");
    shell.wait_for("mine.yaml:2:11");
    shell.wait_for("^");
    write("4321");
    shell.wait_for("4321");
    shell.stop();
    shell.wait_for("saved out.png");
    shell.assert_shell_answers();
}

#[test]
fn a_restart_begins_anew_under_another_name() {
    let Some(shell) = Shell::open("restart", 120, 36) else {
        return;
    };
    shell.start();
    shell.keys(&["r"]);
    shell.wait_for("from here");
    shell.keys(&["s"]);
    shell.wait_for("/out.png");
    shell.wait_for(" of 1000000");
    shell.stop();
    shell.wait_for("saved out-2.png");
    assert!(saved(shell.folder.path()));
}

#[test]
fn without_a_terminal_for_it_there_is_no_dashboard() {
    let Some(shell) = Shell::open("plain", 100, 24) else {
        return;
    };
    let run = format!(
        "{IMPASTO} run {CONTENT} {STYLE} --device cpu --set 'schedule=[{{size: 48, iterations: 2}}]'"
    );
    for (number, command) in [
        format!("{run} -o 0.png --headless"),
        format!("TERM=dumb {run} -o 1.png"),
        format!("{run} -o 2.png | cat"),
    ]
    .iter()
    .enumerate()
    {
        shell.enter(&format!("{command}; echo code $?{number}"));
        shell.wait_for(&format!("code 0{number}"));
        assert!(shell.folder.path().join(format!("{number}.png")).exists());
    }
}

#[test]
fn the_start_screen_leads_to_a_painting() {
    let Some(shell) = Shell::open("start", 120, 36) else {
        return;
    };
    let assets = Path::new(CONTENT).parent().expect("a folder");
    shell.enter(&format!("cd {}", assets.display()));
    shell.wait_until("the prompt", |screen| screen.trim_end().ends_with("ready>"));
    // Its output goes where it was started from.
    let folder = shell.folder.path().display().to_string();
    shell.enter(&format!(
        "cp china.jpg night.jpg {folder}; cd {folder}; clear"
    ));
    shell.wait_until("the prompt", |screen| screen.trim() == "ready>");
    shell.enter(&format!("{IMPASTO} --device cpu"));
    shell.wait_for("choose a photograph");
    shell.keys(&["-l", "chi"]);
    // The thumbnail, with the size of the picture.
    shell.wait_for("640×427");
    shell.keys(&["Enter"]);
    shell.wait_for("type to find a name");
    shell.keys(&["-l", "nig"]);
    shell.wait_for("enter takes night.jpg");
    shell.keys(&["Enter"]);
    shell.wait_for("preset default");
    shell.keys(&["-l", "quick"]);
    shell.wait_for("preset quick");
    shell.keys(&["Enter"]);
    shell.wait_for(" it/s");
    shell.stop();
    shell.wait_for("saved china-night.png");
    shell.assert_shell_answers();
    assert!(image::open(shell.folder.path().join("china-night.png")).is_ok());
}

#[test]
fn the_start_screen_is_left_without_a_trace() {
    let Some(shell) = Shell::open("leave", 60, 16) else {
        return;
    };
    shell.enter(IMPASTO);
    shell.wait_for("photograph");
    shell.keys(&["C-z"]);
    shell.wait_for("Stopped");
    shell.assert_shell_answers();
    shell.enter("fg");
    shell.wait_for("photograph");
    shell.keys(&["C-c"]);
    shell.assert_shell_answers();
}

#[test]
fn it_is_drawn_without_colours_and_with_ascii_alone() {
    let Some(shell) = Shell::open("plainly", 100, 30) else {
        return;
    };
    shell.enter(&format!(
        "NO_COLOR=1 {IMPASTO} run {CONTENT} {STYLE} -o out.png --device cpu --ascii --set \
         'schedule=[{{size: 64, iterations: 1000000}}]'"
    ));
    shell.wait_for(" of 1000000");
    let screen = shell.tmux(&["capture-pane", "-t", "s", "-p", "-e"]);
    assert!(screen.is_ascii(), "{screen}");
    let coloured = screen
        .split("\x1b[")
        .skip(1)
        .filter_map(|rest| rest.split_once('m'))
        .flat_map(|(codes, _)| codes.split(';').map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|code| code.parse::<u32>().ok())
        .any(|code| (30..=38).contains(&code) || (40..=48).contains(&code) || code >= 90);
    assert!(!coloured, "{screen}");
    shell.stop();
    shell.wait_for("saved out.png");
}
