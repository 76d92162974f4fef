//! A chart as a text of SVG.

use std::fmt::Write as _;

use super::{Anchor, Canvas, Rgb};

pub(super) struct Svg(String);

impl Svg {
    pub(super) fn new((width, height): (u32, u32)) -> Self {
        Self(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" font-family=\"monospace\" font-size=\"19\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
        ))
    }

    pub(super) fn finish(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }
}

impl Canvas for Svg {
    fn line(&mut self, points: &[(f64, f64)], colour: Rgb, width: f64) {
        // Writing into a string does not fail.
        let _ = write!(
            self.0,
            "<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"{width}\" \
             stroke-linejoin=\"round\" points=\"",
            hex(colour)
        );
        for (number, (x, y)) in points.iter().enumerate() {
            let space = if number == 0 { "" } else { " " };
            let _ = write!(self.0, "{space}{x:.1},{y:.1}");
        }
        self.0.push_str("\"/>\n");
    }

    fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, colour: Rgb, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let _ = writeln!(
            self.0,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{}\">{}</text>",
            hex(colour),
            escaped(text)
        );
    }
}

fn hex([red, green, blue]: Rgb) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// A text that is no markup. XML knows no control characters at all.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            control if control.is_control() => out.push(' '),
            plain => out.push(plain),
        }
    }
    out
}
