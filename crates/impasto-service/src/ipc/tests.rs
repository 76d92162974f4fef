//! Both ends of the line at once, over real sockets.

mod invalid_frames;

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;
use impasto_core::job::{Input, Recipe, Size};
use impasto_core::preset::Preset;
use impasto_core::protocol::{Command, Event, LayerLosses, Preview, Step};

use super::*;

/// How long a test waits for what must come. Nothing is measured by it.
const TIMEOUT: Duration = Duration::from_secs(60);

pub(super) fn step(iteration: u32) -> Event {
    Event::Step(step_with_total(iteration, f64::from(iteration)))
}

pub(super) fn step_with_total(iteration: u32, total: f64) -> Step {
    Step {
        iteration,
        scale: 1,
        width: 40,
        height: 30,
        content: 0.0,
        style: total,
        smoothness: 0.0,
        total,
        rejected_total: None,
        elapsed: f64::from(iteration),
        layers: LayerLosses::default(),
    }
}

pub(super) fn notice(iteration: u32, message: &str) -> Event {
    Event::Notice {
        iteration,
        message: message.to_owned(),
    }
}

pub(super) fn started() -> Event {
    Event::Started {
        job: Box::new(Recipe {
            impasto: "0".to_owned(),
            preset: Preset::default(),
            content: input(),
            style: input(),
            more_styles: Vec::new(),
            start: None,
            masks: Vec::new(),
            device: "cpu".to_owned(),
            precision: "float32".to_owned(),
            libtorch: None,
            weights: String::new(),
            convention: String::new(),
        }),
        output: PathBuf::from("out.png"),
        device: "cpu".to_owned(),
        sizes: vec![Size {
            width: 40,
            height: 30,
            iterations: 100,
        }],
    }
}

pub(super) fn changed(iteration: u32, style: f64) -> Event {
    let mut preset = Preset::default();
    preset.style.weight = style;
    Event::Changed {
        iteration,
        preset: Box::new(preset),
    }
}

fn input() -> Input {
    Input {
        file: "a.png".to_owned(),
        sha256: String::new(),
        width: 40,
        height: 30,
    }
}

fn finished() -> Event {
    Event::Finished {
        output: None,
        iterations: 1,
        elapsed: 1.0,
        stopped: false,
        saved: None,
    }
}

/// A server in a folder of its own.
pub(super) struct Engine {
    pub server: Option<Server>,
    dir: tempfile::TempDir,
}

impl Engine {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::open(
            &[dir.path().join("a.sock")],
            "meadow",
            Path::new("/runs/meadow"),
            Box::new(|_| {}),
        );
        Self {
            server: Some(server.unwrap()),
            dir,
        }
    }

    pub fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("a.sock")
    }

    pub fn attach(&self, role: Role) -> Connection {
        connect(&[self.socket()], role).unwrap()
    }

    pub fn emit(&self, event: &Event) {
        self.server().publish(event);
    }

    pub fn receive(&self) -> Command {
        self.server().recv_timeout(TIMEOUT).expect("a command")
    }

    /// Waits until so many clients are attached.
    pub fn wait_for(&self, clients: usize) {
        until(|| self.server().clients() == clients);
    }
}

pub(super) fn until(mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < TIMEOUT, "waited in vain");
        thread::sleep(Duration::from_millis(2));
    }
}

pub(super) fn next(connection: &Connection) -> Event {
    connection.link.events.recv_timeout(TIMEOUT).unwrap()
}

/// All events up to this one, without it.
pub(super) fn events_before(connection: &Connection, last: &Event) -> Vec<Event> {
    let events = std::iter::from_fn(|| Some(next(connection)));
    events.take_while(|event| event != last).collect()
}

fn steps(events: &[Event]) -> usize {
    let steps = events
        .iter()
        .filter(|event| matches!(event, Event::Step(_)));
    steps.count()
}

fn preview(side: u32) -> Preview {
    Preview {
        iteration: side,
        width: side,
        height: side,
        rgb: vec![7; 3 * (side * side) as usize],
    }
}

fn wanted(side: u32) -> Command {
    Command::Preview {
        width: side,
        height: side,
    }
}

#[test]
fn all_front_ends_receive_the_same_in_the_same_order() {
    let engine = Engine::new();
    let one = engine.attach(Role::Steer);
    let two = engine.attach(Role::Watch);
    let mut events = vec![started()];
    events.extend((1..100).map(step));
    events.extend([
        changed(99, 5.0),
        notice(99, "a\u{1b}[2Jb"),
        Event::Paused { iteration: 99 },
    ]);
    for event in &events {
        engine.emit(event);
    }
    engine.emit(&finished());
    assert_eq!(events_before(&one, &finished()), events);
    assert_eq!(events_before(&two, &finished()), events);
    let three = engine.attach(Role::Watch);
    let late = events_before(&three, &finished());
    assert_eq!(steps(&late), 99);
    let Event::Started { job, .. } = &late[0] else {
        panic!("{:?}", late[0]);
    };
    assert_eq!(job.preset.style.weight, 5.0);
}

#[test]
fn the_greeting_says_what_run_it_is_and_who_steers() {
    let engine = Engine::new();
    let watcher = engine.attach(Role::Watch);
    assert!(!watcher.greeting.steers);
    assert!(!engine.server().steered());
    let one = engine.attach(Role::Steer);
    assert_eq!(one.greeting.run, "meadow");
    assert_eq!(one.greeting.folder, Path::new("/runs/meadow"));
    assert_eq!(one.greeting.pid, std::process::id());
    assert!(one.greeting.steers && one.steers.load(Ordering::Relaxed));
    let two = engine.attach(Role::Steer);
    assert!(!two.greeting.steers);
    assert!(engine.server().steered());
    assert_eq!(engine.server().clients(), 3);

    // A watcher is told so, and its commands are refused.
    two.link.commands.send(Command::Stop).unwrap();
    let Event::Notice { message, .. } = next(&two) else {
        panic!("no notice");
    };
    assert!(message.contains("another terminal"), "{message}");
    one.link.commands.send(Command::Pause).unwrap();
    assert_eq!(engine.receive(), Command::Pause);
    assert_eq!(engine.server().try_recv(), None);

    drop(one.link);
    one.thread.join().unwrap();
    until(|| two.steers.load(Ordering::Relaxed));
    let change = Command::Change(Box::default());
    two.link.commands.send(change.clone()).unwrap();
    assert_eq!(engine.receive(), change);
    drop(two);
    drop(watcher);
    engine.wait_for(0);
    assert!(!engine.server().steered());
}

#[test]
fn last_words_are_received() {
    let engine = Engine::new();
    let control = engine.attach(Role::Control);
    assert_eq!(engine.server().clients(), 0);
    control.link.commands.send(Command::Stop).unwrap();
    drop(control.link);
    control.thread.join().unwrap();
    assert_eq!(engine.receive(), Command::Stop);
}

#[test]
fn who_comes_to_stop_may_do_nothing_else() {
    let engine = Engine::new();
    let control = engine.attach(Role::Control);
    control.link.commands.send(Command::Pause).unwrap();
    let Event::Failed { message, .. } = next(&control) else {
        panic!("no failure");
    };
    assert!(message.contains("may say nothing else"), "{message}");
    assert_eq!(engine.server().try_recv(), None);
}

#[test]
fn previews_go_to_who_asked_for_them() {
    let engine = Engine::new();
    let one = engine.attach(Role::Steer);
    let two = engine.attach(Role::Watch);
    one.link.commands.send(wanted(100)).unwrap();
    assert_eq!(engine.receive(), wanted(100));
    two.link.commands.send(wanted(500)).unwrap();
    engine.server().preview(&preview(100));
    assert_eq!(engine.receive(), wanted(500));
    engine.server().preview(&preview(500));
    for (connection, side) in [(&one, 100), (&two, 500)] {
        let mut got = None;
        until(|| {
            got = connection.link.preview.take();
            got.is_some()
        });
        assert_eq!(got, Some(preview(side)));
    }
    // Nobody asked.
    engine.server().preview(&preview(50));
    engine.emit(&finished());
    assert_eq!(events_before(&one, &finished()), []);
    assert_eq!(one.link.preview.take(), None);
}

#[test]
fn a_front_end_that_reads_nothing_holds_nobody_up() {
    let engine = Engine::new();
    let stuck = engine.attach(Role::Watch);
    let good = engine.attach(Role::Steer);
    stuck.link.commands.send(wanted(600)).unwrap();
    assert_eq!(engine.receive(), wanted(600));
    engine.server().preview(&preview(600));
    let reader = thread::spawn(move || {
        let received = events_before(&good, &finished());
        (received, good)
    });
    engine.emit(&started());
    for iteration in 1..=100_000 {
        engine.emit(&step(iteration));
        if iteration % 1000 == 0 {
            engine.emit(&notice(iteration, "on the way"));
        }
    }
    engine.emit(&finished());
    let (received, _good) = reader.join().unwrap();
    assert_eq!(
        received
            .iter()
            .filter(|event| matches!(event, Event::Notice { .. }))
            .count(),
        100
    );
    assert_eq!(
        received
            .iter()
            .rfind(|event| matches!(event, Event::Step(_))),
        Some(&step(100_000))
    );
    assert_eq!(received[0], started());
    // It missed steps and nothing else.
    let late = events_before(&stuck, &finished());
    assert!(steps(&late) < 100_000);
    assert_eq!(late.len() - steps(&late), 101);
    assert!(late.contains(&step(100_000)));
    assert!(stuck.link.preview.take().is_some());
}

#[test]
fn nobody_misses_or_receives_twice_what_is_reported_while_he_comes() {
    let engine = Engine::new();
    thread::scope(|scope| {
        let emitter = scope.spawn(|| {
            // Few enough that nobody can be so far behind as to miss any.
            for iteration in 1..=400 {
                engine.emit(&step(iteration));
                thread::sleep(Duration::from_micros(100));
            }
            engine.emit(&finished());
        });
        let all: Vec<Connection> = (0..MAX_CLIENTS)
            .map(|_| engine.attach(Role::Watch))
            .collect();
        let whole: Vec<Event> = (1..=400).map(step).collect();
        for late in all {
            assert_eq!(events_before(&late, &finished()), whole);
        }
        emitter.join().unwrap();
    });
}

#[test]
fn leaving_leaves_the_run_alone() {
    let engine = Engine::new();
    let one = engine.attach(Role::Steer);
    engine.emit(&started());
    drop(one.link);
    one.thread.join().unwrap();
    engine.wait_for(0);
    assert_eq!(engine.server().try_recv(), None);
    engine.emit(&step(1));
    let two = engine.attach(Role::Steer);
    assert!(two.greeting.steers);
    assert_eq!(next(&two), started());
    assert_eq!(next(&two), step(1));
}

#[test]
fn leaving_needs_no_engine_that_listens() {
    // An engine that greets and then does nothing at all.
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("a.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let greeting = Greeting {
        version: PROTOCOL_VERSION,
        impasto: "0".to_owned(),
        run: "meadow".to_owned(),
        folder: PathBuf::new(),
        steers: true,
        pid: 1,
    };
    let stuck = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let frame = frame::json(frame::Kind::Greeting, &greeting).unwrap();
        std::io::Write::write_all(&mut stream, &frame).unwrap();
        stream
    });
    let connection = connect(std::slice::from_ref(&socket), Role::Steer).unwrap();
    let _stream = stuck.join().unwrap();
    for _ in 0..5000 {
        let change = Command::Change(Box::default());
        connection.link.commands.send(change).unwrap();
    }
    drop(connection.link);
    connection.thread.join().unwrap();
}

#[test]
fn at_the_end_everyone_receives_what_is_still_owed() {
    let mut engine = Engine::new();
    let one = engine.attach(Role::Steer);
    let two = engine.attach(Role::Watch);
    // Unread words of the other end must not spoil it.
    for _ in 0..100 {
        one.link.commands.send(Command::Pause).unwrap();
    }
    engine.emit(&started());
    for iteration in 1..=400 {
        engine.emit(&step(iteration));
    }
    engine.emit(&finished());
    engine.server = None;
    assert!(!engine.socket().exists());
    for connection in [one, two] {
        let received = events_before(&connection, &finished());
        assert_eq!(received.len(), 401);
        // Not a word more: the run is over.
        let more = connection.link.events.recv_timeout(TIMEOUT);
        assert_eq!(more, Err(RecvTimeoutError::Disconnected));
    }
}

#[test]
fn an_engine_that_goes_without_a_word_has_failed() {
    let mut engine = Engine::new();
    let one = engine.attach(Role::Steer);
    let control = engine.attach(Role::Control);
    engine.emit(&started());
    engine.emit(&finished());
    // Another run began, so that this was not the end.
    engine.emit(&Event::Restarting { output: None });
    engine.server = None;
    for connection in [one, control] {
        let restarting = Event::Restarting { output: None };
        events_before(&connection, &restarting);
        let Event::Failed {
            message, output, ..
        } = next(&connection)
        else {
            panic!("no failure");
        };
        assert!(message.contains("impasto resume meadow"), "{message}");
        assert_eq!(output, None);
        // Commands go nowhere, and say so at last.
        until(|| connection.link.commands.send(Command::Pause).is_err());
        connection.thread.join().unwrap();
    }
    let error = connect(&[engine.socket()], Role::Steer).unwrap_err();
    assert!(matches!(error, LineError::NotPainted), "{error}");
}

#[test]
fn so_many_may_come_and_no_more() {
    let engine = Engine::new();
    let all: Vec<Connection> = (0..MAX_CLIENTS)
        .map(|_| engine.attach(Role::Watch))
        .collect();
    let error = connect(&[engine.socket()], Role::Steer).unwrap_err();
    assert!(error.to_string().contains("16 terminals"), "{error}");
    engine.attach(Role::Control);
    drop(all);
    engine.wait_for(0);
    engine.attach(Role::Steer);
}

#[test]
fn a_file_that_is_no_socket_is_distinguished() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.sock");
    std::fs::write(&file, "").unwrap();
    // The system's wording differs; that it is reported is what counts.
    assert!(connect(&[file], Role::Watch).is_err());
    drop(UnixListener::bind(dir.path().join("b.sock")).unwrap());
    let error = connect(&[dir.path().join("b.sock")], Role::Watch).unwrap_err();
    assert!(matches!(error, LineError::NotPainted), "{error}");
}
