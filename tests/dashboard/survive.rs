//! What becomes of the run and of the terminal when one of them goes away.

use std::process::Command;
use std::time::{Duration, Instant};

use super::common::{IMPASTO, TIMEOUT};
use super::tmux::{Shell, saved};

#[test]
fn control_c_asks_first() {
    let Some(shell) = Shell::open("interrupt", 80, 24) else {
        return;
    };
    shell.start();
    shell.keys(&["C-c"]);
    shell.wait_for("Leave the run?");
    shell.keys(&["s"]);
    shell.wait_for("saved out.png");
    assert!(saved(shell.folder.path()));
    assert_eq!(shell.run().1, "stopped");
}

#[test]
fn the_run_goes_on_without_a_terminal_and_is_seen_again() {
    let Some(shell) = Shell::open("hangup", 80, 24) else {
        return;
    };
    shell.start();
    shell.tmux(&["kill-server"]);
    let (before, _) = shell.run();
    let deadline = Instant::now() + TIMEOUT;
    while shell.run().0 < before + 50 {
        assert!(Instant::now() < deadline, "it did not go on");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(shell.run().1, "painting");
    assert!(!saved(shell.folder.path()));

    let Some(again) = Shell::open("again", 80, 24) else {
        return;
    };
    let data = shell.folder.path().join("data");
    again.enter(&format!(
        "XDG_DATA_HOME={} {IMPASTO} attach",
        data.display()
    ));
    again.wait_for(" of 1000000");
    again.wait_for("painting");
    again.stop();
    again.wait_for("out.png");
    again.assert_shell_answers();
    assert!(saved(shell.folder.path()));
    assert_eq!(shell.run().1, "stopped");
}

#[test]
fn it_saves_when_the_terminal_goes_away_if_asked_to() {
    let Some(shell) = Shell::open("told", 80, 24) else {
        return;
    };
    shell.start_with("--on-hangup stop");
    shell.tmux(&["kill-server"]);
    let deadline = Instant::now() + TIMEOUT;
    while !saved(shell.folder.path()) {
        assert!(Instant::now() < deadline, "nothing was saved");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_second_interrupt_leaves_at_once() {
    let Some(shell) = Shell::open("twice", 80, 24) else {
        return;
    };
    shell.start();
    shell.keys(&["C-c", "C-c"]);
    shell.wait_for("continues painting");
    shell.assert_shell_answers();
}

#[test]
fn a_deadly_signal_gives_the_terminal_back() {
    for signal in ["ABRT", "SEGV", "QUIT", "USR1"] {
        let Some(shell) = Shell::open(&format!("dead-{signal}"), 80, 24) else {
            return;
        };
        // A dump of the whole memory would only cost time.
        shell.enter("ulimit -c 0; clear");
        shell.start();
        let pid = shell.tmux(&["display-message", "-p", "-t", "s", "#{pane_pid}"]);
        let child = Command::new("ps")
            .args(["-o", "pid=", "--ppid", pid.trim()])
            .output()
            .expect("ps runs");
        let child = String::from_utf8_lossy(&child.stdout).trim().to_owned();
        // What libraries print to stdout does not reach the screen either.
        let stdout = std::fs::read_link(format!("/proc/{child}/fd/1")).expect("its stdout");
        assert!(stdout.ends_with("impasto.log"), "{stdout:?}");
        let killed = Command::new("kill")
            .args(["-s", signal, &child])
            .status()
            .expect("kill runs");
        assert!(killed.success());
        shell.wait_until("the prompt", |screen| screen.contains("ready>"));
        shell.assert_shell_answers();
    }
}

#[test]
fn the_screen_stays_when_its_engine_is_killed() {
    let Some(shell) = Shell::open("killed", 80, 24) else {
        return;
    };
    shell.start();
    shell.wait_for("painting");
    let json = shell.impasto(&["runs", "list", "--json"]);
    let runs: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let name = runs[0]["name"].as_str().expect("a name");
    let killed = Command::new("kill")
        .args(["-s", "KILL", &runs[0]["pid"].to_string()])
        .status()
        .expect("kill runs");
    assert!(killed.success());
    let screen = shell.wait_for("the run failed");
    let advice = format!("impasto resume {name} resumes it");
    assert!(
        words_of("the run failed", &screen).contains(&advice),
        "no advice in:\n{screen}"
    );
    shell.keys(&["Escape"]);
    let screen = shell.wait_until("the panes", |screen| !screen.contains("the run failed"));
    for words in ["losses", "weights", "failed"] {
        assert!(screen.contains(words), "no {words} in:\n{screen}");
    }
    // Still heard, though nobody paints.
    shell.keys(&["?"]);
    shell.wait_for("one iteration, then pause");
    shell.keys(&["Escape"]);
    shell.wait_until("closed help", |screen| {
        !screen.contains("one iteration, then pause")
    });
    shell.keys(&["q"]);
    shell.wait_for("ready>");
    shell.assert_shell_answers();

    // What it said is what helps.
    shell.enter(&format!("clear; {IMPASTO} resume {name}"));
    shell.wait_until("losses", |screen| {
        screen.contains("losses (log)") && !screen.contains("no losses yet")
    });
    shell.stop();
    shell.wait_for("out.png");
    shell.assert_shell_answers();
    assert!(saved(shell.folder.path()));
    assert_eq!(shell.run().1, "stopped");
}

/// The words in the box with this title, with single spaces.
fn words_of(title: &str, screen: &str) -> String {
    let lines: Vec<Vec<char>> = screen.lines().map(|line| line.chars().collect()).collect();
    let title: Vec<char> = format!("╭ {title} ").chars().collect();
    let at = |line: &Vec<char>| line.windows(title.len()).position(|part| part == title);
    let (row, left) = (lines.iter().enumerate())
        .find_map(|(row, line)| Some((row, at(line)?)))
        .expect("the title");
    let width = (lines[row][left..].iter())
        .position(|&sign| sign == '╮')
        .expect("a corner");
    let inside: Vec<String> = (lines[row + 1..].iter())
        .map(|line| line.iter().skip(left).take(width + 1).collect())
        .take_while(|line: &String| !line.starts_with('╰'))
        .map(|line| line.replace('│', " "))
        .collect();
    let words: Vec<&str> = inside.iter().flat_map(|l| l.split_whitespace()).collect();
    words.join(" ")
}
