//! The table of layouts: which part of a path an upgrade changes.

/// A layout of directories.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Whose it is.
    pub of: &'static str,
    /// The path down to what is folded; whatever follows is none of its business. With `$` at its
    /// end it is the file itself, else a directory above it.
    ///
    /// It begins at the root, or with `**/` anywhere. A component is
    /// - `+`: any, kept;
    /// - `*`: any, folded;
    /// - `<version>`: its version or number folded; without one the layout is another;
    /// - `<number>`, `<hash>`: folded if it is nothing but digits, or seven and more hexadecimal ones;
    /// - `<store>`: `HASH-NAME-VERSION`, folded but for the name;
    /// - `<mount>`: `.mount_NAMErandom`, folded but for the name;
    /// - `name` before one of those that are folded: kept, if there is something after it;
    /// - else itself, or one of several with `|` between.
    pub path: &'static str,
}

const fn layout(of: &'static str, path: &'static str) -> Layout {
    Layout { of, path }
}

/// All layouts. Versions with a dot in the name of a directory need none: see [`super::folded`].
pub(super) const LAYOUTS: [Layout; 53] = [
    layout("snap", "/snap/+/*"),
    layout("snap", "/var/lib/snapd/snap/+/*"),
    layout("Flatpak", "**/flatpak/app|runtime/+/+/+/*"),
    layout("Nix", "/nix/store/<store>"),
    layout("Guix", "/gnu/store/<store>"),
    layout("AppImage", "**/<mount>"),
    layout("AppImage", "**/appimage_extracted_*"),
    layout("Homebrew", "**/Cellar|Caskroom/+/*"),
    layout("pyenv", "**/.pyenv|pyenv/versions/<version>"),
    layout("rbenv", "**/.rbenv|rbenv/versions/<version>"),
    layout("rvm", "**/.rvm|rvm/rubies|gems/<version>"),
    layout("goenv", "**/.goenv|goenv/versions/<version>"),
    layout("nodenv", "**/.nodenv|nodenv/versions/<version>"),
    layout("nvm and n", "**/versions/node/<version>"),
    layout("fnm", "**/node-versions/<version>"),
    layout("fnm", "**/fnm_multishells/*"),
    layout("Volta", "**/.volta/tools/image/+/<version>"),
    layout("asdf", "**/.asdf|asdf/installs/+/<version>"),
    layout("mise", "**/mise/installs/+/<version>"),
    layout("SDKMAN", "**/.sdkman/candidates/+/<version>"),
    layout("rustup", "**/.rustup|rustup/toolchains/<version>"),
    layout("uv", "**/uv/archive-v0/*"),
    layout("npx", "**/_npx/<hash>"),
    layout("go run", "**/go-build*"),
    layout("Bazelisk", "**/bazelisk/downloads/sha256/<hash>"),
    layout("Gradle", "**/.gradle/wrapper/dists/+/*"),
    layout("Go's toolchains", "**/golang.org/toolchain@*"),
    layout("Go's toolchains", "**/sdk/go<version>"),
    layout("pre-commit", "**/pre-commit/repo*"),
    layout("Playwright", "**/ms-playwright/<version>"),
    layout("Puppeteer", "**/puppeteer/+/<version>"),
    layout("Puppeteer", "**/.local-chromium/<version>"),
    layout("Capistrano", "**/releases/<number>"),
    layout(
        "VS Code Server",
        "**/.vscode-server|.vscode-server-insiders|.vscode-remote/bin/<hash>",
    ),
    layout("VS Code Server", "**/.vscode-server/code-<hash>$"),
    layout(
        "VS Code Server",
        "**/.vscode-server-insiders/code-insiders-<hash>$",
    ),
    layout("VSCodium Server", "**/.vscodium-server/bin/<hash>"),
    layout("Cursor Server", "**/.cursor-server/bin/<hash>"),
    layout("Cursor Server", "**/.cursor-server/bin/+/<hash>"),
    layout("Windsurf Server", "**/.windsurf-server/bin/<hash>"),
    layout("Positron Server", "**/.positron-server/bin/<hash>"),
    layout("editor servers", "**/cli/servers/Stable-*"),
    layout("editor servers", "**/cli/servers/Insiders-*"),
    layout("JetBrains remote", "**/JetBrains/RemoteDev/dist/*"),
    layout("GitHub runner", "**/actions-runner/bin.*"),
    layout("GitHub runner", "**/actions-runner/externals.*"),
    layout("k3s", "**/k3s/data/<hash>"),
    layout("RKE2", "**/rke2/data/*"),
    layout("Ansible", "**/.ansible/tmp/ansible-tmp-*"),
    layout("pip", "**/pip-build-env-*"),
    layout("pip", "**/pip-install-*"),
    layout("pip", "**/pip-req-build-*"),
    layout("scripts of rpm packages", "**/tmp/rpm-tmp.*$"),
];
