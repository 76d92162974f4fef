//! The ways out: asked for, or because nobody is there any more.

use std::time::{Duration, Instant};

use impasto_core::protocol::{Command, Event};
use signal_hook::consts::SIGHUP;

use super::{Dashboard, FRAME_INTERVAL};
use crate::tui::app::Phase;
use crate::tui::update::{Effect, Message};

/// How long an engine in another process may take to stop and save when nobody
/// is there to see it.
const SAVING: Duration = Duration::from_secs(10);

/// How the loop ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// The run is over and everything is saved.
    InGoodOrder,
    /// The user would not wait for the picture to be saved.
    AtOnce,
    /// Another process paints on.
    Detached,
    /// A picture could not be read.
    Unread(String),
    /// The engine could not be started.
    Unstarted(String),
}

impl Dashboard<'_> {
    /// How it is left when the user does not wait for more.
    pub(super) fn left(&self) -> ExitReason {
        if self.app.is_over() {
            ExitReason::InGoodOrder
        } else if self.app.remote.is_some() {
            ExitReason::Detached
        } else {
            ExitReason::AtOnce
        }
    }

    /// A signal that asks the run to end is no second Ctrl-C: it may come twice.
    pub(super) fn terminate(&mut self) -> Vec<Effect> {
        if self.app.leaving && self.app.remote.is_none() {
            Vec::new()
        } else {
            self.update(Message::Terminate)
        }
    }

    /// The terminal is gone, and nobody sees the screen any more. An engine in
    /// another process is left to itself. One of this process is stopped, and
    /// its picture awaited; or it comes to its end, if it was started to
    /// outlive the terminal.
    pub(super) fn go_on_unseen(&mut self) -> ExitReason {
        while self.run.is_none() && self.stays {
            match self.read_on(&mut Vec::new()) {
                None => std::thread::sleep(FRAME_INTERVAL),
                Some(left) => return left,
            }
        }
        let Some(run) = &self.run else {
            return ExitReason::InGoodOrder;
        };
        if !self.stays {
            self.signal.get_or_insert(SIGHUP as u8);
        }
        if run.remote.is_some() {
            return self.let_go();
        }
        if !self.stays {
            let _ = run.link.commands.send(Command::Stop);
        } else if self.app.phase == Phase::Paused {
            let _ = run.link.commands.send(Command::Resume);
        }
        while !self.app.is_over() {
            let Some(event) = self
                .run
                .as_ref()
                .and_then(|run| run.link.events.recv().ok())
            else {
                return ExitReason::AtOnce;
            };
            self.update_undrawn(event);
        }
        ExitReason::InGoodOrder
    }

    /// Lets another process paint on; or stops it, if a hangup shall
    /// do that, and waits a while for its picture.
    fn let_go(&mut self) -> ExitReason {
        if !self.stops_on_hangup || self.app.is_watching() || self.app.is_over() {
            return self.left();
        }
        self.send(Command::Stop);
        self.update(Message::Stopping);
        let deadline = Instant::now() + SAVING;
        while !self.app.is_over() {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self
                .run
                .as_ref()
                .and_then(|run| run.link.events.recv_timeout(left).ok());
            match event {
                Some(event) => self.update_undrawn(event),
                None => break,
            }
        }
        self.left()
    }

    fn update_undrawn(&mut self, event: Event) {
        self.write_down(&event);
        drop(self.update(Message::Event(event)));
    }
}
