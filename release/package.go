package main

import (
	"fmt"
	"path/filepath"
	"strconv"
)

// maintainer is who answers for the packages.
const maintainer = "The kernel-routes authors <maintainers@kernel-routes.invalid>"

// summary and more are the description of the packages.
const (
	summary = "Routing state of the Linux kernel as SQL tables, for osquery"
	more    = `
An extension of osquery with tables of the routes, nexthops, policy rules,
nexthop objects and interface settings of the kernel, of all tables, families
and network namespaces; and a command that answers the same without osquery.`
)

// formats are the kinds of packages, as nfpm names them.
var formats = []string{"deb", "rpm", "apk"}

// pack makes a package, as nfpm.yaml says.
func (b *build) pack(t target, binary, format string) error {
	version, description := b.version.deb(), summary+more
	if format == "apk" {
		// apk knows lines of a name and a value: a description is one line.
		version, description = b.version.apk(), summary
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
		"DESCRIPTION="+description,
		"SOURCE_DATE_EPOCH="+strconv.FormatInt(b.date.Unix(), 10))
	if _, err := output(cmd); err != nil {
		return fmt.Errorf("make the .%s for %s: %w", format, t.Arch, err)
	}
	return nil
}
