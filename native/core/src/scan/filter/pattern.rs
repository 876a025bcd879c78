//! Patterns that git and the crate `ignore` read alike.
//!
//! | pattern | git | `ignore` 0.4 | here |
//! |---|---|---|---|
//! | `{`, `}` outside of brackets | themselves | alternatives | escaped |
//! | more than two `*` in a row | as two | two, and others | two |
//! | a backslash in brackets | escapes | is itself | refused |
//! | a `-` behind a range or a class in brackets, not last | itself | extends the range | refused |
//! | `[:name:]` of an unknown name | matches nothing | other characters | refused |
//! | no pattern: empty, a comment, `!`, `/` | skipped | skipped | refused: a caller has skipped them |

const CLASSES: [&str; 12] =
    ["alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "xdigit"];

/// The same rule in other words, or why it is refused: completes "the pattern ...".
pub(super) fn plain(line: &str) -> Result<String, &'static str> {
    if line.contains(['\n', '\0']) {
        return Err("has a line break or a NUL in it, which no rule may");
    }
    if names_nothing(line) {
        return Err("names nothing");
    }
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(letter) = rest.chars().next() {
        let (taken, after) = match letter {
            '\\' => rest.split_at(1 + rest[1..].chars().next().map_or(0, char::len_utf8)),
            '[' => rest.split_at(brackets(rest)?),
            '*' => rest.split_at(rest.len() - rest.trim_start_matches('*').len()),
            _ => rest.split_at(letter.len_utf8()),
        };
        match letter {
            '{' | '}' => plain.extend(['\\', letter]),
            '*' => plain.push_str(&taken[..taken.len().min(2)]),
            _ => plain.push_str(taken),
        }
        rest = after;
    }
    Ok(plain)
}

fn names_nothing(line: &str) -> bool {
    let pattern = line.strip_prefix('!').unwrap_or(line);
    line.starts_with('#') || matches!(pattern.trim_end_matches(' '), "" | "/")
}

/// What the last thing in brackets was.
#[derive(PartialEq)]
enum Last {
    Nothing,
    Letter,
    /// A letter with a `-` behind it.
    Open,
    /// A range or a named class: neither can begin a range.
    Closed,
}

/// Length of a bracket expression, which `text` begins with.
fn brackets(text: &str) -> Result<usize, &'static str> {
    let inner = text[1..].strip_prefix(['!', '^']).unwrap_or(&text[1..]);
    let mut last = Last::Nothing;
    let mut at = text.len() - inner.len();
    while let Some(letter) = text[at..].chars().next() {
        let rest = &text[at + letter.len_utf8()..];
        at += letter.len_utf8();
        last = match letter {
            ']' if last != Last::Nothing => return Ok(at),
            '\\' => return Err("has a backslash within [...]: write ] first and - last there instead"),
            '-' if last == Last::Letter => Last::Open,
            '-' if last == Last::Closed && !rest.starts_with(']') => {
                return Err("has a - behind a range or class within [...]: write it last there");
            }
            '[' if rest.starts_with(':') => {
                if last == Last::Open {
                    return Err("has a class as the end of a range within [...]");
                }
                at += class(rest)?;
                Last::Closed
            }
            _ if last == Last::Open => Last::Closed,
            _ => Last::Letter,
        };
    }
    Err("has a [ without its ]: write \\[ for the character itself")
}

/// Length of what follows the `[` of `[:name:]`.
fn class(rest: &str) -> Result<usize, &'static str> {
    let known = CLASSES.iter().find(|name| rest[1..].strip_prefix(**name).is_some_and(|end| end.starts_with(":]")));
    known.map(|name| name.len() + 3).ok_or("has [: in it without one of the classes' names, such as [[:digit:]]")
}
