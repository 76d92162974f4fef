//! `impasto runs list`.

use std::io::{self, Write};

use impasto_core::picture::Picture;
use impasto_graphics::terminal::Terminal;
use impasto_graphics::{PrintError, Thumbnail};
use impasto_runs::{Run, RunEntry, RunError, RunStatus, Runs, clock};

use super::facts::{Facts, ago};
use crate::cli::runs::ListArgs;
use crate::headless::say;
use crate::outcome::{Failure, Outcome};

/// Spaces between two columns.
const GAP: usize = 2;

pub fn list(args: &ListArgs) -> Outcome {
    let mut facts = Vec::new();
    let mut broken = Vec::new();
    let mut pictures = Vec::new();
    for entry in Runs::open()?.all()? {
        match entry {
            RunEntry::Run(run) => {
                facts.push(Facts::of(&run));
                if args.thumbnails {
                    pictures.push(picture(&run));
                }
            }
            RunEntry::Broken { name, error } => broken.push((name, error)),
        }
    }
    let mut out = io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &facts).map_err(io::Error::from)?;
        writeln!(out)?;
    } else if facts.is_empty() && broken.is_empty() {
        writeln!(out, "{}", RunError::NoRuns)?;
    } else if args.thumbnails {
        let terminal = Terminal::detect();
        let terminal =
            terminal.ok_or_else(|| Failure::Usage(PrintError::NoTerminal.to_string()))?;
        let drawn = pictures.iter().map(|picture| {
            let picture = picture.as_ref()?;
            Some(Thumbnail::new(picture, terminal.colours))
        });
        let columns = usize::from(terminal.columns);
        gallery(&facts, drawn.collect(), columns, &mut out)?;
    } else {
        let columns = Terminal::detect().map(|terminal| usize::from(terminal.columns));
        table(&facts, clock::now(), columns, &mut out)?;
    }
    out.flush()?;
    drop(out);
    for (name, error) in broken {
        say(&format!("{name}: broken: {error}"));
    }
    if !args.json {
        advise(&facts);
    }
    Ok(())
}

/// Says how to continue with what was interrupted.
fn advise(facts: &[Facts]) {
    let interrupted = facts
        .iter()
        .find(|facts| facts.state == RunStatus::Interrupted);
    if let Some(facts) = interrupted {
        say(&format!(
            "\nTo resume an interrupted run: impasto resume {}",
            facts.name
        ));
    }
}

/// The picture of a run: the one that is kept small, else the result.
fn picture(run: &Run) -> Option<Picture> {
    [Run::PREVIEW, Run::RESULT]
        .iter()
        .find_map(|name| run.picture(name).ok())
}

/// A row for each run, under headings. In this many columns, if they are known,
/// what can be spared is left out.
fn table(
    facts: &[Facts],
    now: u64,
    columns: Option<usize>,
    out: &mut impl Write,
) -> io::Result<()> {
    const HEADINGS: [&str; 8] = [
        "run",
        "state",
        "preset",
        "size",
        "iterations",
        "total",
        "time",
        "when",
    ];
    // The places of those that can be spared, in the order in which they go.
    const SPARED: [usize; 6] = [3, 6, 2, 5, 4, 7];
    let rows = facts.iter().map(|facts| {
        [
            facts.name.clone(),
            facts.state.word().to_owned(),
            facts.preset(),
            facts.size(),
            facts.progress(),
            facts.total(),
            facts.duration(),
            ago(facts.when(), now),
        ]
    });
    let mut lines = vec![HEADINGS.map(str::to_owned)];
    lines.extend(rows);
    let mut widths = [0; HEADINGS.len()];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut shown = [true; HEADINGS.len()];
    for place in SPARED {
        let cells = widths.iter().zip(shown).filter(|(_, shown)| *shown);
        let width = cells.map(|(width, _)| width + GAP).sum::<usize>() - GAP;
        if columns.is_none_or(|columns| width <= columns) {
            break;
        }
        shown[place] = false;
    }
    for line in &lines {
        let mut text = String::new();
        for (number, (cell, width)) in line.iter().zip(widths).enumerate() {
            if !shown[number] {
                continue;
            }
            // Numbers stand to the right.
            text += &match number {
                3..=6 => format!("{cell:>width$}  "),
                _ => format!("{cell:<width$}  "),
            };
        }
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(())
}

/// A block for each run: the picture, and its facts beside it.
fn gallery(
    facts: &[Facts],
    thumbnails: Vec<Option<Thumbnail>>,
    columns: usize,
    out: &mut impl Write,
) -> io::Result<()> {
    let now = clock::now();
    let left = usize::from(Thumbnail::COLUMNS);
    // Beside a picture there is room for a word at least.
    let room = columns.saturating_sub(left + GAP).max(12);
    for (facts, thumbnail) in facts.iter().zip(thumbnails) {
        let words = [
            facts.name.clone(),
            facts.state.word().to_owned(),
            format!("preset {}, {}", facts.preset(), facts.size()),
            format!("iteration {}", facts.progress()),
            format!("total loss {}", facts.total()),
            format!(
                "{} of painting, {}",
                facts.duration(),
                ago(facts.when(), now)
            ),
        ];
        let words: Vec<_> = words
            .iter()
            .flat_map(|text| textwrap::wrap(text, room))
            .collect();
        let rows = thumbnail.map_or_else(Vec::new, |thumbnail| thumbnail.rows());
        for number in 0..words.len().max(rows.len()) {
            let blank = " ".repeat(left);
            let picture = rows.get(number).unwrap_or(&blank);
            let words = words.get(number).map_or("", |line| line.as_ref());
            writeln!(out, "{picture}{:GAP$}{words}", "")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use impasto_runs::Losses;

    fn facts(name: &str, state: RunStatus) -> Facts {
        Facts {
            name: name.to_owned(),
            folder: "/runs".into(),
            state,
            pid: None,
            preset: "presets/\u{1b}[2Jmine.yaml".to_owned(),
            content: "a.png".to_owned(),
            style: "b.png".to_owned(),
            width: 512,
            height: 384,
            iteration: 5,
            iterations: 213,
            losses: Some(Losses {
                total: 123_456.0,
                ..Losses::default()
            }),
            elapsed: 75.0,
            created: 1000,
            updated: 2000,
            message: None,
            output: None,
        }
    }

    #[test]
    fn a_table_stands_in_columns() {
        let mut text = Vec::new();
        let other = Facts {
            width: 0,
            losses: None,
            iteration: 0,
            ..facts("a", RunStatus::Failed)
        };
        let all = [
            facts("20261122-080317-china", RunStatus::Interrupted),
            other,
        ];
        table(&all, 2200, None, &mut text).unwrap();
        let expected = "\
run                    state        preset                  size  iterations   total  time  when
20261122-080317-china  interrupted  \\u{1b}[2Jmine.yaml  512×384       5/213  1.235e5  1:15  3 min ago
a                      failed       \\u{1b}[2Jmine.yaml        –       0/213        –  1:15  3 min ago
";
        let squeezed = |text: &str| -> Vec<Vec<String>> {
            let lines = text.lines();
            lines
                .map(|line| {
                    line.split("  ")
                        .map(|it| it.trim().to_owned())
                        .filter(|it| !it.is_empty())
                        .collect()
                })
                .collect()
        };
        let text = String::from_utf8(text).unwrap();
        assert_eq!(squeezed(&text), squeezed(expected));
        let places: Vec<_> = text.lines().map(|line| line.chars().count()).collect();
        assert_eq!(places[1], places[2]);
        assert!(!text.replace('\n', "").contains(char::is_control));
    }

    #[test]
    fn a_narrow_table_spares_columns_but_neither_name_nor_state() {
        let all = [facts("20261122-080317-china", RunStatus::Interrupted)];
        let lines = |columns: usize| {
            let mut text = Vec::new();
            table(&all, 2200, Some(columns), &mut text).unwrap();
            let text = String::from_utf8(text).unwrap();
            let width = text.lines().map(|line| line.chars().count()).max();
            (text.lines().next().unwrap().to_owned(), width.unwrap())
        };
        for columns in [60, 80, 90] {
            assert!(lines(columns).1 <= columns, "{:?}", lines(columns));
        }
        assert!(!lines(80).0.contains("size") && lines(80).0.contains("total"));
        let least = lines(10).0;
        assert!(
            least.starts_with("run ") && least.ends_with("state"),
            "{least}"
        );
    }

    #[test]
    fn a_gallery_has_a_block_for_each_run() {
        let mut text = Vec::new();
        let all = [
            facts("a", RunStatus::Paused),
            facts("b", RunStatus::Finished),
        ];
        gallery(&all, vec![None, None], 80, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.lines().count(), 14);
        assert!(text.contains("  a\n") && text.contains("iteration 5/213"));
    }
}
