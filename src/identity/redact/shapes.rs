//! Secrets that are known by their shape: private keys, logins in URLs, tokens with a prefix.

use super::REDACTED;

/// How tokens begin, and how much at least follows.
const TOKENS: [(&str, usize); 44] = [
    ("AGE-SECRET-KEY-", 20),
    ("AIza", 30),
    ("AKIA", 16),
    ("ASIA", 16),
    ("EAAC", 30),
    ("GOCSPX-", 20),
    ("NRAK-", 20),
    ("SG.", 30),
    ("dapi", 32),
    ("dckr_pat_", 16),
    ("dop_v1_", 32),
    ("doo_v1_", 32),
    ("eyJ", 30),
    ("figd_", 20),
    ("github_pat_", 20),
    ("gho_", 20),
    ("ghp_", 20),
    ("ghr_", 20),
    ("ghs_", 20),
    ("ghu_", 20),
    ("glpat-", 16),
    ("glrt-", 16),
    ("glsa_", 20),
    ("hf_", 24),
    ("hvb.", 20),
    ("hvs.", 20),
    ("lin_api_", 20),
    ("npm_", 30),
    ("pul-", 32),
    ("pypi-", 40),
    ("rk_live_", 16),
    ("rk_test_", 16),
    ("rubygems_", 30),
    ("sbp_", 32),
    ("secret_", 32),
    ("shpat_", 24),
    ("sk-", 20),
    ("sk_live_", 16),
    ("sk_test_", 16),
    ("tskey-", 16),
    ("whsec_", 20),
    ("xapp-", 16),
    ("xox", 16),
    ("ya29.", 20),
];

/// Parts of URLs whose rest is a secret: who knows the address may use it.
const SECRET_PATHS: [&str; 3] = [
    "hooks.slack.com/services/",
    "/api/webhooks/",
    "telegram.org/bot",
];

/// No name of a user is that long.
const LONGEST_USER: usize = 32;

/// Replaces the bodies of private keys in PEM form, also of one whose end was cut off.
pub(super) fn redact_private_keys(text: &str) -> String {
    const OPENING: &str = "PRIVATE KEY-----";
    const CLOSING: &str = "-----END";
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(OPENING) {
        let (head, body) = rest.split_at(at + OPENING.len());
        redacted.push_str(head);
        redacted.push_str(REDACTED);
        rest = match body.find(CLOSING) {
            Some(end) => {
                let closing = &body[end..];
                let after = closing
                    .find(OPENING)
                    .map_or(closing.len(), |at| at + OPENING.len());
                redacted.push_str(&closing[..after]);
                &closing[after..]
            }
            None => "",
        };
    }
    redacted.push_str(rest);
    redacted
}

/// Replaces what is secret in the addresses within a text.
pub(super) fn redact_urls(text: &str) -> String {
    const SCHEME_END: &str = "://";
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(SCHEME_END) {
        let (head, tail) = rest.split_at(at + SCHEME_END.len());
        redacted.push_str(head);
        let is_outside = |character: char| {
            character.is_whitespace() || matches!(character, '"' | '\'' | '<' | '>' | '`')
        };
        let end = tail.find(is_outside).unwrap_or(tail.len());
        redacted.push_str(&redact_address(&tail[..end]));
        rest = &tail[end..];
    }
    if redacted.is_empty() {
        return redact_bare_login(rest);
    }
    redacted.push_str(rest);
    redacted
}

/// Replaces tokens that begin as those of a known issuer do.
pub(super) fn redact_tokens(text: &str) -> String {
    let is_of_token =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.');
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let start = rest.find(is_of_token).unwrap_or(rest.len());
        redacted.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest
            .find(|character| !is_of_token(character))
            .unwrap_or(rest.len());
        match token_start(&rest[..end]) {
            Some(start) => {
                redacted.push_str(&rest[..start]);
                redacted.push_str(REDACTED);
            }
            None => redacted.push_str(&rest[..end]),
        }
        rest = &rest[end..];
    }
    redacted
}

/// Where in a run of token characters a token begins.
fn token_start(run: &str) -> Option<usize> {
    TOKENS
        .iter()
        .filter_map(|(prefix, least)| {
            let at = run.find(prefix)?;
            let follows = &run[at + prefix.len()..];
            let is_start = !run[..at].ends_with(|last: char| last.is_ascii_alphanumeric());
            // Words joined by hyphens (`sk-`, `pul-`) have no digits in them.
            let is_random = follows.bytes().any(|byte| byte.is_ascii_digit())
                || follows.bytes().any(|byte| byte.is_ascii_uppercase());
            (is_start && is_random && follows.len() >= *least).then_some(at)
        })
        .min()
}

/// `user:secret@host/path`, without its scheme.
fn redact_address(address: &str) -> String {
    let authority_end = address.find(['/', '?', '#']).unwrap_or(address.len());
    let authority = &address[..authority_end];
    let text = if let Some(at) = authority.rfind('@') {
        format!("{}{}", redact_user(&address[..at]), &address[at..])
    } else if let Some(colon) = password_without_host(authority) {
        // A secret with a `/` in it, or an address that was cut off within the secret.
        let secret_end = address.rfind('@').unwrap_or(authority_end);
        format!("{}{REDACTED}{}", &address[..=colon], &address[secret_end..])
    } else {
        address.to_owned()
    };
    let Some(at) = SECRET_PATHS
        .iter()
        .filter_map(|path| text.find(path).map(|at| at + path.len()))
        .min()
    else {
        return text;
    };
    if at == text.len() {
        return text;
    }
    format!("{}{REDACTED}", &text[..at])
}

/// `user:secret`, or a token in place of a user.
fn redact_user(login: &str) -> String {
    match login.split_once(':') {
        Some((_, "")) => login.to_owned(),
        Some((user, _)) if user.len() <= LONGEST_USER => format!("{user}:{REDACTED}"),
        Some(_) => REDACTED.to_owned(),
        None if login.len() > LONGEST_USER => REDACTED.to_owned(),
        None => redact_tokens(login),
    }
}

/// Where the colon is that no port follows; IPv6 addresses stand in brackets.
fn password_without_host(authority: &str) -> Option<usize> {
    let host_end = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let colon = host_end + authority[host_end..].find(':')?;
    let port = &authority[colon + 1..];
    (!port.is_empty() && !port.bytes().all(|byte| byte.is_ascii_digit())).then_some(colon)
}

/// `user:secret@host` where a program wants no scheme.
fn redact_bare_login(text: &str) -> String {
    let Some((login, host)) = text.split_once('@') else {
        return text.to_owned();
    };
    let Some((user, secret)) = login.split_once(':') else {
        return text.to_owned();
    };
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    let is_secret = !secret.is_empty() && !secret.contains(|c: char| c.is_whitespace() || c == '/');
    // `image:tag@sha256:…` names a container image.
    let is_image = host.starts_with("sha256:");
    let begins_as_host =
        host.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[');
    if is_name(user) && is_secret && begins_as_host && !is_image {
        return format!("{user}:{REDACTED}@{host}");
    }
    text.to_owned()
}
