package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// scratch makes a folder for what is made on the way, which is large. It is removed by the function that is
// returned, or where Ctrl-C ends the program.
func scratch(name string) (dir string, remove func(), err error) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	dir, err = os.MkdirTemp("", name)
	if err != nil {
		signal.Stop(signals)
		return "", nil, err
	}
	go func() {
		for s := range signals {
			removeAll(dir)
			fmt.Fprintln(os.Stderr, "cannot make the release:", s)
			os.Exit(1)
		}
	}()
	return dir, func() {
		signal.Stop(signals)
		close(signals)
		removeAll(dir)
	}, nil
}

// removeAll removes a folder, even if compilers that have been interrupted too still write there.
func removeAll(dir string) {
	for range 20 {
		if os.RemoveAll(dir) == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}
