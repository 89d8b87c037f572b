// Package shell is what the program does without osquery: it answers SQL on an embedded
// SQLite, and prints routes as its predecessor did and changes as they come. The files:
//
//	escape.go, output.go, terminal.go   text in JSON; the stream that text goes to; the terminal, if it is one
//	pretty.go, star.go, color.go   tables, which fit at a terminal; which columns are SELECT *'s; colors
//	pieces.go     writes of which the rest can be left out
//	functions.go, mathfunctions.go, regex.go, version.go, cidr.go, communityid.go   osquery's functions
//	authorize.go, memory*.go   what SQL may do, and how much memory it may take
//	sqlite.go     the tables as virtual tables of SQLite
//	direct.go     rows that SQLite would only hand on, read from the table itself
//	instant.go    one snapshot for all tables of a statement
//	print.go      osqueryi's other formats
//	dot.go, files.go   the commands that begin with a dot; those of them that open files
//	query.go, session.go   Query, Session: run statements and commands
//	explain*.go   SQLite's errors, with what was probably meant
//	rta.go, routejson.go, summary.go, routes.go   Routes: the JSON and the summary of the predecessor
//	monitor.go, monitor_text.go   Monitor: changes as they come
//
// And the packages below it:
//
//	get        what the kernel would do with a packet, and how it comes to that, in words and as JSON
//	iptext     text for people: objects as ip writes them, and what a terminal can show
//	option     options that several commands have
//	prompt     where statements are typed
//	token      SQL in tokens
//	diff       what is different in two states
//	statusline   what goes on while somebody waits, in a line of the terminal
//	show       the routes for people, table by table
package shell
