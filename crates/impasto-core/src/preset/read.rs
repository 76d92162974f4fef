//! Reading a preset: every check is made while the YAML is being read.
//!
//! An error raised while a key or a value is read carries that place in the
//! file; one raised afterwards carries at best the place of the whole mapping.
//! So each value is read by a seed that knows what is allowed there, and each
//! key by one that knows which keys exist and which have been seen.
//!
//! A message may have a second line: the note shown below the excerpt.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Unexpected, Visitor},
};

use super::{
    Preset,
    network::{Layer, Network},
    schema::{Optimizer, OptimizerKind, Scale, Smoothness, Term},
    value::{DESCRIPTION, HISTORY, ITERATIONS, NAME, RATE, SEED, SIZE, WEIGHT, find_word},
    words::{did_you_mean, nearest, quoted},
};

/// A mapping with a fixed set of keys, all optional.
trait Mapping: Sized {
    /// What it is, in a message: "a preset".
    const WHAT: &'static str;
    const KEYS: &'static [&'static str];

    /// Reads the value of `key`, one of [`KEYS`](Self::KEYS), over what is there.
    fn read<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error>;

    /// Reads a single word in place of the mapping, where that has a meaning.
    fn read_word<E: Error>(self, word: &str) -> Result<Self, E> {
        Err(E::invalid_type(Unexpected::Str(word), &Over(self)))
    }
}

/// Reads a mapping over a value that holds the defaults.
struct Over<T>(T);

impl<'de, T: Mapping> DeserializeSeed<'de> for Over<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Mapping> Visitor<'de> for Over<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (a mapping of {})", T::WHAT, T::KEYS.join(", "))
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<T, E> {
        self.0.read_word(word)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<T, A::Error> {
        let mut seen = Vec::new();
        while let Some(key) = map.next_key_seed(Key {
            what: T::WHAT,
            known: T::KEYS,
            seen: &seen,
        })? {
            seen.push(key);
            self.0.read(key, &mut map)?;
        }
        Ok(self.0)
    }
}

/// Reads a key of a mapping: known, and not seen before.
struct Key<'a> {
    what: &'static str,
    known: &'static [&'static str],
    seen: &'a [&'static str],
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = &'static str;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<&'static str, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = &'static str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<&'static str, E> {
        let Some(known) = self.known.iter().find(|known| **known == key) else {
            let near = nearest(key, self.known.iter().copied());
            return Err(E::custom(format_args!(
                "unknown key {} in {}{}\nkeys: {}",
                quoted(key),
                self.what,
                did_you_mean(near),
                self.known.join(", "),
            )));
        };
        if self.seen.contains(known) {
            return Err(E::custom(format_args!("the key `{known}` is given twice")));
        }
        Ok(known)
    }
}

/// A key in [`Mapping::KEYS`] that `read` does not know: a slip in this file,
/// which the test of all keys would show.
fn unread<E: Error>(key: &str) -> Result<(), E> {
    Err(E::custom(format_args!("the key `{key}` cannot be read")))
}

impl<'de> Deserialize<'de> for Preset {
    /// Every key left out takes its default; a name left out stays empty. The
    /// network has to come before the layers, as it does when it is written.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(Network::VGG16, deserializer)
    }
}

impl Mapping for Preset {
    const WHAT: &'static str = "a preset";
    const KEYS: &'static [&'static str] = &[
        "name",
        "description",
        "network",
        "pooling",
        "content",
        "style",
        "smoothness",
        "optimizer",
        "schedule",
        "start",
        "seed",
    ];

    fn read<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "name" => self.name = map.next_value_seed(NAME)?,
            "description" => self.description = map.next_value_seed(DESCRIPTION)?,
            "network" => self.network = map.next_value()?,
            "pooling" => self.pooling = map.next_value()?,
            "content" => self.content = map.next_value_seed(Over(self.term(&self.content)))?.term,
            "style" => self.style = map.next_value_seed(Over(self.term(&self.style)))?.term,
            "smoothness" => self.smoothness = map.next_value_seed(Over(self.smoothness.clone()))?,
            "optimizer" => self.optimizer = map.next_value_seed(Over(Draft::default()))?.finish(),
            "schedule" => self.schedule = map.next_value_seed(Schedule)?,
            "start" => self.start = map.next_value()?,
            "seed" => self.seed = map.next_value_seed(SEED)?,
            _ => unread(key)?,
        }
        Ok(())
    }
}

/// A term of a preset with this network.
struct TermOf {
    network: Network,
    term: Term,
}

impl Preset {
    fn term(&self, term: &Term) -> TermOf {
        TermOf {
            network: self.network,
            term: term.clone(),
        }
    }

    /// Reads a preset whose network is known to be `network` already, wherever
    /// in the mapping that stands: which layers there are depends on it.
    pub(super) fn read<'de, D: Deserializer<'de>>(
        network: Network,
        deserializer: D,
    ) -> Result<Self, D::Error> {
        Over(Preset {
            name: String::new(),
            network,
            ..Preset::default()
        })
        .deserialize(deserializer)
    }
}

impl Mapping for TermOf {
    const WHAT: &'static str = "a loss term";
    const KEYS: &'static [&'static str] = &["weight", "layers"];

    fn read<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "weight" => self.term.weight = map.next_value_seed(WEIGHT)?,
            "layers" => self.term.layers = map.next_value_seed(Layers(self.network))?,
            _ => unread(key)?,
        }
        Ok(())
    }
}

impl Mapping for Smoothness {
    const WHAT: &'static str = "the smoothness";
    const KEYS: &'static [&'static str] = &["weight"];

    fn read<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "weight" => self.weight = map.next_value_seed(WEIGHT)?,
            _ => unread(key)?,
        }
        Ok(())
    }
}

/// An optimiser whose rate is still open, because its default waits for the kind.
#[derive(Default)]
struct Draft {
    kind: Option<OptimizerKind>,
    rate: Option<f64>,
    history: Option<usize>,
}

impl Draft {
    fn finish(self) -> Optimizer {
        let default = Preset::default().optimizer;
        let kind = self.kind.unwrap_or(default.kind);
        Optimizer {
            kind,
            rate: self.rate.unwrap_or(kind.default_rate()),
            history: self.history.unwrap_or(default.history),
        }
    }
}

impl Mapping for Draft {
    const WHAT: &'static str = "an optimizer";
    const KEYS: &'static [&'static str] = &["kind", "rate", "history"];

    fn read<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "kind" => self.kind = Some(map.next_value()?),
            "rate" => self.rate = Some(map.next_value_seed(RATE)?),
            "history" => self.history = Some(map.next_value_seed(HISTORY)?),
            _ => unread(key)?,
        }
        Ok(())
    }

    fn read_word<E: Error>(self, word: &str) -> Result<Self, E> {
        Ok(Self {
            kind: Some(find_word(word)?),
            ..self
        })
    }
}

impl Mapping for Scale {
    const WHAT: &'static str = "a scale";
    const KEYS: &'static [&'static str] = &["size", "iterations"];

    fn read<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "size" => self.size = map.next_value_seed(SIZE)?,
            "iterations" => self.iterations = map.next_value_seed(ITERATIONS)?,
            _ => unread(key)?,
        }
        Ok(())
    }
}

/// Reads the list of scales: at least one.
struct Schedule;

impl<'de> DeserializeSeed<'de> for Schedule {
    type Value = Vec<Scale>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Scale>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Schedule {
    type Value = Vec<Scale>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a schedule: a list such as [{size: 512, iterations: 200}]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Scale>, A::Error> {
        let mut scales = Vec::new();
        while let Some(scale) = seq.next_element_seed(Over(Scale::default()))? {
            if scales.len() == Scale::MAX {
                return Err(A::Error::custom(format_args!(
                    "the schedule has more than {} scales",
                    Scale::MAX
                )));
            }
            scales.push(scale);
        }
        if scales.is_empty() {
            return Err(A::Error::custom(
                "the schedule is empty; it needs at least one scale, such as {size: 512, iterations: 200}",
            ));
        }
        Ok(scales)
    }
}

/// Reads the layers of a term: a mapping to weights, or a list with weight 1 each.
struct Layers(Network);

impl<'de> DeserializeSeed<'de> for Layers {
    type Value = BTreeMap<Layer, f64>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Layers {
    type Value = BTreeMap<Layer, f64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("layers: {relu4_2: 1.0} with weights, [relu4_2] without, {} for none")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut layers = BTreeMap::new();
        while let Some(layer) = map.next_key_seed(NewLayer(self.0, &layers))? {
            layers.insert(layer, map.next_value_seed(WEIGHT)?);
        }
        Ok(layers)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut layers = BTreeMap::new();
        while let Some(layer) = seq.next_element_seed(NewLayer(self.0, &layers))? {
            layers.insert(layer, 1.0);
        }
        Ok(layers)
    }
}

/// Reads a layer that is not among those already there.
struct NewLayer<'a>(Network, &'a BTreeMap<Layer, f64>);

impl<'de> DeserializeSeed<'de> for NewLayer<'_> {
    type Value = Layer;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Layer, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NewLayer<'_> {
    type Value = Layer;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a layer such as relu4_2")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Layer, E> {
        let layer = Layer::of(self.0, name).map_err(|unknown| {
            let layers: Vec<String> = self.0.layers().map(|layer| layer.to_string()).collect();
            // The second line becomes a note below the excerpt.
            E::custom(format_args!("{unknown}\nlayers: {}", layers.join(", ")))
        })?;
        if self.1.contains_key(&layer) {
            return Err(E::custom(format_args!(
                "the layer `{layer}` is given twice"
            )));
        }
        Ok(layer)
    }
}
