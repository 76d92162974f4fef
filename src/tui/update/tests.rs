use crossterm::event::{KeyCode, KeyModifiers, MouseButton, MouseEventKind};
use impasto_core::preset::{Scale, Setting};

use super::*;
use crate::tui::app::{Pane, Part, RowItem};
use crate::tui::layout;
use crate::tui::tests::{app, press, running, step, type_text};

fn sent(effects: &[Effect]) -> Option<&Preset> {
    match effects {
        [Effect::Send(Command::Change(preset))] => Some(preset),
        _ => None,
    }
}

#[test]
fn a_key_changes_a_weight_and_the_engine_is_notified() {
    let mut app = app();
    press(&mut app, KeyCode::Down);
    let effects = press(&mut app, KeyCode::Right);
    let preset = sent(&effects).expect("a changed preset");
    let layer = "relu4_2".parse().expect("a layer");
    assert!((preset.content.layers[&layer] - 1.1).abs() < 1e-12);
    assert_eq!(*preset, app.preset);
}

#[test]
fn a_typed_number_becomes_the_weight() {
    let mut app = app();
    type_text(&mut app, "2.5e2");
    assert_eq!(app.preset.content.weight, 5.0, "not before enter");
    let effects = press(&mut app, KeyCode::Enter);
    assert_eq!(
        sent(&effects).expect("a changed preset").content.weight,
        250.0
    );
    type_text(&mut app, "9");
    press(&mut app, KeyCode::Esc);
    assert_eq!(press(&mut app, KeyCode::Enter), []);
    assert_eq!(app.preset.content.weight, 250.0);
    type_text(&mut app, "1e99");
    assert_eq!(press(&mut app, KeyCode::Enter), []);
    assert!(app.messages.back().expect("a message").warning);
}

#[test]
fn muting_undoing_and_redoing_bring_weights_back() {
    let mut app = app();
    let before = app.preset.clone();
    press(&mut app, KeyCode::Char('m'));
    assert_eq!(app.preset.content.weight, 0.0);
    press(&mut app, KeyCode::Char('m'));
    assert_eq!(app.preset, before);
    press(&mut app, KeyCode::Char('>'));
    let after = app.preset.clone();
    assert_eq!(after.content.weight, 10.0);
    assert_eq!(sent(&press(&mut app, KeyCode::Char('u'))), Some(&before));
    assert_eq!(sent(&press(&mut app, KeyCode::Char('U'))), Some(&after));
    assert_eq!(
        press(&mut app, KeyCode::Char('U')),
        [],
        "nothing left to redo"
    );
}

#[test]
fn pausing_asks_the_engine_and_shows_its_answer() {
    let mut app = app();
    update(&mut app, Message::Event(Event::Step(step(1))));
    assert_eq!(
        press(&mut app, KeyCode::Char(' ')),
        [Effect::Send(Command::Pause)]
    );
    assert_eq!(app.phase, Phase::Running, "until the engine says so");
    update(&mut app, Message::Event(Event::Paused { iteration: 1 }));
    assert_eq!(
        press(&mut app, KeyCode::Char(' ')),
        [Effect::Send(Command::Resume)]
    );
}

#[test]
fn the_first_interrupt_saves_and_the_second_leaves() {
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    let mut app = app();
    let first = update(&mut app, Message::Key(interrupt));
    assert_eq!(first, [Effect::Send(Command::Stop)]);
    assert_eq!(update(&mut app, Message::Key(interrupt)), [Effect::Leave]);
}

#[test]
fn quitting_asks_then_stops_then_leaves() {
    let mut app = app();
    assert_eq!(press(&mut app, KeyCode::Char('q')), []);
    assert!(matches!(app.overlay, Some(Overlay::Quit)));
    press(&mut app, KeyCode::Esc);
    assert!(app.overlay.is_none());
    press(&mut app, KeyCode::Char('q'));
    assert_eq!(
        press(&mut app, KeyCode::Enter),
        [Effect::Send(Command::Stop)]
    );
    let finished = Event::Finished {
        output: Some(PathBuf::from("a.png")),
        iterations: 1,
        elapsed: 1.0,
        stopped: true,
        saved: None,
    };
    assert_eq!(update(&mut app, Message::Event(finished)), [Effect::Leave]);
}

/// The preset of a run at other sizes.
fn at_other_sizes(app: &App) -> Preset {
    let mut other = Preset {
        name: "other".to_owned(),
        schedule: vec![Scale {
            size: 777,
            iterations: 7,
        }],
        ..app.preset.clone()
    };
    other.style.weight = 777.0;
    other
}

#[test]
fn a_preset_applies_but_for_what_needs_a_new_run_which_is_offered() {
    let mut app = running();
    let other = at_other_sizes(&app);
    let schedule = app.preset.schedule.clone();
    let effects = update(&mut app, Message::Loaded(Ok(Box::new(other.clone()))));
    let preset = sent(&effects).expect("a changed preset");
    assert_eq!(preset.style.weight, 777.0);
    assert_eq!(preset.schedule, schedule);
    assert!(!app.has_edits(), "nothing is edited after applying");
    assert!(matches!(app.overlay, Some(Overlay::Restart)));
    let effects = press(&mut app, KeyCode::Char('h'));
    let Some(Effect::Restart { preset, from }) = effects.first() else {
        panic!("no restart in {effects:?}");
    };
    assert_eq!((preset.as_ref(), *from), (&other, RestartFrom::Here));
    assert!(app.overlay.is_none());
}

#[test]
fn a_declined_restart_is_still_offered_later_with_the_weights_of_then() {
    let mut app = running();
    let other = at_other_sizes(&app);
    update(&mut app, Message::Loaded(Ok(Box::new(other.clone()))));
    press(&mut app, KeyCode::Esc);
    press(&mut app, KeyCode::Char('>'));
    press(&mut app, KeyCode::Char('r'));
    let effects = press(&mut app, KeyCode::Char('s'));
    let Some(Effect::Restart { preset, from }) = effects.first() else {
        panic!("no restart in {effects:?}");
    };
    assert_eq!(*from, RestartFrom::Start);
    assert_eq!(preset.schedule, other.schedule);
    assert_eq!(preset.content.weight, 2.0 * other.content.weight);
}

#[test]
fn a_restart_clears_the_losses_and_keeps_the_weights() {
    let mut app = running();
    press(&mut app, KeyCode::Char('>'));
    let edited = app.preset.clone();
    let output = Some(PathBuf::from("first.png"));
    update(&mut app, Message::Event(Event::Restarting { output }));
    assert!(app.history.last().is_none() && app.step.is_none());
    assert!(matches!(app.phase, Phase::Preparing(_)));
    assert!(app.news().expect("a message").text.contains("first.png"));
    assert_eq!(app.preset, edited);
    update(&mut app, Message::Event(Event::Step(step(1))));
    assert_eq!(app.phase, Phase::Running);
}

#[test]
fn a_preset_file_that_is_saved_applies_and_a_wrong_one_is_shown() {
    let mut app = running();
    let before = app.preset.clone();
    let mistake = "mine.yaml:2:3: unknown key\n  |\n2 | x\n  | ^".to_owned();
    let effects = update(&mut app, Message::PresetFile(Err(mistake)));
    assert_eq!(effects, []);
    assert_eq!(app.preset, before, "the run goes on untouched");
    assert_eq!(app.phase, Phase::Running);
    assert!(matches!(app.overlay, Some(Overlay::Mistake(_))));
    let mut mended = before.clone();
    mended.style.weight = 5.0;
    let effects = update(&mut app, Message::PresetFile(Ok(Box::new(mended.clone()))));
    assert_eq!(sent(&effects), Some(&mended));
    assert!(app.overlay.is_none(), "the mistake is gone");
    assert_eq!(sent(&press(&mut app, KeyCode::Char('u'))), Some(&before));
}

#[test]
fn a_mistake_does_not_take_what_is_being_typed_away() {
    let mut app = running();
    press(&mut app, KeyCode::Char('S'));
    type_text(&mut app, "mi");
    update(&mut app, Message::PresetFile(Err("wrong".to_owned())));
    assert!(matches!(&app.overlay, Some(Overlay::SavePreset { name, .. }) if name == "mi"));
    assert!(app.news().expect("a message").warning);
}

#[test]
fn layers_are_added_and_taken_out() {
    let mut app = running();
    // The third row is the whole style.
    press(&mut app, KeyCode::Down);
    press(&mut app, KeyCode::Down);
    press(&mut app, KeyCode::Char('a'));
    let Some(Overlay::Layers(chooser)) = &app.overlay else {
        panic!("no layers to choose from");
    };
    let first = chooser.layers[0];
    assert_eq!(first.to_string(), "relu1_2");
    let effects = press(&mut app, KeyCode::Enter);
    assert_eq!(sent(&effects).expect("a preset").style.layers[&first], 1.0);
    let row = app.selected_row().expect("a row");
    assert_eq!((row.part, row.item), (Part::Style, RowItem::Layer(first)));
    assert!(app.is_edited(row));
    let effects = press(&mut app, KeyCode::Char('x'));
    let preset = sent(&effects).expect("a preset");
    assert!(!preset.style.layers.contains_key(&first));
    assert!(!app.has_edits());
}

#[test]
fn the_full_screen_keeps_keys_to_itself() {
    let mut app = running();
    let effects = press(&mut app, KeyCode::Char('v'));
    assert_eq!(effects, [Effect::ShowFullScreen]);
    assert_eq!(press(&mut app, KeyCode::Char('m')), []);
    assert_eq!(app.preset, app.base);
    let next = press(&mut app, KeyCode::Char('n'));
    assert_eq!(next, [Effect::NextPicture, Effect::ShowFullScreen]);
    press(&mut app, KeyCode::Char('v'));
    assert!(!app.full_screen);
    press(&mut app, KeyCode::Char('v'));
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    let effects = update(&mut app, Message::Key(interrupt));
    assert_eq!(effects, [Effect::Send(Command::Stop)]);
    assert!(!app.full_screen);
}

const WINDOW: Rect = Rect::new(0, 0, 120, 36);

fn click(app: &mut App, kind: MouseEventKind, x: u16, y: u16) -> Vec<Effect> {
    let event = MouseEvent {
        kind,
        column: x,
        row: y,
        modifiers: KeyModifiers::NONE,
    };
    update(app, Message::Mouse(event, WINDOW))
}

const PRESS: MouseEventKind = MouseEventKind::Down(MouseButton::Left);
const DRAG: MouseEventKind = MouseEventKind::Drag(MouseButton::Left);

#[test]
fn the_mouse_chooses_weights_and_moves_the_cursor_and_the_split() {
    let mut app = running();
    let places = layout::places(&app, WINDOW).expect("room for all");
    let (layers, losses, picture) = (places.layers, places.losses, places.picture);
    click(&mut app, PRESS, layers.x + 5, layers.y + 4);
    assert_eq!((app.focus, app.row), (Pane::Layers, 3));
    click(
        &mut app,
        MouseEventKind::ScrollUp,
        layers.x + 5,
        layers.y + 4,
    );
    assert_eq!(app.row, 2);
    click(&mut app, PRESS, losses.x + losses.width / 2, losses.y + 5);
    assert_eq!(app.focus, Pane::Losses);
    let cursor = app.chart.cursor.expect("a cursor");
    assert!((60..140).contains(&cursor), "{cursor} is not in the middle");
    click(&mut app, DRAG, losses.right() - 2, losses.y + 5);
    assert_eq!(app.chart.cursor, Some(200));
    let window = app.chart.window;
    click(
        &mut app,
        MouseEventKind::ScrollUp,
        losses.x + 9,
        losses.y + 5,
    );
    assert_ne!(app.chart.window, window);
    click(&mut app, PRESS, picture.x + 5, picture.y + 5);
    assert_eq!(app.focus, Pane::Picture);
    let dragged = click(&mut app, DRAG, picture.x + 9, picture.y + 5);
    assert_eq!(dragged, [Effect::SplitAt(picture.x + 9)]);
}

#[test]
fn a_second_press_takes_what_the_first_chose() {
    let mut app = running();
    press(&mut app, KeyCode::Char('a'));
    let place = layout::overlay_area(&app, WINDOW);
    assert_eq!(click(&mut app, PRESS, place.x + 3, place.y + 2), []);
    let Some(Overlay::Layers(chooser)) = &app.overlay else {
        panic!("no layers to choose from");
    };
    assert_eq!(chooser.selected, 1);
    assert!(sent(&click(&mut app, PRESS, place.x + 3, place.y + 2)).is_some());
    press(&mut app, KeyCode::Char('?'));
    click(&mut app, PRESS, 0, 0);
    assert!(app.overlay.is_none(), "a press beside it closes it");
}

#[test]
fn the_mouse_is_safe_in_any_window() {
    let mut app = running();
    for overlay in ["", "?", "q", "S", "a", "r", "i"] {
        for width in (0..130).step_by(13) {
            for height in (0..40).step_by(3) {
                let window = Rect::new(0, 0, width, height);
                for kind in [PRESS, DRAG, MouseEventKind::ScrollDown] {
                    type_text(&mut app, overlay);
                    let event = MouseEvent {
                        kind,
                        column: width / 2,
                        row: height / 2,
                        modifiers: KeyModifiers::NONE,
                    };
                    update(&mut app, Message::Mouse(event, window));
                    press(&mut app, KeyCode::Esc);
                }
            }
        }
    }
}

#[test]
fn news_grow_old() {
    let mut app = running();
    app.note("saved", false);
    assert!(app.news().is_some());
    update(&mut app, Message::Clock(10.0));
    assert!(app.news().is_none());
    press(&mut app, KeyCode::Char('i'));
    assert!(matches!(app.overlay, Some(Overlay::Messages { .. })));
}

#[test]
fn a_failure_is_shown_in_full_and_ends_with_q() {
    let mut app = running();
    let failed = Event::Failed {
        message: "no memory".to_owned(),
        output: None,
        refused: false,
    };
    assert_eq!(update(&mut app, Message::Event(failed)), []);
    assert!(matches!(app.overlay, Some(Overlay::Failure)));
    assert_eq!(press(&mut app, KeyCode::Char('q')), [Effect::Leave]);
}

#[test]
fn names_are_typed_and_errors_shown() {
    let mut app = app();
    press(&mut app, KeyCode::Char('S'));
    type_text(&mut app, "mine");
    let effects = press(&mut app, KeyCode::Enter);
    assert!(matches!(&effects[..], [Effect::SavePreset { name, .. }] if name == "mine"));
    update(&mut app, Message::SavedPreset(Err("no room".to_owned())));
    assert!(matches!(
        &app.overlay,
        Some(Overlay::SavePreset { error: Some(_), .. })
    ));
    update(
        &mut app,
        Message::SavedPreset(Ok(PathBuf::from("mine.yaml"))),
    );
    assert!(app.overlay.is_none());
}

#[test]
fn settings_are_stepped_and_typed_and_undone() {
    let mut app = running();
    press(&mut app, KeyCode::Char('e'));
    assert!(matches!(app.overlay, Some(Overlay::Settings(_))));
    // The first is the colours: their words go round.
    let effects = press(&mut app, KeyCode::Right);
    let word = |preset: &Preset| Setting::all(preset, 1)[0].value(preset);
    assert_eq!(word(sent(&effects).expect("a preset")), "content");
    press(&mut app, KeyCode::Left);
    assert_eq!(word(&app.preset), "style");
    let grain = app
        .settings()
        .iter()
        .position(|it| it.key == "finish.grain");
    for _ in 0..grain.expect("grain") {
        press(&mut app, KeyCode::Down);
    }
    for digit in "0.25".chars() {
        assert!(press(&mut app, KeyCode::Char(digit)).is_empty());
    }
    let effects = press(&mut app, KeyCode::Enter);
    assert_eq!(sent(&effects).expect("a preset").finish.grain, 0.25);
    // A wrong value is told of, and changes nothing.
    for digit in "12".chars() {
        press(&mut app, KeyCode::Char(digit));
    }
    assert!(press(&mut app, KeyCode::Enter).is_empty());
    let Some(Overlay::Settings(editor)) = &app.overlay else {
        panic!("the list is gone");
    };
    let error = editor.error.as_deref().expect("an error");
    assert!(error.contains("a number from 0 to 1"), "{error}");
    assert_eq!(app.preset.finish.grain, 0.25);
    // Esc gives up what is typed, then the list.
    press(&mut app, KeyCode::Char('9'));
    press(&mut app, KeyCode::Esc);
    assert!(matches!(app.overlay, Some(Overlay::Settings(_))));
    press(&mut app, KeyCode::Esc);
    assert!(app.overlay.is_none());
    let effects = press(&mut app, KeyCode::Char('u'));
    assert_eq!(sent(&effects).expect("a preset").finish.grain, 0.0);
}

#[test]
fn the_weights_of_several_styles_are_rows() {
    let mut app = running();
    app.styles = vec!["night.jpg".to_owned(), "wave.jpg".to_owned()];
    let rows = app.rows();
    let second = rows.iter().position(|row| row.item == RowItem::Style(1));
    app.row = second.expect("a row for the second style");
    for digit in "3".chars() {
        press(&mut app, KeyCode::Char(digit));
    }
    let effects = press(&mut app, KeyCode::Enter);
    assert_eq!(
        sent(&effects).expect("a preset").style.blend_weights,
        [1.0, 3.0]
    );
    assert_eq!(app.share(app.selected_row().expect("a row")), Some(0.75));
}
