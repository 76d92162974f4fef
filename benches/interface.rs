//! What a user waits for besides the painting: parsing a preset, drawing a frame.

use std::path::PathBuf;

use divan::{Bencher, black_box};
use impasto::tui::app::App;
use impasto::tui::pane::Pane;
use impasto::tui::theme::{Palette, Theme};
use impasto::tui::update::{Message, update};
use impasto::tui::view;
use impasto_core::job::{Compute, Overrides, PictureFile, Plan};
use impasto_core::preset::Preset;
use impasto_core::protocol::{Event, LayerLosses, Step};
use impasto_graphics::terminal::{Colours, Graphics};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

fn main() {
    divan::main();
}

#[divan::bench]
fn parse_preset() -> Preset {
    let text = include_str!("../presets/default.yaml");
    Preset::from_yaml(black_box(text), "default.yaml").expect("a bundled preset")
}

/// A dashboard a thousand iterations on.
fn dashboard() -> App {
    let picture = |name: &str| PictureFile::At(PathBuf::from(name));
    let mut app = App::new(&Plan {
        preset: Preset::default(),
        content: picture("content.jpg"),
        style: picture("style.jpg"),
        more_styles: Vec::new(),
        compute: Compute::default(),
        output: PathBuf::from("output.png"),
        preset_name: None,
        overrides: Overrides::default(),
    });
    for iteration in 1..=1000 {
        let falling = 1e6 / f64::from(iteration);
        let step = Step {
            iteration,
            scale: 1,
            width: 256,
            height: 256,
            content: 2e4,
            style: falling,
            smoothness: 1e3,
            total: falling + 2.1e4,
            rejected_total: None,
            elapsed: f64::from(iteration) / 10.0,
            layers: LayerLosses::default(),
        };
        update(&mut app, Message::Event(Event::Step(step)));
    }
    app
}

#[divan::bench(args = [(80, 24), (120, 36), (250, 70)])]
fn draw_frame(bencher: Bencher, (columns, rows): (u16, u16)) {
    let app = dashboard();
    let theme = Theme::new(Palette::default(), Colours::True, false);
    let mut pane = Pane::new(Graphics::HalfBlocks, None, Colours::True, false);
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).expect("a terminal");
    bencher.bench_local(|| {
        terminal
            .draw(|frame| view::draw(frame, &app, &mut pane, &theme))
            .map(drop)
    });
}
