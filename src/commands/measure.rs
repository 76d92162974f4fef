//! `impasto measure`: the losses of any picture.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use impasto_core::job::check_size;
use impasto_core::picture;
use impasto_core::preset::Preset;
use impasto_engine::loss::{Losses, Weighted};
use impasto_engine::measure::{measure as losses_of, sizes};
use impasto_weights::check_network;
use serde_json::json;

use super::chosen_preset;
use crate::cli::MeasureArgs;
use crate::outcome::Outcome;

pub fn measure(args: &MeasureArgs) -> Outcome {
    let preset = chosen_preset(&args.preset, "default")?;
    check_network(preset.network)?;
    let image = picture::load(&args.image)?.picture;
    let content = picture::load(&args.content)?.picture;
    let style = picture::load(&args.style)?.picture;
    let [content_size, style_size] = sizes(&image, &content, &style);
    check_size(&preset, "the image", content_size)?;
    check_size(&preset, "the style", style_size)?;
    let (losses, weighted) = losses_of(&image, &content, &style, &preset, args.device.device)?;
    let text = if args.json {
        let json = json!({
            "content": losses.layers.content,
            "style": losses.layers.style,
            "smoothness": losses.smoothness,
            "total": weighted.total,
        });
        format!("{json}\n")
    } else {
        table(&preset, &losses, &weighted)
    };
    Ok(io::stdout().write_all(text.as_bytes())?)
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
        ("content", &preset.content, &losses.layers.content),
        ("style", &preset.style, &losses.layers.style),
    ] {
        for (layer, value) in values {
            let weight = term.weight * term.layers.get(layer).copied().unwrap_or(0.0);
            row(&format!("{what} {layer}"), *value, weight);
        }
    }
    row("smoothness", losses.smoothness, preset.smoothness.weight);
    row("total", weighted.total, 1.0);
    text
}
