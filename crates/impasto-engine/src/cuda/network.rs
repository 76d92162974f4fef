//! VGG's kernels as operations on tensors.

use tch::{Device, Kind, Tensor};

use super::{Argument, Kernels};
use crate::Result;

/// What the first layer needs, on the device, float32.
#[derive(Debug)]
pub struct FirstLayer {
    /// `[3 (blue, green, red), 9, outputs]`: the windows of all outputs.
    weight: Tensor,
    bias: Tensor,
    /// Blue, green and red in 0..255, `[3]`.
    mean: Tensor,
    outputs: i64,
}

impl FirstLayer {
    /// From `weight` `[outputs, 3, 3, 3]`, `bias` `[outputs]` and `mean` `[3]`, all
    /// float32; none if the outputs are not eight times a power of two, 256 at most.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn new(weight: &Tensor, bias: &Tensor, mean: &Tensor) -> Result<Option<Self>> {
        let (outputs, inputs, ..) = weight.size4()?;
        let groups = u64::try_from(outputs / 8).unwrap_or(0);
        if outputs % 8 != 0 || inputs != 3 || !groups.is_power_of_two() || groups > 32 {
            return Ok(None);
        }
        let float = |tensor: &Tensor| tensor.f_to_kind(Kind::Float)?.f_contiguous();
        Ok(Some(Self {
            weight: float(&weight.f_permute([1, 2, 3, 0])?)?,
            bias: float(bias)?,
            mean: float(&mean.f_reshape([3])?)?,
            outputs,
        }))
    }
}

impl FirstLayer {
    /// A thread for each group of eight channels of each piece of four pixels.
    fn threads(&self, height: i64, width: i64) -> i64 {
        height * ((width + 3) / 4) * (self.outputs / 8)
    }
}

/// The ending of a kernel's name for maps of this kind, if there is one.
fn suffix(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Float => Some("float32"),
        Kind::BFloat16 => Some("bfloat16"),
        _ => None,
    }
}

/// A feature map as the kernels take it.
struct Map {
    /// `[H, W, C]`, contiguous.
    rows: Tensor,
    kind: Kind,
    suffix: &'static str,
    height: i64,
    width: i64,
    channels: i64,
}

impl Map {
    /// None for a map that no kernel takes.
    fn of(tensor: &Tensor) -> Result<Option<Self>> {
        let kind = tensor.f_kind()?;
        let (batch, channels, height, width) = tensor.size4()?;
        let small = |side: i64| (1..=i64::from(i32::MAX)).contains(&side);
        let fits =
            batch == 1 && channels % 8 == 0 && [channels, height, width].into_iter().all(small);
        let Some(suffix) = suffix(kind).filter(|_| fits) else {
            return Ok(None);
        };
        Ok(Some(Self {
            rows: tensor.f_permute([0, 2, 3, 1])?.f_contiguous()?,
            kind,
            suffix,
            height,
            width,
            channels,
        }))
    }

    fn sides(&self) -> [Argument<'static>; 3] {
        [self.height, self.width, self.channels].map(|side| Argument::Int(side as i32))
    }

    fn groups(&self) -> i64 {
        self.channels / 8
    }
}

/// A new map, not filled: `[1, H, W, C]`.
fn new_rows(sides: [i64; 3], kind: Kind, device: Device) -> Result<Tensor> {
    let [height, width, channels] = sides;
    Ok(Tensor::f_empty(
        [1, height, width, channels],
        (kind, device),
    )?)
}

/// Such rows as a map `[1, C, H, W]`.
fn as_map(rows: &Tensor) -> Result<Tensor> {
    Ok(rows.f_permute([0, 3, 1, 2])?)
}

impl Kernels {
    /// A map after 2×2 max pooling; none where no kernel fits.
    ///
    /// # Errors
    /// When memory runs out or the launch fails.
    pub fn max_pool(&self, map: &Tensor) -> Result<Option<Tensor>> {
        let Some(map) = Map::of(map)? else {
            return Ok(None);
        };
        let (height, width) = (map.height / 2, map.width / 2);
        let pooled = new_rows([height, width, map.channels], map.kind, self.device)?;
        if pooled.numel() > 0 {
            let [height_of, width_of, channels] = map.sides();
            let arguments = [
                Argument::Tensor(&map.rows),
                Argument::Tensor(&pooled),
                height_of,
                width_of,
                channels,
            ];
            let name = format!("max_pool_{}", map.suffix);
            // SAFETY: the map has the sides that are passed, the result half of them.
            unsafe { self.launch(&name, height * width * map.groups(), &arguments)? };
        }
        as_map(&pooled).map(Some)
    }

    /// The gradient with respect to `map`, from that with respect to its pooled
    /// map; with `relu`, with respect to what the ReLU that gave `map` was given.
    /// None where no kernel fits.
    ///
    /// # Errors
    /// When shapes differ, memory runs out or the launch fails.
    pub fn max_pool_backward(
        &self,
        gradient: &Tensor,
        map: &Tensor,
        relu: bool,
    ) -> Result<Option<Tensor>> {
        let (Some(gradient), Some(map)) = (Map::of(gradient)?, Map::of(map)?) else {
            return Ok(None);
        };
        let halves = (map.height / 2, map.width / 2, map.channels, map.kind);
        if (
            gradient.height,
            gradient.width,
            gradient.channels,
            gradient.kind,
        ) != halves
        {
            return Ok(None);
        }
        let out = new_rows([map.height, map.width, map.channels], map.kind, self.device)?;
        let [height, width, channels] = map.sides();
        let arguments = [
            Argument::Tensor(&gradient.rows),
            Argument::Tensor(&map.rows),
            Argument::Tensor(&out),
            height,
            width,
            channels,
            Argument::Int(i32::from(relu)),
        ];
        let name = format!("max_pool_backward_{}", map.suffix);
        let places = (map.height + 1) / 2 * ((map.width + 1) / 2) * map.groups();
        // SAFETY: all three have the sides that are passed, or half of them, as was
        // looked at.
        unsafe { self.launch(&name, places, &arguments)? };
        as_map(&out).map(Some)
    }

    /// The first layer's map of a picture `[1, 3, H, W]`, RGB in 0..1, float32;
    /// none where no kernel fits.
    ///
    /// # Errors
    /// When memory runs out or the launch fails.
    pub fn first_forward(
        &self,
        layer: &FirstLayer,
        picture: &Tensor,
        kind: Kind,
    ) -> Result<Option<Tensor>> {
        let (batch, channels, height, width) = picture.size4()?;
        let fits = batch == 1 && channels == 3 && picture.f_kind()? == Kind::Float;
        let Some(suffix) = suffix(kind).filter(|_| fits && height * width > 0) else {
            return Ok(None);
        };
        let picture = picture.f_contiguous()?;
        let map = new_rows([height, width, layer.outputs], kind, self.device)?;
        let arguments = [
            Argument::Tensor(&picture),
            Argument::Tensor(&layer.mean),
            Argument::Tensor(&layer.weight),
            Argument::Tensor(&layer.bias),
            Argument::Tensor(&map),
            Argument::Int(height as i32),
            Argument::Int(width as i32),
            Argument::Int(layer.outputs as i32),
        ];
        let name = format!("first_forward_{suffix}");
        // SAFETY: picture and map have the sides that are passed, the layer's tensors
        // the shapes that `FirstLayer::new` gave them.
        unsafe { self.launch(&name, layer.threads(height, width), &arguments)? };
        as_map(&map).map(Some)
    }

    /// The gradient with respect to the picture, `[1, 3, H, W]`, RGB in 0..1,
    /// float32, from that with respect to the first layer's `map`; none where no
    /// kernel fits.
    ///
    /// # Errors
    /// When memory runs out or the launch fails.
    pub fn first_backward(
        &self,
        layer: &FirstLayer,
        gradient: &Tensor,
        map: &Tensor,
    ) -> Result<Option<Tensor>> {
        let (Some(gradient), Some(map)) = (Map::of(gradient)?, Map::of(map)?) else {
            return Ok(None);
        };
        let same = (
            gradient.height,
            gradient.width,
            gradient.channels,
            gradient.kind,
        );
        if same != (map.height, map.width, map.channels, map.kind) || map.channels != layer.outputs
        {
            return Ok(None);
        }
        let shape = [1, 3, map.height, map.width];
        let picture = Tensor::f_empty(shape, (Kind::Float, self.device))?;
        let [height, width, outputs] = map.sides();
        let arguments = [
            Argument::Tensor(&gradient.rows),
            Argument::Tensor(&map.rows),
            Argument::Tensor(&layer.weight),
            Argument::Tensor(&picture),
            height,
            width,
            outputs,
        ];
        let name = format!("first_backward_{}", map.suffix);
        // SAFETY: as in `first_forward`, and the two maps have one shape.
        unsafe { self.launch(&name, layer.threads(map.height, map.width), &arguments)? };
        Ok(Some(picture))
    }
}
