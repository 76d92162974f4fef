//! A terminal no larger than any that there is: what it says of its size may be
//! wrong, and ratatui keeps every cell twice.

use std::io::{self, Write};

use impasto_graphics::terminal::clamp_size;
use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};

/// A backend whose size is bounded.
#[derive(Debug)]
pub struct BoundedBackend<B>(pub B);

fn bounded(size: Size) -> Size {
    let (width, height) = clamp_size(size.width, size.height);
    Size { width, height }
}

impl<B: Backend> Backend for BoundedBackend<B> {
    type Error = B::Error;

    fn draw<'a, I>(&mut self, content: I) -> Result<(), B::Error>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        self.0.draw(content)
    }

    fn append_lines(&mut self, count: u16) -> Result<(), B::Error> {
        self.0.append_lines(count)
    }

    fn hide_cursor(&mut self) -> Result<(), B::Error> {
        self.0.hide_cursor()
    }

    fn show_cursor(&mut self) -> Result<(), B::Error> {
        self.0.show_cursor()
    }

    fn get_cursor_position(&mut self) -> Result<Position, B::Error> {
        self.0.get_cursor_position()
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> Result<(), B::Error> {
        self.0.set_cursor_position(position)
    }

    fn clear(&mut self) -> Result<(), B::Error> {
        self.0.clear()
    }

    fn clear_region(&mut self, clear_type: ClearType) -> Result<(), B::Error> {
        self.0.clear_region(clear_type)
    }

    fn size(&self) -> Result<Size, B::Error> {
        self.0.size().map(bounded)
    }

    fn window_size(&mut self) -> Result<WindowSize, B::Error> {
        let found = self.0.window_size()?;
        Ok(WindowSize {
            columns_rows: bounded(found.columns_rows),
            ..found
        })
    }

    fn flush(&mut self) -> Result<(), B::Error> {
        self.0.flush()
    }
}

impl<W: Write> Write for BoundedBackend<CrosstermBackend<W>> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Write::flush(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;

    /// A terminal that says it is as large as can be said.
    struct Boasting(TestBackend);

    impl Backend for Boasting {
        type Error = <TestBackend as Backend>::Error;

        fn draw<'a, I>(&mut self, _: I) -> Result<(), Self::Error>
        where
            I: Iterator<Item = (u16, u16, &'a Cell)>,
        {
            Ok(())
        }

        fn hide_cursor(&mut self) -> Result<(), Self::Error> {
            self.0.hide_cursor()
        }

        fn show_cursor(&mut self) -> Result<(), Self::Error> {
            self.0.show_cursor()
        }

        fn get_cursor_position(&mut self) -> Result<Position, Self::Error> {
            self.0.get_cursor_position()
        }

        fn set_cursor_position<P: Into<Position>>(&mut self, place: P) -> Result<(), Self::Error> {
            self.0.set_cursor_position(place)
        }

        fn clear(&mut self) -> Result<(), Self::Error> {
            self.0.clear()
        }

        fn clear_region(&mut self, kind: ClearType) -> Result<(), Self::Error> {
            self.0.clear_region(kind)
        }

        fn size(&self) -> Result<Size, Self::Error> {
            Ok(Size::new(u16::MAX, u16::MAX))
        }

        fn window_size(&mut self) -> Result<WindowSize, Self::Error> {
            self.0.window_size()
        }

        fn flush(&mut self) -> Result<(), Self::Error> {
            self.0.flush()
        }
    }

    #[test]
    fn a_terminal_that_claims_billions_of_cells_is_drawn_on_in_part() {
        let backend = BoundedBackend(Boasting(TestBackend::new(80, 24)));
        let mut terminal = Terminal::new(backend).unwrap();
        let mut drawn = None;
        terminal.draw(|frame| drawn = Some(frame.area())).unwrap();
        let area = drawn.unwrap();
        assert_eq!((area.width, area.height), clamp_size(u16::MAX, u16::MAX));
        assert!(u32::from(area.width) * u32::from(area.height) <= 1_000_000);
    }
}
