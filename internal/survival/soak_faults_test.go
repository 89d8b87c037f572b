package survival

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/osquery/osquery-go/gen/osquery"
	"golang.org/x/sys/unix"

	"kernelroutes/internal/exttest"
	"kernelroutes/internal/osquerytest"
)

// soakFaults are what may go wrong. After those that end the extension it is started again.
var soakFaults = []struct {
	name string
	ends bool
	do   func(*soak)
}{
	{"stopped for a while, and asked meanwhile", false, (*soak).stopped},
	{"changes as fast as can be while stopped", false, (*soak).overflow},
	{"a second namespace", false, (*soak).secondNamespace},
	{"few descriptors", false, (*soak).fewDescriptors},
	{"garbage", false, (*soak).garbage},
	{"silent and slow connections", false, (*soak).silence},
	{"answers that are read in part", false, (*soak).halfRead},
	{"senseless requests", false, (*soak).senseless},
	{"many queries at once", false, (*soak).manyQueries},
	{"stopped and deregistered", true, (*soak).stoppedForLong},
	{"deregistered", true, (*soak).deregistered},
	{"osquery restarted", true, (*soak).osqueryRestarted},
	{"killed", true, (*soak).killed},
	{"told to end", true, (*soak).terminated},
	{"socket removed", true, (*soak).socketRemoved},
}

func (s *soak) signal(sig syscall.Signal) {
	if err := s.x.Cmd.Process.Signal(sig); err != nil {
		s.t.Errorf("signal %v: %v", sig, err)
	}
}

// someTime is between two times, no longer than there is in all.
func (s *soak) someTime(least, most time.Duration) {
	time.Sleep(min(least+time.Duration(s.chance.Int64N(int64(most-least))), s.duration/20))
}

// stopped has queries wait until the process goes on.
func (s *soak) stopped() {
	s.signal(syscall.SIGSTOP)
	var asked sync.WaitGroup
	for range 2 {
		q := s.someQuery()
		asked.Go(func() { s.must(q) })
	}
	s.someTime(100*time.Millisecond, 3*time.Second)
	s.signal(syscall.SIGCONT)
	asked.Wait()
}

// overflow makes more changes than the kernel keeps for who does not listen.
func (s *soak) overflow() {
	s.signal(syscall.SIGSTOP)
	s.churner.burst(5_000 + s.chance.IntN(15_000))
	s.signal(syscall.SIGCONT)
	if s.chance.Yes() {
		s.checkpoint()
	}
}

// otherNamespace starts a process in a namespace with one route.
func (s *soak) otherNamespace() {
	s.other = exec.Command("sh", "-c",
		"ip link set lo up && ip route add 198.51.100.0/24 dev lo && echo done && read x")
	s.other.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	s.other.Stderr = os.Stderr
	in, err := s.other.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := s.other.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.other.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		in.Close()
		s.other.Process.Kill()
		s.other.Wait()
	})
	if _, err := io.ReadFull(out, make([]byte, len("done"))); err != nil {
		s.t.Fatalf("no other namespace: %v", err)
	}
}

// secondNamespace asks for the routes of another namespace, and then of the own one.
func (s *soak) secondNamespace() {
	for range 3 {
		rows, err := s.query(fmt.Sprintf("SELECT dst, dev FROM kernel_routes WHERE table_name = 'main' AND "+
			"pid_with_namespace = %d", s.other.Process.Pid))
		if err != nil || len(rows) != 1 || rows[0]["dst"] != "198.51.100.0/24" {
			s.t.Errorf("of another namespace: %v, %v", rows, err)
		}
		s.must(s.someQuery())
	}
}

// fewDescriptors leaves the extension few files to open, or none, so that it may not even accept a
// connection. It may say so, but not be wrong.
func (s *soak) fewDescriptors() {
	var old unix.Rlimit
	pid := s.x.Cmd.Process.Pid
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &old); err != nil {
		s.t.Fatal(err)
	}
	few := old
	few.Cur = uint64(8 + s.chance.IntN(30))
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &few, nil); err != nil {
		s.t.Fatal(err)
	}
	for range 3 {
		if err := s.ask(s.someQuery(), 2*time.Second); err != nil {
			s.refused++
		}
	}
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &old, nil); err != nil {
		s.t.Fatal(err)
	}
	s.must(s.someQuery())
}

func (s *soak) dial() net.Conn {
	conn, err := net.Dial("unix", s.x.Address())
	if err != nil {
		s.t.Errorf("connect: %v\n%s", err, s.tail())
		return nil
	}
	return conn
}

// garbage sends what is no request, or not quite one.
func (s *soak) garbage() {
	for range 1 + s.chance.IntN(20) {
		conn := s.dial()
		if conn == nil {
			return
		}
		b := callForRoutes()
		switch s.chance.IntN(4) {
		case 0:
			b = s.chance.Bytes(1 + s.chance.IntN(100_000))
		case 1:
			b = b[:s.chance.IntN(len(b))]
		case 2: // a size that is claimed
			copy(b[s.chance.IntN(len(b)-4):], []byte{0x7f, 0xff, 0xff, byte(s.chance.Uint32())})
		default:
			for range 1 + s.chance.IntN(5) {
				b[s.chance.IntN(len(b))] = byte(s.chance.Uint32())
			}
		}
		conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
		conn.Write(b) // it may be closed meanwhile
		conn.Close()
	}
}

// callForRoutes is a call that asks for all routes, in bytes.
func callForRoutes() []byte {
	return osquerytest.Message("call", &osquery.ExtensionCallArgs{Registry: "table", Item: "kernel_routes",
		Request: exttest.Request(nil, "route_id", "dst", "gateway", "dev", "metric", "protocol", "flag_names")})
}

// closeSilent closes the connections of silence.
func (s *soak) closeSilent() {
	for _, c := range s.silent {
		c.Close()
	}
	s.silent = nil
	s.sizes.hold(false)
}

// silence has many connections of which nothing comes, or half a request, until some queries later, which may be
// half of a short life of the extension.
func (s *soak) silence() {
	s.sizes.hold(true)
	for range 10 + s.chance.IntN(60) {
		conn := s.dial()
		if conn == nil {
			return
		}
		if b := callForRoutes(); s.chance.Yes() {
			conn.Write(b[:s.chance.IntN(len(b))])
		}
		s.silent = append(s.silent, conn)
	}
	s.must(s.someQuery())
}

// halfRead asks for much and goes away in the middle of the answer.
func (s *soak) halfRead() {
	for range 1 + s.chance.IntN(10) {
		conn := s.dial()
		if conn == nil {
			return
		}
		conn.SetDeadline(time.Now().Add(30 * time.Second))
		if _, err := conn.Write(callForRoutes()); err != nil {
			s.t.Error(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, 1+s.chance.IntN(2000))); err != nil {
			s.t.Errorf("no answer begins: %v", err)
		}
		conn.Close()
	}
	s.must(s.someQuery())
}

// senseless asks for what there is not, in ways that osquery does not have.
func (s *soak) senseless() {
	long := strings.Repeat("x", 1<<20)
	for _, request := range []map[string]string{{}, {"action": "generate"}, {"action": "nosuch"},
		{"action": "generate", "context": "{"}, {"action": "generate", "context": `{"constraints":"` + long + `"}`},
		{"action": "generate", "context": `{"constraints":[{"name":"dst","list":[{"op":2,"expr":"` + long + `"}]}]}`},
		{"action": "generate", "context": `{"colsUsed":["nosuch","a\u0000b"]}`},
		{"action": "generate\x00", "context": long}} {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		_, err := s.manager.Call(ctx, "kernel_routes", request)
		if ctx.Err() != nil || err != nil && !strings.Contains(err.Error(), "too") {
			s.t.Errorf("a senseless request: %v", err)
		}
		cancel()
	}
	s.must(s.someQuery())
}

// manyQueries asks more at once than are answered at once.
func (s *soak) manyQueries() {
	var asked sync.WaitGroup
	for range 5 + s.chance.IntN(30) {
		q := s.someQuery()
		asked.Go(func() { s.must(q) })
	}
	asked.Wait()
}

// forget has osquery forget the extension, as after a ping without an answer.
func (s *soak) forget() {
	if !s.manager.Deregister(s.x.UUID) {
		s.t.Error("the extension was not registered")
	}
}

func (s *soak) stoppedForLong() {
	s.signal(syscall.SIGSTOP)
	s.someTime(100*time.Millisecond, 4*time.Second)
	s.forget()
	s.signal(syscall.SIGCONT)
	s.restart("stopped and deregistered", 1)
}

func (s *soak) deregistered() {
	s.forget()
	s.restart("deregistered", 1)
}

func (s *soak) osqueryRestarted() {
	s.manager.Close()
	if s.chance.Yes() { // or before the extension has noticed
		<-s.ended
	}
	s.startManager()
	s.restart("osquery restarted", 1)
}

func (s *soak) killed() {
	s.signal(syscall.SIGKILL)
	<-s.ended
	s.forget()
	s.restart("killed", -1)
}

func (s *soak) terminated() {
	s.signal(syscall.SIGTERM)
	<-s.ended
	s.x.Told(s.t)
	s.restart("told to end", 0)
}

func (s *soak) socketRemoved() {
	if err := os.Remove(s.x.Address()); err != nil {
		s.t.Errorf("remove the socket: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.manager.Ping(ctx, s.x.UUID) == nil {
		s.t.Error("an answer without a socket")
	}
	s.manager.Deregister(s.x.UUID) // which it may have asked for itself
	s.restart("socket removed", 1)
}
