//! Cases of features that few servers have: each server names those that it is tried with.

use bytes::Bytes;
use http::{Method, Request, Response};

use super::Server;
use super::cases::Named;
use super::client::Refused;
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{S3fcp, SECRET_KEY};

/// An object that is encrypted with a customer's key, and requested without it.
pub(super) const CUSTOMER_KEY: Named = ("a customer's key", customer_key);
/// More headers than the 100 of many clients.
pub(super) const MANY_HEADERS: Named = ("150 entries of metadata", many_headers);
/// Objects that are made of others (`OpenStack` Swift, "Large objects"), as Ceph shows them to S3.
pub(super) const LARGE_OBJECTS: Named = ("large objects of Swift", large_objects);
/// A bucket of another tenant's, with public objects.
pub(super) const TENANT: Named = ("a tenant", tenant);

/// The secret of Ceph's user in the Swift API.
pub(super) const SWIFT_KEY: &str = "swift-key-of-tests";
/// Ceph's tenant, and the access key of its user, whose secret is that of all tests.
pub(super) const TENANT_NAME: &str = "ten";
pub(super) const TENANT_KEY: &str = "TENANTACCESSKEY";

fn customer_key(server: &Server) -> Result<(), Refused> {
    let (bytes, bucket) = (object(SIZE), server.bucket()?);
    let header =
        |name: &str, value: &str| (format!("x-amz-server-side-encryption-customer-{name}"), value.to_owned());
    // 32 times the digit 0, and its MD5.
    let key = "MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA=";
    let headers =
        [header("algorithm", "AES256"), header("key", key), header("key-md5", "zZ5FnqcIqUjVwvWmyog4zw==")];
    server.client.put_with(&bucket, "key", bytes.clone(), &headers)?;
    let uri = format!("s3://{bucket}/key");
    for args in [&[][..], &["--info"], &["--range", "-100"]] {
        let outcome = server.run().args(args).download(&uri);
        outcome.assert_failed(2, &[]);
        assert!(outcome.stderr.contains("--sse-c-key"), "{}", outcome.stderr);
    }
    server.run().window(4, CHUNK).args(["--sse-c-key", key]).download(&uri).assert_object(&bytes);
    Ok(())
}

fn many_headers(server: &Server) -> Result<(), Refused> {
    let (bytes, bucket) = (object(SIZE), server.bucket()?);
    let headers: Vec<_> = (0..150).map(|n| (format!("x-amz-meta-{n}"), "v".to_owned())).collect();
    server.client.put_with(&bucket, "key", bytes.clone(), &headers)?;
    let uri = format!("s3://{bucket}/key");
    server.run().window(4, CHUNK).download(&uri).assert_object(&bytes);
    let info = server.run().args(["--info=json"]).download(&uri);
    assert_eq!(info.code(), Some(0), "{}", info.stderr);
    Ok(())
}

fn large_objects(server: &Server) -> Result<(), Refused> {
    let send = |method: Method, path: &str, headers: &[(&str, &str)], body: Bytes| {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        server.client.send_as_it_is(request.body(body).expect("a request"))
    };
    let text = |answer: &Response<Bytes>, name: &str| {
        answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let user = [("x-auth-user", "tests:swift"), ("x-auth-key", SWIFT_KEY)];
    let token = text(&send(Method::GET, "/auth/v1.0", &user, Bytes::new())?, "x-auth-token");
    let put = |path: &str, more: &[(&str, &str)], body: Bytes| {
        let headers = [&[("x-auth-token", token.as_str())][..], more].concat();
        send(Method::PUT, &format!("/swift/v1/{path}"), &headers, body)
    };
    let bytes = object((11 << 20) + 1);
    put("large", &[], Bytes::new())?;
    let mut list = Vec::new();
    for (number, part) in [bytes.slice(..5 << 20), bytes.slice(5 << 20..)].into_iter().enumerate() {
        let (path, size) = (format!("large/parts/{number}"), part.len());
        let etag = text(&put(&path, &[], part)?, "etag");
        list.push(serde_json::json!({"path": format!("/{path}"), "etag": etag, "size_bytes": size}));
    }
    put("large/dynamic", &[("x-object-manifest", "large/parts/")], Bytes::new())?;
    let list = Bytes::from(serde_json::to_vec(&list).expect("JSON"));
    put("large/static?multipart-manifest=put", &[], list)?;
    for key in ["dynamic", "static"] {
        large_object(server, &format!("s3://large/{key}"), &bytes);
    }
    Ok(())
}

fn large_object(server: &Server, uri: &str, bytes: &Bytes) {
    let runs: [fn(S3fcp) -> S3fcp; 3] =
        [|run| run, |run| run.window(4, 1 << 20), |run| run.window(1, 3 << 20)];
    for run in runs {
        run(server.run()).download(uri).assert_object(bytes);
    }
    for (range, part) in [("100-199", 100..200), ("-1000", bytes.len() - 1000..bytes.len())] {
        server.run().args(["--range", range]).download(uri).assert_object(&bytes[part]);
    }
    // The rest of an object, as --continue and the printed command request it.
    let head = server.run().args(["--info=json"]).download(uri).stdout;
    let head: serde_json::Value = serde_json::from_slice(&head).expect("one line of JSON");
    let etag = head["etag"].as_str().expect("an ETag");
    let rest = ["--range", "6000000-", "--if-match", etag];
    server.run().args(rest).download(uri).assert_object(&bytes[6_000_000..]);
    // Its tag is no MD5 of its bytes.
    server.run().args(["--checksum", "require"]).download(uri).assert_failed(2, &[]);
}

fn tenant(server: &Server) -> Result<(), Refused> {
    let bytes = object(SIZE);
    let mut owner = server.client.clone();
    TENANT_KEY.clone_into(&mut owner.keys.id);
    owner.make_bucket("bucket-of-tenant")?;
    let public = [("x-amz-acl".to_owned(), "public-read".to_owned())];
    owner.put_with("bucket-of-tenant", "a key", bytes.clone(), &public)?;
    let uri = format!("s3://{TENANT_NAME}:bucket-of-tenant/a key");
    // By the tenant's own user, by a user of none, and by nobody.
    let own = server.run().env("AWS_ACCESS_KEY_ID", TENANT_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    for run in [own, server.run(), server.run().args(["--no-sign-request"])] {
        run.window(4, CHUNK).download(&uri).assert_object(&bytes);
    }
    server.run().download("s3://bucket-of-tenant/a key").assert_failed(3, &[]);
    Ok(())
}
