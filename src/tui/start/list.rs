//! A list on the screen, with what was typed to find something in it.

/// The longest text that can be typed.
const MAX_FILTER: usize = 64;

/// Which rows of a list are shown, which of them is selected, and how far the
/// list is scrolled.
///
/// `selected` is below the number of rows shown, or zero without any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// What was typed.
    pub filter: String,
    /// The indices of the rows that the filter leaves.
    pub shown: Vec<usize>,
    /// Which of the rows shown is selected.
    pub selected: usize,
    /// The first row in sight, as far as was known when it was scrolled.
    first: usize,
}

impl List {
    /// Shows the rows that contain what was typed; case does not matter.
    pub fn find<T: AsRef<str>>(&mut self, rows: impl Iterator<Item = T>) {
        let wanted = self.filter.to_lowercase();
        self.shown = rows
            .enumerate()
            .filter(|(_, text)| wanted.is_empty() || text.as_ref().to_lowercase().contains(&wanted))
            .map(|(index, _)| index)
            .collect();
        self.select(self.selected);
    }

    /// The index of the selected row among all rows.
    pub fn index(&self) -> Option<usize> {
        self.shown.get(self.selected).copied()
    }

    /// Selects the row of this index among all rows, if it is shown.
    pub fn select_index(&mut self, index: usize) {
        if let Some(place) = self.shown.iter().position(|shown| *shown == index) {
            self.selected = place;
        }
    }

    /// Selects a row among those shown, the last one if there are not so many.
    pub fn select(&mut self, place: usize) {
        self.selected = place.min(self.shown.len().saturating_sub(1));
    }

    /// Moves the selection.
    pub fn step(&mut self, by: isize) {
        self.select(self.selected.saturating_add_signed(by));
    }

    /// Moves the rows past the selection, which stays in sight.
    pub fn roll(&mut self, by: isize, height: usize) {
        let most = self.shown.len().saturating_sub(height);
        self.first = self.first(height).saturating_add_signed(by).min(most);
        let last = (self.first + height).saturating_sub(1).max(self.first);
        self.select(self.selected.clamp(self.first, last));
    }

    /// The first row in sight where there is room for `height`: the selected
    /// one is in sight, and no room is wasted.
    pub fn first(&self, height: usize) -> usize {
        let least = (self.selected + 1).saturating_sub(height);
        let most = self.shown.len().saturating_sub(height);
        self.first.min(most).max(least).min(self.selected)
    }

    /// Remembers how far the list is scrolled.
    pub fn settle(&mut self, height: usize) {
        self.first = self.first(height);
    }

    /// Adds a typed character; the caller then finds anew.
    pub fn push(&mut self, character: char) {
        if !character.is_control() && self.filter.chars().count() < MAX_FILTER {
            self.filter.push(character);
            self.selected = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(rows: usize) -> List {
        let mut list = List::default();
        list.find((0..rows).map(|index| format!("row {index}")));
        list
    }

    #[test]
    fn rows_are_found_in_any_case() {
        let mut list = List::default();
        let rows = ["Tower", "tree", "NIGHT tower"];
        for character in "TOW\u{1b}er".chars() {
            list.push(character);
        }
        list.find(rows.iter());
        assert_eq!(
            (list.shown.as_slice(), list.index()),
            (&[0, 2][..], Some(0))
        );
        list.filter.push('!');
        list.find(rows.iter());
        assert_eq!((list.index(), list.selected), (None, 0));
        for _ in 0..1000 {
            list.push('x');
        }
        assert_eq!(list.filter.chars().count(), MAX_FILTER);
    }

    #[test]
    fn the_selection_stays_within_the_rows_and_in_sight() {
        let mut list = list(20);
        list.step(7);
        list.settle(5);
        assert_eq!((list.selected, list.first(5)), (7, 3));
        list.step(-2);
        assert_eq!(list.first(5), 3, "it scrolls no more than it must");
        list.step(isize::MAX);
        assert_eq!((list.selected, list.first(5)), (19, 15));
        list.settle(5);
        assert_eq!(list.first(100), 0);
        list.step(isize::MIN);
        assert_eq!((list.selected, list.first(5), list.first(0)), (0, 0, 0));
    }

    #[test]
    fn rolling_takes_the_selection_along() {
        let mut list = list(20);
        list.roll(3, 5);
        assert_eq!((list.first(5), list.selected), (3, 3));
        list.roll(100, 5);
        assert_eq!((list.first(5), list.selected), (15, 15));
        list.roll(-4, 5);
        assert_eq!((list.first(5), list.selected), (11, 15));
        list.roll(-100, 5);
        assert_eq!((list.first(5), list.selected), (0, 4));
        let mut none = List::default();
        none.roll(3, 0);
        none.step(1);
        assert_eq!((none.index(), none.first(9)), (None, 0));
    }
}
