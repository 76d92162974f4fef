//! `impasto runs compare`: two runs side by side.

use std::io::{self, IsTerminal, Write};

use image::{Rgb, RgbImage, imageops};
use impasto_core::picture::{self, Picture, check_destination};
use impasto_core::preset::differences;
use impasto_core::protocol::Step;
use impasto_core::text::{display_path, number};
use impasto_engine::scores::Scores;
use impasto_graphics::terminal::{Colours, Terminal};
use impasto_runs::{Copied, Run, plot};

use super::curves;
use super::named;
use super::show::{no_picture, picture_name};
use crate::cli::runs::CompareArgs;
use crate::commands::measure::scores_of;
use crate::headless::say;
use crate::outcome::{Failure, Outcome};

/// Pixels between and around the two pictures, and their height.
const GAP: u32 = 16;
const HEIGHT: u32 = 512;
const WHITE: Rgb<u8> = Rgb([255; 3]);
/// A picture that is wider than this is made lower.
const WIDEST: u32 = 1600;
/// The least width of the chart below the pictures, and its height.
const CHART: (u32, u32) = (900, 540);
/// The chart in a terminal, in cells.
const COLUMNS: u16 = 100;
const ROWS: u16 = 14;
/// The least columns of a run's values in the table.
const NARROWEST: usize = 10;

pub fn compare(args: &CompareArgs) -> Outcome {
    let runs = [named(&args.first)?, named(&args.second)?];
    let [first, second] = &runs;
    if let Some(output) = &args.output {
        check_destination(output)?;
    }
    let mut steps = Vec::new();
    let mut pictures = Vec::new();
    for run in &runs {
        steps.push(run.metrics()?);
        pictures.push(match picture_name(run) {
            Some(name) => run.picture(name)?,
            None if args.output.is_some() => return Err(no_picture(run)),
            None => {
                say(&format!("{} has no picture yet", run.name()));
                continue;
            }
        });
    }
    let [first_steps, second_steps] = steps.as_slice() else {
        return Ok(());
    };
    let both = [
        (first.name().as_str(), first_steps.as_slice()),
        (second.name().as_str(), second_steps.as_slice()),
    ];
    let pair: Option<[Picture; 2]> = pictures.try_into().ok();
    if let (Some(output), Some(pair)) = (&args.output, &pair) {
        let page = page(pair, both);
        let page = Picture::from_rgb8(page.width(), page.height(), page.as_raw())
            .ok_or_else(|| Failure::Failed("the pictures are too large to compare".to_owned()))?;
        picture::save(&page, output, None)?;
    }
    if let Some(pair) = &pair
        && io::stdout().is_terminal()
    {
        let row = side_by_side(pair);
        if let Some(row) = Picture::from_rgb8(row.width(), row.height(), row.as_raw()) {
            // A terminal that shows no pictures still shows the rest.
            if impasto_graphics::print(&row).is_ok() {
                writeln!(io::stdout())?;
            }
        }
    }
    let mut out = io::stdout().lock();
    let terminal = Terminal::detect();
    let columns = terminal.as_ref().map(|terminal| terminal.columns);
    let colours = terminal.is_some_and(|terminal| terminal.colours != Colours::None);
    let chart = columns.unwrap_or(COLUMNS).min(COLUMNS);
    out.write_all(curves::drawn(both, chart, ROWS, colours).as_bytes())?;
    writeln!(out)?;
    let scores = pair.as_ref().and_then(|pair| scores_of_both(&runs, pair));
    table([first, second], both, scores.as_ref(), columns, &mut out)?;
    out.flush()?;
    drop(out);
    if let Some(output) = &args.output {
        say(&format!("saved {}", display_path(output)));
    }
    Ok(())
}

/// The scores of both pictures against the content and the styles of their runs; none where
/// the copies of these cannot be read.
fn scores_of_both(runs: &[Run; 2], pair: &[Picture; 2]) -> Option<[Scores; 2]> {
    let [first, second] = runs;
    let of = |run: &Run, picture: &Picture| scores_of(picture, &run.job().ok()?).ok();
    Some([of(first, &pair[0])?, of(second, &pair[1])?])
}

/// The last losses, the scores, and every key in which the presets differ, in so many
/// columns if they are known.
fn table(
    [first, second]: [&Run; 2],
    [(_, first_steps), (_, second_steps)]: [(&str, &[Step]); 2],
    scores: Option<&[Scores; 2]>,
    columns: Option<u16>,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut rows = vec![[
        String::new(),
        first.name().to_string(),
        second.name().to_string(),
    ]];
    type Loss = fn(&Step) -> f64;
    let losses: [(&str, Loss); 4] = [
        ("total", |step| step.total),
        ("content", |step| step.content),
        ("style", |step| step.style),
        ("smoothness", |step| step.smoothness),
    ];
    let last = |steps: &[Step], loss: Loss| {
        steps
            .last()
            .map_or_else(|| "–".to_owned(), |step| plot::short(loss(step)))
    };
    for (name, loss) in losses {
        rows.push([
            name.to_owned(),
            last(first_steps, loss),
            last(second_steps, loss),
        ]);
    }
    let count = |steps: &[Step]| steps.last().map_or(0, |step| step.iteration).to_string();
    rows.push([
        "iterations".to_owned(),
        count(first_steps),
        count(second_steps),
    ]);
    if let Some([one, other]) = scores {
        for ((name, one), (_, other)) in one.all().into_iter().zip(other.all()) {
            let name = name.replace('_', " ");
            rows.push([name, number(one, 4), number(other, 4)]);
        }
    }
    let content = |run: &'_ Run| vec![run.record().content.clone()];
    let styles = |run: &'_ Run| run.record().styles().cloned().collect::<Vec<_>>();
    for (role, one, other) in [
        ("content", content(first), content(second)),
        ("style", styles(first), styles(second)),
    ] {
        let digests = |copies: &[Copied]| -> Vec<String> {
            copies.iter().map(|copied| copied.sha256.clone()).collect()
        };
        if digests(&one) != digests(&other) {
            let shown = |copies: &[Copied]| {
                let names = copies
                    .iter()
                    .map(|copied| display_path(copied.file.as_ref()));
                names.collect::<Vec<_>>().join(" + ")
            };
            rows.push([format!("{role} picture"), shown(&one), shown(&other)]);
        }
    }
    let differences = differences(&first.record().preset, &second.record().preset);
    let weighed = differences
        .iter()
        .any(|it| it.key.contains("weight") || it.key.contains("layers"));
    for difference in differences {
        let value = |value: Option<String>| value.unwrap_or_else(|| "off".to_owned());
        rows.push([difference.key, value(difference.from), value(difference.to)]);
    }
    let columns = columns.map_or(usize::MAX, usize::from);
    write_rows(&rows, columns, out)?;
    if weighed {
        writeln!(out)?;
        let note = "The presets weigh the losses differently: their totals are no measure.";
        for line in textwrap::wrap(note, columns) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

/// Rows of three cells; where they are too wide, values take several lines.
fn write_rows(rows: &[[String; 3]], columns: usize, out: &mut impl Write) -> io::Result<()> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let names = width(0);
    let room = columns.saturating_sub(names + 4);
    let half = (room / 2).max(NARROWEST);
    let beside = |other: usize| room.saturating_sub(other).max(NARROWEST);
    let values = match (width(1), width(2)) {
        (one, other) if one + other <= room => [one, other],
        // The narrower one keeps what it needs.
        (one, _) if one <= half => [one, beside(one)],
        (_, other) if other <= half => [beside(other), other],
        _ => [half, half],
    };
    for [name, one, other] in rows {
        let (one, other) = (
            textwrap::wrap(one, values[0]),
            textwrap::wrap(other, values[1]),
        );
        for number in 0..one.len().max(other.len()) {
            let name = if number == 0 { name } else { "" };
            let [one, other] =
                [&one, &other].map(|it| it.get(number).map_or("", |line| line.as_ref()));
            let line = format!("{name:<names$}  {one:<width$}  {other}", width = values[0]);
            writeln!(out, "{}", line.trim_end())?;
        }
    }
    Ok(())
}

/// Both pictures at one height.
fn at_one_height(pair: &[Picture; 2]) -> [RgbImage; 2] {
    let shape = |picture: &Picture, height: u32| {
        let (wide, high) = (f64::from(picture.width()), f64::from(picture.height()));
        (wide / high * f64::from(height)).round().max(1.0)
    };
    let widest = pair
        .iter()
        .map(|picture| shape(picture, HEIGHT))
        .fold(1.0, f64::max);
    let height = (f64::from(HEIGHT) * (f64::from(WIDEST) / widest).min(1.0)).max(1.0) as u32;
    pair.each_ref().map(|picture| {
        // At most the widest, but for rounding.
        let width = shape(picture, height).min(f64::from(WIDEST)) as u32;
        let rgb = picture.resized(width, height).to_rgb8();
        RgbImage::from_raw(width, height, rgb).unwrap_or_default()
    })
}

fn side_by_side(pair: &[Picture; 2]) -> RgbImage {
    let [left, right] = at_one_height(pair);
    let size = (left.width() + GAP + right.width(), left.height());
    let mut both = RgbImage::from_pixel(size.0, size.1, WHITE);
    imageops::replace(&mut both, &left, 0, 0);
    imageops::replace(&mut both, &right, i64::from(left.width() + GAP), 0);
    both
}

/// The pictures with their names, and both totals in one chart below.
fn page(pair: &[Picture; 2], both: [(&str, &[Step]); 2]) -> RgbImage {
    let pictures = at_one_height(pair);
    // A column for each, wide enough for its name.
    let least = (CHART.0 - 3 * GAP) / 2;
    let columns = pictures.each_ref().map(|it| it.width().max(least));
    let width = columns[0] + columns[1] + 3 * GAP;
    let chart = plot::Chart::of_totals(both).pixels(width, CHART.1);
    let captions = [0, 1].map(|it: usize| plot::caption(both[it].0, columns[it]));
    let below = GAP + pictures[0].height();
    let foot = below + captions[0].height();
    let mut page = RgbImage::from_pixel(width, foot + chart.height(), WHITE);
    let mut left = GAP;
    for ((picture, caption), column) in pictures.iter().zip(&captions).zip(columns) {
        let middle = left + (column - picture.width()) / 2;
        imageops::replace(&mut page, picture, i64::from(middle), i64::from(GAP));
        imageops::replace(&mut page, caption, i64::from(left), i64::from(below));
        left += column + GAP;
    }
    imageops::replace(&mut page, &chart, 0, i64::from(foot));
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_of_any_shape_stand_side_by_side() {
        let picture = |width: u32, height: u32| {
            Picture::from_rgb8(width, height, &vec![9; (3 * width * height) as usize]).unwrap()
        };
        let both = side_by_side(&[picture(40, 20), picture(20, 20)]);
        assert_eq!(both.dimensions(), (1024 + GAP + 512, HEIGHT));
        assert_eq!(both.get_pixel(1024, 5).0, [255; 3]);
        assert_eq!(both.get_pixel(1024 + GAP, 5).0, [9; 3]);
        for (one, other) in [
            ((5000, 1), (1, 1)),
            ((1, 5000), (1, 5000)),
            ((5000, 1), (1, 5000)),
        ] {
            let pair = [picture(one.0, one.1), picture(other.0, other.1)];
            let page = page(&pair, [("a", &[]), ("b", &[])]);
            assert!(page.width() >= CHART.0 && page.width() <= 2 * WIDEST + 3 * GAP);
        }
    }

    #[test]
    fn wide_rows_take_several_lines() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        let rows = [
            row(["", "20261122-101326-a-b", "20261122-101341-c-d"]),
            row(["schedule", "64×120 96×100", "64×160"]),
        ];
        let lines = |columns: usize| {
            let mut text = Vec::new();
            write_rows(&rows, columns, &mut text).unwrap();
            String::from_utf8(text).unwrap()
        };
        let wide = "          20261122-101326-a-b  20261122-101341-c-d\n\
                    schedule  64×120 96×100        64×160\n";
        assert_eq!(lines(usize::MAX), wide);
        assert_eq!(lines(50), wide);
        let narrow = "          20261122-101326-  20261122-101341-\n          \
                      a-b               c-d\n\
                      schedule  64×120 96×100     64×160\n";
        assert_eq!(lines(44), narrow);
        // However narrow, nothing is left out.
        let least = lines(1).replace(char::is_whitespace, "");
        assert!(
            least.contains("64×160") && least.contains("96×100"),
            "{least}"
        );
    }
}
