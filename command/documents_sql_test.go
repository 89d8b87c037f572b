package command

import (
	"strings"
	"testing"
	"time"

	"kernelroutes/internal/eventtest"
	"kernelroutes/rtnl"
	"kernelroutes/shell"
	"kernelroutes/tables"
)

// osqueryTables are some of osquery's own, with the columns that documents use, and a row or two of
// what a host has.
const osqueryTables = `
CREATE TABLE processes (pid INTEGER, name TEXT, path TEXT, cmdline TEXT, state TEXT, uid BIGINT, parent INTEGER,
  start_time INTEGER);
INSERT INTO processes VALUES (1, 'curl', '/usr/bin/curl', 'curl example.com', 'S', 0, 0, 1700000000);
CREATE TABLE process_open_sockets (pid INTEGER, family INTEGER, protocol INTEGER, local_address TEXT,
  remote_address TEXT, local_port INTEGER, remote_port INTEGER, state TEXT);
INSERT INTO process_open_sockets VALUES (1, 2, 6, '192.0.2.10', '10.1.2.3', 40000, 443, 'ESTABLISHED'),
  (1, 10, 6, '2001:db8::10', '2001:db8:ffff::1', 40001, 443, 'ESTABLISHED'), (1, 1, 0, '', '', 0, 0, '');
CREATE TABLE docker_containers (id TEXT, name TEXT, image TEXT, pid BIGINT, state TEXT);
INSERT INTO docker_containers VALUES ('1', 'web', 'nginx', 0, 'running'), ('2', 'old', 'nginx', 0, 'exited');
CREATE TABLE interface_addresses (interface TEXT, address TEXT, mask TEXT, broadcast TEXT, type TEXT);
INSERT INTO interface_addresses VALUES ('eth0', '192.0.2.10', '255.255.255.0', '192.0.2.255', 'manual');
CREATE TABLE routes (destination TEXT, netmask INTEGER, gateway TEXT, source TEXT, flags INTEGER, interface TEXT,
  mtu INTEGER, metric INTEGER, type TEXT, hopcount INTEGER);
INSERT INTO routes VALUES ('0.0.0.0', 0, '192.0.2.1', '192.0.2.10', 0, 'eth0', 1500, 100, 'gateway', 0);
CREATE TABLE osquery_extensions (uuid BIGINT, name TEXT, version TEXT, sdk_version TEXT, path TEXT, type TEXT);
INSERT INTO osquery_extensions VALUES (0, 'core', '5.23.0', '0.0.0', '/var/osquery/osquery.em', 'core'),
  (7, 'kernel_routes', '1.0.0', '', '/var/osquery/osquery.em.7', 'extension');
CREATE TABLE osquery_registry (registry TEXT, name TEXT, owner_uuid INTEGER, internal INTEGER, active INTEGER);
INSERT INTO osquery_registry VALUES ('table', 'processes', 0, 0, 1), ('table', 'kernel_routes', 7, 0, 1);
CREATE TABLE osquery_flags (name TEXT, type TEXT, description TEXT, default_value TEXT, value TEXT,
  shell_only INTEGER);
INSERT INTO osquery_flags VALUES ('extensions_require', 'string', '', '', 'kernel_routes', 0),
  ('extensions_autoload', 'string', '', '/etc/osquery/extensions.load', '/etc/osquery/extensions.load', 0),
  ('watchdog_level', 'int32', '', '0', '0', 0), ('watchdog_memory_limit', 'uint64', '', '0', '0', 0),
  ('disable_watchdog', 'bool', '', 'false', 'false', 0);
CREATE TABLE osquery_info (pid INTEGER, uuid TEXT, instance_id TEXT, version TEXT, config_hash TEXT,
  config_valid INTEGER, extensions TEXT, build_platform TEXT, build_distro TEXT, start_time INTEGER, watcher INTEGER,
  platform_mask INTEGER);
INSERT INTO osquery_info VALUES (1, 'u', 'i', '5.23.0', '', 1, 'active', 'linux', 'centos7', 1700000000, 0, 9);
CREATE TABLE osquery_schedule (name TEXT, query TEXT, interval INTEGER, executions BIGINT, last_executed BIGINT,
  denylisted INTEGER, output_size BIGINT, wall_time BIGINT, wall_time_ms BIGINT, last_wall_time_ms BIGINT,
  user_time BIGINT, last_user_time BIGINT, system_time BIGINT, last_system_time BIGINT, average_memory BIGINT,
  last_memory BIGINT);
INSERT INTO osquery_schedule VALUES ('pack_route-compliance_tunnel_bypass', 'SELECT 1', 300, 1, 1700000000,
  0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0);
CREATE TABLE osquery_packs (name TEXT, platform TEXT, version TEXT, shard INTEGER, discovery_cache_hits INTEGER,
  discovery_executions INTEGER, active INTEGER);
INSERT INTO osquery_packs VALUES ('route-compliance', 'linux', '5.0.0', 0, 0, 0, 1);
CREATE TABLE time (weekday TEXT, unix_time INTEGER, timezone TEXT, datetime TEXT);
INSERT INTO time VALUES ('Monday', 1700000000, 'UTC', '2023-11-14T22:13:20Z');
CREATE TABLE os_version (name TEXT, version TEXT, major INTEGER, minor INTEGER, platform TEXT, platform_like TEXT,
  codename TEXT, arch TEXT);
INSERT INTO os_version VALUES ('Debian GNU/Linux', '13', 13, 0, 'debian', '', 'trixie', 'x86_64');
CREATE TABLE deb_packages (name TEXT, version TEXT, arch TEXT, status TEXT);
INSERT INTO deb_packages VALUES ('kernel-routes', '1.0.0', 'amd64', 'install ok installed');
CREATE TABLE rpm_packages (name TEXT, version TEXT, release TEXT, arch TEXT);
INSERT INTO rpm_packages VALUES ('kernel-routes', '1.0.0', '1', 'x86_64');
CREATE TABLE file (path TEXT, directory TEXT, filename TEXT, uid BIGINT, gid BIGINT, mode TEXT, type TEXT);
INSERT INTO file VALUES ('/usr/lib/osquery/extensions/kernel_routes.ext', '/usr/lib/osquery/extensions',
  'kernel_routes.ext', 0, 0, '0755', 'regular'), ('/opt/orbit/extensions.load', '/opt/orbit', 'extensions.load',
  0, 0, '0644', 'regular');
`

// noRow marks a block of SQL whose statements have no row on the host of the tests:
// "sql no row" at the fence.
const noRow = "no row"

// TestDocumentSQL runs the statements that the documents have for osquery, beside tables that stand
// for osquery's own. Each has a row, or none where the fence says so.
func TestDocumentSQL(t *testing.T) {
	fixedNamespace(t)
	statements := 0
	for _, path := range documents(t) {
		for _, b := range blocksOf(t, path) {
			if b.language != "sql" {
				continue
			}
			for sql := range strings.SplitSeq(strings.Join(b.lines, "\n"), ";") {
				if sql = strings.TrimSpace(sql); sql == "" {
					continue
				}
				statements++
				if strings.Contains(sql, tables.Events.Name) {
					eventStatement(t, b, sql)
					continue
				}
				out, errs, status := command(t, nil, "query", "--csv", osqueryTables+sql)
				if status != exitOK || errs != "" {
					t.Errorf("%s: %s\n%s", b.place, errs, sql)
				} else if strings.Count(out, "\n") < 2 != (b.mark == noRow) {
					t.Errorf("%s: %q, but:\n%s\n%s", b.place, b.mark, sql, out)
				}
			}
		}
	}
	if statements < 5 {
		t.Errorf("%d statements", statements)
	}
}

// eventStatement runs a statement about changes, of which there are some of every kind.
func eventStatement(t *testing.T, b block, sql string) {
	t.Helper()
	src := &eventtest.Source{Source: &rtnl.Kernel{}, All: eventtest.Sample(time.Now())}
	var out strings.Builder
	err := shell.Query(t.Context(), &out, src, osqueryTables+sql, shell.Options{Format: shell.CSV})
	if err != nil || strings.Count(out.String(), "\n") < 2 != (b.mark == noRow) {
		t.Errorf("%s: %v, %q, but:\n%s\n%s", b.place, err, b.mark, sql, out.String())
	}
}
