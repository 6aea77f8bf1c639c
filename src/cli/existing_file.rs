//! `--continue` where FILE is there already: it is complete if it is proven to be the object that the store has now.

use crate::config::settings::Config;
use crate::download::client::Client;
use crate::download::options::Options;
use crate::download::verdict::Verdict;
use crate::error::{Error, Result};
use crate::output::finished::FinishedFile;
use crate::s3::address::partition::Partition;
use crate::s3::address::source::Source;
use crate::s3::checksum::expected::ExpectedChecksum;
use crate::s3::checksum::verifier::Verifier;
use crate::s3::object::ObjectInfo;

/// Returns the proof that `file` is all that `options` ask of `sources`, else the reason why it may not be. Without a
/// proof the file is read and compared with the store's checksums.
pub(crate) async fn prove_complete(
    client: &Client,
    sources: &[Source],
    options: &Options,
    file: &FinishedFile,
) -> Result<std::result::Result<Verdict, Error>> {
    let mut start = 0;
    let mut verdict: Option<Verdict> = None;
    let mut add = |object: Verdict| verdict = Some(verdict.map_or(object, |before| before.and(object)));
    for (index, source) in sources.iter().enumerate() {
        let info = client.inspect(source, options).await?;
        let refused = |why: &str| Ok(Err(file.unproven(why)));
        let wanted = &options.if_match;
        if wanted.is_some() && *wanted != info.etag.as_deref().and_then(|tag| tag.parse().ok()) {
            return refused("the object is not the one that --if-match names");
        }
        if let Some(pieces) = &file.proven {
            let Some(piece) = pieces.get(index) else { return refused("it belongs to other objects") };
            if piece.tag().is_some() {
                if piece.is_version(&info) {
                    start += piece.end.saturating_sub(piece.start);
                    add(Verdict::of_earlier_run(&info, None));
                    continue;
                }
                return refused("the object has changed since");
            }
        }
        if options.range.is_some() {
            return refused("nothing proves that it is this range of the object");
        }
        match compare(file, start, source, &info).await? {
            Comparison::Equal(checksum) => {
                start += info.size;
                add(Verdict::of_earlier_run(&info, checksum));
            }
            Comparison::Different => return refused("it is not the object"),
            Comparison::Impossible => {
                return refused("the store has no checksum of the object to compare it with");
            }
        }
    }
    match verdict {
        Some(verdict) if start == file.size => {
            file.clean_up()?;
            Ok(Ok(verdict))
        }
        _ => Ok(Err(file.unproven("it is longer than the object"))),
    }
}

/// The comparison of some bytes with the checksum that the store has of an object.
enum Comparison {
    /// They are equal, by this checksum.
    Equal(Option<&'static str>),
    Different,
    /// The store has nothing to compare with.
    Impossible,
}

/// Compares the bytes from `start` on with the object.
async fn compare(file: &FinishedFile, start: u64, source: &Source, info: &ObjectInfo) -> Result<Comparison> {
    if start.checked_add(info.size).is_none_or(|end| end > file.size) {
        return Ok(Comparison::Different);
    }
    let Source::S3(uri) = source else { return Ok(Comparison::Impossible) };
    let of_etag =
        || ExpectedChecksum::of_etag(info, uri.bucket()).filter(|expected| expected.parts.is_none());
    let Some(expected) = ExpectedChecksum::full_object(info).or_else(of_etag) else {
        return Ok(Comparison::Impossible);
    };
    let mut verifier = Verifier::whole(expected);
    let mut reader = file.read(start, info.size);
    while let Some(bytes) = reader.next().await? {
        verifier.update(bytes);
    }
    Ok(match verifier.finish() {
        Ok(()) => Comparison::Equal(verifier.verified()),
        Err(_) => Comparison::Different,
    })
}

/// Returns the identity of the store that S3 objects come from: a custom endpoint by its scheme, host, port and prefix,
/// AWS by its partition, for its regional, dual-stack, FIPS and accelerated hosts are one store.
pub(crate) fn store_identity(config: &Config) -> String {
    let partition = || format!("aws:{}", Partition::of(&config.region).id);
    let Some(endpoint) = &config.endpoint else { return partition() };
    let host = endpoint.host().unwrap_or("").to_ascii_lowercase();
    if [".amazonaws.com", ".amazonaws.com.cn"].iter().any(|suffix| host.ends_with(suffix)) {
        return partition();
    }
    let scheme = endpoint.scheme_str().unwrap_or("https");
    let default_port = if scheme == "http" { 80 } else { 443 };
    let port = endpoint.port_u16().unwrap_or(default_port);
    format!("{scheme}://{host}:{port}{}", endpoint.path().trim_end_matches('/'))
}
