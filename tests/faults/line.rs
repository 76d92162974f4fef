//! Front ends that misbehave on a run's socket.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use impasto_service::ipc::PROTOCOL_VERSION;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Scene, is_whole, unbroken, wait_until};

const ITERATIONS: u32 = 900;

/// Where the run's engine listens: the system knows all sockets, and the last
/// one in the folders of our own is the run's.
fn socket(process: u32) -> PathBuf {
    let mut found = None;
    wait_until("socket", || {
        found = listening(process);
        found.is_some()
    });
    found.expect("it was found")
}

/// The socket with a name that a process holds open.
fn listening(process: u32) -> Option<PathBuf> {
    let held: Vec<String> = fs::read_dir(format!("/proc/{process}/fd"))
        .ok()?
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .filter_map(|link| {
            link.to_str()?
                .strip_prefix("socket:[")?
                .strip_suffix(']')
                .map(str::to_owned)
        })
        .collect();
    let all = fs::read_to_string("/proc/net/unix").ok()?;
    all.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(6);
        let (inode, path) = (words.next()?, words.next()?);
        // Bound beside its place and renamed.
        held.iter()
            .any(|held| held == inode)
            .then(|| PathBuf::from(path).with_extension("sock"))
    })
}

/// A frame as the line has them: length, kind, payload.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_le_bytes().to_vec();
    bytes.push(kind);
    bytes.extend(payload);
    bytes
}

/// What a front end says first.
fn hello(role: &str) -> Vec<u8> {
    let words = format!("{{\"impasto\":{PROTOCOL_VERSION},\"role\":\"{role}\"}}");
    frame(1, words.as_bytes())
}

#[test]
fn rubbish_and_deaf_front_ends_do_not_touch_the_run() {
    let scene = Scene::new();
    let run = scene.begin(ITERATIONS).start();
    let socket = socket(run.process());

    // Two come in properly and never read again.
    let deaf: Vec<UnixStream> = ["watch", "steer"]
        .iter()
        .map(|role| {
            let mut line = UnixStream::connect(&socket).expect("somebody listens");
            line.write_all(&hello(role)).expect("to write");
            let mut header = [0; 5];
            line.read_exact(&mut header).expect("an answer");
            assert_eq!(header[4], 16, "a greeting");
            line
        })
        .collect();

    let mut random = ChaCha8Rng::seed_from_u64(11);
    let mut talks = 0;
    while run.iteration() < u64::from(ITERATIONS) * 2 / 3 {
        let Ok(mut line) = UnixStream::connect(&socket) else {
            break;
        };
        let mut bytes = vec![0; random.gen_range(0..4096)];
        random.fill_bytes(&mut bytes);
        let said = match talks % 4 {
            0 => bytes,
            1 => frame(random.r#gen(), &bytes),
            2 => frame(2, b"\"stop\""),
            _ => [hello("watch"), frame(2, &bytes)].concat(),
        };
        // It may hang up before all is said.
        let _ = line.write_all(&said);
        talks += 1;
    }
    assert!(talks > 10, "{talks} talks");
    run.well();
    drop(deaf);
    assert_eq!(scene.last_loss(), unbroken(ITERATIONS));
    assert!(is_whole(&scene.output()));
}
