package command

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"kernelroutes/rtnl/object"
)

const (
	// extensionName is the name that osquery wants: it loads nothing without .ext.
	extensionName = "kernel_routes.ext"
	// commandName is that of the link in /usr/bin: what people type.
	commandName = "kernel-routes"
	// installed is where the packages put the program.
	installed = "/usr/lib/osquery/extensions/" + extensionName
)

// program is the name under which the program runs, which is what it calls itself.
var program = programName(os.Args)

func programName(args []string) string {
	if len(args) > 0 && filepath.Base(args[0]) == commandName {
		return commandName
	}
	return extensionName
}

// named puts the name under which the program runs into examples, which are written with
// that of the extension. A path stays as it is: to osqueryi the program is an extension.
func named(examples string) string {
	return strings.ReplaceAll(examples, " "+extensionName+" ", " "+program+" ")
}

// extensionPath is where an example for osqueryi has the extension: kernel-routes is
// there only where a package has put both.
func extensionPath() string {
	if program == commandName {
		return installed
	}
	return "./" + extensionName
}

// about is what --version prints. The first line is for scripts, and does not change.
func about() string {
	b := thisBuild()
	return fmt.Sprintf("%s %s\ncommit: %s\ndate: %s\ngo: %s\nkernel interface: %s\n",
		program, b.Version, b.Commit, b.Date, b.Go, kernelInterface())
}

// kernelInterface tells which attributes of the kernel's messages are understood, each of
// them the newest of its kind, and which kernel runs.
func kernelInterface() string {
	var known []string
	for _, a := range object.Newest() {
		known = append(known, fmt.Sprintf("%s (%d)", a.Name, a.Number))
	}
	text := "rtnetlink, attributes up to " + strings.Join(known, ", ")
	if release := kernelRelease(); release != "" {
		return text + "\nrunning kernel: " + release
	}
	return text + "\nrunning kernel: none that it reads (" + runtime.GOOS + "), captures only"
}
