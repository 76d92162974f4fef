//! `impasto measure`: the losses of any picture.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;

use impasto_core::job::{Compute, Job, Overrides, Plan, check_size};
use impasto_core::picture::Picture;
use impasto_core::preset::{Preset, Scale, Start};
use impasto_core::text::number;
use impasto_engine::loss::{Losses, Weighted};
use impasto_engine::measure::measure as losses_of;
use impasto_engine::scores::{Scores, scores};
use impasto_weights::check_network;
use serde_json::json;

use super::chosen_preset;
use crate::cli::MeasureArgs;
use crate::outcome::{Failure, Outcome};
use crate::style_args::{Opened, Styles};

pub fn measure(args: &MeasureArgs) -> Outcome {
    let preset = chosen_preset(&args.preset, "default")?;
    check_network(preset.network)?;
    let styles = Styles::read(&args.styles)?;
    let opened = styles.open([&args.image, &args.content])?;
    let image = opened.before[0].load()?.picture;
    let job = job(args, preset, &image, &styles, opened)?;
    let preset = &job.preset;
    let (losses, weighted) = losses_of(&image, &job)?;
    let scores = match args.scores {
        true => Some(scores_of(&image, &job)?),
        false => None,
    };
    let text = if args.json {
        let mut json = json!({
            "content": losses.layers.content,
            "style": losses.layers.style,
            "laplacian": losses.layers.laplacian,
            "smoothness": losses.smoothness,
            "total": weighted.total,
        });
        if let (Some(scores), Some(json)) = (scores, json.as_object_mut()) {
            json.insert("scores".to_owned(), json!(scores));
        }
        format!("{json}\n")
    } else {
        let mut text = table(preset, &losses, &weighted);
        if let Some(scores) = scores {
            text += &format!("\n{}", score_table(&scores));
        }
        text
    };
    Ok(io::stdout().write_all(text.as_bytes())?)
}

/// The scores of an image against the content and the styles of a job.
pub fn scores_of(image: &Picture, job: &Job) -> Result<Scores, Failure> {
    let shares = job.preset.style.shares(job.styles().count());
    let styles = job.styles().map(|style| &style.picture).zip(shares);
    let styles: Vec<(&Picture, f64)> = styles.collect();
    Ok(scores(image, &job.content.picture, &styles)?)
}

/// A row for every score, with what it says.
fn score_table(scores: &Scores) -> String {
    let mut text = format!("{:<26}{:>12}  {}\n", "score", "value", "lower means");
    for (name, value) in scores.all() {
        let meaning = match name {
            "style_gram" => "textures and colours more like the style's",
            "style_wasserstein" => "features distributed more like the style's",
            "style_frechet" => "the same in relu4_3, as SIFID",
            "style_colours" => "colours more like the style's",
            "content_features" => "the same things in the same places",
            "content_self_similarity" => "the same structure, whatever it looks like",
            _ => "colours more like the content's",
        };
        let _ = writeln!(text, "{name:<26}{:>12}  {meaning}", number(value, 4));
    }
    text
}

/// What the image is measured against: a job at its size.
fn job(
    args: &MeasureArgs,
    preset: Preset,
    image: &Picture,
    styles: &Styles,
    opened: Opened<2>,
) -> Result<Job, Failure> {
    let overrides = Overrides {
        blend_weights: styles.weights.clone(),
        masks: styles.masks(&args.masks)?,
        ..Overrides::default()
    };
    let mut preset = overrides.apply_to_run(preset);
    // Nothing is painted.
    preset.start = Start::Content;
    preset.check()?;
    let (width, height) = image.size();
    check_size(&preset, "the image", image.size())?;
    preset.schedule = vec![Scale {
        // Within what a schedule may have, for the check of the styles' sizes.
        size: width.max(height),
        iterations: 1,
    }];
    let Opened {
        before: [_, content],
        style,
        more_styles,
    } = opened;
    let plan = Plan {
        preset,
        content,
        style,
        more_styles,
        compute: Compute {
            device: args.device.device,
            ..Compute::default()
        },
        output: PathBuf::new(),
        preset_name: None,
        overrides,
    };
    Ok(plan.load(&mut |_| {})?)
}

/// A row for every loss: its value, its weight, and its share of the total.
fn table(preset: &Preset, losses: &Losses, weighted: &Weighted) -> String {
    let mut text = format!(
        "{:<22}{:>14}{:>14}{:>9}\n",
        "loss", "value", "weight", "share"
    );
    let mut row = |name: &str, value: f64, weight: f64| {
        let share = 100.0 * weight * value / weighted.total;
        let share = if share.is_finite() {
            format!("{share:.1} %")
        } else {
            "-".to_owned()
        };
        let _ = writeln!(text, "{name:<22}{value:>14.6e}{weight:>14.4e}{share:>9}");
    };
    for (what, term, values) in [
        ("content", &preset.content.term, &losses.layers.content),
        ("style", &preset.style.term, &losses.layers.style),
    ] {
        for (layer, value) in values {
            row(&format!("{what} {layer}"), *value, term.factor(*layer));
        }
    }
    if let Some(laplacian) = losses.layers.laplacian {
        row("content laplacian", laplacian, preset.content.laplacian);
    }
    row("smoothness", losses.smoothness, preset.smoothness.weight);
    row("total", weighted.total, 1.0);
    text
}
