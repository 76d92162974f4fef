//! Networks that pass from one painter to the next, in a process that paints many
//! pictures: reading the weights and transforming them takes as long as some iterations.

use std::mem;
use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};

use impasto_core::preset::{Layer, Network, Pooling};
use tch::Device;

use super::Result;
use super::network::Vgg;
use super::precision::Precision;

/// What a network was made for.
#[derive(Clone, Debug, PartialEq)]
struct Key {
    network: Network,
    pooling: Pooling,
    deepest: Option<Layer>,
    device: Device,
    precision: Precision,
}

/// Networks that nobody uses, the one used last at the end.
#[derive(Debug)]
struct Pool {
    most: usize,
    networks: Vec<(Key, Vgg)>,
}

static POOL: Mutex<Pool> = Mutex::new(Pool {
    most: 0,
    networks: Vec::new(),
});

fn pool() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps up to so many networks that nobody uses any more for whoever needs the same one
/// next. By default none is kept.
pub fn keep_networks(most: usize) {
    let mut pool = pool();
    pool.most = most;
    let surplus = pool.networks.len().saturating_sub(most);
    pool.networks.drain(..surplus);
}

/// A network that goes back to the pool when it is dropped.
#[derive(Debug)]
pub struct PooledVgg {
    vgg: Vgg,
    key: Key,
}

impl PooledVgg {
    /// A network as [`Vgg::new`] makes it, or one that was kept.
    ///
    /// # Errors
    /// As [`Vgg::new`].
    pub fn new(
        network: Network,
        pooling: Pooling,
        deepest: Option<Layer>,
        device: Device,
        precision: Precision,
    ) -> Result<Self> {
        let key = Key {
            network,
            pooling,
            deepest,
            device,
            precision,
        };
        let kept = {
            let mut pool = pool();
            let at = pool.networks.iter().position(|(known, _)| *known == key);
            at.map(|at| pool.networks.remove(at).1)
        };
        let vgg = match kept {
            Some(vgg) => vgg,
            None => Vgg::new(network, pooling, deepest, device, precision)?,
        };
        Ok(Self { vgg, key })
    }
}

impl Deref for PooledVgg {
    type Target = Vgg;

    fn deref(&self) -> &Vgg {
        &self.vgg
    }
}

impl Drop for PooledVgg {
    fn drop(&mut self) {
        let mut pool = pool();
        if pool.most == 0 {
            return;
        }
        let nothing = Vgg::without_stages(self.key.pooling);
        let vgg = mem::replace(&mut self.vgg, nothing);
        if pool.networks.len() >= pool.most {
            pool.networks.remove(0);
        }
        pool.networks.push((self.key.clone(), vgg));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_passes_to_the_next_who_needs_the_same() {
        let layer = |name: &str| name.parse::<Layer>().unwrap();
        let get = |pooling, name| {
            let deepest = Some(layer(name));
            let (network, device) = (Network::VGG16, Device::Cpu);
            PooledVgg::new(network, pooling, deepest, device, Precision::Float32).unwrap()
        };
        let waiting = |pooling, name| {
            let deepest = Some(layer(name));
            let fits = |key: &Key| key.pooling == pooling && key.deepest == deepest;
            pool().networks.iter().filter(|(key, _)| fits(key)).count()
        };
        drop(get(Pooling::Average, "relu1_1"));
        assert_eq!(
            waiting(Pooling::Average, "relu1_1"),
            0,
            "by default none is kept"
        );
        // None of other tests' takes their place.
        keep_networks(1000);
        let first = get(Pooling::Average, "relu1_1");
        let second = get(Pooling::Average, "relu1_1");
        drop(first);
        drop(second);
        assert_eq!(waiting(Pooling::Average, "relu1_1"), 2);
        let again = get(Pooling::Average, "relu1_1");
        assert_eq!(again.layers(), [layer("relu1_1")]);
        assert_eq!(waiting(Pooling::Average, "relu1_1"), 1);
        let deeper = get(Pooling::Average, "relu1_2");
        assert_eq!(deeper.layers(), [layer("relu1_1"), layer("relu1_2")]);
        keep_networks(0);
        assert_eq!(waiting(Pooling::Average, "relu1_1"), 0);
    }
}
