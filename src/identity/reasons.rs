//! Why an identity stands for its application: the rules by which [`super::application_of`] went.

use super::{application_of, context, program, script};
use crate::model::{ContainerFacts, Context, RawIdentity, Reason};

/// The rules that named each part of what `raw` stands for.
pub fn reasons_of(raw: &RawIdentity) -> Vec<Reason> {
    let application = application_of(raw);
    let mut reasons = vec![
        of_context(raw, &application.context),
        of_program(raw, &application.program),
    ];
    if let Some(script) = application.script {
        reasons.push(of_script(raw, script));
    }
    reasons
}

fn of_context(raw: &RawIdentity, named: &Context) -> Reason {
    let by_cgroup = || RawIdentity {
        job_daemon: None,
        login_user: None,
        ..raw.clone()
    };
    let by_ancestors = || RawIdentity {
        login_user: None,
        ..raw.clone()
    };
    let is_stated = |text: &String| !text.is_empty();
    let cgroup = raw.cgroup_path.iter().map(|path| format!("cgroup {path}"));
    let (rule, evidence) = if raw.stated_context.as_ref().is_some_and(is_stated) {
        ("stated by what was imported", Vec::new())
    } else if *named == Context::kernel() {
        ("made by the kernel itself", Vec::new())
    } else if *named == Context::none() {
        (
            "no unit, session, job or container: nothing tells more",
            cgroup.collect(),
        )
    } else if context::context_of(&by_cgroup()) == *named {
        let told = told_of_container(raw.container.as_ref().filter(|_| named.is_container()));
        (
            rule_of_cgroup(named, !told.is_empty()),
            cgroup.chain(told).collect(),
        )
    } else if context::context_of(&by_ancestors()) == *named {
        let daemon = raw.job_daemon.iter().map(|name| format!("ancestor {name}"));
        (
            "job by a daemon among its ancestors that starts jobs, and its user",
            daemon.chain(cgroup).collect(),
        )
    } else {
        let login = raw.login_user.iter().map(|user| format!("login {user}"));
        (
            "login session by the account that somebody logged in with (loginuid)",
            login.chain(cgroup).collect(),
        )
    };
    Reason {
        part: "context",
        value: named.to_string(),
        rule: rule.to_owned(),
        evidence,
    }
}

fn rule_of_cgroup(named: &Context, is_told: bool) -> &'static str {
    if named.is_container() && is_told {
        "container by its cgroup, called by what its engine wrote down"
    } else if named.is_container() {
        "container by its cgroup"
    } else if named.is_job() {
        "job by the cgroup of the daemon that starts jobs, and its user"
    } else if named.as_str().starts_with("session:") {
        "login session by its cgroup"
    } else {
        "unit by its cgroup"
    }
}

fn told_of_container(facts: Option<&ContainerFacts>) -> Vec<String> {
    let Some(facts) = facts else {
        return Vec::new();
    };
    let texts = [
        ("name", &facts.name),
        ("image", &facts.image),
        ("service", &facts.service),
    ];
    let pod = facts.pod.as_ref();
    texts
        .iter()
        .filter_map(|(what, text)| text.as_ref().map(|text| format!("{what} {text}")))
        .chain(pod.map(|pod| format!("pod {}/{}", pod.namespace, pod.name)))
        .collect()
}

fn of_program(raw: &RawIdentity, named: &str) -> Reason {
    let path = raw.exe.as_deref().filter(|path| !path.is_empty());
    let folds = path
        .filter(|_| !raw.is_memfd)
        .map(program::folds_of)
        .unwrap_or_default();
    let rule = match path {
        None => "no process is known".to_owned(),
        Some(path) if path.starts_with("kernel:") => "the kernel's own name for it".to_owned(),
        Some(_) if raw.is_memfd => "a file in memory, by the name that it was given".to_owned(),
        Some(_) => {
            let mut rule = match named.starts_with("foreign:") {
                true => "path in another mount namespace, and not the host's file there".to_owned(),
                false => "path of the executable".to_owned(),
            };
            for fold in &folds {
                rule.push_str(", ");
                rule.push_str(fold);
            }
            rule
        }
    };
    Reason {
        part: "program",
        value: named.to_owned(),
        rule,
        evidence: path
            .filter(|path| named.trim_start_matches("foreign:") != *path)
            .map(|path| format!("path {path}"))
            .into_iter()
            .collect(),
    }
}

fn of_script(raw: &RawIdentity, named: String) -> Reason {
    if raw.stated_script.is_some() {
        return Reason {
            part: "script",
            value: named,
            rule: "stated by what was imported".to_owned(),
            evidence: Vec::new(),
        };
    }
    let words = raw.interpreter_argv.as_deref().unwrap_or_default();
    let given = raw
        .exe
        .as_deref()
        .and_then(|exe| script::script_file_of(exe, words, raw.interpreter_directory.as_deref()));
    let mut rule = match &given {
        Some(_) => "file that the interpreter was given, by its arguments".to_owned(),
        None => "what the interpreter was given, by its arguments".to_owned(),
    };
    let is_relative = given
        .as_ref()
        .is_some_and(|path| !words.iter().any(|word| word.contains(path.as_str())));
    if is_relative {
        rule.push_str(" and its working directory");
    }
    let mut evidence = vec![format!("arguments {}", words.join(" "))];
    if is_relative {
        let directory = raw.interpreter_directory.iter();
        evidence.extend(directory.map(|directory| format!("directory {directory}")));
    }
    for fold in given.as_deref().map(program::folds_of).unwrap_or_default() {
        rule.push_str(", ");
        rule.push_str(&fold);
    }
    Reason {
        part: "script",
        value: named,
        rule,
        evidence,
    }
}

#[cfg(test)]
mod tests {
    use super::reasons_of;
    use crate::model::RawIdentity;

    /// Parts, rules and evidence as lines.
    fn told(raw: &RawIdentity) -> Vec<String> {
        reasons_of(raw)
            .into_iter()
            .map(|reason| {
                format!(
                    "{} {}: {} [{}]",
                    reason.part,
                    reason.value,
                    reason.rule,
                    reason.evidence.join("; ")
                )
            })
            .collect()
    }

    fn raw(exe: &str, cgroup: &str) -> RawIdentity {
        RawIdentity {
            exe: Some(exe.to_owned()),
            cgroup_path: Some(cgroup.to_owned()),
            uid: Some(1000),
            user: Some("alice".to_owned()),
            ..RawIdentity::default()
        }
    }

    #[test]
    fn a_unit_and_a_folded_path_are_told_with_their_rules() {
        assert_eq!(
            told(&raw(
                "/snap/firefox/1234/usr/lib/firefox",
                "/system.slice/a.service"
            )),
            [
                "context unit:a.service: unit by its cgroup [cgroup /system.slice/a.service]",
                "program /snap/firefox/*/usr/lib/firefox: path of the executable, folded as snap has \
                 it (/snap/+/*) [path /snap/firefox/1234/usr/lib/firefox]",
            ]
        );
    }

    #[test]
    fn a_job_and_a_session_name_what_told_them() {
        let job = RawIdentity {
            job_daemon: Some("crond".to_owned()),
            ..raw(
                "/usr/bin/curl",
                "/user.slice/user-1000.slice/session-3.scope",
            )
        };
        assert_eq!(
            told(&job)[0],
            "context cron:alice: job by a daemon among its ancestors that starts jobs, and its user \
             [ancestor crond; cgroup /user.slice/user-1000.slice/session-3.scope]"
        );
        let login = RawIdentity {
            login_user: Some("bob".to_owned()),
            ..raw("/usr/bin/curl", "/")
        };
        assert!(told(&login)[0].contains("(loginuid) [login bob; cgroup /]"));
        let cron = raw("/usr/bin/curl", "/system.slice/cron.service");
        assert!(told(&cron)[0].contains("job by the cgroup of the daemon"));
    }

    #[test]
    fn a_script_is_told_by_arguments_and_directory() {
        let script = RawIdentity {
            interpreter_argv: Some(vec!["python3".to_owned(), "push.py".to_owned()]),
            interpreter_directory: Some("/opt/backup".to_owned()),
            ..raw("/usr/bin/python3.11", "/system.slice/a.service")
        };
        assert_eq!(
            told(&script)[2],
            "script /opt/backup/push.py: file that the interpreter was given, by its arguments and \
             its working directory [arguments python3 push.py; directory /opt/backup]"
        );
    }
}
