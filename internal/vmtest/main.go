//go:build linux

// Vmtest runs the tests of this module on other kernels than the host's: those of Debian's releases, each
// in a virtual machine (QEMU, with KVM where it works) with the iproute2 of that release.
//
//	go run ./internal/vmtest                                     # all kernels, all packages
//	go run ./internal/vmtest -kernels 6.1 -packages ./rtnl -run TestWeights
//	go run ./internal/vmtest -features -save                     # what docs/kernels.md is made of
//	go run ./internal/vmtest -features -save -kernels host       # the same of this host, without a machine
//
// It needs qemu-system-x86 (or qemu-system-misc for other processors), dpkg, apt and
// debian-archive-keyring, and no rights but to use /dev/kvm. What it takes from Debian's mirror is checked by
// apt as on any Debian, and kept in os.UserCacheDir; apt's state on this host is neither read nor changed.
//
// A machine has no disk and no network. All of it is two archives in memory: the packages of the release, which
// are packed once, and the test binaries with a copy of the repository. The first process is this program
// (guest.go); it runs one test binary after the other, in the folder of its package, and reports over a virtio
// port. The files:
//
//	main.go      the command
//	kernels.go   which kernels there are, what of each release's packages a machine needs
//	debian.go    packages from Debian, unpacked
//	cpio.go      the format of the archives that Linux begins with
//	image.go     the archive of a release, and its kernel
//	tests.go     the archive of the tests
//	machine.go   a virtual machine, from its start to its end
//	guest.go     what runs inside
//	report.go    what the guest tells
//	results.go   what became of each test
//	host.go      the same without a machine, on this host's kernel
//	features.go  which tests say what works on a kernel
//	saved.go     what became of these, in a file, and as a table
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A job is what the command line asks for.
type job struct {
	kernels  []kernel
	arch     arch
	packages []string
	run      string        // of -test.run
	count    int           // -test.count
	short    bool          // -test.short
	each     time.Duration // the longest that a package may take
	boot     time.Duration // the longest that a machine may take
	accel    string        // of QEMU
	features bool          // only the tests of features
	save     bool          // what became of these
	keep     bool
	fresh    bool
	cache    string // where packages and archives are kept
	work     string // the folder of this run
}

func main() {
	if os.Getpid() == 1 {
		first() // does not return
	}
	if os.Getenv(guestEnv) != "" {
		guest() // does not return
	}
	failed, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "vmtest:", err)
	}
	if err != nil || failed {
		os.Exit(1)
	}
}

// run does what the arguments say, and reports whether any test failed.
func run(args []string) (failed bool, err error) {
	j, err := parse(args)
	if err != nil {
		return false, err
	}
	if j.work, err = os.MkdirTemp("", "vmtest"); err != nil {
		return false, err
	}
	if j.keep {
		fmt.Println("The machines' consoles and the tests' output are kept in", j.work)
	} else {
		defer os.RemoveAll(j.work)
	}
	tests, err := j.buildTests()
	if err != nil {
		return false, err
	}
	var all []outcome
	var errs []error
	for _, k := range j.kernels {
		o, err := j.onKernel(k, tests)
		if err != nil {
			errs = append(errs, fmt.Errorf("on Linux %s (%s, %s): %w", k.series, k.suite, j.arch.debian, err))
		}
		all = append(all, o)
		if j.save {
			if err := save(resultsFile, o); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return table(os.Stdout, all), errors.Join(errs...)
}

func parse(args []string) (*job, error) {
	j := &job{}
	flags := flag.NewFlagSet("vmtest", flag.ContinueOnError)
	kernels := flags.String("kernels", strings.Join(seriesOf(), ","), "the kernels, separated by commas")
	arch := flags.String("arch", "amd64", "the processor, as Debian calls it: amd64 or s390x")
	packages := flags.String("packages", strings.Join(defaultPackages, " "), "the packages, separated by blanks")
	flags.StringVar(&j.run, "run", "", "run the tests that match, as of go test -run")
	flags.IntVar(&j.count, "count", 1, "run each test so often")
	flags.BoolVar(&j.short, "short", true, "run the tests with -short")
	flags.DurationVar(&j.each, "timeout", 5*time.Minute, "the longest that the tests of a package may take")
	flags.DurationVar(&j.boot, "limit", 30*time.Minute, "the longest that a machine may take")
	flags.StringVar(&j.accel, "accel", "", "kvm or tcg, how the machine is run (default: kvm where it works)")
	flags.BoolVar(&j.features, "features", false, "run only the tests that docs/kernels.md is made of")
	flags.BoolVar(&j.save, "save", false, "keep what became of these tests in "+resultsFile)
	flags.BoolVar(&j.keep, "keep", false, "keep the consoles of the machines and the output of the tests")
	flags.BoolVar(&j.fresh, "fresh", false, "ask Debian's mirror for newer packages")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("%q is no flag; see -help", flags.Arg(0))
	}
	var err error
	if j.arch, err = archOf(*arch); err != nil {
		return nil, err
	}
	if j.accel == "" {
		j.accel = j.arch.accelerator()
	}
	for _, s := range strings.Split(*kernels, ",") {
		k, err := kernelOf(s)
		if err != nil {
			return nil, err
		}
		j.kernels = append(j.kernels, k)
	}
	j.packages = strings.Fields(*packages)
	given := false
	flags.Visit(func(f *flag.Flag) { given = given || f.Name == "packages" })
	if j.features && !given {
		j.packages = featurePackages()
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("find the folder for Debian's packages: %w", err)
	}
	j.cache = filepath.Join(cache, "kernelroutes-vmtest")
	return j, nil
}

// onKernel runs the tests on a kernel.
func (j *job) onKernel(k kernel, t *tests) (outcome, error) {
	o := outcome{kernel: k, arch: j.arch}
	begin := time.Now()
	if k == host {
		reports, err := j.onHost(t)
		o.took = time.Since(begin)
		return o, errors.Join(err, o.read(t, reports))
	}
	r, err := j.release(k)
	if err != nil {
		return o, err
	}
	fmt.Printf("Linux %s of Debian %s on %s, by %s\n", k.series, k.suite, j.arch.debian, j.accel)
	reports, err := j.boots(r, k, t)
	o.took = time.Since(begin)
	if more := o.read(t, reports); err == nil {
		err = more
	}
	return o, err
}
