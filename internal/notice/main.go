// Notice writes NOTICE: what is linked into the program besides its own code, who wrote it, and under
// which licence, with all texts that must go with a copy of it.
//
//	go run ./internal/notice
//
// It is told by the packages that the build takes for each processor that there is a release for, not by
// go.mod, which has the modules of the tests as well. It fails for a licence that is not among those
// that may be linked (allowed in licences.go): a person has to read it first. Everything comes from the
// module cache, and so it needs no network after go mod download. What modules have in them of others,
// without a file that says so, is in parts.go. The files:
//
//	main.go       the command
//	modules.go    what is linked
//	licences.go   which licence a text is, and which may be linked
//	parts.go      what modules have in them of others
//	page.go       how NOTICE is laid out
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "notice:", err)
		os.Exit(1)
	}
}

// run writes NOTICE in the folder of the module.
func run(folder string) error {
	text, err := notice(folder)
	if err != nil {
		return err
	}
	return os.WriteFile(folder+"/NOTICE", text, 0o644)
}

// notice returns what NOTICE has to say.
func notice(folder string) ([]byte, error) {
	all, err := linked(folder)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if err := all[i].classify(); err != nil {
			return nil, err
		}
	}
	others, err := parts(all)
	if err != nil {
		return nil, err
	}
	return page(append(all, others...)), nil
}
