// Command generate writes Fleet's pages of the tables from their declarations:
//
//	go run ./schema/generate              # into schema/tables
//	go run ./schema/generate --to out     # into out/tables
package main

import (
	"flag"
	"fmt"
	"os"

	"kernelroutes/internal/writefiles"
	"kernelroutes/schema"
)

func main() {
	to := flag.String("to", "schema", "`folder` to write to")
	flag.Parse()
	err := error(nil)
	if flag.NArg() > 0 {
		err = fmt.Errorf("%q means nothing; see --help", flag.Args())
	} else {
		err = generate(*to)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot make the pages:", err)
		os.Exit(1)
	}
}

func generate(to string) error {
	files, err := schema.Files()
	if err != nil {
		return err
	}
	return writefiles.Below(to, files)
}
