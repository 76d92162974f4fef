//! A sweep's file, its cells and its folder; painting is tested with the whole program.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::*;

/// A folder with two contents and two styles, which need no pixels here.
fn pictures() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.jpg", "b.jpg", "s.jpg", "t.jpg"] {
        fs::write(folder.path().join(name), name).unwrap();
    }
    folder
}

fn read_in(folder: &Path, text: &str) -> Result<Definition> {
    read(text, "grid.yaml", folder)
}

const GRID: &str = "contents: [a.jpg, b.jpg]\n\
    styles: [s.jpg, [s.jpg:0.25, t.jpg]]\n\
    set: {size: 64, seed: 7}\n\
    vary: {style.weight: [10, 50], colour: [style, content]}\n";

#[test]
fn the_last_key_changes_fastest() {
    let folder = pictures();
    let sweep = read_in(folder.path(), GRID).unwrap();
    assert_eq!(sweep.count(), 16);
    let cell = sweep.cell(13).unwrap();
    assert_eq!(stem(&cell.content), "b");
    assert_eq!(cell.styles.len(), 2);
    assert_eq!(cell.styles[0].weight, Some(0.25));
    assert_eq!(
        cell.values,
        [
            ("style.weight".to_owned(), json!(10)),
            ("colour".to_owned(), json!("content"))
        ]
    );
    assert_eq!(cell.words(), "b × s + t, style.weight 10, colour content");
    let (preset, overrides) = sweep.preset_of(&cell).unwrap();
    assert_eq!((preset.style.weight, preset.seed), (10.0, 7));
    assert_eq!(preset.schedule.last().unwrap().size, 64);
    assert_eq!(preset.style.blend_weights, [0.25, 1.0]);
    assert_eq!(overrides.size, Some(64));
    assert_eq!(sweep.cell(16), None);
    let numbers: Vec<usize> = sweep.cells().map(|cell| cell.number).collect();
    assert_eq!(numbers, (0..16).collect::<Vec<_>>());
}

#[test]
fn rows_stand_for_themselves() {
    let folder = pictures();
    let text = "set: {size: 64}\n\
        rows:\n\
        - {content: a.jpg, style: s.jpg}\n\
        - {content: b.jpg, style: [s.jpg, t.jpg], preset: bold, set: {seed: 3}}\n";
    let sweep = read_in(folder.path(), text).unwrap();
    assert_eq!(sweep.count(), 2);
    let cell = sweep.cell(1).unwrap();
    assert_eq!((cell.preset.as_str(), cell.styles.len()), ("bold", 2));
    assert_eq!(sweep.preset_of(&cell).unwrap().0.seed, 3);
    assert_eq!(sweep.varied_keys(), ["preset", "seed"]);
}

#[test]
fn mistakes_have_a_place() {
    let folder = pictures();
    let refused = |text: &str, words: &[&str]| {
        let error = read_in(folder.path(), text).unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{word} in {error}");
        }
    };
    let whole = "contents: a.jpg\nstyles: s.jpg\n";
    refused("contents: [a.jpg, c.jpg]\n", &["grid.yaml:1:", "c.jpg"]);
    refused("contents: a.jpg\nstyles: [s.jpg:-1]\n", &["grid.yaml:2:"]);
    refused(
        &format!("{whole}vary: {{size: []}}\n"),
        &["grid.yaml:3:", "empty list"],
    );
    refused(
        &format!("{whole}vary: {{size: [64, 65.5]}}\n"),
        &["grid.yaml:3:", "65.5"],
    );
    refused(
        &format!("{whole}vary: {{preset: [bold, blod]}}\n"),
        &["grid.yaml:3:", "bold"],
    );
    refused(
        &format!("{whole}set: {{seed: 1, seed: 2}}\n"),
        &["grid.yaml:3:", "twice"],
    );
    refused(
        &format!("{whole}rows: [{{content: a.jpg, style: s.jpg}}]\n"),
        &["in place of"],
    );
    refused(
        "rows: [{content: a.jpg}]\n",
        &["grid.yaml:1:", "no `style`"],
    );
    refused("[]", &["grid.yaml:1:", "a mapping of contents"]);
    refused("", &["empty"]);
    let many: Vec<String> = (0..400).map(|number| number.to_string()).collect();
    let many = many.join(", ");
    refused(
        &format!("{whole}vary: {{seed: [{many}], style.weight: [{many}]}}\n"),
        &["160000 cells"],
    );
}

#[test]
fn the_index_is_read_as_it_was_written() {
    let pictures = pictures();
    let sweep = read_in(pictures.path(), GRID).unwrap();
    let place = tempfile::tempdir().unwrap();
    let folder = SweepFolder::open_for(&place.path().join("grid"), &sweep).unwrap();
    let mut index = folder.index().unwrap();
    assert_eq!(index.counts(), [(CellState::Waiting, 16)]);
    assert!(!index.is_done());
    index.cells[3].message = Some("a\nline".to_owned());
    index.cells[3]
        .scores
        .insert("style_gram".to_owned(), json!(0.5));
    index.cells[3].picture = Some("../../etc/passwd".to_owned());
    folder.write_index(&index).unwrap();
    let read = folder.written_index().unwrap();
    assert_eq!(
        read.cells[3].picture.as_deref(),
        Some("cells/0003/result.png")
    );
    index.cells[3].picture.clone_from(&read.cells[3].picture);
    assert_eq!(read, index);
    assert_eq!(
        SweepFolder::open(folder.path()).unwrap().definition(),
        &sweep
    );
    let text = fs::read_to_string(folder.path().join("sweep.json")).unwrap();
    assert_eq!(text.lines().count(), 17, "a line for each cell");
    let csv = fs::read_to_string(folder.path().join("cells.csv")).unwrap();
    let rows: Vec<&str> = csv.lines().collect();
    assert_eq!(rows.len(), 17);
    assert!(rows[0].starts_with("number,content,style,style.weight,colour,state,"));
    assert!(rows[0].ends_with(",style_gram"));
    assert!(rows[4].starts_with("3,") && rows[4].ends_with(",50,content,waiting,0,0.000,,,,,0.5"));
}

#[test]
fn a_folder_keeps_its_sweep() {
    let pictures = pictures();
    let sweep = read_in(pictures.path(), GRID).unwrap();
    let place = tempfile::tempdir().unwrap();
    SweepFolder::open_for(place.path(), &sweep).unwrap();
    SweepFolder::open_for(place.path(), &sweep).unwrap();
    let mut other = sweep.clone();
    other.vary[0].1.push(json!(99));
    let error = SweepFolder::open_for(place.path(), &other).unwrap_err();
    assert!(matches!(&error, SweepError::OtherSweep { .. }), "{error}");
    let error = SweepFolder::open_for(pictures.path(), &sweep).unwrap_err();
    assert!(matches!(&error, SweepError::NotASweep { .. }), "{error}");
    fs::write(place.path().join("sweep.json"), "{\"format\":1,").unwrap();
    let error = SweepFolder::open(place.path()).unwrap_err();
    assert!(matches!(&error, SweepError::Damaged { .. }), "{error}");
    fs::write(place.path().join("sweep.json"), "{\"format\":99}").unwrap();
    let error = SweepFolder::open(place.path()).unwrap_err();
    assert!(
        matches!(&error, SweepError::OtherVersion { format: 99, .. }),
        "{error}"
    );
}

#[test]
fn cells_that_were_reset_are_noticed() {
    let pictures = pictures();
    let sweep = read_in(pictures.path(), GRID).unwrap();
    let place = tempfile::tempdir().unwrap();
    let folder = SweepFolder::open_for(place.path(), &sweep).unwrap();
    let mut index = folder.index().unwrap();
    folder.note_failure(2, Some("cannot read b.jpg\n")).unwrap();
    assert_eq!(folder.refresh_begun(&mut index).unwrap(), [0; 0]);
    assert_eq!(index.cells[2].state, CellState::Failed);
    assert_eq!(index.cells[2].message.as_deref(), Some("cannot read b.jpg"));
    index.cells[5].state = CellState::Done;
    folder.reset(2).unwrap();
    assert_eq!(folder.refresh_begun(&mut index).unwrap(), [2, 5]);
    assert_eq!(index.counts(), [(CellState::Waiting, 16)]);
    assert!(matches!(
        folder.cell(16),
        Err(SweepError::NoCell {
            number: 16,
            count: 16
        })
    ));
}

#[test]
fn a_spreadsheet_takes_no_name_for_a_formula() {
    let pictures = pictures();
    let odd = "=1+1, \"x\".jpg";
    fs::write(pictures.path().join(odd), "").unwrap();
    let mut sweep = read_in(pictures.path(), "contents: a.jpg\nstyles: s.jpg\n").unwrap();
    sweep.contents = vec![odd.to_owned()];
    let place = tempfile::tempdir().unwrap();
    let folder = SweepFolder::open_for(place.path(), &sweep).unwrap();
    let csv = folder.index().unwrap().csv();
    assert!(csv.contains("\n0,\" =1+1, \"\"x\"\".jpg\","), "{csv}");
}
