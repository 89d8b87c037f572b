//go:build linux

// Bench compares this program with the least that reading the kernel's routes
// takes and with other tools, on as many routes as the Internet has. See
// README.md.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// roles are what this program is when it starts itself as another process.
var roles = map[string]func(args []string) error{
	"-fill":    fill,
	"-floor":   floor,
	"-floors":  floors,
	"-links":   linkFloor,
	"-lookups": bareLookups,
	"-plugin":  plugin,

	"-fillRules":    fillRules,
	"-floorOfRules": floorOfRules,

	"-sendChanges":  sendChanges,
	"-changesFloor": changesFloor,
	"-follow":       follow,
}

// inside names the folder for files, in the environment of the process that
// measures.
const inside = "KERNEL_ROUTES_BENCH"

func main() {
	if len(os.Args) > 1 && roles[os.Args[1]] != nil {
		exit(roles[os.Args[1]](os.Args[2:]))
	}
	var b bench
	flag.IntVar(&b.ipv4, "v4", 1_000_000, "`number` of IPv4 routes")
	flag.IntVar(&b.ipv6, "v6", 200_000, "`number` of IPv6 routes")
	flag.IntVar(&b.rounds, "rounds", 5, "`number` of runs of each command")
	flag.BoolVar(&b.extension, "extension", true, "measure the osquery extension too")
	flag.BoolVar(&b.packs, "packs", false, "measure the queries of the packs, and nothing else")
	flag.IntVar(&b.changes, "changes", 0, "follow changes for so many `seconds`, and measure nothing else")
	flag.Parse()
	if b.rounds < 1 || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if b.dir = os.Getenv(inside); b.dir != "" {
		exit(b.run())
	}
	dir, err := os.MkdirTemp("", "routes")
	if err != nil {
		exit(err)
	}
	status := 1
	// There is no network in a namespace, and go build may need one.
	if err = build(dir); err == nil {
		status, err = enter(inside + "=" + dir)
	}
	os.RemoveAll(dir)
	if err != nil {
		exit(err)
	}
	os.Exit(status)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// build builds the program that is measured, and the other libraries' if it can.
func build(dir string) error {
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return fmt.Errorf("find the program's source: %w; start this in its folder", err)
	}
	goBuild := func(output, folder string) error {
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", output, ".")
		cmd.Dir = filepath.Join(strings.TrimSpace(string(root)), folder)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("build %s: %w", cmd.Dir, err)
		}
		return nil
	}
	if err := goBuild(peersExecutable(dir), "bench/peers"); err != nil {
		fmt.Fprintln(os.Stderr, "bench: without other libraries:", err)
	}
	// The packs' declarations are out of sight where it measures.
	declared := os.DirFS(filepath.Join(strings.TrimSpace(string(root)), "packs"))
	if err := os.CopyFS(filepath.Join(dir, "packs"), declared); err != nil {
		return fmt.Errorf("copy the packs: %w", err)
	}
	return goBuild(executable(dir), ".")
}

func executable(dir string) string { return filepath.Join(dir, "kernel_routes.ext") }

// A bench is one run of everything.
type bench struct {
	ipv4, ipv6, rounds int
	extension, packs   bool
	changes            int // seconds; 0: no changes are followed
	dir                string

	big, empty *namespace // all routes; those of an ordinary host and table 77
}

func (b *bench) run() (err error) {
	if b.packs {
		return b.packCosts()
	}
	fmt.Fprintf(os.Stderr, "adding %d IPv4 and %d IPv6 routes\n", b.ipv4, b.ipv6)
	if b.big, err = newNamespace(b.ipv4, b.ipv6, 0); err != nil {
		return err
	}
	if b.empty, err = newNamespace(0, 0, 0); err != nil {
		return err
	}
	if err := b.check(); err != nil {
		return err
	}
	if b.changes > 0 {
		lines, err := b.following()
		return errors.Join(err, printTable(os.Stdout, lines))
	}
	lines, err := b.commands()
	if err != nil {
		return err
	}
	more, err := b.nexthops()
	if err != nil {
		return err
	}
	lines = append(lines, more...)
	if more, err = b.interfaceConfig(); err != nil {
		return err
	}
	lines = append(lines, more...)
	rules, err := b.rules()
	if err != nil {
		return err
	}
	lines = append(lines, rules...)
	if b.extension {
		more, err := b.extensions()
		if err != nil {
			return err
		}
		lines = append(lines, more...)
	}
	return printTable(os.Stdout, lines)
}

// check makes sure that what is measured is right.
func (b *bench) check() error {
	out, err := b.output("query", "--list", "SELECT count(*) FROM kernel_routes WHERE protocol = 'bgp'")
	if err != nil {
		return err
	}
	want := strconv.Itoa(b.ipv4 + b.ipv6 + 3)
	if lines := strings.Fields(out); len(lines) == 0 || lines[len(lines)-1] != want {
		return fmt.Errorf("there should be %s routes, but the answer is %q", want, out)
	}
	return nil
}

// output runs the program beside all routes and returns what it prints.
func (b *bench) output(args ...string) (string, error) {
	var out bytes.Buffer
	cmd := exec.Command(executable(b.dir), args...)
	cmd.Stdout = &out
	err := b.big.run(cmd)
	return out.String(), err
}

// commands measures what runs as a command: the program, the floor and the peers.
func (b *bench) commands() ([]line, error) {
	file := filepath.Join(b.dir, "output")
	kernel, err := b.kernelBytes(file)
	if err != nil {
		return nil, err
	}
	// What is allowed over what the kernel sent.
	memory := kernel + 40*mib

	self := "/proc/self/exe"
	floor := &measurement{what: "floor", ns: b.big, args: []string{self, "-floor"}}
	ip := &measurement{what: "ip -j -d route show table all > FILE, -4 and -6", ns: b.big, file: file,
		args: []string{"sh", "-c", "ip -4 -j -d route show table all && ip -6 -j -d route show table all"}}
	query := func(ns *namespace, what, format, sql string) *measurement {
		return &measurement{what: what, ns: ns, args: []string{executable(b.dir), "query", format, sql}}
	}
	all := func(times float64, m *measurement) *measurement {
		m.limits, m.maxRSS = append(m.limits, limit{times, floor, "floor"}), memory
		return m
	}
	counts := func(what, sql string) *measurement {
		m := query(b.big, what, "--csv", sql)
		m.limits, m.maxRSS = []limit{{1.3, floor, "floor"}}, 40*mib
		return m
	}
	routes := &measurement{what: "routes > FILE", ns: b.big, file: file, args: []string{executable(b.dir), "routes"}}
	routes.limits = []limit{{0.6, ip, "ip"}}

	const table77 = "SELECT * FROM kernel_routes WHERE table_name = '77'"
	ordinary := query(b.empty, "the same on an ordinary host", "--csv", table77)
	narrow := query(b.big, "query ... WHERE table_name = '77', 3 routes", "--csv", table77)
	narrow.limits = []limit{{2, ordinary, "ordinary host"}}

	var dst string
	for p := range ipv4Prefixes(1) {
		dst = p.String()
	}
	one := query(b.big, "query ... WHERE dst = '"+dst+"'", "--csv", "SELECT * FROM kernel_routes WHERE dst = '"+dst+"'")
	one.limits = []limit{{1.1, floor, "floor"}}

	measurements := []*measurement{
		floor,
		all(1.6, routes),
		ip,
		all(2, query(b.big, "query --csv SELECT dst, gateway, dev, protocol, metric",
			"--csv", "SELECT dst, gateway, dev, protocol, metric FROM kernel_routes")),
		all(5, query(b.big, "query --jsonl SELECT *", "--jsonl", "SELECT * FROM kernel_routes")),
		all(2.5, query(b.big, "query SELECT protocol, count(*) ... GROUP BY 1",
			"--csv", "SELECT protocol, count(*) FROM kernel_routes GROUP BY 1")),
		all(1.15, query(b.big, "query SELECT count(*)", "--csv", "SELECT count(*) FROM kernel_routes")),
		counts("query SELECT protocol, sum(routes) FROM kernel_route_counts ... GROUP BY 1",
			"SELECT protocol, sum(routes) FROM kernel_route_counts GROUP BY 1"),
		counts("query SELECT * FROM kernel_route_counts", "SELECT * FROM kernel_route_counts"),
		narrow,
		ordinary,
		one,
	}
	namespaces, err := b.namespaces()
	if err != nil {
		return nil, err
	}
	measurements = append(measurements, namespaces...)
	lookups, err := b.lookups(floor)
	if err != nil {
		return nil, err
	}
	measurements = append(measurements, lookups...)
	peers, missing := b.peers()
	measurements = append(measurements, peers...)
	if err := rounds(b.rounds, measurements); err != nil {
		return nil, err
	}
	var lines []line
	for _, m := range measurements {
		lines = append(lines, m.line(floor))
	}
	lines = append(lines, missing...)
	return lines, nil
}

// kernelBytes returns how many bytes the kernel sends for all routes.
func (b *bench) kernelBytes(file string) (int64, error) {
	m := &measurement{ns: b.big, args: []string{"/proc/self/exe", "-floor"}, file: file}
	if err := m.run(); err != nil {
		return 0, err
	}
	out, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	fmt.Fprintf(os.Stderr, "the kernel sends %d bytes\n", n)
	return n, err
}
