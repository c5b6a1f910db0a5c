use std::collections::BTreeSet;

use super::{folded, layouts};
use proptest::{
    prelude::{prop_assert_eq, proptest},
    sample::select,
};

/// Each line of `table` holds a path, an arrow, and what it is folded to.
fn assert_folded(table: &str) {
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (path, expected) = line.split_once(" -> ").unwrap();
        assert_eq!(folded(path), expected, "{path}");
        assert_eq!(folded(expected), expected, "{path}, folded twice");
    }
}

#[test]
fn packages_that_bring_their_own_directories_stay_the_same() {
    assert_folded(
        r"
        /snap/firefox/3836/usr/lib/firefox/firefox -> /snap/firefox/*/usr/lib/firefox/firefox
        /snap/hello/x1/bin/hello -> /snap/hello/*/bin/hello
        /var/lib/snapd/snap/lxd/27037/bin/lxd -> /var/lib/snapd/snap/lxd/*/bin/lxd
        /var/lib/flatpak/app/org.mozilla.firefox/x86_64/stable/8d3dcb03d0ed/files/lib/firefox/firefox -> /var/lib/flatpak/app/org.mozilla.firefox/x86_64/stable/*/files/lib/firefox/firefox
        /home/al/.local/share/flatpak/runtime/org.gnome.Platform/x86_64/45/0a1b2c/files/bin/gjs -> /home/al/.local/share/flatpak/runtime/org.gnome.Platform/x86_64/45/*/files/bin/gjs
        /nix/store/3n58xw4373jp0ljirf06d8077j15pc4j-curl-8.4.0-bin/bin/curl -> /nix/store/*-curl-*-bin/bin/curl
        /nix/store/0c4n0qjvx4q8b0nrzqi2h8w3sd3a8dgq-python3-3.11.6-env/bin/python3.11 -> /nix/store/*-python3-*-env/bin/python3.11
        /nix/store/0c4n0qjvx4q8b0nrzqi2h8w3sd3a8dgq-nginx/bin/nginx -> /nix/store/*-nginx/bin/nginx
        /gnu/store/3n58xw4373jp0ljirf06d8077j15pc4j-guile-3.0.9/bin/guile -> /gnu/store/*-guile-*/bin/guile
        /tmp/.mount_Obsidi3fK9Qz/obsidian -> /tmp/.mount_Obsidi*/obsidian
        /tmp/appimage_extracted_aa1bdb0dcda8cb8b1ee2d4ff9a8e1f4a/usr/bin/krita -> /tmp/appimage_extracted_*/usr/bin/krita
        /home/linuxbrew/.linuxbrew/Cellar/wget/1.21.4/bin/wget -> /home/linuxbrew/.linuxbrew/Cellar/wget/*/bin/wget
        /home/linuxbrew/.linuxbrew/Cellar/openssl@3/3.2.0_1/bin/openssl -> /home/linuxbrew/.linuxbrew/Cellar/openssl@3/*/bin/openssl
    ",
    );
}

#[test]
fn version_managers_may_change_the_version() {
    assert_folded(
        r"
        /home/al/.pyenv/versions/3.11.4/bin/python3.11 -> /home/al/.pyenv/versions/*/bin/python3.11
        /home/al/.pyenv/versions/shop/bin/python3.11 -> /home/al/.pyenv/versions/shop/bin/python3.11
        /root/.rbenv/versions/3.2.2/bin/ruby -> /root/.rbenv/versions/*/bin/ruby
        /usr/local/rvm/rubies/ruby-3.2.2/bin/ruby -> /usr/local/rvm/rubies/ruby-*/bin/ruby
        /home/al/.nvm/versions/node/v18.19.0/bin/node -> /home/al/.nvm/versions/node/*/bin/node
        /usr/local/n/versions/node/20.10.0/bin/node -> /usr/local/n/versions/node/*/bin/node
        /home/al/.local/share/fnm/node-versions/v20.10.0/installation/bin/node -> /home/al/.local/share/fnm/node-versions/*/installation/bin/node
        /run/user/1000/fnm_multishells/4711_1700000000000/bin/npm -> /run/user/1000/fnm_multishells/*/bin/npm
        /home/al/.volta/tools/image/node/20.10.0/bin/node -> /home/al/.volta/tools/image/node/*/bin/node
        /home/al/.asdf/installs/nodejs/20/bin/node -> /home/al/.asdf/installs/nodejs/*/bin/node
        /home/al/.local/share/mise/installs/python/3.12/bin/python3.12 -> /home/al/.local/share/mise/installs/python/*/bin/python3.12
        /home/al/.sdkman/candidates/java/17.0.9-tem/bin/java -> /home/al/.sdkman/candidates/java/*-tem/bin/java
        /home/al/.rustup/toolchains/1.75.0-x86_64-unknown-linux-gnu/bin/cargo -> /home/al/.rustup/toolchains/*-x86_64-unknown-linux-gnu/bin/cargo
        /home/al/.rustup/toolchains/nightly-2024-01-15-x86_64-unknown-linux-gnu/bin/cargo -> /home/al/.rustup/toolchains/nightly-*-x86_64-unknown-linux-gnu/bin/cargo
        /home/al/.rustup/toolchains/stable-x86_64-unknown-linux-gnu/bin/cargo -> /home/al/.rustup/toolchains/stable-x86_64-unknown-linux-gnu/bin/cargo
        /home/al/.local/share/uv/python/cpython-3.11.4-linux-x86_64-gnu/bin/python3.11 -> /home/al/.local/share/uv/python/cpython-*-linux-x86_64-gnu/bin/python3.11
        /home/al/.cache/uv/archive-v0/7bKq0v5u/bin/ruff -> /home/al/.cache/uv/archive-v0/*/bin/ruff
        /home/al/.npm/_npx/3f2a9c1d0b7e/node_modules/.bin/vite -> /home/al/.npm/_npx/*/node_modules/.bin/vite
        /tmp/go-build2398471/b001/exe/main -> /tmp/go-build*/b001/exe/main
        /home/al/.cache/bazelisk/downloads/sha256/9c0f1a2b3c4d5e6f/bin/bazel -> /home/al/.cache/bazelisk/downloads/sha256/*/bin/bazel
        /home/al/.goenv/versions/1.21.5/bin/go -> /home/al/.goenv/versions/*/bin/go
        /home/al/.nodenv/versions/20.10.0/bin/node -> /home/al/.nodenv/versions/*/bin/node
        /home/al/sdk/go1.21.5/bin/go -> /home/al/sdk/go*/bin/go
        /home/al/sdk/google-cloud-sdk/bin/gcloud -> /home/al/sdk/google-cloud-sdk/bin/gcloud
        /home/al/go/pkg/mod/golang.org/toolchain@v0.0.1-go1.21.5.linux-amd64/bin/go -> /home/al/go/pkg/mod/golang.org/toolchain@*/bin/go
        /home/al/.gradle/wrapper/dists/gradle-8.5-bin/5t9huq95ubn472n8rpzujfbqh/gradle-8.5/bin/gradle -> /home/al/.gradle/wrapper/dists/gradle-*-bin/*/gradle-*/bin/gradle
        /home/al/.cache/pre-commit/repoa1b2c3d4/py_env-python3.11/bin/black -> /home/al/.cache/pre-commit/repo*/py_env-python3.11/bin/black
        /tmp/pip-install-8k2h1c_x/left-pad/setup.py -> /tmp/pip-install-*/left-pad/setup.py
        /tmp/pip-req-build-8k2h1c_x/setup.py -> /tmp/pip-req-build-*/setup.py
        /tmp/pip-build-env-8k2h1c_x/overlay/bin/cmake -> /tmp/pip-build-env-*/overlay/bin/cmake
    ",
    );
}

#[test]
fn editors_browsers_and_updaters_may_update_themselves() {
    assert_folded(
        r"
        /home/al/.vscode-server/bin/0ee08df0cf4527e40edc9aa28f4b5bd38bbff2b2/node -> /home/al/.vscode-server/bin/*/node
        /home/al/.vscode-server/code-0ee08df0cf4527e40edc9aa28f4b5bd38bbff2b2 -> /home/al/.vscode-server/code-*
        /home/al/.vscode-server/code-tunnel -> /home/al/.vscode-server/code-tunnel
        /home/al/.vscode-server-insiders/code-insiders-0ee08df0cf4527e40edc9aa28f4b5bd38bbff2b2 -> /home/al/.vscode-server-insiders/code-insiders-*
        /home/al/.vscodium-server/bin/0ee08df0cf4527e40edc9aa28f4b5bd38bbff2b2/node -> /home/al/.vscodium-server/bin/*/node
        /home/al/.windsurf-server/bin/0ee08df0cf4527e40edc9aa28f4b5bd38bbff2b2/node -> /home/al/.windsurf-server/bin/*/node
        /home/al/.local/lib/code-server-4.19.0/lib/node -> /home/al/.local/lib/code-server-*/lib/node
        /home/al/.zed_server/zed-remote-server-stable-0.160.7 -> /home/al/.zed_server/zed-remote-server-stable-*
        /home/al/.vscode-server/cli/servers/Stable-0ee08df0cf4527e40edc9aa28f4b5bd38bbff2b2/server/node -> /home/al/.vscode-server/cli/servers/Stable-*/server/node
        /home/al/.vscode-server/extensions/ms-python.python-2023.20.0-linux-x64/out/x -> /home/al/.vscode-server/extensions/ms-python.python-*-linux-x64/out/x
        /home/al/.cursor-server/bin/linux-x64/b1e87884330fc271d6902589f2a4f9a0da1d1f1e/node -> /home/al/.cursor-server/bin/linux-x64/*/node
        /home/al/.cursor-server/cli/servers/Stable-b1e87884330fc271d6902589f2a4f9a0da1d1f1e/server/node -> /home/al/.cursor-server/cli/servers/Stable-*/server/node
        /home/al/.cache/JetBrains/RemoteDev/dist/e6ad8bd1f1b2d_ideaIU-233.11799.241/jbr/bin/java -> /home/al/.cache/JetBrains/RemoteDev/dist/*/jbr/bin/java
        /home/al/.local/share/JetBrains/Toolbox/apps/IDEA-U/ch-0/233.13135.103/bin/idea -> /home/al/.local/share/JetBrains/Toolbox/apps/IDEA-U/ch-0/*/bin/idea
        /home/al/.config/discord/0.0.42/modules/helper -> /home/al/.config/discord/*/modules/helper
        /home/al/.local/lib/slack/app-4.36.140/slack -> /home/al/.local/lib/slack/app-*/slack
        /home/al/.cache/puppeteer/chrome/linux-120.0.6099.109/chrome-linux64/chrome -> /home/al/.cache/puppeteer/chrome/linux-*/chrome-linux64/chrome
        /home/al/.cache/ms-playwright/chromium-1091/chrome-linux/chrome -> /home/al/.cache/ms-playwright/chromium-*/chrome-linux/chrome
        /home/al/.cache/puppeteer/chrome/linux-1083080/chrome-linux/chrome -> /home/al/.cache/puppeteer/chrome/linux-*/chrome-linux/chrome
        /srv/x/node_modules/puppeteer/.local-chromium/linux-901912/chrome-linux/chrome -> /srv/x/node_modules/puppeteer/.local-chromium/linux-*/chrome-linux/chrome
        /home/al/.cache/selenium/chrome/linux64/120.0.6099.109/chrome -> /home/al/.cache/selenium/chrome/linux64/*/chrome
        /home/al/.config/discord/app-0.0.43/Discord -> /home/al/.config/discord/app-*/Discord
        /home/al/.local/share/claude/versions/2.0.14 -> /home/al/.local/share/claude/versions/*
        /home/runner/actions-runner/bin.2.311.0/Runner.Listener -> /home/runner/actions-runner/bin.*/Runner.Listener
        /var/lib/rancher/k3s/data/a3b46c0299091b71bfcc617b1e1fec1845c13bdd848584ceb39d2e700e702a4b/bin/k3s -> /var/lib/rancher/k3s/data/*/bin/k3s
        /var/lib/rancher/rke2/data/v1.28.3-rke2r1-9a1c2b3d4e5f/bin/kubelet -> /var/lib/rancher/rke2/data/*/bin/kubelet
    ",
    );
}

#[test]
fn versions_in_the_names_of_directories_are_folded() {
    assert_folded(
        r"
        /opt/app-1.0/bin/app -> /opt/app-*/bin/app
        /opt/app/v2.3.4/bin/app -> /opt/app/*/bin/app
        /opt/app-1.2.3-rc.1-linux-x64/app -> /opt/app-*-linux-x64/app
        /opt/datadog-packages/datadog-agent/7.50.0-1/bin/agent -> /opt/datadog-packages/datadog-agent/*/bin/agent
        /opt/Elastic/Agent/data/elastic-agent-8.11.1-f6b1a5d/elastic-agent -> /opt/Elastic/Agent/data/elastic-agent-*/elastic-agent
        /usr/local/aws-cli/v2/2.15.0/dist/aws -> /usr/local/aws-cli/v2/*/dist/aws
        /usr/lib/erlang/erts-13.1.5/bin/beam.smp -> /usr/lib/erlang/erts-*/bin/beam.smp
        /usr/lib/linux-tools-5.15.0-91/perf -> /usr/lib/linux-tools-*/perf
        /usr/lib/jvm/java-17-openjdk-17.0.9.0.9-2.el8.x86_64/bin/java -> /usr/lib/jvm/java-17-openjdk-*/bin/java
        /usr/lib/jvm/java-1.8.0-openjdk-1.8.0.392.b08-2.el7_9.x86_64/jre/bin/java -> /usr/lib/jvm/java-*-openjdk-*/jre/bin/java
        /opt/tool-2.0.1-1.fc39.noarch/tool -> /opt/tool-*/tool
        /opt/tool-2.0.1-0+deb12u1/tool -> /opt/tool-*/tool
        /opt/tool-2.0.1-1ubuntu3/tool -> /opt/tool-*/tool
        /opt/tool-2.0.1-elf/tool -> /opt/tool-*-elf/tool
        /var/tmp/rpm-tmp.Ab12Cd -> /var/tmp/rpm-tmp.*
        /var/lib/waagent/WALinuxAgent-2.9.1.1/bin/agent -> /var/lib/waagent/WALinuxAgent-*/bin/agent
        /srv/shop/releases/20240105123000/worker.rb -> /srv/shop/releases/*/worker.rb
        /home/al/.terraform/providers/registry.terraform.io/hashicorp/aws/5.31.0/linux_amd64/terraform-provider-aws_v5.31.0_x5 -> /home/al/.terraform/providers/registry.terraform.io/hashicorp/aws/*/linux_amd64/terraform-provider-aws_*
        /srv/billing/billing-2.4.jar -> /srv/billing/billing-*.jar
        /usr/share/jenkins/jenkins-2.440.1.war -> /usr/share/jenkins/jenkins-*.war
    ",
    );
}

#[test]
fn what_only_looks_like_a_version_is_kept() {
    assert_folded(
        r"
        /usr/bin/python3.11 -> /usr/bin/python3.11
        /usr/bin/perl5.36.0 -> /usr/bin/perl5.36.0
        /usr/bin/tool-1.2.3 -> /usr/bin/tool-1.2.3
        /usr/lib/go-1.19/bin/go -> /usr/lib/go-1.19/bin/go
        /usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/WebKitNetworkProcess -> /usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/WebKitNetworkProcess
        /usr/lib/postgresql/15/bin/postgres -> /usr/lib/postgresql/15/bin/postgres
        /usr/lib/jvm/java-17-openjdk-amd64/bin/java -> /usr/lib/jvm/java-17-openjdk-amd64/bin/java
        /opt/7zip/7zz -> /opt/7zip/7zz
        /opt/v2/app -> /opt/v2/app
        /srv/10.0.0.5/bin/probe -> /srv/10.0.0.5/bin/probe
        /home/1.2.3/bin/tool -> /home/1.2.3/bin/tool
        /srv/releases/current/run -> /srv/releases/current/run
        /snap/bin -> /snap/bin
        /nix/store/short-name-1/bin/x -> /nix/store/short-name-1/bin/x
        / -> /
        relative/1.2.3/x -> relative/1.2.3/x
        kernel:kworker -> kernel:kworker
    ",
    );
    assert_eq!(folded(""), "");
}

#[test]
fn a_file_that_is_being_replaced_is_the_file() {
    for name in [
        "/usr/sbin/nginx (deleted)",
        "/usr/sbin/nginx.dpkg-new",
        "/usr/sbin/nginx.dpkg-tmp (deleted)",
        "/usr/sbin/nginx;5f3e2a1b",
        "/usr/sbin/nginx;5f3e2a1b (deleted)",
    ] {
        assert_eq!(folded(name), "/usr/sbin/nginx");
    }
    for name in ["/usr/sbin/.dpkg-new", "/usr/sbin/a;b", "/srv/x/;5f3e2a1b"] {
        assert_eq!(folded(name), name);
    }
}

#[test]
fn each_layout_stands_in_the_table_once() {
    let paths: BTreeSet<&str> = layouts().iter().map(|layout| layout.path).collect();
    assert_eq!(paths.len(), layouts().len());
    assert!(paths.iter().all(|path| path.starts_with(['/', '*'])));
}

/// Directories with a place for a version, and programs in them.
const PLACES: [&str; 9] = [
    "/opt/{p}-{v}/bin",
    "/opt/{p}/{v}",
    "/usr/lib/{p}-{v}/libexec",
    "/home/al/.nvm/versions/node/v{v}/bin",
    "/home/al/.local/share/mise/installs/{p}/{v}/bin",
    "/home/linuxbrew/.linuxbrew/Cellar/{p}/{v}/bin",
    "/nix/store/0c4n0qjvx4q8b0nrzqi2h8w3sd3a8dgq-{p}-{v}/bin",
    "/home/al/.cache/JetBrains/RemoteDev/dist/0a1b_{p}-{v}/bin",
    "/snap/{p}/{v}/bin",
];

fn path_of(place: &str, package: &str, version: &str, program: &str) -> String {
    let place = place.replace("{p}", package).replace("{v}", version);
    format!("{place}/{program}")
}

proptest! {
    #[test]
    fn folding_twice_changes_nothing_more(path in "(/(snap|nix|store|bin|versions|node|releases|cli|servers|Stable-|\\.mount_|Cellar|v?[0-9]{1,3}(\\.[0-9]{1,3}){0,3}|-|_|@|\\*|rc1|[0-9a-f]{7,9}|;[0-9a-f]{8}|\\.dpkg-new| \\(deleted\\)|\\.jar|é|\\PC){0,4}){0,7}") {
        let once = folded(&path);
        prop_assert_eq!(folded(&once), once);
    }

    #[test]
    fn two_versions_fold_alike(
        place in select(PLACES.to_vec()),
        one in "[1-9][0-9]?\\.[0-9]{1,2}\\.[0-9]{1,3}",
        other in "[1-9][0-9]?\\.[0-9]{1,2}\\.[0-9]{1,3}(-[1-9]|rc1|-beta\\.2)?",
    ) {
        let of = |version: &str| folded(&path_of(place, "tool", version, "run"));
        prop_assert_eq!(of(&one), of(&other));
    }

    #[test]
    fn two_programs_never_fold_together(
        place in select(PLACES.to_vec()),
        one in "[a-z][a-z-]{0,8}",
        other in "[a-z][a-z-]{0,8}",
    ) {
        let of = |program: &str| folded(&path_of(place, "tool", "1.2.3", program));
        prop_assert_eq!(of(&one) == of(&other), one == other);
    }
}
