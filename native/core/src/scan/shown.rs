//! Names as a person may see them: on one line, and harmless to a terminal.

/// Invalid bytes as `\\xNN`; controls, invisible characters and the backslash escaped; everything else as it is.
pub fn shown(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\'' | '"' => text.push(character),
                other => text.extend(other.escape_debug()),
            }
        }
        text.push_str(&chunk.invalid().escape_ascii().to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn keeps_what_is_readable_and_escapes_the_rest() {
        assert_eq!(shown("somebody's \"work\", grün".as_bytes()), "somebody's \"work\", grün");
        assert_eq!(shown(b"a\nb\x1b[2J\\"), "a\\nb\\u{1b}[2J\\\\");
        assert_eq!(shown("\u{202e}fdp".as_bytes()), "\\u{202e}fdp");
        assert_eq!(shown(b"\xff\xfea"), "\\xff\\xfea");
    }
}
