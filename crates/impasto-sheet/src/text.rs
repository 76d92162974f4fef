//! Text in pixels: its width, lines of it, and the outlines of its characters.

use std::borrow::Cow;
use std::sync::LazyLock;

use ab_glyph::{Font as _, FontRef, Glyph, GlyphId, PxScale, point};
use impasto_core::text::printable;

/// What follows a text that was cut.
const ELLIPSIS: char = '…';

/// No text is longer than this many characters: more are never seen.
const LONGEST: usize = 1000;

/// Part of DejaVu Sans; a test reads it.
static FONT: LazyLock<Option<FontRef<'static>>> = LazyLock::new(|| {
    FontRef::try_from_slice(include_bytes!("../assets/DejaVuSans-subset.ttf")).ok()
});

/// The height of a line over the size of its letters.
const LINE: f32 = 1.35;

/// The distance between two lines, in whole pixels so that all lines are equally sharp.
pub fn line_height(size: f32) -> u32 {
    (size * LINE).ceil() as u32
}

/// How far the foot of a line's letters is below the top of the line.
pub fn baseline(size: f32) -> u32 {
    // Capital letters are 0.73 of the size; as much is above them as below the foot.
    let above = (line_height(size) as f32 - 0.73 * size) / 2.0;
    (above + 0.73 * size).round() as u32
}

/// The text that is drawn: control characters are written out, and marks that have no
/// shape of their own are left out.
pub fn clean(text: &str) -> String {
    let start: Cow<'_, str> = match text.char_indices().nth(LONGEST) {
        Some((end, _)) => Cow::Owned(format!("{}{ELLIPSIS}", &text[..end])),
        None => Cow::Borrowed(text),
    };
    // Joiners, soft hyphens and variation selectors.
    let shapeless = |c: &char| {
        matches!(
            c,
            '\u{ad}' | '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}'
        )
    };
    let start: String = start.chars().filter(|c| !shapeless(c)).collect();
    printable(start.trim())
}

/// Characters at their places, the first at 0 and all on one line.
pub struct Line {
    glyphs: Vec<Glyph>,
    pub width: f32,
}

impl Line {
    /// Places the characters of a clean text whose letters are `size` pixels.
    pub fn new(text: &str, size: f32) -> Self {
        let mut line = Self {
            glyphs: Vec::new(),
            width: 0.0,
        };
        let Some(font) = FONT.as_ref() else {
            return line;
        };
        let (em, scale) = scales(font, size);
        let mut before: Option<GlyphId> = None;
        for character in text.chars() {
            // What the font lacks is its box, glyph 0.
            let id = font.glyph_id(character);
            let kern = before.map_or(0.0, |before| font.kern_unscaled(before, id));
            line.width += kern * em;
            line.glyphs
                .push(id.with_scale_and_position(scale, point(line.width, 0.0)));
            line.width += font.h_advance_unscaled(id) * em;
            before = Some(id);
        }
        line
    }

    /// Calls `dot` with the place of each pixel that the line covers, and how much of it
    /// is covered. `left` is where the line begins, `foot` the row its letters stand on.
    pub fn draw(self, left: f32, foot: u32, mut dot: impl FnMut(i64, i64, f32)) {
        let Some(font) = FONT.as_ref() else { return };
        for mut glyph in self.glyphs {
            glyph.position.x += left;
            // A character without an outline is a space.
            let Some(outline) = font.outline_glyph(glyph) else {
                continue;
            };
            let bounds = outline.px_bounds();
            let (x0, y0) = (bounds.min.x as i64, bounds.min.y as i64 + i64::from(foot));
            outline.draw(|x, y, covered| dot(x0 + i64::from(x), y0 + i64::from(y), covered));
        }
    }
}

/// Whether the font has every character of a text.
#[cfg(test)]
pub fn has(text: &str) -> bool {
    let font = FONT.as_ref().unwrap();
    text.chars()
        .all(|character| font.glyph_id(character).0 != 0)
}

/// Pixels per unit of the font, and the same as ab_glyph counts it: from the highest
/// letter's top to the lowest one's bottom.
fn scales(font: &FontRef<'_>, size: f32) -> (f32, PxScale) {
    let em = size / font.units_per_em().unwrap_or(1000.0);
    (em, PxScale::from(font.height_unscaled() * em))
}

/// Cuts a clean text into at most `most` lines, none wider than `room`. What does not fit
/// ends in an ellipsis.
pub fn wrap(text: &str, size: f32, room: f32, most: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() && lines.len() < most {
        let end = fitting(rest, size, room);
        if end == rest.len() {
            lines.push(rest.to_owned());
            return lines;
        }
        if lines.len() + 1 == most {
            lines.push(shortened(rest, size, room));
            return lines;
        }
        let end = break_before(rest, end);
        lines.push(rest[..end].trim_end().to_owned());
        rest = rest[end..].trim_start();
    }
    lines
}

/// How many bytes of a text fit into `room`; at least one character.
fn fitting(text: &str, size: f32, room: f32) -> usize {
    let Some(font) = FONT.as_ref() else {
        return text.len();
    };
    let (em, _) = scales(font, size);
    let mut before: Option<GlyphId> = None;
    let mut width = 0.0;
    for (start, character) in text.char_indices() {
        let id = font.glyph_id(character);
        let kern = before.map_or(0.0, |before| font.kern_unscaled(before, id));
        width += (kern + font.h_advance_unscaled(id)) * em;
        if width > room && start > 0 {
            return start;
        }
        before = Some(id);
    }
    text.len()
}

/// Where to break a line that may have at most `end` bytes: after a space if there is one
/// that leaves more than a third of it, else after a sign that joins words, else in a word.
fn break_before(text: &str, end: usize) -> usize {
    let after = |accepted: fn(char) -> bool| {
        text[..end]
            .char_indices()
            .rev()
            .find(|(_, character)| accepted(*character))
            .map(|(start, character)| start + character.len_utf8())
            .filter(|place| *place * 3 > end)
    };
    // A space that is cut off may stand just behind the line.
    if text[end..].starts_with(' ') {
        return end;
    }
    after(|c| c == ' ')
        .or_else(|| after(|c| matches!(c, '-' | '_' | '/' | ',' | '=' | '·' | '×' | '—')))
        .unwrap_or(end)
}

/// The beginning of a text that is too wide, with an ellipsis.
fn shortened(text: &str, size: f32, room: f32) -> String {
    let ellipsis = Line::new(&ELLIPSIS.to_string(), size).width;
    let end = fitting(text, size, (room - ellipsis).max(0.0));
    format!("{}{ELLIPSIS}", text[..end].trim_end())
}
