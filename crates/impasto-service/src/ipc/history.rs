//! A condensed replay of the events for a client that attaches late.
//!
//! Every event that still matters is kept with its place in the
//! order, so that a late client receives it in that order, with gaps: the losses
//! thinned out, of all changes of the preset only the outcome, of notices the
//! latest. It ends up knowing of the run what one knows that was there from
//! the start.

use std::collections::VecDeque;

use impasto_core::protocol::Event;

/// How many steps are kept, the latest beside them.
const MAX_STEPS: usize = 4000;
/// How many notices and snapshots are kept.
const MAX_NOTICES: usize = 50;
/// How many steps of a preparation are kept. Those there are, are fewer.
const MAX_PREPARING: usize = 64;

/// The state of a run, as a list of events that lead to it.
#[derive(Clone, Debug)]
pub struct History {
    /// The place of the next event in the order.
    next: u64,
    /// [`Event::Started`], with the preset as it is by now.
    started: Option<Placed>,
    /// The steps of the preparation that is under way.
    preparing: VecDeque<Placed>,
    /// Every so many-th step is kept: `stride`, of which so many passed since
    /// the last.
    steps: Vec<Placed>,
    stride: u64,
    passed: u64,
    /// The latest step, kept or not.
    latest: Option<Placed>,
    /// [`Event::Paused`], while it holds.
    paused: Option<Placed>,
    memory: Option<Placed>,
    /// [`Event::Notice`] and [`Event::Saved`].
    notices: VecDeque<Placed>,
    /// [`Event::Finished`] or [`Event::Failed`].
    end: Option<Placed>,
}

/// An event and its place in the order.
type Placed = (u64, Event);

impl Default for History {
    fn default() -> Self {
        Self {
            next: 0,
            started: None,
            preparing: VecDeque::new(),
            steps: Vec::new(),
            stride: 1,
            passed: 0,
            latest: None,
            paused: None,
            memory: None,
            notices: VecDeque::new(),
            end: None,
        }
    }
}

impl History {
    /// Records an event.
    pub fn note(&mut self, event: &Event) {
        let placed = (self.next, event.clone());
        self.next += 1;
        match event {
            Event::Preparing { step, .. } => self.note_preparing(*step, placed),
            Event::Started { .. } => {
                self.preparing.clear();
                self.started = Some(placed);
            }
            Event::Step(_) => {
                self.preparing.clear();
                self.note_step(placed);
            }
            Event::Paused { .. } => self.paused = Some(placed),
            Event::Resumed { .. } => self.paused = None,
            Event::Changed { preset, .. } => {
                self.preparing.clear();
                if let Some((_, Event::Started { job, .. })) = &mut self.started {
                    job.preset = (**preset).clone();
                }
            }
            Event::Notice { .. } | Event::Saved { .. } => {
                push_bounded(&mut self.notices, placed, MAX_NOTICES);
            }
            Event::Memory(_) => self.memory = Some(placed),
            Event::Restarting { .. } => *self = Self::default(),
            Event::Finished { .. } | Event::Failed { .. } => {
                self.preparing.clear();
                self.paused = None;
                self.end = Some(placed);
            }
        }
    }

    /// The events to replay, in this order.
    #[must_use]
    pub fn replay(&self) -> Vec<Event> {
        let last_kept = self.steps.last().map(|(place, _)| *place);
        let latest = self.latest.iter();
        let latest = latest.filter(|(place, _)| Some(*place) != last_kept);
        let mut all: Vec<&Placed> = self
            .started
            .iter()
            .chain(&self.preparing)
            .chain(&self.steps)
            .chain(latest)
            .chain(&self.paused)
            .chain(&self.memory)
            .chain(&self.notices)
            .chain(&self.end)
            .collect();
        all.sort_unstable_by_key(|(place, _)| *place);
        all.into_iter().map(|(_, event)| event.clone()).collect()
    }

    fn note_preparing(&mut self, step: u32, placed: Placed) {
        // A number that does not follow the last begins another
        // preparation; steps without a number come before the numbered.
        if let Some((_, Event::Preparing { step: last, .. })) = self.preparing.back()
            && (step < *last || step == *last && step != 0)
        {
            self.preparing.clear();
        }
        push_bounded(&mut self.preparing, placed, MAX_PREPARING);
    }

    fn note_step(&mut self, placed: Placed) {
        self.latest = Some(placed.clone());
        if self.passed == 0 {
            self.steps.push(placed);
        }
        self.passed = (self.passed + 1) % self.stride;
        if self.steps.len() > MAX_STEPS {
            let mut odd = true;
            self.steps.retain(|_| {
                odd = !odd;
                !odd
            });
            // `MAX_STEPS` is even: the last step was kept, and the next to
            // keep is twice as far from it.
            self.stride *= 2;
            self.passed = 1 % self.stride;
        }
    }
}

fn push_bounded(queue: &mut VecDeque<Placed>, placed: Placed, most: usize) {
    if queue.len() == most {
        queue.pop_front();
    }
    queue.push_back(placed);
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::ipc::tests::{changed, notice, started, step};
    use impasto_core::preset::Preset;
    use impasto_core::protocol::Memory;

    /// What a client shows after these events.
    #[derive(Debug, Default, PartialEq)]
    struct Screen {
        preset: Option<Preset>,
        preparing: Vec<Event>,
        first: Option<Event>,
        latest: Option<Event>,
        paused: bool,
        memory: Option<Memory>,
        notices: Vec<Event>,
        end: Option<Event>,
    }

    impl Screen {
        fn after(events: &[Event]) -> Self {
            let mut screen = Self::default();
            for event in events {
                screen.apply(event);
            }
            let old = screen.notices.len().saturating_sub(MAX_NOTICES);
            screen.notices.drain(..old);
            screen
        }

        fn apply(&mut self, event: &Event) {
            match event {
                Event::Preparing { step, .. } => {
                    if *step == 1 {
                        self.preparing.clear();
                    }
                    self.preparing.push(event.clone());
                }
                Event::Started { job, .. } => {
                    self.preset = Some(job.preset.clone());
                    self.preparing.clear();
                }
                Event::Step(_) => {
                    self.preparing.clear();
                    self.first.get_or_insert_with(|| event.clone());
                    self.latest = Some(event.clone());
                }
                Event::Paused { .. } => self.paused = true,
                Event::Resumed { .. } => self.paused = false,
                Event::Changed { preset, .. } => {
                    self.preparing.clear();
                    self.preset = Some((**preset).clone());
                }
                Event::Notice { .. } | Event::Saved { .. } => self.notices.push(event.clone()),
                Event::Memory(memory) => self.memory = Some(*memory),
                Event::Restarting { .. } => *self = Self::default(),
                Event::Finished { .. } | Event::Failed { .. } => {
                    self.preparing.clear();
                    self.paused = false;
                    self.end = Some(event.clone());
                }
            }
        }
    }

    fn replay(events: &[Event]) -> Vec<Event> {
        let mut history = History::default();
        for event in events {
            history.note(event);
        }
        history.replay()
    }

    /// The events of a run of some length.
    fn random_events(random: &mut ChaCha8Rng) -> Vec<Event> {
        let mut events = Vec::new();
        let preparing = |events: &mut Vec<Event>, of: u32| {
            events.extend((1..=of).map(|step| Event::Preparing {
                what: format!("step {step}"),
                step,
                of,
            }));
        };
        preparing(&mut events, 4);
        events.push(started());
        let mut iteration = 0;
        for _ in 0..random.gen_range(0..400) {
            match random.gen_range(0..12) {
                0 => events.push(notice(iteration, "a word")),
                1 => preparing(&mut events, random.gen_range(1..4)),
                2 => events.push(changed(iteration, random.gen_range(1.0..9.0))),
                3 => events.push(Event::Paused { iteration }),
                4 => events.push(Event::Resumed { iteration }),
                5 => events.push(Event::Memory(Memory {
                    used_bytes: random.r#gen(),
                    total_bytes: u64::MAX,
                })),
                6 => events.push(Event::Saved {
                    iteration,
                    output: PathBuf::from("a.png"),
                }),
                7 if random.gen_bool(0.1) => {
                    events.push(Event::Restarting { output: None });
                    preparing(&mut events, 4);
                    events.push(started());
                    iteration = 0;
                }
                _ => {
                    iteration += 1;
                    events.push(step(iteration));
                }
            }
        }
        if random.gen_bool(0.3) {
            events.push(Event::Failed {
                message: "no more".to_owned(),
                output: None,
                refused: false,
            });
        }
        events.truncate(random.gen_range(0..=events.len()));
        events
    }

    #[test]
    fn who_comes_late_ends_up_with_the_same_screen() {
        for seed in 0..500 {
            let events = random_events(&mut ChaCha8Rng::seed_from_u64(seed));
            let replay = replay(&events);
            assert_eq!(Screen::after(&replay), Screen::after(&events), "{seed}");
        }
    }

    #[test]
    fn what_was_left_whole_keeps_its_order() {
        let events = [
            started(),
            step(1),
            notice(1, "one"),
            step(2),
            Event::Paused { iteration: 2 },
            notice(2, "two"),
        ];
        assert_eq!(replay(&events), events);
    }

    #[test]
    fn a_long_run_is_thinned_evenly_from_the_first_step_to_the_last() {
        for length in [3999, 4000, 4001, 4002, 8001, 100_003] {
            let events: Vec<Event> = (1..=length).map(step).collect();
            let kept: Vec<u32> = replay(&events)
                .iter()
                .map(|event| match event {
                    Event::Step(step) => step.iteration,
                    other => panic!("{other:?}"),
                })
                .collect();
            assert!(kept.len() <= MAX_STEPS + 1, "{}", kept.len());
            assert!(kept.len() >= MAX_STEPS / 2, "{}", kept.len());
            assert_eq!((kept[0], kept[kept.len() - 1]), (1, length));
            let gap = kept[1] - kept[0];
            let even = kept[..kept.len() - 1].windows(2);
            assert!(even.into_iter().all(|pair| pair[1] - pair[0] == gap));
            assert!(kept[kept.len() - 1] - kept[kept.len() - 2] <= gap);
        }
    }

    #[test]
    fn notices_and_preparations_are_bounded() {
        let mut events = vec![started()];
        events.extend((0..1000).map(|n| notice(n, "again")));
        events.extend((2..1000).map(|step| Event::Preparing {
            what: String::new(),
            step,
            of: 1000,
        }));
        assert_eq!(replay(&events).len(), 1 + MAX_NOTICES + MAX_PREPARING);
    }

    #[test]
    fn a_restart_begins_from_nothing() {
        let events = [
            started(),
            step(1),
            notice(1, "before"),
            Event::Restarting { output: None },
            notice(0, "after"),
        ];
        assert_eq!(replay(&events), [notice(0, "after")]);
    }
}
