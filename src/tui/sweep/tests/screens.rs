//! What is seen.

use impasto_sweep::Row;

use super::*;

/// A snapshot of the sheet at each of the three sizes.
fn snapshots(name: &str, sheet: &mut Sheet) {
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        resize(sheet, width, height);
        see_all(sheet);
        // The folder of a test has another name each time.
        let folder = sheet.folder.path().parent().unwrap();
        let folder = folder.to_str().unwrap();
        let blank = format!("{:<1$}", "/sweeps", folder.len());
        let screen = drawn(sheet, false).to_string().replace(folder, &blank);
        insta::assert_snapshot!(format!("{name}_{width}x{height}"), screen);
    }
}

#[test]
fn mixed_screens() {
    let home = home(&definition(4, 2, true));
    let mut sheet = mixed(&home);
    painted_here(&mut sheet);
    snapshots("mixed", &mut sheet);
}

#[test]
fn single_screens() {
    let home = home(&definition(1, 1, false));
    snapshots("single", &mut mixed(&home));
}

#[test]
fn failed_screens() {
    let home = home(&definition(4, 2, true));
    let mut sheet = mixed(&home);
    press(&mut sheet, KeyCode::Char('f'));
    snapshots("failed", &mut sheet);
}

#[test]
fn long_name_screens() {
    let content = format!(
        "/in/{}\u{1b}[2J.jpg",
        "very_long_name_of_a_photograph_".repeat(4)
    );
    let row = |style: &str| Row {
        content: content.clone(),
        style: vec![Style {
            path: format!("/in/{style}.jpg"),
            weight: Some(0.5),
        }],
        preset: None,
        set: vec![("style.layers.relu3_1".to_owned(), Value::from(0.25))],
    };
    let styles = [
        "海の波と山の絵の長い名前",
        "a style with blanks and it's quoted",
    ];
    let definition = Definition {
        preset: "default".to_owned(),
        rows: styles.map(row).to_vec(),
        ..Definition::default()
    };
    let home = home(&definition);
    snapshots("long_names", &mut mixed(&home));
}

#[test]
fn scrolled_screens() {
    let home = home(&definition(1000, 5, true));
    let mut sheet = mixed(&home);
    resize(&mut sheet, 80, 24);
    press(&mut sheet, KeyCode::End);
    press(&mut sheet, KeyCode::PageUp);
    snapshots("scrolled", &mut sheet);
}

#[test]
fn questions_and_help() {
    let home = home(&definition(4, 2, true));
    let mut sheet = mixed(&home);
    painted_here(&mut sheet);
    resize(&mut sheet, 120, 40);
    for (key, words) in [
        ('q', "impasto sweep /"),
        ('r', "Paint cell 0 anew?"),
        ('p', "2048_"),
        ('?', "draw the screen anew"),
    ] {
        press(&mut sheet, KeyCode::Char(key));
        let screen = drawn(&sheet, false).to_string();
        assert!(screen.contains(words), "{words} is not in\n{screen}");
        press(&mut sheet, KeyCode::Esc);
        assert_eq!(sheet.overlay, None);
    }
}

#[test]
fn a_cell_is_shown_with_all_that_is_known() {
    let home = home(&definition(4, 2, true));
    let mut sheet = mixed(&home);
    resize(&mut sheet, 200, 60);
    press(&mut sheet, KeyCode::Right);
    press(&mut sheet, KeyCode::Enter);
    let screen = drawn(&sheet, false).to_string();
    // Values stand in a column of their own.
    let screen = screen.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "total loss 37500",
        "ssim 0.4375",
        "500 of 500",
        "style.weight 50",
        "cells/0001",
        "impasto run /in/photo0.jpg /in/style0.jpg",
        "--preset default",
    ] {
        assert!(screen.contains(words), "{words} is not in\n{screen}");
    }
    for key in [KeyCode::Right, KeyCode::Right] {
        press(&mut sheet, key);
    }
    let screen = drawn(&sheet, false).to_string();
    assert!(screen.contains("it ends early"), "{screen}");
}

#[test]
fn ascii_is_enough() {
    let home = home(&definition(4, 2, true));
    let mut sheet = mixed(&home);
    painted_here(&mut sheet);
    see_all(&mut sheet);
    for key in [
        KeyCode::Null,
        KeyCode::Char('q'),
        KeyCode::Esc,
        KeyCode::Enter,
    ] {
        press(&mut sheet, key);
        let screen = drawn(&sheet, true);
        let buffer = screen.buffer();
        assert!(
            buffer.content.iter().all(|cell| cell.symbol().is_ascii()),
            "{screen}"
        );
    }
}

#[test]
fn small_windows_say_so() {
    let home = home(&definition(4, 2, true));
    let mut sheet = mixed(&home);
    for (width, height) in [(59, 16), (60, 15), (1, 1)] {
        resize(&mut sheet, width, height);
        press(&mut sheet, KeyCode::Down);
        let screen = drawn(&sheet, true).to_string();
        assert!(
            width == 1 || screen.contains("the contact sheet needs"),
            "{screen}"
        );
    }
}

#[test]
fn the_end_is_said() {
    let home = home(&definition(1, 2, false));
    let mut index = home.sweep.index().unwrap();
    for cell in &mut index.cells {
        cell.state = CellState::Done;
    }
    let mut sheet = Sheet::new(home.sweep.clone());
    assert!(
        drawn(&sheet, false)
            .to_string()
            .contains("reading the sweep")
    );
    sheet.read(index.clone());
    assert!(
        drawn(&sheet, false)
            .to_string()
            .contains("all cells are done")
    );
    index.cells[1].state = CellState::Failed;
    sheet.read(index);
    assert!(
        drawn(&sheet, false)
            .to_string()
            .contains("over, with failed cells")
    );
}
