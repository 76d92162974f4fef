//! Bytes from a terminal, taken apart into characters and control sequences.

/// No reply is longer than this; more is not a reply.
const MAX_LENGTH: usize = 1024;
const ESCAPE: u8 = 0x1b;
const BELL: u8 = 0x07;

/// One thing that a terminal sends: a key, or a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequence<'a> {
    Char(char),
    /// A control character such as Enter's or Ctrl-C's.
    Control(u8),
    /// `ESC` and a character, as Alt sends it.
    Alt(char),
    /// `ESC O` and one byte.
    Ss3(u8),
    /// `ESC [`, parameters, and the byte that says what they are for.
    Csi {
        parameters: &'a [u8],
        last: u8,
    },
    /// A string: application program command (`_`), device control (`P`),
    /// operating system command (`]`).
    Words {
        kind: u8,
        words: &'a [u8],
    },
    /// Nothing that a terminal should send.
    Junk,
}

/// The first sequence in `bytes` and its length; none if more bytes have to
/// come. A lone `ESC` is such a case: it may be a key, or begin a sequence.
pub fn first(bytes: &[u8]) -> Option<(Sequence<'_>, usize)> {
    match *bytes.first()? {
        ESCAPE => escaped(bytes),
        byte if byte < 0x20 || byte == 0x7f => Some((Sequence::Control(byte), 1)),
        _ => character(bytes)
            .map(|(found, length)| (found.map_or(Sequence::Junk, Sequence::Char), length)),
    }
}

fn escaped(bytes: &[u8]) -> Option<(Sequence<'_>, usize)> {
    match *bytes.get(1)? {
        b'[' => csi(bytes),
        b'O' => {
            let last = *bytes.get(2)?;
            let known = (0x40..0x7f).contains(&last);
            Some(if known {
                (Sequence::Ss3(last), 3)
            } else {
                (Sequence::Junk, 2)
            })
        }
        kind @ (b'_' | b'P' | b']' | b'^' | b'X') => words(bytes, kind),
        // Escape was pressed, and something else came after it.
        byte if byte < 0x20 || byte == 0x7f => Some((Sequence::Control(ESCAPE), 1)),
        _ => character(&bytes[1..])
            .map(|(found, length)| (found.map_or(Sequence::Junk, Sequence::Alt), length + 1)),
    }
}

fn csi(bytes: &[u8]) -> Option<(Sequence<'_>, usize)> {
    // The Linux console sends `ESC [ [ A` for F1 and so on.
    if bytes.get(2) == Some(&b'[') {
        return (bytes.len() > 3).then_some((Sequence::Junk, 4));
    }
    for (index, byte) in bytes.iter().enumerate().skip(2) {
        match byte {
            0x20..=0x3f if index < MAX_LENGTH => {}
            0x40..=0x7e => {
                let sequence = Sequence::Csi {
                    parameters: &bytes[2..index],
                    last: *byte,
                };
                return Some((sequence, index + 1));
            }
            // Broken off: what comes next is for itself.
            _ => return Some((Sequence::Junk, index)),
        }
    }
    None
}

fn words(bytes: &[u8], kind: u8) -> Option<(Sequence<'_>, usize)> {
    for (index, byte) in bytes.iter().enumerate().skip(2) {
        let end = match *byte {
            BELL => 1,
            ESCAPE => match bytes.get(index + 1)? {
                b'\\' => 2,
                _ => return Some((Sequence::Junk, index)),
            },
            // A string holds no control characters: this is a key.
            0x20.. if index < MAX_LENGTH => continue,
            _ => return Some((Sequence::Junk, index)),
        };
        let words = &bytes[2..index];
        return Some((Sequence::Words { kind, words }, index + end));
    }
    None
}

/// The character at the beginning and its length in bytes; the character is
/// none where the bytes are not UTF-8.
fn character(bytes: &[u8]) -> Option<(Option<char>, usize)> {
    let length = match bytes.first()? {
        0..0x80 => 1,
        0xc2..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0..0xf5 => 4,
        _ => return Some((None, 1)),
    };
    for count in 1..length {
        match bytes.get(count)? {
            0x80..0xc0 => {}
            _ => return Some((None, count)),
        }
    }
    let text = str::from_utf8(&bytes[..length]).ok();
    Some((text.and_then(|text| text.chars().next()), length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut bytes: &[u8]) -> Vec<Sequence<'_>> {
        let mut found = Vec::new();
        while let Some((sequence, length)) = first(bytes) {
            assert!(length > 0);
            found.push(sequence);
            bytes = &bytes[length..];
        }
        assert!(bytes.is_empty(), "{bytes:?}");
        found
    }

    #[test]
    fn keys_and_replies_are_distinguished() {
        use Sequence::{Alt, Char, Control, Csi, Ss3, Words};
        let csi = |parameters, last| Csi { parameters, last };
        let bytes = "qé€\u{1f600}\r\x1b[A\x1bOP\x1b[1;5C\x1b_Gi=31;OK\x1b\\\x1bP>|kitty(0.36)\x1b\\\x1b]11;x\x07\x1b[?62;4cx\x1bé\x1b\r";
        assert_eq!(
            all(bytes.as_bytes()),
            [
                Char('q'),
                Char('é'),
                Char('€'),
                Char('\u{1f600}'),
                Control(b'\r'),
                csi(b"", b'A'),
                Ss3(b'P'),
                csi(b"1;5", b'C'),
                Words {
                    kind: b'_',
                    words: b"Gi=31;OK"
                },
                Words {
                    kind: b'P',
                    words: b">|kitty(0.36)"
                },
                Words {
                    kind: b']',
                    words: b"11;x"
                },
                csi(b"?62;4", b'c'),
                Char('x'),
                Alt('é'),
                Control(0x1b),
                Control(b'\r'),
            ]
        );
    }

    #[test]
    fn a_part_waits_for_the_rest() {
        for bytes in [
            &b""[..],
            b"\x1b",
            b"\x1b[",
            b"\x1b[[",
            b"\x1b[?62;",
            b"\x1bO",
            b"\x1b_Gi=31",
            b"\x1b_Gi=31;OK\x1b",
            b"\xc3",
            b"\x1b\xe2\x82",
        ] {
            assert_eq!(first(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn what_breaks_off_spoils_nothing_after_it() {
        // Ctrl-C within a reply that never ends.
        assert_eq!(
            all(b"\x1b_Gi=3\x03"),
            [Sequence::Junk, Sequence::Control(3)]
        );
        assert_eq!(all(b"\x1b[12\x03"), [Sequence::Junk, Sequence::Control(3)]);
        assert_eq!(all(b"\xffq"), [Sequence::Junk, Sequence::Char('q')]);
        assert_eq!(all(b"\xe2q"), [Sequence::Junk, Sequence::Char('q')]);
        assert_eq!(all(b"\x1b[[Bq"), [Sequence::Junk, Sequence::Char('q')]);
        let endless = [b"\x1b_".to_vec(), vec![b'x'; 3 * MAX_LENGTH]].concat();
        assert_eq!(first(&endless), Some((Sequence::Junk, MAX_LENGTH)));
    }

    #[test]
    fn no_bytes_panic_or_stand_still() {
        let mut state = 1_u32;
        let mut bytes = Vec::new();
        for _ in 0..20_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Many escapes, brackets and separators.
            let pick = b"\x1b\x1b[O_P];?4c\\\x07q\xc3\xa9\xff"[(state >> 16) as usize % 17];
            bytes.push(pick);
        }
        let mut rest = &bytes[..];
        while let Some((_, length)) = first(rest) {
            assert!(length > 0 && length <= rest.len());
            rest = &rest[length..];
        }
        assert!(rest.len() <= MAX_LENGTH + 1);
    }
}
