// Package fleettest says what is wrong with the files that fleets of hosts are checked
// with: Fleet's policies and queries, as fleetctl apply reads them, osquery's packs, and Fleet's pages
// of tables.
// What they may hold is told by the schemas in testdata/fleet, each of which names the
// source it was read from. Fleet and osquery themselves pass over most of what is found
// here: a key they do not know, a query whose interval is no number.
package fleettest
