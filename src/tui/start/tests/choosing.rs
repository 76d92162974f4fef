//! Keys, the mouse and pasted text in, effects out.

use impasto_core::preset::Library;

use super::*;

#[test]
fn opening_asks_for_presets_and_the_folder() {
    let mut start = Start::new(FOLDER.into(), None, None, None);
    let effects = update(&mut start, Message::Opened);
    let folder = Effect::Ask(Request::List(FOLDER.into()));
    assert_eq!(effects, [Effect::ListPresets, folder]);
    assert_eq!(list(&mut start, FOLDER, pictures()), []);
    let home = tempfile::tempdir().unwrap();
    let library = Library::with_user_folder(home.path().to_owned());
    update(&mut start, Message::Presets(library.list()));
    let preset = start.presets.selected().map(|row| row.name.as_str());
    assert_eq!(preset, Some("default"));
}

#[test]
fn two_pictures_and_enter_paint() {
    let mut start = browsing();
    type_text(&mut start, "TOW");
    assert_eq!(start.step, Choice::Content);
    press(&mut start, KeyCode::Enter);
    assert_eq!(start.content.chosen, Some(at("tower.jpg")));
    assert_eq!(start.step, Choice::Style);
    assert_eq!(start.content.list.filter, "");
    type_text(&mut start, "nig");
    press(&mut start, KeyCode::Enter);
    assert_eq!(start.step, Choice::Preset);
    assert_eq!(
        press(&mut start, KeyCode::Enter),
        [Effect::Paint {
            content: at("tower.jpg"),
            styles: vec![at("night.jpg")],
            preset: "default".to_owned(),
        }]
    );
}

#[test]
fn the_preset_may_come_first() {
    let mut start = browsing();
    press(&mut start, KeyCode::BackTab);
    assert_eq!(start.step, Choice::Preset);
    type_text(&mut start, "mi");
    press(&mut start, KeyCode::Enter);
    assert_eq!(
        (start.presets.chosen.as_str(), start.step),
        ("mine", Choice::Content)
    );
    press(&mut start, KeyCode::Tab);
    press(&mut start, KeyCode::End);
    press(&mut start, KeyCode::Enter);
    assert_eq!(start.step, Choice::Content, "the one that is still open");
}

#[test]
fn a_broken_preset_is_not_taken() {
    let mut start = chosen();
    type_text(&mut start, "broken");
    assert_eq!(press(&mut start, KeyCode::Enter), []);
    assert!(start.error.as_ref().unwrap().contains("sede"));
    press(&mut start, KeyCode::Esc);
    assert_eq!(
        (start.error, start.presets.chosen.as_str()),
        (None, "default")
    );
}

#[test]
fn flags_fill_the_steps() {
    let (content, style) = (PathBuf::from("a/b.png"), PathBuf::from("/c/d.png"));
    let preset = Some("./mine.yaml".to_owned());
    let mut start = Start::new(FOLDER.into(), Some(content), Some(style), preset);
    let home = tempfile::tempdir().unwrap();
    let library = Library::with_user_folder(home.path().to_owned());
    update(&mut start, Message::Presets(library.list()));
    assert_eq!(
        press(&mut start, KeyCode::Enter),
        [Effect::Paint {
            content: at("a/b.png"),
            styles: vec!["/c/d.png".into()],
            preset: "./mine.yaml".to_owned(),
        }]
    );
    let start = Start::new(FOLDER.into(), Some("/a/b.png".into()), None, None);
    assert_eq!(start.style.folder, Path::new("/a"));
    assert_eq!(start.step, Choice::Style);
}

#[test]
fn folders_are_gone_into_and_left() {
    let mut start = browsing();
    let inside = at("holiday");
    assert_eq!(
        press(&mut start, KeyCode::Right),
        asks(Request::List(inside.clone()))
    );
    assert_eq!(selected(&start), None);
    list(
        &mut start,
        inside.to_str().unwrap(),
        listing(&[], &["x.png"]),
    );
    assert_eq!(
        press(&mut start, KeyCode::Right),
        [],
        "a picture is no folder"
    );
    press(&mut start, KeyCode::Left);
    list(&mut start, FOLDER, pictures());
    assert_eq!(selected(&start), Some("holiday"));
    press(&mut start, KeyCode::Down);
    press(&mut start, KeyCode::Enter);
    assert_eq!(start.content.folder, at("paintings"));
    press(&mut start, KeyCode::Backspace);
    list(&mut start, FOLDER, pictures());
    assert_eq!(selected(&start), Some("paintings"));
}

#[test]
fn each_picture_keeps_its_folder() {
    let mut start = browsing();
    press(&mut start, KeyCode::Enter);
    list(
        &mut start,
        at("holiday").to_str().unwrap(),
        listing(&[], &["x.png"]),
    );
    press(&mut start, KeyCode::Enter);
    assert_eq!(start.content.chosen, Some(at("holiday/x.png")));
    assert_eq!(
        start.style.folder,
        at("holiday"),
        "begins where the other was"
    );
    assert_eq!(selected(&start), Some("x.png"));
    press(&mut start, KeyCode::Left);
    list(&mut start, FOLDER, pictures());
    press(&mut start, KeyCode::BackTab);
    assert_eq!(start.slot(start.step).unwrap().folder, at("holiday"));
    // Another photograph elsewhere no longer moves the painting's folder.
    update(
        &mut start,
        Message::Found {
            path: "/b/y.png".into(),
            result: Ok(Found::Picture),
        },
    );
    assert_eq!(start.style.folder, Path::new(FOLDER));
}

#[test]
fn a_folder_that_was_lost_on_the_way_is_asked_for_again() {
    let mut start = opened();
    start.style.open("/other".into());
    assert_eq!(
        press(&mut start, KeyCode::Tab),
        asks(Request::List("/other".into()))
    );
    assert_eq!(
        press(&mut start, KeyCode::BackTab),
        asks(Request::List(FOLDER.into()))
    );
    list(&mut start, "/not/asked/for", pictures());
    assert_eq!(start.content.listing, None);
}

#[test]
fn a_folder_that_cannot_be_read_says_so_and_can_be_left() {
    let mut start = browsing();
    press(&mut start, KeyCode::Enter);
    let result = Err("You may not read the folder.".to_owned());
    let folder = at("holiday");
    update(&mut start, Message::Listed { folder, result });
    assert!(
        drawn(&start, (80, 24))
            .to_string()
            .contains("You may not read")
    );
    for key in [KeyCode::Enter, KeyCode::Down, KeyCode::End, KeyCode::PageUp] {
        assert_eq!(press(&mut start, key), []);
    }
    press(&mut start, KeyCode::Left);
    assert_eq!(start.content.folder, Path::new(FOLDER));
}

#[test]
fn typing_finds_and_esc_only_clears() {
    let mut start = browsing();
    type_text(&mut start, "photo");
    assert_eq!(start.content.list.shown.len(), 2);
    press(&mut start, KeyCode::Down);
    assert_eq!(selected(&start), Some("photo10.jpg"));
    press(&mut start, KeyCode::Esc);
    assert_eq!(start.content.list.shown.len(), 7);
    assert_eq!(selected(&start), Some("photo10.jpg"), "it stays selected");
    for _ in 0..5 {
        assert_eq!(press(&mut start, KeyCode::Esc), []);
    }
    type_text(&mut start, "q~x");
    press(&mut start, KeyCode::Backspace);
    assert_eq!(start.content.list.filter, "q~");
    press(&mut start, KeyCode::Backspace);
    press(&mut start, KeyCode::Backspace);
    assert_eq!(start.content.folder, Path::new(FOLDER));
}

#[test]
fn control_keys_leave_and_suspend_even_from_the_help() {
    let mut start = browsing();
    press(&mut start, KeyCode::Char('?'));
    assert!(start.help.is_some());
    assert_eq!(control(&mut start, 'z'), [Effect::Suspend]);
    assert_eq!(control(&mut start, 'c'), [Effect::Leave]);
    assert_eq!(control(&mut start, 'x'), []);
    assert!(start.help.is_none());
    control(&mut start, 'x');
    assert_eq!(start.content.list.filter, "");
}

#[test]
fn refreshing_reads_the_folder_and_its_pictures_again() {
    let mut start = browsing();
    press(&mut start, KeyCode::End);
    see(
        &mut start,
        "tower.jpg",
        Err("tower.jpg is damaged.".to_owned()),
    );
    let effects = control(&mut start, 'r');
    assert_eq!(effects, asks(Request::List(FOLDER.into())));
    let effects = list(&mut start, FOLDER, pictures());
    assert_eq!(effects, asks(Request::Thumbnail(at("tower.jpg"))));
    press(&mut start, KeyCode::BackTab);
    assert_eq!(control(&mut start, 'r'), [Effect::ListPresets]);
}

#[test]
fn home_and_pasted_paths_are_looked_for() {
    let mut start = browsing();
    let effects = press(&mut start, KeyCode::Char('~'));
    assert_eq!(effects, asks(Request::Find("~".into())));
    let found = |start: &mut Start, path: &str, result| {
        let path = path.into();
        update(start, Message::Found { path, result })
    };
    let effects = found(&mut start, "/home/ann", Ok(Found::Folder));
    assert_eq!(effects, asks(Request::List("/home/ann".into())));

    let paste = |start: &mut Start, text: &str| update(start, Message::Paste(text.to_owned()));
    let effects = paste(&mut start, "'/b/my photo.png' ");
    assert_eq!(effects, asks(Request::Find("/b/my photo.png".into())));
    let effects = found(&mut start, "/b/my photo.png", Ok(Found::Picture));
    assert_eq!(
        start.content.chosen.as_deref(),
        Some(Path::new("/b/my photo.png"))
    );
    assert_eq!(start.step, Choice::Style);
    assert!(effects.contains(&Effect::Ask(Request::List("/b".into()))));
    assert!(effects.contains(&Effect::Ask(Request::Thumbnail("/b/my photo.png".into()))));

    let effects = paste(&mut start, "c/d.png");
    assert_eq!(effects, asks(Request::Find("/b/c/d.png".into())));
    found(
        &mut start,
        "/b/c/d.png",
        Err("There is no file.".to_owned()),
    );
    assert_eq!(start.error.as_deref(), Some("There is no file."));
    paste(&mut start, " to\u{1b}wer\n");
    assert_eq!(start.style.list.filter, "tower");
}

#[test]
fn thumbnails_are_asked_for_once_and_those_chosen_are_not_lost() {
    let mut start = browsing();
    let wanted = |name: &str| asks(Request::Thumbnail(at(name)));
    assert_eq!(press(&mut start, KeyCode::End), wanted("tower.jpg"));
    assert_eq!(press(&mut start, KeyCode::End), []);
    // It is chosen before it was seen, and another one is looked at.
    press(&mut start, KeyCode::Enter);
    press(&mut start, KeyCode::Down);
    assert_eq!(press(&mut start, KeyCode::Down), wanted("bridge.png"));
    let effects = see(&mut start, "bridge.png", Ok(thumbnail((8, 6))));
    assert_eq!(effects, wanted("tower.jpg"));
    assert_eq!(see(&mut start, "tower.jpg", Ok(thumbnail((8, 6)))), []);
}

#[test]
fn a_broken_picture_is_not_chosen_or_not_for_long() {
    let mut start = browsing();
    press(&mut start, KeyCode::End);
    let broken = || Err("tower.jpg is cut short.".to_owned());
    see(&mut start, "tower.jpg", broken());
    assert_eq!(press(&mut start, KeyCode::Enter), []);
    assert_eq!(start.content.chosen, None);
    assert_eq!(start.error.as_deref(), Some("tower.jpg is cut short."));

    let mut start = browsing();
    press(&mut start, KeyCode::End);
    press(&mut start, KeyCode::Enter);
    see(&mut start, "tower.jpg", broken());
    assert_eq!(start.content.chosen, None);
    assert_eq!(start.error.as_deref(), Some("tower.jpg is cut short."));
}

fn click(start: &mut Start, (column, row): (u16, u16)) -> Vec<Effect> {
    turn(
        start,
        MouseEventKind::Down(MouseButton::Left),
        (column, row),
    )
}

fn turn(start: &mut Start, kind: MouseEventKind, (column, row): (u16, u16)) -> Vec<Effect> {
    let modifiers = KeyModifiers::NONE;
    let event = MouseEvent {
        kind,
        column,
        row,
        modifiers,
    };
    update(start, Message::Mouse(event, Rect::new(0, 0, 80, 24)))
}

#[test]
fn the_mouse_selects_takes_and_goes_above() {
    let mut start = browsing();
    let window = Rect::new(0, 0, 80, 24);
    let places = layout::places(&start, window).unwrap();
    let row = |row| (places.rows.x + 3, places.rows.y + row);
    click(&mut start, row(4));
    assert_eq!(selected(&start), Some("photo2.jpg"));
    click(&mut start, row(4));
    assert_eq!(start.content.chosen, Some(at("photo2.jpg")));
    let step = places.steps[0];
    click(&mut start, (step.x, step.y));
    assert_eq!(start.step, Choice::Content);
    let top = places.list;
    let effects = click(&mut start, (top.x + 2, top.y));
    assert_eq!(effects, asks(Request::List("/home/ann".into())));
    assert_eq!(click(&mut start, row(4)), [], "there is no such row");
    assert_eq!(click(&mut start, (79, 23)), []);
}

#[test]
fn what_is_clicked_on_stays_under_the_mouse() {
    let mut start = opened();
    let names: Vec<String> = (0..100).map(|number| format!("{number}.png")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    list(&mut start, FOLDER, listing(&[], &names));
    for _ in 0..7 {
        turn(&mut start, MouseEventKind::ScrollDown, (5, 12));
    }
    let places = layout::places(&start, Rect::new(0, 0, 80, 24)).unwrap();
    click(&mut start, (5, places.rows.y + 2));
    assert_eq!(selected(&start), Some("23.png"));
    click(&mut start, (5, places.rows.y + 2));
    assert_eq!(start.content.chosen, Some(at("23.png")));
}

#[test]
fn several_styles_can_be_taken() {
    let mut start = browsing();
    type_text(&mut start, "tow");
    press(&mut start, KeyCode::Enter);
    let add = |start: &mut Start, name: &str| {
        press(start, KeyCode::Esc);
        type_text(start, name);
        let key = KeyEvent::new(KeyCode::Char('a'), KeyModifiers::CONTROL);
        update(start, Message::Key(key));
        assert_eq!(start.step, Choice::Style, "one more may follow");
    };
    add(&mut start, "nig");
    add(&mut start, "tow");
    assert_eq!(start.styles(), [at("night.jpg"), at("tower.jpg")]);
    // Again takes it away; without the first, the second is the first.
    add(&mut start, "nig");
    assert_eq!(start.styles(), [at("tower.jpg")]);
    add(&mut start, "nig");
    // One that is among them already is no other choice.
    press(&mut start, KeyCode::Enter);
    assert_eq!(start.step, Choice::Preset);
    let effects = press(&mut start, KeyCode::Enter);
    let [Effect::Paint { styles, .. }] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(*styles, [at("tower.jpg"), at("night.jpg")]);
}
