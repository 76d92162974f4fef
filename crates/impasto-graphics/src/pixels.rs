//! A picture as the terminal's own graphics, encoded on a thread of its own:
//! encoding takes longer than a frame may.

use std::fmt::Write as _;
use std::io::{self, Cursor};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use ratatui::widgets::Widget;
use ratatui_image::Image;
use ratatui_image::protocol::Protocol;
use ratatui_image::protocol::iterm2::Iterm2;
use ratatui_image::protocol::kitty::Kitty;
use ratatui_image::protocol::sixel::Sixel;

use super::cells::fit;
use super::scene::Scene;
use super::terminal::{Capabilities, Graphics};

const BLACK: Rgb<u8> = Rgb([0, 0, 0]);
const WHITE: Rgb<u8> = Rgb([255, 255, 255]);
/// The quality of a JPEG, out of 100. It takes a fifth of what a PNG does.
const QUALITY: u8 = 85;
/// Characters of base64 in one piece of kitty's protocol.
const PIECE: usize = 4096;
/// The character that kitty draws pictures at.
const PLACEHOLDER: char = '\u{10eeee}';
/// A picture never gets fewer pixels than this.
const FEWEST_PIXELS: u32 = 128 * 128;

/// A scene to encode.
pub struct EncodeTask {
    pub scene: Scene,
    /// Columns and rows that it has to fit into.
    pub room: (u16, u16),
    /// About as many pixels as may be sent; the terminal then enlarges them,
    /// where it can.
    pub most_pixels: u32,
    /// Which scene this is, for whoever asked.
    pub version: u64,
}

/// A scene that the terminal can show.
pub struct Encoded {
    protocol: Protocol,
    /// What kitty has to be sent once, before the placeholders.
    transmission: Option<String>,
    /// Width and height of what is sent.
    pub pixels: (u32, u32),
    pub room: (u16, u16),
    pub version: u64,
}

impl Encoded {
    /// Columns and rows that the picture covers.
    pub fn size(&self) -> Size {
        self.protocol.size()
    }

    /// Draws the picture at `place`, which must have its size.
    pub fn render(&mut self, place: Rect, buffer: &mut Buffer) {
        Image::new(&self.protocol).render(place, buffer);
        let Some(cell) = buffer.cell_mut(place.as_position()) else {
            return;
        };
        // The library's own transmission, of one pixel, makes way for ours.
        if let Some(start) = cell.symbol().find(PLACEHOLDER)
            && let Some(mut symbol) = self.transmission.take()
        {
            symbol.push_str(&cell.symbol()[start..]);
            cell.set_symbol(&symbol);
        }
    }
}

/// This scene, or the terminal's graphics altogether, could not be encoded.
#[derive(Debug)]
pub struct EncodeError;

/// The thread that encodes, one scene at a time. It ends when this is dropped.
pub struct Encoder {
    jobs: SyncSender<EncodeTask>,
    done: Receiver<Result<Encoded, EncodeError>>,
    busy: bool,
}

impl Encoder {
    /// Starts the thread for a terminal whose cells have `cell` pixels.
    pub fn start(terminal: Capabilities, cell: (u16, u16)) -> io::Result<Self> {
        let (jobs, inbox) = sync_channel::<EncodeTask>(1);
        let (outbox, done) = sync_channel(1);
        thread::Builder::new()
            .name("picture encoder".to_owned())
            .spawn(move || {
                for (count, job) in inbox.iter().enumerate() {
                    let encoded = encode(&job, terminal, cell, kitty_ids()[count % 2]);
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
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// Begins to encode; does nothing while a scene is in hand.
    pub fn begin(&mut self, job: EncodeTask) -> Result<(), EncodeError> {
        if self.busy {
            return Ok(());
        }
        match self.jobs.try_send(job) {
            Ok(()) => {
                self.busy = true;
                Ok(())
            }
            Err(TrySendError::Full(_)) => Ok(()),
            Err(TrySendError::Disconnected(_)) => Err(EncodeError),
        }
    }

    /// The scene that was in hand, once it is encoded. Does not wait.
    pub fn finished(&mut self) -> Option<Result<Encoded, EncodeError>> {
        match self.done.try_recv() {
            Ok(encoded) => {
                self.busy = false;
                Some(encoded)
            }
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(EncodeError)),
        }
    }
}

/// The two ids that this process gives its pictures in kitty's protocol. They
/// take turns: while one picture is sent the one before stays on the screen.
pub fn kitty_ids() -> [u32; 2] {
    // Below 2²⁴, as an id must be to travel as a colour; never 0.
    let base = 0x80_0000 | ((std::process::id() & 0x3f_ffff) << 1);
    [base, base | 1]
}

/// What goes before an escape sequence, instead of each `ESC` in it, and after
/// it, so that it reaches the terminal around tmux, if that is between.
pub fn through(tmux: bool) -> (&'static str, &'static str, &'static str) {
    if tmux {
        ("\x1bPtmux;", "\x1b\x1b", "\x1b\\")
    } else {
        ("", "\x1b", "")
    }
}

/// Columns and rows of a picture that fits into `room`.
pub fn cells_for(picture: (u32, u32), room: (u16, u16), cell: (u16, u16)) -> (u16, u16) {
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
    job: &EncodeTask,
    terminal: Capabilities,
    cell: (u16, u16),
    kitty_id: u32,
) -> Result<Encoded, EncodeError> {
    let (columns, rows) = cells_for(job.scene.size(), job.room, cell);
    let size = Size::new(columns, rows);
    // Whole cells, so that nothing of what was there before shows at an edge.
    let full = (
        u32::from(columns) * u32::from(cell.0),
        u32::from(rows) * u32::from(cell.1),
    );
    let pixels = match terminal.pane {
        Graphics::Kitty | Graphics::Iterm => reduced(full, job.most_pixels),
        // Sixel is shown pixel by pixel.
        Graphics::Sixel | Graphics::HalfBlocks => full,
    };
    let mut picture = job.scene.composed(pixels.0, pixels.1).ok_or(EncodeError)?;
    if let Some(column) = job.scene.split(pixels.0) {
        draw_line(&mut picture, column);
    }
    let mut transmission = None;
    let protocol = match terminal.pane {
        Graphics::Kitty => {
            let sent = kitty_transmission(&picture, size, kitty_id, terminal.tmux)?;
            transmission = Some(sent);
            let pixel = DynamicImage::new_rgb8(1, 1);
            Kitty::new(pixel, size, kitty_id, terminal.tmux, false).map(Protocol::Kitty)
        }
        Graphics::Iterm => Ok(Protocol::ITerm2(iterm2(&picture, size)?)),
        Graphics::Sixel => {
            Sixel::new(DynamicImage::ImageRgb8(picture), size, false).map(Protocol::Sixel)
        }
        Graphics::HalfBlocks => return Err(EncodeError),
    };
    Ok(Encoded {
        protocol: protocol.map_err(|_| EncodeError)?,
        transmission,
        pixels,
        room: job.room,
        version: job.version,
    })
}

/// A size of the same shape with about `most` pixels, if that is less.
pub fn reduced(size: (u32, u32), most: u32) -> (u32, u32) {
    let pixels = u64::from(size.0) * u64::from(size.1);
    let scale = (f64::from(most.max(FEWEST_PIXELS)) / pixels.max(1) as f64).sqrt();
    if scale >= 1.0 {
        return size;
    }
    let side = |pixels: u32| ((f64::from(pixels) * scale).round() as u32).max(1);
    (side(size.0), side(size.1))
}

/// The picture as kitty's protocol sends it, to be drawn over this many cells at
/// placeholders. The library sends pixels as they are, which takes twice the
/// bytes, and leaves the terminal no room to enlarge them.
fn kitty_transmission(
    picture: &RgbImage,
    size: Size,
    id: u32,
    tmux: bool,
) -> Result<String, EncodeError> {
    let mut png = Cursor::new(Vec::new());
    picture
        .write_to(&mut png, ImageFormat::Png)
        .map_err(|_| EncodeError)?;
    let text = STANDARD.encode(png.into_inner());
    let (start, escape, end) = through(tmux);
    let pieces = text.len().div_ceil(PIECE);
    let mut sent = String::with_capacity(text.len() + 64 * (pieces + 1));
    for index in 0..pieces {
        // Base64 is ASCII: it may be cut anywhere.
        let piece = &text[index * PIECE..text.len().min((index + 1) * PIECE)];
        let more = u8::from(index + 1 < pieces);
        // Writing into a string does not fail.
        let _ = write!(sent, "{start}{escape}_Gq=2,");
        if index == 0 {
            let (columns, rows) = (size.width, size.height);
            let _ = write!(sent, "i={id},a=T,U=1,f=100,t=d,c={columns},r={rows},");
        }
        let _ = write!(sent, "m={more};{piece}{escape}\\{end}");
    }
    Ok(sent)
}

/// The picture as iTerm2's protocol sends it, drawn over this many cells. As for
/// kitty, but this one takes JPEG.
fn iterm2(picture: &RgbImage, size: Size) -> Result<Iterm2, EncodeError> {
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY)
        .encode_image(picture)
        .map_err(|_| EncodeError)?;
    let (columns, rows) = (size.width, size.height);
    let mut data = String::new();
    for _ in 0..rows {
        // What was there before must not shine through.
        let _ = write!(data, "\x1b[{columns}X\x1b[1B");
    }
    let _ = write!(
        data,
        "\x1b[{rows}A\x1b]1337;File=inline=1;size={};width={columns};height={rows};\
         preserveAspectRatio=0;doNotMoveCursor=1:",
        jpeg.len(),
    );
    STANDARD.encode_string(&jpeg, &mut data);
    data.push('\x07');
    Ok(Iterm2 {
        data,
        size,
        is_tmux: false,
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

    fn job(version: u64, room: (u16, u16)) -> EncodeTask {
        let colour = Rgb([200, 30, 60]);
        EncodeTask {
            scene: Scene::One(Arc::new(RgbImage::from_pixel(30, 20, colour))),
            room,
            most_pixels: u32::MAX,
            version,
        }
    }

    fn assumed(graphics: Graphics) -> Capabilities {
        Capabilities::assumed(graphics, None)
    }

    fn drawn(encoded: &mut Encoded) -> Buffer {
        let size = encoded.size();
        let area = Rect::new(0, 0, size.width, size.height);
        let mut buffer = Buffer::empty(area);
        encoded.render(area, &mut buffer);
        buffer
    }

    fn wait(encoder: &mut Encoder) -> Result<Encoded, EncodeError> {
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
            let mut encoder = Encoder::start(assumed(graphics), (8, 16)).unwrap();
            assert!(encoder.finished().is_none());
            encoder.begin(job(7, (30, 30))).unwrap();
            assert!(encoder.is_busy());
            // Another has to wait until the first is over.
            encoder.begin(job(8, (30, 30))).unwrap();
            let encoded = wait(&mut encoder).unwrap();
            assert!(!encoder.is_busy());
            assert_eq!((encoded.version, encoded.room), (7, (30, 30)));
            // 240 × 160 pixels.
            assert_eq!(encoded.size(), Size::new(30, 10));
            encoder.begin(job(9, (5, 5))).unwrap();
            assert_eq!(wait(&mut encoder).unwrap().version, 9);
        }
    }

    #[test]
    fn half_blocks_are_not_encoded() {
        let mut encoder = Encoder::start(assumed(Graphics::HalfBlocks), (8, 16)).unwrap();
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
    fn kitty_is_sent_a_png_once_and_placeholders_ever_after() {
        for tmux in [false, true] {
            let terminal = Capabilities {
                tmux,
                ..assumed(Graphics::Kitty)
            };
            let mut encoded = encode(&job(1, (30, 30)), terminal, (8, 16), 0x80_1234).unwrap();
            assert_eq!(encoded.pixels, (240, 160));
            let first = drawn(&mut encoded);
            let symbol = first[(0, 0)].symbol();
            let (start, escape, end) = if tmux {
                ("\x1bPtmux;\x1b\x1b_G", "\x1b\x1b\\", "\x1b\\")
            } else {
                ("\x1b_G", "\x1b\\", "")
            };
            let rest = symbol.strip_prefix(start).unwrap();
            let (header, rest) = rest.split_once(';').unwrap();
            assert_eq!(header, "q=2,i=8393268,a=T,U=1,f=100,t=d,c=30,r=10,m=0");
            let (text, rest) = rest.split_once('\x1b').unwrap();
            let picture = image::load_from_memory(&STANDARD.decode(text).unwrap()).unwrap();
            assert_eq!(picture.to_rgb8().get_pixel(9, 9), &Rgb([200, 30, 60]));
            let rest = rest.strip_prefix(&escape[1..]).unwrap();
            assert!(rest.strip_prefix(end).unwrap().starts_with(PLACEHOLDER));
            let second = drawn(&mut encoded);
            assert!(second[(0, 0)].symbol().starts_with(PLACEHOLDER));
            assert_eq!(first[(1, 0)], second[(1, 0)]);
        }
    }

    #[test]
    fn large_pictures_go_to_kitty_in_pieces() {
        let noise = RgbImage::from_fn(100, 100, |x, y| {
            let value = x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503 * x);
            Rgb([value as u8, (value >> 8) as u8, (value >> 16) as u8])
        });
        let sent = kitty_transmission(&noise, Size::new(10, 5), 7, false).unwrap();
        let pieces: Vec<&str> = sent.split_terminator("\x1b\\").collect();
        assert!(pieces.len() > 2);
        for (index, piece) in pieces.iter().enumerate() {
            let (header, text) = piece.split_once(';').unwrap();
            assert!(text.len() <= PIECE);
            let last = index + 1 == pieces.len();
            assert!(header.ends_with(if last { "m=0" } else { "m=1" }));
        }
    }

    #[test]
    fn a_slow_line_gets_fewer_pixels_for_as_many_cells() {
        for (graphics, pixels) in [
            (Graphics::Kitty, (157, 105)),
            (Graphics::Iterm, (157, 105)),
            (Graphics::Sixel, (240, 160)),
        ] {
            let job = EncodeTask {
                most_pixels: 1,
                ..job(1, (30, 30))
            };
            let encoded = encode(&job, assumed(graphics), (8, 16), 1).unwrap();
            assert_eq!(encoded.pixels, pixels);
            assert_eq!(encoded.size(), Size::new(30, 10));
        }
        assert_eq!(reduced((400, 300), u32::MAX), (400, 300));
        assert_eq!(reduced((400, 300), 30_000), (200, 150));
        assert_eq!(reduced((0, 0), 30_000), (0, 0));
    }

    #[test]
    fn iterm2_is_sent_a_jpeg_for_a_number_of_cells() {
        let terminal = assumed(Graphics::Iterm);
        let mut encoded = encode(&job(1, (30, 30)), terminal, (8, 16), 1).unwrap();
        let buffer = drawn(&mut encoded);
        let symbol = buffer[(0, 0)].symbol();
        assert!(symbol.contains(";width=30;height=10;"));
        let (_, text) = symbol.rsplit_once(':').unwrap();
        let jpeg = STANDARD.decode(text.strip_suffix('\x07').unwrap()).unwrap();
        let picture = image::load_from_memory(&jpeg).unwrap();
        assert_eq!((picture.width(), picture.height()), (240, 160));
    }

    #[test]
    fn kitty_ids_travel_as_a_colour() {
        let [first, second] = kitty_ids();
        assert_ne!(first, second);
        assert!(0 < first && first < 1 << 24 && second < 1 << 24);
    }
}
