//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package trust

// lock does nothing where there are no file locks; one process at a time is then
// up to the user.
func lock(string) (unlock func(), err error) { return func() {}, nil }
