//! Options of other programs that this one does not have, and what to do instead.

/// Options, and the sentence that answers them.
type Advice = (&'static [&'static str], &'static str);

/// The answers. Where an option means different things in two programs, the sentence has both.
const ADVICE: &[Advice] = &[
    // aws, s5cmd and rclone.
    (
        &[
            "--retry",
            "--retries",
            "--retry-count",
            "--tries",
            "-t",
            "--retry-max-time",
            "--low-level-retries",
        ],
        "use --max-attempts N",
    ),
    (
        &[
            "--retry-delay",
            "--retry-all-errors",
            "--retry-connrefused",
            "--retry-on-http-error",
            "--retry-on-host-error",
            "--retries-sleep",
            "--wait",
            "--waitretry",
            "--random-wait",
        ],
        "errors of the network and the server are retried with growing pauses; limit the attempts with --max-attempts N",
    ),
    (
        &[
            "--numworkers",
            "-j",
            "--jobs",
            "--parallel",
            "-Z",
            "--parallel-max",
            "--transfers",
            "--max-concurrent-requests",
            "--multi-thread-streams",
        ],
        "use -c N for the number of concurrent requests, which is adaptive without it",
    ),
    (
        &["-P", "--directory-prefix", "--output-dir", "--output-document"],
        "use -o DIR/ for a folder, -o FILE for a file, -c N for concurrent requests; progress is shown without an option",
    ),
    (&["-P/"], "use -o DIR/ for a folder"),
    (
        &[
            "-p",
            "--multipart-chunksize",
            "--multi-thread-chunk-size",
            "--s3-chunk-size",
            "--upload-part-size",
        ],
        "use --chunk-size SIZE, such as 16MiB",
    ),
    (
        &[
            "--buffer-size",
            "--multi-thread-cutoff",
            "--multipart-threshold",
            "--use-mmap",
            "--max-buffer-memory",
        ],
        "memory and requests are adaptive; use --max-memory SIZE to limit them",
    ),
    (&["--bwlimit", "--max-bandwidth"], "use --limit-rate SIZE"),
    (
        &["--json", "--format", "--human-readable", "--query", "-w", "--write-out"],
        "use --info=json, --stats=json or --progress=json, and jq",
    ),
    (
        &["-#", "--progress-bar", "--show-progress", "-sp", "--progress-frequency", "--progress-multiline"],
        "progress is shown where stderr is a terminal; --progress=plain writes lines elsewhere",
    ),
    (&["--log", "--log-level", "--log-file", "--trace", "--trace-ascii"], "use -v, -vv or -vvv, and 2> FILE"),
    (&["--append-output", "--output-file", "-a", "--stderr"], "messages are on stderr: use 2>> FILE"),
    (&["-I", "--stat"], "use --info to describe the object"),
    (&["--head"], "use --info to describe the object, or --range 0-N for its first bytes"),
    (
        &["-i", "--server-response", "--save-headers", "-D", "--dump-header", "--show-headers"],
        "use --info to describe the object, -v to log its requests, or --from FILE for a list of objects",
    ),
    (&["--count", "--offset", "--tail", "--start-pos", "--part-number"], "use --range A-B, A- or -N"),
    (
        &["--dryrun", "--dry-run", "-n", "--spider"],
        "nothing is ever changed in the bucket; use --info to see whether the object can be read",
    ),
    (
        &[
            "--if-size-differ",
            "--if-source-newer",
            "--size-only",
            "--update",
            "--ignore-times",
            "--timestamping",
            "-N",
            "--newer-only",
            "--if-none-match",
            "--if-modified-since",
            "--if-unmodified-since",
            "-z",
            "--time-cond",
        ],
        "-o FILE --continue does not download again a FILE that is complete; --if-match ETAG is the only condition",
    ),
    (
        &[
            "--recursive",
            "--include",
            "--exclude",
            "--exact-timestamps",
            "--page-size",
            "--mirror",
            "-l",
            "--level",
        ],
        "s3fcp downloads only objects that are named: pass a list of them, such as that of aws s3api list-objects-v2, with --from -",
    ),
    (
        &[
            "--use-list-objects-v1",
            "--no-check-dest",
            "--no-traverse",
            "--fast-list",
            "--checkers",
            "--no-paginate",
            "--no-cli-pager",
            "--no-cli-auto-prompt",
            "--color",
            "--raw",
            "--error-on-no-transfer",
        ],
        "s3fcp has no listings, tables or patterns: leave it out",
    ),
    (
        &["--ignore-glacier-warnings", "--force-glacier-transfer"],
        "restore an archived object first: aws s3api restore-object",
    ),
    (
        &["--expected-bucket-owner", "--acl", "--storage-class", "--sse", "--metadata", "--content-type"],
        "it is for uploads; s3fcp only downloads",
    ),
    (
        &[
            "--guess-mime-type",
            "--no-guess-mime-type",
            "--expected-size",
            "--follow-symlinks",
            "--no-follow-symlinks",
        ],
        "it is for uploads; s3fcp only downloads",
    ),
    (&["--bucket"], "write the object as s3://bucket/key"),
    (
        &["--checksum-mode", "--checksum-algorithm", "--ignore-checksum"],
        "use --checksum auto, require or off",
    ),
    (
        &["--no-clobber", "-nc", "--ignore-existing", "--no-overwrite", "--immutable", "--skip-existing"],
        "an existing FILE is never replaced without --force",
    ),
    (
        &[
            "--flatten",
            "-nd",
            "-nH",
            "--no-directories",
            "--no-host-directories",
            "--cut-dirs",
            "--force-directories",
        ],
        "-o DIR/ uses the last segment of the key",
    ),
    (
        &["-J", "--remote-header-name", "--remote-name-all", "--content-disposition", "--trust-server-names"],
        "-O uses the last segment of the key or URL; -o FILE names a file",
    ),
    (&["--create-dirs"], "s3fcp creates no folders: use mkdir -p first"),
    (
        &[
            "--credentials-file",
            "--access-key",
            "--secret-key",
            "--aws-access-key-id",
            "--aws-secret-access-key",
        ],
        "set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; keys on a command line are visible to others",
    ),
    (&["--config", "-K"], "the AWS CLI's configuration is used: set AWS_CONFIG_FILE or AWS_PROFILE"),
    (
        &["--aws-sigv4"],
        "requests for s3://bucket/key are signed: write the object like that, with --endpoint for servers other than AWS",
    ),
    (
        &["--sse-c", "--sse-customer-key", "--sse-c-copy-source-key", "--sse-customer-algorithm"],
        "use --sse-c-key KEY",
    ),
    // curl and wget.
    (
        &["-k", "--insecure", "--no-verify-ssl", "--no-check-certificate", "--proxy-insecure"],
        "certificates are always verified: trust another one with --ca-bundle FILE",
    ),
    (
        &[
            "--cert-type",
            "--key-type",
            "--certificate-type",
            "--private-key-type",
            "--pass",
            "--capath",
            "--ca-directory",
            "--crlfile",
            "--pinnedpubkey",
            "--ciphers",
            "--tls-max",
            "--tlsv1.2",
            "--tlsv1.3",
            "--secure-protocol",
            "--ssl-reqd",
        ],
        "TLS 1.2 and 1.3 are supported, and PEM files with --ca-bundle, --client-cert and --client-key",
    ),
    (
        &["--connect-timeout", "--contimeout", "--cli-connect-timeout", "--dns-timeout"],
        "use --first-byte-timeout SECONDS, which limits the connection too, or --max-time for the whole run",
    ),
    (
        &[
            "--timeout",
            "-T",
            "--cli-read-timeout",
            "--read-timeout",
            "--speed-time",
            "-y",
            "--speed-limit",
            "-Y",
            "--max-duration",
        ],
        "use --stall-timeout SECONDS for a response that delivers nothing, or --max-time for the whole run",
    ),
    (
        &["--location", "-L"],
        "URLs' redirects are followed anyway: leave it out, or limit them with --max-redirs N (default 5)",
    ),
    (&["--max-redirect"], "use --max-redirs N"),
    (
        &["--fail", "-f", "--show-error", "-S", "--fail-with-body", "--fail-early"],
        "every failure has an exit code and a message: leave it out",
    ),
    (
        &[
            "--header",
            "-H",
            "--user",
            "-u",
            "--user-agent",
            "-A",
            "-U",
            "--cookie",
            "-b",
            "--data",
            "-d",
            "--request",
            "-X",
            "--referer",
            "-e",
            "--http-user",
            "--http-password",
            "--netrc",
            "--oauth2-bearer",
            "-G",
            "--get",
            "--post-data",
            "--load-cookies",
        ],
        "s3fcp sends no custom headers, bodies or logins: use curl for those",
    ),
    (
        &["--proxy", "-x", "--preproxy", "--socks5", "--socks5-hostname", "--proxy-user"],
        "set HTTPS_PROXY, as for curl",
    ),
    (&["--noproxy", "--no-proxy"], "set NO_PROXY, as for curl: host names, or * for all"),
    (
        &["--compressed", "--tr-encoding", "--compression"],
        "bytes are delivered as they are stored: pipe them into gunzip or zstd -d",
    ),
    (
        &[
            "--http1.0",
            "--http1.1",
            "--http2",
            "--http3",
            "-4",
            "-6",
            "--ipv4",
            "--ipv6",
            "--inet4-only",
            "--inet6-only",
            "--prefer-family",
            "--tcp-nodelay",
            "--keepalive-time",
            "--no-keepalive",
            "--no-http-keep-alive",
            "--no-buffer",
            "--no-cache",
            "--no-cookies",
        ],
        "s3fcp chooses protocols, addresses and connections itself: leave it out",
    ),
    (
        &[
            "--resolve",
            "--connect-to",
            "--unix-socket",
            "--interface",
            "--bind-address",
            "--dns-servers",
            "--doh-url",
        ],
        "s3fcp resolves and connects as the system does: use --endpoint URL for another server",
    ),
    (
        &["--max-filesize", "--quota", "-Q"],
        "use --info to see the size first, or --range 0-N to limit the bytes",
    ),
    (&["--url"], "write the URL without an option"),
    (&["--input-file", "--files-from", "--files-from-raw"], "use --from FILE, one object a line"),
    (&["--background"], "start it with & or nohup"),
];

/// Returns the sentence that answers `option`, such as `--retry=5` or `-j`.
pub(super) fn advice(option: &str) -> Option<&'static str> {
    let name = option.split('=').next().unwrap_or(option);
    if let Some((_, advice)) = ADVICE.iter().find(|(options, _)| options.contains(&name)) {
        return Some(advice);
    }
    let rclone = "instead of rclone's S3 options use --endpoint, --region, --profile, --addressing-style or --request-payer";
    name.starts_with("--s3-").then_some(rclone)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::args::Args;

    #[test]
    fn an_option_of_ours_is_never_in_the_table() {
        for argument in Args::command().get_arguments() {
            let long = argument.get_long_and_visible_aliases().unwrap_or_default();
            let other = argument.get_all_aliases().unwrap_or_default();
            let short = argument.get_short_and_visible_aliases().unwrap_or_default();
            let long = long.iter().chain(&other).map(|name| format!("--{name}"));
            for name in long.chain(short.iter().map(|letter| format!("-{letter}"))) {
                assert!(!ADVICE.iter().any(|(options, _)| options.contains(&&*name)), "{name}");
            }
        }
    }

    #[test]
    fn each_option_is_answered_once() {
        let mut all: Vec<_> = ADVICE.iter().flat_map(|(options, _)| *options).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
