//! The Laplacian loss (Li, Xu, Nie & Liu 2017, "Laplacian-Steered Neural Style
//! Transfer"): the image keeps the edges of the content. Both are shrunk by average
//! pooling, the Laplacian of red, green and blue is added up, and the mean squares of
//! the differences at all pool sizes are added.

use tch::{Device, Kind, Tensor};

use super::Result;
use super::loss::mean_square;

/// The pool sizes: fine and coarse edges.
const POOLS: [i64; 2] = [4, 16];

/// The edges of the content at each pool size that leaves anything.
#[derive(Debug)]
pub(super) struct Laplacian {
    /// The kernel, `[1, 3, 3, 3]`.
    kernel: Tensor,
    edges: Vec<(i64, Tensor)>,
}

fn edges(image: &Tensor, pool: i64, kernel: &Tensor) -> Result<Tensor> {
    let small = image.f_avg_pool2d([pool, pool], [pool, pool], [0, 0], false, true, None)?;
    Ok(small.f_conv2d::<Tensor>(kernel, None, [1, 1], [0, 0], [1, 1], 1)?)
}

fn kernel(device: Device) -> Result<Tensor> {
    let cross = [0f32, -1.0, 0.0, -1.0, 4.0, -1.0, 0.0, -1.0, 0.0];
    let cross = Tensor::f_from_slice(&cross)?.f_view([1, 1, 3, 3])?;
    Ok(cross.f_repeat([1, 3, 1, 1])?.f_to_device(device)?)
}

impl Laplacian {
    /// The edges of a content picture `[1, 3, H, W]`.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn of(content: &Tensor) -> Result<Self> {
        let kernel = kernel(content.device())?;
        let (_, _, height, width) = content.size4()?;
        let least = height.min(width);
        let pools = POOLS.into_iter().filter(|pool| least / pool >= 3);
        let edges = pools.map(|pool| Ok((pool, edges(content, pool, &kernel)?)));
        Ok(Self {
            edges: edges.collect::<Result<_>>()?,
            kernel,
        })
    }

    /// The loss of an image of the content's size, float32, 0-dimensional; adds `weight`
    /// times its derivative to `gradient`.
    ///
    /// # Errors
    /// When libtorch fails.
    pub fn compare(&self, image: &Tensor, weight: f64, gradient: &Tensor) -> Result<Tensor> {
        let mut loss = Tensor::f_zeros([0i64; 0], (Kind::Float, image.device()))?;
        for (pool, target) in &self.edges {
            let difference = edges(image, *pool, &self.kernel)?.f_sub(target)?;
            let _ = loss.f_add_(&mean_square(&difference)?)?;
            if weight == 0.0 {
                continue;
            }
            // The transposes of convolution and of pooling, in reverse.
            let scale = weight * 2.0 / difference.numel() as f64 / (pool * pool) as f64;
            let small = difference
                .f_mul_scalar(scale)?
                .f_conv_transpose2d::<Tensor>(
                    &self.kernel,
                    None,
                    [1, 1],
                    [0, 0],
                    [0, 0],
                    1,
                    [1, 1],
                )?;
            let (_, _, height, width) = small.size4()?;
            let size = [height * pool, width * pool];
            let share = small.f_upsample_nearest2d(size, None, None)?;
            let _ = gradient
                .f_narrow(2, 0, size[0])?
                .f_narrow(3, 0, size[1])?
                .f_add_(&share)?;
        }
        Ok(loss)
    }
}
