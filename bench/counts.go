//go:build linux

package main

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"

	"kernelroutes/tables"
)

// maxCounts is how many bytes an answer of counts may have.
const maxCounts = 4 << 10

// counts asks how many routes there are by protocol, beside all routes and with the limit that
// osquery's watchdog sets: to have osquery count them is refused.
func (b *bench) counts() ([]line, error) {
	p, err := b.plugIn(b.big, func(socket string) *exec.Cmd {
		cmd := b.product(socket)
		cmd.Env = append(cmd.Env, "KERNEL_ROUTES_MAX_RESPONSE_MB=200")
		return cmd
	})
	if err != nil {
		return nil, err
	}
	defer p.stop()
	all := request{table: tables.Routes, used: []string{"protocol"}}
	if _, err := all.call(p.socket); err == nil {
		return nil, errors.New("the protocols of all routes are no answer that is refused")
	}
	counts := request{table: tables.Counts, used: []string{"protocol", "routes"}}
	rows, err := counts.call(p.socket)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(rows, func(r map[string]string) bool {
		return r["protocol"] == "bgp" && r["routes"] == strconv.Itoa(b.ipv4+b.ipv6+3)
	}) {
		return nil, fmt.Errorf("counts by protocol: %v", rows)
	}
	var samples []sample
	size := int64(0)
	for range b.rounds {
		s, n, err := p.ask([][]byte{counts.message(counts.table.Name)})
		if err != nil {
			return nil, err
		}
		samples, size = append(samples, s), n
	}
	l := sampleLine("extension: counts by protocol, all routes", median(samples))
	l.ratio = fmt.Sprintf("%d bytes", size)
	l.keeps(fmt.Sprintf("%d bytes", maxCounts), size <= maxCounts)
	return []line{l}, nil
}
