//go:build linux

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"kernelroutes/rtnl/events"
)

// changeRate is how many changes a second are made while others listen.
const changeRate = 10_000

// A listener is a process that listens to changes, and has begun to.
type listener struct {
	plugIn // of which it is the process alone
	what   string
	in     io.WriteCloser
	out    *bufio.Reader // nil: it is ip, which writes a line for each change to file
	file   string
}

// listen starts a listener and waits until it listens. args begins with the program.
func (b *bench) listen(ns *namespace, what string, args ...string) (l *listener, err error) {
	l = &listener{plugIn: plugIn{cmd: exec.Command(args[0], args[1:]...)}, what: what}
	if args[0] == "ip" {
		return l, l.startIP(ns, filepath.Join(b.dir, "changes"))
	}
	out, err := l.cmd.StdoutPipe()
	in, err2 := l.cmd.StdinPipe()
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	l.in, l.out = in, bufio.NewReader(out)
	if err := ns.start(l.cmd); err != nil {
		return nil, err
	}
	if text, err := l.out.ReadString('\n'); text != "ready\n" {
		return nil, fmt.Errorf("%s does not listen: %q, %w", what, text, err)
	}
	return l, nil
}

// startIP starts ip monitor, and makes changes until it tells of one.
func (l *listener) startIP(ns *namespace, file string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	l.cmd.Stdout, l.file = f, file
	if err := ns.start(l.cmd); err != nil {
		return err
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		for _, verb := range []string{"add", "del"} {
			if err := ns.run(exec.Command("ip", "route", verb, "10.129.0.0/32", "dev", "v0")); err != nil {
				return err
			}
		}
		switch fi, err := f.Stat(); {
		case err != nil:
			return err
		case fi.Size() > 0:
			return nil
		case time.Now().After(deadline):
			return errors.New("ip monitor tells of no change")
		}
	}
}

// seen returns how many changes it has told of, and of how many losses.
func (l *listener) seen() (changes, lost uint64, err error) {
	if l.out == nil {
		text, err := os.ReadFile(l.file)
		return uint64(bytes.Count(text, []byte("\n"))), 0, err
	}
	if _, err := io.WriteString(l.in, "\n"); err != nil {
		return 0, 0, err
	}
	text, err := l.out.ReadString('\n')
	if err != nil {
		return 0, 0, fmt.Errorf("%s ended: %w", l.what, err)
	}
	_, err = fmt.Sscan(text, &changes, &lost)
	return changes, lost, err
}

func (l *listener) stop() {
	l.cmd.Process.Kill()
	l.cmd.Wait()
}

// settle waits until the process does nothing.
func (l *listener) settle() error {
	before := time.Duration(-1)
	for deadline := time.Now().Add(time.Minute); ; {
		switch cpu, err := l.cpu(); {
		case err != nil:
			return err
		case cpu == before:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("%s does not come to rest", l.what)
		default:
			before = cpu
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// during does something and returns what it costs the listener until it rests, and how many
// changes and losses it then tells of.
func (l *listener) during(do func() error) (s sample, changes, lost uint64, err error) {
	if err := l.settle(); err != nil {
		return s, 0, 0, err
	}
	told, toldLost, err := l.seen()
	if err != nil {
		return s, 0, 0, err
	}
	if err := os.WriteFile(l.proc("clear_refs"), []byte("5"), 0); err != nil { // VmHWM begins anew
		return s, 0, 0, err
	}
	before, err := l.cpu()
	start := time.Now()
	if err := errors.Join(err, do()); err != nil {
		return s, 0, 0, err
	}
	s.wall = time.Since(start)
	err = l.settle()
	after, err2 := l.cpu()
	peak, err3 := l.status("VmHWM")
	changes, lost, err4 := l.seen()
	s.cpu, s.rss = after-before, peak
	return s, changes - told, lost - toldLost, errors.Join(err, err2, err3, err4)
}

// following measures what it costs to follow changes: on an ordinary host and beside all routes.
func (b *bench) following() (lines []line, err error) {
	for _, host := range []struct {
		what string
		ns   *namespace
	}{{"ordinary host", b.empty}, {"all routes", b.big}} {
		for _, l := range b.listeners() {
			if o := os.Getenv("ONLY"); o != "" && o != l.what {
				continue
			}
			if l.missing != "" {
				lines = append(lines, line{what: l.missing})
				continue
			}
			more, err := b.storm(host.ns, host.what, l)
			if err != nil {
				return nil, fmt.Errorf("changes, %s: %s: %w", host.what, l.what, err)
			}
			lines = append(lines, more...)
		}
	}
	more, err := b.takenAlong()
	return append(lines, more...), err
}

// A listening is what listens, or what is missing for it.
type listening struct {
	what    string
	args    []string
	ours    bool
	missing string
}

func (b *bench) listeners() []listening {
	all := []listening{
		{what: "floor", args: []string{"/proc/self/exe", "-changesFloor"}},
		{what: "events", args: []string{"/proc/self/exe", "-follow"}, ours: true},
		{what: "ip monitor route > FILE", args: []string{"ip", "monitor", "route"}},
	}
	peer := listening{what: "vishvananda/netlink RouteSubscribe", args: []string{peersExecutable(b.dir), "changes"}}
	if _, err := os.Stat(peer.args[0]); err != nil {
		peer.missing = peer.what + ": not built"
	}
	return append(all, peer)
}

// storm measures a listener at rest, and while there are changeRate changes a second.
func (b *bench) storm(ns *namespace, host string, of listening) ([]line, error) {
	l, err := b.listen(ns, of.what, of.args...)
	if err != nil {
		return nil, err
	}
	defer l.stop()
	begun, err := l.cpu()
	peak, err2 := l.status("VmHWM")
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	what := fmt.Sprintf("changes, %s: %s: ", host, of.what)
	start := sampleLine(what+"begin", sample{cpu: begun, rss: peak})
	rest, _, _, err := l.during(func() error { time.Sleep(idleTime); return nil })
	if err != nil {
		return nil, err
	}
	idle := sampleLine(what+"idle for 10 s", rest)
	total := b.changes * changeRate / 3 * 3 // so that nothing is left
	s, changes, lost, err := l.during(func() error {
		return ns.run(changesCommand(total, changeRate))
	})
	if err != nil {
		return nil, err
	}
	each := sampleLine(what+fmt.Sprintf("%d changes", total), s)
	each.ratio = fmt.Sprintf("%s for 10,000, %d told, %d losses",
		milliseconds(s.cpu/time.Duration(b.changes)), changes, lost)
	if of.ours {
		start.keeps(megabytes(maxFollowing), peak <= maxFollowing)
		idle.keeps("no CPU", rest.cpu < time.Millisecond)
		each.keeps("250 ms for 10,000, "+megabytes(maxFollowing)+", all told",
			s.cpu/time.Duration(b.changes) <= 250*time.Millisecond && s.rss <= maxFollowing &&
				(changes == uint64(total) || lost > 0))
	}
	return []line{start, idle, each}, nil
}

// maxFollowing is how much memory may be in use: what osquery's watchdog lets an extension have.
const maxFollowing = 200 * mib

// takenAlong measures what it costs, beside all routes, to find out what went with an interface,
// and to compare everything, when messages were lost.
func (b *bench) takenAlong() ([]line, error) {
	ip := exec.Command("ip", "-batch", "-")
	var batch bytes.Buffer
	batch.WriteString("link add v2 type veth peer name v3\nlink set v2 addrgenmode none\n" +
		"link set v3 addrgenmode none\nlink set v2 up\nlink set v3 up\naddr add 10.130.0.1/24 dev v2\n")
	const few = 10
	for i := range few {
		fmt.Fprintf(&batch, "route add 10.131.%d.0/24 via 10.130.0.2\n", i)
	}
	ip.Stdin = &batch
	if err := b.big.run(ip); err != nil {
		return nil, err
	}
	down, err := b.once("an interface goes down", 0, func(*listener) error {
		return b.big.run(exec.Command("ip", "link", "set", "v2", "down"))
	}, func(changes, _ uint64) bool { return changes > few })
	if err != nil {
		return nil, err
	}
	const all = "losses, and all is compared, with as many events as are kept"
	loss, err := b.once(all, events.MaxRows, func(l *listener) error {
		err := l.cmd.Process.Signal(syscall.SIGSTOP)
		err2 := b.big.run(changesCommand(210_000, 100_000))
		return errors.Join(err, err2, l.cmd.Process.Signal(syscall.SIGCONT))
	}, func(_, lost uint64) bool { return lost > 0 })
	return []line{down, loss}, err
}

// changesCommand makes so many changes, at so many a second. A multiple of three leaves nothing.
func changesCommand(n, rate int) *exec.Cmd {
	return exec.Command("/proc/self/exe", "-sendChanges", strconv.Itoa(n), strconv.Itoa(rate))
}

// once measures a process that follows changes beside all routes, and has so many events, while
// something is done to it.
func (b *bench) once(what string, kept int, do func(*listener) error,
	ok func(changes, lost uint64) bool) (line, error) {
	l, err := b.listen(b.big, "events", "/proc/self/exe", "-follow")
	if err != nil {
		return line{}, err
	}
	defer l.stop()
	_, _, _, err = l.during(func() error { return b.big.run(changesCommand((kept+2)/3*3, changeRate)) })
	if err != nil {
		return line{}, err
	}
	s, changes, lost, err := l.during(func() error { return do(l) })
	if err != nil {
		return line{}, fmt.Errorf("%s: %w", what, err)
	}
	one := sampleLine("changes, all routes: events: "+what, s)
	one.ratio = fmt.Sprintf("%d told, %d losses", changes, lost)
	one.keeps(megabytes(maxFollowing)+", told", s.rss <= maxFollowing && ok(changes, lost))
	return one, nil
}
