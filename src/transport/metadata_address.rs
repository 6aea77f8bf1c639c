//! The addresses of metadata services, from which machines of a cloud get credentials: no server may send a request
//! there.
//!
//! Sources: EC2 instance metadata (169.254.169.254, `fd00:ec2::254`), ECS and EKS credentials (169.254.170.2,
//! 169.254.170.23, `fd00:ec2::23`), Google Cloud (169.254.169.254, `fd20:ce::254`), Azure (169.254.169.254,
//! 168.63.129.16), Alibaba Cloud (100.100.100.200), Oracle Cloud (169.254.169.254, formerly 192.0.0.192), Tencent Cloud
//! (169.254.0.23).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Returns whether `host`, of a URL, is such an address or a well-known name of one.
pub(crate) fn is_metadata_host(host: &str) -> bool {
    const NAMES: [&str; 6] = [
        "metadata",
        "metadata.google.internal",
        "metadata.goog",
        "metadata.tencentyun.com",
        "instance-data",
        "instance-data.ec2.internal",
    ];
    let host = host.trim_matches(['[', ']']).trim_end_matches('.');
    NAMES.iter().any(|name| host.eq_ignore_ascii_case(name))
        || host.parse::<IpAddr>().is_ok_and(is_metadata_service)
}

/// Returns whether `host`, of a URL, is an IPv4 address in another form than four decimal numbers: a resolver, perhaps a
/// proxy's, may take it for any address, and `010.0.0.1` for one of two. Its last label is a number by the rule of
/// browsers (WHATWG URL, "ends in a number").
pub(crate) fn is_unclear_address(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_decimal = !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit());
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let is_hex = hex.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    (is_decimal || is_hex) && host.parse::<Ipv4Addr>().is_err()
}

/// Returns whether a metadata service may be at `address`: any link-local one counts.
pub(crate) fn is_metadata_service(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_v4(address),
        IpAddr::V6(address) => is_v6(address),
    }
}

fn is_v4(address: Ipv4Addr) -> bool {
    const OTHERS: [Ipv4Addr; 3] =
        [Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192)];
    address.is_link_local() || OTHERS.contains(&address)
}

fn is_v6(address: Ipv6Addr) -> bool {
    let octets = address.octets();
    let last = Ipv4Addr::new(octets[12], octets[13], octets[14], octets[15]);
    // The translations of IPv4: mapped, compatible, SIIT (RFC 2765), NAT64 (RFC 6052 and 8215) and 6to4 (RFC 3056).
    let translated = match address.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, ..]
        | [0, 0, 0, 0, 0xffff, 0, ..]
        | [0x64, 0xff9b, 0, 0, 0, 0, ..]
        | [0x64, 0xff9b, 1, ..] => Some(last),
        [0x2002, ..] => Some(Ipv4Addr::new(octets[2], octets[3], octets[4], octets[5])),
        _ => None,
    };
    address.is_unicast_link_local()
        || matches!(address.segments(), [0xfd00, 0x0ec2, ..] | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x254])
        || translated.is_some_and(is_v4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_services_in_every_spelling() {
        for (host, is_one) in [
            ("169.254.169.254", true),
            ("169.254.170.2", true),
            ("169.254.0.1", true),
            ("169.254.169.254.", true),
            ("192.0.0.192", true),
            ("[::ffff:192.0.0.192]", true),
            ("[::ffff:0:169.254.169.254]", true),
            ("[64:ff9b:1::a9fe:a9fe]", true),
            ("192.0.0.191", false),
            ("168.63.129.16", true),
            ("100.100.100.200", true),
            ("[fd00:ec2::254]", true),
            ("[fd00:ec2::23]", true),
            ("[fd20:ce::254]", true),
            ("[fe80::1]", true),
            ("[::ffff:169.254.169.254]", true),
            ("[::ffff:a9fe:a9fe]", true),
            ("[::169.254.169.254]", true),
            ("[64:ff9b::a9fe:a9fe]", true),
            ("[2002:a9fe:a9fe::]", true),
            ("metadata.google.internal", true),
            ("Metadata.Google.Internal.", true),
            ("instance-data", true),
            ("metadata", true),
            ("metadata.tencentyun.com", true),
            ("127.0.0.1", false),
            ("[::1]", false),
            ("10.0.0.1", false),
            ("169.253.169.254", false),
            ("8.8.8.8", false),
            ("[2001:db8::1]", false),
            ("[fd00::1]", false),
            ("example.org", false),
            ("metadata.example.org", false),
            ("", false),
        ] {
            assert_eq!(is_metadata_host(host), is_one, "{host}");
        }
    }

    #[test]
    fn an_address_is_four_decimal_numbers_or_in_brackets_and_any_other_number_is_unclear() {
        for (host, is_unclear) in [
            ("2852039166", true),
            ("0xa9fea9fe", true),
            ("0XA9FEA9FE", true),
            ("0251.0376.0251.0376", true),
            ("0xa9.0xfe.0xa9.0xfe", true),
            ("169.254.43518", true),
            ("169.16689662", true),
            ("169.254.169.0xfe", true),
            ("169.254.169.254.0", true),
            ("010.0.0.1", true),
            ("2852039166.", true),
            ("0", true),
            ("0x", true),
            ("300.1.1.1", true),
            ("example.0x1f", true),
            ("example.7", true),
            ("127.0.0.1", false),
            ("127.0.0.1.", false),
            ("169.254.169.254", false),
            ("[::ffff:169.254.169.254]", false),
            ("[::1]", false),
            ("7.example.org", false),
            ("0xa9fea9fe.example", false),
            ("s3-1", false),
            ("a1", false),
            ("0xyz", false),
            ("localhost", false),
            ("", false),
        ] {
            assert_eq!(is_unclear_address(host), is_unclear, "{host}");
        }
    }
}
