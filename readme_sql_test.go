package main

import (
	"os"
	"strings"
	"testing"
)

// osqueryTables are some of osquery's own, with a row or two of what a host has.
const osqueryTables = `
CREATE TABLE processes (pid INTEGER, name TEXT, uid BIGINT);
INSERT INTO processes VALUES (1, 'curl', 0);
CREATE TABLE process_open_sockets (pid INTEGER, family INTEGER, remote_address TEXT, remote_port INTEGER);
INSERT INTO process_open_sockets VALUES (1, 2, '10.1.2.3', 443), (1, 10, '2001:db8:ffff::1', 443), (1, 1, '', 0);
CREATE TABLE docker_containers (name TEXT, pid INTEGER, state TEXT);
INSERT INTO docker_containers VALUES ('web', 0, 'running'), ('old', 0, 'exited');
`

// TestReadmeSQL runs the statements that README.md has for osquery, beside tables that stand for
// osquery's own. Each has an answer.
func TestReadmeSQL(t *testing.T) {
	fixedNamespace(t)
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(readme), "\n```sql\n")[1:]
	if len(blocks) < 2 {
		t.Fatalf("%d blocks of SQL", len(blocks))
	}
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "\n```")
		for sql := range strings.SplitSeq(block, ";") {
			if sql = strings.TrimSpace(sql); sql == "" {
				continue
			}
			if out := run(t, "", "query", "--csv", osqueryTables+sql); strings.Count(out, "\n") < 2 {
				t.Errorf("%s: no row:\n%s", sql, out)
			}
		}
	}
}
