//! What one front end is still owed.
//!
//! The engine puts things in and never waits; a thread of the front end's own
//! takes them out as fast as its socket takes them. Steps and the memory in
//! use are news only while they are new: a front end that is behind misses
//! them, all but the latest. It misses nothing else: one that is too far behind
//! for that is let go.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};

use impasto_core::protocol::Event;

use super::frame::Frame;
use super::lock;

/// How much may wait.
const FULL: usize = 1024;
/// How much may wait before steps are left out.
const HALF: usize = FULL / 2;

/// Frames on their way to one front end.
#[derive(Debug)]
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<Item>,
    /// The latest step, where there was no room for it.
    latest: Option<Frame>,
    /// The latest preview. It waits beside the rest, so that a newer one can
    /// take its place.
    preview: Option<Frame>,
    /// Nothing more is put in.
    ended: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    Frame(Frame),
    /// What the front end missed before it came: however long, it takes one
    /// place. It is written down by whoever takes it out, not by the engine.
    Replay(Vec<Event>),
}

impl Outbox {
    /// An outbox that begins with these.
    pub(super) fn new(greeting: Frame, replay: Vec<Event>) -> Self {
        let items = [Item::Frame(greeting), Item::Replay(replay)].into();
        Self {
            queue: Mutex::new(Queue {
                items,
                ..Queue::default()
            }),
            changed: Condvar::new(),
        }
    }

    /// Puts in what must arrive. False if there is no room.
    pub(super) fn push(&self, frame: Frame) -> bool {
        self.change(|queue| {
            if queue.items.len() >= FULL {
                return false;
            }
            let latest = queue.latest.take();
            let frames = latest.into_iter().chain([frame]);
            queue.items.extend(frames.map(Item::Frame));
            true
        })
    }

    /// Puts in a step, or something else that the next of its kind makes old.
    pub(super) fn push_step(&self, frame: Frame) {
        self.change(|queue| {
            queue.latest = None;
            if queue.items.len() < HALF {
                queue.items.push_back(Item::Frame(frame));
            } else {
                queue.latest = Some(frame);
            }
        });
    }

    /// Puts in a preview, in place of one that still waits.
    pub(super) fn put_preview(&self, frame: Frame) {
        self.change(|queue| queue.preview = Some(frame));
    }

    /// Ends it after what is in it.
    pub(super) fn end(&self) {
        self.change(|queue| queue.ended = true);
    }

    /// Ends it with this in place of all that is in it.
    pub(super) fn end_with(&self, frame: Frame) {
        self.change(|queue| {
            *queue = Queue {
                items: [Item::Frame(frame)].into(),
                ended: true,
                ..Queue::default()
            };
        });
    }

    /// Waits for what is next: one item, and the latest preview. None at the
    /// end.
    pub(super) fn next(&self) -> Option<(Option<Item>, Option<Frame>)> {
        let mut queue = lock(&self.queue);
        loop {
            let item = match queue.items.pop_front() {
                None => queue.latest.take().map(Item::Frame),
                item => item,
            };
            let preview = queue.preview.take();
            if item.is_some() || preview.is_some() {
                return Some((item, preview));
            }
            if queue.ended {
                return None;
            }
            queue = self
                .changed
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn change<T: Default>(&self, change: impl FnOnce(&mut Queue) -> T) -> T {
        let mut queue = lock(&self.queue);
        if queue.ended {
            return T::default();
        }
        let result = change(&mut queue);
        self.changed.notify_all();
        result
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn frame(number: usize) -> Frame {
        Arc::new(number.to_le_bytes().to_vec())
    }

    /// The numbers of all frames that are in it.
    fn numbers(outbox: &Outbox) -> Vec<usize> {
        outbox.end();
        let taken = std::iter::from_fn(|| outbox.next());
        taken
            .filter_map(|(item, _)| match item? {
                Item::Frame(frame) => Some(frame),
                Item::Replay(_) => None,
            })
            .map(|frame| usize::from_le_bytes(frame[..].try_into().unwrap()))
            .collect()
    }

    #[test]
    fn a_reader_that_is_behind_misses_all_steps_but_the_latest() {
        let outbox = Outbox::new(frame(0), Vec::new());
        for number in 1..=10 * FULL {
            outbox.push_step(frame(number));
        }
        assert!(outbox.push(frame(1_000_000)));
        let numbers = numbers(&outbox);
        let first: Vec<usize> = (0..HALF - 1).collect();
        assert_eq!(numbers[..HALF - 1], first);
        assert_eq!(numbers[HALF - 1..], [10 * FULL, 1_000_000]);
    }

    #[test]
    fn a_step_that_was_held_back_comes_when_there_is_room() {
        let outbox = Outbox::new(frame(0), Vec::new());
        for number in 1..FULL {
            outbox.push_step(frame(number));
        }
        assert_eq!(numbers(&outbox).last(), Some(&(FULL - 1)));
        // One that is newer takes its place in time too.
        let outbox = Outbox::new(frame(0), Vec::new());
        for number in 1..FULL {
            outbox.push_step(frame(number));
        }
        outbox.next();
        outbox.push_step(frame(FULL));
        let numbers = numbers(&outbox);
        assert!(numbers.is_sorted(), "{numbers:?}");
        assert_eq!(numbers.last(), Some(&FULL));
    }

    #[test]
    fn what_must_arrive_has_room_beside_the_steps_until_all_is_full() {
        let outbox = Outbox::new(frame(0), Vec::new());
        for number in 1..FULL {
            outbox.push_step(frame(number));
        }
        let pushed = (0..FULL).take_while(|&n| outbox.push(frame(n))).count();
        assert!((HALF - 1..=HALF).contains(&pushed), "{pushed}");
    }

    #[test]
    fn the_latest_preview_wins_and_needs_no_empty_queue() {
        let outbox = Outbox::new(frame(0), Vec::new());
        outbox.put_preview(frame(1));
        outbox.put_preview(frame(2));
        let first = outbox.next().unwrap();
        assert_eq!(first, (Some(Item::Frame(frame(0))), Some(frame(2))));
    }

    #[test]
    fn nothing_is_put_in_after_the_end() {
        let outbox = Outbox::new(frame(0), Vec::new());
        outbox.end_with(frame(5));
        assert!(!outbox.push(frame(6)));
        outbox.put_preview(frame(7));
        assert_eq!(outbox.next(), Some((Some(Item::Frame(frame(5))), None)));
        assert_eq!(outbox.next(), None);
    }
}
