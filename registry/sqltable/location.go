package sqltable

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/sanad-id/sanad/registry"
)

// ErrLocation: Options.Database is not the address of a database that we would
// connect to.
var ErrLocation = errors.New("sqltable: not a database that can be connected to")

// IsURL is whether a database is named as PostgreSQL and not as a file.
func IsURL(database string) bool {
	return strings.HasPrefix(database, "postgres://") || strings.HasPrefix(database, "postgresql://")
}

// CheckURL says what is wrong with the URL of a database, without connecting. It
// is an ErrLocation.
func CheckURL(database string) error {
	_, err := connString(database)
	return err
}

// parameters are what the query of a URL may say. Everything else, and what the
// environment says, has no effect.
var parameters = []string{"host", "port", "user", "sslmode", "sslrootcert", "sslcert", "sslkey"}

// connString checks a URL and returns it in the form of keywords, every one set
// that the environment could set otherwise.
func connString(database string) (string, error) {
	refuse := func(format string, args ...any) (string, error) {
		return "", fmt.Errorf("%w: %s", ErrLocation, fmt.Sprintf(format, args...))
	}
	u, err := url.Parse(database)
	if err != nil { // not quoted: the text may contain a password
		return refuse("the URL cannot be read")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return refuse("the URL's query cannot be read")
	}
	if _, ok := u.User.Password(); ok || query.Has("password") || query.Has("sslpassword") {
		return refuse("the URL contains a password; put it into a file and name that with password_file")
	}
	set := map[string]string{
		"host": u.Hostname(), "port": u.Port(), "user": u.User.Username(), "dbname": strings.TrimPrefix(u.Path, "/"),
		"sslmode": "", "sslrootcert": "", "sslcert": "", "sslkey": "",
	}
	for name, values := range query {
		if !slices.Contains(parameters, name) {
			return refuse("the URL has a parameter %q; there are %s", registry.ShortName(name), strings.Join(parameters, ", "))
		}
		if len(values) != 1 || set[name] != "" {
			return refuse("the URL says %s twice", name)
		}
		set[name] = values[0]
	}
	if set["port"] == "" {
		set["port"] = "5432"
	}
	switch {
	case set["user"] == "":
		return refuse("the URL names no user: postgres://USER@HOST/DATABASE")
	case set["dbname"] == "":
		return refuse("the URL names no database: postgres://USER@HOST/DATABASE")
	case set["host"] == "":
		return refuse("the URL names no host: postgres://USER@HOST/DATABASE, or ?host=/run/postgresql for a socket")
	case strings.Contains(set["host"], ","):
		return refuse("the URL names several hosts")
	}
	switch near, mode := nearby(set["host"]), set["sslmode"]; {
	case mode == "" && near:
		set["sslmode"] = "disable"
	case mode == "":
		set["sslmode"] = "verify-full"
	case mode != "verify-full" && !near:
		return refuse("sslmode=%s does not prove that it is the right server; over a network it must be verify-full", registry.ShortName(mode))
	}
	for name, value := range map[string]string{
		"application_name": "sanad", "connect_timeout": "15", "target_session_attrs": "any", "options": "", "passfile": "", "sslpassword": "",
	} {
		set[name] = value
	}
	var b strings.Builder
	escape := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	for name, value := range set {
		if strings.Contains(value, "\x00") {
			return refuse("the URL contains a NUL")
		}
		fmt.Fprintf(&b, "%s='%s' ", name, escape.Replace(value))
	}
	return b.String(), nil
}

// nearby is whether what is sent to a host stays on this machine.
func nearby(host string) bool {
	if strings.HasPrefix(host, "/") || host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// maxPassword is more than any password file needs to have.
const maxPassword = 4 << 10

// readPassword returns the first line of a file.
func readPassword(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read password file: %w", err)
	}
	if len(b) > maxPassword {
		return "", fmt.Errorf("read password file: %s is longer than %d bytes", path, maxPassword)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSuffix(line, "\r"), nil
}
