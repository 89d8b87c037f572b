//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"kernelroutes/internal/buildtest"
	"kernelroutes/internal/needtest"
)

// tests is the archive of the test binaries.
type tests struct {
	archive string
	plan    plan
}

// repository is where a machine has a copy of the repository's files, which tests read.
const repository = "src"

// buildTests builds the test binaries, the program and this program for the machine, and packs them.
func (j *job) buildTests() (*tests, error) {
	fmt.Println("Building the tests")
	bin := filepath.Join(j.work, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return nil, err
	}
	list, err := j.goTool("list", append([]string{"-f", listing}, j.packages...)...)
	if err != nil {
		return nil, err
	}
	t := &tests{archive: filepath.Join(j.work, "tests.cpio"), plan: plan{
		Load:  loaded,
		Env:   []string{"TMPDIR=/tmp", buildtest.Built + "=/tests/kernel_routes.ext", needtest.Machine + "=1"},
		Limit: (j.each + 30*time.Second).Seconds(),
	}}
	var packages []string
	for _, line := range strings.Split(strings.TrimSpace(list), "\n") {
		pkg, folder, found := strings.Cut(line, " ")
		if !found { // has no tests
			continue
		}
		packages = append(packages, pkg)
		binary := filepath.Base(pkg) + ".test"
		args := []string{"/tests/" + binary, "-test.v=test2json", "-test.timeout=" + j.each.String(),
			"-test.paniconexit0", fmt.Sprintf("-test.short=%t", j.short), fmt.Sprintf("-test.count=%d", j.count)}
		if j.run != "" {
			args = append(args, "-test.run="+j.run)
		} else if j.features {
			args = append(args, "-test.run="+runOf(pkg))
		}
		t.plan.Tests = append(t.plan.Tests, planned{Package: pkg, Folder: "/" + repository + folder, Args: args})
	}
	if len(packages) == 0 {
		return nil, fmt.Errorf("no tests in %s", strings.Join(j.packages, " "))
	}
	for _, b := range [][]string{
		append([]string{"test", "-c", "-ldflags=-s -w", "-o", bin + "/"}, packages...),
		{"build", "-buildvcs=false", "-o", filepath.Join(bin, "kernel_routes.ext"), "kernelroutes"},
		{"build", "-buildvcs=false", "-o", filepath.Join(j.work, "init"), "kernelroutes/internal/vmtest"},
	} {
		if _, err := j.goTool(b[0], b[1:]...); err != nil {
			return nil, err
		}
	}
	return t, t.pack(j.work)
}

// listing has go list print the packages that have tests, and their folders in the module.
const listing = `{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}} {{slice .Dir (len .Module.Dir)}}{{end}}`

// goTool runs the go command for the machine's processor.
func (j *job) goTool(command string, args ...string) (string, error) {
	cmd := exec.Command("go", append([]string{command}, args...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+j.arch.goarch)
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := err.(*exec.ExitError); ok {
			err = fmt.Errorf("%w\n%s%s", err, exit.Stderr, out)
		}
		return "", fmt.Errorf("go %s: %w", command, err)
	}
	return string(out), nil
}

// pack makes the archive of what was built in the folder, of the repository's files and of the plan.
func (t *tests) pack(work string) error {
	dir, err := module()
	if err != nil {
		return err
	}
	git := exec.Command("git", "-C", dir, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	files, err := git.Output()
	if err != nil {
		return fmt.Errorf("list the repository's files with git: %w", err)
	}
	f, err := os.Create(t.archive)
	if err != nil {
		return err
	}
	defer f.Close()
	a := newArchive(f)
	for _, name := range strings.Split(strings.TrimRight(string(files), "\x00"), "\x00") {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil { // or it was removed, but not yet for git
			a.file(filepath.Join(repository, name), filepath.Join(dir, name))
		}
	}
	built, err := os.ReadDir(filepath.Join(work, "bin"))
	if err != nil {
		return err
	}
	for _, b := range built {
		a.file("tests/"+b.Name(), filepath.Join(work, "bin", b.Name()))
	}
	a.file("init", filepath.Join(work, "init"))
	text, err := json.Marshal(t.plan)
	if err != nil {
		return err
	}
	a.text(planFile, string(text), 0o644)
	return a.close()
}

// module returns the folder of the repository.
func module() (string, error) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("go list -m: %w", err)
	}
	return strings.TrimSpace(string(dir)), nil
}
