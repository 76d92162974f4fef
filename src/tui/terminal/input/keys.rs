//! Keys, for as long as the terminal's answer may come in between them.
//! Otherwise crossterm understands keys; this is the part of them that the
//! dashboard has a use for.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use impasto_graphics::terminal::sequence::Sequence;

/// The key that a terminal means by a sequence; none where it means another.
pub(super) fn key(sequence: &Sequence<'_>) -> Option<KeyEvent> {
    match *sequence {
        Sequence::Char(character) => Some(typed(character)),
        Sequence::Control(byte) => control(byte),
        Sequence::Alt(character) => {
            let key = typed(character);
            Some(KeyEvent::new(key.code, key.modifiers | KeyModifiers::ALT))
        }
        Sequence::Ss3(last) => Some(named(last)?.into()),
        Sequence::Csi { parameters, last } => csi(parameters, last),
        Sequence::Words { .. } | Sequence::Junk => None,
    }
}

fn typed(character: char) -> KeyEvent {
    let modifiers = if character.is_uppercase() {
        KeyModifiers::SHIFT
    } else {
        KeyModifiers::NONE
    };
    KeyEvent::new(KeyCode::Char(character), modifiers)
}

fn control(byte: u8) -> Option<KeyEvent> {
    let letter = match byte {
        b'\r' => return Some(KeyCode::Enter.into()),
        b'\t' => return Some(KeyCode::Tab.into()),
        0x7f => return Some(KeyCode::Backspace.into()),
        0x1b => return Some(KeyCode::Esc.into()),
        0 => ' ',
        1..=26 => char::from(byte - 1 + b'a'),
        // As crossterm has them.
        28..=31 => char::from(byte - 28 + b'4'),
        _ => return None,
    };
    Some(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL))
}

fn csi(parameters: &[u8], last: u8) -> Option<KeyEvent> {
    let text = str::from_utf8(parameters).ok()?;
    let mut numbers = text.split(';').map(|one| one.parse::<u8>().ok());
    let number = numbers.next().flatten();
    let modifiers = match numbers.next().flatten() {
        Some(held) => {
            let held = held.saturating_sub(1);
            let mut modifiers = KeyModifiers::NONE;
            modifiers.set(KeyModifiers::SHIFT, held & 1 != 0);
            modifiers.set(KeyModifiers::ALT, held & 2 != 0);
            modifiers.set(KeyModifiers::CONTROL, held & 4 != 0);
            modifiers
        }
        None => KeyModifiers::NONE,
    };
    let code = match (last, number) {
        (b'Z', _) => return Some(KeyEvent::new(KeyCode::BackTab, KeyModifiers::SHIFT)),
        (b'~', Some(number)) => match number {
            1 | 7 => KeyCode::Home,
            2 => KeyCode::Insert,
            3 => KeyCode::Delete,
            4 | 8 => KeyCode::End,
            5 => KeyCode::PageUp,
            6 => KeyCode::PageDown,
            11..=15 => KeyCode::F(number - 10),
            17..=21 => KeyCode::F(number - 11),
            23..=24 => KeyCode::F(number - 12),
            _ => return None,
        },
        // Plain, or `1` and what is held with it.
        (_, None | Some(1)) => named(last)?,
        _ => return None,
    };
    Some(KeyEvent::new(code, modifiers))
}

fn named(last: u8) -> Option<KeyCode> {
    Some(match last {
        b'A' => KeyCode::Up,
        b'B' => KeyCode::Down,
        b'C' => KeyCode::Right,
        b'D' => KeyCode::Left,
        b'H' => KeyCode::Home,
        b'F' => KeyCode::End,
        b'P'..=b'S' => KeyCode::F(last - b'P' + 1),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use impasto_graphics::terminal::sequence;

    #[test]
    fn keys_are_those_that_crossterm_would_report() {
        use KeyModifiers as M;
        for (bytes, code, modifiers) in [
            (&b"q"[..], KeyCode::Char('q'), M::NONE),
            (b"Q", KeyCode::Char('Q'), M::SHIFT),
            ("é".as_bytes(), KeyCode::Char('é'), M::NONE),
            (b"\r", KeyCode::Enter, M::NONE),
            (b"\t", KeyCode::Tab, M::NONE),
            (b"\x7f", KeyCode::Backspace, M::NONE),
            (b"\x03", KeyCode::Char('c'), M::CONTROL),
            (b"\n", KeyCode::Char('j'), M::CONTROL),
            (b"\0", KeyCode::Char(' '), M::CONTROL),
            (b"\x1c", KeyCode::Char('4'), M::CONTROL),
            (b"\x1bx", KeyCode::Char('x'), M::ALT),
            (b"\x1b[A", KeyCode::Up, M::NONE),
            (b"\x1bOB", KeyCode::Down, M::NONE),
            (b"\x1b[1;5C", KeyCode::Right, M::CONTROL),
            (b"\x1b[1;2D", KeyCode::Left, M::SHIFT),
            (b"\x1b[Z", KeyCode::BackTab, M::SHIFT),
            (b"\x1b[H", KeyCode::Home, M::NONE),
            (b"\x1b[3~", KeyCode::Delete, M::NONE),
            (b"\x1b[6;5~", KeyCode::PageDown, M::CONTROL),
            (b"\x1bOP", KeyCode::F(1), M::NONE),
            (b"\x1b[15~", KeyCode::F(5), M::NONE),
            (b"\x1b[17~", KeyCode::F(6), M::NONE),
            (b"\x1b[24~", KeyCode::F(12), M::NONE),
        ] {
            let (sequence, length) = sequence::first(bytes).unwrap();
            assert_eq!(length, bytes.len());
            assert_eq!(
                key(&sequence),
                Some(KeyEvent::new(code, modifiers)),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn what_is_no_key_is_none() {
        for bytes in [
            &b"\x1b[?62;4c"[..],
            b"\x1b[6;16;8t",
            b"\x1b[<0;3;4M",
            b"\x1b[99~",
            b"\x1b[I",
            b"\x1b_Gi=31;OK\x1b\\",
            b"\xff",
        ] {
            let (sequence, _) = sequence::first(bytes).unwrap();
            assert_eq!(key(&sequence), None, "{bytes:?}");
        }
    }
}
