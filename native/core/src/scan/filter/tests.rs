//! What the rules say, with git as the judge.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;

const CASES: usize = 200;

fn compile(rules: &[&str]) -> Result<Option<Arc<Filter>>, BadRule> {
    let rules: Vec<String> = rules.iter().map(|rule| (*rule).to_owned()).collect();
    Filter::compile(&rules)
}

/// A tree: paths, and whether each is a directory. Every parent is there.
type Tree = BTreeSet<(Vec<u8>, bool)>;

/// What a walk over the tree leaves out.
fn excluded(filter: &Filter, tree: &Tree) -> BTreeSet<Vec<u8>> {
    let mut out: BTreeSet<Vec<u8>> = BTreeSet::new();
    for (path, is_directory) in tree {
        let cut = path.iter().rposition(|byte| *byte == b'/');
        let (above, name) = cut.map_or((&b""[..], &path[..]), |cut| (&path[..cut], &path[cut + 1..]));
        let mut node = DirectoryNode::root();
        for name in above.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            node = DirectoryNode::child(&node, name);
        }
        let kind = if *is_directory { Kind::Directory } else { Kind::File };
        if out.contains(above) || filter.within(&node).excludes(name, Some(kind)) {
            out.insert(path.clone());
        }
    }
    out
}

fn git(root: &Path, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("git")
        .args(arguments)
        .current_dir(root)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", root)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    // 1: nothing is ignored.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{arguments:?}: {}", output.status);
    output.stdout
}

/// What git would ignore of each tree. They are made for it, in folders of one repository.
fn ignored_by_git(cases: &[(Vec<String>, Tree)]) -> Vec<BTreeSet<Vec<u8>>> {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    git(root, &["init", "--quiet", "--template="], b"");
    let mut asked = Vec::new();
    for (number, (rules, tree)) in cases.iter().enumerate() {
        let base = root.join(number.to_string());
        fs::create_dir(&base).unwrap();
        fs::write(base.join(".gitignore"), rules.join("\n") + "\n").unwrap();
        for (path, is_directory) in tree {
            let full = base.join(OsStr::from_bytes(path));
            if *is_directory { fs::create_dir(full) } else { fs::write(full, "") }.unwrap();
            asked.extend_from_slice(format!("{number}/").as_bytes());
            asked.extend_from_slice(path);
            asked.push(0);
        }
    }
    let mut ignored = vec![BTreeSet::new(); cases.len()];
    let out = git(root, &["check-ignore", "--no-index", "-z", "--stdin"], &asked);
    for path in out.split(|byte| *byte == 0).filter(|path| !path.is_empty()) {
        let cut = path.iter().position(|byte| *byte == b'/').unwrap();
        let number: usize = std::str::from_utf8(&path[..cut]).unwrap().parse().unwrap();
        ignored[number].insert(path[cut + 1..].to_vec());
    }
    ignored
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let letters: Vec<&[u8]> = vec![b"a", b"a", b"a", b"b", b"b", b".", b"-", b"]", b"[", b"{", b",", b"}", b" ", b"\n"];
    let odd: Vec<&[u8]> = vec![b"*", b"?", b"!", b"#", b"\\", "é".as_bytes(), b"\xff", b"7"];
    let common = vec(select(letters.clone()), 1..3);
    let any = vec(select([letters, odd].concat()), 1..4);
    prop_oneof![3 => common, 1 => any]
        .prop_map(|letters| letters.concat())
        .prop_filter("a name", |name| name != b"." && name != b"..")
}

fn tree() -> impl Strategy<Value = Tree> {
    let path = (vec(name(), 1..4), any::<bool>());
    vec(path, 1..24).prop_map(|paths| {
        let mut tree = Tree::new();
        for (names, is_directory) in paths {
            for end in 1..=names.len() {
                let path = names[..end].join(&b'/');
                let (other, is_directory) = (end == names.len() && !is_directory, end < names.len() || is_directory);
                if tree.contains(&(path.clone(), other)) {
                    break;
                }
                tree.insert((path, is_directory));
            }
        }
        tree
    })
}

fn rule() -> impl Strategy<Value = String> {
    let plain = vec(select(vec!["a", "b", "aa", "ab", ".", "-", "é", "7", "]", ",", "{", "}", "{a,b}", " "]), 1..3);
    let wild = vec(
        select(vec![
            "*",
            "?",
            "**",
            "***",
            "a",
            "b",
            ".",
            "[ab]",
            "[!a]",
            "[^b.]",
            "[]a]",
            "[a-]",
            "[a-c]",
            "[[:digit:]]",
            "[[:alpha:]-]",
            "[!-b]",
            "[é]",
            "\\*",
            "\\?",
            "\\[",
            "\\ ",
            "\\\\",
            "\\#",
            "\\a",
        ]),
        1..4,
    );
    let part = prop_oneof![2 => plain.prop_map(|parts| parts.concat()), 2 => wild.prop_map(|parts| parts.concat()),
        1 => Just("**".to_owned()), 1 => Just("*".to_owned())];
    let ends = (select(vec!["", "", "", "!"]), select(vec!["", "", "/"]), select(vec!["", "", "/", " "]));
    (ends, vec(part, 1..4)).prop_map(|((not, anchor, end), parts)| format!("{not}{anchor}{}{end}", parts.join("/")))
}

#[test]
#[expect(clippy::print_stderr, reason = "says what would enable it")]
fn the_rules_say_what_git_says() {
    if Command::new("git").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "git is missing");
        return eprintln!("left out: git is missing (apt-get install git)");
    }
    let mut runner = TestRunner::default();
    let strategy = (vec(rule(), 1..5), tree());
    let mut cases = Vec::new();
    let mut filters = Vec::new();
    while cases.len() < CASES {
        let (rules, tree) = strategy.new_tree(&mut runner).unwrap().current();
        // What git takes for a pattern that matches nothing is refused here.
        let Ok(filter) = Filter::compile(&rules) else { continue };
        filters.push(filter.unwrap());
        cases.push((rules, tree));
    }
    let mut telling = 0;
    for ((filter, (rules, tree)), theirs) in filters.iter().zip(&cases).zip(ignored_by_git(&cases)) {
        let ours = excluded(filter, tree);
        let differing: Vec<_> =
            ours.symmetric_difference(&theirs).map(|path| path.escape_ascii().to_string()).collect();
        assert!(differing.is_empty(), "rules {rules:?}: {differing:?}, of which git ignores {theirs:?}");
        telling += usize::from(!ours.is_empty() && ours.len() < tree.len());
    }
    // Rules that match all or nothing would prove little.
    assert!(telling > CASES / 8, "only {telling}");
}

#[test]
fn what_is_refused_says_why() {
    for (rule, why) in [
        ("", "names nothing"),
        ("   ", "names nothing"),
        ("# comment", "names nothing"),
        ("!", "names nothing"),
        ("!/", "names nothing"),
        ("/", "names nothing"),
        ("a\nb", "line break"),
        ("[ab", "has a [ without its ]"),
        ("[]", "has a [ without its ]"),
        ("[!]", "has a [ without its ]"),
        ("[a\\]b]", "backslash within [...]"),
        ("[a-c-e]", "a - behind a range"),
        ("[[:digit:]-z]", "a - behind a range"),
        ("[a-[:digit:]]", "the end of a range"),
        ("[[:nonsense:]]", "[: in it"),
        ("[[:digit]", "[: in it"),
        ("[z-a]", "cannot be understood: invalid range"),
        ("a\\", "cannot be understood: dangling"),
    ] {
        let refusal = compile(&["fine", rule]).unwrap_err();
        assert_eq!(refusal.rule, 1, "{rule}");
        assert!(refusal.why.contains(why), "{rule}: {}", refusal.why);
    }
    assert!(compile(&[]).unwrap().is_none());
}

#[test]
fn of_an_unknown_kind_more_is_excluded() {
    let filter = compile(&["folder/"]).unwrap().unwrap();
    let mut rules = filter.within(&DirectoryNode::root());
    let said = [Some(Kind::Directory), Some(Kind::File), Some(Kind::Symlink), None]
        .map(|kind| rules.excludes(b"folder", kind));
    assert_eq!(said, [true, false, false, true]);
}

/// What a peer may send at most is compiled in a moment, and matched in time that grows with the name alone.
#[test]
fn a_thousand_rules_cost_a_moment() {
    for rule in [|n: usize| format!("*{n}*a*b*c*d*e*f*g*h*[ab]?{n}"), |n| format!("/**/{n}/**/[!x]*{n}*/**/?{n}*")] {
        let rules: Vec<String> = (0..1_000).map(rule).collect();
        let begun = Instant::now();
        let filter = Filter::compile(&rules).unwrap().unwrap();
        let mut within = filter.within(&DirectoryNode::root());
        for name in [[b'a'; 255], [b'0'; 255], [0xff; 255]] {
            assert!(!within.excludes(&name, Some(Kind::File)));
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    }
}
