//! Options that mean a secret in some programs and something else in others.

/// How one family of programs takes secrets.
struct Family {
    /// File names; one that ends in `*` stands for all that begin so.
    programs: &'static [&'static str],
    /// Options whose next word is the secret.
    separate: &'static [&'static str],
    /// Options that the secret is glued to.
    attached: &'static [&'static str],
    /// Without the word `login` the options mean something else.
    is_login_only: bool,
}

const FAMILIES: [Family; 19] = [
    family(&["mysql*", "mariadb*", "mycli"], &[], &["-p"]),
    family(&["sshpass", "rdesktop"], &["-p"], &["-p"]),
    family(&["mongo*"], &["-p"], &["-p"]),
    family(&["cqlsh", "useradd", "usermod"], &["-p"], &[]),
    family(&["redis-cli", "valkey-cli", "keydb-cli"], &["-a"], &[]),
    family(&["ldap*"], &["-w"], &["-w"]),
    family(&["plink", "pscp", "psftp", "putty"], &["-pw"], &[]),
    family(&["zip", "unzip"], &["-P"], &["-P"]),
    family(
        &["7z", "7za", "7zr", "7zz", "rar", "unrar"],
        &[],
        &["-p", "-hp"],
    ),
    family(&["snmp*"], &["-A", "-X", "-c"], &["-c"]),
    family(
        &["ipmitool", "mosquitto_pub", "mosquitto_sub"],
        &["-P"],
        &["-P"],
    ),
    family(&["sqlcmd", "bcp", "tsql"], &["-P"], &["-P"]),
    family(&["curl"], &["-b"], &["-u", "-U", "-b"]),
    family(&["openssl"], &["-k", "-K"], &[]),
    family(
        &["xfreerdp*", "wlfreerdp*", "sdl-freerdp*"],
        &[],
        &["/p:", "/gp:"],
    ),
    family(
        &["nmcli"],
        &["password", "wifi-sec.psk", "802-11-wireless-security.psk"],
        &[],
    ),
    family(&["ngrok"], &["authtoken", "add-authtoken"], &[]),
    Family {
        programs: &[
            "docker", "podman", "buildah", "skopeo", "nerdctl", "helm", "oc", "az",
        ],
        separate: &["-p"],
        attached: &[],
        is_login_only: true,
    },
    Family {
        programs: &["vault"],
        separate: &["login"],
        attached: &[],
        is_login_only: true,
    },
];

const fn family(
    programs: &'static [&'static str],
    separate: &'static [&'static str],
    attached: &'static [&'static str],
) -> Family {
    Family {
        programs,
        separate,
        attached,
        is_login_only: false,
    }
}

/// Options of many programs that take a user's name with the secret behind it.
const LOGIN_OPTIONS: [&str; 9] = [
    "--auth",
    "--cert",
    "--login",
    "--proxy-cert",
    "--proxy-user",
    "--user",
    "-E",
    "-U",
    "-u",
];

/// Whether `option` takes a user's name with the secret behind it.
pub(super) fn is_login_option(option: &str) -> bool {
    LOGIN_OPTIONS.contains(&option)
}

/// What the options of the program that was named last mean. The program need not be the first
/// word: `sudo mysql …`, `docker exec db mysql …`.
pub(super) struct Options {
    family: Option<&'static Family>,
    is_curl: bool,
    is_login: bool,
}

impl Options {
    /// Before any program was named in `words`.
    pub(super) fn of(words: &[String]) -> Self {
        Self {
            family: None,
            is_curl: false,
            is_login: words.iter().any(|word| word == "login"),
        }
    }

    /// Takes note of `word` if it names a program.
    pub(super) fn learn(&mut self, word: &str) {
        let name = word.rsplit('/').next().unwrap_or(word);
        let is_named = |program: &&str| match program.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == *program,
        };
        let found = FAMILIES.iter().find(|family| {
            (self.is_login || !family.is_login_only) && family.programs.iter().any(is_named)
        });
        if let Some(family) = found {
            self.family = Some(family);
            self.is_curl = name == "curl";
        }
    }

    /// Whether the word after `word` is a secret.
    pub(super) fn expects_secret_after(&self, word: &str) -> bool {
        self.family
            .is_some_and(|family| family.separate.contains(&word))
    }

    /// The option at the start of `word` that a secret is glued to.
    pub(super) fn attached_to(&self, word: &str) -> Option<&'static str> {
        self.family?
            .attached
            .iter()
            .find(|option| {
                word.len() > option.len() && word.starts_with(**option) && !word.starts_with("--")
            })
            .copied()
    }

    /// Whether `word` is a group of curl's short options that ends in one that takes a login:
    /// `-sSu`.
    pub(super) fn ends_in_login_option(&self, word: &str) -> bool {
        self.is_curl
            && !word.starts_with("--")
            && word.starts_with('-')
            && word.ends_with(['u', 'U'])
    }
}
