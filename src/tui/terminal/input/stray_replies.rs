//! A reply that comes after it was given up. crossterm takes its beginning for
//! Alt with a character, and all the rest for keys, which could do anything.

use std::time::{Duration, Instant};

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};

/// A reply is there at once, where keys take their time.
const MAX_LENGTH: Duration = Duration::from_millis(200);

/// Knows stray replies among crossterm's events.
#[derive(Debug, Default)]
pub(super) struct StrayReplies {
    /// When the reply began that has not ended yet.
    began: Option<Instant>,
}

impl StrayReplies {
    /// Whether `event` is part of a reply, and no key.
    pub(super) fn holds(&mut self, event: &Event, now: Instant) -> bool {
        let Event::Key(key) = event else {
            return false;
        };
        if begins(key) {
            self.began = Some(now);
            return true;
        }
        let Some(began) = self.began else {
            return false;
        };
        if now.saturating_duration_since(began) > MAX_LENGTH || is_control(key) {
            self.began = None;
            return false;
        }
        if *key == alt('\\') {
            self.began = None;
        }
        true
    }
}

/// `ESC` with `_`, `P`, `]` or `^`. None of them means anything as a key.
fn begins(key: &KeyEvent) -> bool {
    key.modifiers.contains(KeyModifiers::ALT)
        && matches!(key.code, KeyCode::Char('_' | 'P' | ']' | '^'))
}

/// Enter, Escape, Ctrl-C: no reply holds any of these.
fn is_control(key: &KeyEvent) -> bool {
    !matches!(key.code, KeyCode::Char(_)) || key.modifiers.contains(KeyModifiers::CONTROL)
}

fn alt(character: char) -> KeyEvent {
    KeyEvent::new(KeyCode::Char(character), KeyModifiers::ALT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(character: char) -> KeyEvent {
        KeyCode::Char(character).into()
    }

    /// The keys that get through.
    fn through(keys: &[(KeyEvent, u64)]) -> Vec<KeyEvent> {
        let mut stray = StrayReplies::default();
        let mut now = Instant::now();
        let mut left = Vec::new();
        for (key, milliseconds) in keys {
            now += Duration::from_millis(*milliseconds);
            if !stray.holds(&Event::Key(*key), now) {
                left.push(*key);
            }
        }
        left
    }

    #[test]
    fn a_reply_does_nothing() {
        let mut keys = vec![(plain('a'), 0), (alt('_'), 1)];
        keys.extend("Gi=31;OK".chars().map(|character| (plain(character), 0)));
        keys.push((alt('\\'), 0));
        keys.push((plain('b'), 0));
        assert_eq!(through(&keys), [plain('a'), plain('b')]);
        // Crossterm says that a capital is typed with shift.
        let shift = KeyModifiers::ALT | KeyModifiers::SHIFT;
        let device = KeyEvent::new(KeyCode::Char('P'), shift);
        assert_eq!(through(&[(device, 0), (plain('>'), 0)]), []);
    }

    #[test]
    fn a_key_that_looks_like_one_holds_up_none_for_long() {
        let enter = KeyCode::Enter.into();
        assert_eq!(through(&[(alt('_'), 0), (plain('q'), 300)]), [plain('q')]);
        assert_eq!(
            through(&[(alt('_'), 0), (enter, 10), (plain('q'), 10)]),
            [enter, plain('q')]
        );
        assert_eq!(through(&[(alt('x'), 0)]), [alt('x')]);
    }
}
