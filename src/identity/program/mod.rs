//! Paths without what an upgrade changes in them: the same application before and after.
//!
//! Folding is idempotent, and never touches the name of a program: two programs of one directory
//! stay two.

mod rules;
mod version;

use rules::LAYOUTS;
pub use rules::Layout;
use version::{FOLDED, Proof, is_hash, is_number, without_version};

/// What stands at the end of a file's name while a package manager replaces it.
const TEMPORARY: [&str; 5] = [
    " (deleted)",
    ".dpkg-dist",
    ".dpkg-new",
    ".dpkg-old",
    ".dpkg-tmp",
];

/// Ends of names that are files of programs whose name bears the version, and are no part of it.
const ARCHIVES: [&str; 8] = [
    ".AppImage",
    ".asar",
    ".ear",
    ".gem",
    ".jar",
    ".phar",
    ".pyz",
    ".war",
];

/// The layouts that are known, in the order of the documentation.
pub fn layouts() -> &'static [Layout] {
    &LAYOUTS
}

/// The path with `*` for whatever changes at an upgrade.
pub(super) fn folded(path: &str) -> String {
    let Some(below_root) = path.strip_prefix('/') else {
        return path.to_owned();
    };
    let below_root = without_temporary_end(below_root);
    let components: Vec<&str> = below_root.split('/').collect();
    let mut written: Vec<Option<String>> = vec![None; components.len()];
    for layout in &LAYOUTS {
        fold_layout(layout.path, &components, &mut written);
    }
    let is_of_packages = is_of_packages(&components);
    let last = components.len() - 1;
    for (index, component) in components.iter().enumerate() {
        if written[index].is_none() {
            written[index] = if index == last {
                file_without_version(component, is_of_packages)
            } else {
                directory_without_version(&components, index, is_of_packages)
            };
        }
    }
    let mut folded = String::with_capacity(path.len());
    for (component, written) in components.iter().zip(&written) {
        folded.push('/');
        folded.push_str(written.as_deref().unwrap_or(component));
    }
    folded
}

/// The rules that fold something of a path, as half sentences.
pub(super) fn folds_of(path: &str) -> Vec<String> {
    let Some(below_root) = path.strip_prefix('/').filter(|_| folded(path) != path) else {
        return Vec::new();
    };
    let mut folds = Vec::new();
    let shorter = without_temporary_end(below_root);
    if shorter != below_root {
        folds.push("without what stands at the end of its name while it is replaced".to_owned());
    }
    let components: Vec<&str> = shorter.split('/').collect();
    for layout in &LAYOUTS {
        let mut written = vec![None; components.len()];
        fold_layout(layout.path, &components, &mut written);
        if written.iter().any(Option::is_some) {
            folds.push(format!("folded as {} has it ({})", layout.of, layout.path));
        }
    }
    if folds.is_empty() {
        folds.push("with the version in it folded".to_owned());
    }
    folds
}

/// dpkg's endings, and `;` with eight hexadecimal digits, which is rpm's. They may come together:
/// `(deleted)` is the kernel's word for a file that was replaced since.
fn without_temporary_end(path: &str) -> &str {
    const DIGITS_OF_RPM: usize = 8;
    let mut path = path;
    loop {
        let end = TEMPORARY.iter().find_map(|end| path.strip_suffix(end));
        let end = end.or_else(|| {
            let (before, digits) = path.rsplit_once(';')?;
            let is_of_rpm = digits.len() == DIGITS_OF_RPM && is_hash(digits);
            is_of_rpm.then_some(before)
        });
        match end {
            Some(shorter) if !shorter.is_empty() && !shorter.ends_with('/') => path = shorter,
            _ => return path,
        }
    }
}

/// Where distributions keep several lines of a program side by side on purpose.
fn is_of_packages(components: &[&str]) -> bool {
    match components {
        ["usr", "local", ..] => false,
        [
            "usr" | "bin" | "sbin" | "lib" | "lib32" | "lib64" | "libx32",
            ..,
        ] => true,
        _ => false,
    }
}

fn directory_without_version(
    components: &[&str],
    index: usize,
    is_of_packages: bool,
) -> Option<String> {
    // Below `/home` stand names of people.
    if index == 0 || index == 1 && components[0] == "home" {
        return None;
    }
    let proof = if is_of_packages {
        Proof::TwoDots
    } else {
        Proof::OneDot
    };
    without_version(components[index], proof)
}

/// A file that a package manager put there is called so for good.
fn file_without_version(name: &str, is_of_packages: bool) -> Option<String> {
    let end = ARCHIVES.iter().find(|end| name.ends_with(**end));
    match end {
        Some(end) => {
            let proof = if is_of_packages {
                Proof::TwoDots
            } else {
                Proof::OneDot
            };
            without_version(&name[..name.len() - end.len()], proof).map(|stem| stem + end)
        }
        None if is_of_packages => None,
        None => without_version(name, Proof::TwoDots),
    }
}

/// Folds what `layout` says wherever the path has it.
fn fold_layout(layout: &str, components: &[&str], written: &mut [Option<String>]) {
    let (starts, layout) = match layout.strip_prefix("**/") {
        Some(layout) => (components.len(), layout),
        None => (1, layout.trim_start_matches('/')),
    };
    // A layout is one of directories, and the file is none of them, unless it says so.
    let (layout, ends) = match layout.strip_suffix('$') {
        Some(layout) => (layout, components.len()..=components.len()),
        None => (layout, 0..=components.len() - 1),
    };
    let first = layout.split('/').next().unwrap_or(layout);
    let length = layout.split('/').count();
    for start in 0..starts.min(components.len()) {
        if !ends.contains(&(start + length)) || fold_component(first, components[start]).is_none() {
            continue;
        }
        let found: Option<Vec<Option<String>>> = layout
            .split('/')
            .zip(&components[start..])
            .map(|(of_layout, component)| fold_component(of_layout, component))
            .collect();
        for (folded, written) in found.into_iter().flatten().zip(&mut written[start..]) {
            // Of two layouts the one that folds all of it.
            if folded.is_some() && (written.is_none() || folded.as_deref() == Some(FOLDED)) {
                *written = folded;
            }
        }
    }
}

/// `None` where the component is not the layout's, `Some(None)` where it is kept.
fn fold_component(of_layout: &str, component: &str) -> Option<Option<String>> {
    let whole = || Some(Some(FOLDED.to_owned()));
    match of_layout {
        "+" => (!component.is_empty()).then_some(None),
        "*" if !component.is_empty() => whole(),
        "<hash>" if is_hash(component) => whole(),
        "<number>" if is_number(component) => whole(),
        "<version>" => without_version(component, Proof::Number).map(Some),
        "<store>" => of_store(component).map(Some),
        "<mount>" => of_mount(component).map(Some),
        "*" | "<hash>" | "<number>" => None,
        _ => match of_layout.find(['*', '<']) {
            // Whatever a layout has at its very start was looked for above.
            Some(at) if at > 0 => {
                let (start, of_layout) = of_layout.split_at(at);
                let end = fold_component(of_layout, component.strip_prefix(start)?)?;
                Some(end.map(|end| format!("{start}{end}")))
            }
            _ => of_layout
                .split('|')
                .any(|literal| literal == component)
                .then_some(None),
        },
    }
}

/// `HASH-NAME-VERSION`: the version begins at the first hyphen that a digit follows.
fn of_store(component: &str) -> Option<String> {
    const DIGITS_OF_HASH: usize = 32;
    let (hash, name) = component.split_once('-')?;
    let is_store_hash = hash.len() == DIGITS_OF_HASH
        && hash
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
    if !is_store_hash && hash != FOLDED || name.is_empty() {
        return None;
    }
    let folded = without_version(name, Proof::Number);
    Some(format!("{FOLDED}-{}", folded.as_deref().unwrap_or(name)))
}

/// `.mount_` with up to six characters of the program's name and six random ones.
fn of_mount(component: &str) -> Option<String> {
    const RANDOM: usize = 6;
    let name = component.strip_prefix(".mount_")?;
    if name.ends_with(FOLDED) {
        return Some(component.to_owned());
    }
    let end = name.len().checked_sub(RANDOM)?;
    let (name, random) = name.split_at_checked(end)?;
    let is_random = random.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_random.then(|| format!(".mount_{name}{FOLDED}"))
}

#[cfg(test)]
mod tests;
