//! Which terminals place pictures by the placeholder characters of kitty's protocol.

/// kitty draws pictures at placeholder characters since this version.
const PLACEHOLDERS_SINCE: (u32, u32) = (0, 28);

/// Whether a terminal that calls itself so knows kitty's placeholders.
pub(super) fn has_placeholders(name: &str) -> bool {
    if let Some(version) = name.strip_prefix("kitty(") {
        let mut parts = version
            .split(|one: char| !one.is_ascii_digit())
            .map_while(|part| part.parse::<u32>().ok());
        let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        return version >= PLACEHOLDERS_SINCE;
    }
    name.starts_with("ghostty")
}
