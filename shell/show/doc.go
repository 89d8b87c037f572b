// Package show prints the routes for people: table by table, in the order in which policy rules consult
// them, with what is never used because other routes come before. The files:
//
//	show.go   Write: what is read, the families, what is left out
//	table.go  the tables of a family in the order of the rules, and the rules that lead to none
//	route.go  a route, its nexthops, and what comes before it
package show
