//! What a container is called: by what is the same for the next one that takes its place.

use super::container::Called;
use crate::model::{ContainerFacts, PodFacts};

/// `NAMESPACE/NAME/CONTAINER` of a pod; its node's name is no part of it.
pub(super) fn name_of_pod(pod: &PodFacts, host: &str) -> String {
    let name = workload_of(&pod.name, host);
    match &pod.container {
        Some(container) => format!("{}/{name}/{container}", pod.namespace),
        None => format!("{}/{name}", pod.namespace),
    }
}

/// The service, the name that somebody gave it, or the image; of an unknown one what its cgroup
/// says.
pub(super) fn name_of_container(called: &Called, facts: Option<&ContainerFacts>) -> String {
    let told = facts.and_then(|facts| {
        let given = facts.name.as_deref().filter(|name| !is_made_up(name));
        let service = facts.service.clone();
        service
            .or_else(|| given.map(|name| without_uuid(name).to_owned()))
            .or_else(|| facts.image.as_deref().and_then(repository_of))
            .or_else(|| facts.name.clone())
    });
    told.unwrap_or_else(|| called.short().to_owned())
}

/// The letters and digits that Kubernetes makes random names of: no vowels, and nothing that looks
/// like another.
const RANDOM: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// `web-7d4b9c6f5d-x2x9z` → `web`, `backup-28391040-fx9zt` → `backup`, `db-0` → `db`,
/// `etcd-node1` → `etcd` on node1.
fn workload_of(name: &str, host: &str) -> String {
    const SUFFIX: usize = 5;
    const LONGEST_HASH: usize = 10;
    let is_random = |text: &str| text.bytes().all(|byte| RANDOM.contains(&byte));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let host = host.split('.').next().unwrap_or(host);
    if !host.is_empty()
        && let Some(rest) = name.strip_suffix(host)
        && let Some(rest) = rest.strip_suffix('-')
        && !rest.is_empty()
    {
        return rest.to_owned();
    }
    let Some((rest, last)) = name.rsplit_once('-').filter(|(rest, _)| !rest.is_empty()) else {
        return name.to_owned();
    };
    if !last.is_empty() && is_number(last) && last.len() < SUFFIX {
        return rest.to_owned();
    }
    if last.len() != SUFFIX || !is_random(last) {
        return name.to_owned();
    }
    // What a Deployment or a CronJob puts between its own name and that of the pod.
    match rest.rsplit_once('-') {
        Some((owner, hash))
            if !owner.is_empty()
                && (SUFFIX + 1..=LONGEST_HASH).contains(&hash.len())
                && (is_random(hash) || is_number(hash)) =>
        {
            owner.to_owned()
        }
        _ => rest.to_owned(),
    }
}

/// `docker.io/library/nginx:1.25@sha256:…` → `nginx`: a tag changes with each version.
fn repository_of(image: &str) -> Option<String> {
    let image = image.split('@').next().unwrap_or(image);
    let image = image
        .strip_prefix("docker.io/library/")
        .or_else(|| image.strip_prefix("docker.io/"))
        .unwrap_or(image);
    // A colon before a slash is that of a port.
    let tag = image.rfind('/').unwrap_or(0);
    let repository = match image[tag..].find(':') {
        Some(colon) => &image[..tag + colon],
        None => image,
    };
    let is_id = repository.len() >= 12 && repository.bytes().all(|byte| byte.is_ascii_hexdigit());
    (!repository.is_empty() && repository != "sha256" && !is_id).then(|| repository.to_owned())
}

/// Nomad names `TASK-ALLOCATION`.
fn without_uuid(name: &str) -> &str {
    const LENGTHS: [usize; 5] = [12, 4, 4, 4, 8];
    let mut rest = name;
    for length in LENGTHS {
        match rest.rsplit_once('-') {
            Some((before, part))
                if part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
            {
                rest = before;
            }
            _ => return name,
        }
    }
    if rest.is_empty() { name } else { rest }
}

/// Whether Docker or Podman made the name up, as `quirky_hopper` or `quirky_hopper7`.
fn is_made_up(name: &str) -> bool {
    let Some((first, second)) = name.split_once('_') else {
        return false;
    };
    let second = second.trim_end_matches(|last: char| last.is_ascii_digit());
    let is_word = !second.is_empty() && second.bytes().all(|byte| byte.is_ascii_lowercase());
    is_word && ADJECTIVES.binary_search(&first).is_ok()
}

/// The first words of the names that `docker/pkg/namesgenerator` makes; Podman has the same.
const ADJECTIVES: [&str; 108] = [
    "admiring",
    "adoring",
    "affectionate",
    "agitated",
    "amazing",
    "angry",
    "awesome",
    "beautiful",
    "blissful",
    "bold",
    "boring",
    "brave",
    "busy",
    "charming",
    "clever",
    "compassionate",
    "competent",
    "condescending",
    "confident",
    "cool",
    "cranky",
    "crazy",
    "dazzling",
    "determined",
    "distracted",
    "dreamy",
    "eager",
    "ecstatic",
    "elastic",
    "elated",
    "elegant",
    "eloquent",
    "epic",
    "exciting",
    "fervent",
    "festive",
    "flamboyant",
    "focused",
    "friendly",
    "frosty",
    "funny",
    "gallant",
    "gifted",
    "goofy",
    "gracious",
    "great",
    "happy",
    "hardcore",
    "heuristic",
    "hopeful",
    "hungry",
    "infallible",
    "inspiring",
    "intelligent",
    "interesting",
    "jolly",
    "jovial",
    "keen",
    "kind",
    "laughing",
    "loving",
    "lucid",
    "magical",
    "modest",
    "musing",
    "mystifying",
    "naughty",
    "nervous",
    "nice",
    "nifty",
    "nostalgic",
    "objective",
    "optimistic",
    "peaceful",
    "pedantic",
    "pensive",
    "practical",
    "priceless",
    "quirky",
    "quizzical",
    "recursing",
    "relaxed",
    "reverent",
    "romantic",
    "sad",
    "serene",
    "sharp",
    "silly",
    "sleepy",
    "stoic",
    "strange",
    "stupefied",
    "suspicious",
    "sweet",
    "tender",
    "thirsty",
    "trusting",
    "unruffled",
    "upbeat",
    "vibrant",
    "vigilant",
    "vigorous",
    "wizardly",
    "wonderful",
    "xenodochial",
    "youthful",
    "zealous",
    "zen",
];

#[cfg(test)]
mod tests {
    use super::{ADJECTIVES, is_made_up, name_of_container, repository_of, workload_of};
    use crate::{identity::context::container::Called, model::ContainerFacts};

    #[test]
    fn pods_bear_the_name_of_their_workload() {
        for (pod, workload) in [
            ("web-7d4b9c6f5d-x2x9z", "web"),
            ("web-shop-66b6c48dd5-8bnlz", "web-shop"),
            ("node-exporter-bq2xk", "node-exporter"),
            ("backup-28391040-fx9zt", "backup"),
            ("backup-1700000000-fx9zt", "backup"),
            ("db-0", "db"),
            ("db-primary-12", "db-primary"),
            ("etcd-node1", "etcd"),
            ("kube-apiserver-node1", "kube-apiserver"),
            ("my-nginx", "my-nginx"),
            ("toolbox", "toolbox"),
            ("node1", "node1"),
            ("-", "-"),
            ("", ""),
        ] {
            assert_eq!(workload_of(pod, "node1.example.net"), workload, "{pod}");
        }
    }

    #[test]
    fn images_are_known_without_tag_and_digest() {
        for (image, repository) in [
            ("nginx", Some("nginx")),
            ("nginx:1.25", Some("nginx")),
            ("docker.io/library/nginx:1.25@sha256:0a1b", Some("nginx")),
            ("docker.io/grafana/grafana:10", Some("grafana/grafana")),
            (
                "registry.example.net:5000/shop/api:v3",
                Some("registry.example.net:5000/shop/api"),
            ),
            (
                "registry.example.net:5000/shop/api",
                Some("registry.example.net:5000/shop/api"),
            ),
            ("sha256:0a1b2c", None),
            ("0a1b2c3d4e5f", None),
            ("", None),
        ] {
            assert_eq!(repository_of(image).as_deref(), repository, "{image}");
        }
    }

    #[test]
    fn names_that_engines_make_up_are_no_names() {
        for name in ["quirky_hopper", "zen_wing7", "wonderful_torvalds"] {
            assert!(is_made_up(name), "{name}");
        }
        for name in [
            "web",
            "shop_api",
            "happy",
            "happy_",
            "my_quirky_web",
            "zen_Hopper",
        ] {
            assert!(!is_made_up(name), "{name}");
        }
        assert!(ADJECTIVES.is_sorted());
    }

    #[test]
    fn what_outlives_a_container_names_it() {
        let called = Called::Id("0123456789ab".repeat(6));
        let name = |name: Option<&str>, image: Option<&str>, service: Option<&str>| {
            let facts = ContainerFacts {
                name: name.map(str::to_owned),
                image: image.map(str::to_owned),
                service: service.map(str::to_owned),
                pod: None,
            };
            name_of_container(&called, Some(&facts))
        };
        assert_eq!(
            name(Some("shop-api-1"), Some("api:2"), Some("shop/api")),
            "shop/api"
        );
        assert_eq!(name(Some("proxy"), Some("nginx:1"), None), "proxy");
        assert_eq!(name(Some("quirky_hopper"), Some("nginx:1"), None), "nginx");
        assert_eq!(name(Some("quirky_hopper"), None, None), "quirky_hopper");
        assert_eq!(
            name(
                Some("poll-0c2b8fca-2f6d-4f4e-9d38-3b7c1d1a2b3c"),
                None,
                None
            ),
            "poll"
        );
        assert_eq!(name(None, None, None), "0123456789ab");
        assert_eq!(name_of_container(&called, None), "0123456789ab");
    }
}
