//! An imported command line as a preset file.

use std::path::Path;

use super::Imported;
use crate::preset::PresetError;
use crate::text::printable;

/// The longest command in a comment, in characters.
const MAX_COMMENT: usize = 2000;

/// The most opening brackets in a comment, of which a preset may not have many.
const MAX_BRACKETS: usize = 16;

impl Imported {
    /// The preset as YAML. Comments above it name the command line that it was imported
    /// from and the one that paints with it; `file` is where the text will be.
    ///
    /// # Errors
    /// As [`Preset::to_yaml`](crate::preset::Preset::to_yaml).
    pub fn to_yaml(&self, file: Option<&Path>) -> Result<String, PresetError> {
        let preset = self.preset.to_yaml()?;
        let from = joined(self.command.iter().map(String::as_str));
        let run = self.run(file);
        Ok(format!(
            "# Imported from:\n#   {from}\n# Paint with it:\n#   {run}\n{preset}"
        ))
    }

    /// The command line that paints with the preset.
    fn run(&self, file: Option<&Path>) -> String {
        let content = self.content.as_deref();
        let content = content.map_or_else(|| "CONTENT".to_owned(), argument);
        let mut styles: Vec<String> = self.styles.iter().map(|style| argument(style)).collect();
        if styles.is_empty() {
            let count = self.preset.style.blend_weights.len().max(1);
            styles = vec!["STYLE".to_owned(); count];
        }
        let preset = argument(file.unwrap_or(Path::new("preset.yaml")));
        // A word would be the name of a preset.
        let is_path = preset.contains('/') || preset.ends_with(".yaml") || preset.ends_with(".yml");
        let preset = if is_path {
            preset
        } else {
            format!("./{preset}")
        };
        let mut words = vec!["impasto", "run", &content];
        words.extend(styles.iter().map(String::as_str));
        words.extend(["--preset", &preset]);
        let output = self.output.as_deref().map(argument);
        words.extend(output.iter().flat_map(|output| ["-o", output.as_str()]));
        joined(words)
    }
}

/// A path that no program takes for a flag.
fn argument(path: &Path) -> String {
    let path = path.to_string_lossy();
    match path.starts_with('-') {
        true => format!("./{path}"),
        false => path.into_owned(),
    }
}

/// Words as they are typed into a shell, on one line that is fit for a comment.
fn joined<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let line = shlex::Quoter::new().allow_nul(true).join(words);
    let line = printable(&line.unwrap_or_default());
    let brackets = line.chars().filter(|c| matches!(c, '[' | '{')).count() > MAX_BRACKETS;
    // What a preset refuses even in a comment.
    let line: String = line
        .chars()
        .map(|c| match c {
            '\u{fffe}' | '\u{ffff}' => char::REPLACEMENT_CHARACTER,
            '[' | '{' if brackets => '(',
            c => c,
        })
        .take(MAX_COMMENT + 1)
        .collect();
    match line.char_indices().nth(MAX_COMMENT) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
