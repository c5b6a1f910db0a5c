//! What destinations are marked with: shared addresses, and flows that hide the server that is meant.

use egress_baseline::store::{Recorder, Retention};
use serde_json::Value;

use crate::{support_cli::Place, support_store::number};

/// Two services at one address under two names, one of them at another address too; a third without a
/// name; a proxy, and a name beside an encrypted one.
const FLOWS: &str = r#"{"ts":"2026-11-20T06:00:00Z","host":"web1","exe":"/usr/bin/pull","context":"unit:pull.service","proto":"tcp","dst_ip":"192.0.2.80","dst_port":443,"dst_name":"a.example.org","name_source":"dns_answer","state":"established"}
{"ts":"2026-11-20T06:01:00Z","host":"web1","exe":"/usr/bin/pull","context":"unit:pull.service","proto":"tcp","dst_ip":"192.0.2.81","dst_port":443,"dst_name":"a.example.org","name_source":"dns_answer","state":"established"}
{"ts":"2026-11-20T07:00:00Z","host":"web1","exe":"/usr/bin/push","context":"unit:push.service","proto":"tcp","dst_ip":"192.0.2.80","dst_port":443,"dst_name":"b.example.org","name_source":"outer_server_name","opening":"encrypted_client_hello","state":"established"}
{"ts":"2026-11-20T08:00:00Z","host":"web1","exe":"/usr/bin/poke","context":"none","proto":"tcp","dst_ip":"192.0.2.80","dst_port":443,"state":"established"}
{"ts":"2026-11-22T09:00:00Z","host":"web1","exe":"/usr/bin/late","context":"none","proto":"tcp","dst_ip":"192.0.2.81","dst_port":443,"dst_name":"c.example.org","name_source":"dns_answer","state":"established"}
{"ts":"2026-11-22T09:00:00Z","host":"web1","exe":"/usr/bin/late","context":"none","proto":"tcp","dst_ip":"192.0.2.90","dst_port":3128,"dst_name":"proxy.example.org","name_source":"host_dns_answer","opening":"proxy","state":"established"}
{"ts":"2026-11-22T09:00:00Z","host":"web2","exe":"/usr/bin/other","context":"none","proto":"tcp","dst_ip":"192.0.2.90","dst_port":443,"dst_name":"d.example.org","name_source":"dns_answer","state":"established"}
"#;

fn report(place: &Place, arguments: &[&str]) -> Value {
    let mut all = vec!["report", "--format", "json"];
    all.extend(arguments);
    serde_json::from_str(&place.run(&all).told()).expect("the document is JSON")
}

/// Name or address, number of names, and openings of each destination.
fn marks(report: &Value) -> Vec<(String, Value, Value)> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    list(&report["hosts"])
        .iter()
        .flat_map(|host| list(&host["applications"]))
        .flat_map(|application| list(&application["destinations"]))
        .map(|one| {
            let name = one["name"].as_str().or(one["address"].as_str());
            let name = name.unwrap_or_default().to_owned();
            (name, one["shared_names"].clone(), one["openings"].clone())
        })
        .collect()
}

#[test]
fn an_address_with_several_names_is_shared_and_who_reached_which_is_told() {
    let place = Place::with(FLOWS);
    let report = report(&place, &["--until", "2026-11-21"]);
    let none = || Value::Array(Vec::new());
    let encrypted = serde_json::json!(["encrypted_client_hello"]);
    assert_eq!(
        marks(&report),
        [
            ("192.0.2.80".to_owned(), 2.into(), none()),
            ("a.example.org".to_owned(), 2.into(), none()),
            ("b.example.org".to_owned(), 2.into(), encrypted),
        ]
    );
    let shared = &report["hosts"][0]["shared_addresses"];
    let who = |context: &str, program: &str| serde_json::json!([{"context": context, "program": program, "script": null}]);
    assert_eq!(
        *shared,
        serde_json::json!([{
            "address": "192.0.2.80",
            "names": [
                {"name": "a.example.org", "applications": who("unit:pull.service", "/usr/bin/pull")},
                {"name": "b.example.org", "applications": who("unit:push.service", "/usr/bin/push")},
            ],
            "without_name": who("none", "/usr/bin/poke"),
        }])
    );
}

#[test]
fn who_is_left_out_of_the_report_shares_an_address_all_the_same() {
    let place = Place::with(FLOWS);
    let report = report(&place, &["--application", "unit:pull*"]);
    assert_eq!(marks(&report)[0].1, 2);
    let shared = &report["hosts"][0]["shared_addresses"];
    let reached = |name: usize| &shared[0]["names"][name]["applications"][0]["program"];
    let names = [reached(0), reached(1)];
    assert_eq!(names, ["/usr/bin/pull", "/usr/bin/push"]);
}

#[test]
fn another_host_and_another_time_do_not_share() {
    let place = Place::with(FLOWS);
    let late = report(&place, &["--since", "2026-11-21"]);
    for (name, shared, _) in marks(&late) {
        assert_eq!(shared, Value::Null, "{name}");
    }
    // Over the whole time both addresses of the first name are shared.
    let all = report(&place, &[]);
    let shared = all["hosts"][0]["shared_addresses"].as_array();
    assert_eq!(shared.map(Vec::len), Some(2));
    assert_eq!(all["hosts"][1]["shared_addresses"], serde_json::json!([]));
}

#[test]
fn the_text_says_what_is_shared_and_what_is_hidden() {
    let place = Place::with(FLOWS);
    let text = place.run(&["report", "--host", "web1"]).told();
    let said = [
        "  at shared addresses: a.example.org tcp/443",
        "  an encrypted ClientHello: the name may be that of a front: b.example.org tcp/443",
        "  a proxy is asked for another server, which is not read: proxy.example.org tcp/3128",
        "  named by a DNS answer to somebody on the host; who asked is not known: proxy.example.org tcp/3128",
        "Shared  2 addresses with several names: whoever allows one allows all its names; `--verbose` tells them",
    ];
    for line in said {
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    }
    let text = place.run(&["--verbose", "report", "--host", "web1"]).told();
    let shared: Vec<&str> = text
        .lines()
        .skip_while(|line| !line.starts_with("Shared"))
        .collect();
    insta::assert_snapshot!(shared.join("\n"), @r"
    Shared  2 addresses with several names: whoever allows one allows all its names
      192.0.2.80  2 names
        a.example.org  unit:pull.service /usr/bin/pull
        b.example.org  unit:push.service /usr/bin/push
        without a name  none /usr/bin/poke
      192.0.2.81  2 names
        a.example.org  unit:pull.service /usr/bin/pull
        c.example.org  none /usr/bin/late
    ");
}

#[test]
fn each_line_of_a_dump_tells_how_many_names_its_address_has_and_what_it_began_with() {
    let place = Place::with(FLOWS);
    let dump = place.run(&["dump"]).told();
    let lines: Vec<Value> = dump
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect();
    let numbers: Vec<_> = lines
        .iter()
        .map(|line| line["shared_names"].as_u64())
        .collect();
    let expected = [Some(2), Some(2), Some(2), Some(2), Some(2), None, None];
    assert_eq!(numbers, expected);
    assert_eq!(lines[2]["opening"], "encrypted_client_hello");
    assert_eq!(lines[2]["name_source"], "outer_server_name");
    assert_eq!(lines[5]["opening"], "proxy");
    // What is computed is not taken for what was recorded, and the rest survives.
    let copy = Place::with(&place.run(&["dump", "--all"]).told());
    assert_eq!(copy.run(&["dump"]).told().lines().count(), lines.len());
    let whole = copy.run(&["dump", "--all"]).told();
    assert!(whole.contains(r#""opening":"proxy""#) && !whole.contains("shared_names"));
}

#[test]
fn openings_go_with_their_flows() {
    let place = Place::with(FLOWS);
    let database = place.path().join("flows.db");
    let rows = |statement| number(&database, statement);
    assert_eq!(rows("SELECT COUNT(*) FROM flow_opening"), 2);
    let everything = Retention {
        detail_before: "2026-11-23T00:00:00Z".parse().ok(),
        max_bytes: None,
        rollups_before: None,
    };
    let mut recorder = Recorder::open(&database).expect("the store opens");
    recorder.prune(&everything).expect("the store is pruned");
    assert_eq!(rows("SELECT COUNT(*) FROM flow"), 0);
    assert_eq!(rows("SELECT COUNT(*) FROM flow_opening"), 0);
    // The name keeps its source in the sums.
    let report = report(&place, &["--to", "b.example.org"]);
    let source = &report["hosts"][0]["applications"][0]["destinations"][0]["name_source"];
    assert_eq!(*source, "outer_server_name");
}

#[test]
fn explanations_say_what_is_shared_and_what_is_hidden() {
    let place = Place::with(FLOWS);
    let application = place.run(&["explain", "/usr/bin/push"]).told();
    for line in [
        "  an encrypted ClientHello: the name may be that of a front: b.example.org tcp/443",
        "  at shared addresses: b.example.org tcp/443",
    ] {
        assert!(
            application.lines().any(|one| one == line),
            "{line}\n{application}"
        );
    }
    let flow_to = |name: &str| {
        let flows = place.run(&["dump"]).told();
        let flows = flows.lines().map(serde_json::from_str::<Value>);
        let mut flows = flows.map(|flow| flow.expect("each line is JSON"));
        let found = flows.find(|flow| flow["dst_name"] == name);
        let id = found.map(|flow| flow["flow_id"].as_str().map(str::to_owned));
        let id = id.flatten().expect("there is such a flow");
        place.run(&["explain", &id]).told()
    };
    let shared = flow_to("b.example.org");
    assert!(
        shared.contains("Begins with  an encrypted ClientHello: the name may be that of a front")
            && shared.contains("Shared       the address has several names"),
        "{shared}"
    );
    let alone = flow_to("proxy.example.org");
    assert!(
        alone.contains("Begins with  a proxy is asked for another server")
            && !alone.contains("the address has several names"),
        "{alone}"
    );
}
