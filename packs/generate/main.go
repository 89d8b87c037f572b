// Command generate writes the packs for osquery and Fleet from their declarations:
//
//	go run ./packs/generate                          # into packs/
//	go run ./packs/generate --lists mine --to out    # with a team's own lists
package main

import (
	"flag"
	"fmt"
	"os"

	"kernelroutes/internal/writefiles"
	"kernelroutes/packs"
)

func main() {
	from := flag.String("from", "packs", "`folder` with checks, lists and parts")
	lists := flag.String("lists", "", "`folder` with lists that take the place of those of the same name")
	to := flag.String("to", "", "`folder` to write to (default: that of --from)")
	flag.Parse()
	if *to == "" {
		*to = *from
	}
	err := error(nil)
	if flag.NArg() > 0 {
		err = fmt.Errorf("%q means nothing; see --help", flag.Args())
	} else {
		err = generate(*from, *lists, *to)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot make the packs:", err)
		os.Exit(1)
	}
}

func generate(from, lists, to string) error {
	files := os.DirFS(from)
	if lists != "" {
		var err error
		if files, err = packs.WithLists(files, os.DirFS(lists)); err != nil {
			return err
		}
	}
	all, err := packs.Load(files)
	if err != nil {
		return err
	}
	outputs, err := packs.Files(all)
	if err != nil {
		return err
	}
	return writefiles.Below(to, outputs)
}
