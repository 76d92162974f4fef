//! A picture as the terminal's own graphics, encoded on a thread of its own:
//! encoding takes longer than a frame may.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread;

use image::{DynamicImage, Rgb, RgbImage};
use ratatui::layout::Size;
use ratatui_image::protocol::Protocol;
use ratatui_image::protocol::iterm2::Iterm2;
use ratatui_image::protocol::kitty::Kitty;
use ratatui_image::protocol::sixel::Sixel;

use super::cells::fit;
use super::scene::Scene;
use super::terminal::Graphics;

const BLACK: Rgb<u8> = Rgb([0, 0, 0]);
const WHITE: Rgb<u8> = Rgb([255, 255, 255]);

/// A scene to encode.
pub(super) struct Job {
    pub(super) scene: Scene,
    /// Columns and rows that it has to fit into.
    pub(super) room: (u16, u16),
    /// Which scene this is, for whoever asked.
    pub(super) version: u64,
}

/// A scene that the terminal can show.
pub(super) struct Encoded {
    pub(super) protocol: Protocol,
    pub(super) room: (u16, u16),
    pub(super) version: u64,
}

/// This scene, or the terminal's graphics altogether, could not be encoded.
#[derive(Debug)]
pub(super) struct Unable;

/// The thread that encodes, one scene at a time. It ends when this is dropped.
pub(super) struct Encoder {
    jobs: SyncSender<Job>,
    done: Receiver<Result<Encoded, Unable>>,
    busy: bool,
}

impl Encoder {
    /// Starts the thread for a terminal whose cells have `cell` pixels.
    pub(super) fn start(graphics: Graphics, cell: (u16, u16)) -> io::Result<Self> {
        let (jobs, inbox) = sync_channel::<Job>(1);
        let (outbox, done) = sync_channel(1);
        thread::Builder::new()
            .name("picture encoder".to_owned())
            .spawn(move || {
                for (count, job) in inbox.iter().enumerate() {
                    let encoded = encode(&job, graphics, cell, kitty_ids()[count % 2]);
                    if outbox.send(encoded).is_err() {
                        break;
                    }
                }
            })?;
        Ok(Self {
            jobs,
            done,
            busy: false,
        })
    }

    /// Whether a scene is in hand. Whoever has a newer one keeps it until this
    /// is over, so that the latest wins and nothing piles up.
    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    /// Begins to encode; does nothing while a scene is in hand.
    pub(super) fn begin(&mut self, job: Job) -> Result<(), Unable> {
        if self.busy {
            return Ok(());
        }
        match self.jobs.try_send(job) {
            Ok(()) => {
                self.busy = true;
                Ok(())
            }
            Err(TrySendError::Full(_)) => Ok(()),
            Err(TrySendError::Disconnected(_)) => Err(Unable),
        }
    }

    /// The scene that was in hand, once it is encoded. Does not wait.
    pub(super) fn finished(&mut self) -> Option<Result<Encoded, Unable>> {
        match self.done.try_recv() {
            Ok(encoded) => {
                self.busy = false;
                Some(encoded)
            }
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(Unable)),
        }
    }
}

/// The two ids that this process gives its pictures in kitty's protocol. They
/// take turns: while one picture is sent the one before stays on the screen.
pub(super) fn kitty_ids() -> [u32; 2] {
    // Below 2²⁴, as an id must be to travel as a colour; never 0.
    let base = 0x80_0000 | ((std::process::id() & 0x3f_ffff) << 1);
    [base, base | 1]
}

/// Columns and rows of a picture that fits into `room`.
pub(super) fn cells_for(picture: (u32, u32), room: (u16, u16), cell: (u16, u16)) -> (u16, u16) {
    let (cell_width, cell_height) = (u32::from(cell.0.max(1)), u32::from(cell.1.max(1)));
    let pixels = (
        u32::from(room.0) * cell_width,
        u32::from(room.1) * cell_height,
    );
    let (width, height) = fit(picture, pixels);
    // At most the room, so each fits.
    let count = |pixels: u32, cell: u32| ((pixels + cell / 2) / cell).max(1) as u16;
    (
        count(width, cell_width).min(room.0),
        count(height, cell_height).min(room.1),
    )
}

fn encode(
    job: &Job,
    graphics: Graphics,
    cell: (u16, u16),
    kitty_id: u32,
) -> Result<Encoded, Unable> {
    let (columns, rows) = cells_for(job.scene.size(), job.room, cell);
    // Whole cells, so that nothing of what was there before shows at an edge.
    let width = u32::from(columns) * u32::from(cell.0);
    let height = u32::from(rows) * u32::from(cell.1);
    let mut picture = job.scene.composed(width, height).ok_or(Unable)?;
    if let Some(column) = job.scene.split(width) {
        draw_line(&mut picture, column);
    }
    let picture = DynamicImage::ImageRgb8(picture);
    let size = Size::new(columns, rows);
    // The last argument but for kitty's is whether tmux is between; there the
    // pane shows half-blocks. Compression is not known to be understood.
    let protocol = match graphics {
        Graphics::Kitty => Kitty::new(picture, size, kitty_id, false, false).map(Protocol::Kitty),
        Graphics::Iterm => Iterm2::new(picture, size, false).map(Protocol::ITerm2),
        Graphics::Sixel => Sixel::new(picture, size, false).map(Protocol::Sixel),
        Graphics::HalfBlocks => return Err(Unable),
    };
    Ok(Encoded {
        protocol: protocol.map_err(|_| Unable)?,
        room: job.room,
        version: job.version,
    })
}

/// A white line with black beside it, to be seen on every picture.
fn draw_line(picture: &mut RgbImage, column: u32) {
    let lines = [
        (column.checked_sub(1), BLACK),
        (Some(column), WHITE),
        (column.checked_add(1), BLACK),
    ];
    for (x, colour) in lines {
        let Some(x) = x.filter(|x| *x < picture.width()) else {
            continue;
        };
        for y in 0..picture.height() {
            picture.put_pixel(x, y, colour);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    fn job(version: u64, room: (u16, u16)) -> Job {
        let colour = Rgb([200, 30, 60]);
        Job {
            scene: Scene::One(Arc::new(RgbImage::from_pixel(30, 20, colour))),
            room,
            version,
        }
    }

    fn wait(encoder: &mut Encoder) -> Result<Encoded, Unable> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(encoded) = encoder.finished() {
                return encoded;
            }
            assert!(Instant::now() < deadline, "nothing was encoded");
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn every_protocol_encodes_off_the_caller_s_thread() {
        for graphics in [Graphics::Kitty, Graphics::Iterm, Graphics::Sixel] {
            let mut encoder = Encoder::start(graphics, (8, 16)).unwrap();
            assert!(encoder.finished().is_none());
            encoder.begin(job(7, (30, 30))).unwrap();
            assert!(encoder.is_busy());
            // Another has to wait until the first is over.
            encoder.begin(job(8, (30, 30))).unwrap();
            let encoded = wait(&mut encoder).unwrap();
            assert!(!encoder.is_busy());
            assert_eq!((encoded.version, encoded.room), (7, (30, 30)));
            // 240 × 160 pixels.
            assert_eq!(encoded.protocol.size(), Size::new(30, 10));
            encoder.begin(job(9, (5, 5))).unwrap();
            assert_eq!(wait(&mut encoder).unwrap().version, 9);
        }
    }

    #[test]
    fn half_blocks_are_not_encoded() {
        let mut encoder = Encoder::start(Graphics::HalfBlocks, (8, 16)).unwrap();
        encoder.begin(job(1, (3, 3))).unwrap();
        assert!(wait(&mut encoder).is_err());
    }

    #[test]
    fn cells_keep_the_shape_of_the_picture() {
        assert_eq!(cells_for((640, 480), (80, 22), (8, 16)), (59, 22));
        assert_eq!(cells_for((1000, 10), (80, 22), (8, 16)), (80, 1));
        assert_eq!(cells_for((10, 1000), (80, 22), (10, 20)), (1, 22));
        assert_eq!(cells_for((10, 10), (0, 0), (0, 0)), (0, 0));
    }

    #[test]
    fn the_line_lies_at_the_split_and_stays_inside() {
        for column in [0, 1, 3, 4, u32::MAX] {
            draw_line(&mut RgbImage::new(4, 2), column);
        }
        let mut picture = RgbImage::from_pixel(5, 1, Rgb([9, 9, 9]));
        draw_line(&mut picture, 2);
        let colours: Vec<u8> = picture.pixels().map(|pixel| pixel.0[0]).collect();
        assert_eq!(colours, [9, 0, 255, 0, 9]);
    }

    #[test]
    fn kitty_ids_travel_as_a_colour() {
        let [first, second] = kitty_ids();
        assert_ne!(first, second);
        assert!(0 < first && first < 1 << 24 && second < 1 << 24);
    }
}
