package main

import (
	"fmt"
	"path/filepath"
	"strconv"
)

// maintainer is who answers for the packages.
const maintainer = "The kernel-routes authors <maintainers@kernel-routes.invalid>"

// formats are the kinds of packages, as nfpm names them.
var formats = []string{"deb", "rpm", "apk"}

// pack makes a package, as nfpm.yaml says.
func (b *build) pack(t target, binary, format string) error {
	version := b.version.deb()
	if format == "apk" {
		version = b.version.apk()
	}
	arch := t.Nfpm
	if arch == "" {
		arch = t.Arch
	}
	config := filepath.Join(b.dir, "release/nfpm.yaml")
	cmd := b.tool("nfpm", "package", "--config", config, "--packager", format, "--target", b.to)
	cmd.Dir = b.file("")
	cmd.Env = append(append([]string{}, b.goEnv...),
		"VERSION="+version, "RELEASE="+b.release, "MAINTAINER="+maintainer, "ARCH="+arch, "BINARY="+binary,
		"SOURCE_DATE_EPOCH="+strconv.FormatInt(b.date.Unix(), 10))
	if _, err := output(cmd); err != nil {
		return fmt.Errorf("make the .%s for %s: %w", format, t.Arch, err)
	}
	return nil
}
