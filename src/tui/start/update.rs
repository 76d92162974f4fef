//! What happens to the start screen: a message in, effects out.

use std::path::{Path, PathBuf};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use impasto_core::preset::StyleTerm;

use super::gallery::Look;
use super::layout::{self, Target};
use super::{Choice, Effect, Found, List, Message, Next, Request, Slot, Start, paste};
use crate::tui::keymap::{self, Action, Context};

/// Rows that one turn of the wheel moves.
const WHEEL: isize = 3;
/// Rows of a page where the list is not on the screen.
const PAGE: usize = 10;

/// Takes a message in.
pub fn update(start: &mut Start, message: Message) -> Vec<Effect> {
    let mut effects = match message {
        Message::Opened => {
            start.asked_folder = None;
            start.asked_thumbnail = None;
            vec![Effect::ListPresets]
        }
        Message::Key(event) => key(start, event),
        Message::Paste(text) => pasted(start, &text),
        Message::Mouse(event, window) => {
            start.window = window;
            mouse(start, event)
        }
        Message::Resized(window) => {
            start.window = window;
            Vec::new()
        }
        Message::Presets(entries) => {
            start.presets.listed(entries);
            Vec::new()
        }
        Message::Listed { folder, result } => {
            if start.asked_folder.as_ref() == Some(&folder) {
                start.asked_folder = None;
            }
            for slot in [&mut start.content, &mut start.style] {
                if slot.listing.is_none() && slot.folder == folder {
                    slot.listed(result.clone());
                }
            }
            Vec::new()
        }
        Message::Found { path, result } => {
            found(start, path, result);
            Vec::new()
        }
        Message::Measured { path, measure } => {
            let keep = start.pictures();
            start.gallery.put(path, Look::Measured(measure), &keep);
            Vec::new()
        }
        Message::Thumbnail { path, result } => {
            looked(start, path, result.map_or_else(Look::Broken, Look::Whole));
            Vec::new()
        }
    };
    settle(start);
    ask(start, &mut effects);
    effects
}

/// Keeps the list as it will be drawn.
fn settle(start: &mut Start) {
    let height = height(start);
    list(start).settle(height);
}

/// Asks for what the screen lacks and has not asked for yet.
fn ask(start: &mut Start, effects: &mut Vec<Effect>) {
    let missing = start
        .slot(start.step)
        .filter(|slot| slot.listing.is_none())
        .map(|slot| slot.folder.clone());
    if let Some(folder) = missing
        && start.asked_folder.as_ref() != Some(&folder)
    {
        start.asked_folder = Some(folder.clone());
        effects.push(Effect::Ask(Request::List(folder)));
    }
    let pictures = start.pictures().into_iter();
    let missing = pictures.into_iter().find(|path| !start.gallery.knows(path));
    if let Some(path) = missing
        && start.asked_thumbnail.as_ref() != Some(&path)
    {
        start.asked_thumbnail = Some(path.clone());
        effects.push(Effect::Ask(Request::Thumbnail(path)));
    }
}

fn key(start: &mut Start, event: KeyEvent) -> Vec<Effect> {
    let action = keymap::action(Context::Start, event);
    match action {
        Some(Action::Interrupt) => return vec![Effect::Leave],
        Some(Action::Suspend) => return vec![Effect::Suspend],
        _ => {}
    }
    if let Some(scroll) = &mut start.help {
        match action {
            Some(Action::Up) => *scroll = scroll.saturating_sub(1),
            Some(Action::Down) => *scroll = scroll.saturating_add(1),
            _ => start.help = None,
        }
        return Vec::new();
    }
    match (action, event.code) {
        (Some(Action::FolderAbove), KeyCode::Backspace) if !start.list().filter.is_empty() => {
            list(start).filter.pop();
            find(start);
        }
        (Some(Action::Accept), _) => return accept(start),
        (Some(Action::Refresh), _) => return refresh(start),
        (Some(action), _) => act(start, action),
        (None, KeyCode::Char(character)) => {
            let typed = event.modifiers.difference(KeyModifiers::SHIFT).is_empty();
            if typed && character == '~' && at_home_key(start) {
                return vec![Effect::Ask(Request::Find(PathBuf::from("~")))];
            }
            if typed {
                list(start).push(character);
                find(start);
            }
        }
        _ => {}
    }
    Vec::new()
}

/// Whether `~` goes home rather than being part of a name.
fn at_home_key(start: &Start) -> bool {
    start.step != Choice::Preset && start.list().filter.is_empty()
}

fn act(start: &mut Start, action: Action) {
    let page = isize::try_from(height(start).max(1)).unwrap_or(isize::MAX);
    match action {
        Action::Help => start.help = Some(0),
        Action::NextPane => turn(start, 1),
        Action::PreviousPane => turn(start, 2),
        Action::Up => list(start).step(-1),
        Action::Down => list(start).step(1),
        Action::PageUp => list(start).step(-page),
        Action::PageDown => list(start).step(page),
        Action::First => list(start).step(isize::MIN),
        Action::Last => list(start).step(isize::MAX),
        Action::OpenFolder => {
            if let (Next::Open(item), Some(slot)) = (start.next(), start.slot(start.step)) {
                let folder = slot.folder.join(&item.name);
                open(start, folder);
            }
        }
        Action::AddStyle => toggle_style(start),
        Action::FolderAbove => {
            if let Some(slot) = slot(start) {
                slot.above();
            }
        }
        Action::Close => {
            start.error = None;
            match slot(start) {
                Some(slot) => slot.clear_filter(),
                None => start.presets.clear_filter(),
            }
        }
        _ => {}
    }
}

/// Does what [`Start::next`] says.
fn accept(start: &mut Start) -> Vec<Effect> {
    start.error = None;
    match start.next() {
        Next::Nothing => {}
        Next::Broken(error) => start.error = Some(error.to_owned()),
        Next::Open(item) => {
            let name = item.name.clone();
            if let Some(slot) = slot(start) {
                slot.open(slot.folder.join(name));
            }
        }
        Next::Take(_) => {
            if let Some(path) = start.slot(start.step).and_then(Slot::picture) {
                choose(start, path);
            }
        }
        Next::TakePreset(row, missing) => {
            let name = row.name.clone();
            start.presets.chosen = name;
            start.presets.clear_filter();
            start.step = missing;
        }
        Next::Paint {
            content,
            styles,
            preset,
        } => {
            let effect = Effect::Paint {
                content: content.to_owned(),
                styles: styles.into_iter().map(Path::to_owned).collect(),
                preset: preset.name.clone(),
            };
            let name = preset.name.clone();
            start.presets.chosen = name;
            return vec![effect];
        }
    }
    Vec::new()
}

/// Takes a picture for the present step, and continues to what is still open.
fn choose(start: &mut Start, path: PathBuf) {
    if start.step == Choice::Style && start.more_styles.contains(&path) {
        // It is one of several already.
        start.error = None;
        start.step = start.open_choice();
        return;
    }
    let Some(slot) = slot(start) else {
        return;
    };
    slot.choose(path);
    if start.step == Choice::Content && !start.style.visited {
        // Pictures often lie side by side.
        start.style.folder.clone_from(&start.content.folder);
        start.style.listing.clone_from(&start.content.listing);
        start.style.list = List::default();
        start.style.find();
    }
    start.error = None;
    start.step = start.open_choice();
}

/// Takes the selected picture for one more style, or no longer.
fn toggle_style(start: &mut Start) {
    let path = match (start.step, start.next()) {
        (Choice::Style, Next::Take(_)) => start.style.picture(),
        _ => None,
    };
    let Some(path) = path else { return };
    start.error = None;
    let further = start.more_styles.iter().position(|it| *it == path);
    match (&start.style.chosen, further) {
        (_, Some(index)) => drop(start.more_styles.remove(index)),
        (None, None) => start.style.choose(path),
        // Without the first, the second is the first.
        (Some(first), None) if *first == path => {
            start.style.chosen = match start.more_styles.is_empty() {
                true => None,
                false => Some(start.more_styles.remove(0)),
            };
        }
        (Some(_), None) if start.styles().len() < StyleTerm::MAX_STYLES => {
            start.more_styles.push(path);
        }
        (Some(_), None) => {
            let most = StyleTerm::MAX_STYLES;
            start.error = Some(format!("a run has at most {most} styles"));
        }
    }
}

fn open(start: &mut Start, folder: PathBuf) {
    start.error = None;
    if let Some(slot) = slot(start) {
        slot.open(folder);
    }
}

/// Reads the folder again, and its pictures, or the presets.
fn refresh(start: &mut Start) -> Vec<Effect> {
    let Some(slot) = slot(start) else {
        return vec![Effect::ListPresets];
    };
    let folder = slot.folder.clone();
    slot.refresh();
    start.gallery.forget(&folder);
    (start.asked_folder, start.asked_thumbnail) = (None, None);
    Vec::new()
}

/// Goes to another of the three steps.
fn turn(start: &mut Start, by: usize) {
    let present = Choice::ALL.iter().position(|choice| *choice == start.step);
    start.step = Choice::ALL[(present.unwrap_or_default() + by) % Choice::ALL.len()];
}

/// A pasted path is gone to; other text is typed.
fn pasted(start: &mut Start, text: &str) -> Vec<Effect> {
    start.help = None;
    if let (Some(path), Some(slot)) = (paste::path(text), start.slot(start.step)) {
        // What begins with `~` is left to whoever knows the home.
        let path = if path.starts_with("~") {
            path
        } else {
            slot.folder.join(path)
        };
        return vec![Effect::Ask(Request::Find(path))];
    }
    for character in text.trim().chars() {
        list(start).push(character);
    }
    find(start);
    Vec::new()
}

fn found(start: &mut Start, path: PathBuf, result: Result<Found, String>) {
    match result {
        // The user may have gone on to the presets meanwhile.
        _ if start.step == Choice::Preset => {}
        Ok(Found::Folder) => open(start, path),
        Ok(Found::Picture) => choose(start, path),
        Err(error) => start.error = Some(error),
    }
}

/// Takes in what a picture looks like. One that was chosen and turns out to be
/// broken is no longer chosen.
fn looked(start: &mut Start, path: PathBuf, look: Look) {
    if start.asked_thumbnail.as_ref() == Some(&path) {
        start.asked_thumbnail = None;
    }
    if let Look::Broken(error) = &look {
        start.more_styles.retain(|style| *style != path);
        for slot in [&mut start.content, &mut start.style] {
            if slot.chosen.as_ref() == Some(&path) {
                slot.chosen = None;
                start.error = Some(error.clone());
            }
        }
    }
    let keep = start.pictures();
    start.gallery.put(path, look, &keep);
}

fn mouse(start: &mut Start, event: MouseEvent) -> Vec<Effect> {
    let wheel = match event.kind {
        MouseEventKind::ScrollUp => -WHEEL,
        MouseEventKind::ScrollDown => WHEEL,
        MouseEventKind::Down(MouseButton::Left) => 0,
        _ => return Vec::new(),
    };
    if let Some(scroll) = &mut start.help {
        match wheel {
            0 => start.help = None,
            _ => *scroll = scroll.saturating_add_signed(wheel as i16),
        }
        return Vec::new();
    }
    if wheel != 0 {
        let height = height(start);
        list(start).roll(wheel, height);
        return Vec::new();
    }
    match layout::target(start, start.window, event.column, event.row) {
        Some(Target::Step(choice)) => start.step = choice,
        Some(Target::Above) => act(start, Action::FolderAbove),
        Some(Target::Next) => return accept(start),
        Some(Target::Row(row)) if row == start.list().selected => return accept(start),
        Some(Target::Row(row)) => list(start).select(row),
        None => {}
    }
    Vec::new()
}

/// Rows of the list, as it is drawn.
fn height(start: &Start) -> usize {
    layout::places(start, start.window).map_or(PAGE, |places| usize::from(places.rows.height))
}

fn slot(start: &mut Start) -> Option<&mut Slot> {
    match start.step {
        Choice::Content => Some(&mut start.content),
        Choice::Style => Some(&mut start.style),
        Choice::Preset => None,
    }
}

fn list(start: &mut Start) -> &mut List {
    match start.step {
        Choice::Content => &mut start.content.list,
        Choice::Style => &mut start.style.list,
        Choice::Preset => &mut start.presets.list,
    }
}

/// Shows what the filter of the present step leaves.
fn find(start: &mut Start) {
    match slot(start) {
        Some(slot) => slot.find(),
        None => start.presets.find(),
    }
}
