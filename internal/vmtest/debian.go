//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// mirror has Debian's packages.
const mirror = "http://deb.debian.org/debian"

// keyring has the keys that sign Debian's releases.
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// A debian is a release's packages for a processor, in a folder of their own.
type debian struct {
	suite, arch string
	folder      string
}

// config is apt's for a folder: nothing of this host's is used but the keys. The lists of sid say that they hold for
// a week; a mirror which is not kept up to date for longer is as good here. That they are signed is checked.
const config = `Dir::State %[1]q;
Dir::State::lists "%[1]s/lists";
Dir::State::status "%[1]s/status";
Dir::Cache %[1]q;
Dir::Cache::archives "%[1]s/archives";
Dir::Etc "%[1]s/etc";
Dir::Etc::sourcelist "%[1]s/sources.list";
Dir::Log "%[1]s/log";
APT::Architecture %[2]q;
APT::Architectures { %[2]q; };
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
`

// apt runs apt-get.
func (d debian) apt(args ...string) (string, error) {
	cmd := exec.Command("apt-get", append([]string{"--quiet=2", "--yes"}, args...)...)
	cmd.Env = append(os.Environ(), "APT_CONFIG="+filepath.Join(d.folder, "apt.conf"), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("apt-get %s: %w\n%s", args[0], err, out)
	}
	return string(out), nil
}

// prepare makes the files that apt needs.
func (d debian) prepare() error {
	if _, err := os.Stat(keyring); err != nil {
		return fmt.Errorf("check Debian's signatures: %w; install the package debian-archive-keyring", err)
	}
	for _, dir := range []string{
		"lists/partial", "archives/partial", "none/partial", "etc/apt.conf.d", "etc/preferences.d", "log",
	} {
		if err := os.MkdirAll(filepath.Join(d.folder, dir), 0o755); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{
		"apt.conf":     fmt.Sprintf(config, d.folder, d.arch),
		"sources.list": fmt.Sprintf("deb [signed-by=%s] %s %s main\n", keyring, mirror, d.suite),
		"status":       "", // nothing is installed, so that all that a package needs is taken
	} {
		if err := os.WriteFile(filepath.Join(d.folder, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// unpack takes packages, with all that they need, from the mirror and unpacks them in a folder.
func (d debian) unpack(root string, packages ...string) error {
	if err := d.prepare(); err != nil {
		return err
	}
	if _, err := d.apt("update"); err != nil {
		return err
	}
	install := append([]string{"install", "--download-only"}, packages...)
	if _, err := d.apt(install...); err != nil {
		return err
	}
	// Which these were is told only where none of them is there.
	uris, err := d.apt(append(install, "--print-uris", "-o", "Dir::Cache::archives="+d.folder+"/none")...)
	if err != nil {
		return err
	}
	for _, line := range strings.Split(uris, "\n") {
		f := strings.Fields(line) // 'URI' FILE SIZE HASH
		if len(f) < 3 || !strings.HasSuffix(f[1], ".deb") {
			continue
		}
		file := filepath.Join(d.folder, "archives", f[1])
		if out, err := exec.Command("dpkg-deb", "--extract", file, root).CombinedOutput(); err != nil {
			return fmt.Errorf("dpkg-deb --extract %s: %w\n%s", file, err, out)
		}
	}
	return nil
}
