// Package packs makes osquery's packs, Fleet's policies and reports, and their page from one
// declaration a check.
//
//   - checks/PACK/NAME.yml declares a check: its SQL, and all that is to be said of it.
//   - lists/NAME.yml is a list that checks compare with, such as the addresses of a fleet's
//     servers: the one place where it is edited.
//   - parts/NAME.sql is a query that several checks begin with.
//
// A check uses a list or a part by its name, as if it were a table. From these come
// PACK.conf for osquery, fleet/PACK.yml for Fleet, and README.md:
//
//	go run ./packs/generate      # PACK.conf and fleet/PACK.yml
//	go test ./packs -update      # README.md as well, whose matrix is measured
package packs
