//! Names of options, variables, headers and fields whose values are secret.

/// Anywhere in a name, once its parts are joined.
const ANYWHERE: [&str; 19] = [
    "accesskey",
    "accountkey",
    "apikey",
    "authkey",
    "authorization",
    "bearer",
    "credential",
    "encryptionkey",
    "licensekey",
    "masterkey",
    "passphrase",
    "passwd",
    "password",
    "passwort",
    "privatekey",
    "secret",
    "sharedkey",
    "signingkey",
    "storagekey",
];

/// The last part of a name.
const LAST: [&str; 17] = [
    "cookie",
    "creds",
    "jwt",
    "otp",
    "pass",
    "passcode",
    "passin",
    "passout",
    "pat",
    "pin",
    "psk",
    "pswd",
    "pw",
    "pwd",
    "sas",
    "signature",
    "totp",
];

/// A parameter of a URL is secret under these names too.
const IN_QUERY: [&str; 12] = [
    "auth",
    "code",
    "hmac",
    "key",
    "session",
    "sessionid",
    "sid",
    "sig",
    "sign",
    "state",
    "ticket",
    "user_token",
];

/// As the last part of a name they say that the value is about a secret, not one.
const ABOUT: [&str; 34] = [
    "age",
    "algorithm",
    "authentication",
    "cmd",
    "command",
    "count",
    "dir",
    "directory",
    "endpoint",
    "env",
    "expiry",
    "fd",
    "field",
    "file",
    "format",
    "helper",
    "id",
    "len",
    "length",
    "max",
    "min",
    "name",
    "path",
    "policy",
    "prompt",
    "prompts",
    "size",
    "stdin",
    "store",
    "timeout",
    "ttl",
    "type",
    "uri",
    "url",
];

/// As the first part of an option they say that no value follows.
const FLAGS: [&str; 12] = [
    "allow", "ask", "check", "disable", "enable", "no", "prompt", "require", "show", "skip",
    "verify", "without",
];

/// The last part of names of functions that take a user and a secret.
const LOGINS: [&str; 4] = ["auth", "authenticate", "login", "signin"];

/// Values that no secret has.
const HARMLESS: [&str; 10] = [
    "0", "1", "false", "no", "none", "null", "off", "on", "true", "yes",
];

/// Whether the value that goes with `name` is secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let parts = parts_of(name);
    let Some(last) = parts.last().map(String::as_str) else {
        return false;
    };
    let joined = parts.concat();
    if ABOUT.contains(&last) && !joined.ends_with("secretid") {
        return false;
    }
    ANYWHERE.iter().any(|word| joined.contains(word))
        || joined.ends_with("token")
        || LAST.contains(&last)
}

/// Whether the value of a URL's parameter is secret.
pub(super) fn is_secret_parameter(name: &str) -> bool {
    is_secret_name(name) || IN_QUERY.contains(&name.to_ascii_lowercase().as_str())
}

/// Whether a function of that name logs somebody in.
pub(super) fn names_a_login(name: &str) -> bool {
    let parts = parts_of(name);
    parts
        .last()
        .is_some_and(|last| LOGINS.contains(&last.as_str()))
}

/// Whether an option of that name takes no value.
pub(super) fn is_flag(name: &str) -> bool {
    parts_of(name)
        .first()
        .is_some_and(|first| FLAGS.contains(&first.as_str()))
}

/// Whether the value of an option of that name is often the path of a file that holds the secret.
pub(super) fn may_name_a_file(name: &str) -> bool {
    parts_of(name).concat().ends_with("key")
}

/// Whether `value` is written as a path.
pub(super) fn looks_like_path(value: &str) -> bool {
    ["/", "./", "../", "~/"]
        .iter()
        .any(|start| value.starts_with(start))
}

/// Whether `value` under a secret's name tells nothing.
pub(super) fn is_harmless(value: &str) -> bool {
    HARMLESS.iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// `--dbPassword_file` → `db`, `password`, `file`.
fn parts_of(name: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let characters: Vec<char> = name.chars().collect();
    let mut is_inside = false;
    for (index, character) in characters.iter().enumerate() {
        if !character.is_ascii_alphanumeric() {
            is_inside = false;
            continue;
        }
        let before = index
            .checked_sub(1)
            .map_or(' ', |before| characters[before]);
        let after = characters.get(index + 1).copied().unwrap_or(' ');
        // `apiKey` has a boundary at K, and so has `APIKey`.
        let is_boundary = character.is_ascii_uppercase()
            && (before.is_ascii_lowercase()
                || before.is_ascii_uppercase() && after.is_ascii_lowercase());
        if !is_inside || is_boundary {
            parts.push(String::new());
        }
        is_inside = true;
        if let Some(part) = parts.last_mut() {
            part.push(character.to_ascii_lowercase());
        }
    }
    parts
}
