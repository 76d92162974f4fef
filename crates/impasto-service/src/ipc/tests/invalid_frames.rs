//! What the engine does with those who are not what they should be.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::ipc::frame::{Kind, json, plain, read};

/// Sends these bytes and gives what comes back until the line ends.
fn answer(engine: &Engine, bytes: &[u8]) -> Vec<u8> {
    let mut stream = UnixStream::connect(engine.socket()).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    // The engine may have closed it by now.
    let _ = stream.write_all(bytes);
    let mut back = Vec::new();
    let _ = stream.read_to_end(&mut back);
    back
}

/// The sentence of the first refusal in an answer.
fn refusal(mut answer: &[u8]) -> String {
    let kinds = [
        Kind::Greeting,
        Kind::Event,
        Kind::HandshakeError,
        Kind::Role,
    ];
    loop {
        let (kind, payload) = read(&mut answer, &kinds).unwrap();
        if kind == Kind::HandshakeError {
            return String::from_utf8(payload).unwrap();
        }
    }
}

fn hello(text: &str) -> Vec<u8> {
    plain(Kind::Hello, text.as_bytes()).to_vec()
}

fn good_hello() -> Vec<u8> {
    let hello = Hello {
        impasto: PROTOCOL_VERSION,
        role: Role::Steer,
    };
    json(Kind::Hello, &hello).unwrap().to_vec()
}

#[test]
fn an_invalid_hello_is_answered_with_a_reason() {
    let engine = Engine::new();
    let cases = [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "kind 47"),
        (hello("{}"), "not one of impasto's"),
        (hello("[1]"), "not one of impasto's"),
        (hello("{\"impasto\":"), "cannot be read"),
        (
            hello("{\"impasto\":2,\"role\":\"paint\"}"),
            "cannot be read",
        ),
        (hello("{\"impasto\":2}"), "cannot be read"),
        (hello("{\"impasto\":3,\"part\":\"x\"}"), "speaks version 2"),
        ([0xff, 0xff, 0xff, 0xff, 1].to_vec(), "longer than"),
        ([0, 0, 0, 0, 2].to_vec(), "kind 2 has no place"),
        ([good_hello(), vec![0, 0, 0, 0, 1]].concat(), "kind 1 has"),
        (
            [good_hello(), plain(Kind::Command, b"\"dance\"").to_vec()].concat(),
            "the command cannot be read",
        ),
        (
            [good_hello(), vec![0, 0, 0, 0x7f, Kind::Command as u8]].concat(),
            "longer than",
        ),
    ];
    for (bytes, expected) in cases {
        let sentence = refusal(&answer(&engine, &bytes));
        assert!(sentence.contains(expected), "{sentence}");
    }
    engine.wait_for(0);
}

#[test]
fn versions_name_each_other() {
    let engine = Engine::new();
    let sentence = refusal(&answer(&engine, &hello("{\"impasto\":77}")));
    assert!(sentence.contains("version 77"), "{sentence}");
    let ours = format!("version {PROTOCOL_VERSION} ");
    assert!(sentence.contains(&ours), "{sentence}");
    let impasto = format!("impasto {}", env!("CARGO_PKG_VERSION"));
    assert!(sentence.contains(&impasto), "{sentence}");
}

/// Bytes that may begin well, and do not end so.
fn rubbish(random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    if random.gen_bool(0.6) {
        bytes.extend(good_hello());
    }
    if random.gen_bool(0.3) {
        let command = json(Kind::Command, &wanted(50)).unwrap();
        bytes.extend_from_slice(&command);
    }
    match random.gen_range(0..5) {
        // A frame cut short.
        0 => {
            let frame = json(Kind::Command, &Command::Change(Box::default())).unwrap();
            bytes.extend_from_slice(&frame[..random.gen_range(0..frame.len())]);
        }
        // A frame with one wrong byte.
        1 => {
            let frame = json(Kind::Command, &Command::Change(Box::default())).unwrap();
            let mut frame = frame.to_vec();
            let at = random.gen_range(0..frame.len());
            frame[at] ^= random.gen_range(1..=255_u8);
            bytes.extend(frame);
        }
        // A length out of the blue.
        2 => {
            bytes.extend(random.r#gen::<u32>().to_le_bytes());
            bytes.push(random.gen_range(0..24));
            bytes.extend([b' '; 50]);
        }
        // A good frame around noise.
        3 => {
            let mut noise = vec![0; random.gen_range(0..200)];
            random.fill_bytes(&mut noise);
            let kind = if bytes.is_empty() {
                Kind::Hello
            } else {
                Kind::Command
            };
            bytes.extend_from_slice(&plain(kind, &noise));
        }
        _ => {
            let mut noise = vec![0; random.gen_range(0..300)];
            random.fill_bytes(&mut noise);
            bytes.extend(noise);
        }
    }
    bytes
}

#[test]
fn no_bytes_bring_the_engine_down() {
    let engine = Engine::new();
    let good = engine.attach(Role::Steer);
    let mut random = ChaCha8Rng::seed_from_u64(17);
    for round in 0..2000 {
        let mut stream = UnixStream::connect(engine.socket()).unwrap();
        let _ = stream.write_all(&rubbish(&mut random));
        if random.gen_bool(0.5) {
            let _ = stream.shutdown(Shutdown::Write);
            // Some look at the answer.
            let mut back = [0; 64];
            let _ = stream.read(&mut back);
        }
        drop(stream);
        if round % 100 == 0 {
            engine.emit(&step(round));
            assert_eq!(next(&good), step(round));
        }
        while let Some(command) = engine.server().try_recv() {
            assert_eq!(command, wanted(50));
            engine.server().preview(&preview(20));
        }
    }
    engine.wait_for(1);
    good.link.commands.send(Command::Pause).unwrap();
    until(|| match engine.server().try_recv() {
        Some(Command::Pause) => true,
        Some(other) => panic!("{other:?}"),
        None => false,
    });
    assert_eq!(engine.attach(Role::Watch).greeting.run, "meadow");
}
