//! What an interpreter runs, by its arguments and working directory.
//!
//! A file is its path; a module `-m NAME`; a text `-c TEXT`, without secrets and cut to a length
//! that can be read. Nothing is looked up: the arguments are what the process showed.

mod interpreter;
mod languages;
mod options;
mod title;

pub use interpreter::is_interpreter;
#[cfg(test)]
pub(super) use languages::LANGUAGES;

use interpreter::language_of;
use languages::{LOADER, Language, MULTICALL};
use options::{Found, found_in};

use super::{program, redact::redact_argv};
use crate::model::RawIdentity;

/// Longest text of a program that is part of a name.
const LONGEST_TEXT: usize = 160;

/// `busybox` runs a shell, a loader runs `python3`; nothing goes deeper.
const DEEPEST: u8 = 2;

/// What the interpreter runs, or `None` if the program is none or runs nothing that has a name.
pub(super) fn script_of(raw: &RawIdentity) -> Option<String> {
    let exe = raw.exe.as_deref()?;
    let language = language_of(exe)?;
    // Whoever keeps whole command lines wants them on the process, not in names.
    let words = redact_argv(raw.interpreter_argv.as_deref()?);
    let start = Start {
        exe,
        directory: raw.interpreter_directory.as_deref(),
    };
    start.script(language, &words, DEEPEST)
}

/// The file that an interpreter runs, by the path that it was given, or `None` if it runs none that has
/// a path.
pub fn script_file_of(exe: &str, words: &[String], directory: Option<&str>) -> Option<String> {
    let start = Start { exe, directory };
    let path = start.path(language_of(exe)?, words, DEEPEST)?;
    let is_file = path.starts_with('/')
        && !path.starts_with("/dev/fd/")
        && !path.starts_with("/proc/self/fd/");
    is_file.then_some(path)
}

/// Where an interpreter was started.
struct Start<'a> {
    exe: &'a str,
    directory: Option<&'a str>,
}

impl Start<'_> {
    fn script(&self, language: &'static Language, words: &[String], depth: u8) -> Option<String> {
        if language.names == MULTICALL.names {
            return self.applet(words, depth);
        }
        if let Some(title) = title::script_in(words) {
            return Some(title);
        }
        let (name, arguments) = words.split_first()?;
        let script = match found_in(language, arguments)? {
            Found::File(at) if language.names == LOADER.names => {
                return self.loaded(&arguments[at..], depth);
            }
            Found::File(at) => self.file(&arguments[at])?,
            Found::FileIn(path) => self.file(path)?,
            Found::Module(module) => {
                let option = language.module.first()?;
                format!("{option} {}{}", shortened(module), self.environment(name))
            }
            Found::Text(text) => {
                let text = shortened(&text.split_whitespace().collect::<Vec<_>>().join(" "));
                match language.text.first() {
                    Some(option) => format!("{option} {text}{}", self.environment(name)),
                    None => text,
                }
            }
            Found::Class(class) => format!("{class}{}", base_of(arguments)),
            Found::Name(name) => shortened(name),
            Found::Input => "-".to_owned(),
        };
        (!script.is_empty()).then_some(script)
    }

    /// The path of what is run, unfolded.
    fn path(&self, language: &'static Language, words: &[String], depth: u8) -> Option<String> {
        let called = |word: &str| word.rsplit('/').next().unwrap_or(word).to_owned();
        if language.names == MULTICALL.names {
            let own = called(words.first()?);
            let is_own = MULTICALL.names.iter().any(|name| own.starts_with(name));
            let words = if is_own { &words[1..] } else { words };
            let applet = called(words.first()?);
            let language = language_of(applet.trim_start_matches('-'))?;
            return self.path(language, words, depth.checked_sub(1)?);
        }
        let (_, arguments) = words.split_first()?;
        let given = match found_in(language, arguments)? {
            Found::File(at) if language.names == LOADER.names => {
                let words = &arguments[at..];
                let name = resolved(words.first()?, self.directory);
                return match language_of(&name) {
                    Some(language) => self.path(language, words, depth.checked_sub(1)?),
                    None => Some(name),
                };
            }
            Found::File(at) => arguments[at].as_str(),
            Found::FileIn(path) => path,
            _ => return None,
        };
        (!given.is_empty() && !given.contains("://")).then(|| resolved(given, self.directory))
    }

    /// The path of a script from the root, folded like that of a program.
    fn file(&self, path: &str) -> Option<String> {
        if path.is_empty() {
            return None;
        }
        if path.contains("://") {
            return Some(shortened(path.split(['?', '#']).next().unwrap_or(path)));
        }
        let path = resolved(path, self.directory);
        // A shell's `<(…)`: the number says nothing, and what is behind it is gone.
        if path.starts_with("/dev/fd/") || path.starts_with("/proc/self/fd/") {
            return Some("-".to_owned());
        }
        Some(program::folded(&path))
    }

    /// The applet, and what it runs if it is a shell.
    fn applet(&self, words: &[String], depth: u8) -> Option<String> {
        let called = |word: &str| word.rsplit('/').next().unwrap_or(word).to_owned();
        let own = called(words.first()?);
        let own = own.trim_start_matches('-');
        let words = if MULTICALL.names.iter().any(|name| own.starts_with(name)) {
            &words[1..]
        } else {
            words
        };
        let name = called(words.first()?);
        let name = shortened(name.trim_start_matches('-'));
        self.with_what_it_runs(name, words, depth)
    }

    /// The program that a loader runs, and what that runs if it is an interpreter.
    fn loaded(&self, words: &[String], depth: u8) -> Option<String> {
        let name = self.file(words.first()?)?;
        self.with_what_it_runs(name, words, depth)
    }

    fn with_what_it_runs(&self, name: String, words: &[String], depth: u8) -> Option<String> {
        if name.is_empty() {
            return None;
        }
        let inner = depth
            .checked_sub(1)
            .zip(language_of(&name))
            .and_then(|(depth, language)| self.script(language, words, depth));
        Some(match inner {
            Some(inner) => format!("{name} {inner}"),
            None => name,
        })
    }

    /// The virtual environment that a module is taken from. It has the interpreter as a link, by
    /// whose name it was started: the kernel's path of the program says nothing of it.
    fn environment(&self, called: &str) -> String {
        if !called.contains('/') {
            return String::new();
        }
        let called = resolved(called, self.directory);
        match (prefix_of(&called), prefix_of(self.exe)) {
            (Some(own), of_exe) if Some(own) != of_exe && !matches!(own, "" | "/usr") => {
                format!(" in {}", program::folded(&format!("{own}/")))
                    .trim_end_matches('/')
                    .to_owned()
            }
            _ => String::new(),
        }
    }
}

/// `/srv/shop/venv/bin/python` → `/srv/shop/venv`.
fn prefix_of(path: &str) -> Option<&str> {
    let (directory, _name) = path.rsplit_once('/')?;
    directory.strip_suffix("/bin")
}

/// The path from the root, without `.`, `..` and doubled slashes; of a relative one as much as is
/// known.
fn resolved(path: &str, directory: Option<&str>) -> String {
    let directory = directory.filter(|directory| directory.starts_with('/'));
    let (start, is_absolute) = if path.starts_with('/') {
        ("", true)
    } else {
        (directory.unwrap_or_default(), directory.is_some())
    };
    let mut components: Vec<&str> = Vec::new();
    for component in start.split('/').chain(path.split('/')) {
        match component {
            "" | "." => {}
            ".." if components.last().is_some_and(|last| *last != "..") => {
                components.pop();
            }
            ".." if is_absolute => {}
            _ => components.push(component),
        }
    }
    let joined = components.join("/");
    if is_absolute {
        format!("/{joined}")
    } else {
        joined
    }
}

/// Properties that tell two services apart which start with one class.
const BASES: [&str; 5] = [
    "-Dcatalina.base=",
    "-Djboss.server.base.dir=",
    "-Djetty.base=",
    "-Dkaraf.base=",
    "-Dkafka.logs.dir=",
];

fn base_of(arguments: &[String]) -> String {
    let base = arguments
        .iter()
        .find_map(|word| BASES.iter().find_map(|base| word.strip_prefix(base)));
    base.map(|base| format!(" in {}", shortened(base)))
        .unwrap_or_default()
}

/// A text that is too long for a name keeps its beginning, and a digest of all of it, so that two
/// that begin alike are two.
fn shortened(text: &str) -> String {
    if text.len() <= LONGEST_TEXT {
        return text.to_owned();
    }
    let mut end = LONGEST_TEXT;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…#{:08x}", &text[..end], digest_of(text))
}

/// FNV-1a: it stays the same over versions of this program, which the library's hashes do not.
pub(super) fn digest_of(text: &str) -> u32 {
    const OFFSET: u32 = 0x811c_9dc5;
    const PRIME: u32 = 0x0100_0193;
    text.bytes().fold(OFFSET, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(PRIME)
    })
}

#[cfg(test)]
mod tests;
