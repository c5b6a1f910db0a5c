use super::{REDACTED, redact_argv, redact_line};
use proptest::{
    collection::vec,
    prelude::{any, prop_assert, prop_assert_eq, proptest},
};

fn redacted(arguments: &[&str]) -> Vec<String> {
    let arguments: Vec<String> = arguments.iter().map(|&text| text.to_owned()).collect();
    redact_argv(&arguments)
}

/// Each line of `table` holds arguments between bars, an arrow, and what is to become of them.
fn assert_redacted(table: &str) {
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (arguments, expected) = line.split_once(" -> ").unwrap();
        let arguments: Vec<&str> = arguments.split('|').collect();
        let expected: Vec<&str> = expected.split('|').collect();
        assert_eq!(redacted(&arguments), expected, "{line}");
    }
}

#[test]
fn values_of_options_that_name_a_secret_go() {
    assert_redacted(
        r"
        x|--password|S3cr3t|host -> x|--password|[redacted]|host
        x|--password=S3cr3t;a&b c|host -> x|--password=[redacted]|host
        x|--db-password|/S3cr3t -> x|--db-password|[redacted]
        x|-password|S3cr3t -> x|-password|[redacted]
        x|--password|-S3cr3t -> x|--password|[redacted]
        x|--token|S3cr3t -> x|--token|[redacted]
        x|--authToken=S3cr3t -> x|--authToken=[redacted]
        x|--api-key|S3cr3t -> x|--api-key|[redacted]
        x|--APIKey=S3cr3t -> x|--APIKey=[redacted]
        x|--client-secret|S3cr3t -> x|--client-secret|[redacted]
        x|--secret-id=S3cr3t -> x|--secret-id=[redacted]
        x|-Djavax.net.ssl.keyStorePassword=S3cr3t -> x|-Djavax.net.ssl.keyStorePassword=[redacted]
        openssl|rsa|-passin|pass:S3cr3t -> openssl|rsa|-passin|[redacted]
        x|--oauth2-bearer|S3cr3t -> x|--oauth2-bearer|[redacted]
        aws|configure|set|aws_secret_access_key|S3cr3t -> aws|configure|set|aws_secret_access_key|[redacted]
        x|--private-key|S3cr3t -> x|--private-key|[redacted]
    ",
    );
}

#[test]
fn short_options_go_by_the_program() {
    assert_redacted(
        r"
        mysql|-uroot|-pS3cr3t|-P3306|shop -> mysql|-uroot|-p[redacted]|-P3306|shop
        sudo|/usr/bin/mysqldump|-pS3cr3t -> sudo|/usr/bin/mysqldump|-p[redacted]
        docker|exec|db|mariadb|-pS3cr3t -> docker|exec|db|mariadb|-p[redacted]
        sshpass|-p|S3cr3t|ssh|-p|22|h -> sshpass|-p|[redacted]|ssh|-p|[redacted]|h
        redis-cli|-a|S3cr3t|ping -> redis-cli|-a|[redacted]|ping
        ldapsearch|-x|-w|S3cr3t -> ldapsearch|-x|-w|[redacted]
        docker|login|-u|bob|-p|S3cr3t -> docker|login|-u|bob|-p|[redacted]
        docker|run|-p|8080:80|nginx -> docker|run|-p|8080:80|nginx
        nc|-p|8080 -> nc|-p|8080
        snmpwalk|-c|S3cr3t|h -> snmpwalk|-c|[redacted]|h
        nmcli|dev|wifi|connect|home|password|S3cr3t -> nmcli|dev|wifi|connect|home|password|[redacted]
        7z|x|-pS3cr3t|a.7z -> 7z|x|-p[redacted]|a.7z
    ",
    );
}

#[test]
fn logins_keep_the_user() {
    assert_redacted(
        r"
        curl|-u|bob:S3cr3t|https://h -> curl|-u|bob:[redacted]|https://h
        curl|-ubob:S3cr3t -> curl|-ubob:[redacted]
        curl|-sSu|bob:S3cr3t -> curl|-sSu|bob:[redacted]
        curl|--proxy-user=bob:S3cr3t -> curl|--proxy-user=bob:[redacted]
        smbclient|-U|bob%S3cr3t -> smbclient|-U|bob%[redacted]
        lftp|-u|bob,S3cr3t|h -> lftp|-u|bob,[redacted]|h
        docker|run|--user|1000:1000|x -> docker|run|--user|1000:1000|x
        sudo|-u|bob|id -> sudo|-u|bob|id
    ",
    );
}

#[test]
fn headers_and_bodies_keep_their_names() {
    assert_redacted(
        r#"
        curl|-H|Authorization: Bearer S3cr3t -> curl|-H|Authorization: Bearer [redacted]
        curl|-H|Authorization: Basic S3c r3t== -> curl|-H|Authorization: Basic [redacted]
        curl|-H|PRIVATE-TOKEN: S3cr3t -> curl|-H|PRIVATE-TOKEN: [redacted]
        curl|-HX-Api-Key:S3cr3t -> curl|-HX-Api-Key:[redacted]
        curl|-H|Cookie: sid=S3cr3t; b=S3cr3t -> curl|-H|Cookie: [redacted]
        curl|-b|sid=S3cr3t -> curl|-b|[redacted]
        curl|-d|{"user": "bob", "password": "S3\"cr3t", "n": 1} -> curl|-d|{"user": "bob", "password": "[redacted]", "n": 1}
        curl|-d|{\"token\":\"S3cr3t\",\"n\":1} -> curl|-d|{\"token\":\"[redacted]\",\"n\":1}
        curl|-d|user=bob&password=S3cr3t&n=1 -> curl|-d|user=bob&password=[redacted]&n=1
        x|Server=db;Password=S3cr3t;Database=shop -> x|Server=db;Password=[redacted];Database=shop
        psql|host=db password = S3cr3t user=bob -> psql|host=db password = [redacted] user=bob
        npm|config|set|//npm.example/:_authToken=S3cr3t -> npm|config|set|//npm.example/:_authToken=[redacted]
        curl|-H|Accept: text/html -> curl|-H|Accept: text/html
    "#,
    );
}

#[test]
fn assignments_go_in_every_form() {
    assert_redacted(
        r"
        env|PGPASSWORD=S3cr3t two|psql -> env|PGPASSWORD=[redacted]|psql
        docker|run|-e|MYSQL_ROOT_PASSWORD=S3cr3t&x -> docker|run|-e|MYSQL_ROOT_PASSWORD=[redacted]
        docker|run|--env=DB_PASS=S3cr3t,x -> docker|run|--env=DB_PASS=[redacted]
        sh|-c|export TOKEN=S3cr3t; curl -u bob:S3cr3t https://h/x -> sh|-c|export TOKEN=[redacted]; curl -u bob:[redacted] https://h/x
        sh|-c|TOKEN=S3cr3t curl h -> sh|-c|TOKEN=[redacted] curl h
        bash|-lc|mysql -h db -p'S3cr3t' shop -> bash|-lc|mysql -h db '-p[redacted]' shop
        ssh|h|sh -c 'redis-cli -a S3cr3t ping' -> ssh|h|sh -c 'redis-cli -a [redacted] ping'
    ",
    );
}

#[test]
fn texts_go_that_a_program_logs_in_with() {
    assert_redacted(
        r#"
        python3|-c|smtp.login('bob', 'S3cr3t'); go('x') -> python3|-c|smtp.login('[redacted]', '[redacted]'); go('x')
        python3|-c|get(u, auth=("bob", "S3cr3t"), data="x") -> python3|-c|get(u, auth=("[redacted]", "[redacted]"), data="x")
        python3|-c|get(HTTPBasicAuth(f('bob'), 'S3cr3t')).text -> python3|-c|get(HTTPBasicAuth(f('[redacted]'), '[redacted]')).text
        ruby|-e|request.basic_auth 'bob', 'S3cr3t'; x 'y' -> ruby|-e|request.basic_auth '[redacted]', '[redacted]'; x 'y'
        python3|-c|x.login('bob', 'S3cr3t -> python3|-c|x.login('[redacted]', '[redacted]
        gcloud|auth|login -> gcloud|auth|login
        python3|-c|oauth.start('x') -> python3|-c|oauth.start('x')
    "#,
    );
    let nested = redacted(&["sh", "-c", r#"python3 -c "x.login(\"bob\", \"S3cr3t\")""#]);
    assert!(!nested[2].contains("S3cr3t"), "{nested:?}");
    let text = "x.login('bob', 'S3cr3t')";
    let quoted = shlex::try_join(["python3", "-c", text]).unwrap();
    for line in [format!("python3 -c {text}"), quoted] {
        let found = [
            redact_line(&line),
            redacted(&["sh", "-c", &line])[2].clone(),
        ];
        assert!(!found.concat().contains("S3cr3t"), "{found:?}");
    }
}

#[test]
fn urls_keep_scheme_user_host_and_path() {
    assert_redacted(
        r"
        git|clone|https://bob:S3cr3t@git.example/x.git -> git|clone|https://bob:[redacted]@git.example/x.git
        x|postgres://bob:S3/cr@3t@db:5432/shop?x=1 -> x|postgres://bob:[redacted]@db:5432/shop?x=1
        x|https://:S3cr3t@h -> x|https://:[redacted]@h
        x|https://ghp_0123456789abcdefghijABCDEFGHIJ@github.example/x -> x|https://[redacted]@github.example/x
        x|https://bob:S3cr3t-cut-off -> x|https://bob:[redacted]
        x|https://h/p?a=1&access_token=S3cr3t&b=2#f -> x|https://h/p?a=1&access_token=[redacted]&b=2#f
        x|https://h/p?key=S3cr3t&X-Amz-Signature=S3cr3t -> x|https://h/p?key=[redacted]&X-Amz-Signature=[redacted]
        x|https://hooks.slack.com/services/T0/B0/S3cr3t -> x|https://hooks.slack.com/services/[redacted]
        rsync|bob:S3cr3t@backup.example::data -> rsync|bob:[redacted]@backup.example::data
        x|ssh://git@h:22/x|http://[2001:db8::1]:80/a:b@c|git@h:x.git -> x|ssh://git@h:22/x|http://[2001:db8::1]:80/a:b@c|git@h:x.git
        docker|pull|nginx:1.25@sha256:0123456789abcdef -> docker|pull|nginx:1.25@sha256:0123456789abcdef
    ",
    );
}

#[test]
fn tokens_and_keys_go_by_their_shape() {
    for token in [
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_0123456789abcdefghijABCDEFGHIJ012345",
        "github_pat_0123456789abcdefghijABCDEFGHIJ",
        "glpat-0123456789abcdefghij",
        "xoxb-0123456789-abcdefghij",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "sk-proj-0123456789abcdefghij",
    ] {
        assert_eq!(redacted(&["x", token]), ["x", REDACTED]);
        assert_eq!(
            redacted(&["x", &format!("a/{token}?b")]),
            ["x", "a/[redacted]?b"]
        );
    }
    let key = "-----BEGIN RSA PRIVATE KEY-----\nS3cr3t\nS3cr3t\n-----END RSA PRIVATE KEY-----\n";
    assert_eq!(
        redacted(&["x", key])[1].trim_end(),
        "-----BEGIN RSA PRIVATE KEY-----[redacted]-----END RSA PRIVATE KEY-----"
    );
    let cut = "-----BEGIN PRIVATE KEY-----\nS3cr3t";
    assert_eq!(
        redacted(&["x", cut])[1],
        "-----BEGIN PRIVATE KEY-----[redacted]"
    );
}

#[test]
fn paths_and_plain_words_stay() {
    for line in [
        "cat /etc/passwd /run/secrets/token",
        "passwd root",
        "kubectl get secret shop-token",
        "vault kv get secret/shop",
        "docker run -v /etc/passwd:/etc/passwd:ro registry.example/token:latest",
        "x --password-file /run/secrets/db --token-url https://h/token --pass-file=/p",
        "x --ssh-key /home/bob/.ssh/id --private-key=/etc/ssl/k.pem --access-key ./k",
        "docker login --password-stdin -u bob",
        "ssh -o PasswordAuthentication=no -p 2222 host",
        "x --no-password host",
        "x --password --verbose",
        "x --password -h",
        "x --password=",
        "x --use-token=true",
        "tar -cf /tmp/x.tar --bypass y --compass z --passive",
        "find / -name *.key -user bob",
        "python3 /opt/sk-learn-models-for-everyone/train.py --max-tokens 100",
        "cargo build --message-format=json crate::token::parse",
        "nginx -g 'daemon off;'",
        "curl -fsSL https://deb.example.org:8443/a?b=c",
        "apt-get install -y ca-certificates",
    ] {
        assert_eq!(redact_line(line), line);
        let words: Vec<String> = shlex::split(line).unwrap();
        assert_eq!(redact_argv(&words), words);
    }
}

#[test]
fn lines_whose_quotes_were_lost_are_redacted_too() {
    for (line, expected) in [
        (
            "curl -H Authorization: Bearer S3cr3t https://h",
            "curl -H Authorization: Bearer [redacted] https://h",
        ),
        (
            "curl  -H 'X-Api-Key: S3cr3t'  h # -u a:b",
            "curl  -H 'X-Api-Key: [redacted]'  h # -u a:[redacted]",
        ),
        (
            "mysql --password=\"S3cr3t two\" db",
            "mysql '--password=[redacted]' db",
        ),
        (
            "mysql --password 'S3cr3t two",
            "mysql --password '[redacted]'",
        ),
        (
            "x -----BEGIN PRIVATE KEY----- S3cr3t S3cr3t",
            "x -----BEGIN PRIVATE KEY-----[redacted]",
        ),
    ] {
        assert_eq!(redact_line(line), expected);
    }
}

proptest! {
    #[test]
    fn any_arguments_keep_their_number_and_stay_bounded(arguments in vec("(--?password|=|token|:|@|://|'|\"|\\\\| |\\n|é|eyJ|-u|curl|\\PC){0,12}", 0..6)) {
        let redacted = redact_argv(&arguments);
        prop_assert_eq!(redacted.len(), arguments.len());
        let length = |list: &[String]| list.iter().map(String::len).sum::<usize>();
        prop_assert!(length(&redacted) <= 12 * (length(&arguments) + 1));
    }

    #[test]
    fn a_secret_of_any_spelling_goes_with_its_option(secret in "[^-=>\\s][\\s\\S]{7,40}") {
        let arguments = ["x", "--password", &secret].map(str::to_owned);
        prop_assert!(redact_argv(&arguments)[2] == REDACTED);
        let joined = redact_argv(&["x".to_owned(), format!("--password={secret}")]);
        prop_assert_eq!(&joined[1], "--password=[redacted]");
    }

    #[test]
    fn any_line_is_read(line in any::<String>()) {
        prop_assert!(redact_line(&line).len() <= 12 * (line.len() + 1));
    }
}
