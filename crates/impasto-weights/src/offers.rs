//! Networks that can be obtained from the Internet: which, where, and how to know
//! that it is them.
//!
//! Each offer has two places. The *official file* is the one that torchvision
//! itself loads: PyTorch's older format, mostly a classifier that painting does
//! not need. Its name carries the first eight digits of its SHA-256, against
//! which the whole file is checked before any of it is read. Eight digits find
//! every accident; they were never meant to stand against an attacker who has
//! the means to make another file to fit. That is for HTTPS to prevent.
//!
//! The *mirror* holds the same numbers as safetensors, whose header says where
//! the convolutions lie, so that only these are asked for: a seventh of the
//! bytes. It is tried first. There is no digest of parts of a file, so what
//! guards a mirror is weaker: HTTPS says that the bytes are the host's; every
//! request after the first asks for the same version of the file; the
//! convolutions must all be there with their shapes and finite values; and
//! conv1_1 must have the values that the published network is known by (see
//! [`convention`](super::convention)). Whoever may write to the mirror could
//! alter a deeper layer unnoticed, and the picture would be painted otherwise;
//! a file runs nothing, so that is the worst of it. When anything about the
//! mirror is odd, the official file is fetched instead.

use super::{Architecture, Convention};

/// A network that can be fetched by its name.
#[derive(Debug)]
pub struct Offer {
    /// What to ask for.
    pub name: &'static str,
    /// What it is, for people.
    pub what: &'static str,
    pub architecture: Architecture,
    pub convention: Convention,
    /// The official file.
    pub url: &'static str,
    /// How the official file's SHA-256 begins, in lower case.
    pub sha256: &'static str,
    /// How large the official file is, about.
    pub bytes: u64,
    /// A safetensors file with the same numbers.
    pub mirror: Option<&'static str>,
    pub licence: &'static str,
}

/// Every network that can be fetched by its name.
pub static OFFERS: [Offer; 2] = [
    Offer {
        name: "vgg19",
        what: "torchvision's VGG-19",
        architecture: Architecture::Vgg19,
        convention: Convention::RgbImageNet,
        url: "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
        sha256: "dcbb9e9d",
        bytes: 574_700_000,
        mirror: Some("https://huggingface.co/timm/vgg19.tv_in1k/resolve/main/model.safetensors"),
        licence: "BSD-3-Clause",
    },
    Offer {
        name: "vgg16-torchvision",
        what: "torchvision's VGG-16",
        architecture: Architecture::Vgg16,
        convention: Convention::RgbImageNet,
        url: "https://download.pytorch.org/models/vgg16-397923af.pth",
        sha256: "397923af",
        bytes: 553_400_000,
        mirror: Some("https://huggingface.co/timm/vgg16.tv_in1k/resolve/main/model.safetensors"),
        licence: "BSD-3-Clause",
    },
];

impl Offer {
    /// The offer of that name.
    pub fn find(name: &str) -> Option<&'static Self> {
        OFFERS.iter().find(|offer| offer.name == name)
    }

    /// How large the network is once it is installed, about.
    pub fn installed_bytes(&self) -> u64 {
        match self.architecture {
            Architecture::Vgg16 => 58_900_000,
            Architecture::Vgg19 => 80_100_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::check_name;

    #[test]
    fn offers_are_consistent() {
        for offer in &OFFERS {
            check_name(offer.name).unwrap();
            assert!(offer.url.ends_with(&format!("-{}.pth", offer.sha256)));
            for url in [Some(offer.url), offer.mirror].into_iter().flatten() {
                assert!(url.starts_with("https://"), "{url}");
            }
            assert_eq!(Offer::find(offer.name).unwrap().url, offer.url);
        }
        assert!(Offer::find("vgg16").is_none());
    }
}
