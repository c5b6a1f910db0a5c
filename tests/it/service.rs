//! The unit as it is packaged, before systemd's own tools.

use std::{fs, process::Command};

/// What `systemd-analyze security` may say at most; `docs/service.md` states it.
const MOST_EXPOSED: f64 = 2.8;

fn analyze(arguments: &[&str]) -> (bool, String) {
    let output = Command::new("systemd-analyze")
        .args(arguments)
        .output()
        .expect("systemd-analyze is installed: `apt-get install systemd`");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

const UNIT: &str = "packaging/systemd/egress-baseline.service";

#[test]
fn systemd_understands_each_line_of_the_unit() {
    let place = tempfile::tempdir().expect("a directory");
    let copy = place.path().join("egress-baseline.service");
    // The program need not be installed where the tests run.
    let unit = fs::read_to_string(UNIT).expect("the unit");
    let program = env!("CARGO_BIN_EXE_egress-baseline");
    fs::write(&copy, unit.replace("/usr/bin/egress-baseline", program)).expect("a copy");
    let copy = copy.to_str().expect("UTF-8");
    let (is_sound, said) = analyze(&["verify", "--man=no", "--recursive-errors=no", copy]);
    assert!(is_sound && said.is_empty(), "{said}");

    fs::write(copy, unit.replace("WatchdogSec=", "WatchdogSeconds=")).expect("a copy");
    let (_, said) = analyze(&["verify", "--man=no", "--recursive-errors=no", copy]);
    assert!(said.contains("WatchdogSeconds"), "{said}");
}

#[test]
fn the_unit_is_as_little_exposed_as_the_page_says() {
    let (is_done, said) = analyze(&["security", "--no-pager", "--offline=true", UNIT]);
    let score: f64 = said
        .lines()
        .find(|line| line.contains("Overall exposure level"))
        .and_then(|line| line.split_whitespace().find_map(|word| word.parse().ok()))
        .expect("a score");
    assert!(is_done && score <= MOST_EXPOSED, "{said}");
    let page = fs::read_to_string("docs/service.md").expect("the page");
    assert!(
        page.contains(&format!("at most {MOST_EXPOSED}")),
        "it is {score}"
    );
}
