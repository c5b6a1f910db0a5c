//! Arguments of an interpreter → what it was told to run.

use super::languages::{Language, Operand, Style};

/// What the arguments name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A file, and which argument it is.
    File(usize),
    /// A file that an option names.
    FileIn(&'a str),
    /// A module.
    Module(&'a str),
    /// The text of a program.
    Text(&'a str),
    /// A class.
    Class(&'a str),
    /// What the tool is to do.
    Name(&'a str),
    /// The program comes from standard input.
    Input,
}

/// What an option is followed by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    None,
    Other,
    Text,
    File,
    Module,
}

/// What comes of one word.
enum Step<'a> {
    Found(Found<'a>),
    /// The next words are values of it.
    Skip(usize),
}

/// What the arguments tell to run, or `None` if they do not say or were cut before they did.
pub(super) fn found_in<'a>(language: &Language, arguments: &'a [String]) -> Option<Found<'a>> {
    let mut wants_text = false;
    let mut file_of_arguments = None;
    let mut index = 0;
    while let Some(word) = arguments.get(index) {
        if language.operand == Operand::Class
            && let Some(file) = word.strip_prefix('@')
        {
            file_of_arguments = file_of_arguments.or(Some(file));
            index += 1;
            continue;
        }
        let is_option = word.len() > 1
            && (word.starts_with('-') || language.style == Style::Shell && word.starts_with('+'));
        if word == "-" && !wants_text {
            return (language.operand != Operand::Nothing).then_some(Found::Input);
        }
        if word == "--" || !is_option {
            let at = if is_option { index + 1 } else { index };
            let found = operand_at(language, arguments, at, wants_text);
            return found
                .filter(|found| file_of_arguments.is_none() || is_certain(found))
                .or(file_of_arguments.map(Found::FileIn));
        }
        let next = arguments.get(index + 1).map(String::as_str);
        let step = match language.style {
            Style::Shell => {
                if let Some(letters) = letters_of(word) {
                    if letters.contains('s') && !letters.contains('c') && !wants_text {
                        return Some(Found::Input);
                    }
                    wants_text |= letters.contains('c') && word.starts_with('-');
                    // Each `o` takes the name of an option.
                    Step::Skip(letters.matches(['o', 'O']).count())
                } else {
                    whole_word(language, word, next)?
                }
            }
            Style::Letters if letters_of(word).is_some() => letters(language, word, next)?,
            Style::Letters | Style::Words => whole_word(language, word, next)?,
        };
        match step {
            Step::Found(found) => return Some(found),
            Step::Skip(words) => index += 1 + words,
        }
    }
    file_of_arguments.map(Found::FileIn)
}

/// Whether it is no argument of a program that a file of arguments named before: a class begins with
/// a capital letter.
fn is_certain(found: &Found<'_>) -> bool {
    match found {
        Found::Class(class) => {
            let name = class.rsplit('.').next().unwrap_or(class);
            name.starts_with(char::is_uppercase)
        }
        _ => true,
    }
}

/// The letters of `-abc`.
fn letters_of(word: &str) -> Option<&str> {
    let letters = word.strip_prefix(['-', '+'])?;
    (!letters.starts_with('-')).then_some(letters)
}

fn value_of(language: &Language, option: &str) -> Value {
    let is_in = |options: &[&str]| options.contains(&option);
    if is_in(language.text) {
        Value::Text
    } else if is_in(language.file) {
        Value::File
    } else if is_in(language.module) {
        Value::Module
    } else if is_in(language.values) {
        Value::Other
    } else {
        Value::None
    }
}

/// What an option and its value come to; `in_word` if the value is in the same word.
fn step_of<'a>(value: Value, in_word: Option<&'a str>, next: Option<&'a str>) -> Option<Step<'a>> {
    let text = in_word.or(next);
    Some(match value {
        Value::None => Step::Skip(0),
        Value::Other => Step::Skip(usize::from(in_word.is_none())),
        Value::Text => Step::Found(Found::Text(text?)),
        Value::File => Step::Found(Found::FileIn(text?)),
        Value::Module => Step::Found(Found::Module(text?)),
    })
}

/// `--option`, `--option=value`, `-option`.
fn whole_word<'a>(language: &Language, word: &'a str, next: Option<&'a str>) -> Option<Step<'a>> {
    match word.split_once('=') {
        Some((option, value)) => step_of(value_of(language, option), Some(value), next),
        None => step_of(value_of(language, word), None, next),
    }
}

/// `-Im`, `-mhttp.server`, `-W ignore`.
fn letters<'a>(language: &Language, word: &'a str, next: Option<&'a str>) -> Option<Step<'a>> {
    for (at, letter) in word.char_indices().skip(1) {
        let rest = &word[at + letter.len_utf8()..];
        let value = value_of(language, &format!("-{letter}"));
        if value != Value::None {
            return step_of(value, (!rest.is_empty()).then_some(rest), next);
        }
        if language.attached.contains(letter) {
            break;
        }
    }
    Some(Step::Skip(0))
}

fn operand_at<'a>(
    language: &Language,
    arguments: &'a [String],
    at: usize,
    wants_text: bool,
) -> Option<Found<'a>> {
    let word = arguments.get(at)?;
    if wants_text {
        return Some(Found::Text(word));
    }
    match language.operand {
        Operand::File => Some(Found::File(at)),
        Operand::Text => Some(Found::Text(word)),
        Operand::Nothing => None,
        Operand::Class if is_source(word) => Some(Found::File(at)),
        Operand::Class => Some(Found::Class(word)),
        Operand::After(words) if words.contains(&word.as_str()) => {
            let further = arguments.get(at + 1..).unwrap_or_default();
            let inner = Language {
                operand: Operand::After(&[]),
                ..*language
            };
            Some(match found_in(&inner, further) {
                Some(Found::File(index)) => Found::File(at + 1 + index),
                Some(found) => found,
                None => Found::Name(word),
            })
        }
        Operand::After(_) if looks_like_file(word) => Some(Found::File(at)),
        Operand::After(_) => Some(Found::Name(word)),
    }
}

/// A source file, which `java` compiles by itself.
fn is_source(word: &str) -> bool {
    word.ends_with(".java") || word.contains('/')
}

fn looks_like_file(word: &str) -> bool {
    word.contains(['/', '.'])
}
