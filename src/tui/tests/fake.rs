//! Stand-ins for the two ends of the dashboard: a painter that paints nothing,
//! and a terminal that a test scripts.

use std::collections::VecDeque;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError, bounded, unbounded};
use crossterm::event::{KeyCode, KeyEvent};
use image::RgbImage;
use impasto_core::job::{Job, Painted, Plan};
use impasto_core::picture;
use impasto_core::protocol::{
    Command, Event, LayerLosses, Link, Memory, Preview, PreviewSlot, Step,
};
use ratatui::backend::TestBackend;
use ratatui::{Frame, Terminal};

use crate::tui::console::Console;
use crate::tui::remote::Started;
use crate::tui::terminal::InputEvent;

/// Longer than anything takes on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A painter whose losses follow from the weights alone. It obeys as the real
/// one does, and saves its content picture.
pub fn paint(_: &Plan, job: Job) -> io::Result<Started> {
    let (commands, inbox) = unbounded();
    let (outbox, events) = bounded(1024);
    let preview = PreviewSlot::default();
    let slot = preview.clone();
    let thread = thread::spawn(move || {
        let mut next = Some(job);
        while let Some(job) = next.take() {
            let send = |event| drop(outbox.send(event));
            next = one_run(job, &inbox, &send, &slot);
        }
    });
    let link = Link {
        commands,
        events,
        preview,
    };
    Ok(Started {
        link,
        thread,
        remote: None,
        events: None,
    })
}

fn one_run(
    mut job: Job,
    inbox: &Receiver<Command>,
    send: &dyn Fn(Event),
    slot: &PreviewSlot,
) -> Option<Job> {
    for (step, what) in ["reading the network's weights", "looking at the style"]
        .into_iter()
        .enumerate()
    {
        send(Event::Preparing {
            what: what.to_owned(),
            step: step as u32 + 1,
            of: 2,
        });
    }
    let sizes = job.sizes();
    let recipe = job.recipe(Painted {
        device: "cpu".to_owned(),
        ..Painted::default()
    });
    send(Event::Started {
        job: Box::new(recipe),
        output: job.output.clone(),
        device: "cpu".to_owned(),
        sizes: sizes.clone(),
    });
    send(Event::Memory(Memory {
        used_bytes: 3 << 30,
        total_bytes: 24 << 30,
    }));
    let all: u32 = sizes.iter().map(|size| size.iterations).sum();
    let (mut iteration, mut paused, mut over) = (0, false, false);
    loop {
        let command = if paused || over {
            inbox.recv().map_err(|_| TryRecvError::Disconnected)
        } else {
            inbox.try_recv()
        };
        match command {
            Ok(Command::Pause) => {
                paused = true;
                send(Event::Paused { iteration });
            }
            Ok(Command::Resume) => {
                paused = false;
                send(Event::Resumed { iteration });
            }
            Ok(Command::Change(preset)) => {
                job.preset = *preset.clone();
                send(Event::Changed { iteration, preset });
            }
            Ok(Command::Preview { width, height }) => slot.put(Preview {
                iteration,
                width,
                height,
                rgb: [200, 120, 40].repeat((width * height) as usize),
            }),
            Ok(Command::Snapshot { output }) => {
                picture::save(&job.content.picture, &output, None).expect("to save");
                send(Event::Saved { iteration, output });
            }
            Ok(Command::Restart { preset, output, .. }) => {
                send(Event::Restarting { output: None });
                job.preset = *preset;
                job.output = output;
                return Some(job);
            }
            Ok(Command::Stop) if !over => {
                over = true;
                picture::save(&job.content.picture, &job.output, None).expect("to save");
                send(Event::Finished {
                    output: Some(job.output.clone()),
                    iterations: iteration,
                    elapsed: 1.0,
                    stopped: true,
                    saved: None,
                });
            }
            Ok(Command::Stop | Command::Step) => {}
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => {
                iteration += 1;
                send(Event::Step(step(&job, iteration)));
                if iteration >= all {
                    over = true;
                    send(Event::Finished {
                        output: Some(job.output.clone()),
                        iterations: iteration,
                        elapsed: 1.0,
                        stopped: false,
                        saved: None,
                    });
                }
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

fn step(job: &Job, iteration: u32) -> Step {
    let term = |term: &impasto_core::preset::Term| -> (f64, std::collections::BTreeMap<_, f64>) {
        let losses = term.layers.keys().map(|layer| (*layer, 10.0)).collect();
        let sum: f64 = term.layers.values().map(|weight| 10.0 * weight).sum();
        (term.weight * sum, losses)
    };
    let (content, content_layers) = term(&job.preset.content);
    let (style, style_layers) = term(&job.preset.style);
    Step {
        iteration,
        scale: 1,
        width: 64,
        height: 48,
        content,
        style,
        smoothness: 0.0,
        total: content + style,
        rejected_total: None,
        elapsed: f64::from(iteration) / 100.0,
        layers: LayerLosses {
            content: content_layers,
            style: style_layers,
            laplacian: None,
        },
    }
}

/// A terminal that is read and typed at by a script.
pub struct Stage {
    terminal: Terminal<TestBackend>,
    script: VecDeque<Cue>,
    since: Instant,
    /// What was done that no screen shows.
    pub done: Vec<String>,
}

/// What the test waits for, and what then comes in.
struct Cue {
    what: String,
    ready: Box<dyn Fn(&str) -> bool>,
    events: Vec<InputEvent>,
}

impl Stage {
    pub fn new(width: u16, height: u16) -> Self {
        Self {
            terminal: Terminal::new(TestBackend::new(width, height)).expect("a terminal"),
            script: VecDeque::new(),
            since: Instant::now(),
            done: Vec::new(),
        }
    }

    /// Once the screen shows these words, these events come in.
    pub fn when(&mut self, words: &str, events: &[InputEvent]) -> &mut Self {
        let wanted = words.to_owned();
        self.when_it(words, move |screen| screen.contains(&wanted), events)
    }

    /// Once the screen is so, these events come in.
    pub fn when_it(
        &mut self,
        what: &str,
        ready: impl Fn(&str) -> bool + 'static,
        events: &[InputEvent],
    ) -> &mut Self {
        self.script.push_back(Cue {
            what: what.to_owned(),
            ready: Box::new(ready),
            events: events.to_vec(),
        });
        self
    }

    pub fn screen(&self) -> String {
        self.terminal.backend().to_string()
    }

    /// Whether all that was scripted has happened.
    pub fn is_played(&self) -> bool {
        self.script.is_empty()
    }
}

/// Keys, from their characters.
pub fn keys(text: &str) -> Vec<InputEvent> {
    text.chars()
        .map(|character| match character {
            '\n' => key(KeyCode::Enter),
            other => key(KeyCode::Char(other)),
        })
        .collect()
}

pub fn key(code: KeyCode) -> InputEvent {
    InputEvent::Key(KeyEvent::from(code))
}

impl Console for Stage {
    fn wait(&mut self, _timeout: Duration) -> io::Result<Vec<InputEvent>> {
        thread::sleep(Duration::from_millis(1));
        let screen = self.screen();
        let Some(cue) = self.script.front() else {
            assert!(self.since.elapsed() < TIMEOUT, "never left:\n{screen}");
            return Ok(Vec::new());
        };
        if !(cue.ready)(&screen) {
            let waited = self.since.elapsed();
            assert!(waited < TIMEOUT, "no {} in:\n{screen}", cue.what);
            return Ok(Vec::new());
        }
        self.since = Instant::now();
        let events = self
            .script
            .pop_front()
            .map_or_else(Vec::new, |cue| cue.events);
        for event in &events {
            if let InputEvent::Resize(width, height) = event {
                self.terminal.backend_mut().resize(*width, *height);
            }
        }
        Ok(events)
    }

    fn draw(&mut self, render: &mut dyn FnMut(&mut Frame)) -> io::Result<()> {
        self.terminal
            .draw(|frame| render(frame))
            .map(drop)
            .map_err(|error| io::Error::other(error.to_string()))
    }

    fn sent(&mut self) -> (u64, Duration) {
        (1000, Duration::ZERO)
    }

    fn show(&mut self, picture: &RgbImage, words: &str) -> io::Result<()> {
        self.done
            .push(format!("showed {}×{}", picture.width(), picture.height()));
        let words = words.to_owned();
        self.draw(&mut |frame| frame.render_widget(words.as_str(), frame.area()))
    }

    fn redraw(&mut self) -> io::Result<()> {
        self.done.push("redrew".to_owned());
        Ok(())
    }

    fn suspend(&mut self) -> io::Result<()> {
        self.done.push("suspended".to_owned());
        Ok(())
    }

    fn resume(&mut self) -> io::Result<()> {
        self.done.push("resumed".to_owned());
        Ok(())
    }
}
