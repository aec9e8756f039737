//! A bounded load generator: `load ADDRESS MODEL REQUESTS CONNECTIONS PID < BODY`.
//!
//! Sends one JSON body over keep-alive connections and prints, as one line of JSON, the failures, the latency
//! percentiles and the CPU time that the server's process spent for each request.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [address, model, requests, connections, pid] = args.as_slice() else {
        return Err("usage: load ADDRESS MODEL REQUESTS CONNECTIONS PID < BODY".into());
    };
    let (requests, connections): (usize, usize) = (requests.parse()?, connections.parse()?);
    let mut body = String::new();
    std::io::stdin().read_to_string(&mut body)?;
    let request = format!(
        "POST /v2/models/{model}/infer HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let each = requests / connections.max(1);
    run(address, &request, each.min(200))?;
    let before = cpu_seconds(pid)?;
    let begin = Instant::now();
    let threads: Vec<_> = (0..connections)
        .map(|_| {
            let (address, request) = (address.clone(), request.clone());
            std::thread::spawn(move || run(&address, &request, each))
        })
        .collect();
    let mut latencies = Vec::with_capacity(requests);
    for thread in threads {
        latencies.extend(thread.join().map_err(|_| "a connection's thread panicked")??);
    }
    let (wall, cpu) = (begin.elapsed(), cpu_seconds(pid)? - before);
    report(&mut latencies, wall, cpu);
    Ok(())
}

fn report(latencies: &mut [Duration], wall: Duration, cpu: f64) {
    latencies.sort_unstable();
    let at = |percent: usize| latencies.get(latencies.len() * percent / 100).map_or(0, Duration::as_micros);
    let count = u32::try_from(latencies.len()).unwrap_or(u32::MAX);
    println!(
        "{{\"requests\":{count},\"cpuMicrosPerRequest\":{:.1},\"p50Micros\":{},\"p95Micros\":{},\"perSecond\":{:.0}}}",
        cpu * 1e6 / f64::from(count.max(1)),
        at(50),
        at(95),
        f64::from(count) / wall.as_secs_f64(),
    );
}

fn run(address: &str, request: &str, count: usize) -> Result<Vec<Duration>, Failure> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    let mut latencies = Vec::with_capacity(count);
    for _ in 0..count {
        let begin = Instant::now();
        writer.write_all(request.as_bytes())?;
        read_answer(&mut reader)?;
        latencies.push(begin.elapsed());
    }
    Ok(latencies)
}

fn read_answer(reader: &mut BufReader<TcpStream>) -> Result<(), Failure> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    if !line.contains(" 200 ") {
        return Err(format!("the server answered {line:?}").into());
    }
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let header = line.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(())
}

/// CPU time of a process and those that it started and waits for, from `/proc`.
fn cpu_seconds(pid: &str) -> Result<f64, Failure> {
    let mut total = 0.0;
    for pid in std::iter::once(pid.to_owned()).chain(children(pid)) {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let (_, fields) = stat.rsplit_once(')').ok_or("no such process")?;
        let mut times = fields.split_ascii_whitespace().skip(11);
        for _ in 0..2 {
            total += times.next().ok_or("short stat")?.parse::<f64>()? / 100.0;
        }
    }
    Ok(total)
}

fn children(pid: &str) -> Vec<String> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let direct: Vec<String> = text.split_ascii_whitespace().map(str::to_owned).collect();
    direct.iter().flat_map(|child| std::iter::once(child.clone()).chain(children(child))).collect()
}
