//! The command line itself: help texts, and mistakes in using it.

use crate::support_cli::Place;

#[test]
fn the_help_names_every_command() {
    let help = Place::new().run(&["--help"]).told();
    insta::assert_snapshot!(help, @r"
    Learn what this host legitimately reaches, before its outbound firewall is closed

    Usage: egress-baseline [OPTIONS] <COMMAND>

    Commands:
      observe  Record outbound flows until stopped
      status   Show the observer's health, what was covered and what was lost
      doctor   Prove on this host that each kind of flow is seen
      report   Show what each application talks to
      explain  Show the observations behind an application or a flow
      dump     Write flows as NDJSON
      import   Read flows from NDJSON
      prune    Apply retention now
      help     Print this message or the help of the given subcommand(s)

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Options of every command:
          --db <PATH>
              Keep the flows in this database
              
              [default: /var/lib/egress-baseline/flows.db]

          --config <PATH>
              Read this configuration [default: /etc/egress-baseline/config.toml, if it is there]

          --color <WHEN>
              Colour the output

              Possible values:
              - auto:   On a terminal, unless NO_COLOR is set
              - always: Always
              - never:  Never
              
              [default: auto]

      -v, --verbose
              Say more

      -q, --quiet
              Say nothing on standard error but errors

    Exit status: 0 done, nothing to report; 1 done, and there is something; 2 could not do it; 3 cannot
    tell.
    ");
}

#[test]
fn every_command_has_a_help_text_in_the_imperative_without_a_period() {
    for command in [
        "observe", "status", "doctor", "report", "explain", "dump", "import", "prune",
    ] {
        let help = Place::new().run(&[command, "-h"]).told();
        let first = help.lines().next().expect("a line");
        assert!(
            first.starts_with(char::is_uppercase) && !first.ends_with('.'),
            "{first}"
        );
        assert!(
            help.contains(&format!("egress-baseline {command}")),
            "{help}"
        );
        // A doc comment that names the group of arguments is no help to anybody.
        assert!(!help.contains("Arguments of"), "{help}");
        assert!(!help.contains("Filters."), "{help}");
    }
}

#[test]
fn the_filters_are_explained() {
    insta::assert_snapshot!(Place::new().run(&["report", "-h"]).told(), @r"
    Show what each application talks to

    Usage: egress-baseline report [OPTIONS]

    Options:
          --since <TIME>        Begin at this time: RFC 3339, a date (UTC), or an age such as 24h or 7d
          --until <TIME>        End before this time
          --application <GLOB>  Take only applications whose text, context, program or script matches (*
                                and ? are wild)
          --to <PATTERN>        Take only destinations whose name or address matches (* and ? are wild)
          --host <NAME>         Take only what was observed on this host
          --except <A..B>       Leave out this window, such as 2026-11-20..2026-11-21 or 7d..6d (may be
                                repeated)
          --format <FORMAT>     Write it in this form [default: text] [possible values: text, json]
      -h, --help                Print help (see more with '--help')

    Options of every command:
          --db <PATH>      Keep the flows in this database [default: /var/lib/egress-baseline/flows.db]
          --config <PATH>  Read this configuration [default: /etc/egress-baseline/config.toml, if it is
                           there]
          --color <WHEN>   Colour the output [default: auto] [possible values: auto, always, never]
      -v, --verbose        Say more
      -q, --quiet          Say nothing on standard error but errors
    ");
}

#[test]
fn mistakes_in_the_arguments_end_with_status_2() {
    let place = Place::new();
    for arguments in [
        &[] as &[&str],
        &["frobnicate"],
        &["report", "--format", "yaml"],
        &["observe", "--for", "soon"],
        &["observe", "--flush-every", "0s"],
        &["import"],
        &["prune", "--detail-days", "-1"],
        &["-v", "-q", "status"],
    ] {
        assert_eq!(place.run(arguments).status, Some(2), "{arguments:?}");
    }
}
