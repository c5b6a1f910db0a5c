//! Who: the application that a process image stands for.
//!
//! Everything but [`facts`] is pure, so that the mapping can be computed again from what was
//! stored whenever these rules change.

mod context;
pub mod facts;
mod program;
mod reasons;
mod redact;
mod run;
mod script;

pub use context::{ContainerId, container_on, slice_uid_of};
pub use program::{Layout, layouts};
pub use reasons::reasons_of;
pub use redact::{redact_argv, redact_line};
pub use run::{job_daemon_of, run_of};
pub use script::{is_interpreter, script_file_of};

use crate::model::{Application, RawIdentity};

/// Version of the rules by which [`application_of`] maps; a store that was mapped by others is
/// mapped again.
pub const RULES_VERSION: u32 = 2;

/// The application that a raw identity stands for.
pub fn application_of(raw: &RawIdentity) -> Application {
    let context = context::context_of(raw);
    let program = match raw.exe.as_deref() {
        None | Some("") => Application::NO_PROCESS.to_owned(),
        // A container's files are its own by nature; its context says so already.
        Some(path) if raw.is_foreign && !context.is_container() => {
            format!("foreign:{}", program::folded(path))
        }
        // Its name is what the program chose; there is no path to fold.
        Some(path) if raw.is_memfd => path.to_owned(),
        Some(path) => program::folded(path),
    };
    Application {
        context,
        program,
        script: raw.stated_script.clone().or_else(|| script::script_of(raw)),
    }
}

#[cfg(test)]
mod tests {
    use super::{RULES_VERSION, application_of, context, program, script};
    use crate::model::RawIdentity;

    fn text_of(raw: RawIdentity) -> String {
        application_of(&raw).to_string()
    }

    #[test]
    fn tables_that_change_bear_a_new_version() {
        let tables = format!(
            "{:?}{:?}{:?}{:?}",
            context::JOB_UNITS,
            context::LOGIN_UNITS,
            program::layouts(),
            script::LANGUAGES
        );
        // Whoever changes a table raises the version once for each release, so that stores are mapped
        // anew, and writes down the new digest.
        assert_eq!(
            (RULES_VERSION, script::digest_of(&tables)),
            (2, 1_876_506_975),
            "the tables have changed: so must the version"
        );
    }

    #[test]
    fn another_file_under_a_path_of_the_host_is_foreign() {
        let raw = RawIdentity {
            exe: Some("/usr/bin/apt".to_owned()),
            is_foreign: true,
            cgroup_path: Some("/user.slice/user-1000.slice/session-4.scope".to_owned()),
            slice_user: Some("alice".to_owned()),
            ..RawIdentity::default()
        };
        assert_eq!(text_of(raw), "session:alice foreign:/usr/bin/apt");
    }

    #[test]
    fn files_of_a_container_are_not_called_foreign() {
        let raw = RawIdentity {
            exe: Some("/usr/bin/apt".to_owned()),
            is_foreign: true,
            cgroup_path: Some(format!("/system.slice/docker-{}.scope", "ab".repeat(32))),
            ..RawIdentity::default()
        };
        assert_eq!(text_of(raw), "container:docker/abababababab /usr/bin/apt");
    }

    #[test]
    fn a_kernel_thread_is_the_kernel_whatever_its_cgroup() {
        let raw = RawIdentity {
            exe: Some("kernel:kworker/0:1".to_owned()),
            cgroup_path: Some("/system.slice/nfs-server.service".to_owned()),
            ..RawIdentity::default()
        };
        assert_eq!(text_of(raw), "kernel kernel:kworker/0:1");
    }

    #[test]
    fn what_an_import_states_is_passed_on() {
        let raw = RawIdentity {
            stated_context: Some("unit:backup.service".to_owned()),
            stated_script: Some("/opt/push.py".to_owned()),
            ..RawIdentity::default()
        };
        assert_eq!(
            text_of(raw),
            "unit:backup.service (no process) /opt/push.py"
        );
    }

    #[test]
    fn an_identity_of_which_nothing_is_known_has_an_application_too() {
        assert_eq!(text_of(RawIdentity::default()), "none (no process)");
    }
}
