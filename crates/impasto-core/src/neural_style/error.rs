//! Why a command line cannot be imported.

use crate::preset::{StyleTerm, UnknownLayer, did_you_mean, quoted};

/// Why a command line cannot be imported. The text is safe to print.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// There is neither a program nor a flag.
    #[error(
        "expected a command line such as `python neural_style.py -style_weight 500`, found nothing"
    )]
    Empty,

    /// The text is longer than any command line.
    #[error(
        "too long for a command line, which may have {} KiB at most",
        super::MAX_BYTES / 1024
    )]
    TooLong,

    /// A quote is open at the end, or the last character is a backslash.
    #[error(
        "the command line ends inside a quotation or after a backslash; check its quotes, or put \
         it behind `--` without quotes around it"
    )]
    Quotes,

    /// A word where a flag should be.
    #[error(
        "expected a flag of neural-style, such as -style_weight, found {}; a value with spaces \
         needs quotes",
        quoted(word)
    )]
    Word {
        /// The word.
        word: String,
    },

    /// A flag that neither program has.
    #[error(
        "neural-style has no flag {}{}",
        quoted(flag),
        did_you_mean(near.as_deref())
    )]
    UnknownFlag {
        /// The flag as it is written.
        flag: String,
        /// The one that it comes nearest to.
        near: Option<String>,
    },

    /// A flag at the end, or before another one.
    #[error("`-{flag}` needs a value")]
    NoValue {
        /// The flag.
        flag: &'static str,
    },

    /// A value that the flag or impasto cannot take.
    #[error(
        "`-{flag}`: expected {expected}, found {}{}",
        quoted(value),
        of_variable(value)
    )]
    Value {
        /// The flag.
        flag: &'static str,
        /// Its value.
        value: String,
        /// What it can be.
        expected: String,
    },

    /// The layer is none of the network's.
    #[error("`-{flag}`: {layer}")]
    Layer {
        /// The flag.
        flag: &'static str,
        /// The layer.
        layer: UnknownLayer,
    },

    /// The layer is the output of a pooling.
    #[error(
        "`-{flag}`: {} is a pooling, and impasto compares features after a rectifier; take one \
         such as relu4_2",
        quoted(layer)
    )]
    Pooling {
        /// The flag.
        flag: &'static str,
        /// The layer.
        layer: String,
    },

    /// The network cannot be told from its file's name.
    #[error(
        "`-model_file`: cannot tell from {} whether the network is VGG-16 or VGG-19, the ones \
         that impasto knows; leave the flag out for VGG-19",
        quoted(file)
    )]
    Network {
        /// The file.
        file: String,
    },

    /// There are more styles than a run can have.
    #[error("{count} styles; impasto blends {} at most", StyleTerm::MAX_STYLES)]
    Styles {
        /// How many there are.
        count: usize,
    },

    /// Each style needs a weight.
    #[error(
        "`-style_blend_weights` and `-style_image` have {weights} and {styles} entries; each \
         picture needs one weight"
    )]
    Blend {
        /// How many weights there are.
        weights: usize,
        /// How many styles there are.
        styles: usize,
    },

    /// The settings are outside what a preset can hold.
    #[error("{message}")]
    Preset {
        /// What is wrong.
        message: String,
    },
}

/// What to do about a shell's variable, which nobody has replaced.
fn of_variable(value: &str) -> &'static str {
    match value.contains('$') {
        true => "; write the value in place of the variable",
        false => "",
    }
}
