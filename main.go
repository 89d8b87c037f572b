// Kernel_routes.ext shows the routes of the Linux kernel as SQL tables: inside
// osquery as an extension, and by itself on the command line.
package main

import "kernelroutes/command"

// The linker sets these where there is no git that `go build` could ask, as in a packager's
// build from an archive: -ldflags "-X main.version=1.2.3 -X main.commit=... -X main.date=...",
// the date as RFC 3339 has it.
var version, commit, date string

func main() { command.Main(command.Linked{Version: version, Commit: commit, Date: date}) }
