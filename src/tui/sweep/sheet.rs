//! The state of the contact sheet: one struct, and no input or output.

use std::collections::VecDeque;
use std::time::SystemTime;

use impasto_core::text::{display_path, printable};
use impasto_sweep::{Cell, CellEntry, CellState, Index, SweepFolder, plain, stem};
use ratatui::layout::Rect;

use super::layout::{Grid, Places, places};
use crate::tui::start::Thumbnail;

/// How many small pictures are kept, and how many are looked after at once.
const MAX_LOOKS: usize = 512;
const MAX_WANTED: usize = 256;
/// How many seconds a message stays; a warning stays longer.
const NEWS: f64 = 6.0;
const WARNING_NEWS: f64 = 20.0;

/// When a file was written last, and its length.
pub type Stamp = (SystemTime, u64);

/// A picture of a cell that is to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub number: usize,
    /// Alone, or among others.
    pub large: bool,
    /// The file as it was when it was read last.
    pub stamp: Option<Stamp>,
}

/// What is known of a cell's picture.
#[derive(Clone, Debug, PartialEq)]
pub enum Look {
    Whole(Thumbnail),
    /// Why it cannot be shown, in a sentence.
    Broken(String),
}

/// Something on top of the sheet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Overlay {
    Help {
        scroll: u16,
    },
    /// The selected cell, large.
    Cell {
        scroll: u16,
    },
    /// Whether the painters of this machine paint on.
    Leave,
    /// Whether to paint this cell anew.
    Repeat(usize),
    /// The size of this cell's picture, being typed.
    Promote {
        number: usize,
        typed: String,
        error: Option<String>,
    },
}

/// Which cells are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filter {
    #[default]
    All,
    Failed,
    Painting,
    Done,
}

impl Filter {
    pub fn next(self) -> Self {
        match self {
            Self::All => Self::Failed,
            Self::Failed => Self::Painting,
            Self::Painting => Self::Done,
            Self::Done => Self::All,
        }
    }

    /// What it shows, in a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Failed => "failed",
            Self::Painting => "painting",
            Self::Done => "done",
        }
    }

    fn shows(self, state: CellState) -> bool {
        match self {
            Self::All => true,
            Self::Failed => state == CellState::Failed,
            Self::Painting => matches!(state, CellState::Painting | CellState::Paused),
            Self::Done => state == CellState::Done,
        }
    }
}

/// The cells in numbers, counted once for each index.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    pub counts: Vec<(CellState, usize)>,
    pub all: usize,
    /// Of all iterations, from 0 to 1.
    pub progress: f64,
    /// Cells an hour, and seconds until all are over, at the pace of the cells that are
    /// done and with as many at once as now; none while none is painted.
    pub per_hour: Option<f64>,
    pub left: Option<f64>,
}

impl Summary {
    fn of(cells: &[CellEntry]) -> Self {
        let mut counts = CellState::ALL.map(|state| (state, 0));
        let (mut over, mut painting) = (0.0, 0.0);
        let (mut done, mut seconds) = (0.0, 0.0);
        for cell in cells {
            for (_, count) in counts.iter_mut().filter(|(state, _)| *state == cell.state) {
                *count += 1;
            }
            over += match cell.state.is_over() {
                true => 1.0,
                false => f64::from(cell.iteration) / f64::from(cell.iterations.max(1)),
            };
            if cell.state == CellState::Done && cell.seconds > 0.0 {
                (done, seconds) = (done + 1.0, seconds + cell.seconds);
            }
            if cell.state == CellState::Painting {
                painting += 1.0;
            }
        }
        let all = cells.len() as f64;
        let each = Some(seconds / done).filter(|each| each.is_finite() && painting > 0.0);
        Self {
            counts: counts.into_iter().filter(|(_, count)| *count > 0).collect(),
            all: cells.len(),
            progress: if all > 0.0 { over / all } else { 0.0 },
            per_hour: each.map(|each| painting * 3600.0 / each),
            left: each.map(|each| (all - over).max(0.0) * each / painting),
        }
    }

    /// How many cells are in a state.
    pub fn count(&self, state: CellState) -> usize {
        let found = self.counts.iter().find(|(known, _)| *known == state);
        found.map_or(0, |(_, count)| *count)
    }

    /// Whether there is nothing left to paint.
    pub fn is_over(&self) -> bool {
        self.all > 0 && self.counts.iter().all(|(state, _)| state.is_over())
    }

    /// The counts as words: `12 done`, `1 failed`.
    pub fn words(&self) -> Vec<String> {
        let words = |(state, count): &(CellState, usize)| format!("{count} {}", state.word());
        self.counts.iter().map(words).collect()
    }
}

/// Who paints, as far as is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Painters {
    /// Painters of this machine.
    pub here: usize,
    /// One was started that may not have claimed a cell yet.
    pub starting: bool,
    /// The machines of the others, each once.
    pub elsewhere: Vec<String>,
}

/// A message to the user.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    pub text: String,
    pub warning: bool,
    /// When it came, in seconds since the sheet opened.
    pub at: f64,
}

/// All that the screen shows and the keys act on.
#[derive(Debug)]
pub struct Sheet {
    pub folder: SweepFolder,
    /// Whether cells differ by these.
    many_contents: bool,
    many_styles: bool,
    varies: bool,
    /// Of the index that was read last; before one is, none.
    pub entries: Vec<CellEntry>,
    /// Why the index cannot be read.
    pub unread: Option<String>,
    pub summary: Summary,
    pub filter: Filter,
    /// The numbers of the cells that the filter leaves.
    pub shown: Vec<usize>,
    /// The place of the selected one among those, and the first row in sight.
    pub selected: usize,
    pub top: usize,
    pub overlay: Option<Overlay>,
    /// Small pictures, those that came first at the front.
    looks: VecDeque<(Wanted, Look)>,
    /// The picture of the one cell that is shown large.
    large: Option<(Wanted, Look)>,
    pub painters: Painters,
    pub note: Option<Note>,
    /// Seconds since the sheet opened.
    pub clock: f64,
    pub window: Rect,
}

impl Sheet {
    /// A sheet of which no cell has been looked at.
    pub fn new(folder: SweepFolder) -> Self {
        let definition = folder.definition();
        let (many_contents, many_styles) = match definition.rows.split_first() {
            None => (definition.contents.len() > 1, definition.styles.len() > 1),
            Some((first, rows)) => (
                rows.iter().any(|row| row.content != first.content),
                rows.iter().any(|row| row.style != first.style),
            ),
        };
        let varies = !definition.varied_keys().is_empty();
        Self {
            folder,
            many_contents,
            many_styles,
            varies,
            entries: Vec::new(),
            unread: None,
            summary: Summary::default(),
            filter: Filter::All,
            shown: Vec::new(),
            selected: 0,
            top: 0,
            overlay: None,
            looks: VecDeque::new(),
            large: None,
            painters: Painters::default(),
            note: None,
            clock: 0.0,
            window: Rect::new(0, 0, 80, 24),
        }
    }

    /// The name of the sweep: that of its folder.
    pub fn name(&self) -> String {
        display_path(self.folder.path().file_name().unwrap_or_default().as_ref())
    }

    /// The folder as a word for a shell.
    pub fn called(&self) -> String {
        shell_word(&display_path(self.folder.path()))
    }

    /// The selected cell.
    pub fn cell(&self) -> Option<&CellEntry> {
        self.entries.get(*self.shown.get(self.selected)?)
    }

    /// The message that is still news.
    pub fn news(&self) -> Option<&Note> {
        self.note.as_ref().filter(|note| {
            let lasts = if note.warning { WARNING_NEWS } else { NEWS };
            self.clock < note.at + lasts
        })
    }

    /// Shows a message to the user.
    pub fn say(&mut self, text: impl Into<String>, warning: bool) {
        let text = text.into();
        let at = self.clock;
        self.note = Some(Note { text, warning, at });
    }

    /// Whether a painter of this machine lives.
    pub fn is_painted_here(&self) -> bool {
        self.painters.here > 0 || self.painters.starting
    }

    /// The areas of the screen, and the tiles in them; none if the window is too small.
    pub fn places(&self) -> Option<(Places, Grid)> {
        let places = places(self.window)?;
        let definition = self.folder.definition();
        // A list of rows has no columns of its own, and what is left of a grid neither.
        let natural = match (self.filter, definition.rows.is_empty()) {
            (Filter::All, true) => definition.count() / definition.contents.len().max(1),
            _ => 0,
        };
        // The pictures, the values, and how far it is.
        let words = if self.varies { 3 } else { 2 };
        let grid = Grid::new(places.grid, natural, self.shown.len(), words);
        Some((places, grid))
    }

    /// Scrolls so that the selected cell is in sight.
    pub fn scroll(&mut self) {
        self.selected = self.selected.min(self.shown.len().saturating_sub(1));
        if let Some((_, grid)) = self.places() {
            self.top = grid.scrolled(self.top, self.selected, self.shown.len());
        }
    }

    /// Takes in where all cells stand.
    pub fn read(&mut self, index: Index) {
        self.unread = None;
        // Changed by hand, it may not be in order: a cell is found by its number.
        let sound = |(at, cell): (usize, &CellEntry)| cell.number == at;
        if !index.cells.iter().enumerate().all(sound) {
            self.unread = Some("sweep.json does not hold its cells in order".to_owned());
            return;
        }
        self.entries = index.cells;
        self.count();
    }

    /// Takes in where one cell stands.
    pub fn read_entry(&mut self, entry: CellEntry) {
        if let Some(known) = self.entries.get_mut(entry.number) {
            *known = entry;
            self.count();
        }
    }

    fn count(&mut self) {
        self.summary = Summary::of(&self.entries);
        self.choose();
    }

    /// Shows the cells that the filter leaves; the selected one stays so if it is among
    /// them.
    pub fn choose(&mut self) {
        let before = self.shown.get(self.selected).copied();
        let cells = self.entries.iter();
        self.shown = cells
            .filter(|cell| self.filter.shows(cell.state))
            .map(|cell| cell.number)
            .collect();
        let first = before.unwrap_or(0);
        self.selected = self.shown.partition_point(|number| *number < first);
        self.scroll();
    }

    /// The pictures to show: of the cells in sight and of the one that is shown large.
    pub fn wanted(&self) -> Vec<Wanted> {
        let mut wanted = Vec::new();
        if let (Some(Overlay::Cell { .. }), Some(cell)) = (&self.overlay, self.cell()) {
            wanted.push((cell.number, true));
        }
        if let Some((_, grid)) = self.places() {
            let visible = self.shown.get(grid.visible(self.top, self.shown.len()));
            let visible = visible.unwrap_or_default().iter().take(MAX_WANTED);
            wanted.extend(visible.map(|number| (*number, false)));
        }
        wanted
            .into_iter()
            .map(|(number, large)| Wanted {
                number,
                large,
                stamp: self.known(number, large).and_then(|(it, _)| it.stamp),
            })
            .collect()
    }

    fn known(&self, number: usize, large: bool) -> Option<&(Wanted, Look)> {
        let mut known = self.looks.iter().chain(&self.large);
        known.find(|(wanted, _)| (wanted.number, wanted.large) == (number, large))
    }

    /// What is known of a cell's picture. A small one stands in for a large one.
    pub fn look(&self, number: usize, large: bool) -> Option<&Look> {
        let known = self.known(number, large);
        let known = known.or_else(|| self.known(number, false));
        known.map(|(_, look)| look)
    }

    /// Takes in a cell's picture, or that there is none any more.
    pub fn see(&mut self, wanted: Wanted, look: Option<Look>) {
        if wanted.large {
            self.large = look.map(|look| (wanted, look));
            return;
        }
        self.looks
            .retain(|(known, _)| known.number != wanted.number);
        if let Some(look) = look {
            self.looks.push_back((wanted, look));
        }
        if self.looks.len() > MAX_LOOKS {
            self.looks.pop_front();
        }
    }

    /// What tells a cell from the others, in a few words: its pictures, and the values
    /// that vary. What all have in common is left out, but for pictures if both are.
    pub fn label(&self, number: usize) -> [String; 2] {
        let Some(cell) = self.folder.definition().cell(number) else {
            return Default::default();
        };
        let mut parts = Vec::new();
        if self.many_contents || !self.many_styles {
            parts.push(stem(&cell.content).to_owned());
        }
        if self.many_styles || !self.many_contents {
            let styles = cell.styles.iter().map(|style| stem(&style.path));
            parts.push(styles.collect::<Vec<_>>().join("+"));
        }
        let values = cell.values.iter().map(|(key, value)| {
            // Which key it is, the last part of its name says.
            let key = key.rsplit('.').next().unwrap_or(key);
            format!("{key} {}", plain(value))
        });
        let values: Vec<String> = values.collect();
        [parts.join("×"), values.join(", ")].map(|words| printable(&words))
    }
}

/// The command that paints a cell once more by itself.
pub fn command(cell: &Cell) -> String {
    let mut words = vec!["impasto run".to_owned(), shell_word(&cell.content)];
    words.extend(cell.styles.iter().map(|style| match style.weight {
        Some(weight) => shell_word(&format!("{}:{weight}", style.path)),
        None => shell_word(&style.path),
    }));
    words.push(format!("--preset {}", shell_word(&cell.preset)));
    for (key, value) in &cell.set {
        words.push(match key.as_str() {
            "size" | "iterations" => format!("--{key} {}", shell_word(&plain(value))),
            _ => format!("--set {}", shell_word(&impasto_sweep::setting(key, value))),
        });
    }
    words.join(" ")
}

/// A text as one word of a shell, fit to be shown.
fn shell_word(text: &str) -> String {
    impasto_sweep::shell_word(&printable(text))
}
