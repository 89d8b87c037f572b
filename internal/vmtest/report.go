//go:build linux

package main

// A plan says what a guest has to do. It is a file of the archive of the tests.
type plan struct {
	Load  []string // modules
	Env   []string
	Tests []planned
	Limit float64 // seconds, after which a test binary is ended
}

// planned is a test binary.
type planned struct {
	Package string
	Folder  string
	Args    []string // the program first
}

// A report is a line of JSON that a guest writes. Each says one thing.
type report struct {
	Kernel  string   // uname -r, when the guest begins
	Version string   // uname -v
	Lacks   []string // modules that could not be loaded
	Package string   // whose output it is, or which has ended
	Output  []byte
	Ended   bool
	Status  string  // of the process that ended, "" for success
	Seconds float64 // how long it ran
	Error   string  // what the guest could not do
	Done    bool    // everything
}
