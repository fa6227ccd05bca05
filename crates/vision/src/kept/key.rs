//! [`KeptKey`]: everything that an entry depends on.

/// Everything that an entry depends on. Its precision is that of the form, half a float for a logit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeptKey {
    /// Hash of the image's pixels: [`crate::source::ImageSource::pixel_hash`].
    pub pixels: String,
    /// What was done to them: [`crate::corruption::Corruption::key`].
    pub corruption: String,
    /// [`crate::edge::EdgeNetwork::fingerprint`].
    pub network: String,
    /// Version of everything that is kept but the network: [`crate::pipeline::preprocessing`].
    pub preprocessing: String,
    /// What computed it, type of processor included: another one rounds otherwise.
    pub device: String,
}

impl KeptKey {
    /// 32 bytes that stand for the key: name of the file and part of its content.
    pub(super) fn digest(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        for part in [
            &self.pixels,
            &self.corruption,
            &self.network,
            &self.preprocessing,
            &self.device,
        ] {
            hasher
                .update(&(part.len() as u64).to_le_bytes())
                .update(part.as_bytes());
        }
        hasher.finalize()
    }
}
