//! Command lines without the secrets in them.
//!
//! What looks like a credential is replaced by [`REDACTED`], the rest stays readable. A word that
//! was taken for a secret costs a little; a secret that was stored is out of the house: where in
//! doubt, it goes. Nothing here proves that none is left.

mod calls;
mod line;
mod names;
mod pairs;
mod programs;
mod shapes;

use names::{is_flag, is_secret_name, looks_like_path};
use pairs::Extent;

/// What stands in place of a secret.
const REDACTED: &str = "[redacted]";

/// `ssh host "sh -c 'psql …'"` is three deep; nobody who is to be understood goes further.
const DEEPEST: u8 = 3;

/// Words that say how the credential after them is written.
const SCHEMES: [&str; 6] = ["apikey", "basic", "bearer", "digest", "negotiate", "token"];

/// Returns the arguments of a process without secrets: as many as there were, in their order.
pub fn redact_argv(arguments: &[String]) -> Vec<String> {
    redact_words(arguments, DEEPEST)
}

/// Returns a command line that came as one text without secrets. What is not replaced stays as it
/// was written.
pub fn redact_line(text: &str) -> String {
    let text = line::redact_line(&shapes::redact_private_keys(text), DEEPEST);
    calls::redact_calls(&text)
}

/// What the word after an option or a header is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expectation {
    /// Nothing secret by its place.
    Plain,
    /// A secret.
    Secret,
    /// A secret, unless it is the path of a key file.
    SecretOrPath,
    /// A secret behind a user's name.
    Login,
}

fn redact_words(words: &[String], depth: u8) -> Vec<String> {
    let mut options = programs::Options::of(words);
    let mut expected = Expectation::Plain;
    let mut redacted = Vec::with_capacity(words.len());
    for (index, word) in words.iter().enumerate() {
        let before = index
            .checked_sub(1)
            .map_or("", |before| words[before].as_str());
        options.learn(word);
        // A scheme stands between a header and its secret.
        if expected == Expectation::Secret && is_scheme(word) {
            redacted.push(word.clone());
            continue;
        }
        redacted.push(match expected {
            Expectation::Secret if is_value(word) => REDACTED.to_owned(),
            Expectation::SecretOrPath if is_value(word) && !looks_like_path(word) => {
                REDACTED.to_owned()
            }
            Expectation::Login => redact_login(&redact_word(word, before, &options, depth)),
            Expectation::Plain | Expectation::Secret | Expectation::SecretOrPath => {
                redact_word(word, before, &options, depth)
            }
        });
        expected = expectation_after(word, before, &options);
    }
    redacted
}

fn redact_word(word: &str, before: &str, options: &programs::Options, depth: u8) -> String {
    if let Some(prefix) = options.attached_to(word) {
        return if programs::is_login_option(prefix) {
            format!("{prefix}{}", redact_login(&word[prefix.len()..]))
        } else {
            format!("{prefix}{REDACTED}")
        };
    }
    let is_script = before.starts_with('-') && before.ends_with('c') && !before.starts_with("--");
    let extent = if is_script {
        Extent::Word
    } else {
        Extent::Text
    };
    let text = shapes::redact_private_keys(word);
    let text = shapes::redact_urls(&text);
    let text = pairs::redact_pairs(&text, extent);
    let text = match option_with_login(&text) {
        Some((option, login)) => format!("{option}={}", redact_login(login)),
        None => text,
    };
    let text = shapes::redact_tokens(&text);
    let text = if depth > 0 && text.contains(char::is_whitespace) {
        line::redact_line(&text, depth - 1)
    } else {
        text
    };
    // Last, since the quotes of a program within a command line are not yet those of its texts.
    calls::redact_calls(&text)
}

fn expectation_after(word: &str, before: &str, options: &programs::Options) -> Expectation {
    let is_header = word
        .strip_suffix(':')
        .is_some_and(|name| !name.contains('/') && is_secret_name(name));
    if is_header || word.eq_ignore_ascii_case("bearer") || options.expects_secret_after(word) {
        return Expectation::Secret;
    }
    let name = word.trim_start_matches('-');
    // Its value is in the same word.
    let is_pair = name.contains(['=', ':']);
    let is_option = name.len() < word.len() && !is_pair;
    // `config set client_secret …`, as most tools with a configuration have it.
    let is_set = before == "set";
    if (is_option || is_set) && is_secret_name(name) && !is_flag(name) {
        return if names::may_name_a_file(name) {
            Expectation::SecretOrPath
        } else {
            Expectation::Secret
        };
    }
    if programs::is_login_option(word) || options.ends_in_login_option(word) {
        return Expectation::Login;
    }
    Expectation::Plain
}

fn is_scheme(word: &str) -> bool {
    SCHEMES
        .iter()
        .any(|scheme| word.eq_ignore_ascii_case(scheme))
}

/// Whether a word can be the value of the option before it: it is no option itself. A secret that
/// begins with a hyphen is longer than one letter.
fn is_value(word: &str) -> bool {
    // The text that the word is of was redacted before it was split.
    if word.starts_with(REDACTED) {
        return false;
    }
    match word.strip_prefix('-') {
        None => !word.is_empty(),
        Some(rest) => rest.len() > 1 && !rest.starts_with('-'),
    }
}

/// `--user=name:secret`.
fn option_with_login(word: &str) -> Option<(&str, &str)> {
    let (option, login) = word.split_once('=')?;
    programs::is_login_option(option).then_some((option, login))
}

/// `name:secret`, as curl has it; `name%secret` of Samba, `name,secret` of lftp.
fn redact_login(login: &str) -> String {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match login.find([':', '%', ',']) {
        Some(at) => {
            let (user, secret) = (&login[..at], &login[at + 1..]);
            // `--user 1000:1000` of container engines is a user and a group.
            if secret.is_empty() || is_number(user) && is_number(secret) {
                login.to_owned()
            } else {
                format!("{}{REDACTED}", &login[..=at])
            }
        }
        None => login.to_owned(),
    }
}

#[cfg(test)]
mod tests;
