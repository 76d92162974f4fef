//! Who is attached, who controls the run, and whose turn it is. Plain bookkeeping, without
//! a socket or a thread.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use impasto_core::protocol::{Command, Event};

use super::frame::{self, Frame, Kind, MAX_PREVIEW_SIDE};
use super::history::History;
use super::outbox::Outbox;
use super::{MAX_CLIENTS, Role};

/// How many commands may wait for the engine.
const MAX_COMMANDS: usize = 256;
/// How long the engine may take over a preview before the next is asked for.
const PREVIEW_TIMEOUT: Duration = Duration::from_secs(10);

/// The clients of one run.
#[derive(Debug, Default)]
pub(super) struct ClientRegistry {
    history: History,
    /// In the order in which they came.
    clients: Vec<Client>,
    steering: Option<u64>,
    /// From the one that controls or controlled the run, and from those that may stop.
    commands: VecDeque<Command>,
    /// The preview that the engine was asked for.
    asked: Option<Asked>,
    /// The number of the next client or request.
    next: u64,
    /// Nobody is let in any more.
    closed: bool,
}

#[derive(Debug)]
struct Client {
    id: u64,
    role: Role,
    outbox: Arc<Outbox>,
    /// The preview it waits for: its place in the line, width and height.
    wanted: Option<(u64, (u32, u32))>,
}

#[derive(Debug)]
struct Asked {
    size: (u32, u32),
    since: Instant,
    /// Who asked.
    clients: Vec<u64>,
}

/// What becomes of a command that a client sent.
#[derive(Debug, PartialEq)]
pub(super) enum CommandOutcome {
    /// It waits for the engine, or was answered.
    Done,
    /// There is no room for it yet: try again when the engine took one.
    Full(Command),
    /// Who sends such a thing is not to stay. A sentence says why.
    OutOfPlace(&'static str),
}

impl ClientRegistry {
    /// Lets a front end in and gives its number. Its outbox begins with its
    /// greeting, which `greeting` writes given whether it controls the run, and with
    /// what it missed; all that is published later follows.
    ///
    /// # Errors
    /// A sentence for the front end when there is no room for it.
    pub(super) fn attach(
        &mut self,
        role: Role,
        greeting: impl FnOnce(bool) -> Frame,
    ) -> Result<(u64, Arc<Outbox>), String> {
        if self.closed {
            return Err("the engine is about to end".to_owned());
        }
        if role != Role::Control && self.attached() >= MAX_CLIENTS {
            return Err(format!(
                "{MAX_CLIENTS} terminals are attached to this run already: leave one of them first"
            ));
        }
        let id = self.number();
        let steers = role == Role::Steer && self.steering.is_none();
        if steers {
            self.steering = Some(id);
        }
        let mut replay = self.history.replay();
        if role == Role::Control {
            replay.retain(|event| !is_passing(event));
        }
        let outbox = Arc::new(Outbox::new(greeting(steers), replay));
        self.clients.push(Client {
            id,
            role,
            outbox: outbox.clone(),
            wanted: None,
        });
        Ok((id, outbox))
    }

    /// Forgets a front end. If it steered, the next one does.
    pub(super) fn detach(&mut self, id: u64) {
        self.clients.retain(|client| client.id != id);
        if let Some(asked) = &mut self.asked {
            asked.clients.retain(|client| *client != id);
            if asked.clients.is_empty() {
                self.asked = None;
            }
        }
        if self.steering != Some(id) {
            return;
        }
        let next = self
            .clients
            .iter()
            .find(|client| client.role == Role::Steer);
        self.steering = next.map(|next| {
            // Without room for this, it has none for the next event either,
            // and is let go by that.
            next.outbox.push(frame::plain(Kind::Role, &[1]));
            next.id
        });
    }

    /// Tells everyone. `frame` is the event's. Those that are too far behind
    /// are let go.
    pub(super) fn publish(&mut self, event: &Event, frame: &Frame) {
        self.history.note(event);
        if matches!(event, Event::Restarting { .. }) {
            // The painter that was asked for a preview is no more.
            self.ask_again();
        }
        let passing = is_passing(event);
        let mut lost = Vec::new();
        for client in &self.clients {
            if !passing {
                if !client.outbox.push(frame.clone()) {
                    lost.push(client.id);
                }
            } else if client.role != Role::Control {
                client.outbox.push_step(frame.clone());
            }
        }
        for id in lost {
            self.let_go(
                id,
                "this terminal is too far behind; the run continues without it",
            );
        }
    }

    /// Tells a front end why it has to go, in place of what it is owed.
    pub(super) fn let_go(&mut self, id: u64, sentence: &str) {
        if let Some(client) = self.client(id) {
            let refusal = frame::plain(Kind::HandshakeError, sentence.as_bytes());
            client.outbox.end_with(refusal);
            self.detach(id);
        }
    }

    /// Takes in a command of a front end.
    pub(super) fn handle_command(&mut self, id: u64, command: Command) -> CommandOutcome {
        let steers = self.steering == Some(id);
        let full = self.commands.len() >= MAX_COMMANDS;
        let turn = self.number();
        let Some(client) = self.client(id) else {
            return CommandOutcome::Done;
        };
        match command {
            Command::Preview { width, height } if client.role != Role::Control => {
                let side = |side: u32| side.clamp(1, MAX_PREVIEW_SIDE);
                let turn = client.wanted.map_or(turn, |(turn, _)| turn);
                client.wanted = Some((turn, (side(width), side(height))));
            }
            command if client.role == Role::Control && command != Command::Stop => {
                return CommandOutcome::OutOfPlace("who comes to stop a run may say nothing else");
            }
            command if steers || client.role == Role::Control => {
                if full {
                    return CommandOutcome::Full(command);
                }
                self.commands.push_back(command);
            }
            _ => {
                let notice = Event::Notice {
                    iteration: 0,
                    message: "another terminal controls this run; this one can only watch"
                        .to_owned(),
                };
                if let Some(frame) = frame::event(&notice) {
                    client.outbox.push_step(frame);
                }
            }
        }
        CommandOutcome::Done
    }

    /// What the engine is to do next, if anything: a command, or the preview
    /// that was wanted first of those that are, once the last is answered.
    pub(super) fn next_command(&mut self, now: Instant) -> Option<Command> {
        if let Some(command) = self.commands.pop_front() {
            return Some(command);
        }
        if let Some(asked) = &self.asked {
            if now.duration_since(asked.since) < PREVIEW_TIMEOUT {
                return None;
            }
            self.ask_again();
        }
        let wanted = self.clients.iter().filter_map(|client| client.wanted);
        let (_, size) = wanted.min()?;
        let mut clients = Vec::new();
        for client in &mut self.clients {
            if client.wanted.is_some_and(|(_, wanted)| wanted == size) {
                client.wanted = None;
                clients.push(client.id);
            }
        }
        self.asked = Some(Asked {
            size,
            since: now,
            clients,
        });
        let (width, height) = size;
        Some(Command::Preview { width, height })
    }

    /// Who waits for a preview of this size, now that there is one. One that
    /// is larger than what was asked for is a late answer to someone else.
    pub(super) fn take_askers(&mut self, width: u32, height: u32) -> Vec<Arc<Outbox>> {
        let fits = |asked: &mut Asked| width <= asked.size.0 && height <= asked.size.1;
        let Some(asked) = self.asked.take_if(fits) else {
            return Vec::new();
        };
        let clients = self.clients.iter();
        clients
            .filter(|client| asked.clients.contains(&client.id))
            .map(|client| client.outbox.clone())
            .collect()
    }

    /// Lets nobody in any more, and everyone go once they have what they are
    /// owed.
    pub(super) fn close(&mut self) {
        self.closed = true;
        for client in &self.clients {
            client.outbox.end();
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// How many are attached, not counting those that came to stop the run.
    pub(super) fn attached(&self) -> usize {
        let clients = self.clients.iter();
        clients
            .filter(|client| client.role != Role::Control)
            .count()
    }

    pub(super) fn is_steered(&self) -> bool {
        self.steering.is_some()
    }

    /// Puts those whose preview did not come back into the line.
    fn ask_again(&mut self) {
        let Some(asked) = self.asked.take() else {
            return;
        };
        let turn = self.number();
        for client in &mut self.clients {
            if asked.clients.contains(&client.id) {
                client.wanted.get_or_insert((turn, asked.size));
            }
        }
    }

    fn client(&mut self, id: u64) -> Option<&mut Client> {
        self.clients.iter_mut().find(|client| client.id == id)
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

/// Whether the next event of its kind makes it old.
fn is_passing(event: &Event) -> bool {
    matches!(event, Event::Step(_) | Event::Memory(_))
}

#[cfg(test)]
mod tests {
    use super::super::outbox::Item;
    use super::*;
    use crate::ipc::tests::{notice, step};

    fn greeting(steers: bool) -> Frame {
        Arc::new(vec![u8::from(steers)])
    }

    fn attach(board: &mut ClientRegistry, role: Role) -> (u64, Arc<Outbox>) {
        board.attach(role, greeting).unwrap()
    }

    fn publish(board: &mut ClientRegistry, event: &Event) {
        board.publish(event, &frame::event(event).unwrap());
    }

    /// Everything in the outbox but the greeting and the replay.
    fn rest(outbox: &Outbox) -> Vec<Frame> {
        outbox.end();
        let items = std::iter::from_fn(|| outbox.next()).filter_map(|(item, _)| item);
        items
            .skip(1)
            .filter_map(|item| match item {
                Item::Frame(frame) => Some(frame),
                Item::Replay(_) => None,
            })
            .collect()
    }

    fn preview(side: u32) -> Command {
        Command::Preview {
            width: side,
            height: side,
        }
    }

    #[test]
    fn the_first_steers_and_the_next_in_line_follows() {
        let mut board = ClientRegistry::default();
        let (watcher, _) = attach(&mut board, Role::Watch);
        assert!(!board.is_steered());
        let (first, _) = attach(&mut board, Role::Steer);
        let (_, _) = attach(&mut board, Role::Watch);
        let (second, outbox) = attach(&mut board, Role::Steer);
        let (third, _) = attach(&mut board, Role::Steer);
        for other in [watcher, second, third] {
            assert_eq!(
                board.handle_command(other, Command::Pause),
                CommandOutcome::Done
            );
        }
        assert_eq!(board.next_command(Instant::now()), None);
        board.handle_command(first, Command::Pause);
        assert_eq!(board.next_command(Instant::now()), Some(Command::Pause));
        board.detach(first);
        board.handle_command(third, Command::Stop);
        assert_eq!(board.next_command(Instant::now()), None);
        board.handle_command(second, Command::Resume);
        assert_eq!(board.next_command(Instant::now()), Some(Command::Resume));
        assert!(rest(&outbox).contains(&frame::plain(Kind::Role, &[1])));
        board.detach(second);
        board.detach(third);
        assert!(!board.is_steered());
        assert_eq!(board.attached(), 2);
    }

    #[test]
    fn control_may_stop_and_nothing_else() {
        let mut board = ClientRegistry::default();
        let (steering, _) = attach(&mut board, Role::Steer);
        let (control, outbox) = attach(&mut board, Role::Control);
        assert_eq!(board.attached(), 1);
        for command in [Command::Pause, preview(3)] {
            let received = board.handle_command(control, command);
            assert!(matches!(received, CommandOutcome::OutOfPlace(_)));
        }
        assert_eq!(board.next_command(Instant::now()), None);
        board.handle_command(control, Command::Stop);
        assert_eq!(board.next_command(Instant::now()), Some(Command::Stop));
        publish(&mut board, &step(1));
        publish(&mut board, &notice(1, "end"));
        assert_eq!(rest(&outbox), [frame::event(&notice(1, "end")).unwrap()]);
        board.detach(steering);
        assert!(!board.is_steered());
    }

    #[test]
    fn there_is_room_for_so_many_and_always_for_one_who_stops() {
        let mut board = ClientRegistry::default();
        for _ in 0..MAX_CLIENTS {
            attach(&mut board, Role::Watch);
        }
        assert!(board.attach(Role::Steer, greeting).is_err());
        assert!(board.attach(Role::Control, greeting).is_ok());
        board.close();
        assert!(board.attach(Role::Control, greeting).is_err());
    }

    #[test]
    fn previews_are_asked_for_one_at_a_time_and_go_to_who_asked() {
        let mut board = ClientRegistry::default();
        let now = Instant::now();
        let (one, outbox_one) = attach(&mut board, Role::Steer);
        let (two, outbox_two) = attach(&mut board, Role::Watch);
        let (three, outbox_three) = attach(&mut board, Role::Watch);
        board.handle_command(one, preview(100));
        board.handle_command(two, preview(7));
        // The newer request takes the older's place.
        board.handle_command(two, preview(300));
        board.handle_command(three, preview(100));
        assert_eq!(board.next_command(now), Some(preview(100)));
        assert_eq!(board.next_command(now), None);
        // Larger than what was asked for: not the answer.
        assert!(board.take_askers(200, 50).is_empty());
        let askers = board.take_askers(100, 50);
        assert!(Arc::ptr_eq(&askers[0], &outbox_one));
        assert!(Arc::ptr_eq(&askers[1], &outbox_three));
        assert!(board.take_askers(100, 50).is_empty());
        assert_eq!(board.next_command(now), Some(preview(300)));
        let askers = board.take_askers(300, 50);
        assert!(askers.len() == 1 && Arc::ptr_eq(&askers[0], &outbox_two));
        assert_eq!(board.next_command(now), None);
    }

    #[test]
    fn a_preview_that_does_not_come_is_asked_for_again_behind_the_others() {
        let mut board = ClientRegistry::default();
        let now = Instant::now();
        let (one, _) = attach(&mut board, Role::Steer);
        let (two, _) = attach(&mut board, Role::Watch);
        board.handle_command(one, preview(10));
        board.handle_command(two, preview(20));
        assert_eq!(board.next_command(now), Some(preview(10)));
        let later = now + PREVIEW_TIMEOUT;
        assert_eq!(board.next_command(later), Some(preview(20)));
        // Its client left: nobody waits for it.
        board.detach(two);
        assert_eq!(board.next_command(later), Some(preview(10)));
        publish(&mut board, &Event::Restarting { output: None });
        assert_eq!(board.next_command(later), Some(preview(10)));
    }

    #[test]
    fn sizes_of_previews_are_bounded() {
        let mut board = ClientRegistry::default();
        let (one, _) = attach(&mut board, Role::Watch);
        let command = Command::Preview {
            width: 0,
            height: u32::MAX,
        };
        board.handle_command(one, command);
        let bounded = Command::Preview {
            width: 1,
            height: MAX_PREVIEW_SIDE,
        };
        assert_eq!(board.next_command(Instant::now()), Some(bounded));
    }

    #[test]
    fn commands_are_bounded() {
        let mut board = ClientRegistry::default();
        let (one, _) = attach(&mut board, Role::Steer);
        for _ in 0..MAX_COMMANDS {
            assert_eq!(
                board.handle_command(one, Command::Pause),
                CommandOutcome::Done
            );
        }
        assert_eq!(
            board.handle_command(one, Command::Resume),
            CommandOutcome::Full(Command::Resume)
        );
        board.next_command(Instant::now());
        assert_eq!(
            board.handle_command(one, Command::Resume),
            CommandOutcome::Done
        );
    }

    #[test]
    fn who_is_too_far_behind_is_let_go_and_steers_no_more() {
        let mut board = ClientRegistry::default();
        let (_, stuck) = attach(&mut board, Role::Steer);
        let (_, next) = attach(&mut board, Role::Steer);
        for n in 0..100_000 {
            publish(&mut board, &step(n));
        }
        assert_eq!(board.attached(), 2);
        let mut received = Vec::new();
        for n in 0..1000 {
            let event = notice(n, "again");
            publish(&mut board, &event);
            let frame = Item::Frame(frame::event(&event).unwrap());
            while received.last() != Some(&frame) {
                received.extend(next.next().unwrap().0);
            }
        }
        received.extend(rest(&next).into_iter().map(Item::Frame));
        assert_eq!(board.attached(), 1);
        let (last, _) = stuck.next().unwrap();
        let Some(Item::Frame(last)) = last else {
            panic!("{last:?}");
        };
        assert_eq!(last[4], Kind::HandshakeError as u8);
        let role = Item::Frame(frame::plain(Kind::Role, &[1]));
        assert!(received.contains(&role));
    }
}
