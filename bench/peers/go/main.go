// Peer: Go. usage: gobench NAME, run with GOMAXPROCS=1. Each name is written as a Go user would write
// it: goroutines, a WaitGroup or a channel to join, time.AfterFunc for timers, time.Sleep for sleepers,
// a goroutine with a buffer for each connection of the echo server.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// A field of /proc/self/status, in KiB.
func statusKB(key string) int64 {
	file, err := os.Open("/proc/self/status")
	if err != nil {
		return -1
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), key+":") {
			value, _ := strconv.ParseInt(strings.Fields(lines.Text())[1], 10, 64)
			return value
		}
	}
	return -1
}

func clockNs(clock uintptr) int64 {
	var t syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&t)), 0)
	return t.Nano()
}

func cpuSeconds() float64 {
	const processCPU = 2
	return float64(clockNs(processCPU)) / 1e9
}

func result(name string, value float64, unit string) {
	fmt.Printf("RESULT %s %.4f %s\n", name, value, unit)
}

func perOp(name string, start time.Time, count int, unit string) {
	result(name, float64(time.Since(start).Nanoseconds())/float64(count), unit)
}

func benchSwitch(name string, tasks, total int) {
	var wg sync.WaitGroup
	turns := total / tasks
	start := time.Now()
	for i := 0; i < tasks; i++ {
		wg.Add(1)
		go func() {
			for j := 0; j < turns; j++ {
				runtime.Gosched()
			}
			wg.Done()
		}()
	}
	wg.Wait()
	perOp(name, start, turns*tasks, "ns/switch")
}

func benchSpawnOne(name string) {
	const n = 1000000
	done := make(chan struct{})
	start := time.Now()
	for i := 0; i < n; i++ {
		go func() { done <- struct{}{} }()
		<-done
	}
	perOp(name, start, n, "ns/task")
}

func benchSpawnMany(name string) {
	const n, batch = 2000000, 1000
	var wg sync.WaitGroup
	start := time.Now()
	for i := 0; i < n/batch; i++ {
		wg.Add(batch)
		for j := 0; j < batch; j++ {
			go wg.Done()
		}
		wg.Wait()
	}
	perOp(name, start, n, "ns/task")
}

func benchChannel(name string, capacity int) {
	const n = 3000000
	channel := make(chan int, capacity)
	start := time.Now()
	go func() {
		for i := 0; i < n; i++ {
			channel <- i
		}
		close(channel)
	}()
	sum := 0
	for value := range channel {
		sum += value
	}
	perOp(name, start, n, "ns/item")
	if sum != n*(n-1)/2 {
		panic("items were lost")
	}
}

func benchTimers(name string) {
	const n = 1000000
	timers := make([]*time.Timer, n)
	fire := func() {}
	start := time.Now()
	for i := range timers {
		timers[i] = time.AfterFunc(time.Duration(10000+(i*7919)%50000)*time.Millisecond, fire)
	}
	for i := range timers {
		timers[i].Stop()
	}
	perOp(name, start, n, "ns/op")
}

func benchChurn(name string) {
	const n = 1000000
	fire := func() {}
	start := time.Now()
	for i := 0; i < n; i++ {
		time.AfterFunc(10*time.Second, fire).Stop()
	}
	perOp(name, start, n, "ns/op")
}

func benchSleepers() {
	const n = 1000000
	rss, cpu, start := statusKB("VmRSS"), cpuSeconds(), time.Now()
	var wg sync.WaitGroup
	wg.Add(n)
	for i := 0; i < n; i++ {
		d := time.Duration(1000+(i*7919)%9001) * time.Millisecond
		go func() { time.Sleep(d); wg.Done() }()
	}
	create := time.Since(start).Seconds()
	wg.Wait()
	result("sleepers/1m/cpu_s", cpuSeconds()-cpu, "s")
	result("sleepers/1m/rss_b", float64(statusKB("VmHWM")-rss)*1024/n, "B")
	result("sleepers/1m/create_s", create, "s")
}

func serveEcho(c net.Conn) {
	defer c.Close()
	buffer := make([]byte, 16384)
	for {
		n, err := c.Read(buffer)
		if err != nil {
			return
		}
		if _, err := c.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func echo() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("PORT %d\n", listener.Addr().(*net.TCPAddr).Port)
	for {
		c, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		go serveEcho(c)
	}
}

func startUp() {
	done := make(chan struct{})
	go func() {
		const monotonic = 1
		fmt.Println(clockNs(monotonic))
		close(done)
	}()
	<-done
}

const (
	smallFiles = 10000
	passes     = 5
	bigPieces  = 1024
)

// Where bench/files.h has its files.
func filesDirectory() string {
	if own := os.Getenv("COIR_BENCH_FILES"); own != "" {
		return own
	}
	if base := os.Getenv("TMPDIR"); base != "" {
		return base + "/coir-bench-files"
	}
	return "/tmp/coir-bench-files"
}

func benchSmallFiles(name string) {
	directory := filesDirectory()
	var next atomic.Int64
	var group sync.WaitGroup
	group.Add(64)
	cpu, start := cpuSeconds(), time.Now()
	for i := 0; i < 64; i++ {
		go func() {
			defer group.Done()
			for n := next.Add(1) - 1; n < smallFiles*passes; n = next.Add(1) - 1 {
				data, err := os.ReadFile(fmt.Sprintf("%s/f%05d", directory, n%smallFiles))
				if err != nil || len(data) != 4096 {
					os.Exit(1)
				}
			}
		}()
	}
	group.Wait()
	elapsed := time.Since(start)
	result(name, float64(elapsed.Nanoseconds())/(smallFiles*passes)/1e3, "us/file")
	result("cpu_us", (cpuSeconds()-cpu)*1e6/(smallFiles*passes), "us/file")
}

func benchBigFile(name string) {
	file, err := os.Open(filesDirectory() + "/big")
	if err != nil {
		os.Exit(1)
	}
	defer file.Close()
	data := make([]byte, 1<<20)
	cpu, start := cpuSeconds(), time.Now()
	for i := int64(0); i < bigPieces; i++ {
		if n, _ := file.ReadAt(data, i<<20); n != len(data) {
			os.Exit(1)
		}
	}
	result(name, float64(bigPieces<<20)/float64(time.Since(start).Nanoseconds()), "GB/s")
	result("cpu_s", cpuSeconds()-cpu, "s")
}

func processes(name string) {
	const n = 1000
	start := time.Now()
	for i := 0; i < n; i++ {
		if err := exec.Command("/bin/true").Run(); err != nil {
			panic(err)
		}
	}
	result(name, n/time.Since(start).Seconds(), "/s")
}

func serveHTTP() {
	http.HandleFunc("/", func(reply http.ResponseWriter, _ *http.Request) {
		reply.Header().Set("Content-Type", "text/plain")
		reply.Write([]byte("Hello, World!"))
	})
	http.HandleFunc("/json", func(reply http.ResponseWriter, _ *http.Request) {
		text, _ := json.Marshal(map[string]string{"message": "Hello, World!"})
		reply.Header().Set("Content-Type", "application/json")
		reply.Write(text)
	})
	files := http.FileServer(http.Dir(os.Getenv("COIR_BENCH_HTTP_FILES")))
	http.Handle("/files/", http.StripPrefix("/files/", files))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("PORT %d\n", listener.Addr().(*net.TCPAddr).Port)
	panic(http.Serve(listener, nil))
}

// 64 goroutines that ask a server at a port again and again, by one client that keeps their connections.
func benchClient(name string) {
	const tasks, requests = 64, 100000
	transport := &http.Transport{MaxIdleConnsPerHost: tasks, MaxIdleConns: tasks, DisableCompression: true}
	client := &http.Client{Transport: transport}
	ask := func(total int) {
		var group sync.WaitGroup
		for task := 0; task < tasks; task++ {
			group.Add(1)
			go func() {
				defer group.Done()
				for i := 0; i < total/tasks; i++ {
					response, err := client.Get("http://127.0.0.1:" + os.Args[2] + "/")
					if err != nil {
						panic(err)
					}
					body, err := io.ReadAll(response.Body)
					if err != nil || len(body) != 13 {
						panic("another answer")
					}
					response.Body.Close()
				}
			}()
		}
		group.Wait()
	}
	ask(10 * tasks)
	cpu, start := cpuSeconds(), time.Now()
	ask(requests)
	result(name+"/rate", requests/time.Since(start).Seconds(), "/s")
	result(name+"/cpu_ns", (cpuSeconds()-cpu)*1e9/requests, "ns")
}

func main() {
	switch name := os.Args[1]; name {
	case "switch/2":
		benchSwitch(name, 2, 4000000)
	case "switch/1000":
		benchSwitch(name, 1000, 4000000)
	case "spawn_join/1":
		benchSpawnOne(name)
	case "spawn_join/1000":
		benchSpawnMany(name)
	case "channel/0":
		benchChannel(name, 0)
	case "channel/1":
		benchChannel(name, 1)
	case "channel/64":
		benchChannel(name, 64)
	case "process_spawn/rate":
		processes(name)
	case "timers/1m":
		benchTimers(name)
	case "timers/churn":
		benchChurn(name)
	case "sleepers/1m":
		benchSleepers()
	case "echo":
		echo()
	case "http", "http_close":
		serveHTTP()
	case "client/get":
		benchClient(name)
	case "files/small_us":
		benchSmallFiles(name)
	case "files/big_gbs":
		benchBigFile(name)
	case "startup/ms":
		startUp()
	default:
		os.Exit(2)
	}
}
