use super::{LONGEST_TEXT, script_of};
use crate::model::RawIdentity;
use proptest::{
    collection::vec,
    prelude::{prop_assert, prop_assert_eq, proptest},
    sample::select,
};

const EXECUTABLES: [(&str, &str); 22] = [
    ("python3", "/usr/bin/python3.11"),
    ("node", "/usr/bin/node"),
    ("deno", "/usr/local/bin/deno"),
    ("bun", "/root/.bun/bin/bun"),
    ("ruby", "/usr/bin/ruby3.1"),
    ("perl", "/usr/bin/perl"),
    ("php", "/usr/bin/php8.2"),
    ("php-fpm", "/usr/sbin/php-fpm8.2"),
    ("sh", "/usr/bin/dash"),
    ("bash", "/usr/bin/bash"),
    ("fish", "/usr/bin/fish"),
    ("java", "/usr/lib/jvm/java-17-openjdk-amd64/bin/java"),
    ("dotnet", "/usr/lib/dotnet/dotnet"),
    ("mono", "/usr/bin/mono-sgen"),
    ("lua", "/usr/bin/lua5.4"),
    ("tclsh", "/usr/bin/tclsh8.6"),
    ("R", "/usr/lib/R/bin/exec/R"),
    ("awk", "/usr/bin/mawk"),
    ("busybox", "/bin/busybox"),
    ("pwsh", "/opt/microsoft/powershell/7/pwsh"),
    ("ld.so", "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
    ("qemu-aarch64", "/usr/bin/qemu-aarch64-static"),
];

fn script(exe: &str, argv: &[&str], directory: Option<&str>) -> Option<String> {
    script_of(&RawIdentity {
        exe: Some(exe.to_owned()),
        interpreter_argv: Some(argv.iter().map(|word| (*word).to_owned()).collect()),
        interpreter_directory: directory.map(str::to_owned),
        ..RawIdentity::default()
    })
}

/// Each line of `table` holds a command line, an arrow, and its script or `none`. The first word is
/// a name from the table above or a path; the working directory is `/srv/app`.
fn assert_scripts(table: &str) {
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (command, expected) = line.split_once(" -> ").unwrap();
        let argv = shlex::split(command).unwrap();
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let called = argv[0].rsplit('/').next().unwrap().trim_start_matches('-');
        let exe = EXECUTABLES
            .iter()
            .find(|(name, _)| called.starts_with(name))
            .map_or("/usr/bin/python3.11", |(_, exe)| *exe);
        let found = script(exe, &argv, Some("/srv/app"));
        assert_eq!(found.as_deref().unwrap_or("none"), expected, "{command}");
    }
}

#[test]
fn python_runs_files_modules_archives_and_texts() {
    assert_scripts(
        r#"
        python3 /opt/backup/push.py --all -> /opt/backup/push.py
        python3 push.py -> /srv/app/push.py
        python3 ../lib/./push.py -> /srv/lib/push.py
        python3 -u -W ignore -X utf8 push.py -c x -> /srv/app/push.py
        python3 -Wignore -Xdev -uB push.py -> /srv/app/push.py
        python3 --check-hash-based-pycs always push.py -> /srv/app/push.py
        python3 -m http.server 8000 -> -m http.server
        python3 -Im pip install x -> -m pip
        python3 -mpip download x -> -m pip
        python3 -c 'import  urllib.request; x()' -> -c import urllib.request; x()
        python3 tool.pyz sync -> /srv/app/tool.pyz
        python3 /srv/zipped/ -> /srv/zipped
        python3 - -> -
        python3 -- -odd.py -> /srv/app/-odd.py
        python3 /dev/fd/63 -> -
        python3 -> none
        python3 -i -> none
        python3 -W -> none
        python3 /usr/bin/pip3 download left-pad -> /usr/bin/pip3
        /usr/bin/python3 -sP /usr/bin/dnf update -> /usr/bin/dnf
        /usr/bin/python3 -Es /usr/sbin/tuned -l -P -> /usr/sbin/tuned
        python3 -bb -OO --help-all push.py -> /srv/app/push.py
        python3 -cimport\ this -> -c import this
        python3 /home/al/.ansible/tmp/ansible-tmp-1700000000.12-4711-235/AnsiballZ_apt.py -> /home/al/.ansible/tmp/ansible-tmp-*/AnsiballZ_apt.py
        /srv/shop/venv/bin/python3 -m gunicorn shop:app -> -m gunicorn in /srv/shop/venv
        venv/bin/python3 -m celery -A shop worker -> -m celery in /srv/app/venv
        /usr/bin/python3 -m gunicorn shop:app -> -m gunicorn
        /srv/shop/venv/bin/python3 /srv/shop/venv/bin/gunicorn shop:app -> /srv/shop/venv/bin/gunicorn
    "#,
    );
}

#[test]
fn node_deno_and_bun_run_files_and_tasks() {
    assert_scripts(
        r"
        node /srv/web/server.js --port 80 -> /srv/web/server.js
        node --require ./trace.js -r dotenv/config --max-old-space-size=4096 server.js -> /srv/app/server.js
        node --import=tsx --inspect=0.0.0.0:9229 src/main.ts -> /srv/app/src/main.ts
        node -e 'fetch(1)' -> -e fetch(1)
        node --eval='fetch(1)' -> -e fetch(1)
        node -p 'fetch(1)' -> -e fetch(1)
        node --test --watch server.js -> /srv/app/server.js
        node -C dev --disable-warning DEP0040 server.js -> /srv/app/server.js
        node /usr/lib/node_modules/npm/bin/npm-cli.js view left-pad -> /usr/lib/node_modules/npm/bin/npm-cli.js
        node -- server.js -> /srv/app/server.js
        node -> none
        node /home/al/.vscode-server/bin/0ee08df0cf4527e40edc9aa28f4b5bd38bbff2b2/out/server-main.js -> /home/al/.vscode-server/bin/*/out/server-main.js
        deno run --allow-net --config deno.json main.ts -> /srv/app/main.ts
        deno run -A https://example.net/x/mod.ts?token=1 -> https://example.net/x/mod.ts
        deno task build -> build
        deno eval 'fetch(1)' -> eval
        bun run src/index.ts -> /srv/app/src/index.ts
        bun --watch index.ts -> /srv/app/index.ts
        bun run dev -> dev
        bun install -> install
    ",
    );
}

#[test]
fn ruby_perl_and_php_run_files_and_texts() {
    assert_scripts(
        r"
        ruby -W0 -I lib -rjson bin/worker -> /srv/app/bin/worker
        ruby -ne 'puts 1' -> -e puts 1
        ruby /usr/local/bin/bundle exec sidekiq -> /usr/local/bin/bundle
        perl -w -I/opt/lib -MIO::Socket /opt/mon/check.pl -> /opt/mon/check.pl
        perl -MLWP::Simple -e 'getprint 1' -> -e getprint 1
        perl -0777ne 'print' -> -e print
        php artisan queue:work --tries=3 -> /srv/app/artisan
        php -d memory_limit=1G -f cron.php -> /srv/app/cron.php
        php -r 'file_get_contents(1);' -> -r file_get_contents(1);
        php -S 127.0.0.1:80 router.php -> /srv/app/router.php
        php /srv/shop/releases/20240105123000/worker.php -> /srv/shop/releases/*/worker.php
    ",
    );
}

#[test]
fn shells_run_files_and_texts() {
    assert_scripts(
        r"
        sh /etc/cron.daily/apt-compat -> /etc/cron.daily/apt-compat
        /bin/sh /var/lib/dpkg/info/man-db.postinst configure 2.11 -> /var/lib/dpkg/info/man-db.postinst
        /bin/sh /var/tmp/rpm-tmp.Ab12Cd 1 -> /var/tmp/rpm-tmp.*
        bash /usr/local/bin/deploy.sh -c x -> /usr/local/bin/deploy.sh
        sh -c -- 'a' -> -c a
        sh -c -> none
        sh -c '/usr/local/bin/backup --all >/dev/null 2>&1' -> -c /usr/local/bin/backup --all >/dev/null 2>&1
        sh -ec 'a; b' name -> -c a; b
        bash -lc 'a' -> -c a
        bash -c -x 'a' -> -c a
        bash -euo pipefail deploy.sh -> /srv/app/deploy.sh
        bash -o pipefail -c 'a | b' -> -c a | b
        bash +o posix deploy.sh -> /srv/app/deploy.sh
        bash --rcfile x --norc deploy.sh -> /srv/app/deploy.sh
        bash -s -- one two -> -
        bash -> none
        -bash -> none
        bash -i -> none
        fish -c 'a' -> -c a
        fish job.fish -> /srv/app/job.fish
    ",
    );
}

#[test]
fn java_and_dotnet_run_archives_classes_and_modules() {
    assert_scripts(
        r"
        java -Xmx1g -jar /srv/billing/billing-2.4.1.jar --x -> /srv/billing/billing-*.jar
        java -jar build/libs/app.jar -> /srv/app/build/libs/app.jar
        java -cp lib/*:conf -Dx=y com.example.Main arg -> com.example.Main
        java --class-path=lib com.example.Main -> com.example.Main
        java --module-path mods -m com.example/com.example.Main -> -m com.example/com.example.Main
        java --module com.example -> -m com.example
        java --add-opens java.base/java.lang=ALL-UNNAMED -jar a.jar -> /srv/app/a.jar
        java @/srv/app/java.args -> /srv/app/java.args
        java @conf/jvm.args -Da=b com.example.Main -> com.example.Main
        java @conf/jvm.args -cp lib com.example.Main -> com.example.Main
        java @conf/jvm.args -jar app.jar -> /srv/app/app.jar
        java @conf/jvm.args @conf/more.args -m shop/shop.Main -> -m shop/shop.Main
        java @conf/all.args start -> /srv/app/conf/all.args
        java -jar -> none
        java Hello.java -> /srv/app/Hello.java
        java -Dcatalina.base=/srv/shop -classpath b.jar org.apache.catalina.startup.Bootstrap start -> org.apache.catalina.startup.Bootstrap in /srv/shop
        java -version -> none
        dotnet Shop.Api.dll --urls x -> /srv/app/Shop.Api.dll
        dotnet exec --runtimeconfig a.json --depsfile b.json /srv/shop/Shop.dll -> /srv/shop/Shop.dll
        dotnet nuget push x -> nuget
        mono --debug app.exe -> /srv/app/app.exe
    ",
    );
}

#[test]
fn the_rest_is_a_line_of_a_table_each() {
    assert_scripts(
        r#"
        lua -l socket poll.lua -> /srv/app/poll.lua
        tclsh8.6 poll.tcl -> /srv/app/poll.tcl
        R --no-echo --no-restore --file=job.R --args x -> /srv/app/job.R
        R -e 'download.file(1)' -> -e download.file(1)
        awk -F : -v a=b '{ print $1 }' /etc/passwd -> -e { print $1 }
        awk -f poll.awk -> /srv/app/poll.awk
        pwsh -NoProfile -File job.ps1 -> /srv/app/job.ps1
        busybox wget http://192.0.2.1/ -> wget
        busybox sh -c 'nc 192.0.2.1 1' -> sh -c nc 192.0.2.1 1
        busybox -> none
        ld.so --library-path /opt/lib /opt/tool/bin/tool -x -> /opt/tool/bin/tool
        ld.so /usr/bin/python3 push.py -> /usr/bin/python3 /srv/app/push.py
        qemu-aarch64 -L /usr/aarch64 /usr/bin/apt update -> /usr/bin/apt
    "#,
    );
    let called = |argv: &[&str]| script("/bin/busybox", argv, Some("/root"));
    assert_eq!(called(&["/bin/wget", "x"]).as_deref(), Some("wget"));
    assert_eq!(called(&["-sh"]).as_deref(), Some("sh"));
    assert_eq!(called(&["sh", "a.sh"]).as_deref(), Some("sh /root/a.sh"));
}

#[test]
fn a_title_over_the_arguments_names_the_tool() {
    let node = |title: &str| script("/usr/bin/node", &[title, "", ""], None);
    assert_eq!(node("npm view left-pad").as_deref(), Some("npm"));
    assert_eq!(node("npm exec --token=x").as_deref(), Some("npm"));
    let ruby = |title: &str| script("/usr/bin/ruby3.1", &[title], None);
    assert_eq!(
        ruby("puma 6.4.0 (tcp://0.0.0.0:80) [shop]").as_deref(),
        Some("puma [shop]")
    );
    assert_eq!(
        ruby("puma: cluster worker 1: 4711 [shop]").as_deref(),
        Some("puma [shop]")
    );
    assert_eq!(
        ruby("sidekiq 7.1.0 shop [3 of 5 busy]").as_deref(),
        Some("sidekiq")
    );
    let python = |title: &str| script("/usr/bin/python3.11", &[title], None);
    assert_eq!(
        python("gunicorn: worker [shop]").as_deref(),
        Some("gunicorn [shop]")
    );
    assert_eq!(
        python("[celeryd: celery@web-1:MainProcess] -active- (worker -A shop)").as_deref(),
        Some("celeryd")
    );
    assert_eq!(python("python3"), None);
    assert_eq!(python("/srv/my app/venv/bin/python"), None);
    let fpm = |title: &str| script("/usr/sbin/php-fpm8.2", &[title], None);
    assert_eq!(fpm("php-fpm: pool www").as_deref(), Some("pool www"));
    assert_eq!(fpm("php-fpm: master process (/etc/php.conf)"), None);
}

/// Interpreters and arguments with a secret in them.
const SECRETS: [(&str, &[&str]); 14] = [
    (
        "/usr/bin/bash",
        &["bash", "-c", "curl -u bob:hunter2 https://x.example"],
    ),
    ("/usr/bin/bash", &["bash", "-c", "PGPASSWORD=hunter2 psql"]),
    (
        "/usr/bin/python3.11",
        &["python3", "-c", "get('https://bob:hunter2@x.example/')"],
    ),
    (
        "/usr/local/bin/deno",
        &["deno", "run", "https://bob:hunter2@x.example/mod.ts"],
    ),
    (
        "/usr/bin/node",
        &["node", "-e", "go({\"password\": \"hunter2\"})"],
    ),
    (
        "/usr/bin/python3.11",
        &["python3", "-c", "smtp.login('bob', 'hunter2')"],
    ),
    (
        "/usr/bin/python3.11",
        &[
            "python3",
            "-c",
            "requests.get(u, auth=(\"bob\", \"hunter2\"))",
        ],
    ),
    (
        "/usr/bin/python3.11",
        &["python3", "-chttp(auth=HTTPBasicAuth('bob', 'hunter2'))"],
    ),
    (
        "/usr/bin/perl",
        &[
            "perl",
            "-MNet::FTP",
            "-e",
            "$f->login('bob', q{x}, \"hunter2\")",
        ],
    ),
    (
        "/usr/bin/php8.2",
        &[
            "php",
            "-r",
            "new PDO($d, 'bob', 'x', ['password' => 'hunter2']);",
        ],
    ),
    (
        "/usr/bin/ruby3.1",
        &["ruby", "-e", "request.basic_auth 'bob', 'hunter2'"],
    ),
    (
        "/bin/busybox",
        &[
            "sh",
            "-c",
            "wget --header 'Authorization: Bearer hunter2' http://x.example/",
        ],
    ),
    (
        "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
        &["ld.so", "/usr/bin/bash", "-c", "mysql -phunter2 shop"],
    ),
    (
        "/usr/bin/awk",
        &["awk", "BEGIN { token = \"hunter2\"; getline }"],
    ),
];

#[test]
fn no_secret_gets_into_a_script() {
    for (exe, argv) in SECRETS {
        let found = script(exe, argv, None).unwrap();
        assert!(!found.contains("hunter2"), "{found}");
    }
}

#[test]
fn any_number_of_files_of_arguments_are_read_one_by_one() {
    let mut argv = vec!["java"];
    argv.resize(100_000, "@a");
    argv.push("com.example.Main");
    let java = "/usr/lib/jvm/java-17-openjdk-amd64/bin/java";
    assert_eq!(
        script(java, &argv, None).as_deref(),
        Some("com.example.Main")
    );
}

#[test]
fn without_a_directory_a_relative_path_stays_one() {
    let python = |path: &str| script("/usr/bin/python3.11", &["python3", path], None).unwrap();
    assert_eq!(python("./push.py"), "push.py");
    assert_eq!(python("../../push.py"), "../../push.py");
    assert_eq!(python("/../push.py"), "/push.py");
}

#[test]
fn long_texts_that_begin_alike_are_two_scripts() {
    let shell = |end: &str| {
        let text = format!("{}{end}", "é; ".repeat(200));
        script("/usr/bin/bash", &["bash", "-c", &text], None).unwrap()
    };
    assert_ne!(shell("a"), shell("b"));
    assert_eq!(shell("a"), shell("a"));
    assert!(shell("a").len() < LONGEST_TEXT + 20);
}

#[test]
fn what_is_no_interpreter_has_no_script() {
    assert_eq!(script("/usr/bin/curl", &["curl", "x.py"], None), None);
    assert_eq!(script("/usr/bin/python3.11", &[], None), None);
}

proptest! {
    #[test]
    fn any_arguments_have_at_most_one_script_and_it_is_short(
        (_, exe) in select(EXECUTABLES.to_vec()),
        argv in vec("(-{0,2}[cemIWXof]{0,3}=?|[a-z./]{0,8}|@|\\PC{0,300})", 0..6),
    ) {
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let found = script(exe, &argv, Some("/srv/app"));
        prop_assert_eq!(&found, &script(exe, &argv, Some("/srv/app")));
        prop_assert!(found.is_none_or(|found| !found.is_empty()));
    }

    #[test]
    fn two_scripts_of_one_interpreter_are_two(one in "[a-z]{1,9}", other in "[a-z]{1,9}") {
        let of = |name: &str| {
            let file = format!("/srv/{name}/run.py");
            script("/usr/bin/python3.11", &["python3", "-u", &file], None)
        };
        prop_assert_eq!(of(&one) == of(&other), one == other);
    }
}
