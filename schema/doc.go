// Package schema makes Fleet's pages of the tables from the tables' own declarations, in the
// format of schema/tables/*.yml of github.com/fleetdm/fleet: what Fleet shows of a table beside
// the editor of queries.
//
//	go run ./schema/generate     # schema/tables/*.yml
package schema
