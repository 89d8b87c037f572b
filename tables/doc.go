// Package tables is the SQL view of the kernel's routing state: what the tables are called,
// which columns they have, and how the conditions of a query are pushed down into the
// request to the kernel. It does not know which engine asks: the osquery extension is
// package extension, embedded SQLite is package shell. The files:
//
//	table.go      Table, Query, Rows, Source: what an engine sees; All, the list of tables
//	engine.go     what else rows can do, for an engine with large answers
//	columns.go, plan.go, rows.go   how a table is declared, what becomes of it in a query, its rows
//	origin.go     what is known of a column's values: unit, source, since which Linux
//	netns.go      which network namespaces a query is about
//	pushdown.go, spelling.go   conditions as a request to the kernel; values as they were asked for
//	keys.go       addresses and prefixes as texts in their order
//	domains.go, advice.go   which values a column can have; the warning that none is asked for
//	route_row.go, routes.go, nexthops.go, nexthop_objects.go, route_counts.go, rules.go   the tables
//	interface_config.go   the table of the settings of interfaces
//	lookups.go, packets.go   the table of what becomes of packets; which packets a query is about
//	events.go, event_columns.go, event_row.go   the table of changes, whose columns are those of other tables
//	info.go                  the table of the program itself
//	spec.go       the specification in osquery's format, and the columns of docs/tables
package tables
