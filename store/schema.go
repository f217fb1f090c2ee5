package store

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/pressly/goose/v3"
)

// newest returns the version of the newest of these migrations.
func newest(steps fs.FS) (int64, error) {
	names, err := fs.Glob(steps, "*.sql")
	if err != nil {
		return 0, fmt.Errorf("store: %w", err)
	}
	version := int64(0)
	for _, name := range names {
		v, err := goose.NumericComponent(name)
		if err != nil {
			return 0, fmt.Errorf("store: %v", err)
		}
		version = max(version, v)
	}
	return version, nil
}

// checkVersion refuses a version that there is not.
func checkVersion(location string, version, ours int64) error {
	if version > ours {
		return refuse(ErrNewer, location, "version %d, this program knows %d", version, ours)
	}
	if version == 0 {
		return refuse(ErrAltered, location, "its first migration broke off")
	}
	return nil
}

// judgeSchema compares the schema that was found, an object each, with the one of
// its version.
func judgeSchema(location string, version, ours int64, want, found []string) error {
	if s, missing := difference(want, found); s != "" {
		if missing {
			return refuse(ErrAltered, location, "%s is missing or was changed", s)
		}
		return refuse(ErrAltered, location, "%s does not belong there", s)
	}
	if version < ours {
		return refuse(ErrOlder, location, "version %d, this program needs %d", version, ours)
	}
	return nil
}

// difference names an object in which two schemas differ.
func difference(want, found []string) (name string, missing bool) {
	for _, s := range want {
		if !slices.Contains(found, s) {
			return objectName(s), true
		}
	}
	for _, s := range found {
		if !slices.Contains(want, s) {
			return objectName(s), false
		}
	}
	return "", false
}

// objectName is the first line of what readSchema returns: kind and name.
func objectName(s string) string {
	name, _, _ := strings.Cut(s, "\n")
	return fmt.Sprintf("%.80q", name)
}
