//! From the start of the process to its first request on the wire, with keys at hand: the time that is
//! spent before the network can help.
//!
//! `cargo bench --bench start`. It runs the program against a listener of its own, which notes when the first
//! bytes arrive and answers nothing useful. Prints milliseconds; never fails on a slow machine.

#![expect(clippy::print_stdout, reason = "a bench reports there")]

use std::io::Read;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const RUNS: usize = 30;

fn main() -> std::io::Result<()> {
    let mut times = (0..RUNS).map(|_| first_request()).collect::<std::io::Result<Vec<_>>>()?;
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let (least, median, most) = (times[0], times[RUNS / 2], times[RUNS - 1]);
    println!(
        "start to first request, {RUNS} runs: least {:.2} ms, median {:.2} ms, most {:.2} ms (wanted: 15 ms)",
        ms(least),
        ms(median),
        ms(most)
    );
    Ok(())
}

fn first_request() -> std::io::Result<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let began = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_s3fcp"))
        .args(["s3://bucket/key", "--endpoint", &endpoint, "--quiet"])
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let (mut stream, _) = listener.accept()?;
    stream.read_exact(&mut [0; 4])?;
    let took = began.elapsed();
    child.kill()?;
    child.wait()?;
    Ok(took)
}
