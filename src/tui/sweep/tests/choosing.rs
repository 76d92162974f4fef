//! What keys do.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

use super::super::sheet::{Filter, Overlay, command};
use super::*;

fn number(sheet: &Sheet) -> usize {
    sheet.cell().unwrap().number
}

/// A sheet with this cell selected.
fn at(home: &Home, cell: usize) -> Sheet {
    let mut sheet = mixed(home);
    for _ in 0..cell {
        press(&mut sheet, KeyCode::Right);
    }
    assert_eq!(number(&sheet), cell);
    sheet
}

#[test]
fn keys_walk_the_grid() {
    let home = home(&definition(5, 2, true));
    let mut sheet = mixed(&home);
    // Four columns by nature.
    for (key, cell) in [
        (KeyCode::Left, 0),
        (KeyCode::Right, 1),
        (KeyCode::Char('l'), 2),
        (KeyCode::Char('h'), 1),
        (KeyCode::Down, 5),
        (KeyCode::Char('j'), 9),
        (KeyCode::Char('k'), 5),
        (KeyCode::Up, 1),
        (KeyCode::Up, 1),
        (KeyCode::PageDown, 9),
        (KeyCode::End, 19),
        (KeyCode::Right, 19),
        (KeyCode::PageUp, 11),
        (KeyCode::Home, 0),
    ] {
        assert_eq!(press(&mut sheet, key), []);
        assert_eq!(number(&sheet), cell, "after {key}");
    }
}

#[test]
fn enter_opens_what_is_painted_and_shows_the_rest() {
    let home = home(&definition(4, 2, true));
    let mut sheet = at(&home, 2);
    assert_eq!(press(&mut sheet, KeyCode::Enter), [Effect::Open(2)]);
    press(&mut sheet, KeyCode::Left);
    assert_eq!(press(&mut sheet, KeyCode::Enter), []);
    assert_eq!(sheet.overlay, Some(Overlay::Cell { scroll: 0 }));
    assert!(
        sheet
            .wanted()
            .first()
            .is_some_and(|it| it.large && it.number == 1)
    );
    press(&mut sheet, KeyCode::Down);
    press(&mut sheet, KeyCode::Right);
    assert_eq!(
        (number(&sheet), &sheet.overlay),
        (2, &Some(Overlay::Cell { scroll: 0 }))
    );
    press(&mut sheet, KeyCode::Esc);
    assert_eq!(sheet.overlay, None);
}

#[test]
fn only_what_is_painted_stops() {
    let home = home(&definition(4, 2, true));
    assert_eq!(
        press(&mut at(&home, 2), KeyCode::Char('x')),
        [Effect::StopCell(2)]
    );
    assert_eq!(
        press(&mut at(&home, 4), KeyCode::Char('x')),
        [Effect::StopCell(4)]
    );
    let mut sheet = at(&home, 3);
    assert_eq!(press(&mut sheet, KeyCode::Char('x')), []);
    assert!(sheet.news().unwrap().text.contains("is failed"));
}

#[test]
fn a_cell_is_repeated_once_confirmed() {
    let home = home(&definition(4, 2, true));
    let mut sheet = at(&home, 3);
    press(&mut sheet, KeyCode::Char('r'));
    assert_eq!(press(&mut sheet, KeyCode::Char('z')), []);
    assert_eq!(press(&mut sheet, KeyCode::Char('n')), []);
    press(&mut sheet, KeyCode::Char('r'));
    assert_eq!(press(&mut sheet, KeyCode::Char('y')), [Effect::Reset(3)]);
    for busy in [2, 7] {
        let mut sheet = at(&home, busy);
        press(&mut sheet, KeyCode::Char('r'));
        assert_eq!(sheet.overlay, None);
    }
}

#[test]
fn a_size_is_asked_for() {
    let home = home(&definition(4, 2, true));
    let mut sheet = at(&home, 1);
    press(&mut sheet, KeyCode::Char('p'));
    let promote = |size| Effect::Promote { number: 1, size };
    for _ in 0..4 {
        press(&mut sheet, KeyCode::Backspace);
    }
    for digit in "999999".chars() {
        press(&mut sheet, KeyCode::Char(digit));
    }
    assert_eq!(press(&mut sheet, KeyCode::Enter), []);
    assert!(matches!(
        &sheet.overlay,
        Some(Overlay::Promote { error: Some(_), .. })
    ));
    press(&mut sheet, KeyCode::Backspace);
    assert_eq!(press(&mut sheet, KeyCode::Enter), [promote(9999)]);
    press(&mut sheet, KeyCode::Char('p'));
    assert_eq!(press(&mut sheet, KeyCode::Enter), [promote(2048)]);
}

#[test]
fn filters_go_round_and_keep_the_cell() {
    let home = home(&definition(4, 2, true));
    let mut sheet = at(&home, 3);
    for (filter, cells) in [
        (Filter::Failed, vec![3, 11]),
        (Filter::Painting, vec![2, 4, 10, 12]),
        (Filter::Done, vec![0, 1, 8, 9]),
        (Filter::All, (0..16).collect()),
    ] {
        press(&mut sheet, KeyCode::Char('f'));
        assert_eq!((sheet.filter, &sheet.shown), (filter, &cells));
        assert!(sheet.cell().is_some());
    }
    press(&mut sheet, KeyCode::Char('f'));
    press(&mut sheet, KeyCode::Esc);
    assert_eq!(sheet.filter, Filter::All);
}

#[test]
fn space_pauses_and_resumes() {
    let home = home(&definition(4, 2, true));
    let mut sheet = mixed(&home);
    assert_eq!(
        press(&mut sheet, KeyCode::Char(' ')),
        [Effect::StartPainter]
    );
    painted_here(&mut sheet);
    assert_eq!(
        press(&mut sheet, KeyCode::Char(' ')),
        [Effect::StopPainters]
    );
}

#[test]
fn quitting_asks_only_while_painters_live() {
    let home = home(&definition(4, 2, true));
    let mut sheet = mixed(&home);
    assert_eq!(press(&mut sheet, KeyCode::Char('q')), [Effect::Leave]);
    assert_eq!(control(&mut sheet, 'c'), [Effect::Interrupt]);
    painted_here(&mut sheet);
    for (key, effects) in [
        (KeyCode::Esc, vec![]),
        (KeyCode::Enter, vec![Effect::Leave]),
        (
            KeyCode::Char('s'),
            vec![Effect::StopPainters, Effect::Leave],
        ),
    ] {
        assert_eq!(press(&mut sheet, KeyCode::Char('q')), []);
        assert_eq!(press(&mut sheet, key), effects);
        assert_eq!(sheet.overlay, None);
    }
    let stops = [Effect::StopPainters, Effect::Interrupt];
    press(&mut sheet, KeyCode::Char('q'));
    assert_eq!(control(&mut sheet, 'c'), stops, "over a question too");
    assert_eq!(control(&mut sheet, 'l'), [Effect::Redraw]);
    assert_eq!(control(&mut sheet, 'z'), [Effect::Suspend]);
}

#[test]
fn clicks_choose_and_open() {
    let home = home(&definition(4, 2, true));
    let mut sheet = mixed(&home);
    let (_, grid) = sheet.places().unwrap();
    let tile = grid.tile(2);
    let click = || {
        Message::Mouse(MouseEvent {
            kind: MouseEventKind::Down(MouseButton::Left),
            column: tile.x + 1,
            row: tile.y + 1,
            modifiers: KeyModifiers::NONE,
        })
    };
    assert_eq!(update(&mut sheet, click()), []);
    assert_eq!(number(&sheet), 2);
    assert_eq!(update(&mut sheet, click()), [Effect::Open(2)]);
}

#[test]
fn of_many_cells_only_those_in_sight_are_asked_for() {
    let home = home(&definition(1000, 5, true));
    let mut sheet = mixed(&home);
    resize(&mut sheet, 200, 60);
    assert_eq!(sheet.shown.len(), 10_000);
    let (_, grid) = sheet.places().unwrap();
    let most = grid.rows * grid.columns;
    assert!(most <= 60, "{grid:?}");
    for key in [
        KeyCode::Home,
        KeyCode::PageDown,
        KeyCode::End,
        KeyCode::PageUp,
    ] {
        press(&mut sheet, key);
        let wanted = sheet.wanted();
        assert!(
            !wanted.is_empty() && wanted.len() <= most,
            "{}",
            wanted.len()
        );
        assert!(wanted.iter().any(|it| it.number == number(&sheet)));
    }
    // What was seen is forgotten at some time.
    press(&mut sheet, KeyCode::Home);
    let first = sheet.wanted()[0].number;
    for _ in 0..40 {
        for wanted in sheet.wanted() {
            let look = Some(Look::Whole(thumbnail()));
            update(&mut sheet, Message::Reading(Reading::Look { wanted, look }));
        }
        press(&mut sheet, KeyCode::PageDown);
    }
    assert_eq!(sheet.look(first, false), None);
}

#[test]
fn the_pace_is_that_of_the_cells_that_are_done() {
    let home = home(&definition(2, 2, true));
    let sheet = mixed(&home);
    let summary = &sheet.summary;
    // Two of eight are done in 50 s each, one is painted, one failed.
    assert_eq!(summary.per_hour, Some(72.0));
    let over = 3.0 + 4.0 * 230.0 / 500.0;
    assert!((summary.progress - over / 8.0).abs() < 1e-9);
    assert!((summary.left.unwrap() - (8.0 - over) * 50.0).abs() < 1e-6);
    assert!(!summary.is_over());
    assert_eq!(summary.count(CellState::Done), 2);
}

#[test]
fn an_index_out_of_order_is_refused() {
    let home = home(&definition(2, 2, true));
    let mut sheet = mixed(&home);
    let mut index = home.sweep.index().unwrap();
    index.cells.swap(0, 1);
    update(
        &mut sheet,
        Message::Reading(Reading::Index(Ok(Box::new(index)))),
    );
    assert!(sheet.unread.is_some());
    assert_eq!(
        sheet.entries[0].state,
        CellState::Done,
        "what was known stays"
    );
}

#[test]
fn a_cell_can_be_painted_by_a_command_of_its_own() {
    let home = home(&Definition {
        styles: vec![vec![
            Style {
                path: "/in/it's.jpg".to_owned(),
                weight: Some(0.5),
            },
            Style {
                path: "/in/b.jpg".to_owned(),
                weight: None,
            },
        ]],
        set: vec![("size".to_owned(), Value::from(256))],
        ..definition(1, 1, true)
    });
    let cell = home.sweep.cell(1).unwrap();
    let words = "impasto run /in/photo0.jpg '/in/it'\\''s.jpg:0.5' /in/b.jpg --preset default \
                 --size 256 --set style.weight=50";
    assert_eq!(command(&cell), words);
}
