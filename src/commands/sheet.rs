//! `impasto sheet`: many pictures on one page.

mod grid;

use std::io::Write as _;
use std::path::{Component, Path, PathBuf};

use impasto_core::paths::is_same_file;
use impasto_core::picture::{self, Picture, check_destination};
use impasto_core::text::{display_path, number};
use impasto_runs::{Losses, Run, Runs};
use impasto_sheet::{Cell, MAX_PIXELS, MAX_SIDE, Options, Sheet, html, pixels};
use impasto_sweep::{CellEntry, CellState, SweepFolder, plain, stem};
use serde_json::Value;
use tempfile::NamedTempFile;

use self::grid::Axes;
use crate::cli::sheet::SheetArgs;
use crate::headless::{near, say};
use crate::outcome::{Failure, Outcome};
use crate::pace::clock;

/// Pictures of a sheet have together about so many pixels, where nothing else is said.
const PIXELS: f64 = 40e6;

pub fn sheet(args: &SheetArgs) -> Outcome {
    let page = is_page(&args.output);
    if !page {
        check_destination(&args.output)?;
    }
    check_not_overwritten(&args.sources, &args.output)?;
    let place = Place::new(&args.output)?;
    let mut sheet = match args.sources.as_slice() {
        [folder] if SweepFolder::is_one(folder) => of_sweep(folder, args.cell, &place)?,
        sources => of_list(sources, args.cell, &place)?,
    };
    if let Some(title) = &args.title {
        sheet.0.title.clone_from(title);
    }
    let (sheet, options) = sheet;
    if page {
        write(&args.output, html(&sheet, &options).as_bytes())?;
    } else {
        let page = pixels(&sheet, &options)
            .and_then(|page| Picture::from_rgb8(page.width(), page.height(), page.as_raw()));
        let page = page.ok_or_else(|| {
            Failure::Usage(format!(
                "the sheet would have more than {MAX_SIDE} pixels on a side or {} million in all; \
                 make the pictures smaller with --cell, or save an HTML page (-o FILE.html)",
                MAX_PIXELS / 1_000_000
            ))
        })?;
        picture::save(&page, &args.output, None)?;
    }
    say(&format!("saved {}", display_path(near(&args.output))));
    Ok(())
}

/// Refuses an output that would replace what the sheet is made of.
fn check_not_overwritten(sources: &[PathBuf], output: &Path) -> Outcome {
    let mut kept = Vec::new();
    for source in sources {
        if SweepFolder::is_one(source) {
            let folder = SweepFolder::open(source)?;
            kept.extend(folder.definition().pictures().map(PathBuf::from));
            let count = folder.definition().count();
            kept.extend((0..count).map(|number| folder.cell_folder(number).join(Run::RESULT)));
        } else {
            kept.extend([source.clone(), source.join(Run::RESULT)]);
        }
    }
    match output.exists() && kept.iter().any(|file| is_same_file(file, output)) {
        true => Err(Failure::Usage(format!(
            "{} is one of the pictures, which would be overwritten; name another file with -o",
            display_path(output)
        ))),
        false => Ok(()),
    }
}

fn is_page(output: &Path) -> bool {
    let ending = output.extension().and_then(|it| it.to_str());
    ending.is_some_and(|it| it.eq_ignore_ascii_case("html") || it.eq_ignore_ascii_case("htm"))
}

/// Writes a file whole or not at all.
fn write(output: &Path, bytes: &[u8]) -> Outcome {
    let folder = match output.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let save = || -> std::io::Result<()> {
        let mut file = NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(output)?;
        Ok(())
    };
    save()
        .map_err(|error| Failure::Failed(format!("cannot write {}: {error}", display_path(output))))
}

/// Where the sheet will be, for links from there.
struct Place {
    folder: PathBuf,
}

impl Place {
    fn new(output: &Path) -> Result<Self, Failure> {
        let output = std::path::absolute(output)?;
        let folder = output.parent().unwrap_or(&output);
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// How a file is called from there.
    fn link(&self, file: &Path) -> Option<String> {
        let file = std::path::absolute(file).ok()?;
        let (from, to): (Vec<Component>, Vec<Component>) = (
            self.folder.components().collect(),
            file.components().collect(),
        );
        let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
        let up = from.iter().skip(common).map(|_| "..".to_owned());
        let down = to.iter().skip(common);
        let down = down.map(|part| part.as_os_str().to_str().map(str::to_owned));
        let parts: Option<Vec<String>> = up.map(Some).chain(down).collect();
        Some(parts?.join("/"))
    }
}

/// The size of the pictures of a sheet of so many.
fn options(count: usize, wanted: Option<u32>) -> Options {
    let most = (PIXELS / count.max(1) as f64).sqrt() as u32;
    Options {
        thumbnail: wanted.unwrap_or_else(|| Options::default().thumbnail.min(most).max(48)),
    }
}

/// The sheet of a sweep: a grid where the sweep is one.
fn of_sweep(
    folder: &Path,
    wanted: Option<u32>,
    place: &Place,
) -> Result<(Sheet, Options), Failure> {
    let folder = SweepFolder::open(folder)?;
    let index = folder.index()?;
    let options = options(index.cells.len(), wanted);
    let axes = Axes::new(folder.definition());
    let cell = |entry: &CellEntry| {
        let file = entry.picture.as_ref().map(|name| folder.path().join(name));
        let mut cell = Cell {
            caption: Vec::new(),
            details: details(entry),
            ..picture_cell(file.as_deref(), &options, place)
        };
        if axes.is_none() {
            let cell_ = folder.cell(entry.number)?;
            cell.caption.push(cell_.words());
        }
        cell.caption.push(match (&entry.losses, entry.state) {
            (Some(losses), CellState::Done) => format!("total {}", number(losses.total, 3)),
            (_, CellState::Failed) => "failed".to_owned(),
            (_, state) => state.word().to_owned(),
        });
        cell.caption.extend(entry.message.clone());
        Ok(cell)
    };
    let cells: Result<Vec<Cell>, Failure> = index.cells.iter().map(cell).collect();
    let title = folder.path().file_name().unwrap_or_default();
    let (rows, columns) = match &axes {
        Some(axes) => axes.headers(|path| thumbnail(path, &options)),
        None => (Vec::new(), Vec::new()),
    };
    let sheet = Sheet {
        title: display_path(Path::new(title)),
        rows,
        columns,
        cells: cells?,
    };
    Ok((sheet, options))
}

/// A picture that is only shown: one that cannot be read is left out.
fn thumbnail(path: &Path, options: &Options) -> Option<Picture> {
    let source = picture::load(path).ok()?;
    Some(options.shrink(&source.picture))
}

/// A cell with the picture of a file, its link and its recipe.
fn picture_cell(file: Option<&Path>, options: &Options, place: &Place) -> Cell {
    let Some(file) = file else {
        return Cell::default();
    };
    let recipe = picture::read_recipe(file).ok();
    let recipe = recipe.and_then(|text| serde_json::from_str::<Value>(&text).ok());
    Cell {
        picture: thumbnail(file, options),
        link: place.link(file),
        recipe: recipe.and_then(|recipe| serde_json::to_string_pretty(&recipe).ok()),
        ..Cell::default()
    }
}

/// What a page tells about a cell of a sweep.
fn details(entry: &CellEntry) -> Vec<(String, String)> {
    let mut details = vec![
        ("cell".to_owned(), entry.number.to_string()),
        ("content".to_owned(), stem(&entry.content).to_owned()),
        (
            "style".to_owned(),
            entry
                .style
                .split(" + ")
                .map(stem)
                .collect::<Vec<_>>()
                .join(" + "),
        ),
    ];
    let values = entry.values.iter().chain(&entry.scores);
    let values: Vec<_> = values
        .map(|(key, value)| (key.clone(), plain(value)))
        .collect();
    let (own, scores) = values.split_at(entry.values.len());
    details.extend_from_slice(own);
    details.extend(entry.losses.iter().flat_map(losses));
    details.extend_from_slice(scores);
    if entry.iteration > 0 {
        details.push(("iterations".to_owned(), entry.iteration.to_string()));
        details.push(("painted in".to_owned(), clock(entry.seconds)));
    }
    details
}

fn losses(losses: &Losses) -> [(String, String); 4] {
    [
        ("content loss", losses.content),
        ("style loss", losses.style),
        ("smoothness loss", losses.smoothness),
        ("total loss", losses.total),
    ]
    .map(|(name, value)| (name.to_owned(), number(value, 5)))
}

/// Runs and pictures one after another.
fn of_list(
    sources: &[PathBuf],
    wanted: Option<u32>,
    place: &Place,
) -> Result<(Sheet, Options), Failure> {
    let options = options(sources.len(), wanted);
    let cells: Result<Vec<Cell>, Failure> = sources
        .iter()
        .map(|source| listed(source, &options, place))
        .collect();
    let sheet = Sheet {
        cells: cells?,
        ..Sheet::default()
    };
    Ok((sheet, options))
}

/// The cell of a picture, or of a run by its folder or its name.
fn listed(source: &Path, options: &Options, place: &Place) -> Result<Cell, Failure> {
    if source.is_file() {
        let shown = picture::load(source)?;
        return Ok(Cell {
            picture: Some(options.shrink(&shown.picture)),
            caption: vec![named(source)],
            ..picture_cell(Some(source), options, place)
        });
    }
    let run = match (source.is_dir(), source.to_str()) {
        (true, _) => Run::open(source)?,
        (false, Some(name)) => Runs::open()?.find(name)?,
        (false, None) => {
            let name = display_path(source);
            return Err(Failure::Usage(format!("there is no file {name}")));
        }
    };
    let progress = run.state();
    let record = run.record();
    let styles: Vec<String> = record
        .styles()
        .map(|it| named(Path::new(&it.file)))
        .collect();
    let file = run.result_path();
    let mut caption = vec![
        format!(
            "{} × {}",
            named(Path::new(&record.content.file)),
            styles.join(" + ")
        ),
        record.preset.name.clone(),
    ];
    match &progress.losses {
        Some(losses) if file.is_file() => {
            caption.push(format!("total {}", number(losses.total, 3)));
        }
        _ => caption.push(run.status().word().to_owned()),
    }
    let mut details = vec![("run".to_owned(), run.name().to_string())];
    details.extend(progress.losses.iter().flat_map(losses));
    details.push(("iterations".to_owned(), progress.iteration.to_string()));
    details.push(("painted in".to_owned(), clock(progress.elapsed)));
    Ok(Cell {
        caption,
        details,
        ..picture_cell(file.is_file().then_some(file.as_path()), options, place)
    })
}

/// A file's name without its folder and its ending.
fn named(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_from_the_sheet_to_the_picture() {
        let link = |sheet: &str, file: &str| {
            let place = Place::new(Path::new(sheet)).unwrap();
            place.link(Path::new(file)).unwrap()
        };
        assert_eq!(
            link("/a/sheet.html", "/a/cells/0000/result.png"),
            "cells/0000/result.png"
        );
        assert_eq!(link("/a/b/sheet.html", "/a/c/x.png"), "../c/x.png");
        assert_eq!(link("/b/sheet.html", "/a/x.png"), "../a/x.png");
        assert_eq!(link("sheet.html", "grid/x.png"), "grid/x.png");
    }

    #[test]
    fn many_pictures_are_small() {
        assert_eq!(options(20, None).thumbnail, 256);
        assert_eq!(options(10_000, None).thumbnail, 63);
        assert_eq!(options(10_000, Some(300)).thumbnail, 300);
    }
}
