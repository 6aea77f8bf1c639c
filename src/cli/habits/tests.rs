//! Some 200 words of five tools, and what each of them means or is answered.

use clap::{CommandFactory as _, Parser as _};

use super::words::WordPlace;
use super::*;
use crate::cli::args::Args;
use crate::cli::invocation::Invocation;

/// Returns what a command line means, or all that is said about it.
fn run(line: &str) -> std::result::Result<Invocation, String> {
    let words = ["s3fcp"].into_iter().chain(line.split_whitespace()).map(OsString::from);
    let words = translated(words).map_err(|error| error.to_string())?;
    match Args::try_parse_from(&words) {
        Ok(args) => Invocation::try_from(args).map_err(|error| error.to_string()),
        Err(refusal) => {
            Err(explained(refusal, &words, &Args::command())
                .map_or_else(|e| e.to_string(), |e| e.to_string()))
        }
    }
}

#[test]
fn words_of_other_tools_with_the_same_meaning_are_accepted() {
    for (theirs, ours) in [
        ("--no-progress s3://b/k", "-q s3://b/k"),
        ("--only-show-errors s3://b/k", "-q s3://b/k"),
        ("-s s3://b/k", "-q s3://b/k"),
        ("--silent s3://b/k", "-q s3://b/k"),
        ("--no-progress-meter s3://b/k", "-q s3://b/k"),
        ("--debug s3://b/k", "-vv s3://b/k"),
        ("-r 0-99 s3://b/k", "--range 0-99 s3://b/k"),
        ("--range bytes=0-99 s3://b/k", "--range 0-99 s3://b/k"),
        ("-r -500 s3://b/k", "--range=-500 s3://b/k"),
        ("--resume -o f s3://b/k", "--continue -o f s3://b/k"),
        ("-C - -o f s3://b/k", "--continue -o f s3://b/k"),
        ("--continue-at - -o f s3://b/k", "--continue -o f s3://b/k"),
        ("-C - -O s3://b/k", "--continue -o ./ s3://b/k"),
        ("--overwrite -o f s3://b/k", "--force -o f s3://b/k"),
        ("-O s3://b/a/k", "-o ./ s3://b/a/k"),
        ("--remote-name s3://b/a/k", "-o ./ s3://b/a/k"),
        ("-R -O s3://b/k", "--remote-time -o ./ s3://b/k"),
        ("-m 60 s3://b/k", "--max-time 60 s3://b/k"),
        ("--endpoint-url http://h s3://b/k", "--endpoint http://h s3://b/k"),
        ("--source-region eu-west-1 s3://b/k", "--region eu-west-1 s3://b/k"),
        ("--cacert c.pem s3://b/k", "--ca-bundle c.pem s3://b/k"),
        ("--ca-certificate c.pem s3://b/k", "--ca-bundle c.pem s3://b/k"),
        ("--part-size 8MiB s3://b/k", "--chunk-size 8MiB s3://b/k"),
        ("--request-payer s3://b/k", "--request-payer=requester s3://b/k"),
        ("--request-payer requester s3://b/k", "--request-payer=requester s3://b/k"),
        ("--s3-endpoint http://h s3://b/k", "--endpoint http://h s3://b/k"),
        ("--s3-region r s3://b/k", "--region r s3://b/k"),
        ("--s3-profile p s3://b/k", "--profile p s3://b/k"),
        ("--progress s3://b/k", "s3://b/k"),
        ("s3://b/k --progress", "s3://b/k"),
        ("--progress=json s3://b/k", "--progress json s3://b/k"),
        ("-E c.pem s3://b/k", "--client-cert c.pem s3://b/k"),
        ("--cert c.pem --key k.pem s3://b/k", "--client-cert c.pem --client-key k.pem s3://b/k"),
        (
            "--certificate c.pem --private-key k.pem s3://b/k",
            "--client-cert c.pem --client-key k.pem s3://b/k",
        ),
        ("-nv s3://b/k", "-q s3://b/k"),
        ("--no-verbose s3://b/k", "-q s3://b/k"),
        ("-qO- https://h/k", "-q -o - https://h/k"),
        ("-qO - https://h/k", "-q -o - https://h/k"),
        ("-O - https://h/k", "-o - https://h/k"),
        ("-O- https://h/k", "-o - https://h/k"),
        ("--output-document=- https://h/k", "-o - https://h/k"),
        ("-sO https://h/k", "-q -o ./ https://h/k"),
        ("--limit-rate=1M s3://b/k", "--limit-rate 1MB s3://b/k"),
        ("--version-id=v s3://b/k", "--version-id v s3://b/k"),
        ("S3://b/k", "s3://b/k"),
    ] {
        let (theirs_means, ours_means) = (run(theirs), run(ours));
        assert!(ours_means.is_ok(), "{ours}: {ours_means:?}");
        assert_eq!(theirs_means, ours_means, "{theirs}");
    }
}

/// Command lines, and a part of what answers each.
const ANSWERED: &[(&str, &str)] = &[
    ("s3://b/k .", "-o ./"),
    ("s3://b/k ..", "-o ../"),
    ("s3://b/k dir/", "-o dir/"),
    ("s3://b/k file", "-o file"),
    ("s3://b/k ./file", "-o ./file"),
    ("s3://b/k /tmp/file", "-o /tmp/file"),
    ("s3://b/k ~/file.gz", "-o ~/file.gz"),
    ("s3://b/k -", "-o -"),
    ("cp s3://b/k -", "there are no subcommands"),
    ("cp s3://b/k .", "there are no subcommands"),
    ("get s3://b/k", "there are no subcommands"),
    ("cat s3://b/k", "there are no subcommands"),
    ("copyto s3://b/k f", "there are no subcommands"),
    ("s3 cp s3://b/k -", "there are no subcommands"),
    ("sync s3://b/k .", "there are no subcommands"),
    ("s3api get-object", "there are no subcommands"),
    ("ls s3://b/k", "has no listings"),
    ("du s3://b/k", "has no listings"),
    ("mv s3://b/k f", "removes nothing"),
    ("head s3://b/k", "--info s3://bucket/key"),
    ("--info json s3://b/k", "--info=json"),
    ("--info json s3://b/k", "or --stats=json, with the equals sign"),
    ("--stats json s3://b/k", "write --info=json or --stats=json"),
    ("help", "there are no subcommands\n  hint: s3fcp --help"),
    ("version", "hint: s3fcp --version"),
    ("help s3://b/k", "hint: s3fcp --help"),
    ("127.0.0.1/x", "http://127.0.0.1/x"),
    ("localhost:9000/b/k", "http://localhost:9000/b/k"),
    ("b.s3.amazonaws.com/k", "https://b.s3.amazonaws.com/k"),
    ("s3://b/k file:///tmp/x", "-o FILE"),
    ("s3a://b/k", "s3://b/k"),
    ("gs://b/k", "--endpoint"),
    ("b/k", "s3://bucket/key"),
    ("-O out s3://b/k", "-o out"),
    ("-c s3://b/k", "-c is --concurrency N here"),
    ("-c -o f s3://b/k", "-c is --concurrency N here"),
    ("-o f s3://b/k -c", "--continue"),
    ("--concurrency s3://b/k", "--concurrency took s3://b/k as N\n  hint: write --concurrency N s3://b/k"),
    ("-r s3://b/k", "-r is --range RANGE here"),
    ("--range s3://b/k", "--range took s3://b/k as RANGE"),
    ("--range=s3://b/k", "--range took s3://b/k as RANGE"),
    ("--max-time https://h/k?sig=hunter2", "--max-time took https://h/k?... as SECONDS"),
    ("-o s3://b/k", "-o took s3://b/k as FILE, so that no object is left\n  hint: write -o FILE s3://b/k"),
    ("--output s3://b/k", "--output took s3://b/k as FILE"),
    ("--output=s3://b/k", "hint: write --output FILE s3://b/k"),
    ("-qo https://h/k?sig=hunter2", "-o took https://h/k?... as FILE"),
    ("", "name an object\n  hint: s3fcp s3://bucket/key, or --from FILE for a list"),
    ("-c 4", "name an object"),
    ("--retry 5 s3://b/k", "--max-attempts"),
    ("--tries=5 s3://b/k", "--max-attempts"),
    ("-t 5 s3://b/k", "--max-attempts"),
    ("--retry-count 5 s3://b/k", "--max-attempts"),
    ("--numworkers 5 s3://b/k", "-c N"),
    ("-j 5 s3://b/k", "-c N"),
    ("--transfers 5 s3://b/k", "-c N"),
    ("--multi-thread-streams 5 s3://b/k", "-c N"),
    ("--multi-thread-chunk-size 5M s3://b/k", "--chunk-size"),
    ("--bwlimit 5M s3://b/k", "--limit-rate"),
    ("--json s3://b/k", "--info=json"),
    ("-I https://h/k", "--info"),
    ("--head https://h/k", "--info"),
    ("--stat s3://b/k", "--info"),
    ("--dryrun s3://b/k", "--info"),
    ("--dry-run s3://b/k", "--info"),
    ("--spider https://h/k", "--info"),
    ("-k https://h/k", "--ca-bundle"),
    ("--insecure https://h/k", "--ca-bundle"),
    ("--no-verify-ssl s3://b/k", "--ca-bundle"),
    ("--no-check-certificate https://h/k", "--ca-bundle"),
    ("--connect-timeout 5 s3://b/k", "--first-byte-timeout"),
    ("--cli-read-timeout 5 s3://b/k", "--stall-timeout"),
    ("--timeout 5 s3://b/k", "--stall-timeout"),
    ("--speed-limit 5 s3://b/k", "--stall-timeout"),
    ("--recursive s3://b/k", "--from -"),
    ("--include x s3://b/k", "--from -"),
    ("-L https://h/k", "followed anyway"),
    ("-f https://h/k", "leave it out"),
    ("-S https://h/k", "leave it out"),
    ("-H a:b https://h/k", "curl"),
    ("-u a:b https://h/k", "curl"),
    ("--directory-prefix d https://h/k", "-o DIR/"),
    ("--output-document d https://h/k", "-o FILE"),
    ("--proxy http://p https://h/k", "HTTPS_PROXY"),
    ("--credentials-file f s3://b/k", "AWS_PROFILE"),
    ("--sse-c AES256 s3://b/k", "--sse-c-key"),
    ("--sse AES256 s3://b/k", "only downloads"),
    ("--no-clobber s3://b/k", "--force"),
    ("-n s3://b/k", "--info"),
    // aws
    ("--no-overwrite s3://b/k", "--force"),
    ("--no-guess-mime-type s3://b/k", "only downloads"),
    ("--expected-size 5 s3://b/k", "only downloads"),
    ("--content-type x s3://b/k", "only downloads"),
    ("--no-follow-symlinks s3://b/k", "only downloads"),
    ("--force-glacier-transfer s3://b/k", "restore-object"),
    ("--ignore-glacier-warnings s3://b/k", "restore-object"),
    ("--query x s3://b/k", "--info=json"),
    ("--no-cli-pager s3://b/k", "leave it out"),
    ("--color off s3://b/k", "leave it out"),
    ("--bucket b --key k", "s3://bucket/key"),
    ("--key k --bucket b", "s3://bucket/key"),
    ("s3api get-object --bucket b --key k out", "s3://bucket/key"),
    ("--checksum-mode ENABLED s3://b/k", "--checksum auto"),
    ("--version-id v s3://b/k out", "-o out"),
    ("--range 0-5 s3://b/k out", "-o out"),
    ("--part-number 1 s3://b/k", "--range"),
    ("--if-none-match x s3://b/k", "--if-match"),
    ("--if-modified-since x s3://b/k", "--continue"),
    ("arn:aws:s3:::b/k", "s3://b/k"),
    ("https://s3.console.aws.amazon.com/s3/object/b?region=r&prefix=a/k", "s3://b/a/k"),
    // s5cmd
    ("-p 16 s3://b/k", "--chunk-size"),
    ("--raw s3://b/k", "leave it out"),
    ("--flatten s3://b/k", "-o DIR/"),
    ("--show-progress s3://b/k", "terminal"),
    ("-sp s3://b/k", "terminal"),
    ("--if-size-differ s3://b/k", "--continue"),
    ("--if-source-newer s3://b/k", "--continue"),
    ("--log debug s3://b/k", "-vv"),
    ("--use-list-objects-v1 s3://b/k", "leave it out"),
    // rclone
    ("remote:b/k", "s3://bucket/key"),
    ("--stats 10s s3://b/k", "takes none"),
    ("--checkers 8 s3://b/k", "leave it out"),
    ("--buffer-size 16M s3://b/k", "--max-memory"),
    ("--multi-thread-cutoff 16M s3://b/k", "--max-memory"),
    ("--s3-provider Minio s3://b/k", "--endpoint"),
    ("--s3-access-key-id x s3://b/k", "--profile"),
    ("--s3-requester-pays s3://b/k", "--request-payer"),
    ("--s3-force-path-style s3://b/k", "--addressing-style"),
    ("--low-level-retries 5 s3://b/k", "--max-attempts"),
    ("--config f s3://b/k", "AWS_CONFIG_FILE"),
    ("--count 10 s3://b/k", "--range"),
    ("--offset 10 s3://b/k", "--range"),
    ("--tail 10 s3://b/k", "--range"),
    ("--ignore-checksum s3://b/k", "--checksum auto"),
    ("--size-only s3://b/k", "--continue"),
    ("--no-traverse s3://b/k", "leave it out"),
    ("--log-level DEBUG s3://b/k", "-vv"),
    // curl
    ("-fsSL https://h/k", "leave it out"),
    ("-LO https://h/k", "followed anyway"),
    ("-OJ https://h/k", "-O uses"),
    ("-# https://h/k", "terminal"),
    ("--progress-bar https://h/k", "terminal"),
    ("--compressed https://h/k", "gunzip"),
    ("--create-dirs -o a/b https://h/k", "mkdir -p"),
    ("-Z https://h/k", "-c N"),
    ("--aws-sigv4 aws:amz:r:s3 https://h/k", "s3://bucket/key"),
    ("-w x https://h/k", "--stats=json"),
    ("--cert-type P12 https://h/k", "--client-cert"),
    ("--tlsv1.2 https://h/k", "--ca-bundle"),
    ("--max-filesize 5 https://h/k", "--info"),
    ("--noproxy x https://h/k", "NO_PROXY"),
    ("--socks5 h:1 https://h/k", "HTTPS_PROXY"),
    ("--retry-delay 5 https://h/k", "growing pauses"),
    ("--retry-all-errors https://h/k", "growing pauses"),
    ("--http2 https://h/k", "leave it out"),
    ("-4 https://h/k", "leave it out"),
    ("--resolve h:443:1.2.3.4 https://h/k", "--endpoint"),
    ("-i https://h/k", "--info"),
    ("-D f https://h/k", "--info"),
    ("--url https://h/k", "without an option"),
    ("-z x https://h/k", "--continue"),
    ("-C 100 https://h/k", "--range N-"),
    ("--fail-with-body https://h/k", "leave it out"),
    ("--remote-name-all https://h/k", "-O uses"),
    ("-e x https://h/k", "no custom headers"),
    // wget
    ("-nc https://h/k", "--force"),
    ("-nd https://h/k", "-o DIR/"),
    ("-P dir https://h/k", "-o DIR/"),
    ("-O out https://h/k", "-o out"),
    ("-c https://h/k", "--continue"),
    ("-r https://h/k", "--from -"),
    ("-m https://h/k", "--max-time"),
    ("-N https://h/k", "--continue"),
    ("--timestamping https://h/k", "--continue"),
    ("--content-disposition https://h/k", "-O uses"),
    ("--background https://h/k", "nohup"),
    ("--start-pos=5 https://h/k", "--range"),
    ("--waitretry 5 https://h/k", "growing pauses"),
    ("--server-response https://h/k", "--info"),
    ("--http-user=x https://h/k", "no custom headers"),
    ("--no-proxy https://h/k", "NO_PROXY"),
    ("--input-file list", "--from FILE"),
    ("-i list", "--from FILE"),
    ("--files-from list", "--from FILE"),
    ("-a log https://h/k", "2>> FILE"),
    // Slips.
    ("s3:/b/k", "s3://b/k"),
    ("s3:b/k", "s3://b/k"),
    ("https:/h/k", "https://h/k"),
    ("\"s3://b/k\"", "s3://b/k"),
];

#[test]
fn words_of_other_tools_with_another_meaning_are_answered_by_ours() {
    for (line, says) in ANSWERED {
        let said = run(line).expect_err(line);
        assert!(said.contains(says), "{line}: no {says:?} in {said}");
        assert!(!said.contains("as a value"), "{line}: {said}");
    }
}

#[test]
fn no_tip_misleads() {
    for (line, tips) in [
        ("--chunksize 1 s3://b/k", Some("'--chunk-size'")),
        ("--outptu f s3://b/k", Some("'--output'")),
        ("--endpont http://h s3://b/k", Some("'--endpoint'")),
        ("--max_memory 1G s3://b/k", Some("'--max-memory'")),
        ("--Region r s3://b/k", Some("'--region'")),
        ("--conc 4 s3://b/k", Some("'--concurrency'")),
        ("--chekcsum off s3://b/k", Some("'--checksum'")),
        ("--no-such-thing s3://b/k", None),
        ("--force-it s3://b/k", None),
        ("--part-count 3 s3://b/k", None),
        ("--content s3://b/k", None),
        ("--range-size 5 s3://b/k", None),
        ("--resum s3://b/k", None),
        ("--rate 5 s3://b/k", None),
        ("--frobnicate s3://b/k", None),
        ("--soup s3://b/k", None),
        ("--raise s3://b/k", None),
    ] {
        let said = run(line).expect_err(line);
        assert_eq!(said.contains("tip:"), tips.is_some(), "{line}: {said}");
        assert!(said.contains(tips.unwrap_or("unexpected argument")), "{line}: {said}");
    }
}

#[test]
fn no_word_that_is_refused_is_repeated_with_a_secret() {
    const QUERY: &str = "?X-Amz-Signature=hunter2";
    for word in [
        format!("htps://h/p{QUERY}"),
        format!(" https://h/p{QUERY}"),
        format!("\"https://h/p{QUERY}\""),
        format!("<https://h/p{QUERY}>"),
        format!("https:/h/p{QUERY}"),
        format!("https//h/p{QUERY}"),
        format!("h.amazonaws.com/p{QUERY}"),
        format!("localhost:9000/p{QUERY}"),
        format!("url=https://h/p{QUERY}"),
        format!("s3a://b/k{QUERY}"),
        format!("./k{QUERY}"),
        format!("https://s3.console.aws.amazon.com/s3/object/b{QUERY}"),
        format!("https://h:99999/p{QUERY}"),
        "ftp://user:hunter2@h/p".to_owned(),
        "https://user:hunter2@h/p".to_owned(),
        "s3://user:hunter2@h/b/k".to_owned(),
    ] {
        for to_key_name in [false, true] {
            let error = super::parse_source(&word, WordPlace::Argument { to_key_name }).unwrap_err();
            let shown = format!("{error} {error:?} {:?}", error.hint());
            assert!(!shown.contains("hunter2"), "{shown}");
            assert_eq!(error.exit_code(), 2, "{word}");
        }
    }
}
