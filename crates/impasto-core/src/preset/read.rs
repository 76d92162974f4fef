//! Reading a preset: every check is made while the YAML is being read.
//!
//! An error raised while a key or a value is read carries that place in the
//! file; one raised afterwards carries at best the place of the whole mapping.
//! So each value is read by a seed that knows what is allowed there, and each
//! key by one that knows which keys exist and which have been seen.
//!
//! A message may have a second line: the note shown below the excerpt.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Unexpected, Visitor},
};

use super::{
    Preset,
    network::{Layer, Network},
    schema::{
        ContentTerm, Finish, Mask, Optimizer, OptimizerKind, OutputSettings, Scale, Smoothness,
        Statistic, Statistics, StyleScale, StyleTerm,
    },
    value::{
        AVERAGE, DESCRIPTION, DPI, HISTORY, ITERATIONS, MaskPath, NAME, Numbers, QUALITY, RATE,
        SEED, SHARE, SHIFT, SIZE, STYLE_NUMBER, STYLE_SCALE, WEIGHT, find_word, finish_number,
    },
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
        "colour",
        "masks",
        "smoothness",
        "normalize_gradients",
        "average",
        "optimizer",
        "schedule",
        "start",
        "start_noise",
        "seed",
        "finish",
        "output",
    ];

    fn read<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "name" => self.name = map.next_value_seed(NAME)?,
            "description" => self.description = map.next_value_seed(DESCRIPTION)?,
            "network" => self.network = map.next_value()?,
            "pooling" => self.pooling = map.next_value()?,
            "content" => self.content = map.next_value_seed(Over(self.of(&self.content)))?.term,
            "style" => self.style = map.next_value_seed(Over(self.of(&self.style)))?.term,
            "colour" => self.colour = map.next_value()?,
            "masks" => self.masks = map.next_value_seed(Masks)?,
            "normalize_gradients" => self.normalize_gradients = map.next_value_seed(YesOrNo)?,
            "average" => self.average = map.next_value_seed(AVERAGE)?,
            "smoothness" => self.smoothness = map.next_value_seed(Over(self.smoothness.clone()))?,
            "optimizer" => self.optimizer = map.next_value_seed(Over(Draft::default()))?.finish(),
            "schedule" => self.schedule = map.next_value_seed(Schedule)?,
            "start" => self.start = map.next_value()?,
            "start_noise" => self.start_noise = map.next_value_seed(SHARE)?,
            "finish" => self.finish = map.next_value_seed(Over(self.finish))?,
            "output" => self.output = map.next_value_seed(Over(self.output))?,
            "seed" => self.seed = map.next_value_seed(SEED)?,
            _ => unread(key)?,
        }
        Ok(())
    }
}

/// A term of a preset with this network.
struct TermOf<T> {
    network: Network,
    term: T,
}

impl Preset {
    fn of<T: Clone>(&self, term: &T) -> TermOf<T> {
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

impl Mapping for TermOf<ContentTerm> {
    const WHAT: &'static str = "the content term";
    const KEYS: &'static [&'static str] = &["weight", "layers", "laplacian"];

    fn read<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "weight" => self.term.weight = map.next_value_seed(WEIGHT)?,
            "layers" => self.term.layers = map.next_value_seed(Layers(self.network))?,
            "laplacian" => self.term.laplacian = map.next_value_seed(WEIGHT)?,
            _ => unread(key)?,
        }
        Ok(())
    }
}

impl Mapping for TermOf<StyleTerm> {
    const WHAT: &'static str = "the style term";
    const KEYS: &'static [&'static str] = &[
        "weight",
        "layers",
        "statistic",
        "shift",
        "scale",
        "blend",
        "blend_weights",
        "guides",
    ];

    fn read<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        let term = &mut self.term;
        match key {
            "weight" => term.weight = map.next_value_seed(WEIGHT)?,
            "layers" => term.layers = map.next_value_seed(Layers(self.network))?,
            "statistic" => term.statistic = map.next_value_seed(StatisticsOf(self.network))?,
            "shift" => term.shift = map.next_value_seed(SHIFT)?,
            "scale" => {
                term.scale = StyleScale(map.next_value_seed(Numbers {
                    number: STYLE_SCALE,
                    single: true,
                })?);
            }
            "blend" => term.blend = map.next_value()?,
            "blend_weights" => {
                term.blend_weights = map.next_value_seed(Numbers {
                    number: WEIGHT,
                    single: false,
                })?;
            }
            "guides" => term.guides = map.next_value()?,
            _ => unread(key)?,
        }
        Ok(())
    }
}

/// Reads what is compared in the layers: a word for all, or a mapping.
struct StatisticsOf(Network);

impl<'de> DeserializeSeed<'de> for StatisticsOf {
    type Value = Statistics;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Statistics, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StatisticsOf {
    type Value = Statistics;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a statistic such as gram, or a mapping such as {relu1_1: histogram}")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Statistics, E> {
        Ok(Statistics::all(find_word(word)?))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Statistics, A::Error> {
        let mut found = Statistics::all(Statistic::Gram);
        let mut named = false;
        while let Some(layer) = map.next_key_seed(LayerOrDefault(self.0, &found.layers, named))? {
            let statistic = map.next_value()?;
            match layer {
                Some(layer) => drop(found.layers.insert(layer, statistic)),
                None => (found.default, named) = (statistic, true),
            }
        }
        Ok(found)
    }
}

/// Reads a layer that is not among those already there, or `default`, once.
struct LayerOrDefault<'a>(Network, &'a BTreeMap<Layer, Statistic>, bool);

impl<'de> DeserializeSeed<'de> for LayerOrDefault<'_> {
    type Value = Option<Layer>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for LayerOrDefault<'_> {
    type Value = Option<Layer>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a layer such as relu4_1, or default")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        if name == Statistics::DEFAULT {
            return match self.2 {
                true => Err(E::custom("the key `default` is given twice")),
                false => Ok(None),
            };
        }
        let layer = find_layer(self.0, name)?;
        match self.1.contains_key(&layer) {
            true => Err(given_twice(layer)),
            false => Ok(Some(layer)),
        }
    }
}

impl Mapping for Finish {
    const WHAT: &'static str = "the finish";
    const KEYS: &'static [&'static str] = &[
        "denoise",
        "match_colours",
        "brightness",
        "contrast",
        "saturation",
        "sharpen",
        "grain",
    ];

    fn read<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        let bounds = Self::BOUNDS.iter().find(|(known, ..)| *known == key);
        match (bounds, self.get_mut(key)) {
            (Some((_, least, most)), Some(number)) => {
                *number = map.next_value_seed(finish_number(*least, *most))?;
                Ok(())
            }
            _ => unread(key),
        }
    }
}

impl Mapping for OutputSettings {
    const WHAT: &'static str = "the output";
    const KEYS: &'static [&'static str] = &["depth", "quality", "dpi"];

    fn read<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "depth" => self.depth = map.next_value_seed(Depth)?,
            "quality" => self.quality = map.next_value_seed(QUALITY)?,
            "dpi" => self.dpi = map.next_value_seed(DPI)?,
            _ => unread(key)?,
        }
        Ok(())
    }
}

/// Reads the bits of a channel.
struct Depth;

impl<'de> DeserializeSeed<'de> for Depth {
    type Value = u32;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u32, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Depth {
    type Value = u32;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bits of a channel: 8 or 16")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<u32, E> {
        match number {
            8 => Ok(8),
            16 => Ok(16),
            _ => Err(E::invalid_value(Unexpected::Unsigned(number), &self)),
        }
    }
}

/// Reads the list of masks.
struct Masks;

impl<'de> DeserializeSeed<'de> for Masks {
    type Value = Vec<Mask>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Mask>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Masks {
    type Value = Vec<Mask>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("masks: a list such as [{file: sky.png, style: 1}]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Mask>, A::Error> {
        let mut masks = Vec::new();
        while let Some(mask) = seq.next_element_seed(NewMask)? {
            if masks.len() == Mask::MAX {
                return Err(A::Error::custom(format_args!(
                    "there are more than {} masks",
                    Mask::MAX
                )));
            }
            masks.push(mask);
        }
        Ok(masks)
    }
}

/// Reads one mask, which must have a file.
struct NewMask;

impl<'de> DeserializeSeed<'de> for NewMask {
    type Value = Mask;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Mask, D::Error> {
        let draft = Over(MaskDraft::default()).deserialize(deserializer)?;
        let Some(file) = draft.file else {
            return Err(D::Error::custom(
                "a mask needs a file: {file: sky.png, style: 1}",
            ));
        };
        Ok(Mask {
            file,
            style: draft.style.unwrap_or(1),
            region: draft.region,
        })
    }
}

impl<'de> Deserialize<'de> for Mask {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        NewMask.deserialize(deserializer)
    }
}

#[derive(Default)]
struct MaskDraft {
    file: Option<PathBuf>,
    style: Option<usize>,
    region: Option<PathBuf>,
}

impl Mapping for MaskDraft {
    const WHAT: &'static str = "a mask";
    const KEYS: &'static [&'static str] = &["file", "style", "region"];

    fn read<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "file" => self.file = Some(map.next_value_seed(MaskPath)?),
            "style" => self.style = Some(map.next_value_seed(STYLE_NUMBER)?),
            "region" => self.region = Some(map.next_value_seed(MaskPath)?),
            _ => unread(key)?,
        }
        Ok(())
    }
}

/// Reads `true` or `false`.
struct YesOrNo;

impl<'de> DeserializeSeed<'de> for YesOrNo {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for YesOrNo {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true or false")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<bool, E> {
        Ok(value)
    }
}

impl Mapping for Smoothness {
    const WHAT: &'static str = "the smoothness";
    const KEYS: &'static [&'static str] = &["weight", "norm"];

    fn read<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "weight" => self.weight = map.next_value_seed(WEIGHT)?,
            "norm" => self.norm = map.next_value()?,
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
        let layer = find_layer(self.0, name)?;
        match self.1.contains_key(&layer) {
            true => Err(given_twice(layer)),
            false => Ok(layer),
        }
    }
}

/// The layer of that name.
fn find_layer<E: Error>(network: Network, name: &str) -> Result<Layer, E> {
    Layer::of(network, name).map_err(|unknown| {
        let layers: Vec<String> = network.layers().map(|layer| layer.to_string()).collect();
        // The second line becomes a note below the excerpt.
        E::custom(format_args!("{unknown}\nlayers: {}", layers.join(", ")))
    })
}

fn given_twice<E: Error>(layer: Layer) -> E {
    E::custom(format_args!("the layer `{layer}` is given twice"))
}
