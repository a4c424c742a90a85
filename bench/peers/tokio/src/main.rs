//! Peer: tokio on its current_thread runtime with all drivers on. usage: tokiobench NAME. Spawned tasks
//! with their JoinHandles, bounded mpsc channels, tokio::time::sleep for timers and sleepers, a task with a
//! buffer for each connection of the echo server. tokio has no unbuffered channel, so channel/0 is absent.
use hyper::service::{make_service_fn, service_fn};
use hyper::{Body, Request, Response, Server};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A field of /proc/self/status, in KiB.
fn status_kb(key: &str) -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    for line in status.lines() {
        if line.starts_with(key) && line[key.len()..].starts_with(':') {
            return line.split_whitespace().nth(1).unwrap().parse().unwrap();
        }
    }
    -1
}

fn clock_ns(clock: libc::clockid_t) -> i64 {
    let mut t = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    unsafe { libc::clock_gettime(clock, &mut t) };
    t.tv_sec * 1_000_000_000 + t.tv_nsec
}

fn cpu_s() -> f64 {
    clock_ns(libc::CLOCK_PROCESS_CPUTIME_ID) as f64 / 1e9
}

fn result(name: &str, value: f64, unit: &str) {
    println!("RESULT {} {:.4} {}", name, value, unit);
}

fn per_op(name: &str, start: Instant, count: usize, unit: &str) {
    result(name, start.elapsed().as_nanos() as f64 / count as f64, unit);
}

async fn bench_switch(name: &str, tasks: usize, total: usize) {
    let turns = total / tasks;
    let start = Instant::now();
    let mut handles = vec![];
    for _ in 0..tasks {
        handles.push(tokio::spawn(async move {
            for _ in 0..turns {
                tokio::task::yield_now().await
            }
        }));
    }
    for handle in handles {
        handle.await.unwrap()
    }
    per_op(name, start, turns * tasks, "ns/switch");
}

async fn bench_spawn_one(name: &str) {
    let n = 1_000_000;
    let start = Instant::now();
    tokio::spawn(async move {
        for _ in 0..n {
            tokio::spawn(async {}).await.unwrap()
        }
    })
    .await
    .unwrap();
    per_op(name, start, n, "ns/task");
}

async fn bench_spawn_many(name: &str) {
    let (n, batch) = (2_000_000, 1000);
    let start = Instant::now();
    tokio::spawn(async move {
        let mut handles = Vec::with_capacity(batch);
        for _ in 0..n / batch {
            for _ in 0..batch {
                handles.push(tokio::spawn(async {}))
            }
            for handle in handles.drain(..) {
                handle.await.unwrap()
            }
        }
    })
    .await
    .unwrap();
    per_op(name, start, n, "ns/task");
}

async fn bench_channel(name: &str, capacity: usize) {
    let n: usize = 3_000_000;
    let (out, mut input) = tokio::sync::mpsc::channel::<usize>(capacity);
    let start = Instant::now();
    let producer = tokio::spawn(async move {
        for i in 0..n {
            out.send(i).await.unwrap()
        }
    });
    let consumer = tokio::spawn(async move {
        let mut sum = 0;
        while let Some(value) = input.recv().await {
            sum += value
        }
        sum
    });
    producer.await.unwrap();
    let sum = consumer.await.unwrap();
    per_op(name, start, n, "ns/item");
    assert_eq!(sum, n * (n - 1) / 2);
}

struct Noop;
impl Wake for Noop {
    fn wake(self: Arc<Self>) {}
}

fn bench_timers(name: &str) {
    let n: usize = 1_000_000;
    let waker = Arc::new(Noop).into();
    let mut context = Context::from_waker(&waker);
    let mut timers: Vec<Pin<Box<tokio::time::Sleep>>> = Vec::with_capacity(n);
    let start = Instant::now();
    for i in 0..n {
        let ahead = Duration::from_millis((10000 + (i * 7919) % 50000) as u64);
        let mut sleep = Box::pin(tokio::time::sleep(ahead));
        assert!(matches!(sleep.as_mut().poll(&mut context), Poll::Pending));
        timers.push(sleep);
    }
    timers.clear();
    per_op(name, start, n, "ns/op");
}

fn bench_churn(name: &str) {
    let n: usize = 1_000_000;
    let waker = Arc::new(Noop).into();
    let mut context = Context::from_waker(&waker);
    let start = Instant::now();
    for _ in 0..n {
        let sleep = tokio::time::sleep(Duration::from_secs(10));
        tokio::pin!(sleep);
        let _ = sleep.as_mut().poll(&mut context);
    }
    per_op(name, start, n, "ns/op");
}

async fn bench_sleepers() {
    let n: usize = 1_000_000;
    let (rss, cpu, start) = (status_kb("VmRSS"), cpu_s(), Instant::now());
    let mut handles = Vec::with_capacity(n);
    for i in 0..n {
        let d = Duration::from_millis((1000 + (i * 7919) % 9001) as u64);
        handles.push(tokio::spawn(async move { tokio::time::sleep(d).await }));
    }
    let create = start.elapsed().as_secs_f64();
    for handle in handles {
        handle.await.unwrap()
    }
    let peak = (status_kb("VmHWM") - rss) as f64 * 1024.0 / n as f64;
    result("sleepers/1m/cpu_s", cpu_s() - cpu, "s");
    result("sleepers/1m/rss_b", peak, "B");
    result("sleepers/1m/create_s", create, "s");
}

async fn serve_echo(mut stream: TcpStream) {
    let mut buffer = vec![0u8; 16384];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(n) => {
                if stream.write_all(&buffer[..n]).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn echo() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    println!("PORT {}", listener.local_addr().unwrap().port());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        tokio::spawn(serve_echo(stream));
    }
}

async fn answer(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let reply = Response::builder();
    Ok(match request.uri().path() {
        "/" => reply
            .header("content-type", "text/plain")
            .body(Body::from("Hello, World!")),
        _ => reply.status(404).body(Body::empty()),
    }
    .unwrap())
}

async fn http() {
    let service = make_service_fn(|_| async { Ok::<_, Infallible>(service_fn(answer)) });
    let server = Server::bind(&([127, 0, 0, 1], 0).into())
        .tcp_nodelay(true)
        .http1_pipeline_flush(true)
        .serve(service);
    println!("PORT {}", server.local_addr().port());
    server.await.unwrap();
}

// 64 tasks that ask a server at a port again and again, by one client that keeps their connections.
async fn bench_client(name: &str) {
    const TASKS: usize = 64;
    const REQUESTS: usize = 100_000;
    let port = std::env::args().nth(2).unwrap();
    let url: hyper::Uri = format!("http://127.0.0.1:{}/", port).parse().unwrap();
    let client = hyper::Client::builder().pool_max_idle_per_host(TASKS).build_http::<Body>();
    for requests in [10 * TASKS, REQUESTS] {
        let (cpu, start) = (cpu_s(), Instant::now());
        let mut tasks = Vec::new();
        for _ in 0..TASKS {
            let (client, url) = (client.clone(), url.clone());
            tasks.push(tokio::spawn(async move {
                for _ in 0..requests / TASKS {
                    let response = client.get(url.clone()).await.unwrap();
                    let body = hyper::body::to_bytes(response.into_body()).await.unwrap();
                    assert!(body.len() == 13);
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        if requests == REQUESTS {
            let count = REQUESTS as f64;
            result(&format!("{}/rate", name), count / start.elapsed().as_secs_f64(), "/s");
            result(&format!("{}/cpu_ns", name), (cpu_s() - cpu) * 1e9 / count, "ns");
        }
    }
}

async fn start_up() {
    tokio::spawn(async { println!("{}", clock_ns(libc::CLOCK_MONOTONIC)) })
        .await
        .unwrap();
}

async fn run(name: &str) {
    match name {
        "switch/2" => bench_switch(name, 2, 4_000_000).await,
        "switch/1000" => bench_switch(name, 1000, 8_000_000).await,
        "spawn_join/1" => bench_spawn_one(name).await,
        "spawn_join/1000" => bench_spawn_many(name).await,
        "channel/1" => bench_channel(name, 1).await,
        "channel/64" => bench_channel(name, 64).await,
        "timers/1m" => bench_timers(name),
        "timers/churn" => bench_churn(name),
        "sleepers/1m" => bench_sleepers().await,
        "echo" => tokio::spawn(echo()).await.unwrap(),
        "http" | "http_close" => http().await,
        "client/get" => bench_client(name).await,
        "startup/ms" => start_up().await,
        _ => std::process::exit(2),
    }
}

fn main() {
    let name = std::env::args().nth(1).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(&name));
}
