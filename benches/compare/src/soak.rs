//! A long download from a server with a fault every few hundred requests, on one thread and on four: every byte compared,
//! memory that does not grow with the object, and no more sent than the faults explain.
//!
//! It prints what it saw, fails where anything is not as promised, and ends by itself.

use std::time::Duration;

use crate::cli::Args;
use crate::drain::Drain;
use crate::object::Source;
use crate::run::{Run, Setting, run_within};
use crate::server::{MIB, Pace, Server};
use crate::tls::Tls;
use crate::tool::{Installed, Tool};
use crate::{Result, machine};

/// GETs from one fault to the next.
const FAULT_EVERY: u64 = 199;
/// Concurrent ranges and their size in bytes: small ones, so that a GiB takes a thousand requests.
const CONCURRENCY: u64 = 8;
const CHUNK: u64 = MIB;
/// What is promised of the resident memory: 1.25 times the window and 24 MiB.
const MEMORY_MAX: u64 = CONCURRENCY * CHUNK / 4 * 5 + 24 * MIB;
/// How much more of it the whole download may have than its first GiB, for each thread: noise.
const GROWTH_MAX: u64 = 2 * MIB;
/// One in so many requests may be sent twice without a fault of the server's, and a machine that is busy makes some
/// late: a fifth of what hedging may do.
const HEDGED: u64 = 100;
/// The numbers of threads that fetch, one after the other.
const THREADS: [u64; 2] = [1, 4];
/// Far slower than any machine that this runs on.
const SECONDS_PER_GIB: u64 = 60;

/// Downloads a GiB, and then `gib` of them in one object, with each number of threads.
pub(crate) fn soak(gib: u64, args: &Args) -> Result<()> {
    let tls = args.tls.then(Tls::new).transpose()?;
    let words = ["-c".to_owned(), CONCURRENCY.to_string(), "--chunk-size".to_owned(), CHUNK.to_string()];
    let s3fcp = Tool::S3fcp.find(args.tls)?.with(&words).with(&args.extra);
    println!("{}\ns3fcp: {}\na fault every {FAULT_EVERY} GETs", machine::describe(), s3fcp.version);
    let source = Source::new(gib << 30)?;
    for threads in THREADS {
        println!("{threads} thread(s):");
        let peaks = soak_with(
            &s3fcp.with(&["--threads".to_owned(), threads.to_string()]),
            gib,
            &source,
            tls.as_ref(),
        )?;
        if peaks[1] > peaks[0] + threads * GROWTH_MAX {
            return Err("memory grew with the object".into());
        }
    }
    println!("every byte was right, and memory did not grow");
    Ok(())
}

/// Returns the peaks of resident memory of a GiB and of `gib`.
fn soak_with(s3fcp: &Installed, gib: u64, source: &Source, tls: Option<&Tls>) -> Result<[u64; 2]> {
    let mut peaks = [0; 2];
    for (gib, peak) in [1, gib].into_iter().zip(&mut peaks) {
        let config = tls.map(|tls| tls.config.clone());
        let pace = Pace { fault_every: Some(FAULT_EVERY), ..Pace::default() };
        let server = Server::start(source.object(gib << 30), pace, config)?;
        let limit = Duration::from_secs(gib * SECONDS_PER_GIB);
        let command = s3fcp.command(&server, tls);
        let run = run_within(limit, command, &server, Setting::from(Drain::Check(server.object())))?;
        println!("{}", summary(gib, &run));
        check(gib << 30, &run)?;
        *peak = run.peak.unwrap_or(0);
    }
    Ok(peaks)
}

fn summary(gib: u64, run: &Run) -> String {
    let (gets, peak) = (run.seen.gets, run.peak.unwrap_or(0) / MIB);
    let (seconds, cpu, faults) = (run.wall.as_secs(), run.cpu.total(), gets / FAULT_EVERY);
    format!(
        "  {gib} GiB in {seconds} s, {cpu:.0} s of CPU: {gets} GETs, {faults} faults, {peak} MiB of memory at the peak"
    )
}

fn check(size: u64, run: &Run) -> Result<()> {
    if let Some(failure) = &run.failure {
        return Err(failure.clone().into());
    }
    let (gets, faults) = (size / CHUNK, run.seen.gets / FAULT_EVERY);
    if run.seen.gets > gets + gets / HEDGED + faults + 1 {
        return Err(format!("{} GETs for {gets} ranges", run.seen.gets).into());
    }
    // A reset takes with it what the client had not read yet.
    if run.seen.bytes > size + size / HEDGED + (faults / 4 + 1) * CHUNK {
        return Err(format!("{} bytes sent for {size}", run.seen.bytes).into());
    }
    match run.peak {
        Some(peak) if peak > MEMORY_MAX => {
            Err(format!("{peak} bytes of memory, more than {MEMORY_MAX}").into())
        }
        _ => Ok(()),
    }
}
